//! Signals in every phase of a fetch in a terminal.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use mixpanel_simulator::{Quota, SessionPages, SimulatorConfig};
use rustix::process::{Pid, Signal as Sig, kill_process};

use crate::cases::{Failures, Length};
use crate::fetches::{Requests, check_rows, staged};
use crate::support::{Home, Simulator};
use crate::terminal::{Terminal, terminals_available};
use crate::tools::skip_unless;

/// Maximum time from a signal to the exit in a phase that only waits for time. The goal is 250 ms; the rest is a margin
/// for busy machines.
const PROMPT: Duration = Duration::from_secs(1);

/// The limit in the phase [`Phase::Quota`].
const QUOTA: &str = "5/6s";

/// The phase of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It waits for the response to its first request.
    FirstPage,
    Fetching,
    /// It waits until the hourly limit lets it continue.
    Quota,
    /// It waits for another process that has the database open.
    Locked,
    Loading,
}

/// The signal that the fetch receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Interrupt,
    /// A second Ctrl-C, as soon as the first one was acknowledged.
    InterruptTwice,
    Terminate,
    /// The terminal is closed.
    HangUp,
    /// The terminal is closed, and the fetch was started with nohup.
    HangUpIgnored,
}

use Signal::{HangUp, HangUpIgnored, Interrupt, InterruptTwice, Terminate};

const SIGNALS: [Signal; 5] = [Interrupt, InterruptTwice, Terminate, HangUp, HangUpIgnored];

impl Phase {
    /// Returns a server that keeps a fetch in this phase for a while, and its number of profiles.
    fn server(self) -> (Simulator, u64) {
        let (profiles, page_size, latency) = match self {
            Self::FirstPage => (950, 100, 1_500),
            Self::Fetching => (2_950, 100, 250),
            Self::Quota => (750, 100, 0),
            Self::Locked => (950, 100, 150),
            Self::Loading => (60_000, 10_000, 0),
        };
        let is_limited = self == Self::Quota;
        let config = SimulatorConfig {
            page_size,
            latency: Duration::from_millis(latency),
            quota: is_limited.then(|| QUOTA.parse::<Quota>().expect("a quota")),
            session_pages: if is_limited { SessionPages::Counted } else { SessionPages::Free },
            ..SimulatorConfig::default()
        };
        (Simulator::start(config.with_profiles(profiles)), profiles)
    }

    /// Returns further options of the fetch.
    fn options(self) -> &'static [&'static str] {
        if self == Self::Quota { &["--quota", QUOTA] } else { &[] }
    }
}

#[test]
fn while_it_waits_for_the_first_page() {
    signals(Phase::FirstPage, InterruptTwice);
}

#[test]
fn while_it_fetches() {
    signals(Phase::Fetching, Terminate);
}

#[test]
fn while_it_waits_for_the_hourly_limit() {
    signals(Phase::Quota, Interrupt);
}

#[test]
fn while_it_waits_for_the_database() {
    signals(Phase::Locked, HangUp);
}

#[test]
fn while_it_loads() {
    signals(Phase::Loading, HangUpIgnored);
}

/// Sends every signal in this phase, or only `quick` in the quick form.
fn signals(phase: Phase, quick: Signal) {
    if !skip_unless(terminals_available(), "signals need Linux and `script`") {
        return;
    }
    let (failures, mut stopped, mut slowest) = (Failures::default(), 0, Duration::ZERO);
    let signals = Length::wanted().pick(SIGNALS.to_vec(), vec![quick]);
    for signal in &signals {
        failures.watch(&format!("{signal:?} while {phase:?}"), || {
            if let Some(took) = disturb(phase, *signal) {
                stopped += 1;
                slowest = if is_prompt(phase, *signal) { slowest.max(took) } else { slowest };
            }
        });
    }
    let (count, slowest) = (signals.len(), slowest.as_millis());
    eprintln!(
        "prove: {count} signals while {phase:?}, {stopped} of them stopped it; the slowest end of a wait took {slowest:?}"
    );
    failures.check();
    assert!(stopped > 0 || signals == [HangUpIgnored], "no signal came in time to stop it");
}

/// Returns whether the fetch must exit immediately, because it only waits for time or was interrupted twice.
fn is_prompt(phase: Phase, signal: Signal) -> bool {
    matches!(phase, Phase::Quota | Phase::Locked) || signal == InterruptTwice
}

/// Runs a case. Returns the time from the signal to the exit, or `None` if the fetch completed.
fn disturb(phase: Phase, signal: Signal) -> Option<Duration> {
    let (simulator, profiles) = phase.server();
    let home = Home::new().with_server(&simulator);
    if phase == Phase::Locked {
        // Another process can open the database only if it exists.
        let _other = home.run(&["fetch", "profiles", "other"]).exits(0);
    }
    let prefix = if signal == HangUpIgnored { "nohup" } else { "" };
    let arguments = [&["fetch", "profiles", "profiles", "--parallel"], phase.options()].concat();
    let before = simulator.stats().requests;
    let mut terminal = Terminal::start(&home, prefix, &arguments);
    let holder = reach(&terminal, &home, phase, || simulator.stats().requests - before);
    let begun = Instant::now();
    match signal {
        Interrupt => terminal.interrupt(),
        InterruptTwice => {
            terminal.interrupt();
            terminal.wait_until("an answer to Ctrl-C", |screen| screen.contains("stopping"));
            terminal.interrupt();
        }
        Terminate => terminal.send(Sig::TERM),
        HangUp | HangUpIgnored => terminal.close(),
    }
    if signal == HangUpIgnored {
        drop(holder);
        assert_eq!(terminal.wait(), 0, "nohup was not respected");
        check_rows(&home, "profiles", profiles);
        return None;
    }
    let (code, took, screen) = (terminal.wait(), begun.elapsed(), terminal.screen());
    drop(holder);
    if phase == Phase::Loading && code == 0 {
        // The commit had already begun, and a commit is not cancelled.
        check_rows(&home, "profiles", profiles);
        return None;
    }
    let expected = match signal {
        Terminate => 143,
        HangUp => 129,
        _ => 130,
    };
    assert_eq!(code, expected, "on the screen is:\n{screen}");
    assert!(!is_prompt(phase, signal) || took <= PROMPT, "it ended only after {took:?}; on the screen is:\n{screen}");
    resume(&home, &simulator, phase, signal, &screen);
    check_rows(&home, "profiles", profiles);
    Some(took)
}

/// Waits until the fetch reaches the phase. Returns the process that holds the database, if the phase needs one.
fn reach(terminal: &Terminal, home: &Home, phase: Phase, requests: impl Fn() -> u64) -> Option<Holder> {
    match phase {
        Phase::FirstPage => terminal.wait_until("its first request", |_| requests() >= 1),
        Phase::Fetching => terminal.wait_until("its eighth request", |_| requests() >= 8),
        Phase::Quota => terminal.wait_until("a wait for the limit", |screen| screen.contains("waiting ")),
        Phase::Loading => terminal.wait_until("the load", |screen| screen.contains("loading ")),
        Phase::Locked => {
            terminal.wait_until("its second request", |_| requests() >= 2);
            let holder = Holder::start(home);
            terminal.wait_until("a wait for the database", |screen| screen.contains("for the database"));
            return Some(holder);
        }
    }
    None
}

/// Completes the fetch with the command on the screen, or starts again if nothing was staged.
fn resume(home: &Home, simulator: &Simulator, phase: Phase, signal: Signal, screen: &str) {
    let staged = staged(home);
    if staged.is_empty() {
        let _again = home.run(&[&["fetch", "profiles", "profiles", "--parallel"], phase.options()].concat()).exits(0);
        return;
    }
    let requests = Requests::to(simulator);
    let _completed = match resume_command(screen) {
        Some(command) => home.shell(&format!("{command} {}", phase.options().join(" "))).exits(0),
        // A closed terminal shows no hint.
        None if signal == HangUp => home.run(&[&["fetch", "resume"], phase.options()].concat()).exits(0),
        None => panic!("pages are staged, and nothing says how to resume; on the screen is:\n{screen}"),
    };
    // The limit may reject a request, which is then retried.
    if phase != Phase::Quota {
        requests.check(&staged);
    }
}

/// Returns the command in backticks that resumes the fetch.
fn resume_command(screen: &str) -> Option<&str> {
    screen.split('`').rfind(|part| part.contains(" fetch resume "))
}

/// A suspended process that has the database open.
struct Holder(Child);

impl Holder {
    /// Starts a process that opens the database, and suspends it.
    fn start(home: &Home) -> Self {
        // This query takes longer than any test.
        let endless = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range = 7";
        let mut command = home.command(&["query", "sql", endless]);
        let holder = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
        let begun = Instant::now();
        while !has_open(holder.0.id(), &home.database()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not open the database");
            std::thread::sleep(Duration::from_millis(2));
        }
        let pid = i32::try_from(holder.0.id()).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, Sig::STOP).expect("it lives");
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn has_open(pid: u32, file: &Path) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == file))
}
