//! A model of the load, which computes the table from the staged files alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::fetch::writer::read_page;
use crate::load::{LoadKind, LoadReport, LoadRequest, TableChange};
use crate::profile_query::IfExists;

use super::oracle::{Row, Rows};

/// The parts of the database that a load uses.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) rows: Option<Rows>,
    /// Past loads by id; repeating one changes nothing.
    loads: BTreeMap<String, LoadReport>,
}

impl Model {
    pub(super) fn is_loaded(&self, load_id: &str) -> bool {
        self.loads.contains_key(load_id)
    }
}

/// Simulates a load.
pub(super) fn load(model: &mut Model, request: &LoadRequest) -> Result<(LoadReport, TableChange)> {
    if let Some(report) = model.loads.get(&request.package.run.load_id) {
        return Ok((*report, TableChange::default()));
    }
    let (rows, staged) = read(&request.package.pages)?;
    let replaces = request.options.if_exists == IfExists::Replace && request.package.kind == LoadKind::First;
    if replaces && rows.is_empty() && model.rows.as_ref().is_some_and(|old| !old.is_empty()) {
        return Err(Error::new(ErrorKind::Incomplete, "nothing came").with_detail("emptied_rows", 1));
    }
    let report =
        LoadReport { rows: rows.len() as u64, duplicates: staged - rows.len() as u64, shortfall: 0, altered: 0 };
    assert_eq!(
        staged + request.package.run.counts.rejected,
        request.package.run.counts.received,
        "what is staged is not what was received"
    );
    model.rows = Some(rows);
    model.loads.insert(request.package.run.load_id.clone(), report);
    Ok((report, TableChange::default()))
}

/// Reads staged pages in order. Returns the rows by id, and the number of staged records. If several rows have the same
/// id, the one seen last wins, or the first in a tie.
fn read(pages: &[PathBuf]) -> Result<(Rows, u64)> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut staged = 0;
    for page in pages {
        for batch in read_page(page)? {
            for row in batch.iter() {
                staged += 1;
                let properties: Value = serde_json::from_str(row.properties).unwrap();
                let row_of_id = rows.get(row.distinct_id);
                if row_of_id.is_some_and(|before| before.last_seen >= row.last_seen) {
                    continue;
                }
                rows.insert(row.distinct_id.to_owned(), Row { properties, last_seen: row.last_seen });
            }
        }
    }
    Ok((rows, staged))
}
