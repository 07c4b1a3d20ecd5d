//! The process is killed at many points, and the fetch is resumed.
//!
//! After every kill, the table must be either the old one or the new one, and a staged page must never be requested
//! again. At the end, the table must equal the result of an undisturbed fetch. The same holds for events, whose slices
//! are staged like pages.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cases::{Failures, Length, has_kill_points, seed};
use crate::fetches::{
    Kind, Requests, Undisturbed, can_resume, check_no_stage, check_private, complete, discard_unusable,
    has_partial_removal, unfinished,
};
use crate::support::{Home, Run};
use crate::tools::finish;

/// What is killed, where, and how often.
struct Series {
    /// The least number of kills: long, quick.
    kills: (u64, u64),
    kinds: [Kind; 4],
    /// The kill points, the table that a kill there leaves, and how often the point is passed before the kill.
    places: [(&'static str, TableAfterKill, &'static [u32]); 13],
}

/// Number of cases that run in parallel.
const WORKERS: usize = 2;

/// Maximum number of kills per run.
const NESTED: usize = 3;

/// A random instant is at most this fraction of the usual duration, so that some are after the end.
const LATEST: f64 = 1.1;

/// A resume takes less time than a whole fetch, so its random instants are scaled by this factor.
const SHORTER: f64 = 0.5;

/// The table that a kill at a kill point leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TableAfterKill {
    Old,
    New,
}

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kill {
    /// At this fraction of the duration of a whole fetch.
    At(f64),
    /// At a named kill point, when it is reached for the nth time, counted from 0.
    Place { name: &'static str, passed: u32, leaves: TableAfterKill },
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(part) => write!(f, "at {:.0} % of the time", part * 100.0),
            Self::Place { name, passed, .. } => write!(f, "at {name}:{passed}"),
        }
    }
}

/// A fetch of profiles stages 24 pages and writes its manifest at the start, after page 0, after the last page and before
/// the load.
static PROFILES: Series = Series {
    kills: (150, 14),
    kinds: Kind::PROFILES,
    places: [
        ("load-begin", TableAfterKill::Old, &[0]),
        ("load-filled", TableAfterKill::Old, &[0]),
        ("undo-written", TableAfterKill::Old, &[0]),
        ("undo-saved", TableAfterKill::Old, &[0]),
        ("load-commit", TableAfterKill::Old, &[0]),
        ("load-committed", TableAfterKill::New, &[0]),
        ("load-checkpointed", TableAfterKill::New, &[0]),
        ("load-done", TableAfterKill::New, &[0]),
        ("stage-renamed", TableAfterKill::New, &[0]),
        ("page-staged", TableAfterKill::Old, &[1, 0, 5, 22, 23]),
        ("file-written", TableAfterKill::Old, &[1, 0, 2, 3, 12, 25, 26, 27]),
        ("file-synced", TableAfterKill::Old, &[1, 0, 2, 3, 12, 25, 26, 27]),
        ("file-renamed", TableAfterKill::Old, &[1, 0, 2, 3, 12, 25, 26, 27]),
    ],
};

/// A fetch of events stages nine slices, or six if it replaces the days that may have changed. The quick form tries only
/// the first places.
static EVENTS: Series = Series {
    kills: (150, 6),
    kinds: Kind::EVENTS,
    places: [
        ("page-staged", TableAfterKill::Old, &[1, 0, 2, 4, 5]),
        ("file-renamed", TableAfterKill::Old, &[1, 0, 2, 3, 4, 5, 6]),
        ("load-filled", TableAfterKill::Old, &[0]),
        ("load-commit", TableAfterKill::Old, &[0]),
        ("load-committed", TableAfterKill::New, &[0]),
        ("load-done", TableAfterKill::New, &[0]),
        ("load-begin", TableAfterKill::Old, &[0]),
        ("undo-written", TableAfterKill::Old, &[0]),
        ("undo-saved", TableAfterKill::Old, &[0]),
        ("load-checkpointed", TableAfterKill::New, &[0]),
        ("stage-renamed", TableAfterKill::New, &[0]),
        ("file-written", TableAfterKill::Old, &[1, 0, 2, 3, 4, 5, 6]),
        ("file-synced", TableAfterKill::Old, &[1, 0, 2, 3, 4, 5, 6]),
    ],
};

/// A fetch that is killed, resumed, and killed again.
struct Case {
    number: usize,
    kind: Kind,
    kills: Vec<Kill>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<String> = self.kills.iter().map(Kill::to_string).collect();
        write!(f, "case {}, {:?}, killed {}", self.number, self.kind, kills.join(", then "))
    }
}

impl Series {
    /// Returns the first kill of each case at a kill point. The long form tries the load with every kind of fetch.
    fn firsts(&self, length: Length) -> Vec<(Kind, Kill)> {
        let mut cases = Vec::new();
        for (at, (name, leaves, counts)) in self.places.into_iter().enumerate() {
            let kinds = if name.starts_with("load") { length.pick(4, 1) } else { 1 };
            for passed in &counts[..length.pick(counts.len(), 1)] {
                for kind in 0..kinds {
                    let kind = self.kinds[(at + kind + *passed as usize) % self.kinds.len()];
                    cases.push((kind, Kill::Place { name, passed: *passed, leaves }));
                }
            }
        }
        cases
    }

    /// Returns a case by its number: first every kill point, then an unlimited number of random instants.
    fn case(&self, number: usize, seed: u64, length: Length) -> Case {
        let firsts = self.firsts(length);
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
        let drawn = (self.kinds[number % self.kinds.len()], Kill::At(random.f64() * LATEST));
        let (kind, first) = firsts.get(number).copied().unwrap_or(drawn);
        let mut kills = vec![first];
        // In the quick form, every kill is at a kill point.
        for _ in 0..length.pick(random.usize(..NESTED), 0) {
            let (_, place) = firsts[random.usize(..firsts.len())];
            kills.push(if random.bool() { place } else { Kill::At(random.f64() * LATEST * SHORTER) });
        }
        Case { number, kind, kills }
    }
}

/// Number of kills by depth: of a fetch, of its resume, of the next resume.
type Killed = [AtomicU64; NESTED];

fn total(killed: &Killed) -> u64 {
    killed.iter().map(|count| count.load(Ordering::SeqCst)).sum()
}

#[test]
fn a_killed_fetch_leaves_the_old_table_or_the_new_one_and_can_be_resumed() {
    if has_kill_points() {
        kill_all(&PROFILES, &Undisturbed::fetch());
    }
}

#[test]
fn a_killed_fetch_of_events_leaves_each_day_old_or_new_and_can_be_resumed() {
    if has_kill_points() {
        kill_all(&EVENTS, &Undisturbed::fetch_events());
    }
}

fn kill_all(series: &Series, undisturbed: &Undisturbed) {
    let (length, seed) = (Length::wanted(), seed());
    let target = length.pick(series.kills.0, series.kills.1);
    // The long form also tries every kill point, even if the first cases already reach the number of kills.
    let places = length.pick(series.firsts(length).len() as u64, 0);
    let (next, killed, failures) = (AtomicU64::new(0), Killed::default(), Failures::default());
    let work = || {
        while total(&killed) < target || next.load(Ordering::SeqCst) < places {
            let number = usize::try_from(next.fetch_add(1, Ordering::SeqCst)).expect("a few hundred");
            let case = series.case(number, seed, length);
            failures
                .watch(&format!("{case} (MP_PROVE_SEED={seed})"), || kill_and_complete(undisturbed, &case, &killed));
            assert!(number < 3_000, "nothing is killed");
        }
    };
    std::thread::scope(|scope| {
        (0..WORKERS).for_each(|_| drop(scope.spawn(work)));
    });
    let [_, twice, thrice] = killed.each_ref().map(|count| count.load(Ordering::SeqCst));
    eprintln!(
        "prove: {} kills in {} fetches, {twice} of them while resuming and {thrice} while resuming after that (MP_PROVE_SEED={seed})",
        total(&killed),
        next.into_inner()
    );
    failures.check();
}

fn kill_and_complete(undisturbed: &Undisturbed, case: &Case, killed: &Killed) {
    let kind = case.kind;
    let simulator = kind.server();
    let home = undisturbed.begin(kind, &simulator);
    let (before, after) = (undisturbed.before(kind), &undisturbed.after);
    for (depth, kill) in case.kills.iter().enumerate() {
        if kind.table(&home) == *after && !can_resume(&home) {
            break;
        }
        let (staged, requests) = (kind.not_to_request(&home), Requests::to(&simulator));
        let run = run_and_kill(&home, kind, *kill, undisturbed.takes);
        requests.check(&staged);
        let found = kind.table(&home);
        undisturbed.check_days(kind, &found);
        if run.code.is_some() {
            // It ended before the kill, or never reaches this kill point.
            let _ended = run.exits(0);
            assert_eq!(found, *after, "{kill}");
            break;
        }
        killed[depth].fetch_add(1, Ordering::SeqCst);
        let allowed = match kill {
            // If an earlier kill was after the commit, the table was already the new one.
            Kill::Place { leaves: TableAfterKill::Old, .. } if depth == 0 => vec![&before],
            Kill::Place { leaves: TableAfterKill::New, .. } => vec![after],
            _ => vec![&before, after],
        };
        assert!(allowed.contains(&&found), "{kill}: the table is {found:?}, and only {allowed:?} may be");
        check_private(&home);
        let _truthful = unfinished(&home);
    }
    discard_unusable(&home);
    if can_resume(&home) {
        complete(&home, &simulator, kind, after, || home.run(&kind.resume()));
    } else if kind.table(&home) != *after {
        complete(&home, &simulator, kind, after, || home.run(&kind.fetch()));
    }
    if has_partial_removal(&home) {
        // The next fetch finishes a cleanup that was killed.
        complete(&home, &simulator, kind, after, || home.run(&kind.replace()));
        check_no_stage(&home);
    }
}

/// Starts a fetch, or resumes it if possible, and kills it.
fn run_and_kill(home: &Home, kind: Kind, kill: Kill, takes: Duration) -> Run {
    let mut command = home.command(&if can_resume(home) { kind.resume() } else { kind.fetch() });
    let part = match kill {
        Kill::At(part) => part,
        Kill::Place { name, passed, .. } => {
            command.env("MP_KILL_POINT", format!("{name}:{passed}"));
            return finish(command);
        }
    };
    let (begun, instant) = (Instant::now(), takes.mul_f64(part));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    while begun.elapsed() < instant && child.try_wait().expect("a child").is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    // It may have ended already.
    let _ended = child.kill();
    Run::new(child.wait_with_output().expect("it ends"))
}

#[test]
fn every_kill_point_is_tried_in_both_forms() {
    for series in [&PROFILES, &EVENTS] {
        for length in [Length::Quick, Length::Long] {
            let cases: Vec<Case> = (0..200).map(|number| series.case(number, 1, length)).collect();
            let at = |wanted: &str| {
                let is_there = |kill: &Kill| matches!(kill, Kill::Place { name, .. } if *name == wanted);
                cases.iter().filter(|case| is_there(&case.kills[0])).count()
            };
            for (name, _, counts) in series.places {
                let kinds = if name.starts_with("load") { 4 } else { 1 };
                assert_eq!(at(name), length.pick(counts.len() * kinds, 1), "{name}, {length:?}");
            }
            assert!(cases.iter().all(|case| case.kills.len() <= NESTED));
        }
        let shown =
            |seed| (0..100).map(|number| series.case(number, seed, Length::Long).to_string()).collect::<Vec<_>>();
        assert_eq!(shown(3), shown(3), "a number and a seed say the case");
        assert_ne!(shown(3), shown(4));
    }
}
