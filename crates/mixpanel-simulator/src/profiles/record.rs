//! Reads parts of a record's JSON text and passes them on byte for byte.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::write::{push, push_json_text};

/// The two parts of a record, as raw JSON.
#[derive(Debug, Default)]
pub(crate) struct RecordView<'a> {
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) properties: Option<&'a RawValue>,
}

impl<'a> RecordView<'a> {
    /// Parses a record. A record that is not an object has neither part.
    pub(crate) fn read(record: &'a [u8]) -> Self {
        let mut view = Self::default();
        let Ok(text) = std::str::from_utf8(record) else { return view };
        let names = ["$distinct_id", "$properties"];
        visit_members(text, &names, |name, value| match name {
            0 => view.id = Some(value),
            _ => view.properties = Some(value),
        });
        view
    }
}

/// Returns a `$distinct_id` as text: a string's content, or a number's digits.
pub(crate) fn id_text(id: Option<&RawValue>) -> Option<String> {
    match serde_json::from_str(id?.get()).ok()? {
        Value::String(text) => Some(text),
        Value::Number(_) => id.map(|raw| raw.get().to_owned()),
        _ => None,
    }
}

/// Returns the named properties, each `None` if it is missing or invalid. If a name occurs several times, the last
/// value wins.
pub(crate) fn pick_properties(properties: Option<&RawValue>, names: &[&str]) -> Vec<Option<Value>> {
    let mut picked = vec![None; names.len()];
    if let Some(properties) = properties {
        visit_members(properties.get(), names, |name, value| picked[name] = serde_json::from_str(value.get()).ok());
    }
    picked
}

/// Writes a record with only the named properties.
pub(crate) fn push_projection(out: &mut Vec<u8>, record: &[u8], names: &[&str]) {
    let view = RecordView::read(record);
    let Some(properties) = view.properties else {
        out.extend_from_slice(record);
        return;
    };
    out.push(b'{');
    if let Some(id) = view.id {
        push(out, "\"$distinct_id\":");
        push(out, id.get());
        out.push(b',');
    }
    push(out, "\"$properties\":");
    if properties.get().starts_with('{') {
        out.push(b'{');
        let mut first = true;
        visit_members(properties.get(), names, |name, value| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            push_json_text(out, names[name]);
            out.push(b':');
            push(out, value.get());
        });
        out.push(b'}');
    } else {
        push(out, properties.get());
    }
    out.push(b'}');
}

/// Calls `found` for each member of the JSON object in `text` whose key is in `names`. Stops at the first syntax error.
fn visit_members<'a>(text: &'a str, names: &[&str], found: impl FnMut(usize, &'a RawValue)) {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // An error only means that there are no more members.
    let _not_an_object = deserializer.deserialize_map(Members { names, found });
}

struct Members<'n, F> {
    names: &'n [&'n str],
    found: F,
}

impl<'de, F: FnMut(usize, &'de RawValue)> Visitor<'de> for Members<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(KeyAmong(self.names))? {
            let value = map.next_value::<&'de RawValue>()?;
            if let Some(name) = name {
                (self.found)(name, value);
            }
        }
        Ok(())
    }
}

/// Looks up a key in a list of names without allocating.
struct KeyAmong<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for KeyAmong<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyAmong<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}
