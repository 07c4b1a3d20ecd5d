//! Converts DuckDB's results, by type:
//!
//! | type | becomes |
//! |---|---|
//! | JSON | the stored text |
//! | integers, BIGNUM, DECIMAL | a number with all its digits |
//! | FLOAT, DOUBLE | a number; `NaN`, `Infinity` and `-Infinity` as text |
//! | DATE, TIME, TIMESTAMP, INTERVAL | ISO 8601 text; `Z` only with time zone |
//! | UUID, ENUM, BIT | text |
//! | BLOB, and types not listed here | hexadecimal text |
//! | LIST, ARRAY | a list |
//! | STRUCT, MAP | an object; keys that are not text are written as JSON; a list if the members have no names |
//! | UNION | the value of its member |

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use serde_json::{Number, Value};

use super::iso;
use crate::sql_value::SqlValue;
use crate::text::hexadecimal;

/// The number of values that 18 decimal digits have.
const DIGITS_GROUP: u128 = 1_000_000_000_000_000_000;

/// Returns one row of a batch.
pub(super) fn row(fields: &[&Field], batch: &StructArray, row: usize) -> Vec<SqlValue> {
    fields.iter().zip(batch.columns()).map(|(field, column)| value(field, column, row)).collect()
}

pub(super) fn value(field: &Field, array: &ArrayRef, row: usize) -> SqlValue {
    if let DataType::Union(fields, _) = field.data_type() {
        let union = array.as_union();
        let member = union.type_id(row);
        let field = fields.iter().find(|(id, _)| *id == member).map(|(_, field)| field);
        return field.map_or(SqlValue::Null, |field| value(field, union.child(member), union.value_offset(row)));
    }
    if array.is_null(row) {
        return SqlValue::Null;
    }
    match field.data_type() {
        DataType::Boolean => SqlValue::Bool(array.as_boolean().value(row)),
        DataType::Int8 if extension(field) == "arrow.bool8" => SqlValue::Bool(cell::<Int8Type>(array, row) != 0),
        DataType::Int8 => number(cell::<Int8Type>(array, row)),
        DataType::Int16 => number(cell::<Int16Type>(array, row)),
        DataType::Int32 => number(cell::<Int32Type>(array, row)),
        DataType::Int64 => number(cell::<Int64Type>(array, row)),
        DataType::UInt8 => number(cell::<UInt8Type>(array, row)),
        DataType::UInt16 => number(cell::<UInt16Type>(array, row)),
        DataType::UInt32 => number(cell::<UInt32Type>(array, row)),
        DataType::UInt64 => number(cell::<UInt64Type>(array, row)),
        // Via its shortest text: 0.1 becomes 0.1, not 0.10000000149.
        DataType::Float32 => SqlValue::float(cell::<Float32Type>(array, row).to_string().parse().unwrap_or(f64::NAN)),
        DataType::Float64 => SqlValue::float(cell::<Float64Type>(array, row)),
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
        DataType::Date32 => SqlValue::Text(iso::date(cell::<Date32Type>(array, row))),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let interval = cell::<IntervalMonthDayNanoType>(array, row);
            SqlValue::Text(iso::interval(interval.months, interval.days, interval.nanoseconds))
        }
        DataType::Time64(_) | DataType::Timestamp(..) => moment(field.data_type(), array, row),
        _ => nested(field, array, row),
    }
}

fn cell<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn number(number: impl Into<Number>) -> SqlValue {
    SqlValue::Number(number.into())
}

fn moment(kind: &DataType, array: &ArrayRef, row: usize) -> SqlValue {
    let zone = |zone: &Option<_>| if zone.is_some() { "Z" } else { "" };
    let text = match kind {
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
        _ => return SqlValue::Null,
    };
    SqlValue::Text(text)
}

fn nested(field: &Field, array: &ArrayRef, row: usize) -> SqlValue {
    let items = |field: &Field, items: &ArrayRef| (0..items.len()).map(|item| value(field, items, item)).collect();
    match field.data_type() {
        DataType::List(item) => SqlValue::List(items(item, &array.as_list::<i32>().value(row))),
        DataType::LargeList(item) => SqlValue::List(items(item, &array.as_list::<i64>().value(row))),
        DataType::FixedSizeList(item, _) => SqlValue::List(items(item, &array.as_fixed_size_list().value(row))),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns);
            if fields.iter().all(|field| field.name().is_empty()) {
                return SqlValue::List(members.map(|(field, column)| value(field, column, row)).collect());
            }
            SqlValue::Object(members.map(|(field, column)| (field.name().clone(), value(field, column, row))).collect())
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return SqlValue::Null };
            let entries = array.as_map().value(row);
            let member = |entry| {
                let key = match value(&pair[0], entries.column(0), entry) {
                    SqlValue::Text(text) => text,
                    key => key.to_string(),
                };
                (key, value(&pair[1], entries.column(1), entry))
            };
            SqlValue::Object((0..entries.len()).map(member).collect())
        }
        _ => SqlValue::Null,
    }
}

/// Returns the name of the field's Arrow extension type, or an empty string.
pub(super) fn extension(field: &Field) -> &str {
    field.metadata().get("ARROW:extension:name").map_or("", String::as_str)
}

/// Returns whether the field has the DuckDB-specific type `name`.
pub(super) fn is_duckdb(field: &Field, name: &str) -> bool {
    extension(field) == "arrow.opaque"
        && field
            .metadata()
            .get("ARROW:extension:metadata")
            .and_then(|metadata| serde_json::from_str::<Value>(metadata).ok())
            .is_some_and(|metadata| metadata["type_name"] == name)
}

fn text(field: &Field, text: &str) -> SqlValue {
    if extension(field) == "arrow.json" { SqlValue::json(text) } else { SqlValue::Text(text.to_owned()) }
}

fn bytes(field: &Field, bytes: &[u8]) -> SqlValue {
    if let Ok(wide) = <[u8; 16]>::try_from(bytes) {
        if extension(field) == "arrow.uuid" {
            return SqlValue::Text(uuid(&wide));
        }
        if is_duckdb(field, "hugeint") {
            return SqlValue::integer(i128::from_le_bytes(wide));
        }
        if is_duckdb(field, "uhugeint") {
            let number = u128::from_le_bytes(wide);
            return i128::try_from(number).map_or_else(|_| SqlValue::Digits(number.to_string()), SqlValue::integer);
        }
    }
    if is_duckdb(field, "bignum") {
        return SqlValue::Digits(bignum(bytes));
    }
    SqlValue::Text(match <[u8; 8]>::try_from(bytes) {
        Ok(packed) if is_duckdb(field, "time_tz") => iso::time_with_zone(u64::from_le_bytes(packed)),
        _ if is_duckdb(field, "bit") => bits(bytes),
        _ => hexadecimal(bytes),
    })
}

fn decimal(unscaled: i128, scale: i8) -> SqlValue {
    let scale = usize::from(scale.unsigned_abs());
    if scale == 0 {
        return SqlValue::integer(unscaled);
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    SqlValue::Digits(format!("{sign}{whole}.{fraction}"))
}

fn uuid(bytes: &[u8; 16]) -> String {
    let digits = hexadecimal(bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Formats a BIGNUM value: three bytes with the length, the highest bit of which is the sign, then the big-endian
/// number; all bits are inverted if it is negative.
fn bignum(bytes: &[u8]) -> String {
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 == 0);
    let number = bytes.get(3..).unwrap_or_default().iter().map(|byte| if is_negative { !byte } else { *byte });
    // The least significant comes first; each has 18 digits.
    let mut groups = vec![0_u64];
    for byte in number {
        let mut carry = u128::from(byte);
        for group in &mut groups {
            let value = u128::from(*group) * 256 + carry;
            carry = value / DIGITS_GROUP;
            *group = u64::try_from(value % DIGITS_GROUP).expect("18 digits");
        }
        if carry > 0 {
            groups.push(u64::try_from(carry).expect("at most 256"));
        }
    }
    let last = groups.pop().unwrap_or_default();
    let rest: String = groups.iter().rev().map(|group| format!("{group:018}")).collect();
    format!("{}{last}{rest}", if is_negative { "-" } else { "" })
}

/// Formats a BIT value. Its first byte is the number of padding bits at the start of the second.
fn bits(bytes: &[u8]) -> String {
    let Some((padding, bytes)) = bytes.split_first() else { return String::new() };
    let digits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    digits.get(usize::from(*padding)..).unwrap_or_default().to_owned()
}
