//! Converts rows of record batches to Python values.

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use mixpanel_data::{Error, ErrorKind};
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict as _, PyBytes, PyDict, PyList, PyTuple};

use crate::error::raised;

/// Number of days of a month in an interval, as DuckDB's own module counts them.
const DAYS_PER_MONTH: i32 = 30;

/// How DuckDB stores infinite dates; infinite times have the largest number of 64 bits.
const INFINITE_DAYS: i32 = i32::MAX;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The calendar repeats itself after 400 years.
const YEARS_PER_ERA: i64 = 400;
const DAYS_PER_ERA: i64 = 146_097;

/// The metadata of the members of a struct without names, as `mixpanel_data` marks them.
const UNNAMED_MEMBER: &str = "duckdb.unnamed";

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
            // `normalized_keys` makes a list of all keys.
            let one = array.slice(row, 1);
            let dictionary = one.as_any_dictionary();
            value(py, dictionary.values(), dictionary.normalized_keys()[0])
        }
        DataType::List(_) => Ok(list(py, &array.as_list::<i32>().value(row))?.into_any()),
        DataType::LargeList(_) => Ok(list(py, &array.as_list::<i64>().value(row))?.into_any()),
        DataType::FixedSizeList(..) => Ok(list(py, &array.as_fixed_size_list().value(row))?.into_any()),
        DataType::Struct(members) => {
            let columns = array.as_struct().columns();
            if members.iter().any(|member| member.metadata().contains_key(UNNAMED_MEMBER)) {
                let values: PyResult<Vec<_>> = columns.iter().map(|column| value(py, column, row)).collect();
                return Ok(PyTuple::new(py, values?)?.into_any());
            }
            let dict = PyDict::new(py);
            for (member, column) in members.iter().zip(columns) {
                dict.set_item(member.name(), value(py, column, row)?)?;
            }
            Ok(dict.into_any())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            map(py, &list(py, entries.column(0))?, &list(py, entries.column(1))?)
        }
        DataType::Null => Ok(py.None().into_bound(py)),
        _ => moment(py, array, row),
    }
}

fn list<'py>(py: Python<'py>, items: &ArrayRef) -> PyResult<Bound<'py, PyList>> {
    let items: PyResult<Vec<_>> = (0..items.len()).map(|item| value(py, items, item)).collect();
    PyList::new(py, items?)
}

/// Returns a map as a dict. If its keys cannot be those of a dict, it becomes a dict of its keys and its values, as in
/// DuckDB's own module: lists have no hash, and times that differ by nanoseconds are equal in Python.
fn map<'py>(py: Python<'py>, keys: &Bound<'py, PyList>, values: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    if keys.iter().all(|key| key.hash().is_ok()) {
        for (key, value) in keys.iter().zip(values) {
            dict.set_item(key, value)?;
        }
        if dict.len() == keys.len() {
            return Ok(dict.into_any());
        }
    }
    Ok([("key", keys), ("value", values)].into_py_dict(py)?.into_any())
}

/// Converts dates, times and intervals. What Python cannot represent, such as `infinity`, becomes DuckDB's text.
fn moment<'py>(py: Python<'py>, array: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    let library = library(py)?;
    match array.data_type() {
        DataType::Date32 => match cell::<Date32Type>(array, row) {
            INFINITE_DAYS => INFINITY.into_bound_py_any(py),
            days if days == -INFINITE_DAYS => MINUS_INFINITY.into_bound_py_any(py),
            days => match add(py, &library.date, days.into(), 0) {
                Err(error) if error.is_instance_of::<PyOverflowError>(py) => {
                    let (date, _) = far_text(py, days.into(), 0)?;
                    date.into_bound_py_any(py)
                }
                result => result,
            },
        },
        DataType::Timestamp(unit, zone) => timestamp(py, array, row, *unit, zone.is_some()),
        DataType::Time64(unit) => {
            let micros = match unit {
                TimeUnit::Nanosecond => cell::<Time64NanosecondType>(array, row) / 1_000,
                _ => cell::<Time64MicrosecondType>(array, row),
            };
            // A time in SQL, but not in Python.
            if micros >= MICROS_PER_DAY {
                return "24:00:00".into_bound_py_any(py);
            }
            add(py, &library.epoch[0], 0, micros)?.call_method0("time")
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let interval = cell::<IntervalMonthDayNanoType>(array, row);
            let days = i64::from(interval.months) * i64::from(DAYS_PER_MONTH) + i64::from(interval.days);
            library.delta.bind(py).call1((days, 0, interval.nanoseconds / 1_000))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            library.delta.bind(py).call1((0, 0, cell::<DurationMicrosecondType>(array, row)))
        }
        _ => array_text(array, row).map_err(|error| raised(&error))?.into_bound_py_any(py),
    }
}

fn timestamp<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    row: usize,
    unit: TimeUnit,
    has_zone: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let (value, per_second) = match unit {
        TimeUnit::Second => (cell::<TimestampSecondType>(array, row), 1),
        TimeUnit::Millisecond => (cell::<TimestampMillisecondType>(array, row), 1_000),
        TimeUnit::Microsecond => (cell::<TimestampMicrosecondType>(array, row), 1_000_000),
        TimeUnit::Nanosecond => (cell::<TimestampNanosecondType>(array, row), 1_000_000_000),
    };
    if value.unsigned_abs() == i64::MAX.unsigned_abs() {
        return (if value > 0 { INFINITY } else { MINUS_INFINITY }).into_bound_py_any(py);
    }
    let per_day = per_second * 86_400;
    let (days, rest) = (value.div_euclid(per_day), value.rem_euclid(per_day));
    let micros = if per_second > 1_000_000 { rest / 1_000 } else { rest * (1_000_000 / per_second) };
    match add(py, &library(py)?.epoch[usize::from(has_zone)], days, micros) {
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => {
            let (date, time) = far_text(py, days, micros)?;
            format!("{date} {time}{}", if has_zone { "+00" } else { "" }).into_bound_py_any(py)
        }
        result => result,
    }
}

/// Returns a date or a time that is this much later; `OverflowError` if Python has none.
fn add<'py>(py: Python<'py>, start: &Py<PyAny>, days: i64, micros: i64) -> PyResult<Bound<'py, PyAny>> {
    let delta = library(py)?.delta.bind(py).call1((days, 0, micros))?;
    start.bind(py).call_method1("__add__", (delta,))
}

/// Returns the date and the time of a day outside of the years of Python, as DuckDB writes them.
fn far_text(py: Python<'_>, days: i64, micros: i64) -> PyResult<(String, String)> {
    let same_day = add(py, &library(py)?.epoch[0], days.rem_euclid(DAYS_PER_ERA), micros)?;
    let part = |name| same_day.getattr(name)?.extract::<i64>();
    let year = part("year")? + days.div_euclid(DAYS_PER_ERA) * YEARS_PER_ERA;
    // There is no year 0.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " (BC)") };
    let date = format!("{year:04}-{:02}-{:02}{era}", part("month")?, part("day")?);
    let time: String = same_day.call_method0("time")?.call_method0("isoformat")?.extract()?;
    let time = if time.contains('.') { time.trim_end_matches('0') } else { &time };
    Ok((date, time.to_owned()))
}

fn array_text(array: &ArrayRef, row: usize) -> Result<String, Error> {
    let format = arrow::util::display::FormatOptions::default().with_display_error(false);
    let text = arrow::util::display::ArrayFormatter::try_new(array, &format)
        .and_then(|formatter| formatter.value(row).try_to_string());
    text.map_err(|error| {
        let message = format!("the result has a value of the type {}, which has no text", array.data_type());
        Error::new(ErrorKind::Query, message).with_source(error)
    })
}
