//! The result of a fetch as JSON, and the notes beside it.

use serde_json::{Value, json};

use crate::support::{Home, Run, Simulator};

/// Counts the notes about `--parallel`.
fn notes(run: &Run) -> usize {
    run.stderr.matches("`--parallel` takes about a fifth of the time").count()
}

#[test]
fn a_sequential_fetch_of_many_pages_mentions_parallel_once() {
    let many = Simulator::with_faults(650, &[]);
    let few = Simulator::with_faults(550, &[]);
    for (simulator, options, variable, config, expected) in [
        (&many, &[][..], "", "", 1),
        (&many, &["--no-progress"], "", "", 1),
        (&many, &["--stdout"], "", "", 1),
        (&few, &[], "", "", 0),
        (&many, &["--quiet"], "", "", 0),
        (&many, &["--plan"], "", "", 0),
        (&many, &["--parallel"], "", "", 0),
        (&many, &["--parallel", "--workers", "1"], "", "", 0),
        (&many, &[], "1", "", 0),
        (&many, &[], "0", "", 0),
        (&many, &[], "", "[defaults]\nparallel = false\n", 0),
        (&many, &[], "", "[defaults]\nworkers = 5\n", 1),
    ] {
        let home = Home::new().with_server(simulator);
        let home = if variable.is_empty() { home } else { home.with("MP_PARALLEL", variable) };
        home.write_config(config);
        let run = home.run(&[&["fetch", "profiles"], options].concat()).exits(0);
        assert_eq!(notes(&run), expected, "{options:?} {variable:?} {config:?}: {}", run.stderr);
    }
}

#[test]
fn a_resumed_fetch_mentions_parallel_if_many_pages_are_missing() {
    for (page, expected) in [(2, 1), (6, 0)] {
        let simulator = Simulator::with_faults(950, &[&format!("pages={page} status=401 times=1")]);
        let home = Home::new().with_server(&simulator);
        home.run(&["fetch", "profiles", "-q"]).exits(2);
        assert_eq!(notes(&home.run(&["fetch", "resume"]).exits(0)), expected, "{page}");
    }
}

#[test]
fn results_tell_the_waits_of_this_process_from_those_of_the_run() {
    let wait = "pages=2 status=429 header=Retry-After:2 times=1";
    let simulator = Simulator::with_faults(950, &[wait, "pages=5 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    let result = home.run(&["fetch", "resume", "users"]).exits(0).json();
    let seconds = |key: &str| result[key].as_f64().unwrap_or_else(|| panic!("no {key} in {result}"));
    assert!(seconds("run_waited_seconds") >= 1.0, "{result}");
    assert_eq!(seconds("waited_seconds"), 0.0, "{result}");
    assert!(result["requests"].as_u64() > Some(10), "the requests are those of the run: {result}");
}

#[test]
fn both_modes_have_the_same_keys_for_the_table() {
    let simulator = Simulator::with_faults(250, &[]);
    let home = Home::new().with_server(&simulator);
    let database = std::fs::canonicalize(home.path()).expect("a path").join("my.db");
    home.run(&["fetch", "profiles", "users", "-q", "--db", "my.db"]).exits(0);
    for options in [&["--append"][..], &["--append", "--parallel"], &["--upsert"], &["--upsert", "--parallel"]] {
        let arguments = [&["fetch", "profiles", "users", "-q", "--db", "my.db"], options].concat();
        let result = home.run(&arguments).exits(0).json();
        let (updated, unchanged) = if options.contains(&"--upsert") { (250, 0) } else { (0, 250) };
        let expected = [
            ("table", json!("users")),
            ("rows", json!(updated)),
            ("table_rows", json!(250)),
            ("updated_rows", json!(updated)),
            ("unchanged_rows", json!(unchanged)),
            ("unchecked_page", Value::Null),
        ];
        for (key, value) in expected {
            assert_eq!(result[key], value, "{options:?}: {result}");
        }
        let path = result["database"].as_str().map(std::path::Path::new).expect("a path");
        assert_eq!(std::fs::canonicalize(path).expect("a file"), database);
        assert!(path.is_absolute() && result["run_id"].is_string(), "{result}");
    }
}

#[test]
fn a_page_that_may_not_exist_is_not_called_missing() {
    // 200 profiles fill pages 0 and 1. Whether page 2 exists cannot be checked.
    let fault = "pages=2 status=429 header=Retry-After:3000";
    let simulator = Simulator::with_faults(200, &[fault]);
    for (mode, target) in [(&["--parallel"][..], "`users`"), (&[], "`users`"), (&["--stdout"], "the output")] {
        let home = Home::new().with_server(&simulator);
        let name = if mode == ["--stdout"] { &[][..] } else { &["users"] };
        let arguments = [&["fetch", "profiles", "--no-progress", "--max-wait", "1s"], name, mode].concat();
        let run = home.run(&arguments).exits(1);
        let text =
            format!("warning: it could not be checked whether page 2 exists, so {target} may lack its profiles\n");
        let run = run.says(&[&text]);
        if mode != ["--stdout"] {
            let result = run.json();
            assert_eq!((&result["failed_page_indices"], &result["unchecked_page"]), (&json!([2]), &json!(2)));
            assert_eq!((&result["rows"], &result["has_failures"]), (&json!(200), &json!(true)));
        }
    }
    let home = Home::new().with_server(&simulator);
    let old = Simulator::with_faults(10, &[]);
    home.run(&["fetch", "profiles", "users", "-q", "--base-url", &old.base_url()]).exits(0);
    let run = home.run(&["fetch", "profiles", "users", "-q", "--replace", "--max-wait", "1s"]).exits(1);
    run.says(&["it could not be checked whether page 2 exists, so table `users` was left unchanged"]).prints_nothing();
}
