//! Injects failures of system calls with strace, as on a full or failing disk.

use std::process::Command;

use crate::cases::{Failures, Length};
use crate::fetches::{Kind, Undisturbed, resume_from_hint, server, table};
use crate::tools::{finish, skip_unless, started_by};

/// Number of faults: long, quick.
const FAULTS: (usize, usize) = (40, 6);

/// The system calls, the error, and which calls of a thread fail; with a plus, all later ones fail as well.
const PLANS: [(&str, &str, &[&str]); 3] = [
    ("pwrite64", "ENOSPC", &["1", "2+", "2", "3", "4", "5", "6", "7", "8", "9", "1+", "4+", "5+", "8+"]),
    ("fsync,fdatasync", "EIO", &["1", "3", "2", "4", "5", "8", "13", "20", "26", "1+", "9+", "27", "28", "29"]),
    ("rename,renameat,renameat2", "EIO", &["2", "1", "3", "5", "8", "13", "20", "26", "27", "1+", "9+", "4", "6", "7"]),
];

#[test]
fn a_failed_system_call_never_yields_success_with_missing_rows() {
    let traced = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).status();
    if !skip_unless(traced.is_ok_and(|status| status.success()), "strace is missing, or may not trace") {
        return;
    }
    let count = Length::wanted().pick(FAULTS.0, FAULTS.1);
    let (undisturbed, failures) = (Undisturbed::fetch(), Failures::default());
    let (mut stopped, mut survived) = (0, 0);
    for number in 0..count {
        let (calls, error, whens) = PLANS[number % PLANS.len()];
        let when = whens[(number / PLANS.len()) % whens.len()];
        let kind = [Kind::New, Kind::Replace, Kind::Upsert][number % 3];
        let fault = format!("{calls}:error={error}:when={when}");
        failures.watch(&format!("{kind:?} with {fault}"), || match inject(&undisturbed, kind, calls, &fault) {
            FaultOutcome::Error => stopped += 1,
            FaultOutcome::Success => survived += 1,
            FaultOutcome::Nothing => {}
        });
    }
    eprintln!("prove: {count} failing system calls: {stopped} fetches stopped, {survived} did not mind");
    failures.check();
    assert!(stopped > 0, "no call failed in a way that matters");
}

/// The outcome of a fault.
enum FaultOutcome {
    /// The fetch failed and was completed afterwards.
    Error,
    /// The fetch succeeded, and the table is complete.
    Success,
    /// The call did not occur.
    Nothing,
}

fn inject(undisturbed: &Undisturbed, kind: Kind, calls: &str, fault: &str) -> FaultOutcome {
    let simulator = server();
    let home = undisturbed.begin(kind, &simulator);
    let (before, after) = (undisturbed.before(kind), &undisturbed.after);
    let log = home.path().join("strace.log");
    let (trace, inject, log_name) = (format!("trace={calls}"), format!("inject={fault}"), log.display().to_string());
    let strace = ["strace", "-f", "-qq", "-e", &trace, "-e", &inject, "-o", &log_name];
    let run = finish(started_by(&strace, &home.command(&kind.fetch())));
    let was_injected = std::fs::read_to_string(&log).expect("a log").contains("(INJECTED)");
    let found = table(&home);
    if run.code == Some(0) {
        assert_eq!(found, *after, "it ended with success: {}", run.stderr);
        return if was_injected { FaultOutcome::Success } else { FaultOutcome::Nothing };
    }
    let run = run.exits(1);
    assert!(found == before || found == *after, "the table is {found:?}: {}", run.stderr);
    resume_from_hint(&home, &simulator, kind, &run, after);
    if was_injected { FaultOutcome::Error } else { FaultOutcome::Nothing }
}
