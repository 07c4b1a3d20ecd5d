//! `mp simulate`: a simulated Mixpanel on this machine, for experiments and tests.

mod child;

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use mixpanel_simulator::{EventClock, Fault, ProfileSource, Records, Server, SessionPages, SimulatorConfig, Stats};
use serde_json::json;

use super::temporary::temporary_directory;
use crate::cli::{Format, SimulateArgs};
use crate::context::Context;
use crate::env::{MP_BASE_URL, MP_HOME, MP_PROJECT_ID, MP_REGION, MP_SECRET, MP_USERNAME};
use crate::failure::{Exit, Failure};
use crate::output::Escape;
use crate::signals::Interrupts;
use crate::streams::Stdin;
use crate::text::{counted, shell_quoted};

/// The port without a command, so that the address can be used before the simulator starts.
const PORT: u16 = 8080;

/// Runs `mp simulate` until the command ends, or without a command until it is interrupted.
pub(crate) fn run(context: &Context, mut arguments: SimulateArgs) -> Result<Exit, Failure> {
    let command = std::mem::take(&mut arguments.command);
    if !command.is_empty() && (context.chosen_format.is_some() || context.output.jq().is_some()) {
        return Err(Failure::usage("`--format` and `--jq` have no effect on the output of a command")
            .hint("put the options after the command, as in `mp simulate -- mp inspect tables --format table`"));
    }
    let port = if command.is_empty() { PORT } else { 0 };
    let address = arguments.addr.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let path = |path: Option<PathBuf>| path.map(|path| context.path(&path)).transpose();
    let (file, faults) = (path(arguments.file.clone())?, path(arguments.faults.clone())?);
    let config = config(SimulateArgs { file, faults, ..arguments })?;
    let home = temporary_directory("mp-simulate-")?;
    let variables = |base_url: String| {
        [
            (MP_BASE_URL, base_url),
            (MP_USERNAME, config.username.clone()),
            (MP_SECRET, config.secret.clone()),
            (MP_PROJECT_ID, config.project_id.clone()),
            (MP_REGION, "us".to_owned()),
            (MP_HOME, home.path().display().to_string()),
        ]
    };
    context.block_on(async {
        if !command.is_empty() {
            let server = start(config.clone(), address).await?;
            let exit = child::run(&command, &variables(server.base_url())).await;
            server.shutdown().await;
            return exit;
        }
        let interrupts = Interrupts::listen(&context.output, |_| "stopping".to_owned())?;
        let server = start(config.clone(), address).await?;
        print_variables(context, &variables(server.base_url()))?;
        context.output.note(
            "the simulator runs until Ctrl-C, and MP_HOME is deleted then; set the variables above in the shell that uses it",
        );
        interrupts.token().cancelled().await;
        let stats = server.stats();
        server.shutdown().await;
        context.output.note(&summary(&stats));
        Ok(interrupts.exit().unwrap_or(Exit::Success))
    })
}

/// Returns the time at which generated data ends: noon of the day, or now.
pub(super) fn reference_time(today: Option<Date>) -> Timestamp {
    let noon = today.and_then(|day| day.at(12, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).ok());
    noon.map_or_else(Timestamp::now, |noon| noon.timestamp())
}

async fn start(config: SimulatorConfig, address: SocketAddr) -> Result<Server, Failure> {
    Server::start(config, address).await.map_err(|error| {
        Failure::new("could not start the simulator")
            .caused_by(&error)
            .hint("choose another address with `--addr`; `--addr 127.0.0.1:0` picks a free port")
    })
}

fn print_variables(context: &Context, variables: &[(&str, String)]) -> Result<(), Failure> {
    if matches!(context.chosen_format, Some(Format::Json | Format::Jsonl)) {
        let fields = variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        return context.print(fields.collect::<serde_json::Map<_, _>>().into());
    }
    let mut data = context.output.data(Escape::Text);
    for (name, value) in variables {
        data.line(&format!("export {name}={}", shell_quoted(value)))?;
    }
    data.finish()
}

fn summary(stats: &Stats) -> String {
    let (refused, export) = (stats.too_many_requests, &stats.export);
    let refused = refused.hourly + refused.concurrency + refused.load_shed + refused.body_only;
    let refused = refused + export.refused_hourly + export.refused_per_second + export.refused_concurrency;
    format!(
        "{} answered, {} counted, {refused} refused with 429, {} applied, at most {} at once",
        counted(stats.requests, "request"),
        stats.counted_requests + export.counted_requests,
        counted(stats.faults_applied, "fault"),
        stats.max_concurrency.max(export.max_concurrency),
    )
}

fn config(arguments: SimulateArgs) -> Result<SimulatorConfig, Failure> {
    let SimulateArgs {
        profiles,
        file,
        seed,
        latency,
        jitter,
        page_size,
        quota,
        count_session_pages,
        fault,
        faults,
        today,
        active,
        export_quota,
        events,
        export_fault,
        ..
    } = arguments;
    let mut config = SimulatorConfig { seed, latency, jitter, page_size, quota: quota.0, ..SimulatorConfig::default() };
    config.reference_time = reference_time(today);
    config.active_per_minute = active;
    config.events.clock = if active > 0 { EventClock::Running } else { EventClock::Frozen };
    config.export_quota = export_quota.0;
    config.export_faults = export_fault;
    events.iter().for_each(|words| words.apply(&mut config));
    config.profiles = match file {
        Some(file) => ProfileSource::Records(Arc::new(records(&file)?)),
        None => ProfileSource::Generated(profiles),
    };
    if count_session_pages {
        config.session_pages = SessionPages::Counted;
    }
    config.faults = fault;
    if let Some(file) = faults {
        config.faults.extend(read_faults(&file)?);
    }
    Ok(config)
}

fn records(file: &Path) -> Result<Records, Failure> {
    let records = if file == Path::new("-") {
        Records::read(BufReader::new(Stdin))
    } else if file.is_dir() {
        let problem = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(Failure::usage(format!("cannot serve `{}`", file.display())).caused_by(&problem));
    } else {
        Records::read(BufReader::new(File::open(file).map_err(|error| unreadable(file, &error))?))
    };
    records.map_err(|error| Failure::usage(format!("cannot serve `{}`", file.display())).caused_by(&error))
}

fn read_faults(file: &Path) -> Result<Vec<Fault>, Failure> {
    let mut text = String::new();
    let read = File::open(file).and_then(|mut file| file.read_to_string(&mut text));
    read.map_err(|error| unreadable(file, &error))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("cannot parse the faults in `{}`", file.display()))
            .caused_by(&error)
            .hint(r#"expected a JSON array, such as [{"pages": "3,7", "status": 500, "times": 2}]"#)
    })
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::io(format!("cannot read `{}`", file.display()), error);
    if error.kind() == std::io::ErrorKind::NotFound { failure.exit(Exit::NotFound) } else { failure }
}
