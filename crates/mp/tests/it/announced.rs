//! Servers whose pages differ from what they announce: no profile is lost silently, and the number of requests is
//! bounded.

use std::time::{Duration, Instant};

use mixpanel_simulator::{CopyChange, PastEnd, ProfileCopy, SimulatorConfig, TotalMode};
use serde_json::Value;

use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

/// Returns a configuration with 2,500 profiles on pages of 100.
fn project() -> SimulatorConfig {
    SimulatorConfig { page_size: 100, ..SimulatorConfig::default() }.with_profiles(2_500)
}

fn count(home: &Home, table: &str) -> String {
    let sql = format!("SELECT count(*) FROM {table}");
    home.run(&["query", "sql", "-s", "-f", "plain", &sql]).exits(0).stdout.trim().to_owned()
}

fn fetch(simulator: &Simulator, home: Home, more: &[&str]) -> (Home, Run) {
    let home = home.with_server(simulator);
    let run = home.run(&[&["fetch", "profiles", "users", "--no-progress"], more].concat());
    (home, run)
}

fn number(result: &Value, field: &str) -> u64 {
    result[field].as_u64().unwrap_or_else(|| panic!("{field}: {result}"))
}

#[test]
fn pages_shorter_than_declared_are_all_fetched() {
    for (declared, real) in [(40_000, 1_000), (1_000, 999), (1_000, 600), (100, 7)] {
        for mode in [&[][..], &["--parallel"]] {
            let config = SimulatorConfig { page_size: real, declared_page_size: Some(declared), ..project() };
            let profiles = u64::from(real) * 9 / 2;
            let simulator = Simulator::start(config.with_profiles(profiles));
            let (home, run) = fetch(&simulator, Home::new(), mode);
            let result = run.exits(0).json();
            assert_eq!((number(&result, "received"), number(&result, "shortfall")), (profiles, 0), "{declared} {real}");
            assert_eq!(count(&home, "users"), profiles.to_string());
            assert!(simulator.stats().requests < 5 + 8, "{:?}", simulator.stats());
        }
    }
}

#[test]
fn a_table_is_not_replaced_by_fewer_rows_than_announced() {
    // The error of the announced total in profiles, the options, and whether the fetch succeeds.
    let table: [(i64, &[&str], bool); 9] = [
        (1, &[], true),
        (2, &[], true),
        (3, &[], false),
        (2_000, &[], false),
        (100_000_000, &[], false),
        (2_000, &["--allow-drift", "44"], false),
        (2_000, &["--allow-drift", "45%"], true),
        (1, &["--allow-drift", "0"], false),
        (-3, &[], true),
    ];
    let first = Simulator::start(project().with_profiles(500));
    let (made, run) = fetch(&first, Home::new(), &["--parallel"]);
    let _ = run.exits(0);
    for (off, more, accepted) in table {
        let home = Home::new();
        std::fs::create_dir_all(home.database().parent().unwrap()).unwrap();
        std::fs::copy(made.database(), home.database()).unwrap();
        let simulator = Simulator::start(SimulatorConfig { total: TotalMode::OffBy(off), ..project() });
        let (home, run) = fetch(&simulator, home, &[&["--parallel", "--replace"], more].concat());
        let case = format!("{off} {more:?}");
        // The server has 25 pages. How many are requested past the end depends on the order of the responses.
        assert!(simulator.stats().requests < 60, "{case}: {:?}", simulator.stats().requests);
        if accepted {
            let result = run.exits(0).json();
            assert_eq!(number(&result, "drift"), u64::try_from(off.max(0)).unwrap(), "{case}");
            assert_eq!(count(&home, "users"), "2500", "{case}");
            continue;
        }
        let run = assert_run!(run.exits(1), &case);
        assert_eq!(count(&home, "users"), "500", "{case}");
        // The staged pages can still be accepted, without another request.
        let before = simulator.stats().requests;
        let command = run.resume_command() + " --allow-drift 100";
        let result = home.shell(&command).exits(0).json();
        assert_eq!((simulator.stats().requests, number(&result, "shortfall")), (before, 0), "{case}");
        assert_eq!(count(&home, "users"), "2500", "{case}");
    }
}

#[test]
fn a_shortfall_leaves_the_table_partial_and_resume_restarts() {
    let simulator = Simulator::start(SimulatorConfig { total: TotalMode::OffBy(700), ..project() });
    let (home, run) = fetch(&simulator, Home::new(), &["--parallel"]);
    let run = run.exits(1);
    assert_run!(run.counting_lines());
    let result = run.json();
    assert_eq!((number(&result, "shortfall"), &result["has_failures"]), (700, &Value::Bool(true)));
    assert_eq!(
        home.run(&["query", "sql", "-s", "-f", "plain", "SELECT partial FROM _fetches"]).exits(0).stdout,
        "true\n"
    );
    let before = simulator.stats().sessions_created;
    let run = home.run(&["fetch", "resume", "users", "--no-progress"]).exits(1).prints_nothing();
    assert_run!(run);
    assert_eq!(count(&home, "users"), "2500");
    assert_eq!(simulator.stats().sessions_created, before + 1);
}

#[test]
fn an_empty_result_replaces_rows_only_if_that_is_allowed() {
    let empties = [
        SimulatorConfig { total: TotalMode::FirstPage, ..project() },
        SimulatorConfig { total: TotalMode::Missing, ..project() },
    ];
    for config in empties {
        let full = Simulator::start(project());
        let (home, run) = fetch(&full, Home::new(), &["--parallel"]);
        let _ = run.exits(0);
        let simulator = Simulator::start(config.with_profiles(0));
        let (home, run) = fetch(&simulator, home, &["--replace"]);
        let run = assert_run!(run.exits(1));
        assert_eq!(count(&home, "users"), "2500");
        let _ = home.shell(&run.resume_command()).exits(0);
        assert_eq!(count(&home, "users"), "0");
        // An empty table can be replaced by an empty result.
        let (_, run) = fetch(&simulator, home, &["--replace"]);
        let _ = run.exits(0);
    }
}

#[test]
fn requests_past_the_end_are_bounded_despite_a_huge_total() {
    let stream: &[&str] = &["--parallel", "--stdout", "--raw"];
    for (past_end, mode) in [
        (PastEnd::Empty, &["--parallel"][..]),
        (PastEnd::Empty, stream),
        (PastEnd::RepeatLast, &["--parallel"]),
        (PastEnd::RepeatLast, &[]),
        (PastEnd::RepeatFirst, stream),
        (PastEnd::RepeatFirst, &["--parallel"]),
        (PastEnd::BadRequest, &["--parallel"]),
    ] {
        let total = TotalMode::OffBy(1_000_000_000 - 300);
        let simulator = Simulator::start(SimulatorConfig { past_end, total, ..project() }.with_profiles(300));
        let (_, run) = fetch(&simulator, Home::new(), mode);
        let run = run.exits(1);
        assert!(simulator.stats().requests < 40, "{past_end:?} {mode:?}: {}", simulator.stats().requests);
        assert!(run.stderr.len() < 10_000, "{past_end:?} {mode:?}: {}", run.stderr);
    }
}

#[test]
fn an_impossible_total_is_refused_after_page_0() {
    for total in [i64::MAX, 100 * 10_000_000] {
        let simulator = Simulator::start(SimulatorConfig { total: TotalMode::OffBy(total), ..project() });
        let (home, run) = fetch(&simulator, Home::new(), &["--parallel"]);
        assert_run!(run.exits(1).prints_nothing());
        assert_eq!(simulator.stats().requests, 1);
        assert_eq!(home.run(&["fetch", "status", "-f", "jsonl"]).exits(0).stdout, "");
    }
}

#[test]
fn resume_abandons_a_dead_session() {
    let faults = [
        "pages=3-5 status=404",
        "pages=3-5 status=400 body=\"cannot do that\"",
        "pages=3-5 status=500",
        "pages=3-5 error-in-200",
    ];
    for fault in faults {
        let simulator = Simulator::with_faults(550, &[fault]);
        let (home, run) = fetch(&simulator, Home::new(), &["--parallel"]);
        let _ = run.exits(1);
        let healthy = Simulator::with_faults(550, &[]);
        let home = home.with_server(&healthy);
        let run = home.run(&["fetch", "resume", "users", "--parallel", "--no-progress"]).exits(0);
        assert_run!(run.counting_lines(), fault);
        assert_eq!(number(&run.json(), "received"), 550, "{fault}");
        assert_eq!(count(&home, "users"), "550");
    }
}

#[test]
fn staged_pages_stay_until_a_new_session_has_page_0() {
    let simulator = Simulator::with_faults(550, &["pages=3-5 status=410"]);
    let (home, run) = fetch(&simulator, Home::new(), &["--parallel", "--replace"]);
    let _ = run.exits(1);
    let pages = |home: &Home| home.run(&["fetch", "status", "-f", "jsonl"]).exits(0).json()["pages_done"].clone();
    assert_eq!(pages(&home), 3);
    let down = Simulator::with_faults(550, &["pages=0 status=403"]);
    let home = home.with_server(&down);
    assert_run!(home.run(&["fetch", "resume", "users"]).exits(2));
    assert_eq!(pages(&home), 3);
    let healthy = Simulator::with_faults(550, &[]);
    let home = home.with_server(&healthy);
    let _ = home.run(&["fetch", "resume", "users"]).exits(0);
    assert_eq!((count(&home, "users"), healthy.stats().sessions_created), ("550".to_owned(), 1));
}

/// Pages of 100 that repeat the last `overlap` profiles of the previous page, so that the last profiles are never sent.
fn overlapping(profiles: u64, overlap: u32) -> SimulatorConfig {
    SimulatorConfig { overlap, ..project() }.with_profiles(profiles)
}

#[test]
fn repeated_profiles_do_not_count_for_missing_ones() {
    let full = Simulator::start(project());
    let simulator = Simulator::start(overlapping(2_500, 20));
    // 24 page boundaries, each with 20 repeated profiles.
    for mode in [&[][..], &["--parallel"]] {
        let (home, run) = fetch(&full, Home::new(), mode);
        let _ = run.exits(0);
        let (home, run) = fetch(&simulator, home, &[&["--replace"], mode].concat());
        let run = assert_run!(run.exits(1), mode.concat());
        assert_eq!(count(&home, "users"), "2500");
        // The staged pages are accepted only with `--allow-drift`, and then without a request.
        let (requests, sessions) = (simulator.stats().requests, simulator.stats().sessions_created);
        assert_run!(
            home.shell(&(run.resume_command() + " --no-progress")).exits(1),
            format!("{} resumed", mode.concat())
        );
        assert_eq!(simulator.stats().sessions_created, sessions + 1);
        assert!(simulator.stats().requests < requests + 30);
        let requests = simulator.stats().requests;
        let result = home.shell(&(run.resume_command() + " --allow-drift 20")).exits(0).json();
        assert_eq!((number(&result, "shortfall"), number(&result, "duplicates")), (0, 480));
        assert_eq!((count(&home, "users"), simulator.stats().requests), ("2020".to_owned(), requests));
    }
}

#[test]
fn overlapping_pages_leave_the_table_partial() {
    for mode in ["--append", "--upsert", ""] {
        let simulator = Simulator::start(overlapping(550, 20));
        let modes: Vec<&str> = [mode, "--parallel"].into_iter().filter(|mode| !mode.is_empty()).collect();
        let (home, run) = fetch(&simulator, Home::new(), &modes);
        let run = run.exits(1);
        assert_run!(run.counting_lines(), mode);
        assert_eq!((number(&run.json(), "shortfall"), count(&home, "users").as_str()), (100, "450"), "{mode}");
        let partial = "SELECT partial || ',' || shortfall FROM _fetches ORDER BY rowid DESC LIMIT 1";
        let facts = |home: &Home| home.run(&["query", "sql", "-s", "-f", "plain", partial]).exits(0).stdout;
        assert!(facts(&home).contains("true,100"), "{}", facts(&home));
        let other = fetch(&simulator, Home::new(), &modes);
        let accepted = other.0.shell(&(other.1.resume_command() + " --allow-drift 20"));
        assert_eq!(number(&accepted.exits(0).json(), "shortfall"), 0);
        let healthy = Simulator::start(project().with_profiles(550));
        let home = home.with_server(&healthy);
        let run = home.shell(&run.resume_command()).exits(0);
        assert_eq!((number(&run.json(), "shortfall"), count(&home, "users").as_str()), (0, "550"), "{mode}");
        assert!(facts(&home).contains("false,0"), "{}", facts(&home));
    }
}

#[test]
fn a_stream_of_overlapping_pages_fails_after_its_last_record() {
    for (overlap, more) in [(20, &[][..]), (1, &["--parallel"]), (20, &["--raw", "--parallel"]), (0, &["--parallel"])] {
        let simulator = Simulator::start(overlapping(550, overlap));
        let (_, run) = fetch(&simulator, Home::new(), &[&["--stdout"], more].concat());
        let run = run.exits(i32::from(overlap > 0));
        assert_eq!(run.stdout.lines().count(), 550);
        if overlap > 0 {
            assert_run!(run.counting_lines(), format!("{overlap} {}", more.concat()));
        }
    }
}

#[test]
fn shared_ids_are_an_overlap_only_when_replacing_a_larger_table() {
    let copies = (0..30).map(|at| ProfileCopy { from: at * 7, to: 300 + at * 5, change: CopyChange::Identical });
    let simulator = Simulator::start(SimulatorConfig { copies: copies.collect(), ..project() }.with_profiles(500));
    let (home, run) = fetch(&simulator, Home::new(), &["--parallel"]);
    let run = run.exits(0);
    assert_run!(run.counting_lines());
    assert_eq!((number(&run.json(), "duplicates"), count(&home, "users").as_str()), (30, "470"));
    let (home, run) = fetch(&simulator, home, &["--parallel", "--replace"]);
    assert_run!(run.exits(0).counting_lines());
    let full = Simulator::start(project().with_profiles(500));
    let (home, run) = fetch(&full, home, &["--replace"]);
    let _ = run.exits(0);
    let (home, run) = fetch(&simulator, home, &["--parallel", "--replace"]);
    assert_run!(run.exits(1));
    assert_eq!(count(&home, "users"), "500");
}

#[test]
fn a_total_that_a_later_page_corrects_counts() {
    for mode in [&[][..], &["--parallel"]] {
        // Page 0 announces too few profiles; the pages after them are fetched all the same.
        let total = TotalMode::FirstPageOffBy(-2_400);
        let simulator = Simulator::start(SimulatorConfig { total, ..project() });
        let (home, run) = fetch(&simulator, Home::new(), mode);
        let _ = run.exits(0);
        assert_eq!(count(&home, "users"), "2500", "{mode:?}");
        // Later pages announce more profiles than they send.
        let simulator = Simulator::start(SimulatorConfig { total: TotalMode::DriftPerPage(200), ..project() });
        let (home, run) = fetch(&simulator, home, &[&["--replace"], mode].concat());
        let run = assert_run!(run.exits(1), mode.concat());
        assert_eq!(count(&home, "users"), "2500");
        assert_run!(
            home.shell(&(run.resume_command() + " --no-progress")).exits(1),
            format!("{} resumed", mode.concat())
        );
        assert!(simulator.stats().requests < 2 * 25 + 20, "{}", simulator.stats().requests);
        // A project may grow by one profile during the fetch.
        let config = SimulatorConfig { total: TotalMode::DriftPerPage(1), ..project() };
        let simulator = Simulator::start(config.with_profiles(150));
        let (_, run) = fetch(&simulator, home, &[&["--replace"], mode].concat());
        let _ = run.exits(0);
    }
}

#[test]
fn unannounced_pages_are_not_requested_back_to_back() {
    // The server announces no total, or a page size that is too large.
    let no_total = SimulatorConfig { page_size: 1, total: TotalMode::Missing, ..project() };
    let tiny = SimulatorConfig { page_size: 1, declared_page_size: Some(1_000), ..project() };
    for config in [no_total, tiny] {
        let simulator = Simulator::start(config.with_profiles(45));
        let begun = Instant::now();
        let (home, run) = fetch(&simulator, Home::new(), &["--parallel"]);
        let _ = run.exits(0);
        assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(count(&home, "users"), "45");
    }
}

/// Returns copies that repeat, on each of the pages, `within` profiles of the page itself and `before` of the last
/// profiles of the page before.
fn copies(pages: u64, within: u64, before: u64) -> Vec<ProfileCopy> {
    let copy = |from, to| ProfileCopy { from, to, change: CopyChange::Identical };
    (0..pages)
        .flat_map(|page| {
            let start = page * 100;
            let inner = (0..within).map(move |index| copy(start + 50 + index, start + 70 + index));
            let outer =
                (0..if page == 0 { 0 } else { before }).map(move |index| copy(start - 1 - index, start + index));
            inner.chain(outer)
        })
        .collect()
}

#[test]
fn every_repeated_profile_counts_as_missing_once_pages_overlap() {
    for (within, before) in [(10, 1), (10, 10), (0, 10), (1, 20)] {
        let missing = 25 * within + 24 * before;
        let config = SimulatorConfig { copies: copies(25, within, before), ..project() };
        let simulator = Simulator::start(config.clone());
        let (home, run) = fetch(&simulator, Home::new(), &["--parallel"]);
        let result = run.exits(1).json();
        let rows: u64 = count(&home, "users").parse().unwrap();
        let case = format!("{within} {before}: {result}");
        assert_eq!((number(&result, "duplicates"), 2_500 - rows), (missing, missing), "{case}");
        assert_eq!(number(&result, "shortfall"), missing, "{case}");
        let stream = Simulator::start(config);
        let home = Home::new().with_server(&stream);
        let run = home.run(&["fetch", "profiles", "--stdout", "--no-progress"]).exits(1);
        assert!(run.stderr.contains(&format!("{missing} are missing")), "{case}: {}", run.stderr);
    }
}

#[test]
fn profiles_repeated_within_a_page_cause_the_same_warning_in_a_table_and_in_a_stream() {
    let simulator = Simulator::start(SimulatorConfig { copies: copies(25, 10, 0), ..project() });
    let (home, run) = fetch(&simulator, Home::new(), &["--parallel"]);
    let warning = "the server sent 250 profiles more than once";
    assert!(run.exits(0).stderr.contains(warning));
    let run = home.run(&["fetch", "profiles", "--stdout", "--no-progress"]).exits(0);
    assert!(run.stderr.contains(warning) && run.stderr.contains("others may be missing"), "{}", run.stderr);
}
