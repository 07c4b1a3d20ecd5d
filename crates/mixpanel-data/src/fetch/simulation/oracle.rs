//! Computes the expected result of a fetch without the code under test, using a second simulator without faults and a
//! generic JSON parser.

use std::collections::BTreeMap;
use std::time::Duration;

use mixpanel_simulator::{PastEnd, Request, SessionIdMode, Simulator, SimulatorConfig, TotalMode};
use serde_json::Value;

/// A row as the oracle sees it: the properties as a JSON tree, and the parsed `$last_seen` if it has the usual format.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) properties: Value,
    pub(super) last_seen: Option<i64>,
}

/// Rows by id.
pub(super) type Rows = BTreeMap<String, Row>;

/// All records of the project, in the order in which every session returns them.
pub(super) struct Oracle {
    records: Vec<Option<(String, Row)>>,
    page_size: usize,
}

impl Oracle {
    pub(super) fn new(config: &SimulatorConfig) -> Self {
        let mut calm = SimulatorConfig {
            faults: Vec::new(),
            quota: None,
            concurrency: None,
            total: TotalMode::EveryPage,
            session_id: SessionIdMode::EveryPage,
            past_end: PastEnd::Empty,
            session_max_age: None,
            session_max_requests: None,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            ..config.clone()
        };
        calm.page_size = 40_000;
        let mut simulator = Simulator::new(calm);
        let reply = simulator.handle(&request("page=0", config), Duration::ZERO);
        let envelope: BTreeMap<String, Box<serde_json::value::RawValue>> = serde_json::from_slice(&reply.body).unwrap();
        let results: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(envelope["results"].get()).unwrap();
        let records = results.iter().map(|record| read(record.get())).collect();
        Self { records, page_size: config.page_size as usize }
    }

    /// Returns the number of rejected records on these pages.
    pub(super) fn rejected(&self, pages: impl Iterator<Item = u32>) -> u64 {
        self.of_pages(pages).filter(|record| record.is_none()).count() as u64
    }

    pub(super) fn received(&self, pages: impl Iterator<Item = u32>) -> u64 {
        self.of_pages(pages).count() as u64
    }

    /// Returns the rows of these pages. If several have the same id, the one seen last wins, or the first in a tie.
    pub(super) fn rows(&self, pages: impl Iterator<Item = u32>) -> Rows {
        let mut rows = Rows::new();
        for (id, row) in self.of_pages(pages).flatten() {
            match rows.get_mut(id) {
                Some(before) if before.last_seen >= row.last_seen => {}
                Some(before) => *before = row.clone(),
                None => drop(rows.insert(id.clone(), row.clone())),
            }
        }
        rows
    }

    /// Returns the number of pages with at least one record; at least 1, because page 0 always exists.
    pub(super) fn pages(&self) -> u32 {
        u32::try_from(self.records.len().div_ceil(self.page_size)).unwrap().max(1)
    }

    fn of_pages(&self, pages: impl Iterator<Item = u32>) -> impl Iterator<Item = &Option<(String, Row)>> {
        pages.flat_map(|page| self.records.chunks(self.page_size).nth(page as usize).into_iter().flatten())
    }
}

/// Builds a request with the project's credentials.
pub(super) fn request(form: &str, config: &SimulatorConfig) -> Request {
    use base64::Engine as _;
    let pair = format!("{}:{}", config.username, config.secret);
    Request {
        method: http::Method::POST,
        path: "/api/query/engage".to_owned(),
        query: format!("project_id={}", config.project_id),
        authorization: Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        body: form.to_owned().into(),
        ..Request::default()
    }
}

fn read(record: &str) -> Option<(String, Row)> {
    let value: Value = serde_json::from_str(record).ok()?;
    let fields = value.as_object()?;
    let id = match fields.get("$distinct_id")? {
        Value::String(id) => id.clone(),
        // Taken from the text, because the tree cannot represent a 20-digit number.
        Value::Number(_) => {
            let from = record.find("\"$distinct_id\":")? + "\"$distinct_id\":".len();
            record[from..].trim_start().chars().take_while(|c| !matches!(c, ',' | '}' | ' ')).collect()
        }
        _ => return None,
    };
    let mut properties = match fields.get("$properties") {
        None | Some(Value::Null) => serde_json::Map::new(),
        Some(Value::Object(properties)) => properties.clone(),
        Some(_) => return None,
    };
    let last_seen = properties.get("$last_seen").and_then(Value::as_str).and_then(moment);
    // A time in the usual format carries no information beyond the parsed value, so the property can be removed.
    if last_seen.is_some() && properties["$last_seen"].as_str().is_some_and(|text| text.len() == 19) {
        properties.remove("$last_seen");
    }
    Some((id, Row { properties: Value::Object(properties), last_seen }))
}

/// Parses the usual format only; scenarios contain no other valid time.
fn moment(text: &str) -> Option<i64> {
    let moment: jiff::civil::DateTime = text.parse().ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(moment).ok()?.as_microsecond())
}
