//! The columns of a dataset, and the rules that decide which of several rows with the same key is kept.

/// A dataset that Mixpanel exports.
#[derive(Debug)]
pub(crate) struct Dataset {
    /// The name of the dataset in `_metadata.type` and in results.
    pub(crate) kind: &'static str,
    /// The columns that a load creates, in order.
    pub(crate) columns: &'static [Column],
    /// The columns that identify a row.
    pub(crate) key: &'static [&'static str],
    /// The time column. If a key identifies a row in the whole table, it decides which row is newer: of several rows with
    /// the same key, the newest is kept; a row without a time counts as the oldest, and on a tie the first to arrive
    /// wins. A fetched row replaces the one in the table, unless the latter is newer.
    pub(crate) newest: &'static str,
    /// Where rows with the same key can be.
    pub(crate) scope: Scope,
}

/// Where rows with the same key can be, and therefore what a load has to look at together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Anywhere in the table.
    Table,
    /// On one day of the project's time zone. Staged rows also have the columns `_ingested` and `_day`. Of several rows
    /// with the same key, the one ingested last is kept, and rows are ordered by day and time.
    Day,
}

/// A column that a load creates.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// The SQL type that a load gives it.
    pub(crate) kind: &'static str,
    /// Equivalent types that the column may have in a table created by another program.
    pub(crate) accepts: &'static [&'static str],
    /// Whether a load validates the text with a cast to JSON that leaves it unchanged.
    pub(crate) is_json: bool,
}

/// User profiles, one row each.
pub(crate) const PROFILES: Dataset = Dataset {
    kind: "profiles",
    columns: &[
        Column { name: "distinct_id", kind: "VARCHAR", accepts: &["VARCHAR"], is_json: false },
        Column { name: "properties", kind: "JSON", accepts: &["JSON", "VARCHAR"], is_json: true },
        Column { name: "last_seen", kind: "TIMESTAMP", accepts: &["TIMESTAMP"], is_json: false },
    ],
    key: &["distinct_id"],
    newest: "last_seen",
    scope: Scope::Table,
};

/// Events, one row each.
pub(crate) const EVENTS: Dataset = Dataset {
    kind: "events",
    columns: &[
        Column { name: "event_name", kind: "VARCHAR", accepts: &["VARCHAR"], is_json: false },
        Column { name: "event_time", kind: "TIMESTAMP", accepts: &["TIMESTAMP"], is_json: false },
        Column { name: "distinct_id", kind: "VARCHAR", accepts: &["VARCHAR"], is_json: false },
        Column { name: "insert_id", kind: "VARCHAR", accepts: &["VARCHAR"], is_json: false },
        Column { name: "properties", kind: "JSON", accepts: &["JSON", "VARCHAR"], is_json: true },
    ],
    key: &["event_name", "distinct_id", "event_time", "insert_id"],
    newest: "event_time",
    scope: Scope::Day,
};

/// Every dataset.
const ALL: [&Dataset; 2] = [&PROFILES, &EVENTS];

impl Dataset {
    /// Returns the dataset that has this name in `_metadata.type`.
    pub(crate) fn of_kind(kind: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|dataset| dataset.kind == kind)
    }

    /// Returns whether rows with the same key are on one day, so that a load can look at one day after another.
    pub(crate) fn is_by_day(&self) -> bool {
        self.scope == Scope::Day
    }

    /// Returns the column names as an SQL list.
    pub(crate) fn names(&self) -> String {
        join(self.columns.iter().map(|column| column.name.to_owned()))
    }

    /// Returns the columns of staged files as an SQL list, with the casts that validate them.
    pub(crate) fn checked_names(&self) -> String {
        let checked =
            |column: &Column| if column.is_json { format!("{}::JSON", column.name) } else { column.name.to_owned() };
        join(self.columns.iter().map(checked))
    }

    /// Returns an SQL condition for staged rows whose JSON DuckDB does not accept.
    pub(crate) fn malformed(&self) -> String {
        let columns = self.columns.iter().filter(|column| column.is_json);
        columns.map(|column| format!("NOT system.main.json_valid({})", column.name)).collect::<Vec<_>>().join(" OR ")
    }

    /// Returns the column definitions for `CREATE TABLE`.
    pub(crate) fn definitions(&self) -> String {
        join(self.columns.iter().map(|column| format!("{} {}", column.name, column.kind)))
    }

    /// Returns the definitions of the columns by which rows are compared: the key and `newest`.
    pub(crate) fn identity_definitions(&self) -> String {
        let is_of_identity = |column: &&Column| self.key.contains(&column.name) || column.name == self.newest;
        let columns = self.columns.iter().filter(is_of_identity);
        join(columns.map(|column| format!("{} {}", column.name, column.kind)))
    }

    /// Returns the columns by which rows are compared, as an SQL list.
    pub(crate) fn identity_names(&self) -> String {
        format!("{}, {}", self.key_names(), self.newest)
    }

    /// Returns the key columns as an SQL list.
    pub(crate) fn key_names(&self) -> String {
        self.key.join(", ")
    }

    /// Returns the key columns of `table` as an SQL list.
    pub(crate) fn key_names_of(&self, table: &str) -> String {
        join(self.key.iter().map(|name| format!("{table}.{name}")))
    }

    /// Returns the key as a single SQL expression, qualified with `table` if given.
    pub(crate) fn key(&self, table: Option<&str>) -> String {
        let names = table.map_or_else(|| self.key_names(), |table| self.key_names_of(table));
        if self.key.len() == 1 { names } else { format!("({names})") }
    }

    /// Returns an SQL condition that is true if rows of two tables have the same key.
    pub(crate) fn same_key(&self, one: &str, other: &str) -> String {
        let equal: Vec<String> = self.key.iter().map(|name| format!("{one}.{name} = {other}.{name}")).collect();
        equal.join(" AND ")
    }

    /// Returns an SQL condition that is true if the key of a row occurs in `table`.
    pub(crate) fn key_is_in(&self, row: Option<&str>, table: &str) -> String {
        format!("{} IN (SELECT {} FROM {table})", self.key(row), self.key_names())
    }

    /// Returns the SQL expression for the hash of a row of `table`, an unsigned 64-bit number.
    pub(crate) fn row_hash(&self, table: &str) -> String {
        let text = |column: &Column| {
            let cast = if column.is_json { "::VARCHAR" } else { "" };
            format!("{table}.{}{cast}", column.name)
        };
        format!("system.main.hash({})", join(self.columns.iter().map(text)))
    }

    /// Returns a query for the row ids of the rows in `table` that are superseded by another row with the same key. In
    /// a table that only receives inserts, row ids ascend in insertion order.
    pub(crate) fn find_duplicates(&self, table: &str) -> String {
        let (key, names, newest) = (self.key(None), self.key_names(), self.newest);
        format!(
            "SELECT rowid AS place FROM (
                 SELECT rowid, row_number() OVER (PARTITION BY {names} ORDER BY {newest} DESC NULLS LAST, rowid) AS place
                 FROM {table}
                 WHERE {key} IN (SELECT {names} FROM {table} GROUP BY {names} HAVING count(*) > 1)
             ) WHERE place > 1"
        )
    }

    /// Returns whether a load creates a column of this name.
    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{RecordForm, parse_page};

    #[test]
    fn staged_rows_have_the_columns_that_a_load_reads() {
        let page = parse_page(br#"{"results":[{"$distinct_id":"a","$properties":{}}]}"#, RecordForm::Row).unwrap();
        let batch = page.rows.to_record_batch();
        let staged: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(staged.join(", "), PROFILES.names());
    }

    #[test]
    fn composite_keys_compare_all_columns() {
        let pairs = Dataset { key: &["name", "id"], ..EVENTS };
        assert_eq!(pairs.key_is_in(Some("r"), "_loading"), "(r.name, r.id) IN (SELECT name, id FROM _loading)");
        assert_eq!(pairs.same_key("t", "p"), "t.name = p.name AND t.id = p.id");
        assert_eq!(PROFILES.key_is_in(None, "_loading"), "distinct_id IN (SELECT distinct_id FROM _loading)");
    }
}
