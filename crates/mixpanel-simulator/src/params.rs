//! The parameters of a request, from the URL and the body.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::message::Request;

/// Parameters by name, with their values as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(BTreeMap<String, String>);

/// The parameters that determine what a query selects. Requests in a session must repeat them unchanged.
const FILTERS: [&str; 9] = [
    "where",
    "output_properties",
    "distinct_id",
    "distinct_ids",
    "data_group_id",
    "filter_by_cohort",
    "include_all_users",
    "behaviors",
    "as_of_timestamp",
];

impl Params {
    /// Reads the query string and the body, which is parsed as JSON or else as a form. The body overrides the URL.
    /// JSON other than an object is ignored (`docs/mixpanel-api.md#engage-request`), and so is a body that is not
    /// UTF-8. A JSON null counts as missing (assumption).
    pub(crate) fn read(request: &Request) -> Self {
        let mut params: BTreeMap<String, String> =
            form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        if let Ok(body) = std::str::from_utf8(&request.body) {
            match serde_json::from_str(body) {
                Ok(Value::Object(members)) => {
                    params.extend(members.into_iter().filter_map(|(name, value)| Some((name, as_text(value)?))));
                }
                Ok(_) => {}
                Err(_) => params.extend(form_urlencoded::parse(body.as_bytes()).into_owned()),
            }
        }
        Self(params)
    }

    /// Returns a parameter; an empty value counts as missing.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the requested page number, 0 by default.
    pub(crate) fn page(&self) -> Result<u64, String> {
        let Some(text) = self.get("page") else { return Ok(0) };
        text.parse().map_err(|_| format!("page: expected a whole number from 0, got {text:?}"))
    }

    pub(crate) fn page_size(&self) -> Result<Option<u32>, String> {
        let Some(text) = self.get("page_size") else { return Ok(None) };
        match text.parse() {
            Ok(size) if size > 0 => Ok(Some(size)),
            _ => Err(format!("page_size: expected a whole number from 1, got {text:?}")),
        }
    }

    /// Returns a key that identifies the query, for comparison with the query of a session.
    pub(crate) fn filter_key(&self) -> String {
        let given: Vec<_> = FILTERS.iter().map(|name| self.get(name)).collect();
        format!("{given:?}")
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
