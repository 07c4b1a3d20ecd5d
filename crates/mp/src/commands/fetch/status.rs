//! `mp fetch status`: lists the unfinished runs of the database.

use mixpanel_data::UnfinishedRun;
use serde_json::{Value, json};

use super::unfinished::{list, resume_command, to_name};
use crate::cli::Format;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::text::{duration, size};

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

/// Runs `mp fetch status`.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let workspace = context.database()?;
    let runs = list(&workspace)?;
    let path = workspace.database().display();
    if runs.is_empty() && context.output.stderr_is_terminal() {
        context.output.note(&format!("`{path}` has no unfinished runs"));
    }
    if context.format() == Format::Table {
        context
            .print_all(&["run_id", "table", "pages", "age", "size", "state"], runs.iter().map(for_people).collect())?;
        if let Some(run) = runs.iter().find(|run| run.is_readable() && run.held_by.is_none() && !run.is_superseded)
            && let Some(command) = command(context, &runs, run)
        {
            context.output.note(&format!("`{command}` resumes {}", run.run_id));
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
            "resume_command": command(context, &runs, run),
        })
    });
    context.print_all(&FIELDS, records.collect())?;
    Ok(Exit::Success)
}

/// Returns the command that resumes this run, or `None` if it cannot be read. It names the run unless that is its
/// table's newest one.
fn command(context: &Context, runs: &[UnfinishedRun], run: &UnfinishedRun) -> Option<String> {
    let table = run.table.as_deref()?;
    Some(resume_command(context, table, to_name(runs, table, &run.run_id)))
}

fn for_people(run: &UnfinishedRun) -> Value {
    let total = run.pages_total.map_or_else(|| "?".to_owned(), |total| total.to_string());
    let mut state = match run.held_by {
        Some(pid) => format!("process {pid} is working on it"),
        None => run.reason.clone(),
    };
    if run.is_loaded_in_part {
        state.push_str("; the pages received are in the table");
    }
    if run.is_superseded {
        state.push_str("; superseded by a newer complete load");
    }
    json!({
        "run_id": run.run_id,
        "table": run.table.as_deref().unwrap_or("?"),
        "pages": format!("{}/{total}", run.pages_done),
        "age": duration(std::time::Duration::from_secs(run.age_seconds)),
        "size": size(run.bytes),
        "state": state,
    })
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
            "pages": "12/80",
            "age": "2h 10m",
            "size": "1.2 MB",
            "state": "process 4711 is working on it; the pages received are in the table",
        });
        assert_eq!(for_people(&run), expected);
        let mut run = example("r1", "users");
        run.pages_total = None;
        assert_eq!((&for_people(&run)["pages"], &for_people(&run)["state"]), (&json!("12/?"), &json!("interrupted")));
        assert_eq!(for_people(&unreadable_example("r1"))["table"], json!("?"));
    }
}
