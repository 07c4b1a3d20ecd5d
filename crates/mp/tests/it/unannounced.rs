//! Servers that announce no total or a changing one.

use mixpanel_simulator::{SimulatorConfig, TotalMode};

use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

/// Returns a configuration with pages of 100 profiles.
fn project(profiles: u64) -> SimulatorConfig {
    SimulatorConfig { page_size: 100, ..SimulatorConfig::default() }.with_profiles(profiles)
}

fn fetch(simulator: &Simulator, home: Home, more: &[&str]) -> (Home, Run) {
    let home = home.with_server(simulator);
    let run = home.run(&[&["fetch", "profiles", "users", "--parallel", "--no-progress"], more].concat());
    (home, run)
}

fn rows(home: &Home) -> String {
    let sql = "SELECT count(*) FROM users";
    home.run(&["query", "sql", "-s", "-f", "plain", sql]).exits(0).stdout.trim().to_owned()
}

#[test]
fn without_a_total_a_table_is_not_replaced_by_a_smaller_one() {
    let full = Simulator::start(project(1_000));
    let (home, run) = fetch(&full, Home::new(), &[]);
    let _ = run.exits(0);
    let silent = |profiles| SimulatorConfig { total: TotalMode::Missing, ..project(profiles) };
    // As many as before within the allowed drift, or more.
    for profiles in [1_000, 999, 1_200] {
        let (home, run) = fetch(&full, Home::new(), &[]);
        let _ = run.exits(0);
        let (home, run) = fetch(&Simulator::start(silent(profiles)), home, &["--replace"]);
        let _ = run.exits(0);
        assert_eq!(rows(&home), profiles.to_string());
    }
    let fewer = Simulator::start(silent(300));
    let (home, run) = fetch(&fewer, home, &["--replace"]);
    let run = assert_run!(run.exits(1));
    assert_eq!(rows(&home), "1000");
    let requests = fewer.stats().requests;
    let _ = home.shell(&(run.resume_command() + " --allow-drift 70")).exits(0);
    assert_eq!((rows(&home).as_str(), fewer.stats().requests), ("300", requests));
    let (_, run) = fetch(&Simulator::start(silent(10)), home, &["--append"]);
    let _ = run.exits(0);
}

#[test]
fn an_ever_growing_total_is_not_followed_forever() {
    // 1,000 pages, each of which announces one more page.
    let config = SimulatorConfig { page_size: 10, total: TotalMode::OnePageMore, ..SimulatorConfig::default() };
    let simulator = Simulator::start(config.clone());
    let (_, run) = fetch(&simulator, Home::new(), &[]);
    let _ = run.exits(1);
    assert!(simulator.stats().requests < 40, "{}", simulator.stats().requests);
    let (_, run) = fetch(&Simulator::start(config), Home::new(), &["--workers", "1"]);
    let run = run.exits(1);
    // A page may be requested while the one before it is being parsed, so the last one is not always the same.
    for part in [
        "warning: the server has more pages than it announced; requesting at most ten of them per second\n",
        "warning: it could not be checked whether page 2",
        ": the server announced 20 profiles but is still sending more after 2",
        "fetch resume users`",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn empty_pages_at_the_end_count_as_missing_profiles() {
    // The server announces more profiles than it has, so the last pages are empty.
    for (announced, more, accepted) in [
        (1_120, &["--allow-drift", "20"][..], true),
        (1_320, &["--allow-drift", "30"], true),
        (1_320, &["--allow-drift", "20"], false),
        (1_320, &[], false),
    ] {
        let off: i64 = announced - 1_000;
        let simulator = Simulator::start(SimulatorConfig { total: TotalMode::OffBy(off), ..project(1_000) });
        let (home, run) = fetch(&simulator, Home::new(), more);
        assert_eq!(rows(&home), "1000");
        if accepted {
            let result = run.exits(0).json();
            assert_eq!((&result["drift"], &result["failed_page_indices"]), (&off.into(), &serde_json::json!([])));
        } else {
            assert_run!(run.exits(1).counting_lines(), format!("{announced} {more:?}"));
        }
    }
}

#[test]
fn a_project_may_lose_its_last_profile() {
    let gone = |total| Simulator::start(SimulatorConfig { total: TotalMode::OffBy(total), ..project(0) });
    let (home, run) = fetch(&gone(1), Home::new(), &[]);
    assert_eq!(run.exits(0).json()["drift"], 1);
    assert_eq!(rows(&home), "0");
    let (_, run) = fetch(&gone(2), Home::new(), &[]);
    assert_run!(run.exits(1).counting_lines());
}

#[test]
fn resuming_after_the_table_was_replaced_needs_an_explicit_mode() {
    let healthy = Simulator::with_faults(450, &[]);
    for answer in ["--append", "--upsert", "--replace"] {
        let broken = Simulator::with_faults(450, &["pages=2 status=404"]);
        let (home, run) = fetch(&broken, Home::new(), &[]);
        let _ = run.exits(1);
        let other = Simulator::with_faults(200, &[]);
        let (home, run) = fetch(&other, home, &["--replace"]);
        let _ = run.exits(0);
        let home = home.with_server(&healthy);
        let before = healthy.stats().requests;
        let resume = ["fetch", "resume", "users", "--allow-drift", "60"];
        let run = assert_run!(home.run(&resume).exits(1), "refused");
        assert_eq!(healthy.stats().requests, before, "nothing is requested for it: {}", run.stderr);
        assert_eq!(rows(&home), "200");
        home.run(&[&resume[..], &[answer]].concat()).exits(1).says(&["was loaded after this run began"]);
        assert_eq!(rows(&home), "200");
        let run = home.run(&[&resume[..], &[answer, "--force"]].concat()).exits(0);
        assert_eq!(rows(&home), "450", "{answer}: {}", run.stderr);
        assert_eq!(home.run(&["fetch", "status", "-f", "jsonl"]).exits(0).stdout, "", "{answer}");
    }
}

#[test]
fn only_rejects_do_not_pass_for_an_empty_project() {
    let full = Simulator::start(project(300));
    let (home, run) = fetch(&full, Home::new(), &[]);
    let _ = run.exits(0);
    let odd = (0..50).map(|at| (at, mixpanel_simulator::OddProfile::IdNull));
    let simulator = Simulator::start(SimulatorConfig { odd_profiles: odd.collect(), ..project(50) });
    let (home, run) = fetch(&simulator, home, &["--replace"]);
    assert_run!(run.exits(1));
    assert_eq!(rows(&home), "300");
}

#[test]
fn completing_a_run_reports_rows_changed_by_others() {
    let (broken, healthy) = (Simulator::with_faults(450, &["pages=2 status=404"]), Simulator::with_faults(450, &[]));
    for (sql, expected) in [
        ("DELETE FROM users WHERE rowid < 40", "410"),
        ("UPDATE users SET properties = '{}' WHERE rowid = 7", "450"),
        ("SELECT 1", "450"),
    ] {
        let (home, run) = fetch(&broken, Home::new(), &[]);
        let _ = run.exits(1);
        duckdb::Connection::open(home.database()).unwrap().execute_batch(sql).unwrap();
        let home = home.with_server(&healthy);
        // Skips the check that every record is in the table, because another program removed some.
        let output = home.command(&["fetch", "resume", "users", "--no-progress"]).output().unwrap();
        let run = assert_run!(Run::new(output).exits(0), sql);
        assert!(!run.stderr.contains("more than once"), "{}", run.stderr);
        assert_eq!(rows(&home), expected);
    }
}
