//! Converts DuckDB's results to JSON.
//!
//! | type | becomes |
//! |---|---|
//! | JSON | the value, see below |
//! | integers | a number if it fits into 64 bits, else its digits as text |
//! | DECIMAL | a number up to 15 digits, else text |
//! | FLOAT, DOUBLE | a number; `NaN`, `Infinity` and `-Infinity` as text |
//! | DATE, TIME, TIMESTAMP, INTERVAL | ISO 8601 text; `Z` only with time zone |
//! | UUID, ENUM, BIT | text |
//! | BLOB, and types not listed here | hexadecimal text |
//! | LIST, ARRAY | an array |
//! | STRUCT, MAP | an object; keys that are not text are written as JSON |
//! | UNION | the value of its member |
//!
//! Numbers in a JSON column have `serde_json`'s precision, so a 30-digit number is rounded. JSON that it cannot
//! represent (`1e400`, more than 127 levels) stays text.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use serde_json::{Map, Number, Value};

use super::iso;

/// The number of decimal digits that every 64-bit float preserves.
const FLOAT_DIGITS: u32 = 15;

/// Returns one row of a batch.
pub(super) fn row(fields: &[&Field], batch: &StructArray, row: usize) -> Vec<Value> {
    fields.iter().zip(batch.columns()).map(|(field, column)| value(field, column, row)).collect()
}

fn value(field: &Field, array: &ArrayRef, row: usize) -> Value {
    if let DataType::Union(fields, _) = field.data_type() {
        let union = array.as_union();
        let member = union.type_id(row);
        let field = fields.iter().find(|(id, _)| *id == member).map(|(_, field)| field);
        return field.map_or(Value::Null, |field| value(field, union.child(member), union.value_offset(row)));
    }
    if array.is_null(row) {
        return Value::Null;
    }
    match field.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 if extension(field) == "arrow.bool8" => (cell::<Int8Type>(array, row) != 0).into(),
        DataType::Int8 => cell::<Int8Type>(array, row).into(),
        DataType::Int16 => cell::<Int16Type>(array, row).into(),
        DataType::Int32 => cell::<Int32Type>(array, row).into(),
        DataType::Int64 => cell::<Int64Type>(array, row).into(),
        DataType::UInt8 => cell::<UInt8Type>(array, row).into(),
        DataType::UInt16 => cell::<UInt16Type>(array, row).into(),
        DataType::UInt32 => cell::<UInt32Type>(array, row).into(),
        DataType::UInt64 => cell::<UInt64Type>(array, row).into(),
        // Via its shortest text: 0.1 becomes 0.1, not 0.10000000149.
        DataType::Float32 => float(cell::<Float32Type>(array, row).to_string().parse().unwrap_or(f64::NAN)),
        DataType::Float64 => float(cell::<Float64Type>(array, row)),
        DataType::Decimal128(_, scale) => decimal(cell::<Decimal128Type>(array, row), *scale),
        DataType::Utf8 => text(field, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(field, array.as_string::<i64>().value(row)),
        DataType::Utf8View => text(field, array.as_string_view().value(row)),
        DataType::Binary => bytes(field, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(field, array.as_binary::<i64>().value(row)),
        DataType::FixedSizeBinary(_) => bytes(field, array.as_fixed_size_binary().value(row)),
        DataType::Dictionary(_, values) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            value(&Field::new("", values.as_ref().clone(), true), dictionary.values(), key)
        }
        DataType::Date32 => iso::date(cell::<Date32Type>(array, row)).into(),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let interval = cell::<IntervalMonthDayNanoType>(array, row);
            iso::interval(interval.months, interval.days, interval.nanoseconds).into()
        }
        DataType::Time64(_) | DataType::Timestamp(..) => moment(field.data_type(), array, row),
        _ => nested(field, array, row),
    }
}

fn cell<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn moment(kind: &DataType, array: &ArrayRef, row: usize) -> Value {
    let zone = |zone: &Option<_>| if zone.is_some() { "Z" } else { "" };
    match kind {
        DataType::Time64(TimeUnit::Nanosecond) => iso::time(cell::<Time64NanosecondType>(array, row), 1_000_000_000),
        DataType::Time64(_) => iso::time(cell::<Time64MicrosecondType>(array, row), 1_000_000),
        DataType::Timestamp(TimeUnit::Second, z) => iso::timestamp(cell::<TimestampSecondType>(array, row), 1, zone(z)),
        DataType::Timestamp(TimeUnit::Millisecond, z) => {
            iso::timestamp(cell::<TimestampMillisecondType>(array, row), 1_000, zone(z))
        }
        DataType::Timestamp(TimeUnit::Microsecond, z) => {
            iso::timestamp(cell::<TimestampMicrosecondType>(array, row), 1_000_000, zone(z))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, z) => {
            iso::timestamp(cell::<TimestampNanosecondType>(array, row), 1_000_000_000, zone(z))
        }
        _ => return Value::Null,
    }
    .into()
}

fn nested(field: &Field, array: &ArrayRef, row: usize) -> Value {
    let items = |field: &Field, items: &ArrayRef| (0..items.len()).map(|item| value(field, items, item)).collect();
    match field.data_type() {
        DataType::List(item) => Value::Array(items(item, &array.as_list::<i32>().value(row))),
        DataType::LargeList(item) => Value::Array(items(item, &array.as_list::<i64>().value(row))),
        DataType::FixedSizeList(item, _) => Value::Array(items(item, &array.as_fixed_size_list().value(row))),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members =
                fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), value(field, column, row)));
            Value::Object(members.collect())
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return Value::Null };
            let entries = array.as_map().value(row);
            let member = |entry| {
                let key = value(&pair[0], entries.column(0), entry);
                (key.as_str().map_or_else(|| key.to_string(), str::to_owned), value(&pair[1], entries.column(1), entry))
            };
            Value::Object((0..entries.len()).map(member).collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

/// Returns the name of the field's Arrow extension type, or an empty string.
fn extension(field: &Field) -> &str {
    field.metadata().get("ARROW:extension:name").map_or("", String::as_str)
}

/// Returns whether the field has the DuckDB-specific type `name`.
fn is_duckdb(field: &Field, name: &str) -> bool {
    extension(field) == "arrow.opaque"
        && field
            .metadata()
            .get("ARROW:extension:metadata")
            .and_then(|metadata| serde_json::from_str::<Value>(metadata).ok())
            .is_some_and(|metadata| metadata["type_name"] == name)
}

fn text(field: &Field, text: &str) -> Value {
    if extension(field) == "arrow.json" {
        return serde_json::from_str(text).unwrap_or_else(|_| text.into());
    }
    text.into()
}

fn bytes(field: &Field, bytes: &[u8]) -> Value {
    if let Ok(wide) = <[u8; 16]>::try_from(bytes) {
        if extension(field) == "arrow.uuid" {
            return uuid(&wide).into();
        }
        if is_duckdb(field, "hugeint") {
            return integer(i128::from_le_bytes(wide));
        }
        if is_duckdb(field, "uhugeint") {
            let number = u128::from_le_bytes(wide);
            return i128::try_from(number).map_or_else(|_| number.to_string().into(), integer);
        }
    }
    match <[u8; 8]>::try_from(bytes) {
        Ok(packed) if is_duckdb(field, "time_tz") => iso::time_with_zone(u64::from_le_bytes(packed)).into(),
        _ if is_duckdb(field, "bit") => bits(bytes).into(),
        _ => hexadecimal(bytes).into(),
    }
}

fn integer(number: i128) -> Value {
    i64::try_from(number)
        .map(Value::from)
        .or_else(|_| u64::try_from(number).map(Value::from))
        .unwrap_or_else(|_| number.to_string().into())
}

fn float(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => number.into(),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn decimal(unscaled: i128, scale: i8) -> Value {
    let scale = usize::from(scale.unsigned_abs());
    if scale == 0 {
        return integer(unscaled);
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let text = format!("{sign}{whole}.{fraction}");
    if unscaled.unsigned_abs() < 10_u128.pow(FLOAT_DIGITS) {
        return text.parse().map_or(Value::Null, float);
    }
    text.into()
}

fn uuid(bytes: &[u8; 16]) -> String {
    let digits = hexadecimal(bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Formats a BIT value. Its first byte is the number of padding bits at the start of the second.
fn bits(bytes: &[u8]) -> String {
    let Some((padding, bytes)) = bytes.split_first() else { return String::new() };
    let digits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    digits.get(usize::from(*padding)..).unwrap_or_default().to_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string can be written to");
        text
    })
}
