//! Property catalogs of rows: of all rows and, for events, of the rows with each event name.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array as _, AsArray as _};
use duckdb::Connection;

use super::tuning::Steps;
use crate::dataset::Dataset;
use crate::limits::CATALOG_EVENTS_MAX;
use crate::parse::{Catalog, Collector, EventCatalogs};

/// The catalogs of a set of rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalogs {
    pub(super) all: Catalog,
    /// By event name; empty for other datasets.
    pub(super) by_event: BTreeMap<String, Catalog>,
}

impl From<Catalog> for Catalogs {
    fn from(all: Catalog) -> Self {
        Self { all, by_event: BTreeMap::new() }
    }
}

impl Catalogs {
    /// Adds the rows of a slice. Returns `false` if it has too many event names for a catalog of each.
    #[must_use]
    pub(super) fn add_slice(&mut self, all: &Catalog, by_event: EventCatalogs) -> bool {
        self.all.add(all);
        by_event.0.into_iter().all(|(name, catalog)| {
            let Some(name) = name else { return false };
            self.add_event(name, &catalog);
            true
        })
    }

    fn add_event(&mut self, name: String, catalog: &Catalog) {
        self.by_event.entry(name).or_default().add(catalog);
    }

    /// Adds the rows of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.all.add(&other.all);
        other.by_event.iter().for_each(|(name, catalog)| self.add_event(name.clone(), catalog));
    }

    /// Removes the rows of `other`. `None` if some of them were not counted here.
    pub(super) fn minus(self, other: &Self) -> Option<Self> {
        let mut by_event = self.by_event;
        for (name, catalog) in &other.by_event {
            let before = by_event.remove(name)?;
            by_event.insert(name.clone(), before.minus(catalog)?);
        }
        Some(Self { all: self.all.minus(&other.all)?, by_event })
    }
}

/// Collects catalogs from rows.
#[derive(Debug)]
pub(super) struct CatalogCollector {
    /// Of events with too many other names, and of datasets without event names.
    others: Collector,
    by_event: HashMap<String, Collector>,
    has_others: bool,
}

impl Default for CatalogCollector {
    fn default() -> Self {
        Self { others: Collector::new(), by_event: HashMap::new(), has_others: false }
    }
}

impl CatalogCollector {
    /// Adds the rows of a table that match a condition, reading at most one step of rows at a time. The condition refers
    /// to the table as `r`.
    pub(super) fn add_matching(
        &mut self,
        connection: &Connection,
        dataset: &Dataset,
        table: &str,
        condition: &str,
        steps: Steps,
    ) -> Result<(), duckdb::Error> {
        steps.conditions(connection, table)?.into_iter().try_for_each(|step| {
            self.add_rows(connection, "r", dataset, &format!("{table} AS r WHERE ({condition}) AND {step}"))
        })
    }

    /// Adds the rows of a relation, in which they are called `name`.
    pub(super) fn add_rows(
        &mut self,
        connection: &Connection,
        name: &str,
        dataset: &Dataset,
        rows: &str,
    ) -> Result<(), duckdb::Error> {
        let event = if dataset.is_by_day() { format!("{name}.event_name") } else { "NULL::VARCHAR".to_owned() };
        each_row(connection, name, &event, rows, |event, properties| self.add(event, properties))
    }

    fn add(&mut self, event: Option<&str>, properties: &str) {
        let Some(event) = event else { return self.others.profile(properties) };
        if let Some(collector) = self.by_event.get_mut(event) {
            collector.profile(properties);
        } else if self.by_event.len() < CATALOG_EVENTS_MAX {
            self.by_event.entry(event.to_owned()).or_insert_with(Collector::new).profile(properties);
        } else {
            self.has_others = true;
            self.others.profile(properties);
        }
    }

    /// Returns the catalogs. `None` if there were too many event names.
    pub(super) fn finish(self) -> Option<Catalogs> {
        (!self.has_others).then(|| self.finish_listed())
    }

    /// Returns the catalogs; events with too many other names are only in that of all rows.
    pub(super) fn finish_listed(self) -> Catalogs {
        let mut all = self.others.finish();
        let by_event: BTreeMap<String, Catalog> =
            self.by_event.into_iter().map(|(name, collector)| (name, collector.finish())).collect();
        by_event.values().for_each(|catalog| all.add(catalog));
        Catalogs { all, by_event }
    }
}

/// Calls `each` with the event name and the properties of every row; without properties, or if they are not JSON, with an
/// empty object. The rows are called `name`.
pub(super) fn each_row(
    connection: &Connection,
    name: &str,
    event: &str,
    rows: &str,
    mut each: impl FnMut(Option<&str>, &str),
) -> Result<(), duckdb::Error> {
    // In a table that another program made, the column may be VARCHAR.
    let sql = format!(
        "SELECT CASE WHEN system.main.typeof({name}.properties) = 'JSON' OR system.main.json_valid({name}.properties::VARCHAR)
                THEN {name}.properties::VARCHAR END, {event}
         FROM {rows}"
    );
    let mut statement = connection.prepare(&sql)?;
    // The crate's own row iterator panics on an error.
    statement.stream_arrow([]).map(drop)?;
    while let Some(batch) = statement.step()? {
        let texts = |column: usize| batch.column(column).as_string_opt::<i32>();
        let Some((texts, events)) = texts(0).zip(texts(1)) else {
            return Err(duckdb::Error::InvalidColumnIndex(0));
        };
        for index in 0..texts.len() {
            let event = events.is_valid(index).then(|| events.value(index));
            each(event, if texts.is_valid(index) { texts.value(index) } else { "{}" });
        }
    }
    Ok(())
}
