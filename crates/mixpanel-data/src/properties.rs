//! Public descriptions of the properties in a table.

use std::collections::BTreeMap;

use serde::Serialize;

/// One property of the profiles in a table, as returned by `Workspace::properties`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PropertyInfo {
    /// Its name, such as `$email`.
    pub name: String,
    /// The narrowest SQL type that fits every value that a load has seen: `BOOLEAN`, `BIGINT`, `DOUBLE`, `DATE`,
    /// `TIMESTAMP`, `JSON` for objects and lists, else `VARCHAR`.
    #[serde(rename = "type")]
    pub column_type: String,
    /// The name of its column in the typed view; `None` if there is none.
    pub column: Option<String>,
    /// Percentage of the rows in which it has a value other than null, rounded to one decimal; between 0.1 and 99.9
    /// unless it is in none or in all of them.
    pub fill_percent: f64,
    /// Number of rows in which it occurs, with null or another value.
    pub profiles: u64,
    /// Number of rows in which it is null.
    pub nulls: u64,
    /// Number of rows with each kind of value: `null`, `boolean`, `integer`, `long_integer` (beyond 2^53), `number`,
    /// `large_number` (beyond 64 bits), `date`, `timestamp`, `string`, `array`, `object`.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Number of different values other than null, compared as JSON text in one spelling, so that `1.0` is
    /// `1`; an estimate (within about 5 %) beyond 1,000.
    pub distinct: u64,
    /// The smallest number, date or timestamp, as text; `None` for other types.
    pub min: Option<String>,
    /// The largest number, date or timestamp, as text; `None` for other types.
    pub max: Option<String>,
    /// The three most frequent values, if there are at most 1,000 different ones and at least one occurs twice.
    pub top: Vec<FrequentValue>,
    /// A value, as JSON text, truncated to 200 characters; `None` if all are null.
    pub example: Option<String>,
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FrequentValue {
    /// The value, as JSON text, truncated to 200 characters.
    pub value: String,
    /// Number of rows that have it.
    pub count: u64,
}
