//! Shared by all `mp fetch` commands that send requests: credentials, signals and the presentation of results.

use std::time::Duration;

use mixpanel_data::{Error, ErrorKind, RunOptions, Workspace};

use super::fetched::Fetched;
use super::summary::{Summary, first_rows};
use super::unfinished::{discard_command, resume_command, to_name};
use super::warnings;
use crate::cli::{AcceptArgs, ReportArgs, WaitArgs, WorkerArgs};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::hints::Purpose;
use crate::progress::{Progress, Records, Shown};
use crate::settings::{Identity, chosen_quota};
use crate::signals::Interrupts;
use crate::text::about;

/// A project to fetch from and its credentials.
pub(super) struct Project<'a> {
    pub(super) context: &'a Context,
    pub(super) workspace: Workspace,
    identity: Identity,
}

impl<'a> Project<'a> {
    /// Resolves the credentials and the quota.
    pub(super) fn open(context: &'a Context, waits: &WaitArgs) -> Result<Self, Failure> {
        let wrong = |error| Failure::library("cannot use `--quota` and `--reserve`", &error);
        let quota = chosen_quota(waits.quota, waits.reserve).map_err(wrong)?;
        let identity = context.settings.identity(&context.output)?;
        let workspace = context.settings.workspace(&identity, &context.output)?;
        let workspace = match quota {
            Some(quota) => workspace.with_quota(quota),
            None => workspace,
        };
        Ok(Self { context, workspace, identity })
    }

    /// Describes where the credentials and the project come from.
    fn origin(&self) -> String {
        let whose = self.identity.whose();
        match self.context.settings.project_source(&self.identity) {
            Some(source) => {
                let project = &self.identity.credentials.project_id;
                format!("the credentials come from {whose}, but project {project} comes from {source}")
            }
            None => format!("the credentials come from {whose}"),
        }
    }

    /// Runs `work`, which fetches these records, so that a signal can stop it.
    pub(super) fn interruptible(
        &self,
        records: Records,
        work: impl AsyncFnOnce(&Interrupts) -> Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        self.context.block_on(async {
            let message = match records {
                Records::Profiles => |grace| stop_message(grace, Records::Profiles),
                Records::Events => |grace| stop_message(grace, Records::Events),
            };
            let interrupts = Interrupts::listen(&self.context.output, message)?;
            let result = work(&interrupts).await;
            interrupts.settle(result).map_err(|failure| match failure.exit {
                Exit::Auth => failure.hint(self.origin()),
                _ => failure,
            })
        })
    }
}

fn stop_message(grace: Duration, records: Records) -> String {
    let parts = records.plural();
    format!("stopping: waiting up to {} for {parts} in flight; signal again to stop at once", about(grace))
}

/// Warns if `--workers` has no effect.
pub(super) fn check_workers(context: &Context, workers: &WorkerArgs) {
    if workers.workers.is_some() && !workers.parallel {
        context.output.warning("`--workers` has no effect without `--parallel`");
    }
}

/// Returns the options shared by a new fetch and a resumed run. Omitted options keep the library's defaults.
pub(super) fn options(workers: &WorkerArgs, accept: &AcceptArgs, waits: &WaitArgs) -> RunOptions {
    let mut options = RunOptions::new();
    if let Some(wait) = waits.max_wait {
        options = options.max_wait(wait);
    }
    if let Some(wait) = waits.lock_wait {
        options = options.lock_wait(wait);
    }
    if let Some(bytes) = workers.memory {
        options = options.memory(bytes);
    }
    if let Some(percent) = accept.allow_drift {
        options = options.allow_drift(percent);
    }
    if accept.allow_empty { options.allow_empty() } else { options }
}

/// Returns whether to show the progress bar.
pub(super) fn shown(no_progress: bool) -> Shown {
    if no_progress { Shown::No } else { Shown::Yes }
}

/// A fetch into a table.
pub(super) struct IntoTable<'a> {
    pub(super) project: &'a Project<'a>,
    pub(super) interrupts: &'a Interrupts,
    pub(super) table: &'a str,
    pub(super) records: Records,
    /// The run to name in suggested commands; `None` for the table's newest run.
    pub(super) run: Option<&'a str>,
    pub(super) progress: Progress,
    pub(super) report: &'a ReportArgs,
    /// Whether an earlier process began the run.
    pub(super) is_resumed: bool,
}

impl IntoTable<'_> {
    /// Waits for `work`, prints its outcome and suggests how to continue.
    pub(super) async fn finish(
        &self,
        work: impl Future<Output = Result<impl Into<Fetched>, Error>>,
    ) -> Result<Exit, Failure> {
        let context = self.project.context;
        self.interrupts.set_exit_hint(self.hint_from_events());
        let (progress, records) = (self.progress.clone(), self.records);
        self.interrupts.set_stop_message(move |grace| match progress.is_loading() {
            true => {
                "stopping: the load is rolled back unless its commit has begun; signal again to stop at once".to_owned()
            }
            false => stop_message(grace, records),
        });
        let result: Fetched = self.wait(work).await?.into();
        let is_for_people = context.is_for_people();
        let printed = if is_for_people { Ok(()) } else { context.print(result.as_record(self.report)) };
        let next = self.warn(&result, is_for_people);
        let rejects = warnings::rejects(context, result.counts(), result.run_id(), self.report.allow_rejects);
        // What is missing comes first, and the next command last.
        let printed = if is_for_people { self.summarize(&result, next) } else { printed };
        let exit = if result.has_failures() { Exit::Failure } else { rejects };
        match printed {
            // Even with a closed pipe, the data is in the table.
            Err(failure) if !failure.is_silent() => {
                Err(failure.hint(format!("table `{}` was loaded; only its summary could not be printed", self.table)))
            }
            _ => Ok(exit),
        }
    }

    /// Warns if profiles are missing. Returns the command to suggest in the summary, if one `is_shown`; without a
    /// summary, a hint suggests it.
    fn warn(&self, result: &Fetched, is_shown: bool) -> Option<String> {
        let context = self.project.context;
        if !result.has_failures() {
            let rows = result.loaded().table_rows;
            return (rows > 0).then(|| context.command(&["query", "sql", &first_rows(result.table())]));
        }
        let command = self.resume_command(result.run_id());
        let target = &format!("`{}`", self.table);
        if !result.failed_ranges().is_empty() {
            let missing = warnings::missing_days(target, result.failed_ranges(), &self.progress.failures());
            context.output.warning(&missing);
        } else if result.failed_pages().is_empty() {
            context.output.hint(&warnings::shortfall_hint(&command));
            return None;
        } else {
            let (failed, unchecked) = (result.failed_pages(), result.loaded().unchecked_page);
            let missing = warnings::MissingPages { target, failed, unchecked };
            context.output.warning(&missing.text(&self.progress.failures()));
        }
        if !is_shown {
            context.output.hint(&warnings::missing_hint(&command, self.records));
        }
        Some(command)
    }

    fn summarize(&self, result: &Fetched, next: Option<String>) -> Result<(), Failure> {
        let output = &self.project.context.output;
        let summary = Summary::of(self.project.context, result, self.is_resumed, next);
        output.show(&summary.text(output.width().into()))
    }

    /// Waits for `work`; after a signal, only for the grace period. A load is always awaited, because it stops by
    /// itself.
    async fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        let mut work = std::pin::pin!(self.progress.watch(work));
        let result = tokio::select! {
            result = &mut work => result,
            () = self.interrupts.time_is_up() => {
                if !self.progress.is_loading() {
                    return Err(self.grace_expired());
                }
                work.await
            }
        };
        result.map_err(|error| {
            let failure = match self.discard_command(&error) {
                Some(command) => Failure::without_hint(self.headline(), &error)
                    .hint(format!("`{command}` discards the run, which is older than the table")),
                None => self.project.context.failed_to(self.purpose(), self.headline(), &error),
            };
            let project = self.project;
            match warnings::resume_hint(project.context, &project.workspace, self.table, &error, self.records) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })
    }

    /// Returns the purpose of the command; whether it resumes events is known only here.
    fn purpose(&self) -> Purpose {
        match (self.project.context.purpose, self.records) {
            (Purpose::Resume, Records::Events) => Purpose::ResumeEvents,
            (purpose, _) => purpose,
        }
    }

    fn grace_expired(&self) -> Failure {
        let error = Error::new(ErrorKind::Cancelled, self.stopped());
        let failure = Failure::library(self.headline(), &error);
        match self.hint_from_events()() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    fn stopped(&self) -> &'static str {
        match self.records {
            Records::Profiles => "the fetch was stopped before the pages in flight arrived",
            Records::Events => "the fetch was stopped before the batches in flight arrived",
        }
    }

    fn headline(&self) -> String {
        match self.records {
            Records::Profiles => format!("could not fetch profiles into `{}`", self.table),
            Records::Events => format!("could not fetch events into `{}`", self.table),
        }
    }

    /// Returns a function that builds the resume hint from page events alone, for use when there is no time to read the
    /// disk.
    fn hint_from_events(&self) -> impl Fn() -> Option<String> + Send + use<> {
        let progress = self.progress.clone();
        let (command, records) = (resume_command(self.project.context, self.table, self.run), self.records);
        move || {
            let parts = progress.on_disk();
            (parts > 0).then(|| warnings::kept_hint(parts.into(), &command, records))
        }
    }

    /// Returns the command that discards the run, if the table was not loaded because it is newer.
    fn discard_command(&self, error: &Error) -> Option<String> {
        let run_id = error.run_id().filter(|_| error.is_superseded() || error.kind() == ErrorKind::TableExists)?;
        let runs = self.project.workspace.unfinished_runs().ok()?;
        let run = runs.iter().find(|run| run.run_id == run_id)?;
        run.is_superseded.then(|| discard_command(self.project.context, &runs, self.table, run_id))
    }

    fn resume_command(&self, run_id: &str) -> String {
        let runs = self.project.workspace.unfinished_runs().unwrap_or_default();
        resume_command(self.project.context, self.table, to_name(&runs, self.table, run_id))
    }
}
