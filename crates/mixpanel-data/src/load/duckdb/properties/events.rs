//! The rows of `_properties` that describe the properties of each event.

use std::collections::{BTreeMap, HashMap};

use duckdb::Connection;

use super::rows::Row;
use super::{Recorded, read_where};
use crate::error::Result;
use crate::limits::EVENT_PROPERTIES_MAX;
use crate::load::run_record::RunRecord;
use crate::parse::{Catalog, Kind, Property};
use crate::store::table_name::TableName;

/// Reads the recorded catalogs of the events of a table. The number of rows of each event is not recorded.
pub(super) fn read(connection: &Connection, table: &TableName) -> Result<BTreeMap<String, Catalog>> {
    let mut catalogs: BTreeMap<String, Catalog> = BTreeMap::new();
    for (event, recorded) in read_where(connection, table, "event_name IS NOT NULL", "event_name")? {
        let Some(event) = event else { continue };
        let new = || Catalog { profiles: u64::MAX / 4, others: u64::MAX / 4, ..Catalog::default() };
        catalogs.entry(event).or_insert_with(new).properties.push(recorded.property);
    }
    Ok(catalogs)
}

/// Records the catalogs of the events of a table. Must run after that of the whole table, which removes the old ones.
pub(super) fn write(
    connection: &Connection,
    table: &TableName,
    catalogs: &BTreeMap<String, Catalog>,
    whole: &[Recorded],
    run: &RunRecord,
) -> Result<()> {
    if catalogs.is_empty() {
        return Ok(());
    }
    let recorded: HashMap<&str, &Recorded> =
        whole.iter().map(|recorded| (recorded.property.name.as_str(), recorded)).collect();
    let current = |property: &&Property| property.profiles() > 0;
    let rows = catalogs
        .iter()
        .flat_map(|(event, catalog)| catalog.properties.iter().filter(current).map(move |property| (event, property)));
    let listed = rows.take(EVENT_PROPERTIES_MAX).map(|(event, property)| {
        let known = recorded.get(property.name.as_str());
        let column_type = property.column_type();
        Row {
            name: Some(&property.name),
            column: known.and_then(|known| known.column.as_deref()),
            column_type: Some(column_type),
            profiles: property.profiles(),
            nulls: property.count(Kind::Null),
            types: Some(types(property)),
            bounds: property.bounds.to_texts(column_type),
            first_seen: known.and_then(|known| known.first_seen),
            event: Some(event),
        }
    });
    super::rows::insert(connection, table, run, listed)
}

fn types(property: &Property) -> String {
    let count = |kind: Kind| (kind.name().to_owned(), serde_json::Value::from(property.count(kind)));
    let present = Kind::ALL.into_iter().filter(|kind| property.count(*kind) > 0);
    present.map(count).collect::<serde_json::Value>().to_string()
}
