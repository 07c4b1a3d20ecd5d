//! Finds what a fetch asked for and no received profile has: filters without a match, ids without a profile, and
//! properties that do not exist.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::error::Result;
use crate::load;
use crate::note::Note;
use crate::parse::{Catalog, ProfileRows, RecordForm};
use crate::profile_query::ProfileQuery;
use crate::property_rules::{ID, PropertyRules};
use crate::stage::{Manifest, Stage};
use crate::warning::Warning;

use super::core::Outcome;
use super::progress::FetchEvent;
use super::writer::read_page;

/// Properties that are columns, or that every profile has.
const COLUMNS: [&str; 4] = ["$distinct_id", "$last_seen", "distinct_id", "last_seen"];

/// What a query asks for by name and no profile received so far has.
#[derive(Debug, Clone, Default)]
pub(super) struct Unmatched {
    ids: HashSet<String>,
    properties: HashSet<String>,
}

impl Unmatched {
    /// Returns everything that a query asks for by name, and that the rules leave recognizable.
    pub(super) fn of(query: &ProfileQuery, rules: &PropertyRules) -> Self {
        let has_ids = !rules.hash.iter().any(|name| name == ID);
        let ids = query.distinct_ids.iter().filter(|_| has_ids).flatten().cloned().collect();
        // The few profiles of an update may all lack a property that others have.
        let names = query.output_properties.iter().filter(|_| query.since.is_none()).flatten();
        let is_received = |name: &&String| !COLUMNS.contains(&name.as_str()) && !rules.drop.contains(name);
        Self { ids, properties: names.filter(is_received).cloned().collect() }
    }

    /// Removes what a page of a stream has. Call it before the page is staged, which removes the catalog.
    pub(super) fn remove_page(&mut self, rows: &ProfileRows, form: RecordForm) {
        if self.ids.is_empty() && self.properties.is_empty() {
            return;
        }
        match form {
            RecordForm::Row => {
                self.remove_ids(rows);
                self.remove_properties(Some(rows.catalog()));
            }
            RecordForm::Raw => rows.iter().for_each(|row| self.remove_record(row.properties)),
        }
    }

    fn remove_ids(&mut self, rows: &ProfileRows) {
        for row in rows.iter() {
            if self.ids.is_empty() {
                return;
            }
            self.ids.remove(row.distinct_id);
        }
    }

    /// Removes the properties of a catalog. With an incomplete catalog, none can be said to be missing.
    fn remove_properties(&mut self, catalog: Option<&Catalog>) {
        match catalog.filter(|catalog| catalog.others == 0) {
            None => self.properties.clear(),
            Some(catalog) => {
                for property in catalog.properties.iter().filter(|property| property.profiles() > 0) {
                    self.properties.remove(&property.name);
                }
            }
        }
    }

    /// Removes what a record has, given as the server sent it.
    fn remove_record(&mut self, record: &str) {
        let Ok(record) = serde_json::from_str::<RawRecord<'_>>(record) else { return *self = Self::default() };
        let id = record.id.map(|id| serde_json::from_str::<String>(id.get()).unwrap_or_else(|_| id.get().to_owned()));
        if let Some(id) = id {
            self.ids.remove(&id);
        }
        for name in record.properties.iter().flat_map(HashMap::keys) {
            self.properties.remove(name);
        }
    }

    /// Returns the events for the caller of a complete fetch that received this many records.
    pub(super) fn events(mut self, query: &ProfileQuery, received: u64, rejected: u64) -> Vec<FetchEvent> {
        if received == 0 {
            return nothing_received(query).into_iter().collect();
        }
        let mut events = Vec::new();
        // The ids of rejected records are unknown.
        let ids = in_order(query.distinct_ids.as_deref(), &mut self.ids);
        if !ids.is_empty() && rejected == 0 {
            let is_filtered = query.where_.is_some() || query.cohort_id.is_some() || query.since.is_some();
            let requested = query.distinct_ids.iter().flatten().collect::<HashSet<_>>().len();
            events.push(FetchEvent::Warning(Warning::IdsNotFound { ids, requested, is_filtered }));
        }
        let names = in_order(query.output_properties.as_deref(), &mut self.properties);
        if !names.is_empty() {
            events.push(FetchEvent::Warning(Warning::PropertiesNotFound { names }));
        }
        events
    }
}

/// A record as the server sends it.
#[derive(Deserialize)]
struct RawRecord<'a> {
    #[serde(rename = "$distinct_id", borrow)]
    id: Option<&'a RawValue>,
    #[serde(rename = "$properties")]
    properties: Option<HashMap<String, IgnoredAny>>,
}

/// Returns the listed texts that are left, each once.
fn in_order(listed: Option<&[String]>, left: &mut HashSet<String>) -> Vec<String> {
    listed.unwrap_or_default().iter().filter(|text| left.remove(*text)).cloned().collect()
}

/// Returns the event for a fetch without profiles. Without filters, the project is empty.
fn nothing_received(query: &ProfileQuery) -> Option<FetchEvent> {
    if query.distinct_ids.as_ref().is_some_and(Vec::is_empty) {
        return None;
    }
    if let Some(since) = query.since.clone() {
        return Some(FetchEvent::Note(Note::NothingNew { since }));
    }
    let filters = [
        ("where expression", query.where_.is_some()),
        ("cohort", query.cohort_id.is_some()),
        ("distinct id", query.distinct_id.is_some()),
        ("distinct ids", query.distinct_ids.is_some()),
        ("group id", query.group_id.is_some()),
    ];
    let filters: Vec<_> = filters.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    (!filters.is_empty()).then_some(FetchEvent::Warning(Warning::NoProfileMatches { filters }))
}

/// Returns the events for a complete fetch into a table. An unreadable page is left for the load to report.
pub(super) fn events_of_stage(stage: &Stage, outcome: &Outcome) -> Vec<FetchEvent> {
    if !outcome.is_whole() || stage.manifest().events.is_some() {
        return Vec::new();
    }
    let Manifest { query, property_rules, .. } = stage.manifest();
    let pages: Vec<PathBuf> = outcome.staged.iter().map(|page| stage.page_path(*page)).collect();
    let found = look(Unmatched::of(query, property_rules), &pages);
    found.map(|found| found.events(query, outcome.counts.received, outcome.counts.rejected)).unwrap_or_default()
}

fn look(mut unmatched: Unmatched, pages: &[PathBuf]) -> Result<Unmatched> {
    for page in pages {
        if unmatched.ids.is_empty() {
            break;
        }
        read_page(page)?.iter().for_each(|rows| unmatched.remove_ids(rows));
    }
    if !unmatched.properties.is_empty() {
        unmatched.remove_properties(load::catalog_of_pages(pages)?.as_ref());
    }
    Ok(unmatched)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    fn texts(events: &[FetchEvent]) -> Vec<String> {
        let text = |event: &FetchEvent| match event {
            FetchEvent::Warning(warning) => warning.to_string(),
            FetchEvent::Note(note) => format!("note: {note}"),
            other => format!("{other:?}"),
        };
        events.iter().map(text).collect()
    }

    #[test]
    fn an_empty_result_names_the_filters() {
        let some = |text: &str| Some(text.to_owned());
        let plain = ProfileQuery::default();
        for (query, expected) in [
            (plain.clone(), &[][..]),
            (ProfileQuery { output_properties: list(&["a"]), ..plain.clone() }, &[]),
            (ProfileQuery { distinct_ids: list(&[]), ..plain.clone() }, &[]),
            (ProfileQuery { where_: some("w"), ..plain.clone() }, &["no profile matches the where expression"]),
            (
                ProfileQuery { distinct_ids: list(&["a", "b"]), ..plain.clone() },
                &["no profile matches the distinct ids"],
            ),
            (
                ProfileQuery { where_: some("w"), cohort_id: some("1"), group_id: some("2"), ..plain.clone() },
                &["no profile matches the where expression, the cohort and the group id"],
            ),
            (
                ProfileQuery { where_: some("w"), since: some("2026-11-01T00:00:00"), ..plain },
                &["note: no profile was seen since 2026-11-01 00:00:00 UTC"],
            ),
        ] {
            assert_eq!(
                texts(&Unmatched::of(&query, &PropertyRules::default()).events(&query, 0, 0)),
                expected,
                "{query:?}"
            );
        }
    }

    #[test]
    fn missing_ids_and_properties_are_named_once_and_in_order() {
        let query = ProfileQuery {
            distinct_ids: list(&["d", "a", "\u{1b}", "d", "1", "e", "f", "g", "h"]),
            output_properties: list(&["plan", "nosuch", "$last_seen", "$distinct_id", "other", "nosuch"]),
            ..ProfileQuery::default()
        };
        let mut unmatched = Unmatched::of(&query, &PropertyRules::default());
        unmatched.remove_record(r#"{"$distinct_id": "a", "$properties": {"plan": null}}"#);
        unmatched.remove_record(r#"{"$distinct_id": 1, "$properties": {}}"#);
        let expected = [
            "6 of 8 distinct ids match no profile: `d`, `\\u{1b}`, `e`, `f`, `g` and 1 more",
            "no received profile has the properties `nosuch` and `other`",
        ];
        assert_eq!(texts(&unmatched.clone().events(&query, 2, 0)), expected);
        assert_eq!(
            texts(&unmatched.clone().events(&query, 3, 1)),
            expected[1..],
            "a rejected record has an unknown id"
        );
        // Nothing is certain once a record cannot be read, or the catalog is incomplete.
        let mut unsure = unmatched.clone();
        unsure.remove_record("[1]");
        assert!(unsure.events(&query, 3, 0).is_empty());
        unmatched.remove_properties(Some(&Catalog { others: 1, ..Catalog::default() }));
        assert_eq!(texts(&unmatched.events(&query, 2, 0)), expected[..1]);
    }

    #[test]
    fn ids_that_another_filter_may_exclude_are_not_said_to_be_unknown() {
        let ids: Vec<String> = (0..1_500).map(|id| id.to_string()).collect();
        let some = |text: &str| Some(text.to_owned());
        let plain = ProfileQuery { distinct_ids: Some(ids), ..ProfileQuery::default() };
        for (query, expected) in [
            (plain.clone(), "1,500 of 1,500 distinct ids match no profile: "),
            (
                ProfileQuery { where_: some("w"), ..plain.clone() },
                "1,500 of 1,500 distinct ids match no profile with this filter: ",
            ),
            (ProfileQuery { cohort_id: some("1"), ..plain.clone() }, "no profile with this filter: "),
            (ProfileQuery { since: some("2026-11-01T00:00:00"), ..plain }, "no profile with this filter: "),
        ] {
            let shown = texts(&Unmatched::of(&query, &PropertyRules::default()).events(&query, 1, 0));
            assert!(shown[0].contains(expected) && shown[0].ends_with(" and 1,495 more"), "{shown:?}");
        }
    }

    #[test]
    fn properties_of_an_update_are_not_checked() {
        let since = Some("2026-11-01T00:00:00".to_owned());
        let query = ProfileQuery { output_properties: list(&["rare"]), since, ..ProfileQuery::default() };
        assert!(Unmatched::of(&query, &PropertyRules::default()).events(&query, 5, 0).is_empty());
    }
}
