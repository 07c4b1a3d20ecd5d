//! The property catalog: for each property, how many profiles have it, with which kinds of values.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::property_kind::{EXACT_MAX, KINDS, Kind, column_type, of_text};
use crate::limits::PROPERTY_NAMES_MAX;

/// Key of the catalog in the metadata of a staged file.
pub(crate) const CATALOG_KEY: &str = "property_catalog";

/// The format of a recorded catalog. Catalogs of other formats are computed again from the rows.
pub(super) const FORMAT: u32 = 1;

/// The properties of a set of profiles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Catalog {
    /// The number of profiles.
    pub(crate) profiles: u64,
    /// The properties, in the order in which they were first seen, at most [`PROPERTY_NAMES_MAX`].
    pub(crate) properties: Vec<Property>,
    /// The number of values of all other properties.
    pub(crate) others: u64,
}

/// One property.
///
/// Recorded with short names, because every staged page contains the catalog, uncompressed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Property {
    #[serde(rename = "n")]
    pub(crate) name: String,
    /// The number of profiles with a value of each kind, in the order of [`Kind::ALL`].
    #[serde(rename = "c")]
    counts: [u64; KINDS],
    #[serde(flatten)]
    pub(crate) bounds: Bounds,
}

/// The smallest and largest values seen. Removing profiles does not narrow them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(crate) integers: Option<(i64, i64)>,
    /// As text, because `serde_json` does not read every float exactly.
    #[serde(rename = "f", default, with = "exact_floats", skip_serializing_if = "Option::is_none")]
    pub(crate) numbers: Option<(f64, f64)>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<(String, String)>,
}

impl Property {
    pub(crate) fn new(name: String) -> Self {
        Self { name, counts: [0; KINDS], bounds: Bounds::default() }
    }

    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    pub(crate) fn set_count(&mut self, kind: Kind, count: u64) {
        self.counts[kind as usize] = count;
    }

    /// Returns the number of profiles that have the property, null values included.
    pub(crate) fn profiles(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the type of a column for the values counted here.
    pub(crate) fn column_type(&self) -> &'static str {
        column_type(|kind| self.count(kind) > 0)
    }

    /// Counts a value, given as JSON.
    #[inline]
    pub(super) fn observe(&mut self, value: &[u8]) {
        let kind = match value {
            [b'"', _, _, _, _, b'-', _, _, b'-', ..] => self.observe_time(&value[1..value.len() - 1]),
            [b'"', ..] => Kind::Text,
            [b'{', ..] => Kind::Object,
            [b'[', ..] => Kind::List,
            [b't' | b'f', ..] => Kind::Boolean,
            [b'-' | b'0'..=b'9', ..] => self.observe_number(value),
            _ => Kind::Null,
        };
        self.counts[kind as usize] += 1;
    }

    /// Counts a text that may be a time.
    #[inline(never)]
    fn observe_time(&mut self, text: &[u8]) -> Kind {
        let kind = of_text(text);
        if kind != Kind::Text && !self.bounds.contain_date_of(text) {
            self.bounds.add_time(std::str::from_utf8(text).unwrap_or_default());
        }
        kind
    }

    #[inline(never)]
    fn observe_number(&mut self, value: &[u8]) -> Kind {
        if let Some(integer) = short_integer(value) {
            self.bounds.add_integer(integer);
            return if integer.abs_diff(0) <= EXACT_MAX.abs_diff(0) { Kind::Integer } else { Kind::LongInteger };
        }
        let value = std::str::from_utf8(value).unwrap_or_default();
        if let Ok(integer) = value.parse::<i64>() {
            self.bounds.add_integer(integer);
            return if integer.abs_diff(0) <= EXACT_MAX.abs_diff(0) { Kind::Integer } else { Kind::LongInteger };
        }
        let is_integer = !value.contains(['.', 'e', 'E']);
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() && !is_integer => {
                self.bounds.add_number(number);
                Kind::Number
            }
            _ => Kind::LargeNumber,
        }
    }

    fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.bounds.add(&other.bounds);
    }

    /// Returns whether the counts of `other` can be subtracted.
    fn covers(&self, other: &Self) -> bool {
        self.counts.iter().zip(other.counts).all(|(count, less)| *count >= less)
    }
}

/// Parses an integer of up to 18 digits; longer ones may overflow.
fn short_integer(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.len() > 18 {
        return None;
    }
    let sum =
        digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(*byte - b'0')))?;
    Some(if digits.len() < value.len() { -sum } else { sum })
}

impl Bounds {
    fn add_integer(&mut self, integer: i64) {
        let (least, greatest) = self.integers.get_or_insert((integer, integer));
        (*least, *greatest) = (integer.min(*least), integer.max(*greatest));
    }

    fn add_number(&mut self, number: f64) {
        let (least, greatest) = self.numbers.get_or_insert((number, number));
        (*least, *greatest) = (number.min(*least), number.max(*greatest));
    }

    /// Returns whether year and month of a time are between those of the bounds, which needs no exact comparison.
    fn contain_date_of(&self, time: &[u8]) -> bool {
        let month = |time: &[u8]| time.first_chunk().map(|month| u64::from_be_bytes(*month));
        let Some((least, greatest)) = &self.times else { return false };
        let time = month(time);
        month(least.as_bytes()) < time && time < month(greatest.as_bytes())
    }

    fn add_time(&mut self, time: &str) {
        let (least, greatest) = self.times.get_or_insert_with(|| (time.to_owned(), time.to_owned()));
        if compare_times(time, least) == Ordering::Less {
            time.clone_into(least);
        } else if compare_times(time, greatest) == Ordering::Greater {
            time.clone_into(greatest);
        }
    }

    /// Includes the bounds of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        if let Some((least, greatest)) = other.integers {
            let (own_least, own_greatest) = self.integers.get_or_insert((least, greatest));
            (*own_least, *own_greatest) = (least.min(*own_least), greatest.max(*own_greatest));
        }
        if let Some((least, greatest)) = other.numbers {
            self.add_number(least);
            self.add_number(greatest);
        }
        if let Some((least, greatest)) = &other.times {
            self.add_time(least);
            self.add_time(greatest);
        }
    }

    /// Reads bounds recorded as text for a column of this type.
    pub(crate) fn read(column_type: &str, least: &str, greatest: &str) -> Self {
        let mut bounds = Self::default();
        match column_type {
            "DATE" | "TIMESTAMP" => bounds.times = Some((least.to_owned(), greatest.to_owned())),
            _ => {
                for text in [least, greatest] {
                    if let Ok(integer) = text.parse::<i64>() {
                        bounds.add(&Self { integers: Some((integer, integer)), ..Self::default() });
                    } else if let Ok(number) = text.parse::<f64>() {
                        bounds.add_number(number);
                    }
                }
            }
        }
        bounds
    }

    /// Returns the bounds as text for a column of this type; `None` unless it holds numbers or times.
    pub(crate) fn to_texts(&self, column_type: &str) -> Option<(String, String)> {
        match column_type {
            "BIGINT" => self.integers.map(|(least, greatest)| (least.to_string(), greatest.to_string())),
            "DOUBLE" => {
                // Exact: the column is DOUBLE only if all integers are.
                let integers = self
                    .integers
                    .map(|(least, greatest)| [least, greatest].map(|bound| (bound as f64, bound.to_string())));
                let numbers =
                    self.numbers.map(|(least, greatest)| [least, greatest].map(|bound| (bound, format!("{bound:?}"))));
                let mut bounds: Vec<(f64, String)> = integers.into_iter().chain(numbers).flatten().collect();
                bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
                let greatest = bounds.pop()?.1;
                Some((bounds.into_iter().next()?.1, greatest))
            }
            "DATE" | "TIMESTAMP" => self.times.clone(),
            _ => None,
        }
    }
}

/// Compares times as points in time. They differ in the separator after the date, in the decimals and in the `Z`.
fn compare_times(one: &str, other: &str) -> Ordering {
    let key = |time: &str| -> (String, String) {
        (time.get(..10).unwrap_or(time).to_owned(), time.get(11..).unwrap_or_default().trim_end_matches('Z').to_owned())
    };
    if one.len() == other.len() && one.as_bytes().get(10) == other.as_bytes().get(10) && !one.ends_with('Z') {
        return one.cmp(other);
    }
    key(one).cmp(&key(other))
}

impl Catalog {
    /// Returns the text recorded in a staged file.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(&(FORMAT, self)).expect("a catalog is plain data")
    }

    /// Reads a recorded text. `None` if another version wrote it, or it is damaged.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (format, catalog): (u32, Self) = serde_json::from_str(text).ok()?;
        (format == FORMAT).then_some(catalog)
    }

    /// Adds the profiles of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        let mut places = self.places();
        self.add_at(other, &mut places);
    }

    /// Adds the profiles of `other`, given the places of the properties.
    fn add_at(&mut self, other: &Self, places: &mut HashMap<String, usize>) {
        self.profiles += other.profiles;
        self.others += other.others;
        for property in &other.properties {
            match places.get(&property.name) {
                Some(place) => self.properties[*place].add(property),
                None if self.properties.len() < PROPERTY_NAMES_MAX => {
                    places.insert(property.name.clone(), self.properties.len());
                    self.properties.push(property.clone());
                }
                None => self.others += property.profiles(),
            }
        }
    }

    /// Returns the catalog of the profiles of all of these.
    pub(crate) fn sum<'a>(catalogs: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        let mut places = HashMap::new();
        catalogs.into_iter().for_each(|catalog| sum.add_at(catalog, &mut places));
        sum
    }

    /// Removes the profiles of `other`. `None` if some of them were not counted here.
    pub(crate) fn minus(mut self, other: &Self) -> Option<Self> {
        self.profiles = self.profiles.checked_sub(other.profiles)?;
        self.others = self.others.checked_sub(other.others)?;
        let places = self.places();
        for property in &other.properties {
            match places.get(&property.name) {
                Some(place) if self.properties[*place].covers(property) => {
                    let counts = self.properties[*place].counts.iter_mut().zip(property.counts);
                    counts.for_each(|(count, less)| *count -= less);
                }
                Some(_) => return None,
                None => self.others = self.others.checked_sub(property.profiles())?,
            }
        }
        Some(self)
    }

    fn places(&self) -> HashMap<String, usize> {
        self.properties.iter().enumerate().map(|(place, property)| (property.name.clone(), place)).collect()
    }
}

/// Writes floats as their shortest texts, which are read back exactly.
mod exact_floats {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(pair: &Option<(f64, f64)>, serializer: S) -> Result<S::Ok, S::Error> {
        pair.map(|(one, other)| (one.to_string(), other.to_string())).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(f64, f64)>, D::Error> {
        let pair = Option::<(String, String)>::deserialize(deserializer)?;
        let number = |text: String| text.parse::<f64>().map_err(D::Error::custom);
        pair.map(|(one, other)| Ok((number(one)?, number(other)?))).transpose()
    }
}

#[cfg(test)]
mod tests;
