//! The table `_properties`, which holds the property catalog of every table, and the views with typed columns.
//!
//! Both are updated in the transaction of each load. The counts are those of the rows in the table; the bounds and the
//! column types also cover values that have since been replaced. The name of a column never changes, and its row stays
//! when a replaced table no longer has the property, so that the columns of the view stay.

mod events;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use duckdb::Connection;

use rows::Row;

use super::catalogs::{CatalogCollector, Catalogs};
use super::metadata::{CatalogChange, Loaded, Origin};
use super::tuning::Steps;
use super::typed_view::{Grouping, TypedColumn, view_query};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::limits::CATALOG_EVENTS_MAX;
use crate::load::run_record::RunRecord;
use crate::parse::{Bounds, Catalog, Kind, Property, column_type};
use crate::store::failure::statement;
use crate::store::label;
use crate::store::own_objects::{Owner, create_view, owner_of_view};
use crate::store::schema::{Target, column_names, ensure_table, find};
use crate::store::table_name::TableName;

/// `types` maps each kind of value to the number of profiles that have it; 0 means that values of this kind were
/// replaced. `name` is NULL in the row that counts the values of all properties beyond the limit. `event_name` is NULL in the
/// rows that describe the whole table; in a table of events, there are others for each event.
const BASE: &str = "
    table_name VARCHAR NOT NULL, name VARCHAR, column_name VARCHAR, column_type VARCHAR, profiles BIGINT NOT NULL,
    nulls BIGINT NOT NULL, types JSON, min_value VARCHAR, max_value VARCHAR,
    first_seen TIMESTAMP, updated_at TIMESTAMP, run_id VARCHAR";

/// The column that the table of an earlier version may lack.
const ADDED: [(&str, &str); 1] = [("event_name", "VARCHAR")];

/// The name of the column for the property with the empty name, because DuckDB has no empty identifiers.
const EMPTY_NAME: &str = "_";

/// A property as recorded.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) property: Property,
    /// The kinds of values that the property ever had in the table.
    kinds: BTreeSet<String>,
    /// `None` if no identifier can have this name.
    pub(super) column: Option<String>,
    pub(super) column_type: String,
    /// When the load that brought the property finished, in microseconds since 1970.
    first_seen: Option<i64>,
}

/// Updates the catalog and the view of a table. Must run before the load is recorded in `_metadata`.
pub(super) fn record(connection: &Connection, loaded: &Loaded, run: &RunRecord) -> Result<()> {
    ensure_table(connection, "_properties", BASE, &ADDED)?;
    let table = &loaded.table;
    let before = read(connection, table)?;
    let catalogs = match &loaded.catalog {
        CatalogChange::Whole(catalogs) => catalogs.clone(),
        CatalogChange::Rows { rows_before, added, removed } => {
            match updated(connection, run.dataset, table, &before, (*rows_before, added, removed))? {
                Some(catalogs) => catalogs,
                None => of_table(connection, run.dataset, table, loaded.steps)?,
            }
        }
        CatalogChange::Unknown => of_table(connection, run.dataset, table, loaded.steps)?,
    };
    let now = merged(before, &catalogs.all, loaded.origin, run);
    write(connection, table, &now, catalogs.all.others, run)?;
    events::write(connection, table, &catalogs.by_event, &now, run)?;
    if owner_of_view(connection, table)? == Owner::User {
        return Ok(());
    }
    create_view(connection, table, &view_query(connection, table, run.dataset, &typed(&now), Grouping::Narrow)?)
}

/// Returns the recorded catalog with the rows of a load added and removed. `None` if it is not known whether it counts
/// exactly the rows that were in the table.
fn updated(
    connection: &Connection,
    dataset: &Dataset,
    table: &TableName,
    before: &[Recorded],
    (rows_before, added, removed): (u64, &Catalogs, &Catalogs),
) -> Result<Option<Catalogs>> {
    let is_current = label::of_table(connection, table).and_then(|label| label.row_count) == Some(rows_before);
    if !is_current || before.is_empty() {
        return Ok(None);
    }
    let properties = before.iter().map(|recorded| recorded.property.clone()).collect();
    let all = Catalog { profiles: rows_before, properties, others: others(connection, table)? };
    let by_event = match dataset.is_by_day() {
        true => events::read(connection, table)?,
        false => BTreeMap::new(),
    };
    if dataset.is_by_day() && by_event.is_empty() {
        return Ok(None);
    }
    let mut catalogs = Catalogs { all, by_event };
    catalogs.add(added);
    Ok(catalogs.minus(removed).filter(|catalogs| catalogs.by_event.len() <= CATALOG_EVENTS_MAX))
}

/// Computes the catalogs of a whole table.
fn of_table(connection: &Connection, dataset: &Dataset, table: &TableName, steps: Steps) -> Result<Catalogs> {
    let mut collector = CatalogCollector::default();
    collector
        .add_matching(connection, dataset, &table.quoted(), "true", steps)
        .map_err(|error| statement(&format!("read the properties of table `{table}`"), &error))?;
    Ok(collector.finish_listed())
}

/// Reads the recorded properties of a table, in the order of their columns.
pub(super) fn read(connection: &Connection, table: &TableName) -> Result<Vec<Recorded>> {
    if !matches!(find(connection, &TableName::listed("_properties"))?, Target::Table(_)) {
        return Ok(Vec::new());
    }
    // Earlier versions did not record events.
    let has_events = column_names(connection, &TableName::listed("_properties"))?.contains("event_name");
    let of_table = if has_events { "event_name IS NULL" } else { "true" };
    let found = read_where(connection, table, of_table, "NULL")?;
    Ok(found.into_iter().map(|(_, recorded)| recorded).collect())
}

/// Reads the recorded properties that match a condition, each with the value of `event`, which is an SQL expression.
fn read_where(
    connection: &Connection,
    table: &TableName,
    condition: &str,
    event: &str,
) -> Result<Vec<(Option<String>, Recorded)>> {
    let fail = |error| statement("read the table `_properties`", &error);
    let sql = format!(
        "SELECT name, column_name, column_type, types::VARCHAR, min_value, max_value, system.main.epoch_us(first_seen),
             {event}::VARCHAR
         FROM main._properties
         WHERE system.main.lower(table_name) = system.main.lower(?) AND name IS NOT NULL AND {condition} ORDER BY rowid"
    );
    let mut query = connection.prepare(&sql).map_err(fail)?;
    let rows = query
        .query_map([table.as_str()], |row| {
            let (name, column, kind): (String, Option<String>, Option<String>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let (types, least, greatest): (Option<String>, Option<String>, Option<String>) =
                (row.get(3)?, row.get(4)?, row.get(5)?);
            let column_type = kind.unwrap_or_else(|| "VARCHAR".to_owned());
            let types: BTreeMap<String, u64> =
                types.and_then(|types| serde_json::from_str(&types).ok()).unwrap_or_default();
            let mut property = Property::new(name);
            for kind in Kind::ALL {
                property.set_count(kind, types.get(kind.name()).copied().unwrap_or(0));
            }
            if let Some((least, greatest)) = least.zip(greatest) {
                property.bounds = Bounds::read(&column_type, &least, &greatest);
            }
            let kinds = types.into_keys().collect();
            let recorded = Recorded { property, kinds, column, column_type, first_seen: row.get(6)? };
            Ok((row.get(7)?, recorded))
        })
        .map_err(fail)?;
    rows.collect::<Result<_, _>>().map_err(fail)
}

fn others(connection: &Connection, table: &TableName) -> Result<u64> {
    let sql = "SELECT coalesce(sum(profiles), 0)::UBIGINT FROM main._properties
               WHERE system.main.lower(table_name) = system.main.lower(?) AND name IS NULL AND event_name IS NULL";
    connection
        .query_row(sql, [table.as_str()], |row| row.get(0))
        .map_err(|error| statement("read the table `_properties`", &error))
}

/// Applies the current catalog to the recorded properties. Known columns keep their names and places.
fn merged(before: Vec<Recorded>, catalog: &Catalog, origin: Origin, run: &RunRecord) -> Vec<Recorded> {
    let fold = |name: &str| name.to_ascii_lowercase();
    let fixed = run.dataset.columns.iter().filter(|column| !column.is_json);
    let mut taken: BTreeSet<String> = fixed.map(|column| fold(column.name)).collect();
    taken.extend(before.iter().filter_map(|recorded| recorded.column.as_deref()).map(fold));
    let mut current: HashMap<&str, &Property> =
        catalog.properties.iter().map(|property| (property.name.as_str(), property)).collect();
    let mut merged = before;
    for recorded in &mut merged {
        match current.remove(recorded.property.name.as_str()) {
            Some(property) => recorded.update(property, origin),
            None => recorded.property = Property::new(recorded.property.name.clone()),
        }
    }
    for property in &catalog.properties {
        // Those of removed duplicates are in none of the rows.
        if property.profiles() > 0 && current.contains_key(property.name.as_str()) {
            let column = column_name(&property.name, &taken);
            taken.extend(column.as_deref().map(fold));
            let mut recorded = Recorded {
                property: property.clone(),
                kinds: BTreeSet::new(),
                column,
                column_type: String::new(),
                first_seen: Some(run.finished_at.as_microsecond()),
            };
            recorded.update(property, Origin::Made);
            merged.push(recorded);
        }
    }
    merged
}

/// Returns the columns of the typed view. A property without a column has none.
pub(super) fn typed(properties: &[Recorded]) -> Vec<TypedColumn<'_>> {
    let typed = properties.iter().filter_map(|recorded| {
        Some(TypedColumn {
            property: &recorded.property.name,
            name: recorded.column.as_deref()?,
            kind: &recorded.column_type,
            is_current: recorded.property.profiles() > 0,
        })
    });
    typed.collect()
}

impl Recorded {
    /// Takes over the current counts. If the table was made anew, values from before do not count.
    fn update(&mut self, now: &Property, origin: Origin) {
        if origin == Origin::Made {
            self.kinds.clear();
        }
        let present = Kind::ALL.into_iter().filter(|kind| now.count(*kind) > 0);
        self.kinds.extend(present.map(|kind| kind.name().to_owned()));
        self.column_type = column_type(|kind| self.kinds.contains(kind.name())).to_owned();
        self.property = now.clone();
    }

    fn types(&self) -> serde_json::Value {
        let count = |kind: Kind| (kind.name().to_owned(), serde_json::Value::from(self.property.count(kind)));
        Kind::ALL.into_iter().filter(|kind| self.kinds.contains(kind.name())).map(count).collect()
    }
}

/// Returns the name of a property's column: the property's own name, with `__2` and so on if another column has it.
/// DuckDB compares names without case.
fn column_name(name: &str, taken: &BTreeSet<String>) -> Option<String> {
    if name.contains('\0') {
        return None;
    }
    let name = if name.is_empty() { EMPTY_NAME } else { name };
    let numbered = (2..).map(|number: u32| format!("{name}__{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(&name.to_ascii_lowercase()))
}

fn write(
    connection: &Connection,
    table: &TableName,
    properties: &[Recorded],
    others: u64,
    run: &RunRecord,
) -> Result<()> {
    connection
        .execute("DELETE FROM _properties WHERE system.main.lower(table_name) = system.main.lower(?)", [table.as_str()])
        .map_err(|error| statement("record the properties in `_properties`", &error))?;
    let listed = properties.iter().map(|recorded| Row {
        name: Some(&recorded.property.name),
        column: recorded.column.as_deref(),
        column_type: Some(&recorded.column_type),
        profiles: recorded.property.profiles(),
        nulls: recorded.property.count(Kind::Null),
        types: Some(recorded.types().to_string()),
        bounds: recorded.property.bounds.to_texts(&recorded.column_type),
        first_seen: recorded.first_seen,
        event: None,
    });
    let first_seen = Some(run.finished_at.as_microsecond());
    let others = (others > 0).then(|| Row { profiles: others, first_seen, ..Row::default() });
    rows::insert(connection, table, run, listed.chain(others))
}

/// Rehearses the changes to `_properties` of a load into a table.
pub(super) fn check_file_system(connection: &Connection, table: &TableName, run: &RunRecord) -> Result<()> {
    ensure_table(connection, "_properties", BASE, &ADDED)?;
    let before = read(connection, table)?;
    write(connection, table, &before, 1, run)
}
