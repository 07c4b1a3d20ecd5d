//! `mp fetch profiles --limit`.

use mixpanel_simulator::{SimulatorConfig, TotalMode};
use serde_json::json;

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

fn text(home: &Home, sql: &str) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", sql]).exits(0).stdout.trim_end().to_owned()
}

#[test]
fn a_sample_has_exactly_n_profiles_and_needs_few_requests() {
    for total in [TotalMode::FirstPage, TotalMode::EveryPage, TotalMode::Missing] {
        let config = SimulatorConfig { page_size: 100, total, ..SimulatorConfig::default() };
        let simulator = Simulator::start(config.with_profiles(500));
        for (limit, pages, mode) in [("1", 1, "--no-progress"), ("100", 1, "--parallel"), ("250", 3, "--parallel")] {
            let home = Home::new().with_server(&simulator);
            let before = simulator.stats().requests;
            let result = home.run(&["fetch", "profiles", "users", "-q", "--limit", limit, mode]).exits(0).json();
            let requests = simulator.stats().requests - before;
            // Without a total, only pages that are in the sample are requested as well.
            assert_eq!((text(&home, "select count(*) from users").as_str(), requests), (limit, pages), "{total:?}");
            let expected = json!(limit.parse::<u64>().expect("a number"));
            assert_eq!((&result["limit"], &result["has_failures"]), (&expected, &json!(false)));
            let printed = home.run(&["fetch", "profiles", "--stdout", "-q", "--limit", limit]).exits(0).stdout;
            assert_eq!(printed.lines().count().to_string(), limit, "{total:?}");
        }
        // A project that is smaller than the sample.
        let home = Home::new().with_server(&simulator);
        home.run(&["fetch", "profiles", "users", "-q", "--limit", "1000"]).exits(0);
        assert_eq!(text(&home, "select count(*) from users"), "500", "{total:?}");
        home.run(&["verify", "users"]).exits(0);
    }
}

#[test]
fn the_catalog_of_a_sample_counts_its_profiles() {
    let simulator = Simulator::with_faults(500, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q", "--limit", "130"]).exits(0);
    let sql =
        "select bool_and(profiles = (select count(*) from users where json_exists(properties, '$.\"' || name || '\"')))
               from _properties where table_name = 'users'";
    assert_eq!(text(&home, sql), "true");
}

#[test]
fn an_interrupted_sample_is_resumed_to_its_size() {
    let simulator = Simulator::with_faults(500, &["pages=1 status=404 times=1"]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "-q", "--limit", "250"]).exits(1);
    assert_eq!(text(&home, "select count(*) from users"), "150");
    home.shell(&run.resume_command()).exits(0);
    assert_eq!(text(&home, "select count(*) from users"), "250");
    assert_eq!(home.run(&["fetch", "status"]).exits(0).json(), json!([]));
}

#[test]
fn a_sample_replaces_nothing_but_can_be_added() {
    let simulator = Simulator::with_faults(500, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q", "-w", r#"properties["plan"] == "free""#]).exits(0);
    let before = text(&home, "select count(*) from users");
    for (options, code) in [(&["--replace"][..], 3), (&[], 1), (&["--append"], 0), (&["--upsert"], 0)] {
        let run = home.run(&[&["fetch", "profiles", "users", "-q", "--limit", "20"], options].concat()).exits(code);
        assert!(code == 0 || text(&home, "select count(*) from users") == before, "{}", run.stderr);
    }
    assert_run!(home.run(&["fetch", "profiles", "users", "--limit", "0"]).exits(3));
}

#[test]
fn an_estimate_of_a_sample_is_reused_by_it() {
    let simulator = Simulator::with_faults(500, &[]);
    let home = Home::new().with_server(&simulator);
    for (limit, pages) in [("20", 1), ("200", 2), ("250", 3)] {
        let before = simulator.stats().requests;
        let plan = home.run(&["fetch", "profiles", "users", "-q", "--limit", limit, "--plan"]).exits(0).json();
        assert_eq!((&plan["pages"], &plan["requests"]), (&json!(pages), &json!(pages - 1)), "{limit}");
        let table = home.run(&["fetch", "profiles", "users", "-q", "--limit", limit]).exits(0).json();
        assert_eq!((&table["run_id"], simulator.stats().requests - before), (&plan["run_id"], pages));
        assert_eq!(text(&home, "select count(*) from users"), limit);
        home.run(&["inspect", "drop", "users", "--force"]).exits(0);
    }
}
