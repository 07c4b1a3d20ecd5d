//! Signals, in every phase of a fetch in a terminal.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::simulator::Simulator;

use super::World;
use super::home::{Home, TABLE, printed_resume, serve};
use super::process::{Running, send};
use super::report::Report;
use super::terminal::{PROMPT, Terminal, is_possible};
use super::traffic::Traffic;

/// What the fetch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It waits for the answer to its first request.
    FirstPage,
    Fetching,
    /// It waits until the hourly limit lets it go on.
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

use Phase::{Fetching, FirstPage, Loading, Locked, Quota};
use Signal::{HangUp, HangUpIgnored, Interrupt, InterruptTwice, Terminate};

const PHASES: [Phase; 5] = [FirstPage, Fetching, Quota, Locked, Loading];
const SIGNALS: [Signal; 5] = [Interrupt, InterruptTwice, Terminate, HangUp, HangUpIgnored];

/// The short form: every phase and every signal once.
const QUICK: [(Phase, Signal); 5] = [
    (FirstPage, InterruptTwice),
    (Fetching, Terminate),
    (Quota, Interrupt),
    (Locked, HangUp),
    (Loading, HangUpIgnored),
];

impl Phase {
    /// The options of a server that makes a fetch stay in this phase for a while.
    fn server(self) -> &'static str {
        match self {
            Self::FirstPage => "--quota off --page-size 100 --latency 1500ms",
            Self::Fetching => "--quota off --page-size 100 --latency 250ms",
            Self::Quota => "--quota 5/6s --count-session-pages --page-size 100",
            Self::Locked => "--quota off --page-size 100 --latency 150ms",
            Self::Loading => "--quota off --page-size 10000",
        }
    }

    /// The profiles that it serves.
    fn profiles(self) -> u64 {
        match self {
            Self::FirstPage | Self::Locked => 950,
            Self::Quota => 750,
            Self::Fetching => 2_950,
            Self::Loading => 60_000,
        }
    }

    /// More options of the fetch.
    fn options(self) -> &'static [&'static str] {
        if self == Self::Quota { &["--quota", "5/6s"] } else { &[] }
    }
}

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let all = PHASES.iter().flat_map(|phase| SIGNALS.iter().map(|signal| (*phase, *signal)));
    let cases: Vec<(Phase, Signal)> = world.length.pick(all.collect(), QUICK.to_vec());
    if !is_possible() {
        return Report::skipped(&format!("{} signals", cases.len()), "it takes Linux and `script`");
    }
    let mut report = Report::default();
    let mut slowest = Duration::ZERO;
    for (phase, signal) in &cases {
        let begun = Instant::now();
        let outcome = run(world, *phase, *signal);
        eprintln!("prove terminals: {signal:?} while {phase:?}: {:.1} s", begun.elapsed().as_secs_f64());
        match outcome {
            Ok(took) => slowest = slowest.max(took.unwrap_or_default()),
            Err(problem) => report.add(&format!("{signal:?} while {phase:?}"), Err(problem)),
        }
    }
    let slowest = slowest.as_millis();
    report.counts.push(format!(
        "{} signals in {} phases; the slowest end of a wait took {slowest} ms",
        cases.len(),
        PHASES.len()
    ));
    report
}

/// Runs a case. Returns how long the end took, where it has to be at once.
fn run(world: &World<'_>, phase: Phase, signal: Signal) -> Result<Option<Duration>, String> {
    let name = format!("terminal-{phase:?}-{signal:?}");
    let options = format!("{} --profiles {}", phase.server(), phase.profiles());
    let server = serve(world, &options, &name)?;
    let home = Home::new(world, &server, &name)?;
    let outcome = disturb(&home, &server, phase, signal);
    if outcome.is_err() {
        home.keep(&name);
    } else {
        let _ = fs::remove_dir_all(&home.folder);
    }
    outcome
}

fn disturb(home: &Home<'_>, server: &Simulator, phase: Phase, signal: Signal) -> Result<Option<Duration>, String> {
    let profiles = phase.profiles();
    let holder = (phase == Locked).then(|| Holder::prepare(home)).transpose()?;
    let prefix = if signal == HangUpIgnored { "nohup" } else { "" };
    let args: Vec<&str> = ["fetch", "profiles", TABLE, "--parallel"].iter().chain(phase.options()).copied().collect();
    let mut terminal = Terminal::start(home, prefix, &args)?;
    reach(&terminal, server, phase, holder.as_ref())?;
    let begun = Instant::now();
    match signal {
        Interrupt => terminal.interrupt()?,
        InterruptTwice => {
            terminal.interrupt()?;
            terminal.wait_until("an answer to Ctrl-C", |screen| screen.contains("stopping"))?;
            terminal.interrupt()?;
        }
        Terminate => terminal.send("TERM")?,
        HangUp | HangUpIgnored => terminal.close()?,
    }
    if signal == HangUpIgnored {
        drop(holder);
        return expect_whole(home, &mut terminal, profiles).map(|()| None);
    }
    let code = terminal.wait()?;
    let took = begun.elapsed();
    drop(holder);
    let screen = terminal.screen();
    if phase == Loading && code == 0 {
        // It was further than it seemed; a load that is being committed is not given up.
        home.table()?.expect_rows(profiles)?;
        return Ok(None);
    }
    let expected = match signal {
        Terminate => 143,
        HangUp => 129,
        _ => 130,
    };
    if code != expected {
        return Err(format!("the exit code is {code} instead of {expected}; on the screen is:\n{screen}"));
    }
    let at_once = matches!(phase, Quota | Locked) || signal == InterruptTwice;
    if at_once && took > PROMPT {
        return Err(format!("it ended only after {} ms; on the screen is:\n{screen}", took.as_millis()));
    }
    go_on(home, phase, signal, &screen, profiles)?;
    Ok(at_once.then_some(took))
}

/// Waits until the fetch is in the phase.
fn reach(terminal: &Terminal, server: &Simulator, phase: Phase, holder: Option<&Holder>) -> Result<(), String> {
    let seen = |pages: u64| {
        let enough = move |traffic: Traffic| traffic.number("/requests").is_ok_and(|requests| requests >= pages);
        move |_: &str| Traffic::of(server).is_ok_and(enough)
    };
    match phase {
        FirstPage => terminal.wait_until("its first request", seen(1)),
        Fetching => terminal.wait_until("its eighth request", seen(8)),
        Quota => terminal.wait_until("a wait for the limit", |screen| screen.contains("waiting ")),
        Loading => terminal.wait_until("the load", |screen| screen.contains("loading ")),
        Locked => {
            terminal.wait_until("its second request", seen(2))?;
            holder.expect("it was prepared for this phase").hold()?;
            terminal.wait_until("a wait for the database", |screen| screen.contains("for the database"))
        }
    }
}

/// Errs unless the printed command goes on to the end.
fn go_on(home: &Home<'_>, phase: Phase, signal: Signal, screen: &str, profiles: u64) -> Result<(), String> {
    let staged = !home.staged().pages().is_empty();
    let resume = printed_resume(screen);
    let begin = ["fetch", "profiles", TABLE, "--parallel"];
    let command = match (staged, resume) {
        (true, Some(resume)) => resume.to_owned(),
        // A terminal that is closed shows nothing any more.
        (true, None) if signal == HangUp => String::new(),
        (true, None) => {
            return Err(format!("pages are staged, and nothing says how to go on; on the screen is:\n{screen}"));
        }
        (false, _) => {
            return home.run(&begin)?.exits(0).and_then(|()| home.table()?.expect_rows(profiles));
        }
    };
    let quota = phase.options().join(" ");
    let staged = home.staged().pages();
    super::traffic::reset(home.server)?;
    let ended = if command.is_empty() {
        home.run(&[&["fetch", "resume"], phase.options()].concat())?
    } else {
        home.run_printed(&format!("{command} {quota}"))?
    };
    ended.exits(0)?;
    // The limit may refuse a page, which is asked for again then.
    if phase != Quota {
        Traffic::of(home.server)?.check(&staged)?;
    }
    home.table()?.expect_rows(profiles)
}

fn expect_whole(home: &Home<'_>, terminal: &mut Terminal, profiles: u64) -> Result<(), String> {
    let code = terminal.wait()?;
    if code != 0 {
        return Err(format!("nohup was not respected: the exit code is {code}"));
    }
    home.table()?.expect_rows(profiles)
}

/// Another process that has the database open, and does nothing.
struct Holder {
    command: std::sync::Mutex<Option<std::process::Command>>,
    running: std::sync::Mutex<Option<Running>>,
    folder: PathBuf,
    database: PathBuf,
}

impl Holder {
    /// Makes the database, with another table.
    fn prepare(home: &Home<'_>) -> Result<Self, String> {
        home.run(&["fetch", "profiles", "other"])?.exits(0)?;
        super::traffic::reset(home.server)?;
        // It takes longer than any test.
        let endless = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range = 7";
        let command = home.command(&["query", "sql", endless]);
        let (folder, database) = (home.folder.clone(), home.database.clone());
        Ok(Self { command: Some(command).into(), running: None.into(), folder, database })
    }

    /// Opens the database and stops there.
    fn hold(&self) -> Result<(), String> {
        let command = self.command.lock().expect("nobody panics with it").take().expect("it holds once");
        let mut running = Running::start(command, &self.folder, "holder")?;
        let (pid, database) = (running.id(), &self.database);
        running.wait_until("the open database", |_| has_open(pid, database))?;
        send("STOP", pid)?;
        *self.running.lock().expect("nobody panics with it") = Some(running);
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Ok(mut running) = self.running.lock()
            && let Some(running) = running.take()
        {
            let _ = running.kill();
        }
    }
}

fn has_open(pid: u32, file: &std::path::Path) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}
