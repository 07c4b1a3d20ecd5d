//! Converts rows of record batches to Python values.

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict as _, PyBytes, PyDict, PyList, PyTuple};

/// Number of days of a month in an interval, as DuckDB's own module counts them.
const DAYS_PER_MONTH: i32 = 30;

/// How DuckDB stores infinite dates; infinite times have the largest number of 64 bits.
const INFINITE_DAYS: i32 = i32::MAX;
const INFINITY: &str = "infinity";
const MINUS_INFINITY: &str = "-infinity";

/// Functions of Python's standard library.
struct Library {
    decimal: Py<PyAny>,
    /// `datetime.datetime(1970, 1, 1)`, without and with the zone UTC.
    epoch: [Py<PyAny>; 2],
    date: Py<PyAny>,
    delta: Py<PyAny>,
}

static LIBRARY: PyOnceLock<Library> = PyOnceLock::new();

fn library(py: Python<'_>) -> PyResult<&'static Library> {
    LIBRARY.get_or_try_init(py, || {
        let times = py.import("datetime")?;
        let utc = times.getattr("timezone")?.getattr("utc")?;
        let epoch = times.getattr("datetime")?.call1((1970, 1, 1))?;
        let aware = epoch.call_method("replace", (), Some(&[("tzinfo", utc)].into_py_dict(py)?))?;
        Ok(Library {
            decimal: py.import("decimal")?.getattr("Decimal")?.unbind(),
            epoch: [epoch.unbind(), aware.unbind()],
            date: times.getattr("date")?.call1((1970, 1, 1))?.unbind(),
            delta: times.getattr("timedelta")?.unbind(),
        })
    })
}

/// Returns the rows of a batch as tuples.
pub(crate) fn rows<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyList>> {
    let row = |row| {
        let cells: PyResult<Vec<_>> = batch.columns().iter().map(|column| value(py, column, row)).collect();
        PyTuple::new(py, cells?)
    };
    PyList::new(py, (0..batch.num_rows()).map(row).collect::<PyResult<Vec<_>>>()?)
}

fn cell<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn value<'py>(py: Python<'py>, array: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    if let DataType::Union(..) = array.data_type() {
        let union = array.as_union();
        return value(py, union.child(union.type_id(row)), union.value_offset(row));
    }
    if array.is_null(row) {
        return Ok(py.None().into_bound(py));
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into_bound_py_any(py),
        DataType::Int8 => cell::<Int8Type>(array, row).into_bound_py_any(py),
        DataType::Int16 => cell::<Int16Type>(array, row).into_bound_py_any(py),
        DataType::Int32 => cell::<Int32Type>(array, row).into_bound_py_any(py),
        DataType::Int64 => cell::<Int64Type>(array, row).into_bound_py_any(py),
        DataType::UInt8 => cell::<UInt8Type>(array, row).into_bound_py_any(py),
        DataType::UInt16 => cell::<UInt16Type>(array, row).into_bound_py_any(py),
        DataType::UInt32 => cell::<UInt32Type>(array, row).into_bound_py_any(py),
        DataType::UInt64 => cell::<UInt64Type>(array, row).into_bound_py_any(py),
        DataType::Float32 => cell::<Float32Type>(array, row).into_bound_py_any(py),
        DataType::Float64 => cell::<Float64Type>(array, row).into_bound_py_any(py),
        // HUGEINT; DECIMAL(38, 0) cannot be told from it.
        DataType::Decimal128(38, 0) => cell::<Decimal128Type>(array, row).into_bound_py_any(py),
        DataType::Decimal128(..) => {
            let text = array.as_primitive::<Decimal128Type>().value_as_string(row);
            library(py)?.decimal.bind(py).call1((text,))
        }
        DataType::Utf8 => array.as_string::<i32>().value(row).into_bound_py_any(py),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into_bound_py_any(py),
        DataType::Utf8View => array.as_string_view().value(row).into_bound_py_any(py),
        DataType::Binary => Ok(PyBytes::new(py, array.as_binary::<i32>().value(row)).into_any()),
        DataType::LargeBinary => Ok(PyBytes::new(py, array.as_binary::<i64>().value(row)).into_any()),
        DataType::FixedSizeBinary(_) => Ok(PyBytes::new(py, array.as_fixed_size_binary().value(row)).into_any()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            value(py, dictionary.values(), dictionary.normalized_keys()[row])
        }
        DataType::List(_) => list(py, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(py, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(py, &array.as_fixed_size_list().value(row)),
        DataType::Struct(members) => {
            let dict = PyDict::new(py);
            for (member, column) in members.iter().zip(array.as_struct().columns()) {
                dict.set_item(member.name(), value(py, column, row)?)?;
            }
            Ok(dict.into_any())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let dict = PyDict::new(py);
            for entry in 0..entries.len() {
                dict.set_item(value(py, entries.column(0), entry)?, value(py, entries.column(1), entry)?)?;
            }
            Ok(dict.into_any())
        }
        _ => moment(py, array, row),
    }
}

fn list<'py>(py: Python<'py>, items: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    let items: PyResult<Vec<_>> = (0..items.len()).map(|item| value(py, items, item)).collect();
    Ok(PyList::new(py, items?)?.into_any())
}

/// Converts dates, times and intervals. A date that Python cannot represent, such as `infinity`, becomes text.
fn moment<'py>(py: Python<'py>, array: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    let library = library(py)?;
    let delta = |days: i64, micros: i64| library.delta.bind(py).call1((days, 0, micros));
    let since = |start: &Py<PyAny>, days: i64, micros: i64| {
        let sum = delta(days, micros).and_then(|delta| start.bind(py).call_method1("__add__", (delta,)));
        sum.or_else(|_| array_text(array, row).into_bound_py_any(py))
    };
    match array.data_type() {
        DataType::Date32 => match cell::<Date32Type>(array, row) {
            INFINITE_DAYS => INFINITY.into_bound_py_any(py),
            days if days == -INFINITE_DAYS => MINUS_INFINITY.into_bound_py_any(py),
            days => since(&library.date, days.into(), 0),
        },
        DataType::Timestamp(unit, zone) => {
            let micros = match unit {
                TimeUnit::Second => cell::<TimestampSecondType>(array, row).checked_mul(1_000_000),
                TimeUnit::Millisecond => cell::<TimestampMillisecondType>(array, row).checked_mul(1_000),
                TimeUnit::Microsecond => Some(cell::<TimestampMicrosecondType>(array, row)),
                TimeUnit::Nanosecond => Some(cell::<TimestampNanosecondType>(array, row).div_euclid(1_000)),
            };
            match micros {
                Some(i64::MAX) => INFINITY.into_bound_py_any(py),
                Some(micros) if micros == -i64::MAX => MINUS_INFINITY.into_bound_py_any(py),
                Some(micros) => since(&library.epoch[usize::from(zone.is_some())], 0, micros),
                None => array_text(array, row).into_bound_py_any(py),
            }
        }
        DataType::Time64(unit) => {
            let micros = match unit {
                TimeUnit::Nanosecond => cell::<Time64NanosecondType>(array, row) / 1_000,
                _ => cell::<Time64MicrosecondType>(array, row),
            };
            // 24:00:00 is a time in SQL, but not in Python.
            let midnight = library.epoch[0].bind(py);
            midnight.call_method1("__add__", (delta(0, micros.min(86_399_999_999))?,))?.call_method0("time")
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let interval = cell::<IntervalMonthDayNanoType>(array, row);
            let days = i64::from(interval.months) * i64::from(DAYS_PER_MONTH) + i64::from(interval.days);
            delta(days, interval.nanoseconds / 1_000)
        }
        DataType::Duration(TimeUnit::Microsecond) => delta(0, cell::<DurationMicrosecondType>(array, row)),
        _ => array_text(array, row).into_bound_py_any(py),
    }
}

fn array_text(array: &ArrayRef, row: usize) -> String {
    let format = arrow::util::display::FormatOptions::default();
    arrow::util::display::ArrayFormatter::try_new(array, &format)
        .map(|formatter| formatter.value(row).to_string())
        .unwrap_or_default()
}
