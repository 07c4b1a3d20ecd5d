//! `mp demo`: two fetches of profiles and one of events from a simulated Mixpanel, and some queries. Needs no account or
//! network, and leaves nothing behind unless `--keep` is given.

mod failed;
mod second_act;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Date;
use mixpanel_data::{
    Credentials, EventFetchResult, ProfileFetch, ProfileFetchResult, Region, Secret, SqlResult, Workspace,
};
use mixpanel_simulator::{Server, SimulatorConfig};
use serde_json::{Value, json};

use failed::fetch_failed;

use super::simulate::reference_time;
use super::temporary::temporary_directory;
use crate::cli::{DemoArgs, Format};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::format::print_result;
use crate::output::Escape;
use crate::progress::{Progress, Shown};
use crate::signals::Interrupts;
use crate::text::{counted, duration, shell_quoted, thousands};

const FILE: &str = "demo.db";
const PARALLEL: &str = "users";
const SEQUENTIAL: &str = "users_one_by_one";
const WORKERS: u32 = 5;

/// The queries on the fetched data, each with a heading.
const QUERIES: [(&str, &str); 3] = [
    (
        "What customers of each plan have spent so far",
        "SELECT properties->>'plan' AS plan, count(*) AS customers, \
         round(avg((properties->>'ltv')::DOUBLE), 2) AS average_ltv, \
         round(sum((properties->>'ltv')::DOUBLE))::BIGINT AS revenue \
         FROM users GROUP BY plan ORDER BY average_ltv DESC",
    ),
    (
        "Where they live",
        "SELECT properties->>'$.\"$country_code\"' AS country, count(*) AS customers, \
         round(100 * avg((properties->>'is_paying')::BOOLEAN::INTEGER), 1) AS paying_percent, \
         round(avg((properties->>'sessions')::INTEGER), 1) AS average_sessions \
         FROM users GROUP BY country ORDER BY customers DESC LIMIT 6",
    ),
    (
        "Who signed up in the last months, and how many came back in the last week",
        "SELECT strftime((properties->>'signup_date')::DATE, '%Y-%m') AS month, count(*) AS signups, \
         count(*) FILTER (last_seen > (SELECT max(last_seen) FROM users) - INTERVAL 7 DAY) AS seen_last_week \
         FROM users GROUP BY month ORDER BY month DESC LIMIT 6",
    ),
];

/// The size of the demo.
struct Size {
    profiles: u64,
    page_size: u32,
    /// The minimum latency per page and the maximum random addition.
    latency: (Duration, Duration),
    /// Whether the fetch time depends mostly on the latency, so that fetching in parallel saves time.
    is_comparable: bool,
}

const FULL: Size = Size {
    profiles: 25_000,
    page_size: 1_000,
    latency: (Duration::from_millis(350), Duration::from_millis(100)),
    is_comparable: true,
};
const FAST: Size = Size {
    profiles: 2_000,
    page_size: 200,
    latency: (Duration::from_millis(20), Duration::from_millis(5)),
    is_comparable: false,
};

/// The path of the database and whether it is kept.
struct Place {
    database: PathBuf,
    kept: bool,
    /// Removes the directory when dropped.
    _temporary: Option<tempfile::TempDir>,
}

/// Runs `mp demo`.
pub(crate) fn run(context: &Context, arguments: &DemoArgs) -> Result<Exit, Failure> {
    let size = if arguments.fast { FAST } else { FULL };
    let keep = arguments.keep.as_ref().map(|path| context.path(path)).transpose()?;
    let place = place(keep.as_deref())?;
    context.block_on(async {
        let interrupts = Interrupts::listen(&context.output, |_| "stopping; signal again to stop at once".to_owned())?;
        let shown = if arguments.no_progress { Shown::No } else { Shown::Yes };
        let today = arguments.today;
        let tour = Tour { context, size, today, place: &place, interrupts: &interrupts, shown };
        interrupts.settle(tour.take().await)
    })?;
    Ok(Exit::Success)
}

fn place(keep: Option<&Path>) -> Result<Place, Failure> {
    let Some(directory) = keep else {
        let temporary = temporary_directory("mp-demo-")?;
        return Ok(Place { database: temporary.path().join(FILE), kept: false, _temporary: Some(temporary) });
    };
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot use the directory `{}`", directory.display())).caused_by(&error)
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let directory = std::path::absolute(directory).map_err(failed)?;
    // A log or another file of a database that is gone would belong to the new one.
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(FILE) {
            return Err(Failure::new(format!("`{}` already exists", entry.path().display()))
                .hint("choose another directory with `--keep`"));
        }
    }
    let database = directory.join(FILE);
    Ok(Place { database, kept: true, _temporary: None })
}

struct Tour<'a> {
    context: &'a Context,
    size: Size,
    /// The day on which the data ends.
    today: Option<Date>,
    place: &'a Place,
    interrupts: &'a Interrupts,
    shown: Shown,
}

impl Tour<'_> {
    async fn take(&self) -> Result<(), Failure> {
        let server = self.start_simulator().await?;
        let workspace = self.workspace(&server)?;
        self.print_story(&format!(
            "A simulated Mixpanel is listening at {}:\n{}, {} per page, {} per response.\n",
            server.base_url(),
            counted(self.size.profiles, "profile"),
            thousands(u64::from(self.size.page_size)),
            about(self.size.latency),
        ))?;
        let sequential = self.fetch(&workspace, SEQUENTIAL, ProfileFetch::new(SEQUENTIAL)).await?;
        self.print_story(&format!("One page at a time:          {}", fetched(&sequential)))?;
        let parallel = ProfileFetch::new(PARALLEL).max_workers(WORKERS);
        let parallel = self.fetch(&workspace, PARALLEL, parallel).await?;
        self.print_story(&format!("Up to five pages at a time:  {}", fetched(&parallel)))?;
        self.check_same(&workspace)?;
        let speedup = self.size.is_comparable.then(|| seconds(&sequential) / seconds(&parallel));
        self.print_story(&match speedup {
            Some(speedup) => format!("{speedup:.1} times as fast, and the two tables hold the same profiles.\n"),
            None => "The two tables hold the same profiles. Responses as quick as with --fast leave little to\n\
                     wait for at the same time: run `mp demo` to compare the two.\n"
                .to_owned(),
        })?;
        let mut results = self.query(&workspace, &QUERIES)?;
        let days = (self.today, self.shown);
        let events = second_act::fetch(self.context, &workspace, days, self.interrupts).await?;
        server.shutdown().await;
        self.print_story(&second_act::fetched(&events))?;
        results.extend(self.query(&workspace, &second_act::QUERIES)?);
        if !self.is_story() {
            return self.report((&sequential, &parallel, speedup), &events, &results);
        }
        if self.place.kept {
            self.print_story(&self.next_steps())
        } else {
            self.print_story("The database was deleted; `mp demo --keep DIR` keeps it.\nFor your own data, start with `mp auth add`.")
        }
    }

    async fn start_simulator(&self) -> Result<Server, Failure> {
        let mut config = SimulatorConfig::default().with_profiles(self.size.profiles);
        config.page_size = self.size.page_size;
        config.reference_time = reference_time(self.today);
        (config.latency, config.jitter) = self.size.latency;
        let address = ([127, 0, 0, 1], 0).into();
        Server::start(config, address)
            .await
            .map_err(|error| Failure::new("could not start the simulator").caused_by(&error))
    }

    fn workspace(&self, server: &Server) -> Result<Workspace, Failure> {
        let failed = |error| Failure::library("could not set up the demo", &error);
        let SimulatorConfig { username, secret, project_id, .. } = SimulatorConfig::default();
        let credentials = Credentials::new(username, Secret::new(secret), project_id, Region::Us).map_err(failed)?;
        Workspace::new(credentials, &self.place.database).with_base_url(&server.base_url()).map_err(failed)
    }

    async fn fetch(
        &self,
        workspace: &Workspace,
        table: &str,
        fetch: ProfileFetch,
    ) -> Result<ProfileFetchResult, Failure> {
        let progress = Progress::begin(&self.context.output, format!("`{table}`"), self.shown);
        let fetch = fetch.cancel_with(self.interrupts.token()).on_event(progress.listener());
        let result = progress.watch(workspace.fetch_profiles(fetch)).await;
        let result = result.map_err(|error| fetch_failed("profiles", table, &error))?;
        if result.has_failures() {
            return Err(Failure::new("pages from the simulator failed unexpectedly"));
        }
        Ok(result)
    }

    fn check_same(&self, workspace: &Workspace) -> Result<(), Failure> {
        let difference = format!(
            "SELECT count(*) FROM ((FROM {PARALLEL} EXCEPT ALL FROM {SEQUENTIAL}) UNION ALL \
             (FROM {SEQUENTIAL} EXCEPT ALL FROM {PARALLEL}))"
        );
        let failed = |error| Failure::library("could not compare the two tables", &error);
        match workspace.sql_scalar(&difference).map_err(failed)?.as_u64() {
            Some(0) => Ok(()),
            different => Err(Failure::new("the two tables differ")
                .hint(format!("this is a bug: please report it ({different:?} rows differ)"))),
        }
    }

    fn query(&self, workspace: &Workspace, queries: &[(&str, &str)]) -> Result<Vec<SqlResult>, Failure> {
        let mut results = Vec::new();
        for (heading, query) in queries {
            let result = workspace.sql(query).map_err(|error| Failure::library("could not run a query", &error))?;
            if self.is_story() {
                self.print_story(&format!("{heading}:"))?;
                print_result(&self.context.output, &result)?;
                self.print_story("")?;
            }
            results.push(result);
        }
        Ok(results)
    }

    /// Returns whether the demo prints prose, which is the default.
    fn is_story(&self) -> bool {
        matches!(self.context.chosen_format, None | Some(Format::Table))
    }

    fn print_story(&self, text: &str) -> Result<(), Failure> {
        if !self.is_story() {
            return Ok(());
        }
        let mut data = self.context.output.data(Escape::Text);
        data.line(text)?;
        data.finish()
    }

    fn report(
        &self,
        (sequential, parallel, speedup): (&ProfileFetchResult, &ProfileFetchResult, Option<f64>),
        events: &EventFetchResult,
        results: &[SqlResult],
    ) -> Result<(), Failure> {
        let queries = QUERIES.iter().chain(&second_act::QUERIES).zip(results).map(|((heading, query), result)| {
            let rows: Vec<Value> = result
                .rows
                .iter()
                .map(|row| {
                    result.columns.iter().cloned().zip(row.iter().cloned()).collect::<serde_json::Map<_, _>>().into()
                })
                .collect();
            json!({ "heading": heading, "query": query, "rows": rows })
        });
        let database = self.place.kept.then(|| self.place.database.display().to_string());
        self.context.print(json!({
            "profiles": parallel.rows(),
            "sequential_seconds": seconds(sequential),
            "parallel_seconds": seconds(parallel),
            "speedup": speedup,
            "events": events.rows(),
            "events_seconds": events.duration().as_secs_f64(),
            "queries": queries.collect::<Vec<_>>(),
            "database": database,
        }))
    }

    fn next_steps(&self) -> String {
        let program = self.context.environment().program();
        let program = shell_quoted(if program.contains('/') { program } else { "mp" });
        let path = self.place.database.display().to_string();
        let database = shell_quoted(&path);
        let query = QUERIES[0].1.replace('"', "\\\"");
        format!(
            "The database was kept. Explore it with:\n\n  \
             {program} inspect tables --db {database} --format table\n  \
             {program} inspect sample --db {database} --table {PARALLEL} --rows 1\n  \
             {program} query sql --db {database} --format table \"{query}\"\n"
        )
    }
}

fn seconds(result: &ProfileFetchResult) -> f64 {
    match result {
        ProfileFetchResult::Sequential(result) => result.duration_seconds,
        ProfileFetchResult::Parallel(result) => result.duration_seconds,
    }
}

fn fetched(result: &ProfileFetchResult) -> String {
    let time = Duration::try_from_secs_f64(seconds(result)).unwrap_or_default();
    let requests = result.counts().requests;
    format!("{} with {} in {}", counted(result.rows(), "profile"), counted(requests, "request"), duration(time))
}

fn about((least, extra): (Duration, Duration)) -> String {
    format!("about {} ms", (least + extra / 2).as_millis())
}
