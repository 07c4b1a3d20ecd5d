//! The simulated world of a fetch of events: a sequence of processes, one server, one disk, and virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use mixpanel_simulator::{BodyFault, Reply, Simulator, Ticket};
use tempfile::TempDir;

use crate::api::{ApiClient, ApiOptions, Failure, FailureKind};
use crate::credentials::{Credentials, Region, Secret};
use crate::limits::{ALLOWED_DRIFT_PERCENT, EXPORT_FIRST_BYTE_TIMEOUT, EXPORT_IDLE_TIMEOUT};
use crate::parse::{EventReading, RecordForm};
use crate::project_time_zone::ProjectTimeZone;
use crate::quota::{Pool, RateLimiter};
use crate::slice::Slice;
use crate::stage::{SliceState, Stage, damage_a_page};

use super::super::super::core::{Action, Coordinator, Core, Now, Outcome};
use super::super::super::events::{EndOfBody, ReceiveFailure, ReceivedSlice, SliceRequest, read_slice};
use super::super::super::into_table::{earlier, is_complete};
use super::super::super::part::{PartRequest, Requested};
use super::super::super::progress::FetchEvent;
use super::super::super::rules::Rules;
use super::super::super::writer::{Message, Report, into_stage};
use super::super::scenario::Draw;
use super::scenario::{Interruption, Scenario};

/// Exceeds the number of steps of any process; one that takes more never ends. A server that refuses nearly every request
/// for hours takes 25,000.
const STEPS_MAX: u64 = 100_000;

/// A scheduled event; events are ordered by time.
enum Event {
    /// A request frees its slot in the server's concurrency limit.
    Leave(Ticket),
    /// A slice is complete, or its request has failed.
    Arrived(PartRequest, Box<Result<ReceivedSlice, Failure>>),
    /// The writer handles the oldest message in its inbox.
    Written,
    /// The user stops the run.
    Stop,
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
    /// Parts of the current run that are on disk.
    pub(super) staged: BTreeSet<u32>,
    /// Number of steps taken, for the summary.
    pub(super) steps: u64,
    is_traced: bool,
    draw: Draw,
    killed: Killed,
}

/// What killed processes held. A killed process removes no files, so these are dropped, which removes them, only with the
/// world. Leaked, they would keep their files open.
#[derive(Default)]
struct Killed {
    events: Vec<Event>,
    messages: VecDeque<Message>,
}

/// The state of a running process.
struct Process {
    core: Core,
    stage: Stage,
    began: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    inbox: VecDeque<Message>,
}

impl World {
    pub(super) fn new(seed: u64, scenario: Scenario) -> Self {
        let shared_memory = std::path::Path::new("/dev/shm");
        let directory = if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() };
        Self {
            simulator: Simulator::new(scenario.config.clone()),
            scenario,
            directory: directory.unwrap(),
            now: Duration::ZERO,
            staged: BTreeSet::new(),
            steps: 0,
            is_traced: std::env::var_os("MP_SIM_TRACE").is_some(),
            draw: Draw::new(seed ^ 0xD1CE),
            killed: Killed::default(),
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
        self.staged = earlier.staged.iter().map(|slice| slice.page).collect();
        if is_complete(stage.manifest(), &earlier, ALLOWED_DRIFT_PERCENT) {
            let outcome = Outcome::whole(&earlier);
            return Ended::Finished(Box::new((stage, outcome)));
        }
        let state = self.directory.path().join("state");
        let limiter = RateLimiter::open(Pool::EXPORT, Some(&state), "host", "12345", self.scenario.quota).unwrap();
        let rules = Rules { max_wait: self.scenario.max_wait, ..Rules::new(self.scenario.workers) };
        let mut process = Process {
            core: Core::new(Coordinator::resume(rules, &earlier), earlier.epoch, limiter),
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
        // Requests in flight finish on the server, even if their process was killed.
        let is_killed = ended.is_none();
        for event in std::mem::take(&mut process.events).into_values() {
            match event {
                Event::Leave(ticket) => self.simulator.finish(ticket),
                event if is_killed => self.killed.events.push(event),
                _ => {}
            }
        }
        match ended {
            None => {
                self.killed.messages.append(&mut process.inbox);
                Ended::Crashed
            }
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
                    self.told(&event);
                    continue;
                }
                Action::Finish(end) => {
                    assert!(end.writer_error.is_none());
                    while !process.inbox.is_empty() {
                        let _ = self.write(process);
                    }
                    return Some(end.outcome);
                }
                Action::Send(request) => Err(request),
                Action::WaitUntil(moment) => Ok(Some(process.began + moment)),
                Action::WaitForEvent => Ok(None),
                Action::Abandon(_) | Action::Parse(..) => panic!("slices have no session and are not parsed"),
            };
            if let Some(Interruption::Crash { step: last, damages }) = interruption
                && steps == last
            {
                self.trace(|| "killed".to_owned());
                if damages {
                    damage_a_page(&process.stage);
                }
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

    fn told(&self, event: &FetchEvent) {
        self.trace(|| format!("{event:?}"));
        if let FetchEvent::Batch(progress) = event
            && progress.success
        {
            assert!(progress.batch_index < progress.total_batches);
            assert!(!self.staged.is_empty(), "a batch is told to be here and nothing is on disk");
        }
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
        let Requested::Slice(slice) = &request.what else { panic!("a page") };
        assert!(!self.staged.contains(&request.part), "part {} is staged and requested again", request.part);
        if self.scenario.outages.iter().any(|(begin, end)| (*begin..*end).contains(&self.now)) {
            let failure = Failure::new(FailureKind::Unreachable, "cannot connect");
            let due = self.now + Duration::from_millis(5);
            return process.later(due, Event::Arrived(request, Box::new(Err(failure))));
        }
        let reply = self.simulator.handle(&http_request(slice, &self.scenario), self.now);
        let due = self.now + reply.delay;
        let slice = SliceRequest { part: request.part, slice: slice.clone(), filter: None, limit: None };
        let takes = Duration::from_millis(self.draw.below(8_000));
        let (ticket, (moment, result)) = (reply.ticket, deliver(reply, due, takes, &slice, &process.stage));
        process.later(moment, Event::Leave(ticket));
        process.later(moment, Event::Arrived(request, Box::new(result)));
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
            Event::Arrived(request, result) => {
                let fraction = self.draw.fraction();
                match *result {
                    Ok(slice) => process.core.slice_arrived(&request, slice, at, fraction),
                    Err(failure) => {
                        self.trace(|| format!("part {} failed: {failure:?}", request.part));
                        process.core.request_failed(&request, failure, at, fraction);
                    }
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
        if let Message::Slice(slice) = &message {
            let record = process.stage.manifest().slices.get(slice.facts.part as usize);
            let record = record.expect("a slice is staged before the manifest knows it");
            assert_eq!(record.slice, slice.facts.slice, "the part number has another meaning in the manifest");
            assert_eq!(record.state, SliceState::Planned, "a replaced slice is staged");
        }
        let report = into_stage(&mut process.stage, message).unwrap();
        if let Some(Report::Staged { part, .. }) = &report {
            assert!(self.staged.insert(*part), "part {part} is staged twice");
        }
        report
    }
}

impl Process {
    fn later(&mut self, moment: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((moment, self.sequence), event);
    }
}

fn http_request(slice: &Slice, scenario: &Scenario) -> mixpanel_simulator::Request {
    use base64::Engine as _;
    let config = &scenario.config;
    let pair = format!("{}:{}", config.username, config.secret);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("project_id", &config.project_id.to_string());
    query.append_pair("from_date", &slice.from.to_string()).append_pair("to_date", &slice.to.to_string());
    query.append_pair("time_in_ms", "true");
    if !slice.events.is_empty() {
        query.append_pair("event", &serde_json::json!(slice.events).to_string());
    }
    mixpanel_simulator::Request {
        method: http::Method::GET,
        path: "/api/2.0/export".to_owned(),
        query: query.finish(),
        authorization: Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))),
        accept_encoding: Some("gzip".to_owned()),
        ..mixpanel_simulator::Request::default()
    }
}

/// A body whose connection breaks after its bytes.
struct Broken(Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionAborted.into()),
            count => Ok(count),
        }
    }
}

/// Determines when the response, whose first byte is due at `due`, has arrived or failed, and the result.
fn deliver(
    reply: Reply,
    due: Duration,
    takes: Duration,
    request: &SliceRequest,
    stage: &Stage,
) -> (Duration, Result<ReceivedSlice, Failure>) {
    let lost = |kind| Err(Failure::new(kind, "lost on the way"));
    if reply.delay > EXPORT_FIRST_BYTE_TIMEOUT {
        return (due - reply.delay + EXPORT_FIRST_BYTE_TIMEOUT, lost(FailureKind::Timeout));
    }
    let mut body = reply.whole_body().to_vec();
    let mut is_broken = false;
    let mut ends = due + takes;
    match reply.fault {
        Some(BodyFault::Reset) => return (due, lost(FailureKind::Connection)),
        Some(BodyFault::Stall { pause, .. }) if pause >= EXPORT_IDLE_TIMEOUT => {
            return (due + EXPORT_IDLE_TIMEOUT, lost(FailureKind::Timeout));
        }
        Some(BodyFault::Stall { pause, .. }) => ends += pause,
        Some(BodyFault::Cut { after, .. }) => {
            body.truncate(after.min(body.len().saturating_sub(1)));
            is_broken = true;
        }
        None => {}
    }
    if reply.status != http::StatusCode::OK {
        return (due, Err(client().classify_export(reply.status, reply.headers, body)));
    }
    let reading = EventReading { form: RecordForm::Raw, rules: None, timezone: ProjectTimeZone::utc() };
    let (head, directory) = (client().export_head(), stage.slice_directory());
    let body = Cursor::new(body);
    let result = if is_broken {
        read_slice(&head, BufReader::new(Broken(body)), EndOfBody::Known, request, &reading, &directory)
    } else {
        read_slice(&head, body, EndOfBody::Known, request, &reading, &directory)
    };
    let result = result.map_err(|failure| match failure {
        ReceiveFailure::Request(failure) => failure,
        ReceiveFailure::Storage(error) => panic!("{error:?}"),
        ReceiveFailure::Abandoned => Failure::new(FailureKind::Incomplete, "lost on the way"),
    });
    (ends, result)
}

/// Returns a client that classifies responses and never opens a connection.
fn client() -> &'static ApiClient {
    static CLIENT: OnceLock<ApiClient> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let credentials = Credentials::new("simulator", Secret::new("simulator-secret"), "12345", Region::Us).unwrap();
        let options = ApiOptions { base_url: Some("http://127.0.0.1:9".to_owned()), ..ApiOptions::default() };
        ApiClient::new(credentials, &options).unwrap()
    })
}
