//! A world in which a run happens: processes that begin, go on and end, one server, one disk, and no time but the virtual.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use mixpanel_simulator::{BodyFault, Reply, Simulator, Ticket};
use tempfile::TempDir;

use crate::api::{ApiClient, ApiOptions, Failure, FailureKind, Governor, PageReply, PageRequest};
use crate::credentials::{Credentials, Region, Secret};
use crate::limits::{ALLOWED_DRIFT_PERCENT, FIRST_BYTE_TIMEOUT, IDLE_TIMEOUT};
use crate::parse::{RecordForm, fingerprint};
use crate::profile_query::ProfileQuery;
use crate::stage::{Stage, damage_a_page, leave_rejects, leave_temporary};
use crate::types::ProfileWriteTask;

use super::super::coordinator::{Action, Ask, Coordinator, PageFacts, Rules, Verdict};
use super::super::dispatch::{Dispatcher, Moment};
use super::super::outcome::Outcome;
use super::super::pipeline::{earlier, is_complete};
use super::super::writer::Message;
use super::check::Watch;
use super::oracle::request;
use super::scenario::{Draw, Interruption, Scenario, Torn};

/// More than any run takes: one that takes more never ends.
const STEPS_MAX: u64 = 50_000;

/// What will happen, in the order of time.
enum Event {
    /// A request's part in the server's concurrency limit is over.
    Leave(Ticket),
    /// A request brings its reply, or not.
    Reply(Ask, Result<Vec<u8>, Failure>),
    /// A reply is read.
    Read(Ask, Box<Result<PageReply, Failure>>),
    /// The writer is done with the oldest thing it was handed.
    Written,
    /// The user stops the run.
    Stop,
}

/// How a process ended.
pub(super) enum Ended {
    /// It was killed.
    Crashed,
    /// It has no more requests to send; this is what came of them.
    Finished(Box<(Stage, Outcome)>),
}

/// Everything that outlives a process.
pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) folder: TempDir,
    pub(super) simulator: Simulator,
    pub(super) now: Duration,
    pub(super) watch: Watch,
    /// Pages that the disk lost; they are asked for again.
    pub(super) damaged: BTreeSet<u32>,
    /// Events that were handled, for the summary.
    pub(super) steps: u64,
    /// Whether everything is written down, for whoever replays a seed.
    is_traced: bool,
    draw: Draw,
}

/// A process, as far as it is alive.
struct Process {
    dispatcher: Dispatcher,
    stage: Stage,
    began: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    inbox: VecDeque<Message>,
    generation: u32,
    staged_generation: u32,
    session_recorded: bool,
}

impl World {
    pub(super) fn new(seed: u64, scenario: Scenario) -> Self {
        let shared_memory = std::path::Path::new("/dev/shm");
        let folder = if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() };
        Self {
            simulator: Simulator::new(scenario.config.clone()),
            watch: Watch::new(&scenario),
            scenario,
            folder: folder.unwrap(),
            now: Duration::ZERO,
            damaged: BTreeSet::new(),
            steps: 0,
            is_traced: std::env::var_os("MP_SIM_TRACE").is_some(),
            draw: Draw::new(seed ^ 0xD1CE),
        }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.path().join("project.db")
    }

    /// Writes down what happens, if somebody wants to read it.
    pub(super) fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            println!("{:>12.3} {}", self.now.as_secs_f64(), what());
        }
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap() + jiff::SignedDuration::try_from(self.now).unwrap()
    }

    /// Lets a process work on the run until it is done, or is interrupted.
    pub(super) fn process(&mut self, mut stage: Stage, interruption: Option<Interruption>) -> Ended {
        let earlier = earlier(&mut stage).unwrap();
        if is_complete(stage.manifest(), &earlier, ALLOWED_DRIFT_PERCENT) {
            let outcome = Outcome::whole(&earlier);
            return Ended::Finished(Box::new((stage, outcome)));
        }
        let state = self.folder.path().join("state");
        let governor = Governor::open(Some(&state), "host", "12345", self.scenario.quota).unwrap();
        let rules = Rules { max_wait: self.scenario.max_wait, ..Rules::new(self.scenario.workers) };
        let coordinator = Coordinator::resume(rules, &earlier);
        let mut process = Process {
            generation: coordinator.generation(),
            staged_generation: earlier.generation,
            session_recorded: coordinator.session().is_some(),
            dispatcher: Dispatcher::new(coordinator, governor),
            stage,
            began: self.now,
            events: BTreeMap::new(),
            sequence: 0,
            inbox: VecDeque::new(),
        };
        if let Some(Interruption::Stop { after }) = interruption {
            process.later(self.now + after, Event::Stop);
        }
        let ended = self.live(&mut process, interruption);
        // What was under way ends for the server, whoever hears of it.
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

    /// `None` if the process was killed.
    fn live(&mut self, process: &mut Process, interruption: Option<Interruption>) -> Option<Outcome> {
        for step in 0..STEPS_MAX {
            if let Some(Interruption::Crash { step: last, torn }) = interruption
                && step == last
            {
                self.tear(process, torn);
                return None;
            }
            self.steps += 1;
            let action = process.dispatcher.next(self.moment(process));
            self.hear(process);
            let until = match action {
                Action::Ask(ask) => {
                    self.send(process, ask);
                    continue;
                }
                Action::WaitUntil(moment) => Some(process.began + moment),
                Action::WaitForEvent => None,
                Action::Finish => return Some(self.finish(process)),
            };
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
        panic!("it never ends");
    }

    fn moment(&self, process: &Process) -> Moment {
        Moment { run: self.now - process.began, wall: self.wall() }
    }

    fn finish(&mut self, process: &mut Process) -> Outcome {
        let outcome = process.dispatcher.coordinator.finish(self.now - process.began);
        while process.dispatcher.coordinator.next_event().is_some() {}
        // The writer finishes what it was handed.
        while !process.inbox.is_empty() {
            self.write(process, false);
        }
        outcome
    }

    /// What the driver does after every decision.
    fn hear(&mut self, process: &mut Process) {
        let generation = process.dispatcher.coordinator.generation();
        if generation != process.generation {
            process.generation = generation;
            process.session_recorded = false;
            process.staged_generation = generation;
            self.hand(process, Message::Restart(generation));
            // The driver lets go of what belongs to the lost session.
            let is_stale = |event: &Event| match event {
                Event::Reply(ask, _) | Event::Read(ask, _) => ask.generation != generation,
                _ => false,
            };
            process.events.retain(|_, event| !is_stale(event));
        }
        while process.dispatcher.coordinator.next_event().is_some() {}
    }

    fn send(&mut self, process: &mut Process, ask: Ask) {
        self.trace(|| format!("ask {ask:?}"));
        self.watch.asked(&ask, process.stage.manifest().generation, &self.damaged);
        if self.scenario.outages.iter().any(|(begin, end)| (*begin..*end).contains(&self.now)) {
            let failure = Failure::new(FailureKind::Unreachable, "cannot connect");
            process.later(self.now + Duration::from_millis(5), Event::Reply(ask, Err(failure)));
            return;
        }
        let plain = PageRequest::new(&ProfileQuery::default(), 0).unwrap();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(plain.form(ask.page, ask.session.as_deref()));
        let before = self.simulator.stats().too_many_requests.hourly;
        let reply = self.simulator.handle(&request(&form.finish(), &self.scenario.config), self.now);
        let is_hourly = self.simulator.stats().too_many_requests.hourly > before;
        self.watch.answered(&ask, self.now, reply.status.as_u16(), is_hourly);
        let due = self.now + reply.delay;
        process.later(due, Event::Leave(reply.ticket));
        let (moment, outcome) = deliver(reply, due, ask.session.is_some());
        process.later(moment, Event::Reply(ask, outcome));
    }

    fn happen(&mut self, process: &mut Process, event: Event) {
        let at = self.moment(process);
        match event {
            Event::Leave(ticket) => self.simulator.finish(ticket),
            Event::Stop => process.dispatcher.coordinator.stop(at.run + Duration::from_secs(10)),
            Event::Written => self.write(process, true),
            Event::Reply(ask, Ok(body)) => {
                if process.dispatcher.reply_received(&ask, at) {
                    let page = client().read_page(&body, RecordForm::Row);
                    let takes = Duration::from_millis(self.draw.below(20));
                    process.later(self.now + takes, Event::Read(ask, Box::new(page)));
                }
            }
            Event::Reply(ask, Err(failure)) => {
                self.trace(|| format!("page {} failed: {:?} {}", ask.page, failure.kind, failure.message));
                self.watch.failed(&ask, &failure, self.now);
                let fraction = self.draw.fraction();
                process.dispatcher.request_failed(&ask, failure, at, fraction);
            }
            Event::Read(ask, page) => match *page {
                Ok(page) => self.arrive(process, &ask, page),
                Err(failure) => {
                    let fraction = self.draw.fraction();
                    process.dispatcher.request_failed(&ask, failure, at, fraction);
                }
            },
        }
    }

    fn arrive(&mut self, process: &mut Process, ask: &Ask, reply: PageReply) {
        let facts = PageFacts {
            page: reply.body.page,
            page_size: reply.body.page_size,
            session_id: reply.body.session_id,
            total: reply.body.total,
            received: reply.body.rows.received() as u64,
            fingerprint: fingerprint(&reply.body.rows),
            bytes: reply.bytes,
        };
        self.trace(|| format!("page {} came: {facts:?}", ask.page));
        let (at, fraction) = (self.moment(process), self.draw.fraction());
        if process.dispatcher.page_arrived(ask, &facts, at, fraction) == Verdict::Drop {
            return;
        }
        if !process.session_recorded
            && let Some(facts) = process.dispatcher.coordinator.session()
        {
            process.session_recorded = true;
            if std::mem::replace(&mut process.staged_generation, process.generation) != process.generation {
                self.hand(process, Message::Restart(process.generation));
            }
            self.hand(process, Message::Session(facts));
        }
        let task = ProfileWriteTask { page_index: ask.page, rows: reply.body.rows };
        self.hand(process, Message::Page(Box::new(task)));
    }

    fn hand(&mut self, process: &mut Process, message: Message) {
        process.inbox.push_back(message);
        let takes = Duration::from_millis(self.draw.below(50));
        let after = process.events.iter().filter(|(_, event)| matches!(event, Event::Written)).map(|((at, _), _)| *at);
        let moment = after.max().unwrap_or(self.now).max(self.now) + takes;
        process.later(moment, Event::Written);
    }

    /// The writer takes the next thing from its inbox, as its thread does.
    fn write(&mut self, process: &mut Process, is_heard: bool) {
        let Some(message) = process.inbox.pop_front() else { return };
        match message {
            Message::Session(facts) => process.stage.record_session(facts).unwrap(),
            Message::Restart(generation) => process.stage.begin_generation(generation).unwrap(),
            Message::Missing(_) => {}
            Message::Page(task) => {
                self.trace(|| format!("page {} is staged", task.page_index));
                process.stage.write_page(&task).unwrap();
                let generation = process.stage.manifest().generation;
                self.watch.staged(generation, task.page_index);
                self.damaged.remove(&task.page_index);
                if is_heard && generation == process.dispatcher.coordinator.generation() {
                    process.dispatcher.coordinator.page_staged(task.page_index, task.rows.len() as u64);
                }
            }
        }
    }

    /// The process is killed while it writes.
    fn tear(&mut self, process: &mut Process, torn: Torn) {
        let under_way = process.inbox.iter().find_map(|message| match message {
            Message::Page(task) => Some(task),
            _ => None,
        });
        self.trace(|| format!("killed, leaving {torn:?}"));
        match (torn, under_way) {
            (Torn::Temporary, Some(task)) => leave_temporary(&process.stage, task),
            (Torn::RejectsAlone, Some(task)) => leave_rejects(&process.stage, task),
            (Torn::Damaged, _) => self.damaged.extend(damage_a_page(&process.stage)),
            _ => {}
        }
    }
}

impl Process {
    fn later(&mut self, moment: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((moment, self.sequence), event);
    }
}

/// What of a reply reaches the client, and when. The timeouts are those of the transport.
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
            (due + pause, client().judge_reply(reply.status, reply.headers, reply.body.to_vec(), has_session))
        }
        None => (due, client().judge_reply(reply.status, reply.headers, reply.body.to_vec(), has_session)),
    }
}

/// Reads and judges replies; it is never connected to anything.
fn client() -> &'static ApiClient {
    static CLIENT: OnceLock<ApiClient> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let credentials = Credentials::new("simulator", Secret::new("simulator-secret"), "12345", Region::Us).unwrap();
        let options = ApiOptions { base_url: Some("http://127.0.0.1:9".to_owned()), ..ApiOptions::default() };
        ApiClient::new(credentials, &options).unwrap()
    })
}
