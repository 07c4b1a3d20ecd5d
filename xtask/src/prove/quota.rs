//! The hourly limit, with an hour of some seconds, over kills and between processes.

use std::time::Duration;

use crate::simulator::Simulator;

use super::World;
use super::home::{Home, serve};
use super::process::{Ended, Running};
use super::report::Report;
use super::table::Table;
use super::traffic::Traffic;

/// Mixpanel's number of counted requests in a window.
const LIMIT: u64 = 60;

/// Requests under way when the first of them is refused.
const REFUSED_AT_MOST: u64 = 5;

/// Pages of the export that does not fit into a window.
const PAGES: u64 = 65;

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let window = Duration::from_secs(world.length.pick(60, 8));
    let mut report = Report::default();
    match killed_and_shared(world, window) {
        Ok(counts) => report.counts.push(counts),
        Err(problem) => report.add(&format!("{PAGES} pages at {LIMIT}/{}s", window.as_secs()), Err(problem)),
    }
    match own_limit(world) {
        Ok(counts) => report.counts.push(counts),
        Err(problem) => report.add("a limit below the server's", Err(problem)),
    }
    report
}

/// An export that needs more than a window, killed twice, and then two at once.
fn killed_and_shared(world: &World<'_>, window: Duration) -> Result<String, String> {
    let quota = format!("{LIMIT}/{}s", window.as_secs());
    let profiles = PAGES * 10;
    let options = format!("--count-session-pages --quota {quota} --profiles {profiles} --page-size 10 --latency 20ms");
    let server = serve(world, &options, "quota")?;
    let home = Home::new(world, &server, "quota")?;

    let mut first = home.start(home.command(&["fetch", "profiles", "--parallel", "--quota", &quota]))?;
    until(&mut first, &server, "20 pages", |traffic| Ok(traffic.number("/requests")? >= 20))?;
    first.kill()?;
    let staged = home.staged().pages().len();
    let resume = ["fetch", "resume", "--parallel", "--quota", &quota];
    let mut second = home.start(home.command(&resume))?;
    second.wait_until("a wait that it announces", |words| words.contains("waiting until"))?;
    // All that were under way must have been answered, or the third process would be blamed for them.
    until(&mut second, &server, "the end of the window", |traffic| Ok(traffic.number("/counted_requests")? >= LIMIT))?;
    second.kill()?;
    let refused = Traffic::of(&server)?.number("/too_many_requests/hourly")?;
    let third = home.run(&resume)?;
    third.exits(0)?;
    let traffic = Traffic::of(&server)?;
    if traffic.number("/too_many_requests/hourly")? != refused {
        return Err(format!("the limit was forgotten with the process that knew it: {}", third.told()));
    }
    if !third.stderr.contains("waiting until") {
        return Err(format!("the wait was not announced: {}", third.told()));
    }
    home.table()?.expect_rows(profiles)?;
    check_windows(&traffic)?;

    let two = ["one", "two"]
        .map(|name| home.start(home.command(&["fetch", "profiles", name, "--parallel", "--quota", &quota])));
    let [one, two] = two;
    for ended in [one?.wait()?, two?.wait()?] {
        ended.exits(0)?;
    }
    for name in ["one", "two"] {
        Table::look(&home, name)?.expect_rows(profiles)?;
    }
    let traffic = Traffic::of(&server)?;
    check_windows(&traffic)?;
    Ok(format!(
        "{PAGES} pages at {quota}, killed with {staged} pages and in the wait, then 2 processes at once: at most {} counted \
         and {} refused in a window",
        traffic.number("/greatest_counted_in_window")?,
        traffic.number("/greatest_refused_in_window")?
    ))
}

/// The server would allow much more, so nobody but the program keeps the limit.
fn own_limit(world: &World<'_>) -> Result<String, String> {
    let (limit, window, fetches) = (8, world.length.pick(5, 2), world.length.pick(40, 20));
    let server = serve(world, &format!("--quota 9999/{window}s --profiles 5 --page-size 10"), "own-limit")?;
    let home = Home::new(world, &server, "own-limit")?;
    let quota = format!("{limit}/{window}s");
    let fetch = |number: u64| -> Result<Ended, String> {
        // Databases of their own, so that nobody waits for another's load.
        let database = home.database.with_file_name(format!("{number}.db"));
        let command = home.command_on(&database, &["fetch", "profiles", "--quota", &quota]);
        home.start(command)?.wait()
    };
    let outcomes: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let fetch = &fetch;
                scope.spawn(move || {
                    for number in (thread..fetches).step_by(4) {
                        fetch(number)?.exits(0)?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
            .collect()
    });
    outcomes.into_iter().collect::<Result<(), _>>()?;
    let most = Traffic::of(&server)?.number("/greatest_counted_in_window")?;
    if most > limit {
        return Err(format!("{most} counted requests within {window} s, and {limit} are allowed"));
    }
    Ok(format!("{fetches} fetches of 4 processes at a time at {quota}: at most {most} counted in a window"))
}

/// Waits until the simulator has seen this, and errs if the program ends before.
fn until(
    running: &mut Running,
    server: &Simulator,
    what: &str,
    seen: impl Fn(&Traffic) -> Result<bool, String>,
) -> Result<(), String> {
    let mut problem = None;
    running.wait_until(what, |_| match Traffic::of(server).and_then(|traffic| seen(&traffic)) {
        Ok(seen) => seen,
        Err(error) => {
            problem = Some(error);
            true
        }
    })?;
    problem.map_or(Ok(()), Err)
}

fn check_windows(traffic: &Traffic) -> Result<(), String> {
    let counted = traffic.number("/greatest_counted_in_window")?;
    let refused = traffic.number("/greatest_refused_in_window")?;
    if counted > LIMIT || refused > REFUSED_AT_MOST {
        return Err(format!("{counted} requests were counted and {refused} refused within one window"));
    }
    Ok(())
}
