//! `mp verify --against mixpanel`: compares the days of a table of events with Mixpanel's counts.

use mixpanel_data::{AuditedDay, Error, EventAudit, EventFetchResult, Fault, Workspace};
use serde_json::json;

use super::fetch::{missing_days_hint, resume_hint};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::hints::name_list;
use crate::progress::{Progress, Shown};
use crate::signals::Interrupts;
use crate::text::{counted, thousands};

/// Maximum number of days that are listed one by one.
const LISTED_MAX: usize = 20;

/// Runs `mp verify TABLE --against mixpanel`.
pub(crate) fn run(context: &Context, table: &str, repair: bool) -> Result<Exit, Failure> {
    let identity = context.settings.identity(&context.output)?;
    let workspace = context.settings.workspace(&identity, &context.output)?;
    context.repair(&workspace);
    context.block_on(async {
        let interrupts = Interrupts::listen(&context.output, |_| "stopping; signal again to stop at once".to_owned())?;
        let result = check(context, &workspace, table, repair, &interrupts).await;
        interrupts.settle(result)
    })
}

async fn check(
    context: &Context,
    workspace: &Workspace,
    table: &str,
    repair: bool,
    interrupts: &Interrupts,
) -> Result<Exit, Failure> {
    let failed = |error| context.failed(format!("could not compare `{table}` with Mixpanel"), &error);
    let audit = tokio::select! {
        audit = workspace.audit_events(table) => audit.map_err(failed)?,
        () = interrupts.time_is_up() => return Err(Failure::new("the comparison was stopped").exit(Exit::Signal(2))),
    };
    let (repaired, missing) = match repair && !audit.differing_days.is_empty() {
        true => self::repair(context, workspace, &audit, interrupts).await?,
        false => (0, None),
    };
    let mut record = serde_json::to_value(&audit).expect("an audit is plain data");
    record["repaired_days"] = json!(repaired);
    context.report(record, &in_words(&audit, repaired))?;
    if audit.differing_days.is_empty() || repaired == audit.differing_days.len() {
        return Ok(Exit::Success);
    }
    if !context.is_for_people() {
        context.output.warning(&in_words(&audit, repaired));
    }
    context.output.hint(&missing.unwrap_or_else(|| {
        let command = context.command(&["verify", table, "--against", "mixpanel", "--repair"]);
        format!("`{command}` fetches these days again")
    }));
    Ok(Exit::Failure)
}

/// Fetches the days again. Returns how many were replaced, and how to fetch those that failed.
async fn repair(
    context: &Context,
    workspace: &Workspace,
    audit: &EventAudit,
    interrupts: &Interrupts,
) -> Result<(usize, Option<String>), Failure> {
    let table = audit.table.as_str();
    let progress = Progress::begin(&context.output, format!("`{}`", audit.table), Shown::Yes).of_events();
    let work = workspace
        .repair_events(audit, |fetch| fetch.parallel().cancel_with(interrupts.token()).on_event(progress.listener()));
    let (command, staged) = (context.command(&["fetch", "resume", table]), progress.clone());
    interrupts.set_exit_hint(move || {
        (staged.on_disk() > 0).then(|| format!("the batches fetched so far are kept: `{command}` resumes the fetch"))
    });
    let results = progress.watch(work).await.map_err(|error| {
        let headline = format!("could not fetch the days of `{table}` again");
        let failure = match error.fault() {
            Some(Fault::PropertyRules) => {
                Failure::without_hint(headline, &error).hint(rules_hint(context, audit, &error))
            }
            _ => context.failed(headline, &error),
        };
        match resume_hint(context, workspace, table, &error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    let failed = |day: &AuditedDay| {
        let ranges = results.iter().flat_map(|result| result.failed_date_ranges());
        ranges.into_iter().any(|(from, to)| (from..=to).contains(&&day.day))
    };
    let repaired = audit.differing_days.iter().filter(|day| !failed(day)).count();
    let incomplete: Vec<&str> =
        results.iter().filter(|result| result.has_failures()).map(EventFetchResult::run_id).collect();
    let missing = (!incomplete.is_empty()).then(|| missing_days_hint(context, workspace, table, &incomplete));
    Ok((repaired, missing))
}

/// Returns the hint for a table whose last load dropped or hashed properties, which a repair cannot do.
fn rules_hint(context: &Context, audit: &EventAudit, error: &Error) -> String {
    let (dropped, hashed) = (name_list(&error.dropped_properties()), name_list(&error.hashed_properties()));
    let (events, dedupe) =
        (name_list(&audit.events.iter().map(String::as_str).collect::<Vec<_>>()), audit.dedupe.to_string());
    let first = audit.differing_days.first().map_or("", |day| day.day.as_str());
    let mut words = vec!["fetch", "events", &audit.table, "--since", first, "--parallel"];
    words.extend(
        [("--drop", &dropped), ("--hash", &hashed), ("--events", &events), ("--dedupe", &dedupe)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .flat_map(|(option, names)| [option, names.as_str()]),
    );
    format!("`{}` fetches all days from then on again, with the rules of the last load", context.command(&words))
}

fn in_words(audit: &EventAudit, repaired: usize) -> String {
    let (table, days) = (&audit.table, counted(audit.days.into(), "day"));
    if audit.days == 0 {
        let open = counted(audit.open_days.into(), "day");
        return format!("no day of `{table}` was compared: {open} of it may still change");
    }
    let open = match audit.open_days {
        0 => String::new(),
        open => format!("; {} that may still change were not compared", counted(open.into(), "day")),
    };
    if audit.differing_days.is_empty() {
        return format!("`{table}` has as many events as Mixpanel on each of {days}{open}");
    }
    let differing = audit.differing_days.len();
    let mut text = format!("`{table}` differs from Mixpanel on {} of {days}{open}", thousands(differing as u64));
    for day in audit.differing_days.iter().take(LISTED_MAX) {
        let before = match day.counted_before {
            Some(before) => format!(", and counted {} when it was repaired last", thousands(before)),
            None => String::new(),
        };
        text.push_str(&format!(
            "\n{}: {}, and Mixpanel counts {}{before}",
            day.day,
            counted(day.rows, "row"),
            thousands(day.counted)
        ));
    }
    if differing > LISTED_MAX {
        text.push_str(&format!("\nand {} more", differing - LISTED_MAX));
    }
    if repaired > 0 {
        text.push_str(&format!("\n{} fetched again", counted(repaired as u64, "day")));
    }
    text
}
