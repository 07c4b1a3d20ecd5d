//! Warnings about missing data, and hints on how to continue.

use mixpanel_data::{Error, ErrorKind, FetchCounts, UnfinishedRun, Workspace};

use super::unfinished::{of_table, pages, resume_command, to_name};
use crate::context::Context;
use crate::failure::Exit;
use crate::output::Output;
use crate::progress::Records;
use crate::text::{counted, day_range, page_list, thousands};

/// Maximum number of failed pages whose reasons are shown; the others are only listed.
const REASONS_MAX: usize = 5;

/// Pages that are missing from a table or an output.
pub(super) struct MissingPages<'a> {
    /// What lacks them: a phrase.
    pub(super) target: &'a str,
    pub(super) failed: &'a [u32],
    /// The page among these of which it is unknown whether it exists.
    pub(super) unchecked: Option<u32>,
}

impl MissingPages<'_> {
    /// Returns the warning, with the reasons.
    pub(super) fn text(&self, reasons: &[(u32, String)]) -> String {
        let mut text = self.first_line();
        let mut reasons: Vec<_> = reasons.iter().collect();
        reasons.sort();
        for (page, reason) in reasons.iter().take(REASONS_MAX) {
            text.push_str(&format!("\npage {page}: {reason}"));
        }
        if reasons.len() > REASONS_MAX {
            text.push_str(&format!("\nand {} more", reasons.len() - REASONS_MAX));
        }
        text
    }

    fn first_line(&self) -> String {
        let target = self.target;
        let pages: Vec<u32> = self.failed.iter().copied().filter(|page| self.unchecked != Some(*page)).collect();
        let unknown = self.unchecked.map(|page| format!("it could not be checked whether page {page} exists"));
        let (count, list) = (pages.len() as u64, page_list(&pages));
        let noun = if count == 1 { "page" } else { "pages" };
        let lacks = format!("{} failed, so {target} lacks the profiles of {noun} {list}", counted(count, "page"));
        match unknown {
            None => lacks,
            Some(unknown) if pages.is_empty() => format!("{unknown}, so {target} may lack its profiles"),
            Some(unknown) => format!("{lacks}; {unknown}"),
        }
    }
}

/// Returns the warning about date ranges that are missing, with the reasons by the number of the range.
pub(super) fn missing_days(target: &str, failed: &[(String, String)], reasons: &[(u32, String)]) -> String {
    let ranges = failed.iter().map(|(from, to)| day_range(from, to));
    let mut text = format!("{target} lacks events of {}", ranges.collect::<Vec<_>>().join(", "));
    for (_, reason) in reasons.iter().take(REASONS_MAX) {
        text.push_str(&format!("\n{reason}"));
    }
    if reasons.len() > REASONS_MAX {
        text.push_str(&format!("\nand {} more", reasons.len() - REASONS_MAX));
    }
    text
}

/// Returns the hint after a load that lacks what failed.
pub(super) fn missing_hint(command: &str, records: Records) -> String {
    match records {
        Records::Profiles => format!("fetch the missing pages with `{command}`"),
        Records::Events => format!("fetch the missing days with `{command}`"),
    }
}

/// Returns the hint after a fetch that received every page but too few profiles.
pub(super) fn shortfall_hint(command: &str) -> String {
    format!("`{command}` fetches everything again; add `--allow-drift PERCENT` to accept the profiles received")
}

/// Returns the hint to resume the run of an error, if it keeps one.
pub(super) fn resume_hint(
    context: &Context,
    workspace: &Workspace,
    table: &str,
    error: &Error,
    records: Records,
) -> Option<String> {
    let run_id = error.run_id()?;
    let runs = workspace.unfinished_runs().unwrap_or_default();
    let memory = error.memory_needed().map(|bytes| format!(" --memory {}MB", bytes / 1_000_000)).unwrap_or_default();
    let command = format!("{}{memory}", resume_command(context, table, to_name(&runs, table, run_id)));
    Some(kept(error, &command, records))
}

/// Returns the hint after a fetch that loaded nothing and keeps on disk what it fetched.
fn kept(error: &Error, command: &str, records: Records) -> String {
    let (parts, what) = match records {
        Records::Profiles => ("pages", "profiles"),
        Records::Events => ("batches", "events"),
    };
    if error.emptied_rows().is_some() {
        return format!("if that is correct, `{command} --allow-empty` empties the table");
    }
    if error.is_superseded() {
        // A run that creates its table can only add to one that exists.
        let chosen = error.resumed_with().or((error.kind() == ErrorKind::TableExists).then_some("append"));
        let option = chosen.map(|option| format!(" --{option}")).unwrap_or_default();
        return format!(
            "the table is newer than this run, so it was kept; `{command}{option} --force` loads the older {what} nevertheless"
        );
    }
    if error.kind() == ErrorKind::TableChanged {
        return match error.is_of_update() {
            true => format!(
                "the {parts} fetched so far are kept: restore the table and run `{command}`, or fetch again with `--since last`"
            ),
            false => format!(
                "the {parts} fetched so far are kept: restore the table if rows are missing, then load them with `{command}`"
            ),
        };
    }
    // Resuming would request the same days again.
    if error.history_days().is_some() {
        return format!("the {parts} fetched so far are kept: `{command} --accept-partial` loads them");
    }
    if error.shortfall().is_some() {
        return shortfall_hint(command);
    }
    // The same command without an option would fail again.
    if error.kind() == ErrorKind::TableExists {
        return format!("the {parts} fetched so far are kept: `{command} --append` adds them to the table");
    }
    error.staged_pages().map_or_else(
        || format!("the {parts} fetched so far are kept: `{command}` resumes the fetch"),
        |parts| kept_hint(parts, command, records),
    )
}

/// Returns the hint to resume if only the number of pages or batches is known.
pub(super) fn kept_hint(parts: u64, command: &str, records: Records) -> String {
    let (one, many) = match records {
        Records::Profiles => ("page", "pages"),
        Records::Events => ("batch", "batches"),
    };
    match parts {
        1 => format!("the one {one} fetched so far is kept: `{command}` resumes the fetch"),
        parts => format!("the {} {many} fetched so far are kept: `{command}` resumes the fetch", thousands(parts)),
    }
}

/// Warns about rejected records and returns the resulting exit code.
pub(super) fn rejects(context: &Context, counts: &FetchCounts, run_id: &str, is_allowed: bool) -> Exit {
    if counts.rejected == 0 {
        return Exit::Success;
    }
    let text = format!("{}; see table `_rejects`", rejected(counts.rejected));
    if is_allowed {
        context.output.note(&text);
        return Exit::Success;
    }
    context.output.warning(&text);
    let query = format!("select * from _rejects where run_id = '{run_id}'");
    let command = context.command(&["query", "sql", &query]);
    context.output.hint(&format!("`{command}` shows them; `--allow-rejects` accepts them"));
    Exit::Failure
}

/// Returns the beginning of a sentence about rejected records.
fn rejected(records: u64) -> String {
    format!("{} {} rejected", counted(records, "record"), if records == 1 { "was" } else { "were" })
}

/// Like [`rejects`], for a fetch to standard output, which leaves these records out.
pub(super) fn rejects_of_stream(output: &Output, counts: &FetchCounts, is_allowed: bool) -> Exit {
    if counts.rejected == 0 {
        return Exit::Success;
    }
    let text = format!("{} and left out", rejected(counts.rejected));
    if is_allowed {
        output.note(&text);
        return Exit::Success;
    }
    output.warning(&text);
    output.hint("fetch into a table to keep them in the table `_rejects`; `--allow-rejects` accepts them");
    Exit::Failure
}

/// Warns about unfinished runs that cannot be read: they may belong to any table.
pub(super) fn unreadable(context: &Context, runs: &[UnfinishedRun]) {
    for run in runs.iter().filter(|run| !run.is_readable() && run.held_by.is_none()) {
        context.output.warning(&format!("the unfinished run {} cannot be read: {}", run.run_id, run.reason));
        context.output.hint(&format!("`{}` lists it", context.command(&["fetch", "status"])));
    }
}

/// Warns if an earlier fetch into this table is unfinished. Errors in listing the runs are ignored.
pub(super) fn unfinished(context: &Context, workspace: &Workspace, table: &str) {
    let runs = workspace.unfinished_runs().unwrap_or_default();
    unreadable(context, &runs);
    let mut runs =
        of_table(&runs, table).filter(|run| run.held_by.is_none() && !run.is_only_planned() && !run.is_superseded);
    let Some(newest) = runs.next() else { return };
    let others = match runs.count() {
        0 => String::new(),
        count => format!(
            "\n{} of this table: `{}` lists them",
            counted(count as u64, "other run"),
            context.command(&["fetch", "status"])
        ),
    };
    let command = resume_command(context, table, None);
    context
        .output
        .note(&format!("an unfinished run of `{table}` has {}: `{command}` resumes it{others}", pages(newest, " of ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_may_not_exist_is_not_called_missing() {
        let text = |failed: &[u32], unchecked| MissingPages { target: "`users`", failed, unchecked }.text(&[]);
        assert_eq!(text(&[7], None), "1 page failed, so `users` lacks the profiles of page 7");
        assert_eq!(
            text(&[3, 7, 8, 30], Some(30)),
            "3 pages failed, so `users` lacks the profiles of pages 3, 7-8; it could not be checked whether page 30 exists"
        );
        assert_eq!(
            text(&[2], Some(2)),
            "it could not be checked whether page 2 exists, so `users` may lack its profiles"
        );
    }
}
