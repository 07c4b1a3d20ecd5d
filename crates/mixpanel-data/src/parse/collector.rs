//! Collects the property catalog of the profiles that pass by.

use std::collections::HashMap;

use super::catalog::{Catalog, Property};
use super::object::{Cursor, text_end};
use super::role::Role;
use crate::limits::{PROPERTY_NAME_BYTES_MAX, PROPERTY_NAMES_MAX};

/// The properties that followed another one lately, likeliest first. Profiles mostly have their properties in one
/// order, so that nearly every key is found without hashing it.
type Successors = [u32; 2];

/// The maximum number of properties without a value: of rejected records, or of one that is not accepted yet.
const UNUSED_MAX: usize = PROPERTY_NAMES_MAX;

/// Collects a [`Catalog`], one profile at a time.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    profiles: u64,
    entries: Vec<Entry>,
    /// The number of entries with a value.
    used: u32,
    /// The places of the entries, by their keys as received. Two keys with different escapes can have one entry.
    places: HashMap<Box<str>, u32>,
    /// The places of the entries, by their names.
    names: HashMap<String, u32>,
    /// The property before the next one, and those that may follow.
    before: Option<u32>,
    first: Successors,
    others: u64,
    is_full: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The key as received, with its quotes.
    key: Box<str>,
    property: Property,
    role: Role,
    /// The position among the entries with a value, by their first one.
    rank: Option<u32>,
    /// The number of the last profile with this property.
    last_profile: u64,
    next: Successors,
}

impl Entry {
    #[inline]
    fn count(&mut self, profile: u64, value: &[u8]) {
        if self.last_profile != profile {
            self.last_profile = profile;
            self.property.observe(value);
        }
    }
}

/// A key that was read.
pub(super) struct Key {
    /// The place of its property; `None` if it has none yet.
    pub(super) place: Option<u32>,
    pub(super) role: Role,
}

impl Collector {
    pub(crate) fn new() -> Self {
        Self {
            profiles: 0,
            entries: Vec::new(),
            used: 0,
            places: HashMap::new(),
            names: HashMap::new(),
            before: None,
            first: [0; 2],
            others: 0,
            is_full: false,
        }
    }

    /// Begins the next profile.
    pub(crate) fn begin(&mut self) {
        self.profiles += 1;
    }

    /// Prepares for the keys of the next object.
    pub(super) fn begin_keys(&mut self) {
        self.before = None;
    }

    /// Reads the key at the cursor. Nothing is counted, because the record may still be rejected.
    pub(super) fn key(&mut self, cursor: &mut Cursor<'_>) -> Key {
        let [likely, other] = *self.successors();
        let mut is_at = |place: u32| self.entries.get(place as usize).is_some_and(|entry| cursor.skip_key(&entry.key));
        let place = if is_at(likely) {
            likely
        } else {
            let found = if is_at(other) {
                other
            } else {
                let key = cursor.key();
                match self.look_up(key, self.used as usize + UNUSED_MAX) {
                    Some(found) => found,
                    None => return Key { place: None, role: Role::of_key(key) },
                }
            };
            *self.successors() = [found, likely];
            found
        };
        self.before = Some(place);
        Key { place: Some(place), role: self.entries[place as usize].role }
    }

    /// Counts a value of the current profile; `key` returns its key as received, in case it has no place yet. Of a
    /// repeated key, only the first value counts, which is also the one that DuckDB finds.
    #[inline]
    pub(super) fn count<'a>(&mut self, place: Option<u32>, key: impl FnOnce() -> &'a str, value: &[u8]) {
        match place.and_then(|place| self.entries.get_mut(place as usize)).filter(|entry| entry.rank.is_some()) {
            Some(entry) => entry.count(self.profiles, value),
            None => self.count_first(place, key(), value),
        }
    }

    /// Counts the first value of a property, unless there are too many.
    #[cold]
    fn count_first(&mut self, place: Option<u32>, key: &str, value: &[u8]) {
        let place = place.or_else(|| self.look_up(key, PROPERTY_NAMES_MAX + UNUSED_MAX));
        let is_full = self.used as usize == PROPERTY_NAMES_MAX;
        match place.and_then(|place| self.entries.get_mut(place as usize)) {
            Some(entry) if entry.rank.is_some() || !is_full => {
                if entry.rank.is_none() {
                    entry.rank = Some(self.used);
                    self.used += 1;
                }
                entry.count(self.profiles, value);
            }
            _ => self.others += 1,
        }
    }

    /// Counts a profile, given as the text of its properties.
    pub(crate) fn profile(&mut self, properties: &str) {
        self.begin();
        self.begin_keys();
        let properties = properties.trim_start();
        if !properties.starts_with('{') {
            return;
        }
        let mut cursor = Cursor::enter(properties, 0);
        while cursor.seek_key() {
            let start = cursor.position();
            let Key { place, .. } = self.key(&mut cursor);
            let key = || properties.get(start..text_end(properties.as_bytes(), start)).unwrap_or_default();
            self.count(place, key, cursor.value().as_bytes());
        }
    }

    /// Returns the number of names, including those without a value.
    pub(super) fn names(&self) -> usize {
        self.entries.len()
    }

    /// Adds no more names; the values of others are only counted.
    pub(super) fn close(&mut self) {
        self.is_full = true;
    }

    /// Returns the catalog.
    pub(crate) fn finish(self) -> Catalog {
        let mut entries: Vec<Entry> = self.entries.into_iter().filter(|entry| entry.rank.is_some()).collect();
        entries.sort_by_key(|entry| entry.rank);
        let properties = entries.into_iter().map(|entry| entry.property).collect();
        Catalog { profiles: self.profiles, properties, others: self.others }
    }

    fn successors(&mut self) -> &mut Successors {
        match self.before {
            Some(before) => &mut self.entries[before as usize].next,
            None => &mut self.first,
        }
    }

    /// Finds a key, or adds it. `None` if it is too long or there are `entries_max` names.
    fn look_up(&mut self, key: &str, entries_max: usize) -> Option<u32> {
        if let Some(place) = self.places.get(key) {
            return Some(*place);
        }
        let name = decoded(key);
        if name.len() > PROPERTY_NAME_BYTES_MAX {
            return None;
        }
        let place = match self.names.get(&name) {
            Some(place) => *place,
            None if self.is_full || self.entries.len() >= entries_max => return None,
            None => {
                let place = u32::try_from(self.entries.len()).ok()?;
                self.entries.push(Entry {
                    key: key.into(),
                    role: Role::of(&name),
                    property: Property::new(name.clone()),
                    rank: None,
                    last_profile: 0,
                    next: [0; 2],
                });
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
