//! Replaces the Arrow types of results that only DuckDB understands by ones that other programs read:
//!
//! | type | becomes |
//! |---|---|
//! | HUGEINT, UHUGEINT | Decimal128(38, 0), as DuckDB's own clients return it; larger values are an error |
//! | BOOLEAN | Boolean |
//! | JSON, UUID, BIT, BIGNUM, TIMETZ | Utf8 |
//! | members of a struct without names, as of `row(1, 2)` | members named `1`, `2`, ... with metadata |
//!
//! The other types are native Arrow types. Members of lists, structs and maps are replaced as well, those of unions are
//! not.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Decimal128Array, FixedSizeListArray, GenericListArray, MapArray,
    OffsetSizeTrait, RecordBatch, RecordBatchOptions, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int8Type, Schema, SchemaRef};

use super::values;
use crate::error::{Error, ErrorKind, Result};
use crate::sql_value::SqlValue;

/// Digits of the widest decimal type of Arrow's 128-bit decimals.
const DIGITS_MAX: u8 = 38;

/// The metadata that tells a member whose name is only its number.
const UNNAMED_MEMBER: &str = "duckdb.unnamed";

/// What a type is replaced by.
enum Replacement {
    Boolean,
    Decimal,
    Text,
}

/// Returns the schema with replaced types.
pub(super) fn schema(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Fields>()))
}

/// Returns the rows with replaced types.
///
/// # Errors
/// `Query` for an integer with more than 38 digits.
pub(super) fn batch(rows: StructArray, found: &SchemaRef) -> Result<RecordBatch> {
    let columns = found.fields().iter().zip(rows.columns());
    let columns: Vec<ArrayRef> = columns.map(|(field, column)| array(field, column)).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema(found), columns, &options).map_err(malformed)
}

fn malformed(error: arrow::error::ArrowError) -> Error {
    Error::internal("DuckDB returned rows that do not fit their columns").with_source(error)
}

fn replacement(field: &Field) -> Option<Replacement> {
    match field.data_type() {
        DataType::Int8 if values::extension(field) == "arrow.bool8" => Some(Replacement::Boolean),
        DataType::FixedSizeBinary(16)
            if values::is_duckdb(field, "hugeint") || values::is_duckdb(field, "uhugeint") =>
        {
            Some(Replacement::Decimal)
        }
        DataType::FixedSizeBinary(_) if values::extension(field) == "arrow.uuid" => Some(Replacement::Text),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_)
            if ["bignum", "bit", "time_tz"].iter().any(|name| values::is_duckdb(field, name)) =>
        {
            Some(Replacement::Text)
        }
        _ => None,
    }
}

fn field(of: &FieldRef) -> FieldRef {
    let kind = match replacement(of) {
        Some(Replacement::Boolean) => DataType::Boolean,
        Some(Replacement::Decimal) => DataType::Decimal128(DIGITS_MAX, 0),
        Some(Replacement::Text) => DataType::Utf8,
        None => match of.data_type() {
            DataType::List(item) => DataType::List(field(item)),
            DataType::LargeList(item) => DataType::LargeList(field(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
            DataType::Struct(members) => DataType::Struct(members_of(members)),
            DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
            kind => kind.clone(),
        },
    };
    Arc::new(Field::new(of.name(), kind, of.is_nullable()))
}

/// Returns the members of a struct. Without names, they are numbered as in DuckDB's `struct_extract`: other programs keep
/// only one of several members of the same name.
fn members_of(members: &Fields) -> Fields {
    let numbered = |(index, member): (usize, &FieldRef)| {
        let mark = HashMap::from([(UNNAMED_MEMBER.to_owned(), String::new())]);
        Arc::new(field(member).as_ref().clone().with_name((index + 1).to_string()).with_metadata(mark))
    };
    if members.iter().all(|member| member.name().is_empty()) {
        return members.iter().enumerate().map(numbered).collect();
    }
    members.iter().map(field).collect()
}

fn array(of: &FieldRef, found: &ArrayRef) -> Result<ArrayRef> {
    if let Some(replacement) = replacement(of) {
        return replaced(of, found, &replacement);
    }
    Ok(match of.data_type() {
        DataType::List(item) => list::<i32>(item, found)?,
        DataType::LargeList(item) => list::<i64>(item, found)?,
        DataType::FixedSizeList(item, size) => {
            let (list, values) = (found.as_fixed_size_list(), found.as_fixed_size_list().values());
            let values = array(item, values)?;
            Arc::new(FixedSizeListArray::try_new(field(item), *size, values, list.nulls().cloned()).map_err(malformed)?)
        }
        DataType::Struct(members) => Arc::new(structs(members, found.as_struct())?),
        DataType::Map(entries, sorted) => {
            let map = found.as_map();
            let DataType::Struct(pair) = entries.data_type() else { return Ok(Arc::clone(found)) };
            let pairs = structs(pair, map.entries())?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(field(entries), offsets, pairs, nulls, *sorted).map_err(malformed)?)
        }
        _ => Arc::clone(found),
    })
}

fn list<O: OffsetSizeTrait>(item: &FieldRef, found: &ArrayRef) -> Result<ArrayRef> {
    let list = found.as_list::<O>();
    let values = array(item, list.values())?;
    let made = GenericListArray::try_new(field(item), list.offsets().clone(), values, list.nulls().cloned());
    Ok(Arc::new(made.map_err(malformed)?))
}

fn structs(members: &Fields, found: &StructArray) -> Result<StructArray> {
    let columns = members.iter().zip(found.columns());
    let columns: Vec<ArrayRef> = columns.map(|(member, column)| array(member, column)).collect::<Result<_>>()?;
    StructArray::try_new_with_length(members_of(members), columns, found.nulls().cloned(), found.len())
        .map_err(malformed)
}

fn replaced(of: &Field, found: &ArrayRef, replacement: &Replacement) -> Result<ArrayRef> {
    let texts = || (0..found.len()).map(|row| values::value(of, found, row));
    Ok(match replacement {
        Replacement::Boolean => Arc::new(
            found.as_primitive::<Int8Type>().iter().map(|bit| bit.map(|bit| bit != 0)).collect::<BooleanArray>(),
        ),
        Replacement::Decimal => {
            let numbers: Vec<Option<i128>> = texts().map(number).collect::<Result<_>>()?;
            let made = Decimal128Array::from(numbers).with_precision_and_scale(DIGITS_MAX, 0);
            Arc::new(made.map_err(|_| too_large())?)
        }
        Replacement::Text => Arc::new(texts().map(text).collect::<StringArray>()),
    })
}

fn number(value: SqlValue) -> Result<Option<i128>> {
    let text = match value {
        SqlValue::Null => return Ok(None),
        value => value.to_string(),
    };
    let number: i128 = text.parse().map_err(|_| too_large())?;
    // Arrow does not check the digits.
    if number.unsigned_abs() < 10_u128.pow(DIGITS_MAX.into()) { Ok(Some(number)) } else { Err(too_large()) }
}

fn text(value: SqlValue) -> Option<String> {
    match value {
        SqlValue::Null => None,
        SqlValue::Text(text) | SqlValue::Digits(text) => Some(text),
        value => Some(value.to_string()),
    }
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::Query,
        "the result has an integer of more than 38 digits, which no Arrow type holds; cast it to DOUBLE or VARCHAR",
    )
}
