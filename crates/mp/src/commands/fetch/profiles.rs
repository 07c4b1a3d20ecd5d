//! `mp fetch profiles`: fetches profiles into a table or to standard output, or only estimates the fetch.

use mixpanel_data::{IfExists, ProfileFetch, ProfileQuery};

use super::filters::query;
use super::project::{IntoTable, Project, check_workers, options, shown};
use super::property_rules::with_rules;
use super::{plan, stream, warnings};
use crate::cli::{FetchProfilesArgs, Format};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;

/// Runs `mp fetch profiles`.
pub(super) fn run(context: &Context, arguments: &FetchProfilesArgs) -> Result<Exit, Failure> {
    check(context, arguments)?;
    let mut query = query(&arguments.filters)?;
    query.page_size = arguments.page_size;
    let fetch = with_rules(context, arguments, fetch(arguments, query))?;
    let project = Project::open(context, &arguments.waits)?;
    if !arguments.stdout && !arguments.plan {
        warnings::unfinished(context, &project.workspace, &arguments.name);
    } else if arguments.plan {
        warnings::unreadable(context, &project.workspace.unfinished_runs().unwrap_or_default());
    }
    project.interruptible(async |interrupts| {
        let fetch = fetch.cancel_with(interrupts.token());
        if arguments.stdout {
            return stream::run(&project, interrupts, arguments, fetch).await;
        }
        if arguments.plan {
            return plan::run(&project, arguments, fetch).await;
        }
        let name = &arguments.name;
        let progress = Progress::begin(&context.output, format!("`{name}`"), shown(arguments.report.no_progress));
        let work = project.workspace.fetch_profiles(fetch.on_event(progress.listener()));
        let report = &arguments.report;
        IntoTable { project: &project, interrupts, table: name, run: None, progress, report }.finish(work).await
    })
}

fn check(context: &Context, arguments: &FetchProfilesArgs) -> Result<(), Failure> {
    check_workers(context, &arguments.workers);
    if arguments.stdout && !matches!(context.chosen_format, None | Some(Format::Json | Format::Jsonl)) {
        return Err(Failure::usage("`--stdout` only prints JSON lines")
            .hint("fetch into a table, then print it in any format with `mp query sql`"));
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
    if arguments.since.is_some() {
        fetch = fetch.since_last_load();
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
