//! Warnings about a fetch, which continues despite them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::limits::{QUERIES_PER_HOUR, WORKERS_MAX};
use crate::text::{self, about, counted, excerpt, thousands};

/// A warning about a fetch, which continues. `Display` writes it as one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// More workers were requested than Mixpanel allows, so fewer are used.
    TooManyWorkers {
        /// The requested number.
        requested: u32,
    },
    /// The quota ledger is not shared with other processes or later runs, or was reset.
    LedgerNotShared {
        /// Why, and what that means.
        reason: String,
    },
    /// The quota ledger can no longer be updated.
    LedgerBroken {
        /// Why.
        reason: String,
    },
    /// The fetch may need more requests than the hourly quota allows.
    ManyPages {
        /// Number of pages.
        pages: u32,
    },
    /// The server has far more pages than it announced.
    UnannouncedPages,
    /// This machine's clock does not agree with the server's, whose time is recorded.
    ClockDiffers {
        /// By how many seconds this machine's clock is ahead; negative if it is behind.
        seconds_ahead: i64,
    },
    /// The recorded time of the table's last load is in the future, so it cannot be the start of an incremental fetch.
    LoadInFuture {
        /// The table.
        table: String,
        /// The recorded start of that load.
        loaded_at: Timestamp,
        /// Whether all profiles are fetched, not only those seen since the newest one in the table.
        fetches_all: bool,
    },
    /// Rows were removed from the table since its last load, so all profiles are fetched.
    RowsRemoved {
        /// The table.
        table: String,
        /// Number of rows now.
        rows: u64,
        /// Number of rows after the last load.
        loaded_rows: u64,
    },
    /// Rows of some days were removed from a table of events since these days were loaded, so they are fetched again, with
    /// all later days.
    EventsRemoved {
        /// The table.
        table: String,
        /// Number of these days.
        days: u64,
        /// The first of them.
        first: String,
    },
    /// A table of events lacks days between its first and its last.
    DaysMissing {
        /// The table.
        table: String,
        /// Number of these days.
        days: u64,
        /// The first of them.
        first: String,
    },
    /// A process was stopped while it wrote to the database. What it had overwritten was restored.
    DatabaseRepaired {
        /// The database file.
        database: PathBuf,
    },
    /// The file system of the database's directory lacks features.
    FileSystem {
        /// The directory.
        directory: PathBuf,
        /// What it cannot do.
        lacks: Vec<String>,
    },
    /// Replacing the table drops something that was added to it.
    ReplacementDrops {
        /// The table.
        table: String,
        /// What is dropped, such as an index or a column.
        losses: Vec<String>,
    },
    /// Upserting clears columns that were added to the table, in the replaced rows.
    UpsertEmpties {
        /// The table.
        table: String,
        /// The columns.
        columns: String,
    },
    /// The database has an object of the user with the name of one that loads maintain. It is left unchanged.
    NameTaken {
        /// The name: that of a macro, such as `prop`, or of the typed view of a table.
        name: String,
        /// The table that gets no typed view; `None` for a macro.
        table: Option<String>,
    },
    /// Pages contained data that the table has no column for.
    NotKept {
        /// What is not stored. Names sent by the server are redacted.
        what: String,
    },
    /// No profile has properties that were named.
    PropertiesNeverSeen {
        /// Their names.
        names: Vec<String>,
    },
    /// Announced profiles are missing.
    ProfilesMissing {
        /// The counts, as a phrase.
        summary: String,
    },
    /// The server sent a different number of profiles than it announced.
    TotalDiffers {
        /// The number that it announced.
        announced: u64,
        /// The number that it sent.
        received: u64,
        /// How many are missing within the accepted drift of a live project.
        drift: u64,
        /// How many were sent more than once.
        repeated: u64,
    },
    /// Pages before the last one had fewer profiles than a full page.
    ShortPages {
        /// Number of such pages.
        pages: u64,
    },
    /// Profiles were sent more than once, so others may be missing although the numbers add up.
    Repeated {
        /// Number of profiles that were sent more than once.
        repeated: u64,
        /// The number of profiles that the server announced.
        announced: u64,
        /// The number of distinct profiles that it sent.
        different: u64,
    },
    /// No profile matches the filters.
    NoProfileMatches {
        /// The filters of the query, such as `where expression`.
        filters: Vec<&'static str>,
    },
    /// Some of the requested ids match no profile.
    IdsNotFound {
        /// Those ids, in the order of the query.
        ids: Vec<String>,
        /// The number of requested ids.
        requested: usize,
        /// Whether the query has another filter, which may exclude profiles with these ids.
        is_filtered: bool,
    },
    /// No received profile has some of the requested properties.
    PropertiesNotFound {
        /// The names of the properties, in the order of the query.
        names: Vec<String>,
    },
    /// Rows from an earlier load of this run have since been changed or removed.
    RowsAltered {
        /// The table.
        table: String,
        /// Number of rows.
        rows: u64,
    },
    /// The rows are in the table, but the run could not be removed.
    RunLeft {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyWorkers { requested } => write!(
                f,
                "{requested} workers are too many: Mixpanel allows {WORKERS_MAX} concurrent queries per project; \
                 using {WORKERS_MAX}"
            ),
            Self::LedgerNotShared { reason } => f.write_str(reason),
            Self::LedgerBroken { reason } => {
                write!(f, "cannot update the quota ledger, so only the server enforces the quota: {reason}")
            }
            Self::ManyPages { pages } => write!(
                f,
                "{pages} pages to fetch, and Mixpanel allows {QUERIES_PER_HOUR} queries per hour and project; pages \
                 after the first are not expected to count, but if they do, the fetch waits whenever the limit is \
                 reached (a larger page size means fewer pages)"
            ),
            Self::UnannouncedPages => {
                f.write_str("the server has more pages than it announced; requesting at most ten of them per second")
            }
            Self::ClockDiffers { seconds_ahead } => {
                let time = about(Duration::from_secs(seconds_ahead.unsigned_abs()));
                let how = if *seconds_ahead > 0 { "ahead of" } else { "behind" };
                write!(
                    f,
                    "this machine's clock is {time} {how} the server's; loads are recorded with the server's time"
                )
            }
            Self::LoadInFuture { table, loaded_at, fetches_all } => write!(
                f,
                "the last load of `{table}` is recorded at {}, which is in the future: this machine's clock was ahead \
                 then or is behind now; fetching {}",
                loaded_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                fetched(*fetches_all)
            ),
            Self::RowsRemoved { table, rows, loaded_rows } => {
                let rows = counted(*rows, "row");
                write!(f, "`{table}` has {rows} and had {loaded_rows} after its last load; fetching all profiles")
            }
            Self::EventsRemoved { table, days, first } => write!(
                f,
                "`{table}` has fewer rows of {} than were loaded; fetching all days since {first}",
                counted(*days, "day")
            ),
            Self::DaysMissing { table, days, first } => write!(
                f,
                "{} between the first and the last of `{table}` {} never fetched; `--since {first}` fetches {}",
                counted(*days, "day"),
                if *days == 1 { "was" } else { "were" },
                if *days == 1 { "it and all later ones" } else { "them and all later ones" }
            ),
            Self::DatabaseRepaired { database } => write!(
                f,
                "a process was stopped while it wrote to `{}`; what it had overwritten was restored",
                database.display()
            ),
            Self::FileSystem { directory, lacks } => {
                write!(f, "the file system of `{}` lacks some features: {}", directory.display(), lacks.join("; "))
            }
            Self::ReplacementDrops { table, losses } => {
                write!(f, "replacing table `{table}` drops {}", losses.join(", "))
            }
            Self::UpsertEmpties { table, columns } => {
                write!(f, "upserting into table `{table}` loses the values that replaced profiles have in {columns}")
            }
            Self::NameTaken { name, table: None } => write!(
                f,
                "the database has its own macro `{name}`, which is left unchanged; mp's macro of this name is not \
                 created"
            ),
            Self::NameTaken { name, table: Some(table) } => write!(
                f,
                "`{name}` is not a view that mp created and is left unchanged, so `{table}` has no view with typed columns"
            ),
            Self::NotKept { what } => f.write_str(what),
            Self::PropertiesNeverSeen { names } => {
                let noun = if names.len() == 1 { "property" } else { "properties" };
                let names: Vec<String> = names.iter().map(|name| text::named(name)).collect();
                write!(f, "no profile has the {noun} {}; names are case-sensitive", names.join(", "))
            }
            Self::ProfilesMissing { summary } => f.write_str(summary),
            Self::TotalDiffers { announced, received, drift, repeated } => {
                let difference = match (drift, repeated) {
                    (0, 0) => "more: the project may have changed during the fetch",
                    (0, _) => "more: some were sent more than once",
                    _ => "fewer: the project may have changed during the fetch",
                };
                write!(
                    f,
                    "the server announced {} and sent {received}, {} {difference}",
                    counted(*announced, "profile"),
                    announced.abs_diff(*received)
                )
            }
            Self::ShortPages { pages } => write!(f, "{} had fewer profiles than expected", counted(*pages, "page")),
            Self::Repeated { repeated, announced, different } => write!(
                f,
                "the server sent {} more than once: it announced {announced} and sent {different} distinct ones, so \
                 others may be missing",
                counted(*repeated, "profile")
            ),
            Self::NoProfileMatches { filters } => {
                let filters: Vec<String> = filters.iter().map(|filter| format!("the {filter}")).collect();
                write!(f, "no profile matches {}", joined(&filters))
            }
            Self::IdsNotFound { ids, requested, is_filtered } => write!(
                f,
                "{} of {} distinct {} {} no profile{}: {}",
                thousands(ids.len() as u64),
                thousands(*requested as u64),
                if *requested == 1 { "id" } else { "ids" },
                if ids.len() == 1 { "matches" } else { "match" },
                if *is_filtered { " with this filter" } else { "" },
                named(ids)
            ),
            Self::PropertiesNotFound { names } => {
                let noun = if names.len() == 1 { "property" } else { "properties" };
                write!(f, "no received profile has the {noun} {}", named(names))
            }
            Self::RowsAltered { table, rows } => write!(
                f,
                "{} from the earlier load of this run {} since been changed or removed in `{table}` and will stay \
                 that way",
                counted(*rows, "row"),
                if *rows == 1 { "has" } else { "have" },
            ),
            Self::RunLeft { reason } => {
                write!(f, "the rows are in the table, but {reason}; the rest of the run can be discarded")
            }
        }
    }
}

/// Maximum number of ids or names in a warning, and of characters of each.
const NAMED_MAX: usize = 5;
const NAME_CHARS_MAX: usize = 80;

/// Quotes the first names of a list.
fn named(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMED_MAX).map(|name| quoted(name)).collect();
    if names.len() > NAMED_MAX {
        shown.push(format!("{} more", thousands((names.len() - NAMED_MAX) as u64)));
    }
    joined(&shown)
}

fn quoted(name: &str) -> String {
    if name.is_empty() { text::named(name) } else { format!("`{}`", excerpt(name, NAME_CHARS_MAX)) }
}

/// Joins parts of a sentence: `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// Describes the profiles that an update fetches.
fn fetched(all: bool) -> &'static str {
    if all { "all profiles" } else { "profiles seen since its newest one" }
}
