//! `mp fetch profiles`: into a table, or as JSON lines to standard output.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use mixpanel_data::{
    IncludeUsers, OnExisting, ProfileFetch, ProfileFetchResult, ProfileQuery, ProfileStreamResult, RecordForm,
    Workspace,
};
use serde_json::Value;

use crate::cli::{FetchCommand, FetchProfilesArgs, Format};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Data, Escape, Output};
use crate::progress::{Progress, Shown};
use crate::signals::Interrupts;
use crate::text::{counted, page_list};

const STOPPING: &str = "stopping: pages under way get up to 10 s; once more stops at once";
/// Failed pages whose reasons are shown; the others are named only.
const REASONS_MAX: usize = 5;

/// Runs `mp fetch ...`.
pub(crate) fn run(context: &Context, command: FetchCommand) -> Result<Exit, Failure> {
    let FetchCommand::Profiles(arguments) = command;
    check(context, &arguments)?;
    let mut query = query(&arguments)?;
    query.page_size = arguments.page_size;
    let identity = context.settings.identity(&context.output)?;
    let workspace = context.settings.workspace(&identity, &context.output)?;
    let fetch = fetch(&arguments, query);
    context.block_on(async {
        let interrupts = Interrupts::listen(&context.output, STOPPING)?;
        let fetch = fetch.cancel_with(interrupts.token());
        let result = if arguments.stdout {
            to_stdout(context, &arguments, &workspace, fetch).await
        } else {
            to_table(context, &arguments, &workspace, fetch).await
        };
        interrupts.settle(result).map_err(|failure| match failure.exit {
            Exit::Auth => failure.hint(format!("the credentials are those of {}", identity.whose())),
            _ => failure,
        })
    })
}

fn check(context: &Context, arguments: &FetchProfilesArgs) -> Result<(), Failure> {
    if arguments.workers.is_some() && !arguments.parallel {
        context.output.warning("`--workers` has no effect without `--parallel`");
    }
    if arguments.stdout && !matches!(context.chosen_format, None | Some(Format::Json | Format::Jsonl)) {
        return Err(Failure::usage("`--stdout` prints JSON lines and no other format")
            .hint("fetch into a table, then `mp query sql` prints it in any format"));
    }
    Ok(())
}

fn query(arguments: &FetchProfilesArgs) -> Result<ProfileQuery, Failure> {
    let properties = arguments.output_properties.iter().map(|list| split_list(list)).collect::<Result<Vec<_>, _>>()?;
    let properties = properties.concat();
    if properties.is_empty() && !arguments.output_properties.is_empty() {
        return Err(Failure::usage("`--output-properties` names no property").hint("leave it out to fetch all"));
    }
    Ok(ProfileQuery {
        where_: arguments.filter.clone(),
        cohort_id: arguments.cohort.clone(),
        output_properties: (!properties.is_empty()).then_some(properties),
        distinct_id: arguments.distinct_id.clone(),
        distinct_ids: (!arguments.distinct_ids.is_empty()).then(|| arguments.distinct_ids.clone()),
        group_id: arguments.group_id.clone(),
        behaviors: arguments.behaviors.clone(),
        as_of_timestamp: arguments.as_of_timestamp,
        include_all_users: if arguments.include_all_users { IncludeUsers::All } else { IncludeUsers::WithProfile },
        page_size: None,
    })
}

fn fetch(arguments: &FetchProfilesArgs, query: ProfileQuery) -> ProfileFetch {
    let on_existing = match (arguments.replace, arguments.append) {
        (true, _) => OnExisting::Replace,
        (_, true) => OnExisting::Append,
        _ => OnExisting::Fail,
    };
    let mut fetch = ProfileFetch::new(&arguments.name).query(query).on_existing(on_existing);
    if let Some(rows) = arguments.batch_size {
        fetch = fetch.batch_size(rows);
    }
    match (arguments.parallel, arguments.workers) {
        (true, Some(workers)) => fetch.max_workers(workers),
        (true, None) => fetch.parallel(),
        (false, _) => fetch,
    }
}

/// Splits names at commas. A name in double quotes may have commas, and a doubled quote stands for one.
fn split_list(list: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                name.push('"');
            }
            '"' if quoted || name.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            other => name.push(other),
        }
    }
    if quoted {
        return Err(Failure::usage("`--output-properties` has a quote that does not end")
            .hint("a name with a comma is written \"a,b\", and a quote inside such a name twice"));
    }
    names.push(name);
    Ok(names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
}

async fn to_table(
    context: &Context,
    arguments: &FetchProfilesArgs,
    workspace: &Workspace,
    fetch: ProfileFetch,
) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let progress = Progress::begin(&context.output, format!("`{name}`"), shown(arguments.no_progress));
    let result = progress.watch(workspace.fetch_profiles(fetch.on_event(progress.listener()))).await;
    let result = result.map_err(|error| Failure::library(format!("could not fetch profiles into `{name}`"), &error))?;
    let printed = context.print(as_record(&result));
    if !result.has_failures() {
        return printed.map(|()| Exit::Success);
    }
    warn_of_missing(&context.output, &format!("`{name}`"), result.failed_page_indices(), &progress.failures());
    context.output.hint(
        "run the same command with `--replace` for the whole snapshot, or with `--append` to add what is missing",
    );
    match printed {
        Err(failure) if !failure.is_silent() => Err(failure),
        _ => Ok(Exit::Failure),
    }
}

/// The result's fields, and whether pages are missing.
pub(crate) fn as_record(result: &ProfileFetchResult) -> Value {
    let mut record = serde_json::to_value(result).expect("a result is plain data");
    if let Value::Object(fields) = &mut record {
        fields.insert("has_failures".to_owned(), result.has_failures().into());
    }
    record
}

fn warn_of_missing(output: &Output, target: &str, pages: &[u32], reasons: &[(u32, String)]) {
    let (count, list) = (pages.len() as u64, page_list(pages));
    let noun = if count == 1 { "page" } else { "pages" };
    let mut text = format!("{} failed, so {target} lacks the profiles of {noun} {list}", counted(count, "page"));
    let mut reasons: Vec<_> = reasons.iter().collect();
    reasons.sort();
    for (page, reason) in reasons.iter().take(REASONS_MAX) {
        text.push_str(&format!("\npage {page}: {reason}"));
    }
    if reasons.len() > REASONS_MAX {
        text.push_str(&format!("\nand {} more", reasons.len() - REASONS_MAX));
    }
    output.warning(&text);
}

fn shown(no_progress: bool) -> Shown {
    if no_progress { Shown::No } else { Shown::Yes }
}

/// Standard output as the fetch's sink, and what went wrong with it.
struct Sink {
    data: Data,
    failure: Option<Failure>,
    /// Whether each line is to be seen at once.
    is_terminal: bool,
}

impl Sink {
    fn take(&mut self, record: &str) -> ControlFlow<()> {
        let written = self.data.line(record).and_then(|()| if self.is_terminal { self.data.flush() } else { Ok(()) });
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }
}

async fn to_stdout(
    context: &Context,
    arguments: &FetchProfilesArgs,
    workspace: &Workspace,
    fetch: ProfileFetch,
) -> Result<Exit, Failure> {
    let output = &context.output;
    // On one and the same terminal, progress would stand between the records.
    let hidden = arguments.no_progress || output.stdout_is_terminal();
    let progress = Progress::begin(output, "standard output", shown(hidden));
    let sink = Sink { data: output.data(Escape::Json), failure: None, is_terminal: output.stdout_is_terminal() };
    let sink = Arc::new(Mutex::new(sink));
    let form = if arguments.raw { RecordForm::Raw } else { RecordForm::Row };
    let receiver = Arc::clone(&sink);
    let take = move |record: &str| receiver.lock().unwrap_or_else(PoisonError::into_inner).take(record);
    let fetch = fetch.on_event(progress.listener());
    let result = progress.watch(workspace.stream_profiles(fetch, form, take)).await;
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    let flushed = sink.data.flush();
    if let Some(failure) = sink.failure.take() {
        return Err(failure);
    }
    let result: ProfileStreamResult =
        result.map_err(|error| Failure::library("could not fetch profiles to standard output", &error))?;
    flushed?;
    if result.failed_page_indices.is_empty() {
        output.note(&format!("{} fetched", counted(result.rows, "profile")));
        return Ok(Exit::Success);
    }
    warn_of_missing(output, "the output", &result.failed_page_indices, &progress.failures());
    output.hint("run the same command again");
    Ok(Exit::Failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        let table: [(&str, &[&str]); 6] = [
            ("plan", &["plan"]),
            ("plan, $email ,", &["plan", "$email"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"hi\"\", you\"", &["say \"hi\", you"]),
            ("5\" disk,x", &["5\" disk", "x"]),
            ("", &[]),
        ];
        for (list, names) in table {
            assert_eq!(split_list(list).expect(list), names, "{list}");
        }
        assert_eq!(split_list("\"a,b").expect_err("an open quote").exit, Exit::Usage);
    }
}
