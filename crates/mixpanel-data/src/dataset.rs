//! What the rows of a dataset look like, and which of two rows that are the same stays.

/// A dataset that Mixpanel exports.
#[derive(Debug)]
pub(crate) struct Dataset {
    /// What `_metadata.type` and the results call a table of it.
    pub(crate) kind: &'static str,
    /// The columns that a load makes, in order.
    pub(crate) columns: &'static [Column],
    /// The columns that identify a row.
    pub(crate) key: &'static [&'static str],
    /// The column that says how new a row is. Of rows with one key, the newest stays, those without a time last; among
    /// equals, the first that came. A row replaces the table's unless the table's is newer.
    pub(crate) newest: &'static str,
}

/// A column that a load makes.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// The SQL type that a load gives it.
    pub(crate) kind: &'static str,
    /// Types of a column of another program's table that take the same values.
    pub(crate) accepts: &'static [&'static str],
    /// Whether the engine checks its text when it is loaded, by a cast that changes nothing.
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
};

impl Dataset {
    /// Returns the names of the columns, as a list in SQL.
    pub(crate) fn names(&self) -> String {
        join(self.columns.iter().map(|column| column.name.to_owned()))
    }

    /// Returns the columns of staged files, as a list in SQL, with the checks of a load.
    pub(crate) fn checked_names(&self) -> String {
        let checked =
            |column: &Column| if column.is_json { format!("{}::JSON", column.name) } else { column.name.to_owned() };
        join(self.columns.iter().map(checked))
    }

    /// Returns the definitions of the columns in `CREATE TABLE`.
    pub(crate) fn definitions(&self) -> String {
        join(self.columns.iter().map(|column| format!("{} {}", column.name, column.kind)))
    }

    /// Returns the definitions of the columns that a row is compared by: the key and the newest.
    pub(crate) fn identity_definitions(&self) -> String {
        let is_of_identity = |column: &&Column| self.key.contains(&column.name) || column.name == self.newest;
        let columns = self.columns.iter().filter(is_of_identity);
        join(columns.map(|column| format!("{} {}", column.name, column.kind)))
    }

    /// Returns the columns that a row is compared by, as a list in SQL.
    pub(crate) fn identity_names(&self) -> String {
        format!("{}, {}", self.key_names(), self.newest)
    }

    /// Returns the columns of the key, as a list in SQL.
    pub(crate) fn key_names(&self) -> String {
        self.key.join(", ")
    }

    /// Returns the columns of the key of `table`, as a list in SQL.
    pub(crate) fn key_names_of(&self, table: &str) -> String {
        join(self.key.iter().map(|name| format!("{table}.{name}")))
    }

    /// Returns the key as one SQL expression, of the rows of `table` if one is named.
    pub(crate) fn key(&self, table: Option<&str>) -> String {
        let names = table.map_or_else(|| self.key_names(), |table| self.key_names_of(table));
        if self.key.len() == 1 { names } else { format!("({names})") }
    }

    /// Returns the condition that rows of two tables have the same key.
    pub(crate) fn same_key(&self, one: &str, other: &str) -> String {
        let equal: Vec<String> = self.key.iter().map(|name| format!("{one}.{name} = {other}.{name}")).collect();
        equal.join(" AND ")
    }

    /// Returns the condition that the key of a row is one of those in `table`.
    pub(crate) fn key_is_in(&self, row: Option<&str>, table: &str) -> String {
        format!("{} IN (SELECT {} FROM {table})", self.key(row), self.key_names())
    }

    /// Returns the SQL of the hash of one row of `table`, an unsigned number of 64 bits.
    pub(crate) fn row_hash(&self, table: &str) -> String {
        let text = |column: &Column| {
            let cast = if column.is_json { "::VARCHAR" } else { "" };
            format!("{table}.{}{cast}", column.name)
        };
        format!("hash({})", join(self.columns.iter().map(text)))
    }

    /// Returns the query for the rows of `table` that another one of the same key is better than, by their row number.
    /// Row numbers of a table that is being filled ascend in the order of insertion.
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

    /// Says whether a column is one that a load makes.
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
    fn a_key_of_several_columns_is_compared_as_a_whole() {
        let events = Dataset { kind: "events", key: &["name", "id"], ..PROFILES };
        assert_eq!(events.key_is_in(Some("r"), "_loading"), "(r.name, r.id) IN (SELECT name, id FROM _loading)");
        assert_eq!(events.same_key("t", "p"), "t.name = p.name AND t.id = p.id");
        assert_eq!(PROFILES.key_is_in(None, "_loading"), "distinct_id IN (SELECT distinct_id FROM _loading)");
    }
}
