//! Received data that the table has no column for.

use std::collections::BTreeSet;

use crate::limits::UNSTORED_NAMES_MAX;
use crate::text::{counted, excerpt};

/// The characters of a name that are shown.
const NAME_CHARS_SHOWN: usize = 64;

/// Received data that is not stored but reported: everything except the ids and properties of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unstored {
    names: Vec<String>,
    records: u64,
    trailing_bytes: u64,
    /// The names of properties that were dropped or hashed.
    matched: BTreeSet<String>,
    /// Whether the records are events.
    is_of_events: bool,
}

impl Unstored {
    /// Creates it for records that are events.
    pub(super) fn of_events() -> Self {
        Self { is_of_events: true, ..Self::default() }
    }

    /// Returns the names of the members that are not stored, in the order seen. If there are many, returns only the first
    /// few.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the number of records with such members.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Returns the number of bytes received after the ends of pages.
    #[must_use]
    pub fn trailing_bytes(&self) -> u64 {
        self.trailing_bytes
    }

    /// Adds the data of another page.
    pub(crate) fn add(&mut self, other: &Self) {
        other.names.iter().for_each(|name| self.note_name(name));
        self.is_of_events |= other.is_of_events;
        self.records += other.records;
        self.trailing_bytes += other.trailing_bytes;
        self.matched.extend(other.matched.iter().cloned());
    }

    /// Returns whether a property of this name was dropped or hashed.
    pub(crate) fn has_matched(&self, name: &str) -> bool {
        self.matched.contains(name)
    }

    /// Notes that a property of this name was dropped or hashed.
    pub(super) fn note_matched(&mut self, name: &str) {
        self.matched.insert(name.to_owned());
    }

    /// Returns one warning for each kind of data that was not stored.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some((first, others)) = self.names.split_first() {
            let names = others.iter().fold(format!("`{first}`"), |names, name| format!("{names}, `{name}`"));
            let more = if self.names.len() < UNSTORED_NAMES_MAX { "" } else { " and possibly others" };
            let records = counted(self.records, "record");
            let verb = if self.records == 1 { "has" } else { "have" };
            let known = if self.is_of_events { "`event` and `properties`" } else { "`$distinct_id` and `$properties`" };
            warnings.push(format!(
                "{records} {verb} members other than {known}, which are not stored: \
                 {names}{more}; `--stdout --raw` prints records unchanged"
            ));
        }
        if self.trailing_bytes > 0 {
            let bytes = counted(self.trailing_bytes, "byte");
            warnings.push(format!("the server sent {bytes} after the end of a page; they were ignored"));
        }
        warnings
    }

    /// Counts a record that has members with these names, given as raw JSON keys with their quotes.
    pub(super) fn note_record(&mut self, names: &[&str]) {
        self.records += 1;
        for raw in names {
            let name = serde_json::from_str(raw).unwrap_or_else(|_| (*raw).to_owned());
            self.note_name(&excerpt(&name, NAME_CHARS_SHOWN));
        }
    }

    pub(super) fn note_trailing(&mut self, bytes: usize) {
        self.trailing_bytes += bytes as u64;
    }

    fn note_name(&mut self, name: &str) {
        if self.names.len() < UNSTORED_NAMES_MAX && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}
