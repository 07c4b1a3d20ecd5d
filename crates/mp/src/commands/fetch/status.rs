//! `mp fetch status`: lists the unfinished runs of the database.

use std::time::Duration;

use mixpanel_data::{RunKind, RunState, UnfinishedRun, Workspace};
use serde_json::{Value, json};

use super::unfinished::{discard_command, list, pages, resume_command, to_name};
use crate::cli::Format;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::text::{duration, indented, printable, size, wrapped};

const FIELDS: [&str; 11] = [
    "run_id",
    "table",
    "pages_done",
    "pages_total",
    "age_seconds",
    "bytes",
    "reason",
    "is_loaded_in_part",
    "is_superseded",
    "held_by",
    "resume_command",
];

/// The columns before the values in the text for people.
const LABEL_COLUMNS: usize = 10;

const COLUMNS: [&str; 7] = ["run_id", "table", "fetched", "age", "size", "state", "reason"];

/// On a narrower terminal, the last column is left out, and notes give the reasons.
const TABLE_WIDTH_MIN: u16 = 110;

/// Runs `mp fetch status`.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let workspace = context.database()?;
    let runs = list(&workspace)?;
    let path = workspace.database().display();
    if context.is_for_people() {
        return print_for_people(context, &workspace, &runs).map(|()| Exit::Success);
    }
    if runs.is_empty() && context.output.stderr_is_terminal() {
        context.output.note(&format!("`{path}` has no unfinished runs"));
    }
    if context.format() == Format::Table {
        let (output, all) = (&context.output, COLUMNS.len());
        let has_room = !output.stdout_is_terminal() || output.width() >= TABLE_WIDTH_MIN;
        let columns = &COLUMNS[..if has_room { all } else { all - 1 }];
        context.print_all(columns, runs.iter().map(for_people).collect())?;
        if !has_room {
            runs.iter().for_each(|run| output.note(&format!("{}: {}", run.run_id, reason(run))));
        }
        let mut free = runs.iter().filter(|run| run.is_readable() && run.held_by.is_none());
        if let Some(run) = free.clone().find(|run| !run.is_superseded).or_else(|| free.next())
            && let Some(next) = next(context, &runs, run)
        {
            context.output.note(&format!("`{}` {}s {}", next.command(), next.verb(), run.run_id));
        }
        return Ok(Exit::Success);
    }
    let records = runs.iter().map(|run| {
        let UnfinishedRun { run_id, table, pages_done, pages_total, age_seconds, bytes, .. } = run;
        json!({
            "run_id": run_id,
            "table": table,
            "pages_done": pages_done,
            "pages_total": pages_total,
            "age_seconds": age_seconds,
            "bytes": bytes,
            "reason": run.reason,
            "is_loaded_in_part": run.is_loaded_in_part,
            "is_superseded": run.is_superseded,
            "held_by": run.held_by,
            "resume_command": next(context, &runs, run).and_then(Next::into_resume),
        })
    });
    context.print_all(&FIELDS, records.collect())?;
    Ok(Exit::Success)
}

fn print_for_people(context: &Context, workspace: &Workspace, runs: &[UnfinishedRun]) -> Result<(), Failure> {
    if runs.is_empty() {
        return context.show(&format!("{} has no unfinished runs", context.shown_path(workspace.database())));
    }
    let width = context.output.width().into();
    let described = runs.iter().map(|run| described(run, next(context, runs, run).as_ref(), width));
    context.output.show(&format!("{}\n", described.collect::<Vec<_>>().join("\n")))
}

/// The command to run next.
enum Next {
    Resume(String),
    /// The table is newer than the run.
    Discard(String),
}

impl Next {
    fn command(&self) -> &str {
        let (Self::Resume(command) | Self::Discard(command)) = self;
        command
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Resume(_) => "resume",
            Self::Discard(_) => "discard",
        }
    }

    fn into_resume(self) -> Option<String> {
        match self {
            Self::Resume(command) => Some(command),
            Self::Discard(_) => None,
        }
    }
}

/// Returns the command that resumes or discards this run, or `None` if it cannot be read. It names the run if the table
/// alone would select another one.
fn next(context: &Context, runs: &[UnfinishedRun], run: &UnfinishedRun) -> Option<Next> {
    let table = run.table.as_deref()?;
    Some(match run.is_superseded {
        true => Next::Discard(discard_command(context, runs, table, &run.run_id)),
        false => Next::Resume(resume_command(context, table, to_name(runs, table, &run.run_id))),
    })
}

fn for_people(run: &UnfinishedRun) -> Value {
    json!({
        "run_id": run.run_id,
        "table": run.table.as_deref().unwrap_or("?"),
        "fetched": pages(run, "/"),
        "age": duration(Duration::from_secs(run.age_seconds)),
        "size": size(run.bytes),
        "state": state(run),
        "reason": reason(run),
    })
}

fn state(run: &UnfinishedRun) -> &'static str {
    match run.state {
        RunState::Planned => "planned",
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Complete => "fetched",
        _ => "unreadable",
    }
}

/// Returns why the run is in its state, and what is known about its table.
fn reason(run: &UnfinishedRun) -> String {
    let mut reason = match run.held_by {
        Some(pid) => format!("process {pid} is working on it"),
        None => run.reason.clone(),
    };
    if run.is_loaded_in_part {
        let parts = if run.kind == RunKind::Events { "batches" } else { "pages" };
        reason.push_str(&format!("; the {parts} received are in the table"));
    }
    if run.is_superseded {
        reason.push_str("; superseded by a newer load");
    }
    reason
}

/// Describes a run, wrapped to `width` columns. The id and the command stay whole.
fn described(run: &UnfinishedRun, next: Option<&Next>, width: usize) -> String {
    let table = run.table.as_deref().map_or_else(|| "unknown table".to_owned(), |table| format!("`{table}`"));
    let age = duration(Duration::from_secs(run.age_seconds));
    let first = format!("{table}: {}, {} ({}), begun {age} ago", state(run), pages(run, " of "), size(run.bytes));
    let reason = indented(&format!("  reason  {}", reason(run)), LABEL_COLUMNS);
    let (first, reason) = (wrapped(&indented(&first, 2), width, 2), wrapped(&reason, width, LABEL_COLUMNS));
    let mut text = format!("{first}\n{reason}\n  run     {}", printable(&run.run_id));
    if let Some(next) = next.filter(|_| run.held_by.is_none()) {
        text.push_str(&format!("\n  {:<8}{}", next.verb(), next.command()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::unfinished::{example, unreadable_example};
    use super::*;

    #[test]
    fn status_for_people_shows_age_size_and_process() {
        let mut run = example("r1", "users");
        (run.held_by, run.is_loaded_in_part) = (Some(4711), true);
        let expected = json!({
            "run_id": "r1",
            "table": "users",
            "fetched": "12/80 pages",
            "age": "2h 10m",
            "size": "1.2 MB",
            "state": "stopped",
            "reason": "process 4711 is working on it; the pages received are in the table",
        });
        assert_eq!(for_people(&run), expected);
        let mut run = example("r1", "users");
        run.pages_total = None;
        assert_eq!(
            (&for_people(&run)["fetched"], &for_people(&run)["reason"]),
            (&json!("12 pages"), &json!("interrupted"))
        );
        let unreadable = for_people(&unreadable_example("r1"));
        assert_eq!((&unreadable["table"], &unreadable["state"]), (&json!("?"), &json!("unreadable")));
    }

    #[test]
    fn a_run_is_described_with_its_command() {
        let mut run = example("r1", "users");
        assert_eq!(
            described(&run, Some(&Next::Resume("mp fetch resume users".to_owned())), 80),
            "`users`: stopped, 12 of 80 pages (1.2 MB), begun 2h 10m ago\n  reason  interrupted\n  run     r1\n  \
             resume  mp fetch resume users"
        );
        let superseded = described(&run, Some(&Next::Discard("mp fetch discard users".to_owned())), 80);
        assert!(superseded.ends_with("\n  run     r1\n  discard mp fetch discard users"), "{superseded}");
        (run.held_by, run.state, run.pages_total) = (Some(4711), RunState::Running, None);
        assert_eq!(
            described(&run, Some(&Next::Resume("mp fetch resume users".to_owned())), 80),
            "`users`: running, 12 pages (1.2 MB), begun 2h 10m ago\n  reason  process 4711 is working on it\n  run     r1"
        );
        let narrow = described(&run, None, 30);
        assert!(narrow.lines().all(|line| line.len() <= 30) && narrow.contains("process 4711 is"), "{narrow}");
    }
}
