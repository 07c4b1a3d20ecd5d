//! `mp fetch events`: fetches events into a table or to standard output, or only estimates the fetch.

use mixpanel_data::{EventFetch, IfExists};

use super::project::{IntoTable, Project, check_workers, options, shown};
use super::property_rules::with_rules;
use super::{event_output, event_plan, warnings};
use crate::cli::{FetchEventsArgs, Format, SinceDayArg};
use crate::commands::lists::split_lists;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::{Progress, Records};

/// Runs `mp fetch events`.
pub(super) fn run(context: &Context, arguments: &FetchEventsArgs) -> Result<Exit, Failure> {
    check(context, arguments)?;
    let fetch = with_rules(context, &arguments.rules, arguments.raw, fetch(arguments)?)?;
    let project = Project::open(context, &arguments.waits)?;
    if arguments.refresh || arguments.plan {
        warnings::unreadable(context, &project.workspace.unfinished_runs().unwrap_or_default());
    } else if !arguments.stdout {
        warnings::unfinished(context, &project.workspace, &arguments.name);
    }
    project.interruptible(Records::Events, async |interrupts| {
        let fetch = fetch.cancel_with(interrupts.token());
        if arguments.stdout {
            return event_output::run(&project, interrupts, arguments, fetch).await;
        }
        if arguments.plan {
            return event_plan::run(&project, arguments, fetch).await;
        }
        let name = &arguments.name;
        let progress = Progress::begin(&context.output, format!("`{name}`"), shown(arguments.report.no_progress))
            .of_events()
            .suggest_parallel(arguments.workers().may_suggest_parallel() && arguments.filters.limit.is_none());
        let fetch = fetch.on_event(progress.listener());
        let table = IntoTable {
            project: &project,
            interrupts,
            table: name,
            records: Records::Events,
            run: None,
            progress,
            report: &arguments.report,
            is_resumed: false,
        };
        if arguments.refresh {
            return table.finish(project.workspace.refresh_events(fetch)).await;
        }
        table.finish(project.workspace.fetch_events(fetch)).await
    })
}

fn check(context: &Context, arguments: &FetchEventsArgs) -> Result<(), Failure> {
    check_workers(context, &arguments.workers());
    if arguments.since == Some(SinceDayArg::Last) && arguments.stdout {
        return Err(Failure::usage("`--since last` cannot be used with `--stdout`")
            .hint("name the first day, such as `--since 7d`"));
    }
    if arguments.stdout && !matches!(context.chosen_format, None | Some(Format::Json | Format::Jsonl)) {
        return Err(Failure::usage("`--stdout` only prints JSON lines")
            .hint("fetch into a table, then print it in any format with `mp query sql`"));
    }
    Ok(())
}

fn fetch(arguments: &FetchEventsArgs) -> Result<EventFetch, Failure> {
    let filters = &arguments.filters;
    let if_exists = match (arguments.replace, arguments.append) {
        (true, _) => IfExists::Replace,
        (_, true) => IfExists::Append,
        _ => IfExists::Fail,
    };
    let accept = arguments.accept();
    let mut fetch = EventFetch::new(&arguments.name)
        .if_exists(if_exists)
        .events(split_lists("--events", &filters.events, "event", "leave it out to fetch all events")?)
        .options(options(&arguments.workers(), &accept, &arguments.waits));
    fetch = match (filters.from, filters.to) {
        (Some(from), Some(to)) => fetch.days(from, to),
        (Some(from), None) => fetch.from_day(from),
        (None, _) => fetch,
    };
    fetch = match arguments.since {
        Some(SinceDayArg::Last) => fetch.since_last_load(),
        Some(SinceDayArg::Day(day)) => fetch.since(day),
        None => fetch,
    };
    if let Some(expression) = &filters.filter {
        fetch = fetch.where_(expression);
    }
    if let Some(events) = filters.limit {
        fetch = fetch.limit(events);
    }
    if let Some(zone) = &filters.project_timezone {
        fetch = fetch.project_time_zone(zone);
    }
    if let Some(rule) = arguments.dedupe {
        fetch = fetch.dedupe(rule.into());
    }
    if let Some(days) = arguments.refresh_days {
        fetch = fetch.refresh_days(days);
    }
    if let Some(days) = arguments.how.chunk_days {
        fetch = fetch.chunk_days(days);
    }
    if let Some(rows) = arguments.batch_size {
        fetch = fetch.batch_size(rows);
    }
    Ok(match (arguments.how.parallel, arguments.how.workers) {
        (true, Some(workers)) => fetch.max_workers(workers),
        (true, None) => fetch.parallel(),
        (false, _) => fetch,
    })
}
