//! Drives the core: performs its actions using tokio, the API client and the writer thread, and reports the results
//! back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::api::{ApiClient, EngageForm, Failure, FailureKind, PageReply};
use crate::blocking::blocking;
use crate::clock::{Stopwatch, random_fraction, wall_clock};
use crate::error::{Error, Result};
use crate::event_query::EventQuery;
use crate::limits::SLEEP_MAX;
use crate::parse::{EventReading, Reading, RecordForm};
use crate::quota::RateLimiter;
use crate::stage::SliceDirectory;
use crate::warning::Warning;

use super::callbacks::Callbacks;
use super::core::{Action, Coordinator, Core, End, Now, Outcome};
use super::events::{ReceiveFailure, ReceivedSlice, SliceRequest, receive};
use super::part::{PartRequest, Requested};
use super::progress::FetchEvent;
use super::rules::Rules;
use super::source::PriorRun;
use super::writer::{Message, Write, Writer};

/// The inputs of a run.
pub(super) struct Run {
    pub(super) client: ApiClient,
    pub(super) requests: Requests,
    pub(super) rules: Rules,
    /// The state left by an earlier process, if this run is resumed.
    pub(super) earlier: Option<PriorRun>,
    pub(super) cancel: CancellationToken,
    pub(super) stop_grace: Duration,
}

/// What the requests of a run have in common.
#[derive(Clone)]
pub(super) enum Requests {
    /// Pages of profiles.
    Profiles {
        form: EngageForm,
        reading: Reading,
        /// Properties for which a warning is given if no profile has them.
        expected_properties: Vec<String>,
    },
    /// Slices of events.
    Events {
        query: EventQuery,
        reading: EventReading,
        /// Where the slices are received.
        directory: SliceDirectory,
        /// The quota of the export API.
        limiter: RateLimiter,
    },
}

/// How a run ended, and the target its parts were written to.
pub(super) struct Finished<T> {
    pub(super) outcome: Outcome,
    pub(super) target: T,
    pub(super) writer_error: Option<Error>,
}

/// The result of a task. For pages, receiving a response and parsing it are separate tasks.
enum TaskResult {
    Reply(Result<Vec<u8>, Failure>),
    Page(Box<Result<PageReply, Failure>>),
    Slice(Box<Result<ReceivedSlice, ReceiveFailure>>),
}

/// Performs the actions that the core returns.
struct Driver<'a, T> {
    run: Run,
    core: Arc<Mutex<Core>>,
    writer: Writer<T>,
    tasks: JoinSet<TaskResult>,
    /// Request and abort handle of each task.
    requests: HashMap<tokio::task::Id, (PartRequest, AbortHandle)>,
    watch: Stopwatch,
    callbacks: &'a mut Callbacks,
    stopped: bool,
}

impl Run {
    /// Returns the same run, whose profiles are read in this form.
    pub(super) fn with_form(mut self, form: RecordForm) -> Self {
        if let Requests::Profiles { reading, .. } = &mut self.requests {
            reading.form = form;
        }
        self
    }

    /// Returns the same run, of which no warning says that properties are missing.
    pub(super) fn without_expectations(mut self) -> Self {
        if let Requests::Profiles { expected_properties, .. } = &mut self.requests {
            expected_properties.clear();
        }
        self
    }

    /// Fetches all parts into `target`; the writer thread calls `write` for each message. A partial result is an
    /// outcome, not an error.
    pub(super) async fn drive<T: Send + 'static>(
        self,
        target: T,
        write: Write<T>,
        callbacks: &mut Callbacks,
    ) -> Result<Finished<T>> {
        let writer = Writer::spawn(target, write, self.rules.workers)?;
        let limiter = match &self.requests {
            Requests::Profiles { .. } => self.client.limiter().clone(),
            Requests::Events { limiter, .. } => limiter.clone(),
        };
        let staged_epoch = self.earlier.as_ref().map_or(0, |earlier| earlier.epoch);
        let coordinator = match &self.earlier {
            Some(earlier) => Coordinator::resume(self.rules, earlier),
            None => Coordinator::new(self.rules),
        };
        let mut driver = Driver {
            core: Arc::new(Mutex::new(Core::new(coordinator, staged_epoch, limiter))),
            run: self,
            writer,
            tasks: JoinSet::new(),
            requests: HashMap::new(),
            watch: Stopwatch::start(),
            callbacks,
            stopped: false,
        };
        let End { outcome, writer_error, unstored } = driver.work().await?;
        driver.tasks.abort_all();
        for warning in unstored.warnings() {
            // The warning contains names from the server, which must be truncated and cleared of secrets.
            let what = driver.run.client.quote(&warning);
            driver.callbacks.tell(&FetchEvent::Warning(Warning::NotKept { what }));
        }
        let expected = match &driver.run.requests {
            Requests::Profiles { expected_properties, .. } => expected_properties.as_slice(),
            Requests::Events { .. } => &[],
        };
        let names: Vec<String> = expected.iter().filter(|name| !unstored.has_matched(name)).cloned().collect();
        if !names.is_empty() && outcome.is_whole() && outcome.counts.received > 0 {
            driver.callbacks.tell(&FetchEvent::Warning(Warning::PropertiesNeverSeen { names }));
        }
        let target = driver.writer.close().await?;
        Ok(Finished { outcome, target, writer_error })
    }
}

impl<T: Send + 'static> Driver<'_, T> {
    fn now(&self) -> Now {
        Now { run: self.watch.elapsed(), wall: wall_clock() }
    }

    /// Locks the core for a step that does not access the quota ledger.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a step of the core on a blocking thread, because it may access the quota ledger.
    async fn step<R: Send + 'static>(&mut self, step: impl FnOnce(&mut Core, Now) -> R + Send + 'static) -> Result<R> {
        let (core, now) = (Arc::clone(&self.core), self.now());
        blocking(move || Ok(step(&mut core.lock().unwrap_or_else(PoisonError::into_inner), now))).await
    }

    async fn next(&mut self) -> Result<Action> {
        let decided = self.core().decided();
        match decided {
            Some(action) => Ok(action),
            None => self.step(Core::next).await,
        }
    }

    async fn work(&mut self) -> Result<End> {
        loop {
            match self.next().await? {
                Action::Send(request) => self.send(request),
                Action::Parse(request, body) => self.parse(request, body),
                Action::Write(message) => self.write(message).await,
                Action::Abandon(epoch) => self.abandon(epoch),
                Action::Tell(event) => self.callbacks.tell(&event),
                Action::WaitUntil(moment) => self.wait(Some(moment)).await?,
                Action::WaitForEvent => self.wait(None).await?,
                Action::Finish(end) => return Ok(*end),
            }
        }
    }

    fn send(&mut self, request: PartRequest) {
        let (client, part) = (self.run.client.clone(), request.part);
        let task = match (self.run.requests.clone(), &request.what) {
            (Requests::Profiles { form, .. }, Requested::Page { session }) => {
                let session = session.clone();
                self.tasks
                    .spawn(async move { TaskResult::Reply(client.request_body(&form, part, session.as_deref()).await) })
            }
            (
                Requests::Events { query: EventQuery { filter, limit, .. }, reading, directory, .. },
                Requested::Slice(slice),
            ) => {
                let slice = SliceRequest { part, slice: slice.clone(), filter, limit };
                self.tasks.spawn(async move {
                    TaskResult::Slice(Box::new(receive(&client, &slice, &reading, directory).await))
                })
            }
            (Requests::Profiles { .. }, Requested::Slice(_)) | (Requests::Events { .. }, Requested::Page { .. }) => {
                let message = "a request of another source; this is a bug";
                self.tasks.spawn(async move { TaskResult::Reply(Err(Failure::new(FailureKind::Internal, message))) })
            }
        };
        self.requests.insert(task.id(), (request, task));
    }

    /// Parses a response in the background, so that the next request does not wait for it.
    fn parse(&mut self, request: PartRequest, body: Vec<u8>) {
        let client = self.run.client.clone();
        let Requests::Profiles { reading, .. } = self.run.requests.clone() else { return };
        let task =
            self.tasks.spawn(async move { TaskResult::Page(Box::new(client.read_in_background(body, reading).await)) });
        self.requests.insert(task.id(), (request, task));
    }

    /// Sends a message to the writer. The inbox has room for every part that can be in flight. If it is closed, the
    /// writer has stopped, and its last report says why.
    async fn write(&mut self, message: Message) {
        if self.writer.inbox.send(message).await.is_err() {
            tracing::debug!("the writer accepts no more parts");
        }
    }

    fn abandon(&mut self, epoch: u32) {
        for (_, task) in self.requests.values().filter(|(request, _)| request.epoch != epoch) {
            task.abort();
        }
    }

    /// Waits for the next event and reports it to the core.
    async fn wait(&mut self, until: Option<Duration>) -> Result<()> {
        // Timers do not advance while the machine sleeps, so a long wait is split into short ones.
        let pause = until.map(|moment| moment.saturating_sub(self.watch.elapsed()).min(SLEEP_MAX));
        let timer = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.run.cancel.cancelled(), if !self.stopped => {
                self.stopped = true;
                let deadline = self.watch.elapsed() + self.run.stop_grace;
                self.core().stop(deadline);
            }
            report = self.writer.reports.recv() => self.core().writer_reported(report),
            Some(work) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => return self.joined(work).await,
            () = timer => {}
        }
        Ok(())
    }

    /// Handles a finished task, whether it returned a result or panicked.
    async fn joined(&mut self, work: Result<(tokio::task::Id, TaskResult), JoinError>) -> Result<()> {
        let id = work.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((request, _)) = self.requests.remove(&id) else { return Ok(()) };
        let failure = match work {
            Ok((_, TaskResult::Reply(Ok(body)))) => {
                return self.step(|core, now| core.reply_received(request, body, now)).await;
            }
            Ok((_, TaskResult::Page(page))) => match *page {
                Ok(reply) => {
                    let server_time = self.run.client.server_time();
                    let now = self.now();
                    self.core().part_arrived(&request, reply.into(), server_time, now, random_fraction());
                    return Ok(());
                }
                Err(failure) => failure,
            },
            Ok((_, TaskResult::Slice(slice))) => match *slice {
                Ok(slice) => {
                    let fraction = random_fraction();
                    return self.step(move |core, now| core.slice_arrived(&request, slice, now, fraction)).await;
                }
                Err(ReceiveFailure::Storage(error)) => {
                    return self.step(move |core, now| core.slice_not_stored(&request, error, now)).await;
                }
                Err(ReceiveFailure::Request(failure)) => failure,
                Err(ReceiveFailure::Abandoned) => Failure::new(FailureKind::Incomplete, "the response ended early"),
            },
            Ok((_, TaskResult::Reply(Err(failure)))) => failure,
            Err(_) => Failure::new(FailureKind::Internal, "a request's task panicked; this is a bug"),
        };
        let fraction = random_fraction();
        self.step(move |core, now| core.request_failed(&request, failure, now, fraction)).await
    }
}
