//! `mp fetch profiles`: fetches profiles into a table or to standard output, or only estimates the fetch.

use std::time::SystemTime;

use jiff::Timestamp;
use mixpanel_data::{IfExists, ProfileFetch, ProfileQuery};

use super::filters::query;
use super::project::{IntoTable, Project, check_workers, options, shown};
use super::property_rules::with_rules;
use super::{plan, stream, warnings};
use crate::cli::{FetchProfilesArgs, Format, SinceArg};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::{Progress, Records};

/// Runs `mp fetch profiles`.
pub(super) fn run(context: &Context, arguments: &FetchProfilesArgs) -> Result<Exit, Failure> {
    check(context, arguments)?;
    let mut query = query(context, &arguments.filters)?;
    query.page_size = arguments.page_size;
    query.limit = arguments.limit;
    let fetch = with_rules(context, &arguments.rules, arguments.raw, fetch(arguments, query))?;
    let project = Project::open(context, &arguments.waits)?;
    if arguments.refresh {
        warnings::unreadable(context, &project.workspace.unfinished_runs().unwrap_or_default());
    } else if !arguments.stdout && !arguments.plan {
        warnings::unfinished(context, &project.workspace, &arguments.name);
    } else if arguments.plan {
        warnings::unreadable(context, &project.workspace.unfinished_runs().unwrap_or_default());
    }
    project.interruptible(Records::Profiles, async |interrupts| {
        let fetch = fetch.cancel_with(interrupts.token());
        if arguments.stdout {
            return stream::run(&project, interrupts, arguments, fetch).await;
        }
        if arguments.plan {
            return plan::run(&project, arguments, fetch).await;
        }
        let name = &arguments.name;
        let progress = Progress::begin(&context.output, format!("`{name}`"), shown(arguments.report.no_progress))
            .suggest_parallel(arguments.workers.may_suggest_parallel());
        let fetch = fetch.on_event(progress.listener());
        let report = &arguments.report;
        let table = IntoTable {
            project: &project,
            interrupts,
            table: name,
            records: Records::Profiles,
            run: None,
            progress,
            report,
            is_resumed: false,
        };
        if arguments.refresh {
            return table.finish(project.workspace.refresh_profiles(fetch)).await;
        }
        table.finish(project.workspace.fetch_profiles(fetch)).await
    })
}

fn check(context: &Context, arguments: &FetchProfilesArgs) -> Result<(), Failure> {
    check_workers(context, &arguments.workers);
    check_since(arguments)?;
    if arguments.stdout && !matches!(context.chosen_format, None | Some(Format::Json | Format::Jsonl)) {
        return Err(Failure::usage("`--stdout` only prints JSON lines")
            .hint("fetch into a table, then print it in any format with `mp query sql`"));
    }
    Ok(())
}

/// Checks the combinations of `--since` and `--full-every` with other options.
fn check_since(arguments: &FetchProfilesArgs) -> Result<(), Failure> {
    let is_update = arguments.since == Some(SinceArg::Last);
    let others = [
        ("--append", arguments.append),
        ("--replace", arguments.replace),
        ("--stdout", arguments.stdout),
        ("--limit", arguments.limit.is_some()),
    ];
    if let Some((option, _)) = others.into_iter().find(|(_, is_given)| is_update && *is_given) {
        return Err(Failure::usage(format!("`--since last` cannot be used with `{option}`"))
            .hint("use a duration or a time, such as `--since 7d`"));
    }
    if arguments.full_every.is_some() && !is_update && !arguments.refresh {
        return Err(Failure::usage("`--full-every` requires `--since last` or `--refresh`"));
    }
    Ok(())
}

fn fetch(arguments: &FetchProfilesArgs, query: ProfileQuery) -> ProfileFetch {
    let if_exists = match (arguments.replace, arguments.append, arguments.upsert) {
        (true, ..) => IfExists::Replace,
        (_, true, _) => IfExists::Append,
        (.., true) => IfExists::Upsert,
        _ => IfExists::Fail,
    };
    let mut fetch = ProfileFetch::new(&arguments.name).query(query).if_exists(if_exists).options(options(
        &arguments.workers,
        &arguments.accept,
        &arguments.waits,
    ));
    if let Some(since) = arguments.since {
        let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        fetch = match since.time(now) {
            Some(time) => fetch.since(time),
            None => fetch.since_last_load(),
        };
    }
    if let Some(period) = arguments.full_every {
        fetch = fetch.full_every(period);
    }
    if let Some(rows) = arguments.batch_size {
        fetch = fetch.batch_size(rows);
    }
    match (arguments.workers.parallel, arguments.workers.workers) {
        (true, Some(workers)) => fetch.max_workers(workers),
        (true, None) => fetch.parallel(),
        (false, _) => fetch,
    }
}
