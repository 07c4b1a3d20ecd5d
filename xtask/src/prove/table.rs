//! What is in a table, in one line.

use super::home::Home;

/// Rows, distinct ids and a sum over all that a row has; the order does not matter.
const DIGEST: &str = "count(*)::VARCHAR || ' rows, ' || count(DISTINCT distinct_id) || ' ids, sum ' || \
    coalesce(sum(hash(distinct_id, properties::VARCHAR, last_seen::VARCHAR)::HUGEINT), 0)";

/// A table as a reader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// There is none.
    Absent,
    /// There is one, with these rows.
    Rows(String),
}

impl Table {
    /// Looks with `mp query sql`, which is one connection.
    pub(super) fn look(home: &Home<'_>, name: &str) -> Result<Self, String> {
        if !home.database.exists() {
            return Ok(Self::Absent);
        }
        let sql = format!("SELECT {DIGEST} FROM {name}");
        let ended = home.run(&["query", "sql", &sql, "--scalar", "-f", "plain"])?;
        match ended.code {
            Some(0) => Ok(Self::Rows(ended.stdout.trim().to_owned())),
            _ if ended.stderr.contains("does not exist") || ended.stderr.contains("no table") => Ok(Self::Absent),
            _ => Err(format!("the table cannot be read: {}", ended.told())),
        }
    }

    /// Errs unless it has so many rows, with as many ids.
    pub(super) fn expect_rows(&self, rows: u64) -> Result<(), String> {
        match self {
            Self::Rows(found) if found.starts_with(&format!("{rows} rows, {rows} ids,")) => Ok(()),
            _ => Err(format!("the table is {self:?} and should have {rows} rows")),
        }
    }
}
