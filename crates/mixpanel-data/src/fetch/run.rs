//! Drives the coordinator: sends the requests it asks for, hands pages to the writer, and tells it what happened.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::api::{ApiClient, Failure, FailureKind, PageReply, PageRequest};
use crate::clock::{Stopwatch, random_fraction};
use crate::error::{Error, Result};
use crate::parse::RecordForm;
use crate::stage::SessionFacts;
use crate::types::ProfileWriteTask;

use super::coordinator::{Action, Coordinator, PageFacts, Verdict};
use super::outcome::Outcome;
use super::progress::FetchEvent;
use super::request::{Callback, Callbacks};
use super::writer::{Destination, Message, Report, Writer};

/// What a run needs to know.
pub(super) struct Run {
    pub(super) client: ApiClient,
    pub(super) request: PageRequest,
    pub(super) workers: u32,
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

type PageReplyResult = Result<PageReply, Failure>;

/// The moving parts of a run.
struct Driver<'a> {
    run: Run,
    coordinator: Coordinator,
    writer: Writer,
    requests: JoinSet<PageReplyResult>,
    /// The page that each task asks for.
    pages: HashMap<tokio::task::Id, u32>,
    watch: Stopwatch,
    callbacks: &'a mut Callbacks,
    session_recorded: bool,
    stopped: bool,
    writer_error: Option<Error>,
}

impl Run {
    /// Fetches all pages into `destination`. Partial success is an outcome, not an error.
    pub(super) async fn drive(self, destination: Destination, callbacks: &mut Callbacks) -> Result<Finished> {
        let writer = Writer::spawn(destination)?;
        let mut driver = Driver {
            coordinator: Coordinator::new(self.workers),
            run: self,
            writer,
            requests: JoinSet::new(),
            pages: HashMap::new(),
            watch: Stopwatch::start(),
            callbacks,
            session_recorded: false,
            stopped: false,
            writer_error: None,
        };
        driver.work().await;
        driver.requests.abort_all();
        let outcome = driver.coordinator.finish(driver.watch.elapsed());
        driver.tell().await;
        let Driver { writer, writer_error, .. } = driver;
        let destination = writer.close().await?;
        Ok(Finished { outcome, destination, writer_error })
    }
}

impl Driver<'_> {
    async fn work(&mut self) {
        loop {
            let action = self.coordinator.next(self.watch.elapsed());
            self.tell().await;
            match action {
                Action::Ask { page, session } => self.send(page, session),
                Action::WaitUntil(moment) => self.wait(Some(moment)).await,
                Action::WaitForEvent => self.wait(None).await,
                Action::Finish => return,
            }
        }
    }

    fn send(&mut self, page: u32, session: Option<String>) {
        let client = self.run.client.clone();
        let request = self.run.request.clone();
        let form = self.run.form;
        let task =
            self.requests.spawn(async move { client.request_page(&request, page, session.as_deref(), form).await });
        self.pages.insert(task.id(), page);
    }

    /// Waits for whatever comes first, and tells the coordinator.
    async fn wait(&mut self, until: Option<Duration>) {
        let pause = until.map(|moment| moment.saturating_sub(self.watch.elapsed()));
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
                self.coordinator.stop(self.watch.elapsed() + self.run.stop_grace);
            }
            report = self.writer.reports.recv() => match report {
                Some(report) => self.writer_reported(report),
                // Its thread ended without a word: closing it says that it panicked.
                None => self.coordinator.writer_failed(),
            },
            Some(answer) = self.requests.join_next_with_id(), if !self.requests.is_empty() => self.joined(answer).await,
            () = timer => {}
        }
    }

    fn writer_reported(&mut self, report: Report) {
        match report {
            Report::Staged { page, rows } => self.coordinator.page_staged(page, rows),
            Report::Ended => self.coordinator.writer_failed(),
            Report::Failed(error) => {
                self.writer_error = Some(error);
                self.coordinator.writer_failed();
            }
        }
    }

    /// A request's task ended: with an answer, or in a panic, which is as good as none.
    async fn joined(&mut self, answer: Result<(tokio::task::Id, PageReplyResult), JoinError>) {
        let id = answer.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(page) = self.pages.remove(&id) else { return };
        let reply = match answer {
            Ok((_, reply)) => reply,
            Err(_) => Err(Failure::new(FailureKind::Internal, "the request's task panicked; this is a bug")),
        };
        self.answered(page, reply).await;
    }

    async fn answered(&mut self, page: u32, reply: Result<PageReply, Failure>) {
        let now = self.watch.elapsed();
        let reply = match reply {
            Ok(reply) => reply,
            Err(failure) => return self.coordinator.request_failed(page, failure, now, random_fraction()),
        };
        let facts = PageFacts {
            page: reply.body.page,
            page_size: reply.body.page_size,
            session_id: reply.body.session_id,
            total: reply.body.total,
            received: reply.body.rows.received() as u64,
            bytes: reply.bytes,
        };
        if self.coordinator.page_arrived(page, &facts, now, random_fraction()) == Verdict::Drop {
            return;
        }
        self.record_session().await;
        let task = ProfileWriteTask { page_index: page, rows: reply.body.rows, body_sha256: reply.sha256 };
        self.hand_to_writer(Message::Page(Box::new(task))).await;
    }

    /// The session goes into the manifest before the first page goes into the stage.
    async fn record_session(&mut self) {
        if self.session_recorded {
            return;
        }
        let Some((session_id, plan)) = self.coordinator.session() else { return };
        let facts = SessionFacts {
            session_id: session_id.map(str::to_owned),
            total: plan.total(),
            page_size: plan.page_size(),
        };
        self.session_recorded = true;
        self.hand_to_writer(Message::Session(facts)).await;
    }

    /// The inbox has room for all that can be under way. A closed one means that the writer has failed; it says why in
    /// its last report.
    async fn hand_to_writer(&mut self, message: Message) {
        if self.writer.inbox.send(message).await.is_err() {
            tracing::debug!("the writer takes no more pages");
        }
    }

    /// Tells the caller, and the writer what it need not wait for.
    async fn tell(&mut self) {
        while let Some(event) = self.coordinator.next_event() {
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
