//! The simulated world of a run: a sequence of processes, one server, one disk, and virtual time.
//!
//! Like the driver, it performs the actions of the core and decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use mixpanel_simulator::{BodyFault, Reply, Simulator, Ticket};
use tempfile::TempDir;

use crate::api::{ApiClient, ApiOptions, EngageForm, Failure, FailureKind, PageReply};
use crate::credentials::{Credentials, Region, Secret};
use crate::limits::{ALLOWED_DRIFT_PERCENT, FIRST_BYTE_TIMEOUT, IDLE_TIMEOUT};
use crate::parse::RecordForm;
use crate::profile_query::ProfileQuery;
use crate::quota::{Pool, RateLimiter};
use crate::stage::{Stage, damage_a_page, leave_rejects, leave_temporary};

use super::super::core::{Action, Coordinator, Core, Now, Outcome};
use super::super::into_table::{earlier, is_complete};
use super::super::part::PartRequest;
use super::super::rules::Rules;
use super::super::writer::{Message, Report, into_stage, part_of};
use super::check::Watch;
use super::oracle;
use super::scenario::{Draw, Interruption, Scenario, Torn};

/// Exceeds the number of steps of any process; one that takes more never ends.
const STEPS_MAX: u64 = 50_000;

/// A scheduled event; events are ordered by time.
enum Event {
    /// A request frees its slot in the server's concurrency limit.
    Leave(Ticket),
    /// The response to a request arrives, or the request fails.
    Reply(PartRequest, Result<Vec<u8>, Failure>),
    /// A response has been parsed.
    Read(PartRequest, Box<Result<PageReply, Failure>>),
    /// The writer has handled the oldest message in its inbox.
    Written,
    /// The user stops the run.
    Stop,
}

impl Event {
    /// Returns the session epoch of the request, if the event has one.
    fn epoch(&self) -> Option<u32> {
        match self {
            Self::Reply(request, _) | Self::Read(request, _) => Some(request.epoch),
            _ => None,
        }
    }
}

/// How a process ended.
pub(super) enum Ended {
    /// It was killed.
    Crashed,
    /// It has no more requests to send; this is the result.
    Finished(Box<(Stage, Outcome)>),
}

/// Everything that outlives a process.
pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) directory: TempDir,
    pub(super) simulator: Simulator,
    pub(super) now: Duration,
    pub(super) watch: Watch,
    /// Pages damaged on disk, which are requested again.
    pub(super) damaged: BTreeSet<u32>,
    /// Number of steps taken, for the summary.
    pub(super) steps: u64,
    /// Whether to print every step, for debugging a seed.
    is_traced: bool,
    draw: Draw,
}

/// The state of a running process.
struct Process {
    core: Core,
    stage: Stage,
    began: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    inbox: VecDeque<Message>,
    /// The session epoch before which all requests have been aborted.
    abandoned: u32,
}

impl World {
    pub(super) fn new(seed: u64, scenario: Scenario) -> Self {
        let shared_memory = std::path::Path::new("/dev/shm");
        let directory = if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() };
        Self {
            simulator: Simulator::new(scenario.config.clone()),
            watch: Watch::new(&scenario),
            scenario,
            directory: directory.unwrap(),
            now: Duration::ZERO,
            damaged: BTreeSet::new(),
            steps: 0,
            is_traced: std::env::var_os("MP_SIM_TRACE").is_some(),
            draw: Draw::new(seed ^ 0xD1CE),
        }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.directory.path().join("project.db")
    }

    /// Prints what happens, if tracing is on.
    pub(super) fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            println!("{:>12.3} {}", self.now.as_secs_f64(), what());
        }
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap() + jiff::SignedDuration::try_from(self.now).unwrap()
    }

    /// Runs a process that works on the run until it is done or interrupted.
    pub(super) fn process(&mut self, mut stage: Stage, interruption: Option<Interruption>) -> Ended {
        let earlier = earlier(&mut stage, self.wall()).unwrap();
        if is_complete(stage.manifest(), &earlier, ALLOWED_DRIFT_PERCENT) {
            let outcome = Outcome::whole(&earlier);
            return Ended::Finished(Box::new((stage, outcome)));
        }
        let state = self.directory.path().join("state");
        let limiter = RateLimiter::open(Pool::QUERY, Some(&state), "host", "12345", self.scenario.quota).unwrap();
        let rules = Rules { max_wait: self.scenario.max_wait, ..Rules::new(self.scenario.workers) };
        let coordinator = Coordinator::resume(rules, &earlier);
        let mut process = Process {
            core: Core::new(coordinator, earlier.epoch, limiter),
            stage,
            began: self.now,
            events: BTreeMap::new(),
            sequence: 0,
            inbox: VecDeque::new(),
            abandoned: 0,
        };
        if let Some(Interruption::Stop { after }) = interruption {
            process.later(self.now + after, Event::Stop);
        }
        let ended = self.live(&mut process, interruption);
        // Requests in flight finish on the server, even if their process was killed.
        let tickets: Vec<Ticket> = process
            .events
            .values()
            .filter_map(|event| if let Event::Leave(ticket) = event { Some(*ticket) } else { None })
            .collect();
        tickets.into_iter().for_each(|ticket| self.simulator.finish(ticket));
        match ended {
            None => Ended::Crashed,
            Some(outcome) => Ended::Finished(Box::new((process.stage, outcome))),
        }
    }

    /// Runs the process. Returns `None` if it was killed.
    fn live(&mut self, process: &mut Process, interruption: Option<Interruption>) -> Option<Outcome> {
        let mut steps = 0;
        loop {
            let action = process.core.next(self.moment(process));
            let until = match action {
                Action::Write(message) => {
                    self.hand(process, message);
                    continue;
                }
                Action::Tell(event) => {
                    self.watch.told(&event, process.stage.manifest().epoch);
                    continue;
                }
                Action::Abandon(epoch) => {
                    self.abandon(process, epoch);
                    continue;
                }
                Action::Parse(request, body) => {
                    let page = client().read_page(&body, RecordForm::Row);
                    let takes = Duration::from_millis(self.draw.below(20));
                    process.later(self.now + takes, Event::Read(request, Box::new(page)));
                    continue;
                }
                Action::Finish(end) => {
                    // The writer still handles the messages in its inbox.
                    while !process.inbox.is_empty() {
                        let _ = self.write(process);
                    }
                    return Some(end.outcome);
                }
                Action::Send(request) => Err(request),
                Action::WaitUntil(moment) => Ok(Some(process.began + moment)),
                Action::WaitForEvent => Ok(None),
            };
            if let Some(Interruption::Crash { step: last, torn }) = interruption
                && steps == last
            {
                self.tear(process, torn);
                return None;
            }
            steps += 1;
            assert!(steps < STEPS_MAX, "it never ends");
            self.steps += 1;
            match until {
                Err(request) => self.send(process, request),
                Ok(until) => self.wait(process, until),
            }
        }
    }

    /// Aborts the requests of earlier session epochs; the server does not notice. Responses that have already arrived
    /// are still delivered.
    fn abandon(&mut self, process: &mut Process, epoch: u32) {
        process.abandoned = epoch;
        process
            .events
            .retain(|_, event| event.epoch().is_none_or(|of_event| of_event == epoch) || self.draw.below(4) == 0);
    }

    /// Advances the time to the next event or to `until`, whichever comes first.
    fn wait(&mut self, process: &mut Process, until: Option<Duration>) {
        let next = process.events.first_key_value().map(|((moment, _), _)| *moment);
        let moment = match (next, until) {
            (Some(next), Some(until)) => next.min(until),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => panic!("it waits for what never comes"),
        };
        self.now = self.now.max(moment);
        if next.is_some_and(|next| next <= self.now)
            && let Some((_, event)) = process.events.pop_first()
        {
            self.happen(process, event);
        }
    }

    fn moment(&self, process: &Process) -> Now {
        Now { run: self.now - process.began, wall: self.wall() }
    }

    fn send(&mut self, process: &mut Process, request: PartRequest) {
        self.trace(|| format!("request {request:?}"));
        self.watch.asked(&request, process.stage.manifest().epoch, &self.damaged);
        self.watch.in_flight(&request, process.in_flight());
        if self.scenario.outages.iter().any(|(begin, end)| (*begin..*end).contains(&self.now)) {
            let failure = Failure::new(FailureKind::Unreachable, "cannot connect");
            process.later(self.now + Duration::from_millis(5), Event::Reply(request, Err(failure)));
            return;
        }
        let plain = EngageForm::new(&ProfileQuery::default(), 0).unwrap();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(plain.form(request.part, request.session()));
        let before = self.simulator.stats().too_many_requests.hourly;
        let reply = self.simulator.handle(&oracle::request(&form.finish(), &self.scenario.config), self.now);
        let is_hourly = self.simulator.stats().too_many_requests.hourly > before;
        self.watch.answered(&request, self.now, reply.status.as_u16(), is_hourly);
        let due = self.now + reply.delay;
        process.later(due, Event::Leave(reply.ticket));
        let (moment, outcome) = deliver(reply, due, request.session().is_some());
        process.later(moment, Event::Reply(request, outcome));
    }

    fn happen(&mut self, process: &mut Process, event: Event) {
        let at = self.moment(process);
        match event {
            Event::Leave(ticket) => self.simulator.finish(ticket),
            Event::Stop => process.core.stop(at.run + Duration::from_secs(10)),
            Event::Written => {
                let report = self.write(process);
                if report.is_some() {
                    process.core.writer_reported(report);
                }
            }
            Event::Reply(request, Ok(body)) => process.core.reply_received(request, body, at),
            Event::Reply(request, Err(failure)) => {
                self.trace(|| format!("page {} failed: {:?} {}", request.part, failure.kind, failure.message));
                self.watch.failed(&request, &failure, self.now);
                let fraction = self.draw.fraction();
                process.core.request_failed(&request, failure, at, fraction);
            }
            Event::Read(request, page) => {
                let fraction = self.draw.fraction();
                match *page {
                    Ok(page) => {
                        self.trace(|| format!("page {} came: {} records", request.part, page.body.rows.received()));
                        process.core.part_arrived(&request, page.into(), Some(self.wall()), at, fraction);
                    }
                    Err(failure) => process.core.request_failed(&request, failure, at, fraction),
                }
            }
        }
    }

    fn hand(&mut self, process: &mut Process, message: Message) {
        process.inbox.push_back(message);
        let takes = Duration::from_millis(self.draw.below(50));
        let after = process.events.iter().filter(|(_, event)| matches!(event, Event::Written)).map(|((at, _), _)| *at);
        let moment = after.max().unwrap_or(self.now).max(self.now) + takes;
        process.later(moment, Event::Written);
    }

    /// Handles the next message in the writer's inbox, as the writer thread does.
    fn write(&mut self, process: &mut Process) -> Option<Report> {
        let message = process.inbox.pop_front()?;
        if let Message::Page(task) = &message {
            self.trace(|| format!("page {} is staged", task.page_index));
            assert!(process.stage.manifest().session.is_some(), "a page is staged before its session is recorded");
        }
        let report = into_stage(&mut process.stage, message).unwrap();
        if let Some(Report::Staged { epoch, part: page, .. }) = &report {
            self.watch.staged(*epoch, *page);
            self.damaged.remove(page);
        }
        report
    }

    /// Simulates what a process killed during a write leaves on disk.
    fn tear(&mut self, process: &mut Process, torn: Torn) {
        let in_progress = process.inbox.iter().find_map(|message| match message {
            Message::Page(task) => Some(task),
            _ => None,
        });
        self.trace(|| format!("killed, leaving {torn:?}"));
        match (torn, in_progress) {
            (Torn::Temporary, Some(task)) => leave_temporary(&process.stage, &part_of(task)),
            (Torn::RejectsAlone, Some(task)) => leave_rejects(&process.stage, &part_of(task)),
            (Torn::Damaged, _) => self.damaged.extend(damage_a_page(&process.stage)),
            _ => {}
        }
    }
}

impl Process {
    /// Returns the session epochs of requests that are in flight or being parsed, except aborted ones.
    fn in_flight(&self) -> impl Iterator<Item = u32> {
        let epochs = self.events.values().filter_map(Event::epoch);
        epochs.filter(|epoch| *epoch >= self.abandoned)
    }

    fn later(&mut self, moment: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((moment, self.sequence), event);
    }
}

/// Returns what the client receives of a response, and when. Uses the timeouts of the real transport.
fn deliver(reply: Reply, due: Duration, has_session: bool) -> (Duration, Result<Vec<u8>, Failure>) {
    let lost = |kind| Err(Failure::new(kind, "lost on the way"));
    match reply.fault {
        _ if reply.delay > FIRST_BYTE_TIMEOUT => (due - reply.delay + FIRST_BYTE_TIMEOUT, lost(FailureKind::Timeout)),
        Some(BodyFault::Cut { .. } | BodyFault::Reset) => (due, lost(FailureKind::Connection)),
        Some(BodyFault::Stall { after, pause }) => {
            let patience = if after == 0 { FIRST_BYTE_TIMEOUT } else { IDLE_TIMEOUT };
            if pause >= patience {
                return (due + patience, lost(FailureKind::Timeout));
            }
            (due + pause, client().classify_reply(reply.status, reply.headers, reply.body.to_vec(), has_session))
        }
        None => (due, client().classify_reply(reply.status, reply.headers, reply.body.to_vec(), has_session)),
    }
}

/// Returns a client that parses and classifies responses and never opens a connection.
fn client() -> &'static ApiClient {
    static CLIENT: OnceLock<ApiClient> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let credentials = Credentials::new("simulator", Secret::new("simulator-secret"), "12345", Region::Us).unwrap();
        let options = ApiOptions { base_url: Some("http://127.0.0.1:9".to_owned()), ..ApiOptions::default() };
        ApiClient::new(credentials, &options).unwrap()
    })
}
