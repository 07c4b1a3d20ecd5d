//! Puts the staged rows into a table that has rows already.
//!
//! **Appending** adds the rows whose ids the table does not have. **Upserting** also puts the others in the place of the
//! table's, except where the table's has a later `last_seen`: nothing becomes older.
//!
//! **Completing** a run that has put `previous` pages into the table goes by content, for somebody may have changed the
//! table since. The run's rows are known by their hash. Ids that `previous` does not have are appended or upserted. Of
//! the others, those whose row is another one now replace what the earlier load put in, if that is still there as it was;
//! what somebody changed or removed is left like that.

use duckdb::Connection;

use super::pages::{self, FIND_DUPLICATES, Loading};
use super::{LoadRequest, Staged, number};
use crate::error::Result;
use crate::limits::LOAD_PAGES_PER_STATEMENT;
use crate::profile_query::OnExisting;
use crate::store::digest::{Digest, Tally, digest_of, row_hash};
use crate::store::failure::statement;
use crate::store::label;
use crate::store::metadata::{self, Counts, Loaded, Origin};
use crate::store::table_name::TableName;
use crate::store::target::LoadKind;

/// Merges the staged pages into `table`.
pub(super) fn merge(
    connection: &Connection,
    tally: &Tally,
    request: &LoadRequest<'_>,
    table: TableName,
) -> Result<Loaded> {
    let fail = |error| statement(&format!("load into table `{}`", request.table), &error);
    pages::create(connection, Loading::Temporary)?;
    let Staged { staged, .. } = pages::read(connection, tally, request)?;
    let earlier = match request.kind {
        LoadKind::First => Earlier::NONE,
        LoadKind::Completing => complete(connection, request, &table)?,
    };
    let keep_known = keep_known(&table, request);
    connection.execute_batch(&keep_known).map_err(fail)?;
    let old_digest = recorded_digest(connection, &table).map_err(fail)?;
    let written = number(connection, "SELECT count(*) FROM _loading").map_err(fail)?;
    let replaces = request.on_existing == OnExisting::Upsert || request.kind == LoadKind::Completing;
    let removed = if replaces { remove_known(connection, &table).map_err(fail)? } else { Digest::default() };
    let added = add(connection, tally, &table).map_err(fail)?;
    let digest = match old_digest {
        Some(old) => old.minus(removed).plus(added),
        None => digest_of(connection, &format!("{} AS r", table.quoted())).map_err(fail)?,
    };
    let rows = earlier.rows + written - earlier.replaced;
    let counts = Counts { rows, duplicates: staged - rows };
    let digest = digest.to_text(connection).map_err(fail)?;
    Ok(Loaded { table, origin: Origin::Changed, counts, digest })
}

/// Returns the statement that takes out of `_loading` what must not replace the table's rows.
fn keep_known(table: &TableName, request: &LoadRequest<'_>) -> String {
    let table = table.quoted();
    let not_ours = match request.kind {
        LoadKind::First => "",
        LoadKind::Completing => "AND distinct_id NOT IN (SELECT distinct_id FROM _previous)",
    };
    match request.on_existing {
        OnExisting::Upsert => format!(
            "DELETE FROM _loading WHERE EXISTS (
                 SELECT 1 FROM {table} AS t WHERE t.distinct_id = _loading.distinct_id AND t.last_seen > _loading.last_seen
             ) {not_ours}"
        ),
        OnExisting::Append | OnExisting::Fail | OnExisting::Replace => {
            format!("DELETE FROM _loading WHERE distinct_id IN (SELECT distinct_id FROM {table}) {not_ours}")
        }
    }
}

/// What earlier loads of the run have left in the table.
struct Earlier {
    /// Rows of the run that are in it.
    rows: u64,
    /// Those among them that are about to be replaced.
    replaced: u64,
}

impl Earlier {
    const NONE: Self = Self { rows: 0, replaced: 0 };
}

/// Leaves of the rows in `_loading` whose ids an earlier load brought only those that have changed, and whose earlier
/// row is in the table as it was.
fn complete(connection: &Connection, request: &LoadRequest<'_>, table: &TableName) -> Result<Earlier> {
    let fail = |error| statement(&format!("load into table `{}`", request.table), &error);
    read_previous(connection, request)?;
    let sql = format!(
        "CREATE TEMP TABLE _unchanged AS SELECT DISTINCT p.distinct_id FROM _previous AS p
             JOIN {} AS t ON t.distinct_id = p.distinct_id WHERE {} = p.hash",
        table.quoted(),
        row_hash("t")
    );
    connection.execute_batch(&sql).map_err(fail)?;
    let sql = "SELECT count(*) FROM _loading WHERE distinct_id IN (SELECT distinct_id FROM _unchanged)";
    let unchanged = number(connection, sql).map_err(fail)?;
    let sql = format!(
        "DELETE FROM _loading AS l USING _previous AS p WHERE l.distinct_id = p.distinct_id
             AND ({} = p.hash OR p.distinct_id NOT IN (SELECT distinct_id FROM _unchanged))",
        row_hash("l")
    );
    connection.execute_batch(&sql).map_err(fail)?;
    let sql = "SELECT count(*) FROM _loading WHERE distinct_id IN (SELECT distinct_id FROM _previous)";
    let replaced = number(connection, sql).map_err(fail)?;
    // A row that was there before the run may be equal to the run's: it does not count.
    let put_in = metadata::last_counts(connection, table, &request.run.run_id)?;
    let rows = put_in.map_or(unchanged, |counts| counts.rows.min(unchanged));
    // Where the two differ, as many of the replaced rows were not the run's.
    Ok(Earlier { rows, replaced: replaced.min(rows) })
}

/// Reads what identifies the rows of the pages that are in the table already: one row of each id, by the same rule.
fn read_previous(connection: &Connection, request: &LoadRequest<'_>) -> Result<()> {
    let fail = |error| statement("read the staged pages", &error);
    connection
        .execute_batch("CREATE TEMP TABLE _previous (distinct_id VARCHAR, last_seen TIMESTAMP, hash UBIGINT)")
        .map_err(fail)?;
    for pages in request.previous.chunks(LOAD_PAGES_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO _previous SELECT distinct_id, last_seen, {} FROM read_parquet({}) AS r",
            row_hash("r"),
            pages::file_list(pages)?
        );
        connection.execute(&sql, []).map_err(|error| pages::blame(connection, pages, fail(error)))?;
    }
    let find = FIND_DUPLICATES.replace("{table}", "_previous");
    connection
        .execute_batch(&format!("DELETE FROM _previous WHERE rowid IN (SELECT place FROM ({find}))"))
        .map_err(fail)
}

/// The digest that the last load recorded; adding to it keeps what somebody changed since visible.
fn recorded_digest(connection: &Connection, table: &TableName) -> Result<Option<Digest>, duckdb::Error> {
    match label::of_table(connection, table).and_then(|label| label.digest) {
        Some(text) => Digest::read(connection, &text),
        None => Ok(None),
    }
}

/// Removes the rows that those of `_loading` replace.
fn remove_known(connection: &Connection, table: &TableName) -> Result<Digest, duckdb::Error> {
    let table = table.quoted();
    let known = "distinct_id IN (SELECT distinct_id FROM _loading)";
    let removed = digest_of(connection, &format!("{table} AS r WHERE r.{known}"))?;
    connection.execute_batch(&format!("DELETE FROM {table} WHERE {known}"))?;
    Ok(removed)
}

/// Adds the rows of `_loading`, by column name.
fn add(connection: &Connection, tally: &Tally, table: &TableName) -> Result<Digest, duckdb::Error> {
    tally.take();
    connection.execute_batch(&format!(
        "INSERT INTO {} (distinct_id, properties, last_seen)
             SELECT distinct_id, properties, last_seen FROM _loading AS r WHERE tally({});
         DROP TABLE _loading; DROP TABLE IF EXISTS _previous; DROP TABLE IF EXISTS _unchanged",
        table.quoted(),
        row_hash("r")
    ))?;
    Ok(tally.take())
}
