//! Drops and hashes the properties of a record, before anything else reads it.
//!
//! Rows, rejects, names and counts are all taken from the rewritten text, so that none of them has a value that must
//! not be stored. Apart from the properties with a rule, the text stays the same byte for byte.

use std::sync::Arc;

use super::object::{Cursor, is_blank, is_key, value_end};
use super::surrogates::HALF_A_PAIR;
use super::unstored::Unstored;
use crate::hash_key::ValueHasher;
use crate::limits::{HASHED_PAGE_BYTES_MAX, HASHED_RECORD_BYTES_MAX};
use crate::property_rules::{ActiveRules, Treatment};

/// The form of the records of a dataset.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordShape {
    /// What a record is, for messages.
    what: &'static str,
    /// The member that holds the properties.
    properties: &'static str,
    /// The member or property that holds the id.
    id: &'static str,
    id_level: Level,
    /// The members of a record that are not properties, so that no rule applies to them.
    kept: &'static [&'static str],
}

pub(super) const PROFILE: RecordShape = RecordShape {
    what: "a profile",
    properties: super::PROPERTIES,
    id: super::DISTINCT_ID,
    id_level: Level::Record,
    kept: &[],
};

pub(super) const EVENT: RecordShape = RecordShape {
    what: "an event",
    properties: "properties",
    id: "distinct_id",
    id_level: Level::Properties,
    kept: &["event", "error"],
};

/// Applies rules to the records of one response.
pub(super) struct Rewriter {
    shape: RecordShape,
    rules: Arc<ActiveRules>,
    hasher: Option<ValueHasher>,
    /// Which of the rules' properties occurred.
    matched: Vec<bool>,
    text: String,
    /// The number of bytes that the other records of the page may take.
    room: usize,
}

/// The object that a member belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Record,
    Properties,
}

/// What happens to a member.
enum Action {
    Keep,
    Drop,
    Hash,
    /// Hash it if it is a valid id.
    HashId,
    /// Apply the rules to its members.
    Enter,
}

impl Rewriter {
    pub(super) fn new(shape: RecordShape, rules: &Arc<ActiveRules>) -> Self {
        Self {
            shape,
            hasher: rules.hasher(),
            matched: vec![false; rules.names().count()],
            rules: Arc::clone(rules),
            text: String::new(),
            room: HASHED_PAGE_BYTES_MAX,
        }
    }

    /// Forgets how much space earlier records took, because they are no longer in memory.
    pub(super) fn begin(&mut self) {
        self.room = HASHED_PAGE_BYTES_MAX;
    }

    /// Applies the rules to a record, which must be valid JSON.
    ///
    /// # Errors
    /// Why the rules cannot be applied. Nothing of the record may then be stored.
    pub(super) fn rewrite(&mut self, raw: &str) -> Result<&str, String> {
        if !raw.starts_with('{') {
            return Err(format!("not {}: not an object", self.shape.what));
        }
        self.text.clear();
        self.object(raw, 0, Level::Record)?;
        match self.room.checked_sub(self.text.len()) {
            Some(room) => self.room = room,
            None => {
                return Err(format!(
                    "with hashed values, the page is larger than {}",
                    mebibytes(HASHED_PAGE_BYTES_MAX)
                ));
            }
        }
        Ok(&self.text)
    }

    /// Notes which of the rules' properties occurred.
    pub(super) fn note_matched(&self, unstored: &mut Unstored) {
        let matched = self.rules.names().zip(&self.matched).filter(|(_, matched)| **matched);
        matched.for_each(|(name, _)| unstored.note_matched(name));
    }

    /// Copies the object at `start` and applies the rules to its members. Returns the position after it.
    fn object(&mut self, raw: &str, start: usize, level: Level) -> Result<usize, String> {
        let mut cursor = Cursor::enter(raw, start);
        // The text before the first member, including the brace.
        let mut lead = None;
        let mut has_kept = false;
        let mut end = start;
        while cursor.seek_key() {
            let key_start = cursor.position();
            let separator = &raw[end..key_start];
            let lead = *lead.get_or_insert(separator);
            let action = self.action(cursor.key(), level);
            let value_start = cursor.position();
            if let Action::Drop = action {
                cursor.skip_value();
                end = cursor.position();
                continue;
            }
            self.text.push_str(if has_kept { separator } else { lead });
            self.text.push_str(&raw[key_start..value_start]);
            has_kept = true;
            match action {
                Action::Enter if cursor.is_at_object() => {
                    let end = self.object(raw, value_start, Level::Properties)?;
                    cursor.value_until(end);
                }
                action => self.value(cursor.value(), &action)?,
            }
            end = cursor.position();
        }
        let close = cursor.position();
        match (lead, has_kept) {
            (None, _) => self.text.push_str(&raw[start..close]),
            (Some(_), true) => self.text.push_str(&raw[end..close]),
            (Some(_), false) => self.text.push_str("{}"),
        }
        Ok(close)
    }

    /// Returns what happens to the member with this key, and notes that its property occurred.
    fn action(&mut self, key: &str, level: Level) -> Action {
        if level == Level::Record && is_key(key, self.shape.properties) {
            return Action::Enter;
        }
        if level == Level::Record && self.shape.kept.iter().any(|kept| is_key(key, kept)) {
            return Action::Keep;
        }
        let inner = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
        let rule = match inner.contains('\\') {
            false => self.rules.of(inner),
            // A key that is not Unicode is not the name of any rule.
            true => serde_json::from_str::<String>(key).ok().and_then(|name| self.rules.of(&name)),
        };
        let Some((position, treatment)) = rule else { return Action::Keep };
        self.matched[position] = true;
        match treatment {
            Treatment::Drop => Action::Drop,
            Treatment::Hash if level == self.shape.id_level && is_key(key, self.shape.id) => Action::HashId,
            Treatment::Hash => Action::Hash,
        }
    }

    /// Appends a value.
    fn value(&mut self, value: &str, action: &Action) -> Result<(), String> {
        let first = value.as_bytes().first();
        match (action, first) {
            (Action::Hash, Some(b'[')) => self.elements(value),
            (Action::Hash, _) | (Action::HashId, Some(b'"' | b'-' | b'0'..=b'9' | b'n')) => self.hash(value),
            (Action::HashId, _) => Err(format!("`{}` is neither text nor a number", self.shape.id)),
            // Anything else has no names that the rules could apply to.
            (Action::Enter, _) if value != "null" => Err(format!("`{}` is not an object", self.shape.properties)),
            _ => {
                self.text.push_str(value);
                Ok(())
            }
        }
    }

    /// Appends an array with each element hashed, also in arrays within it.
    fn elements(&mut self, array: &str) -> Result<(), String> {
        let bytes = array.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if is_blank(*byte) || matches!(byte, b'[' | b']' | b',') {
                self.text.push(char::from(*byte));
                at += 1;
            } else {
                let end = value_end(bytes, at).max(at + 1);
                self.hash(array.get(at..end).unwrap_or_default())?;
                at = end;
            }
        }
        Ok(())
    }

    /// Appends the hash of a value: of the characters of a string, and of the JSON text of anything else. `null` stays.
    fn hash(&mut self, value: &str) -> Result<(), String> {
        if value == "null" {
            self.text.push_str(value);
            return Ok(());
        }
        let decoded: String;
        let text = match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) if !inner.contains('\\') => inner,
            Some(_) => {
                decoded = serde_json::from_str(value).map_err(|_| HALF_A_PAIR.to_owned())?;
                &decoded
            }
            None => value,
        };
        let hasher = self.hasher.as_ref().ok_or("there is no key to hash with")?;
        self.text.push('"');
        hasher.push_hash(text, &mut self.text);
        self.text.push('"');
        if self.text.len() > HASHED_RECORD_BYTES_MAX {
            return Err(format!(
                "with hashed values, the record is larger than {}",
                mebibytes(HASHED_RECORD_BYTES_MAX)
            ));
        }
        Ok(())
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests;
