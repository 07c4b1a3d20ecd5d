//! Examines the properties of any table, also of one that another program made.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::canonical::canonical;
use super::catalogs::each_row;
use super::properties::{self, Recorded};
use super::value_counts::ValueCounts;
use crate::error::{Error, Result};
use crate::parse::{Catalog, Collector, Kind, decoded, for_each_member};
use crate::properties::PropertyInfo;
use crate::store::access::Access;
use crate::store::catalog::existing;
use crate::store::database::Database;
use crate::store::failure::statement;
use crate::store::own_objects::{Owner, owner_of_view};
use crate::store::schema::column_names;

/// Returns the properties of a table or view, the most frequent first.
///
/// # Errors
/// `TableNotFound`; `InvalidInput` without a column `properties`; `DatabaseNotFound`, `DatabaseLocked`,
/// `DatabaseUnusable`, `Storage`.
pub(crate) fn examine(path: &Path, table: &str) -> Result<Vec<PropertyInfo>> {
    let database = Database::open(path, Access::ReadOnly)?;
    let connection = database.connection();
    let table = existing(connection, table)?;
    if !column_names(connection, &table)?.contains("properties") {
        let message = format!("`{table}` has no column `properties`");
        return Err(Error::invalid(message).with_detail("table_name", table.as_str()));
    }
    let mut values = Values::default();
    let mut collector = Collector::new();
    each_row(connection, "r", "NULL::VARCHAR", &format!("{} AS r", table.quoted()), |_, properties| {
        collector.profile(properties);
        values.add(properties);
    })
    .map_err(|error| statement(&format!("read the properties of `{table}`"), &error))?;
    let recorded = properties::read(connection, &table)?;
    let has_view = owner_of_view(connection, &table)? == Owner::Mp;
    Ok(described(&collector.finish(), values, &recorded, has_view))
}

/// The values of all properties.
#[derive(Default)]
struct Values {
    profile: u64,
    /// By name, with the number of the last profile that has the property.
    by_name: HashMap<String, (u64, ValueCounts)>,
}

impl Values {
    fn add(&mut self, properties: &str) {
        self.profile += 1;
        for_each_member(properties, |key, value| {
            let name = match key.get(1..key.len() - 1) {
                Some(name) if !name.contains('\\') => Cow::Borrowed(name),
                _ => Cow::Owned(decoded(key)),
            };
            if !self.by_name.contains_key(&*name) {
                self.by_name.insert(name.clone().into_owned(), (0, ValueCounts::default()));
            }
            let Some((last_profile, counts)) = self.by_name.get_mut(&*name) else { return };
            if *last_profile != self.profile {
                *last_profile = self.profile;
                if value != "null" {
                    counts.add(&canonical(value));
                }
            }
        });
    }
}

fn described(catalog: &Catalog, values: Values, recorded: &[Recorded], has_view: bool) -> Vec<PropertyInfo> {
    let recorded: HashMap<&str, &Recorded> =
        recorded.iter().map(|recorded| (recorded.property.name.as_str(), recorded)).collect();
    let mut values = values.by_name;
    let mut described: Vec<PropertyInfo> = Vec::new();
    for property in &catalog.properties {
        let known = recorded.get(property.name.as_str());
        let own_type = property.column_type();
        let column_type = known.map_or(own_type, |known| known.column_type.as_str());
        let counts = values.remove(&property.name).map(|(_, counts)| counts).unwrap_or_default();
        let (profiles, nulls) = (property.profiles(), property.count(Kind::Null));
        let (min, max) = property.bounds.to_texts(own_type).unzip();
        let kinds =
            Kind::ALL.into_iter().map(|kind| (kind.name(), property.count(kind))).filter(|(_, count)| *count > 0);
        described.push(PropertyInfo {
            name: property.name.clone(),
            column_type: column_type.to_owned(),
            column: known.filter(|_| has_view).and_then(|known| known.column.clone()),
            fill_percent: percent(profiles - nulls, catalog.profiles),
            profiles,
            nulls,
            kinds: kinds.collect(),
            // Beyond 1,000, the number is an estimate.
            distinct: counts.distinct().min(profiles - nulls),
            min,
            max,
            top: counts.top(),
            example: counts.into_example(),
        });
    }
    // Stable: properties with the same number of values stay in the order in which the profiles have them.
    described.sort_by_key(|property| std::cmp::Reverse(property.profiles - property.nulls));
    described
}

/// Returns a percentage with one decimal. Only none is 0, and only all are 100.
fn percent(part: u64, whole: u64) -> f64 {
    if part == 0 {
        return 0.0;
    }
    let tenths = (part as f64 / whole.max(1) as f64 * 1_000.0).round();
    if part == whole { 100.0 } else { tenths.clamp(1.0, 999.0) / 10.0 }
}
