//! Collects the property catalog of the profiles that pass by.

use std::collections::HashMap;

use super::catalog::{Catalog, Property};
use super::object::Cursor;
use crate::limits::{PROPERTY_NAME_BYTES_MAX, PROPERTY_NAMES_MAX};

/// The properties that followed another one lately, likeliest first. Profiles mostly have their properties in one
/// order, so that nearly every key is found without hashing it.
type Successors = [u32; 2];

/// Collects a [`Catalog`], one profile at a time.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    profiles: u64,
    entries: Vec<Entry>,
    /// The places of the entries, by their keys as received. Two keys with different escapes can have one entry.
    places: HashMap<Box<str>, u32>,
    /// The places of the entries, by their names.
    names: HashMap<String, u32>,
    /// The property before the next one, and those that may follow.
    before: Option<u32>,
    first: Successors,
    others: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The key as received, with its quotes.
    key: Box<str>,
    property: Property,
    /// The number of the last profile with this property.
    last_profile: u64,
    next: Successors,
}

impl Collector {
    pub(crate) fn new() -> Self {
        Self {
            profiles: 0,
            entries: Vec::new(),
            places: HashMap::new(),
            names: HashMap::new(),
            before: None,
            first: [0; 2],
            others: 0,
        }
    }

    /// Begins the next profile.
    pub(crate) fn begin(&mut self) {
        self.profiles += 1;
        self.before = None;
    }

    /// Counts a member of the current profile, given as received: the key with its quotes, and the value. Of a repeated
    /// key, only the first value counts, which is also the one that DuckDB finds.
    pub(crate) fn member(&mut self, key: &str, value: &str) {
        let Some(place) = self.find(key) else {
            self.others += 1;
            return;
        };
        self.before = Some(place);
        let entry = &mut self.entries[place as usize];
        if entry.last_profile != self.profiles {
            entry.last_profile = self.profiles;
            entry.property.observe(value);
        }
    }

    /// Counts a profile, given as the text of its properties.
    pub(crate) fn profile(&mut self, properties: &str) {
        self.begin();
        for_each_member(properties, |key, value| self.member(key, value));
    }

    /// Returns the catalog.
    pub(crate) fn finish(self) -> Catalog {
        let properties = self.entries.into_iter().map(|entry| entry.property).collect();
        Catalog { profiles: self.profiles, properties, others: self.others }
    }

    fn find(&mut self, key: &str) -> Option<u32> {
        let [likely, other] = *self.successors();
        let is_at = |place: u32| self.entries.get(place as usize).is_some_and(|entry| &*entry.key == key);
        if is_at(likely) {
            return Some(likely);
        }
        let found = if is_at(other) { Some(other) } else { self.look_up(key) }?;
        *self.successors() = [found, likely];
        Some(found)
    }

    fn successors(&mut self) -> &mut Successors {
        match self.before {
            Some(before) => &mut self.entries[before as usize].next,
            None => &mut self.first,
        }
    }

    /// Finds a key, or adds it. `None` if it is too long or there are too many names.
    fn look_up(&mut self, key: &str) -> Option<u32> {
        if let Some(place) = self.places.get(key) {
            return Some(*place);
        }
        let name = decoded(key);
        if name.len() > PROPERTY_NAME_BYTES_MAX {
            return None;
        }
        let place = match self.names.get(&name) {
            Some(place) => *place,
            None if self.entries.len() == PROPERTY_NAMES_MAX => return None,
            None => {
                let place = u32::try_from(self.entries.len()).ok()?;
                let property = Property::new(name.clone());
                self.entries.push(Entry { key: key.into(), property, last_profile: 0, next: [0; 2] });
                self.names.insert(name, place);
                place
            }
        };
        self.places.insert(key.into(), place);
        Some(place)
    }
}

/// Calls `each` with the key, including its quotes, and the value of every member of an object. Other JSON has none.
pub(crate) fn for_each_member(object: &str, mut each: impl FnMut(&str, &str)) {
    let object = object.trim_start();
    if !object.starts_with('{') {
        return;
    }
    let mut cursor = Cursor::enter(object, 0);
    while let Some(key) = cursor.next_key() {
        let value = cursor.value();
        each(key, value);
    }
}

/// Returns the text of a JSON string, or the string itself if it is not Unicode.
pub(crate) fn decoded(string: &str) -> String {
    let inner = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    serde_json::from_str(string).unwrap_or_else(|_| inner.to_owned())
}
