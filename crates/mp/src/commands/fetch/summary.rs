//! The summary of a fetch for people. Programs get the result as JSON instead.

use std::time::Duration;

use super::fetched::Fetched;
use crate::context::Context;
use crate::text::{counted, day_range, duration, thousands, wrapped};

/// The columns before the values.
const LABEL_COLUMNS: usize = 12;

/// Waits shorter than this are not mentioned.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// What a fetch did, where its table is, and what to do next.
#[derive(Debug, Clone)]
pub(super) struct Summary {
    table: String,
    /// What a row is: `profile` or `event`.
    noun: &'static str,
    /// Rows that the run put into the table; `updated` of them replaced older ones.
    rows: u64,
    updated: u64,
    unchanged: u64,
    /// First and last day, if there are days.
    days: Option<(String, String)>,
    /// Days that may still change.
    open_days: usize,
    /// Rows of the table that the fetched days replaced.
    replaced: u64,
    /// Rows in the table now.
    table_rows: u64,
    is_complete: bool,
    expected: Option<u64>,
    received: u64,
    /// Received records that repeated others, without those that the table had already.
    duplicates: u64,
    rejected: u64,
    duration: Duration,
    requests: u64,
    retries: u64,
    waited: Duration,
    /// Whether earlier processes worked on the run; the requests include theirs.
    is_resumed: bool,
    database: String,
    next: Option<String>,
}

impl Summary {
    /// Describes a result. `next` is the command to suggest.
    pub(super) fn of(context: &Context, result: &Fetched, is_resumed: bool, next: Option<String>) -> Self {
        let (counts, loaded) = (result.counts(), result.loaded());
        let unchanged = loaded.unchanged_rows.unwrap_or(0);
        Self {
            table: result.table().to_owned(),
            noun: result.noun(),
            days: result.days(),
            open_days: result.open_days(),
            replaced: result.replaced_rows(),
            rows: result.rows(),
            updated: loaded.updated_rows.unwrap_or(0),
            unchanged,
            table_rows: loaded.table_rows,
            is_complete: !result.has_failures(),
            expected: counts.expected_rows,
            received: counts.received,
            duplicates: counts.duplicates.saturating_sub(unchanged),
            rejected: counts.rejected,
            duration: result.duration(),
            requests: counts.requests,
            retries: counts.retries,
            waited: Duration::try_from_secs_f64(counts.waited_seconds).unwrap_or_default(),
            is_resumed,
            database: context.shown_path(result.database()),
            next,
        }
    }

    /// Returns the text, wrapped to `width` columns. The path and the command stay whole, so that they can be copied.
    pub(super) fn text(&self, width: usize) -> String {
        let mut text = wrapped(&self.headline(), width, 2);
        let mut fact = |label: &str, value: &str| {
            let line = format!("  {label:width$}{value}", width = LABEL_COLUMNS - 2);
            text.push_str(&format!("\n{}", wrapped(&line, width, LABEL_COLUMNS)));
        };
        if let Some(days) = self.days_and_state() {
            fact("days", &days);
        }
        if let Some(rows) = self.other_rows() {
            fact("table", &rows);
        }
        if self.duplicates + self.rejected > 0 {
            fact("received", &self.conservation());
        }
        fact("requests", &self.cost());
        text.push_str(&format!("\n  {:columns$}{}", "database", self.database, columns = LABEL_COLUMNS - 2));
        if let Some(next) = &self.next {
            text.push_str(&format!("\nNext: {next}"));
        }
        text.push('\n');
        text
    }

    fn headline(&self) -> String {
        let (table, time) = (&self.table, duration(self.duration));
        let is_only_run = self.rows == self.table_rows && self.updated + self.unchanged == 0;
        let done = if is_only_run { "loaded" } else { "added" };
        let new = self.rows - self.updated.min(self.rows);
        let records = match self.expected.filter(|expected| !self.is_complete && *expected > self.received) {
            Some(expected) if is_only_run => format!("{} of {}", thousands(new), counted(expected, self.noun)),
            _ => counted(new, self.noun),
        };
        let updated = match self.updated {
            0 => String::new(),
            updated => format!(" and updated {}", thousands(updated)),
        };
        let text = format!("{done} {records} to `{table}`{updated} in {time}");
        let text = if is_only_run { text.replacen(" to `", " into `", 1) } else { text };
        match self.is_complete {
            true => capitalized(&text),
            false => format!("Incomplete: {text}"),
        }
    }

    /// Describes the rows of the table that are not the run's.
    fn other_rows(&self) -> Option<String> {
        if self.rows == self.table_rows && self.unchanged == 0 {
            return None;
        }
        let unchanged = match self.unchanged {
            0 => String::new(),
            unchanged => {
                format!("; {} there already", counted(unchanged, &format!("fetched {}", self.noun)) + were(unchanged))
            }
        };
        let replaced = match self.replaced {
            0 => String::new(),
            replaced => format!(", {} of which replace {} of the same days", thousands(self.rows), thousands(replaced)),
        };
        Some(format!("{} now{replaced}{unchanged}", counted(self.table_rows, "row")))
    }

    /// Describes the days and how many of them may still change.
    fn days_and_state(&self) -> Option<String> {
        let (from, to) = self.days.as_ref()?;
        let days = day_range(from, to);
        Some(match self.open_days {
            0 => days,
            1 => format!("{days}; 1 day may still change"),
            open => format!("{days}; {} days may still change", thousands(open as u64)),
        })
    }

    fn conservation(&self) -> String {
        let parts = [(self.duplicates, "duplicate", "duplicates"), (self.rejected, "reject", "rejects")];
        let parts = parts
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| format!("{} {}", thousands(*count), if *count == 1 { one } else { many }));
        format!("{}, with {}", counted(self.received, "record"), parts.collect::<Vec<_>>().join(" and "))
    }

    fn cost(&self) -> String {
        let mut text = thousands(self.requests);
        match self.retries {
            0 => {}
            1 => text.push_str(", 1 of them a retry"),
            retries => text.push_str(&format!(", {} of them retries", thousands(retries))),
        }
        if self.is_resumed {
            text.push_str(" (whole run)");
        }
        if self.waited >= WAIT_MIN {
            text.push_str(&format!("; waited {}", duration(self.waited)));
        }
        text
    }
}

fn were(count: u64) -> &'static str {
    if count == 1 { " was" } else { " were" }
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Returns a query that shows the first rows of a table.
pub(super) fn first_rows(table: &str) -> String {
    format!("SELECT * FROM {} LIMIT 10", identifier(table))
}

/// Quotes the name of a table for SQL, if necessary.
fn identifier(name: &str) -> String {
    let is_word = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let is_keyword = KEYWORDS.split(' ').any(|word| word.eq_ignore_ascii_case(name));
    if is_word && starts_well && !is_keyword { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The words that DuckDB does not accept as the name of a table, or not everywhere, without quotes: its keywords except
/// the unreserved ones.
const KEYWORDS: &str = "\
    all analyse analyze and anti any array as asc asof asymmetric at authorization between bigint binary bit \
    boolean both by case cast char character check coalesce collate collation column columns concurrently \
    constraint create cross dec decimal default deferrable desc describe distinct do else end except exists \
    extract false fetch float for foreign freeze from full generated glob group grouping grouping_id having \
    ilike in initially inner inout int integer intersect interval into is isnull join lambda lateral leading \
    left like limit map national natural nchar none not notnull null nullif numeric offset on only or order out \
    outer overlaps overlay pivot pivot_longer pivot_wider placing position positional precision primary qualify \
    real references returning right row select semi setof show similar smallint some struct substring summarize \
    symmetric table tablesample then time timestamp to trailing treat trim true try_cast union unique unpack \
    unpivot using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement \
    xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable";

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            table: "users".to_owned(),
            noun: "profile",
            days: None,
            open_days: 0,
            replaced: 0,
            rows: 30_000,
            updated: 0,
            unchanged: 0,
            table_rows: 30_000,
            is_complete: true,
            expected: Some(30_000),
            received: 30_000,
            duplicates: 0,
            rejected: 0,
            duration: Duration::from_millis(2_340),
            requests: 31,
            retries: 0,
            waited: Duration::ZERO,
            is_resumed: false,
            database: "~/.mp/data/12345.db".to_owned(),
            next: Some("mp query sql 'SELECT * FROM users LIMIT 10'".to_owned()),
        }
    }

    #[test]
    fn a_summary_says_what_was_loaded_where_it_is_and_what_is_next() {
        assert_eq!(
            summary().text(80),
            "Loaded 30,000 profiles into `users` in 2.3s\n\
             \x20 requests  31\n\
             \x20 database  ~/.mp/data/12345.db\n\
             Next: mp query sql 'SELECT * FROM users LIMIT 10'\n"
        );
        let most = Summary {
            rows: 120,
            updated: 20,
            unchanged: 400,
            table_rows: 30_100,
            received: 535,
            duplicates: 12,
            rejected: 3,
            retries: 2,
            waited: Duration::from_secs(75),
            is_resumed: true,
            ..summary()
        };
        let text = most.text(80);
        assert_eq!(
            text,
            "Added 100 profiles to `users` and updated 20 in 2.3s\n\
             \x20 table     30,100 rows now; 400 fetched profiles were there already\n\
             \x20 received  535 records, with 12 duplicates and 3 rejects\n\
             \x20 requests  31, 2 of them retries (whole run); waited 1m 15s\n\
             \x20 database  ~/.mp/data/12345.db\n\
             Next: mp query sql 'SELECT * FROM users LIMIT 10'\n"
        );
        assert!(text.lines().count() <= 6);
        for width in [40, 60] {
            let text = most.text(width);
            for line in text.lines().filter(|line| !line.starts_with("  database") && !line.starts_with("Next: ")) {
                assert!(line.chars().count() <= width, "{width}: {text}");
            }
        }
    }

    #[test]
    fn the_first_line_depends_on_what_was_loaded() {
        let incomplete = Summary { is_complete: false, rows: 800, received: 800, table_rows: 800, ..summary() };
        let table = [
            (Summary { rows: 1, table_rows: 1, ..summary() }, "Loaded 1 profile into `users` in 2.3s"),
            (Summary { rows: 0, table_rows: 0, ..summary() }, "Loaded 0 profiles into `users` in 2.3s"),
            (Summary { table_rows: 40_000, ..summary() }, "Added 30,000 profiles to `users` in 2.3s"),
            (Summary { rows: 0, unchanged: 9, ..summary() }, "Added 0 profiles to `users` in 2.3s"),
            (
                Summary { rows: 9, updated: 9, table_rows: 9, ..summary() },
                "Added 0 profiles to `users` and updated 9 in 2.3s",
            ),
            (incomplete.clone(), "Incomplete: loaded 800 of 30,000 profiles into `users` in 2.3s"),
            (Summary { expected: None, ..incomplete.clone() }, "Incomplete: loaded 800 profiles into `users` in 2.3s"),
            (Summary { table_rows: 900, ..incomplete }, "Incomplete: added 800 profiles to `users` in 2.3s"),
        ];
        for (summary, first) in table {
            assert_eq!(summary.text(200).lines().next(), Some(first), "{summary:?}");
        }
    }

    #[test]
    fn events_have_days() {
        let events = Summary {
            table: "events".to_owned(),
            noun: "event",
            days: Some(("2026-11-20".to_owned(), "2026-11-26".to_owned())),
            open_days: 6,
            replaced: 29_000,
            table_rows: 900_000,
            ..summary()
        };
        assert_eq!(
            events.text(200),
            "Added 30,000 events to `events` in 2.3s\n\
             \x20 days      2026-11-20 to 2026-11-26; 6 days may still change\n\
             \x20 table     900,000 rows now, 30,000 of which replace 29,000 of the same days\n\
             \x20 requests  31\n\
             \x20 database  ~/.mp/data/12345.db\n\
             Next: mp query sql 'SELECT * FROM users LIMIT 10'\n"
        );
        let day = ("2026-11-20".to_owned(), "2026-11-20".to_owned());
        let one = Summary { days: Some(day), open_days: 1, replaced: 0, ..events };
        assert!(one.text(200).contains("days      2026-11-20; 1 day may still change\n"), "{}", one.text(200));
    }

    #[test]
    fn the_suggested_query_works_for_every_name() {
        let connection = duckdb::Connection::open_in_memory().expect("a database");
        let mut query = connection.prepare("SELECT keyword_name FROM duckdb_keywords()").expect("a query");
        let words = query.query_map([], |row| row.get::<_, String>(0)).expect("the keywords");
        let mut names: Vec<String> = words.map(|word| word.expect("a keyword")).collect();
        assert!(names.len() > 400, "{names:?}");
        names.extend(["2024", "1e5", "Select", "Users", "a_b", "_x"].map(str::to_owned));
        for name in names {
            connection.execute_batch(&format!("CREATE OR REPLACE TABLE \"{name}\" (a INTEGER)")).expect(&name);
            connection.execute_batch(&first_rows(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert_eq!(first_rows("users"), "SELECT * FROM users LIMIT 10");
    }
}
