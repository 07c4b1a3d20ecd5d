//! How long `mp` takes before it does anything, and what is measured once a million profiles are in a database.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::fetches::{self, Fetches};
use super::process;
use super::run::Measured;
use super::scenario::Scenario;
use crate::failure::Failure;

/// How many times `mp --version` is run, and how many times a query.
const STARTS: usize = 20;
const QUERIES: usize = 5;

/// The option that limits memory, and the limit that is tried.
pub(super) const MEMORY: [&str; 2] = ["--memory", "256MB"];

/// What makes of a million profiles a database of about 1 GB.
const GROW: [&str; 3] =
    ["CREATE TABLE again AS FROM profiles", "CREATE TABLE once_more AS FROM profiles", "CHECKPOINT"];

/// A query on a large database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    /// The median time.
    pub(super) wall: Duration,
    /// Size of the database, in bytes.
    pub(super) database: u64,
}

/// Measures `mp --version`; returns the median.
pub(super) fn version(fetches: &Fetches<'_>) -> Result<Duration, Failure> {
    let wall = median(STARTS, || {
        let mut command = fetches.bare(fetches.folder);
        command.arg("--version");
        Ok(process::quick(command)?.0)
    })?;
    eprintln!("bench: mp --version: {:.1} ms", wall.as_secs_f64() * 1e3);
    Ok(wall)
}

/// Measures the smallest query on the database of a million, which `duckdb-alone` makes larger before.
pub(super) fn query(fetches: &Fetches<'_>, database: &Path, duckdb: Option<&Path>) -> Result<Query, Failure> {
    if let Some(program) = duckdb {
        let mut command = fetches.cargo.linked(program);
        command.arg(database).args(GROW).stdin(Stdio::null());
        process::quick(command)?;
    }
    let wall = median(QUERIES, || {
        let mut command = fetches.bare(fetches.folder);
        command.arg("--db").arg(database).args(["query", "sql", "select 1"]);
        Ok(process::quick(command)?.0)
    })?;
    eprintln!("bench: mp query sql 'select 1': {:.1} ms", wall.as_secs_f64() * 1e3);
    Ok(Query { wall, database: fetches::size(database)? })
}

/// Fetches the million with little memory, if `mp` can do that.
pub(super) fn limited(fetches: &Fetches<'_>, count: usize) -> Result<Option<Measured>, Failure> {
    let mut command = fetches.bare(fetches.folder);
    command.args(["fetch", "profiles", "--help"]);
    let (_, help) = process::quick(command)?;
    if !offers(&help, MEMORY[0]) {
        eprintln!("bench: this mp has no {}, so that is not measured", MEMORY[0]);
        return Ok(None);
    }
    fetches.measure(Scenario::million(), count, &MEMORY).map(Some)
}

/// Whether a help text names an option.
fn offers(help: &str, option: &str) -> bool {
    help.split_whitespace().any(|word| word == option)
}

fn median(count: usize, mut once: impl FnMut() -> Result<Duration, Failure>) -> Result<Duration, Failure> {
    let mut times = (0..count).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times[(times.len() - 1) / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_known_by_its_whole_name() {
        assert!(offers("  --memory <SIZE>\n      Use at most", "--memory"));
        assert!(!offers("  --memory-of-old <N>  forgets\n", "--memory"));
    }

    #[test]
    fn the_median_is_the_time_in_the_middle() {
        let mut times = [9, 1, 5, 3].into_iter();
        let median = median(4, || Ok(Duration::from_secs(times.next().unwrap()))).unwrap();
        assert_eq!(median, Duration::from_secs(3));
    }
}
