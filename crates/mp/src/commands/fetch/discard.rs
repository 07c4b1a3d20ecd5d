//! `mp fetch discard`: removes unfinished runs.

use std::io::IsTerminal as _;

use mixpanel_data::{RunKind, UnfinishedRun};
use serde_json::json;

use super::unfinished::{choose, list, named, of_table};
use super::warnings;
use crate::cli::DiscardArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Records;
use crate::prompt::{self, Answer};
use crate::text::{counted, size};

/// Runs `mp fetch discard`.
pub(super) fn run(context: &Context, arguments: &DiscardArgs) -> Result<Exit, Failure> {
    if arguments.name.is_none() && arguments.run.is_none() && !arguments.all {
        return Err(Failure::usage("no run was specified")
            .hint("specify a table, `--run` or `--all`; `mp fetch status` lists the unfinished runs"));
    }
    let workspace = context.database()?;
    let runs = list(&workspace)?;
    let chosen = chosen(&runs, arguments)?;
    if arguments.run.is_none() && !arguments.all {
        warnings::unreadable(context, &runs);
    }
    // Check for conflicts first, so that all runs are discarded or none.
    if let Some((run, pid)) = chosen.iter().find_map(|run| Some((run, run.held_by?))) {
        return Err(Failure::new(format!("process {pid} is working on {}", named(run).trim_end_matches(',')))
            .hint("wait for it, or stop it; nothing was discarded"));
    }
    if !arguments.force && !chosen.is_empty() {
        confirm(context, &chosen)?;
    }
    let mut discarded = Vec::new();
    let mut result = Ok(Exit::Success);
    for run in chosen {
        if let Err(error) = workspace.discard_run(&run.run_id) {
            result = Err(Failure::library(format!("could not discard run {}", run.run_id), &error));
            break;
        }
        discarded.push(run);
    }
    if result.is_ok() || !discarded.is_empty() {
        let ids: Vec<&str> = discarded.iter().map(|run| run.run_id.as_str()).collect();
        context.report(json!({ "discarded": ids }), &in_words(&discarded))?;
    }
    result
}

/// Describes what was removed, one run per line.
fn in_words(discarded: &[&UnfinishedRun]) -> String {
    if discarded.is_empty() {
        return "There are no unfinished runs".to_owned();
    }
    let lines = discarded.iter().map(|run| {
        let named = named(run);
        format!(
            "Discarded {} ({}, {})",
            named.trim_end_matches(','),
            Records::from(run.kind).parts(run.pages_done.into()),
            size(run.bytes)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn chosen<'a>(runs: &'a [UnfinishedRun], arguments: &DiscardArgs) -> Result<Vec<&'a UnfinishedRun>, Failure> {
    let DiscardArgs { name, run, .. } = arguments;
    match (name, run) {
        (name, Some(run)) => Ok(vec![choose(runs, name.as_deref(), Some(run))?]),
        (Some(name), None) => {
            choose(runs, Some(name), None)?;
            Ok(of_table(runs, name).collect())
        }
        (None, None) => Ok(runs.iter().collect()),
    }
}

fn confirm(context: &Context, chosen: &[&UnfinishedRun]) -> Result<(), Failure> {
    let count = |kind: RunKind| chosen.iter().filter(|run| run.kind == kind).map(|run| u64::from(run.pages_done)).sum();
    let (pages, batches): (u64, u64) = (count(RunKind::Profiles), count(RunKind::Events));
    let content = match (pages, batches) {
        (pages, 0) => Records::Profiles.parts(pages),
        (0, batches) => Records::Events.parts(batches),
        (pages, batches) => format!("{} and {}", Records::Profiles.parts(pages), Records::Events.parts(batches)),
    };
    let bytes = chosen.iter().map(|run| run.bytes).sum();
    let runs = match chosen {
        [run] => named(run),
        runs => counted(runs.len() as u64, "unfinished run"),
    };
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("cannot confirm the removal of {runs}: standard input is not a terminal"))
            .hint("use `--force` to skip the confirmation prompt"));
    }
    let question = format!("Discard {runs} with {content} ({})?", size(bytes));
    match prompt::confirm(&context.output, &question)? {
        Answer::Yes => Ok(()),
        Answer::No => Err(Failure::new("nothing was discarded").hint("use `--force` to skip the confirmation prompt")),
    }
}
