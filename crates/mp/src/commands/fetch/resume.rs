//! `mp fetch resume`: resumes an unfinished run.

use mixpanel_data::{IfExists, ProfileQuery, ResumeFetch, RunKind, UnfinishedRun};

use super::filters::query_if_given;
use super::project::{IntoTable, Project, check_workers, options, shown};
use super::unfinished::{cannot_read, choose, list, to_name};
use super::warnings;
use crate::cli::ResumeArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::hash_key;
use crate::progress::{Progress, Records};

/// Runs `mp fetch resume`.
pub(super) fn run(context: &Context, arguments: &ResumeArgs) -> Result<Exit, Failure> {
    check_workers(context, &arguments.workers);
    let query = query_if_given(context, &arguments.filters)?;
    let project = Project::open(context, &arguments.waits)?;
    let runs = list(&project.workspace)?;
    let run = choose(&runs, arguments.name.as_deref(), arguments.run.as_deref())?;
    let Some(table) = run.table.as_deref() else {
        return Err(cannot_read(format!("cannot resume run {}", run.run_id), &[run]));
    };
    if arguments.run.is_none() {
        warnings::unreadable(context, &runs);
    }
    let records = match run.kind {
        RunKind::Events if query.is_some() || arguments.upsert => {
            return Err(Failure::usage(format!("run {} fetches events, which do not have this option", run.run_id))
                .hint("omit the filters and `--upsert`: a run keeps its own filters"));
        }
        RunKind::Events => Records::Events,
        _ => Records::Profiles,
    };
    let key = match run.hashed_properties.is_empty() {
        true => None,
        false => hash_key::read(context.environment(), &context.hash_key, &context.output)?,
    };
    let named = to_name(&runs, table, &run.run_id);
    project.interruptible(records, async |interrupts| {
        let shown = shown(arguments.report.no_progress);
        let progress = Progress::begin_with(&context.output, format!("`{table}`"), shown, run.pages_done);
        let progress = match records {
            Records::Profiles => progress.suggest_parallel(arguments.workers.may_suggest_parallel()),
            Records::Events => progress.of_events(),
        };
        let resume = match key {
            Some(key) => resume(arguments, table, run, query).hash_key(key),
            None => resume(arguments, table, run, query),
        };
        let resume = resume.cancel_with(interrupts.token()).on_event(progress.listener());
        let report = &arguments.report;
        let fetch =
            IntoTable { project: &project, interrupts, table, records, run: named, progress, report, is_resumed: true };
        match records {
            Records::Profiles => fetch.finish(project.workspace.resume_fetch(resume)).await,
            Records::Events => fetch.finish(project.workspace.resume_events(resume)).await,
        }
    })
}

fn resume(arguments: &ResumeArgs, table: &str, run: &UnfinishedRun, query: Option<ProfileQuery>) -> ResumeFetch {
    let mut resume = ResumeFetch::new(table).run(&run.run_id).options(options(
        &arguments.workers,
        &arguments.accept,
        &arguments.waits,
    ));
    if let Some(query) = query {
        resume = resume.expect_query(query);
    }
    match (arguments.replace, arguments.append, arguments.upsert) {
        (true, ..) => resume = resume.if_exists(IfExists::Replace),
        (_, true, _) => resume = resume.if_exists(IfExists::Append),
        (.., true) => resume = resume.if_exists(IfExists::Upsert),
        _ => {}
    }
    if arguments.force {
        resume = resume.replace_newer();
    }
    if arguments.accept_partial {
        resume = resume.accept_partial();
    }
    match (arguments.workers.parallel, arguments.workers.workers) {
        (true, Some(workers)) => resume.max_workers(workers),
        (true, None) => resume.parallel(),
        (false, _) => resume,
    }
}
