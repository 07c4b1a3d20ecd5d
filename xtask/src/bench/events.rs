//! Benchmarks `mp fetch events`, refreshing a table, and a funnel.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::alone::Alone;
use super::event_scenario::{DAYS, DAYS_PER_REQUEST, REFRESHED, SLOW_DAYS, SLOW_LATENCY, SLOW_WORKERS};
use super::fetches::{make_empty, remove, size};
use super::results::EventResults;
use super::run::{self, Run, Runs, cpu_of};
use super::scenario::{Extent, grouped};
use super::simulator::Simulator;
use crate::failure::Failure;

/// The events per day that the simulator is asked for, which make about 10 million events in [`DAYS`] days, because its
/// first years have fewer users. The second number makes three times as many.
const PER_DAY: u64 = 38_000;
const PER_DAY_LARGE: u64 = 3 * PER_DAY;

/// Loads the lines of exports from a JSONL file. `mp` also removes duplicates and what is stored in other columns from
/// the properties; this SQL only copies.
const FROM_JSONL: [&str; 3] = [
    "CREATE TABLE events (event_name VARCHAR, event_time TIMESTAMP, distinct_id VARCHAR, insert_id VARCHAR,
         properties JSON)",
    r#"INSERT INTO events SELECT json->>'$.event', make_timestamp_ms(CAST(json->'$.properties.time' AS BIGINT)),
           json->>'$.properties.distinct_id', json->>'$.properties."$insert_id"', json->'$.properties'
       FROM read_json_objects('events.jsonl', format = 'newline_delimited')"#,
    "CHECKPOINT",
];

/// A funnel over most of the events.
const FUNNEL: &str = "SELECT * FROM mp_funnel(['App Open', 'View Item', 'Purchase'], INTERVAL 7 DAY)";

/// Measures everything about events.
pub(super) fn measure(alone: &Alone<'_>, extent: Extent) -> Result<EventResults, Failure> {
    let bench = Bench { alone, count: extent.repeats() };
    let mut results = EventResults::default();
    let simulator = bench.simulator(PER_DAY, Duration::ZERO)?;
    let (events, duckdb) = bench.lines_alone(&simulator)?;
    let all = bench.fetch_all(&simulator, bench.count, events)?;
    (results.events, results.alone, results.all) = (events, duckdb, Some(all));
    let [few, few_again, refreshed] = bench.refresh(&simulator)?;
    (results.few, results.few_again, results.refreshed) = (Some(few), Some(few_again), Some(refreshed));
    results.funnel = Some(bench.funnel(&simulator)?);
    drop(simulator);
    if extent == Extent::Full {
        let simulator = bench.simulator(PER_DAY_LARGE, Duration::ZERO)?;
        let counted = bench.count_lines(&simulator)?;
        results.large = Some((counted, bench.fetch_all(&simulator, 1, counted)?));
    }
    results.slow = Some(bench.slow()?);
    remove(&bench.directory("events"))?;
    Ok(results)
}

struct Bench<'a> {
    alone: &'a Alone<'a>,
    count: usize,
}

impl Bench<'_> {
    /// Starts a server whose responses are not compressed.
    fn simulator(&self, per_day: u64, latency: Duration) -> Result<Simulator, Failure> {
        let words = format!("per-day={per_day} gzip-threshold={} per-second=off clean", u32::MAX);
        let latency = format!("{}ms", latency.as_millis());
        let options =
            ["--quota", "off", "--export-quota", "off", "--active", "0", "--latency", &latency, "--events", &words];
        self.alone.fetches.simulator(&options.map(str::to_owned))
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.alone.fetches.directory.join(name)
    }

    /// Returns an `mp fetch events` command for a database, with the option that allows as many requests as wanted.
    fn fetch(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.alone.fetches.mp(simulator, database);
        command.args(["fetch", "events", "--no-progress", "--quiet", "--parallel", "--quota", "10000/60s"]);
        command
    }

    /// Returns the same for all days.
    fn fetch_days(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.fetch(simulator, database);
        command.args(["--from", &format!("{DAYS}d"), "--to", "yesterday"]);
        command.args(["--chunk-days", &DAYS_PER_REQUEST.to_string()]);
        command
    }

    /// Loads the lines of all days with DuckDB alone. Returns the number of lines, too.
    fn lines_alone(&self, simulator: &Simulator) -> Result<(u64, Option<Runs>), Failure> {
        let directory = self.directory("jsonl");
        make_empty(&directory)?;
        let file = directory.join("events.jsonl");
        let cannot = |error| Failure::new(format!("cannot write {}: {error}", file.display()));
        let lines = File::create(&file).map_err(cannot)?;
        let mut command = self.fetch_days(simulator, &directory.join("x.db"));
        command.args(["--stdout", "--raw"]).stdout(lines.try_clone().map_err(cannot)?);
        run::timed(command, 0)?;
        lines.sync_all().map_err(cannot)?;
        let reader = BufReader::with_capacity(1 << 20, File::open(&file).map_err(cannot)?);
        let events = count_lines(reader).map_err(cannot)?;
        let what = format!("DuckDB alone, {} events from JSONL", grouped(events));
        let by_duckdb = |program: &Path| {
            Runs::of(&what, self.count, || self.alone.by_duckdb(program, &FROM_JSONL, &directory, events))
        };
        let runs = self.alone.duckdb.as_deref().map(by_duckdb).transpose()?;
        remove(&directory)?;
        Ok((events, runs))
    }

    /// Counts the lines of all days without storing them.
    fn count_lines(&self, simulator: &Simulator) -> Result<u64, Failure> {
        let directory = self.directory("jsonl");
        make_empty(&directory)?;
        let mut command = self.fetch_days(simulator, &directory.join("x.db"));
        let cannot = |error| Failure::new(format!("cannot run mp: {error}"));
        let mut child = command.args(["--stdout", "--raw"]).stderr(Stdio::null()).spawn().map_err(cannot)?;
        let stdout = child.stdout.take().expect("it was made a pipe");
        let lines = count_lines(BufReader::with_capacity(1 << 20, stdout)).map_err(cannot)?;
        let status = child.wait().map_err(cannot)?;
        if status.success() { Ok(lines) } else { Err(Failure::new(format!("mp exited with {status}"))) }
    }

    /// Fetches all days into a new database, and leaves the last one.
    fn fetch_all(&self, simulator: &Simulator, count: usize, events: u64) -> Result<Runs, Failure> {
        let database = self.directory("events").join("x.db");
        Runs::of(&format!("{} events", grouped(events)), count, || {
            make_empty(&self.directory("events"))?;
            let simulator_used = || simulator.pid().and_then(cpu_of);
            let before = simulator_used();
            let (run, printed) = run::timed(self.fetch_days(simulator, &database), 0)?;
            let simulator_cpu = before.zip(simulator_used()).map(|(before, after)| after.saturating_sub(before));
            check(&printed, events)?;
            Ok(Run { simulator_cpu, database: size(&database)?, ..run })
        })
    }

    /// Fetches the last days into a new database, again into the same table, and into the table of all days, in turn.
    fn refresh(&self, simulator: &Simulator) -> Result<[Runs; 3], Failure> {
        let (few, all) = (self.directory("few").join("x.db"), self.directory("events").join("x.db"));
        let days = format!("{REFRESHED}d");
        let in_one = (REFRESHED + 1).to_string();
        let fetch = |database: &Path, days: &[&str]| {
            let mut command = self.fetch(simulator, database);
            command.args(["--chunk-days", &in_one]).args(days);
            run::timed(command, 0)
        };
        let mut runs = [(); 3].map(|()| Vec::new());
        for _ in 0..self.count {
            make_empty(&self.directory("few"))?;
            let (new, printed) = fetch(&few, &["--from", &days, "--to", "today"])?;
            let events = received(&printed)?;
            runs[0].push(new);
            for (place, database) in [(1, &few), (2, &all)] {
                let (replaced, printed) = fetch(database, &["--since", &days])?;
                check(&printed, events)?;
                runs[place].push(replaced);
            }
        }
        remove(&self.directory("few"))?;
        Ok(runs.map(Runs))
    }

    fn funnel(&self, simulator: &Simulator) -> Result<Runs, Failure> {
        let database = self.directory("events").join("x.db");
        Runs::of("funnel", self.count, || {
            let mut command = self.alone.fetches.mp(simulator, &database);
            command.args(["query", "sql", FUNNEL, "--format", "json"]);
            let (run, printed) = run::timed(command, 0)?;
            let steps: Value = serde_json::from_str(&printed).unwrap_or_default();
            if steps.as_array().is_some_and(|steps| steps.len() == 3 && steps[2]["users"].as_u64() > Some(0)) {
                return Ok(run);
            }
            Err(Failure::new(format!("the funnel has no users: {}", printed.trim())))
        })
    }

    /// Fetches a day per request from a server that sends its first byte late.
    fn slow(&self) -> Result<Runs, Failure> {
        let simulator = self.simulator(1_000, SLOW_LATENCY)?;
        Runs::of("events from a slow server", self.count, || {
            make_empty(&self.directory("slow"))?;
            let mut command = self.fetch(&simulator, &self.directory("slow").join("x.db"));
            command.args(["--from", &format!("{SLOW_DAYS}d"), "--to", "yesterday", "--chunk-days", "1"]);
            command.args(["--workers", &SLOW_WORKERS.to_string()]);
            let (run, printed) = run::timed(command, 0)?;
            if received(&printed)? == 0 {
                return Err(Failure::new("the slow server sent no events"));
            }
            Ok(run)
        })
    }
}

fn count_lines(mut lines: impl BufRead) -> io::Result<u64> {
    let mut count = 0;
    loop {
        let bytes = lines.fill_buf()?;
        if bytes.is_empty() {
            return Ok(count);
        }
        count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = bytes.len();
        lines.consume(length);
    }
}

/// Returns the number of events that a fetch received, according to its result.
fn received(printed: &str) -> Result<u64, Failure> {
    let result: Value = serde_json::from_str(printed).unwrap_or_default();
    let events = result["received"].as_u64().filter(|_| result["has_failures"] == false);
    events.ok_or_else(|| Failure::new(format!("mp printed an unexpected result: {}", printed.trim())))
}

fn check(printed: &str, expected: u64) -> Result<(), Failure> {
    let result: Value = serde_json::from_str(printed).unwrap_or_default();
    let (received, rows) = (received(printed)?, result["rows"].as_u64());
    if received == expected && rows == Some(expected) {
        return Ok(());
    }
    Err(Failure::new(format!("there are {} events, but mp stored {rows:?}", grouped(expected)))
        .hint("the result is wrong; find the bug with `cargo xtask check`"))
}
