//! Lists, selects and names unfinished runs.

use mixpanel_data::{UnfinishedRun, Workspace};

use crate::context::Context;
use crate::failure::Failure;
use crate::progress::Records;

/// Lists the unfinished runs of the database, newest first.
pub(super) fn list(workspace: &Workspace) -> Result<Vec<UnfinishedRun>, Failure> {
    workspace.unfinished_runs().map_err(|error| Failure::library("could not list the unfinished runs", &error))
}

/// Returns the runs of a table.
pub(super) fn of_table<'a>(runs: &'a [UnfinishedRun], table: &str) -> impl Iterator<Item = &'a UnfinishedRun> {
    runs.iter().filter(move |run| run.is_of(table))
}

/// Returns the id of the run if a command that resumes it must name it, because the table alone selects another run.
pub(super) fn to_name<'a>(runs: &[UnfinishedRun], table: &str, run_id: &'a str) -> Option<&'a str> {
    let newest = UnfinishedRun::newest_of(runs, table);
    newest.is_some_and(|newest| newest.run_id != run_id).then_some(run_id)
}

/// Returns the command that resumes this run, or the table's newest one.
pub(super) fn resume_command(context: &Context, table: &str, run_id: Option<&str>) -> String {
    let mut words = vec!["fetch", "resume", table];
    words.extend(run_id.iter().flat_map(|run_id| ["--run", run_id]));
    context.command(&words)
}

/// Returns the command that discards this run. It names the run if its table has several.
pub(super) fn discard_command(context: &Context, runs: &[UnfinishedRun], table: &str, run_id: &str) -> String {
    let mut words = vec!["fetch", "discard", table];
    if of_table(runs, table).count() > 1 {
        words.extend(["--run", run_id]);
    }
    context.command(&words)
}

/// Returns the run that the arguments select.
pub(super) fn choose<'a>(
    runs: &'a [UnfinishedRun],
    table: Option<&str>,
    run_id: Option<&str>,
) -> Result<&'a UnfinishedRun, Failure> {
    let status = "`mp fetch status` lists the unfinished runs";
    let unreadable: Vec<&UnfinishedRun> = runs.iter().filter(|run| !run.is_readable()).collect();
    if let Some(run_id) = run_id {
        let run = runs.iter().find(|run| run.run_id == run_id);
        let run = run.ok_or_else(|| Failure::not_found(format!("there is no unfinished run {run_id}")).hint(status))?;
        return match (table, &run.table) {
            (Some(table), None) => {
                Err(cannot_read(format!("cannot tell whether run {run_id} belongs to `{table}`"), &[run]))
            }
            (Some(table), Some(own)) if !run.is_of(table) => {
                Err(Failure::usage(format!("run {run_id} belongs to `{own}`, not to `{table}`")))
            }
            _ => Ok(run),
        };
    }
    if let Some(table) = table {
        return match UnfinishedRun::newest_of(runs, table) {
            Some(newest) => Ok(newest),
            None if unreadable.is_empty() => {
                Err(Failure::not_found(format!("`{table}` has no unfinished run")).hint(status))
            }
            None => Err(cannot_read(format!("`{table}` has no readable unfinished run"), &unreadable)),
        };
    }
    let any_table = runs.iter().find_map(|run| run.table.as_deref());
    let Some(newest) = any_table.and_then(|table| UnfinishedRun::newest_of(runs, table)) else {
        if !unreadable.is_empty() {
            return Err(cannot_read("there is no readable unfinished run".to_owned(), &unreadable));
        }
        return Err(Failure::not_found("there is no unfinished run").hint("nothing to resume: `mp inspect tables` lists the loaded tables, and `mp fetch profiles` or `mp fetch events` starts a new fetch"));
    };
    if let Some(others) = several_tables(runs) {
        return Err(
            Failure::usage("several tables have unfinished runs").hint(format!("specify one of them: {others}"))
        );
    }
    Ok(newest)
}

/// Returns the failure for a command that needs a run but found only unreadable ones.
pub(super) fn cannot_read(headline: String, runs: &[&UnfinishedRun]) -> Failure {
    let failure = runs.iter().fold(Failure::new(headline), |failure, run| {
        failure.caused_by(&std::io::Error::other(format!("run {} cannot be read: {}", run.run_id, run.reason)))
    });
    let discard = runs
        .first()
        .map_or_else(String::new, |run| format!(", or remove it with `mp fetch discard --run {}`", run.run_id));
    failure.hint(format!(
        "the run is unchanged: resume it with the version of mp that wrote it, or start a new fetch{discard}"
    ))
}

/// Returns a phrase that names a run and its table.
pub(super) fn named(run: &UnfinishedRun) -> String {
    match &run.table {
        Some(table) => format!("run {} of `{table}`", run.run_id),
        None => format!("run {}, which cannot be read,", run.run_id),
    }
}

/// Returns the tables that have unfinished runs, if there are several.
fn several_tables(runs: &[UnfinishedRun]) -> Option<String> {
    let mut tables: Vec<&str> = Vec::new();
    for table in runs.iter().filter_map(|run| run.table.as_deref()) {
        if !tables.iter().any(|known| known.eq_ignore_ascii_case(table)) {
            tables.push(table);
        }
    }
    (tables.len() > 1).then(|| tables.iter().map(|table| format!("`{table}`")).collect::<Vec<_>>().join(", "))
}

/// Describes the progress of a run: `12 of 80 pages`, with ` of ` as `of`.
pub(super) fn pages(run: &UnfinishedRun, of: &str) -> String {
    match run.pages_total {
        Some(total) => format!("{}{of}{}", run.pages_done, Records::from(run.kind).parts(total.into())),
        None => Records::from(run.kind).parts(run.pages_done.into()),
    }
}

#[cfg(test)]
pub(super) fn example(run_id: &str, table: &str) -> UnfinishedRun {
    let run = serde_json::json!({
        "run_id": run_id, "state": "stopped", "table": table, "project_id": "12345", "region": "us",
        "if_exists": "fail", "started_at": "2026-11-24T06:00:00Z", "age_seconds": 7_810, "pages_done": 12,
        "pages_total": 80, "bytes": 1_290_000, "reason": "interrupted", "is_loaded_in_part": false, "held_by": null,
    });
    serde_json::from_value(run).expect("these are its fields")
}

#[cfg(test)]
pub(super) fn unreadable_example(run_id: &str) -> UnfinishedRun {
    let mut run = example(run_id, "");
    (run.state, run.table) = (mixpanel_data::RunState::Unreadable, None);
    run
}

#[cfg(test)]
mod tests {
    use mixpanel_data::RunKind;

    use super::*;

    fn chosen(runs: &[UnfinishedRun], table: Option<&str>, run_id: Option<&str>) -> Result<String, u8> {
        choose(runs, table, run_id).map(|run| run.run_id.clone()).map_err(|failure| failure.exit.code())
    }

    #[test]
    fn the_arguments_select_the_run() {
        let one = vec![example("3", "users"), example("1", "Users"), unreadable_example("0")];
        let two = vec![example("3", "users"), example("2", "groups"), example("1", "users")];
        let (none, unreadable) = (vec![], vec![unreadable_example("0")]);
        let table = [
            (&none, None, None, Err(4)),
            (&none, Some("users"), None, Err(4)),
            (&unreadable, None, None, Err(1)),
            (&unreadable, Some("users"), None, Err(1)),
            (&unreadable, None, Some("0"), Ok("0")),
            (&unreadable, Some("users"), Some("0"), Err(1)),
            (&unreadable, Some("users"), Some("9"), Err(4)),
            (&one, Some("groups"), None, Err(1)),
            (&one, None, None, Ok("3")),
            (&one, Some("USERS"), None, Ok("3")),
            (&one, None, Some("1"), Ok("1")),
            (&two, None, None, Err(3)),
            (&two, Some("groups"), None, Ok("2")),
            (&two, None, Some("1"), Ok("1")),
            (&two, Some("groups"), Some("1"), Err(3)),
            (&two, None, Some("9"), Err(4)),
        ];
        for (runs, name, run_id, expected) in table {
            assert_eq!(chosen(runs, name, run_id), expected.map(str::to_owned), "{name:?} {run_id:?}");
        }
    }

    #[test]
    fn estimate_only_runs_are_chosen_last() {
        let mut planned = example("3", "users");
        planned.state = mixpanel_data::RunState::Planned;
        let runs = [planned, example("2", "users"), example("1", "users")];
        for table in [None, Some("users")] {
            assert_eq!(chosen(&runs, table, None), Ok("2".to_owned()));
        }
        assert_eq!(to_name(&runs, "users", "2"), None);
        assert_eq!(to_name(&runs, "users", "3"), Some("3"));
        assert_eq!(to_name(&runs, "groups", "3"), None);
    }

    #[test]
    fn several_tables_are_listed_once() {
        let runs = [example("3", "users"), example("2", "groups"), example("1", "Users")];
        assert_eq!(several_tables(&runs).as_deref(), Some("`users`, `groups`"));
        assert_eq!(several_tables(&[example("3", "users"), example("1", "Users"), unreadable_example("0")]), None);
        assert_eq!(pages(&runs[0], " of "), "12 of 80 pages");
        let mut run = example("1", "users");
        (run.pages_total, run.pages_done) = (None, 1);
        assert_eq!(pages(&run, " of "), "1 page");
        (run.kind, run.pages_total) = (RunKind::Events, Some(30));
        assert_eq!(pages(&run, " of "), "1 of 30 batches");
        run.pages_total = None;
        assert_eq!(pages(&run, " of "), "1 batch");
    }
}
