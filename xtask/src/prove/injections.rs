//! System calls that fail, by strace: a disk that is full in the middle of a write, or breaks.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::simulator::Simulator;

use super::World;
use super::disks::go_on;
use super::home::{Home, serve};
use super::kills::{SERVER, Undisturbed, fetch};
use super::kills_cases::Kind;
use super::report::Report;

/// Faults in the long and in the short form.
const FAULTS: (usize, usize) = (40, 6);

/// What fails, how, and at which calls of a thread; with a plus all later ones fail as well.
const PLANS: [(&str, &str, &[&str]); 3] = [
    ("pwrite64", "ENOSPC", &["1", "2+", "2", "3", "4", "5", "6", "7", "8", "9", "1+", "4+", "5+", "8+"]),
    ("fsync,fdatasync", "EIO", &["1", "3", "2", "4", "5", "8", "13", "20", "26", "1+", "9+", "27", "28", "29"]),
    ("rename,renameat,renameat2", "EIO", &["2", "1", "3", "5", "8", "13", "20", "26", "27", "1+", "9+", "4", "6", "7"]),
];

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let count = world.length.pick(FAULTS.0, FAULTS.1);
    let works = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).stderr(Stdio::null()).status();
    if !works.is_ok_and(|status| status.success()) {
        return Report::skipped(&format!("{count} failing system calls"), "strace is missing, or not allowed to trace");
    }
    let mut report = Report::default();
    let begun = serve(world, SERVER, "injections")
        .and_then(|server| Ok((Undisturbed::fetch(world, &server, "injections")?, server)));
    let (undisturbed, server) = match begun {
        Ok(begun) => begun,
        Err(problem) => return Report::violated(problem),
    };
    let (mut failed, mut survived) = (0, 0);
    for number in 0..count {
        let (calls, error, whens) = PLANS[number % PLANS.len()];
        let when = whens[(number / PLANS.len()) % whens.len()];
        let kind = [Kind::New, Kind::Replace, Kind::Upsert][number % 3];
        let case = format!("{kind:?} with {calls}:error={error}:when={when}");
        match inject(world, &server, &undisturbed, kind, &format!("{calls}:error={error}:when={when}"), calls) {
            Ok(Came::Error) => failed += 1,
            Ok(Came::Success) => survived += 1,
            Ok(Came::Nothing) => {}
            Err(problem) => report.add(&case, Err(problem)),
        }
    }
    report.counts.push(format!("{count} failing system calls: {failed} fetches stopped, {survived} did not mind"));
    report
}

/// What came of a fault.
enum Came {
    /// The fetch ended with an error, and was gone on with.
    Error,
    /// The fetch ended with success, and everything is there.
    Success,
    /// The call was never made.
    Nothing,
}

fn inject(
    world: &World<'_>,
    server: &Simulator,
    undisturbed: &Undisturbed,
    kind: Kind,
    fault: &str,
    calls: &str,
) -> Result<Came, String> {
    let home = Home::new(world, server, "injection")?;
    let home = home.with_database(undisturbed.database(kind).map(PathBuf::as_path))?;
    let log = home.folder.join("strace.log");
    let direct = home.command(&fetch(kind));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", &format!("trace={calls}"), "-e", &format!("inject={fault}"), "-o"]).arg(&log);
    command.arg(direct.get_program()).args(direct.get_args());
    home.dress(&mut command);
    command.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = home.start(command)?.wait()?;
    let injected = fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)");
    let after = undisturbed.after(kind);
    let outcome = if ended.code == Some(0) {
        home.expect_table(after).map_err(|problem| format!("it ended with success, but {problem}"))
    } else {
        ended.exits(1).and_then(|()| {
            let table = home.table()?;
            if table != undisturbed.before(kind) && table != *after {
                return Err(format!("the table is {table:?}: {}", ended.told()));
            }
            go_on(&home, kind, &ended, undisturbed)
        })
    };
    if let Err(problem) = outcome {
        home.keep(&format!("injection-{kind:?}-{}", fault.replace([',', ':', '=', '+'], "-")));
        return Err(format!("{problem}; {}", ended.told()));
    }
    Ok(match (injected, ended.code) {
        (false, _) => Came::Nothing,
        (true, Some(0)) => Came::Success,
        (true, _) => Came::Error,
    })
}
