//! Signals, in every phase of a fetch in a terminal.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use mixpanel_simulator::{Quota, SessionPages, SimulatorConfig};
use rustix::process::{Pid, Signal as Sig, kill_process};

use crate::cases::{Failures, Length};
use crate::fetches::{Requests, check_rows, staged};
use crate::support::{Home, Simulator};
use crate::terminal::{Terminal, is_possible};
use crate::tools::skip_unless;

/// The longest time from a signal to the end, in a phase in which nothing but time is waited for. The promise is 250 ms;
/// the rest is for machines that are busy.
const PROMPT: Duration = Duration::from_secs(1);

/// The limit in the phase [`Phase::Quota`].
const QUOTA: &str = "5/6s";

/// What the fetch is doing.
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

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Interrupt,
    /// A second one, as soon as it has answered the first.
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
    /// A server that makes a fetch stay in this phase for a while, and the number of its profiles.
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

    /// More options of the fetch.
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

/// Sends every signal in this phase; in the short form only one.
fn signals(phase: Phase, quick: Signal) {
    if !skip_unless(is_possible(), "signals need Linux and `script`") {
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

/// Whether the end has to come at once: nothing but time is waited for, or it was asked for twice.
fn is_prompt(phase: Phase, signal: Signal) -> bool {
    matches!(phase, Phase::Quota | Phase::Locked) || signal == InterruptTwice
}

/// Runs a case. Returns how long the end took; none if the fetch went on to its own end.
fn disturb(phase: Phase, signal: Signal) -> Option<Duration> {
    let (simulator, profiles) = phase.server();
    let home = Home::new().with_server(&simulator);
    if phase == Phase::Locked {
        // Another process can have a database open only if there is one.
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
        // It was further than it seemed; a load that is being committed is not given up.
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

/// Waits until the fetch is in the phase. Returns the process that holds the database, if the phase needs one.
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

/// Completes the fetch by the command on the screen, or begins again where nothing was staged.
fn resume(home: &Home, simulator: &Simulator, phase: Phase, signal: Signal, screen: &str) {
    let staged = staged(home);
    if staged.is_empty() {
        let _again = home.run(&[&["fetch", "profiles", "profiles", "--parallel"], phase.options()].concat()).exits(0);
        return;
    }
    let requests = Requests::to(simulator);
    let _completed = match resume_command(screen) {
        Some(command) => home.shell(&format!("{command} {}", phase.options().join(" "))).exits(0),
        // A terminal that is closed shows nothing any more.
        None if signal == HangUp => home.run(&[&["fetch", "resume"], phase.options()].concat()).exits(0),
        None => panic!("pages are staged, and nothing says how to resume; on the screen is:\n{screen}"),
    };
    // The limit may refuse a page, which is requested again then.
    if phase != Phase::Quota {
        requests.check(&staged);
    }
}

/// The command in backticks that resumes the fetch.
fn resume_command(screen: &str) -> Option<&str> {
    screen.split('`').rfind(|part| part.contains(" fetch resume "))
}

/// Another process that has the database open, and does nothing.
struct Holder(Child);

impl Holder {
    /// Opens the database and stops there.
    fn start(home: &Home) -> Self {
        // It takes longer than any test.
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
