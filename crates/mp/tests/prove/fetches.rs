//! Disturbed fetches, and the invariants checked after each.

mod events;
mod kind;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mixpanel_simulator::SimulatorConfig;
use serde_json::Value;

use crate::support::{Home, Run, Simulator};
use crate::tools::{finish, mode};
use events::PROJECT;

pub(crate) use kind::Kind;

/// The filter for the profiles that are in the table before the fetch.
const SOME: &str = r#"properties["plan"] == "enterprise""#;

/// A digest of a table: its rows, distinct ids and an order-independent checksum of all columns.
const DIGEST: &str = "SELECT count(*)::VARCHAR || ' rows, ' || count(DISTINCT distinct_id) || ' ids, sum ' ||
    coalesce(sum(hash(distinct_id, properties::VARCHAR, last_seen::VARCHAR)::HUGEINT), 0) FROM ";

/// Starts a server with 24 pages, the last one half full. Fetching them takes about half a second.
pub(crate) fn server() -> Simulator {
    let latency = Duration::from_millis(15);
    let config = SimulatorConfig { page_size: 100, latency, quota: None, ..SimulatorConfig::default() };
    Simulator::start(config.with_profiles(2_350))
}

/// The digest of a table; `None` if there is no table.
pub(crate) type Table = Option<String>;

/// The result of undisturbed fetches.
pub(crate) struct Undisturbed {
    home: Home,
    old: Table,
    /// The table after a fetch of any kind: the old rows are a subset of the new ones.
    pub(crate) after: Table,
    /// The duration of the slowest fetch.
    pub(crate) takes: Duration,
}

impl Undisturbed {
    /// Fetches profiles.
    pub(crate) fn fetch() -> Self {
        let simulator = server();
        // `Home::run` compares the table with what the server sent.
        let whole = Home::new().with_server(&simulator);
        let _fetched = whole.run(&Kind::New.fetch()).exits(0);
        let home = Home::new().with_server(&simulator);
        let _some = home.run(&["fetch", "profiles", "--parallel", "--where", SOME]).exits(0);
        let old = table(&home);
        let undisturbed = Self { home, old, after: table(&whole), takes: Duration::ZERO };
        undisturbed.measure(&Kind::PROFILES)
    }

    /// Fetches events. The settled days of the old table are those of the new one. The tables must equal the simulator's
    /// own reference.
    pub(crate) fn fetch_events() -> Self {
        let (now, earlier) = (PROJECT.server(1), PROJECT.server(0));
        let home = Home::new().with_server(&now);
        let range = ["fetch", "events", "--parallel", "--from"];
        let settled = [&range[..], &[&PROJECT.first, "--to", &PROJECT.last_settled]].concat();
        let _settled = home.run(&settled).exits(0);
        let home = home.with("MP_BASE_URL", &earlier.base_url());
        let open = [&range[..], &[&PROJECT.first_open, "--to", &PROJECT.today, "--append"]].concat();
        let _open = home.run(&open).exits(0);
        let (old, after) = (PROJECT.expected(0), PROJECT.expected(1));
        assert_eq!(events::table(&home).as_ref(), Some(&old));
        assert_ne!(old, after, "no event has changed");
        let undisturbed = Self { home, old: Some(old), after: Some(after), takes: Duration::ZERO };
        undisturbed.measure(&Kind::EVENTS)
    }

    /// Measures fetches of these kinds, which must have the same result.
    fn measure(mut self, kinds: &[Kind]) -> Self {
        for kind in kinds {
            let simulator = kind.server();
            let home = self.begin(*kind, &simulator);
            let (settled, requests) = (kind.not_to_request(&home), Requests::to(&simulator));
            let begun = Instant::now();
            let _fetched = finish(home.command(&kind.fetch())).exits(0);
            self.takes = self.takes.max(begun.elapsed());
            requests.check(&settled);
            assert_eq!(kind.table(&home), self.after, "{kind:?}");
        }
        self
    }

    /// Checks that each day of a table of events has its old rows or its new ones.
    pub(crate) fn check_days(&self, kind: Kind, found: &Table) {
        if let (true, Some(found), Some(new)) = (kind.is_of_events(), found, &self.after) {
            events::check_days(found, self.before(kind).as_deref().unwrap_or_default(), new);
        }
    }

    /// Returns a home with the initial database for this kind of fetch.
    pub(crate) fn begin(&self, kind: Kind, simulator: &Simulator) -> Home {
        let home = Home::new().with_server(simulator);
        self.put_old(kind, &home);
        home
    }

    /// Copies the old database into a home, if this kind of fetch needs one.
    pub(crate) fn put_old(&self, kind: Kind, home: &Home) {
        let database = home.database();
        fs::create_dir_all(database.parent().expect("a directory")).expect("a directory");
        if !kind.is_new() {
            fs::copy(self.home.database(), database).expect("a copy");
        }
    }

    pub(crate) fn old_size(&self, kind: Kind) -> u64 {
        if kind.is_new() { 0 } else { fs::metadata(self.home.database()).expect("the database").len() }
    }

    pub(crate) fn before(&self, kind: Kind) -> Table {
        self.old.clone().filter(|_| !kind.is_new())
    }
}

/// Returns the digest of the table, read with `mp query sql`.
pub(crate) fn table(home: &Home) -> Table {
    digest(home, "profiles")
}

fn digest(home: &Home, name: &str) -> Table {
    if !home.database().exists() {
        return None;
    }
    let run = home.run(&["query", "sql", &format!("{DIGEST}{name}"), "--scalar", "-f", "plain"]);
    if run.stderr.contains("does not exist") || run.stderr.contains("no table") {
        return None;
    }
    Some(run.exits(0).stdout.trim().to_owned())
}

/// Checks that a table has this many rows, each with a different id.
pub(crate) fn check_rows(home: &Home, name: &str, rows: u64) {
    let found = digest(home, name).expect("a table");
    assert!(found.starts_with(&format!("{rows} rows, {rows} ids,")), "{name} has {found} instead of {rows} rows");
}

/// Returns the directory of all stages of a home's database.
fn stages(home: &Home) -> PathBuf {
    let mut name = home.database().into_os_string();
    name.push(".stage");
    name.into()
}

/// Returns the directories of the unfinished runs, and whether a run is partly removed.
fn runs(home: &Home) -> (BTreeMap<String, PathBuf>, bool) {
    let (removed, runs): (Vec<_>, Vec<_>) =
        entries(&stages(home)).into_iter().partition(|(name, _)| name.starts_with('.'));
    (runs.into_iter().collect(), !removed.is_empty())
}

/// Returns the staged pages of a run's newest session, or the numbers of the staged slices.
fn pages(run: &Path) -> BTreeSet<u64> {
    let generation = |name: &str| name.strip_prefix("generation-")?.parse::<u64>().ok();
    let newest = entries(run).into_iter().filter_map(|(name, path)| Some((generation(&name)?, path))).max();
    let files = newest.map(|(_, newest)| entries(&newest)).unwrap_or_default();
    // A checksum follows the page number.
    let page = |name: &str| name.strip_prefix("page-")?.strip_suffix(".parquet")?.split('-').next()?.parse().ok();
    files.iter().filter_map(|(name, _)| page(name)).collect()
}

fn entries(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
}

/// Returns the names of all staged pages, and the staged days.
pub(crate) fn staged(home: &Home) -> BTreeSet<String> {
    runs(home).0.values().flat_map(|run| staged_of(run)).collect()
}

fn staged_of(run: &Path) -> Vec<String> {
    let pages = pages(run);
    if pages.is_empty() {
        return Vec::new();
    }
    let manifest = fs::read(run.join("manifest.json")).expect("a manifest");
    let plan = events::plan(&serde_json::from_slice(&manifest).expect("JSON"));
    let names = |page: u64| match plan.is_empty() {
        true => vec![page_name(page)],
        false => plan[usize::try_from(page).expect("a few")].clone(),
    };
    pages.into_iter().flat_map(names).collect()
}

fn page_name(page: u64) -> String {
    format!("page {page}")
}

/// Checks that only the user can read the database and its stages. DuckDB creates a new database with default permissions,
/// so the private directory in which it does so is not looked into.
pub(crate) fn check_private(home: &Home) {
    let database = home.database();
    let base = database.file_name().expect("a name").to_string_lossy().into_owned();
    let beside = entries(database.parent().expect("a directory"));
    let mut left: Vec<PathBuf> =
        beside.into_iter().filter(|(name, _)| name.starts_with(&base)).map(|(_, path)| path).collect();
    while let Some(path) = left.pop() {
        assert_eq!(mode(&path) & 0o077, 0, "others can read {}", path.display());
        let inner = entries(&path).into_iter().map(|(_, path)| path);
        let is_for_new_database =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".mixpanel-data-"));
        left.extend(inner.filter(|_| !is_for_new_database));
    }
}

/// An unfinished run, as `mp fetch status` lists it.
pub(crate) struct Unfinished {
    run_id: String,
    pages_done: u64,
    is_resumable: bool,
}

/// Lists the unfinished runs, and checks the output of `mp fetch status` against the files.
pub(crate) fn unfinished(home: &Home) -> Vec<Unfinished> {
    let list = home.run(&["fetch", "status", "-f", "json"]).exits(0).json();
    let read = |record: &Value| {
        assert!(record["held_by"].is_null(), "a dead process works on a run: {record}");
        Unfinished {
            run_id: record["run_id"].as_str().expect("an id").to_owned(),
            pages_done: record["pages_done"].as_u64().expect("a number"),
            is_resumable: record["resume_command"].is_string(),
        }
    };
    let runs_told: Vec<Unfinished> = list.as_array().expect("a list").iter().map(read).collect();
    let told: BTreeMap<String, u64> = runs_told.iter().map(|run| (run.run_id.clone(), run.pages_done)).collect();
    let found: BTreeMap<String, u64> =
        runs(home).0.into_iter().map(|(id, path)| (id, pages(&path).len() as u64)).collect();
    assert_eq!(told, found, "`mp fetch status` says the one, and the other is there");
    runs_told
}

/// Returns whether there is a run that can be resumed.
pub(crate) fn can_resume(home: &Home) -> bool {
    unfinished(home).iter().any(|run| run.is_resumable)
}

/// Discards the runs that cannot be resumed because they were killed before they wrote their manifest.
pub(crate) fn discard_unusable(home: &Home) {
    for run in unfinished(home).iter().filter(|run| !run.is_resumable) {
        assert_eq!(run.pages_done, 0, "run {} has pages and cannot be resumed", run.run_id);
        let _discarded = home.run(&["fetch", "discard", "--run", &run.run_id, "--force"]).exits(0);
    }
}

/// The requests that a simulator receives from now on.
pub(crate) struct Requests<'a> {
    simulator: &'a Simulator,
    before: BTreeMap<String, u64>,
}

impl<'a> Requests<'a> {
    pub(crate) fn to(simulator: &'a Simulator) -> Self {
        Self { simulator, before: hits(simulator) }
    }

    /// Checks that no staged page or day was requested, and no other one more than once.
    pub(crate) fn check(&self, staged: &BTreeSet<String>) {
        for (name, hits) in hits(self.simulator) {
            let hits = hits - self.before.get(&name).copied().unwrap_or(0);
            assert!(hits == 0 || !staged.contains(&name), "{name} was staged or settled, and was requested again");
            assert!(hits <= 1, "{name} was requested {hits} times");
        }
    }
}

/// Returns how often each page and each day of events was requested.
fn hits(simulator: &Simulator) -> BTreeMap<String, u64> {
    let stats = simulator.stats();
    let mut names: BTreeMap<String, u64> =
        stats.hits_per_page.iter().map(|(page, hits)| (page_name(*page), *hits)).collect();
    for (slice, hits) in &stats.export.hits_per_slice {
        for day in events::days_of_slice(slice) {
            *names.entry(day).or_default() += hits;
        }
    }
    names
}

/// Runs a command that completes the fetch. It must request only the missing pages or days, and leave the expected table
/// and no unfinished run.
pub(crate) fn complete(
    home: &Home,
    simulator: &Simulator,
    kind: Kind,
    expected: &Table,
    command: impl FnOnce() -> Run,
) {
    let (staged, requests) = (staged(home), Requests::to(simulator));
    let _completed = command().exits(0);
    requests.check(&staged);
    assert_eq!(kind.table(home), *expected);
    assert!(unfinished(home).is_empty(), "runs are unfinished after the end");
}

/// Completes a failed fetch with the command from its hint, or starts again if nothing was staged.
pub(crate) fn resume_from_hint(home: &Home, simulator: &Simulator, kind: Kind, failed: &Run, after: &Table) {
    if !staged(home).is_empty() {
        return complete(home, simulator, kind, after, || home.shell(&failed.resume_command()));
    }
    for run in unfinished(home) {
        let _discarded = home.run(&["fetch", "discard", "--run", &run.run_id, "--force"]).exits(0);
    }
    if kind.table(home) != *after {
        complete(home, simulator, kind, after, || home.run(&kind.fetch()));
    }
}

/// Returns whether a process was killed while it removed a stage.
pub(crate) fn has_partial_removal(home: &Home) -> bool {
    runs(home).1
}

/// Checks that there is no stage left.
pub(crate) fn check_no_stage(home: &Home) {
    assert!(!stages(home).exists(), "what a killed process was removing is still there after another fetch");
}
