//! Finds the rows of a batch that another row of the batch supersedes, and gives rows with equal generated ids different
//! ones.

use duckdb::Connection;

use super::super::rows::{number, run};
use super::slices::StagedSlice;
use super::source::{CREATE_FATES, Source};
use crate::event_query::Dedupe;

/// Lists the superseded and renamed rows of a batch in `_fates`.
///
/// Most batches have no duplicates, and comparing hashes finds that out in a fraction of the memory that the keys would
/// take. Rows with generated ids are equal in every byte, so none of them supersedes another.
pub(super) fn find(connection: &Connection, source: &mut Source<'_>) -> Result<(), duckdb::Error> {
    run(connection, CREATE_FATES)?;
    let has_generated = source.slices.iter().any(|slice| StagedSlice::has_generated_ids(slice));
    if source.dedupe == Dedupe::None && !has_generated {
        return Ok(());
    }
    let generated = if has_generated { IS_GENERATED } else { "false" };
    let relevant = if source.dedupe == Dedupe::None { generated } else { "true" };
    let (key, rows) = (source.key(), source.staged());
    run(
        connection,
        &format!(
            "CREATE TEMP TABLE _repeated AS SELECT h FROM (
                 SELECT system.main.hash({key}) AS h FROM {rows} WHERE {relevant}
             ) GROUP BY h HAVING count(*) > 1"
        ),
    )?;
    if number(connection, "SELECT count(*) FROM _repeated")? > 0 {
        run(connection, &decide(source, generated, relevant))?;
        source.has_fates = number(connection, "SELECT count(*) FROM _fates")? > 0;
    }
    run(connection, "DROP TABLE _repeated").map(drop)
}

const IS_GENERATED: &str = "system.main.regexp_full_match(b.insert_id, 'gen-[0-9a-f]{32}')";

/// Returns the statement that lists the rows. The one ingested last is kept, and among equals the last in the stage.
fn decide(source: &Source<'_>, generated: &str, relevant: &str) -> String {
    let (key, rows) = (source.key(), source.staged());
    let partition = key.replace("b.", "");
    format!(
        "INSERT INTO _fates SELECT b._part, b._row,
             CASE WHEN generated THEN 'renamed' ELSE 'duplicate' END, CASE WHEN generated THEN new_id END,
             staged, CASE WHEN generated THEN {stored} END, NOT generated AND content <> kept
         FROM (
             SELECT *, insert_id || '-' || place AS new_id FROM (
                 SELECT *, row_number() OVER w AS place, first_value(content) OVER w AS kept FROM (
                     SELECT b.* REPLACE (CASE WHEN {generated} THEN b.properties END AS properties),
                         {generated} AS generated, system.main.hash(b.properties) AS content, {staged} AS staged
                     FROM {rows}
                     WHERE {relevant} AND system.main.hash({key}) IN (SELECT h FROM _repeated)
                 ) WINDOW w AS (PARTITION BY {partition} ORDER BY _ingested DESC NULLS LAST, _part DESC, _row DESC)
             ) WHERE place > 1
         ) AS b",
        stored = source.hash_with_id("b.new_id"),
        staged = source.dataset.row_hash("b"),
    )
}
