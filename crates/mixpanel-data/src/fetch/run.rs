//! Drives the coordinator: sends the requests it asks for, hands pages to the writer, and tells it what happened.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::api::{ApiClient, Failure, FailureKind, PageReply, PageRequest};
use crate::clock::{Stopwatch, random_fraction, wall_clock};
use crate::error::{Error, Result};
use crate::limits::{CLOCK_TOLERANCE, SLEEP_MAX};
use crate::parse::{RecordForm, Unkept, fingerprint};
use crate::types::ProfileWriteTask;

use super::coordinator::{Action, Ask, Coordinator, Earlier, PageFacts, Rules, Verdict};
use super::dispatch::{Dispatcher, Moment};
use super::outcome::Outcome;
use super::progress::FetchEvent;
use super::request::{Callback, Callbacks};
use super::writer::{Destination, Message, Report, Writer};

/// What a run needs to know.
pub(super) struct Run {
    pub(super) client: ApiClient,
    pub(super) request: PageRequest,
    pub(super) rules: Rules,
    /// What an earlier process left, when this one goes on with it.
    pub(super) earlier: Option<Earlier>,
    pub(super) form: RecordForm,
    pub(super) cancel: CancellationToken,
    pub(super) stop_grace: Duration,
}

/// How a run ended, and what the writer leaves.
pub(super) struct Finished {
    pub(super) outcome: Outcome,
    pub(super) destination: Destination,
    pub(super) writer_error: Option<Error>,
}

/// What a task brings: first the reply, then what it says.
enum Work {
    Reply(Result<Vec<u8>, Failure>),
    Page(Box<Result<PageReply, Failure>>),
}

/// The moving parts of a run.
struct Driver<'a> {
    run: Run,
    dispatcher: Dispatcher,
    writer: Writer,
    tasks: JoinSet<Work>,
    /// The request that each task is about.
    asks: HashMap<tokio::task::Id, (Ask, AbortHandle)>,
    watch: Stopwatch,
    callbacks: &'a mut Callbacks,
    /// The session that requests are sent for.
    generation: u32,
    /// The session that the writer stages pages of.
    staged_generation: u32,
    session_recorded: bool,
    stopped: bool,
    writer_error: Option<Error>,
    /// What the pages of this run have that no table has a place for.
    unkept: Unkept,
}

impl Run {
    /// Fetches all pages into `destination`. Partial success is an outcome, not an error.
    pub(super) async fn drive(self, destination: Destination, callbacks: &mut Callbacks) -> Result<Finished> {
        let writer = Writer::spawn(destination)?;
        let generation = self.earlier.as_ref().map_or(0, |earlier| earlier.generation);
        let coordinator = match &self.earlier {
            Some(earlier) => Coordinator::resume(self.rules, earlier),
            None => Coordinator::new(self.rules),
        };
        let mut driver = Driver {
            generation: coordinator.generation(),
            staged_generation: generation,
            session_recorded: coordinator.session().is_some(),
            dispatcher: Dispatcher::new(coordinator, self.client.governor().clone()),
            run: self,
            writer,
            tasks: JoinSet::new(),
            asks: HashMap::new(),
            watch: Stopwatch::start(),
            callbacks,
            stopped: false,
            writer_error: None,
            unkept: Unkept::default(),
        };
        driver.work().await;
        driver.tasks.abort_all();
        let outcome = driver.dispatcher.coordinator.finish(driver.watch.elapsed());
        driver.tell().await;
        for warning in driver.unkept.warnings() {
            // It has names that the server sent.
            let warning = driver.run.client.quote(&warning);
            driver.callbacks.tell(&FetchEvent::Warning(warning));
        }
        let Driver { writer, writer_error, .. } = driver;
        let destination = writer.close().await?;
        Ok(Finished { outcome, destination, writer_error })
    }
}

impl Driver<'_> {
    fn now(&self) -> Moment {
        Moment { run: self.watch.elapsed(), wall: wall_clock() }
    }

    async fn work(&mut self) {
        loop {
            let action = self.dispatcher.next(self.now());
            self.tell().await;
            match action {
                Action::Ask(ask) => self.send(ask),
                Action::WaitUntil(moment) => self.wait(Some(moment)).await,
                Action::WaitForEvent => self.wait(None).await,
                Action::Finish => return,
            }
        }
    }

    fn send(&mut self, ask: Ask) {
        let client = self.run.client.clone();
        let request = self.run.request.clone();
        let (page, session) = (ask.page, ask.session.clone());
        let task =
            self.tasks.spawn(async move { Work::Reply(client.request_body(&request, page, session.as_deref()).await) });
        self.asks.insert(task.id(), (ask, task));
    }

    /// Waits for whatever comes first, and tells the coordinator.
    async fn wait(&mut self, until: Option<Duration>) {
        // A machine that slept has not slept through a long timer, so long waits are looked at again now and then.
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
                self.dispatcher.coordinator.stop(self.watch.elapsed() + self.run.stop_grace);
            }
            report = self.writer.reports.recv() => match report {
                Some(report) => self.writer_reported(report),
                // Its thread ended without a word: closing it says that it panicked.
                None => self.dispatcher.coordinator.writer_failed(),
            },
            Some(work) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.joined(work).await,
            () = timer => {}
        }
    }

    fn writer_reported(&mut self, report: Report) {
        let coordinator = &mut self.dispatcher.coordinator;
        match report {
            // A page of a session that is lost meanwhile is nobody's any more.
            Report::Staged { generation, .. } if generation != coordinator.generation() => {}
            Report::Staged { page, rows, .. } => coordinator.page_staged(page, rows),
            Report::Ended => coordinator.writer_failed(),
            Report::Failed(error) => {
                self.writer_error = Some(error);
                coordinator.writer_failed();
            }
        }
    }

    /// A task ended: with what it was to bring, or in a panic, which is as good as nothing.
    async fn joined(&mut self, work: Result<(tokio::task::Id, Work), JoinError>) {
        let id = work.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((ask, _)) = self.asks.remove(&id) else { return };
        match work {
            Ok((_, Work::Reply(Ok(body)))) => {
                if self.dispatcher.reply_received(&ask, self.now()) {
                    self.read(ask, body);
                }
            }
            Ok((_, Work::Page(page))) => match *page {
                Ok(reply) => self.answered(&ask, reply).await,
                Err(failure) => self.failed(&ask, failure),
            },
            Ok((_, Work::Reply(Err(failure)))) => self.failed(&ask, failure),
            Err(_) => {
                self.failed(&ask, Failure::new(FailureKind::Internal, "a request's task panicked; this is a bug"));
            }
        }
    }

    /// Reads a reply where that holds nothing up; the next request goes out meanwhile.
    fn read(&mut self, ask: Ask, body: Vec<u8>) {
        let (client, form) = (self.run.client.clone(), self.run.form);
        let task = self.tasks.spawn(async move { Work::Page(Box::new(client.read_in_background(body, form).await)) });
        self.asks.insert(task.id(), (ask, task));
    }

    fn failed(&mut self, ask: &Ask, failure: Failure) {
        let now = self.now();
        self.dispatcher.request_failed(ask, failure, now, random_fraction());
    }

    async fn answered(&mut self, ask: &Ask, reply: PageReply) {
        let facts = PageFacts {
            page: reply.body.page,
            page_size: reply.body.page_size,
            session_id: reply.body.session_id,
            total: reply.body.total,
            received: reply.body.rows.received() as u64,
            fingerprint: fingerprint(&reply.body.rows),
            bytes: reply.bytes,
        };
        let now = self.now();
        if self.dispatcher.page_arrived(ask, &facts, now, random_fraction()) == Verdict::Drop {
            return;
        }
        self.unkept.add(reply.body.rows.unkept());
        self.record_session().await;
        let task = ProfileWriteTask { page_index: ask.page, rows: reply.body.rows };
        self.hand_to_writer(Message::Page(Box::new(task))).await;
    }

    /// Has the writer stage pages of the present session. After a session that was lost that is so at once; a session that an
    /// earlier process left stays what a later one resumes until page 0 of a new one is here.
    async fn begin_generation(&mut self) {
        if std::mem::replace(&mut self.staged_generation, self.generation) != self.generation {
            self.hand_to_writer(Message::Restart(self.generation)).await;
        }
    }

    /// The session goes into the manifest before its first page goes into the stage.
    async fn record_session(&mut self) {
        if self.session_recorded {
            return;
        }
        let Some(mut facts) = self.dispatcher.coordinator.session() else { return };
        facts.server_time = self.run.client.server_time();
        self.warn_of_clock(facts.server_time);
        self.session_recorded = true;
        self.begin_generation().await;
        self.hand_to_writer(Message::Session(facts)).await;
    }

    /// What is recorded of the run goes by the server's clock, if this one is ahead of it.
    fn warn_of_clock(&mut self, server_time: Option<Timestamp>) {
        let now = wall_clock();
        let ahead = server_time.map_or(0, |time| now.as_second() - time.as_second());
        if u64::try_from(ahead).is_ok_and(|ahead| ahead > CLOCK_TOLERANCE.as_secs()) {
            let text = format!(
                "this machine's clock is {ahead} s ahead of the server's; the load is recorded for the server's time"
            );
            self.dispatcher.coordinator.tell(FetchEvent::Warning(text));
        }
    }

    /// The inbox has room for all that can be under way. A closed one means that the writer has failed; it says why in
    /// its last report.
    async fn hand_to_writer(&mut self, message: Message) {
        if self.writer.inbox.send(message).await.is_err() {
            tracing::debug!("the writer takes no more pages");
        }
    }

    /// Lets go of what belongs to a lost session; tells the caller everything, and the writer what it need not wait for.
    async fn tell(&mut self) {
        let generation = self.dispatcher.coordinator.generation();
        if generation != self.generation {
            self.generation = generation;
            self.session_recorded = false;
            for (_, task) in self.asks.values().filter(|(ask, _)| ask.generation != generation) {
                task.abort();
            }
            self.begin_generation().await;
        }
        while let Some(event) = self.dispatcher.coordinator.next_event() {
            if let FetchEvent::Page(progress) = &event
                && !progress.success
            {
                self.hand_to_writer(Message::Missing(progress.page_index)).await;
            }
            self.callbacks.tell(&event);
        }
    }
}

impl Callbacks {
    /// Calls back. A callback that panics is not called again, and the fetch goes on.
    pub(super) fn tell(&mut self, event: &FetchEvent) {
        match event {
            // Whoever listens is told below; a log beside it would say it twice.
            FetchEvent::Warning(text) if self.event.is_none() => tracing::warn!("{text}"),
            FetchEvent::Retry { page_index, attempt, reason, .. } => {
                tracing::debug!(page_index, attempt, "{reason}; trying again");
            }
            _ => {}
        }
        if let FetchEvent::Page(progress) = event {
            call(&mut self.page, progress);
        }
        call(&mut self.event, event);
    }
}

fn call<T>(callback: &mut Option<Callback<T>>, value: &T) {
    let Some(function) = callback else { return };
    if catch_unwind(AssertUnwindSafe(|| function(value))).is_err() {
        tracing::warn!("a progress callback panicked and is not called again");
        *callback = None;
    }
}
