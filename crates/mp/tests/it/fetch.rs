//! `mp fetch profiles` into a table (T028 to T032 and T035 to T038, `docs/traceability.md`).

use serde_json::{Value, json};

use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

fn fetch(home: &Home, more: &[&str]) -> Run {
    home.run(&[&["fetch", "profiles", "users"], more].concat())
}

fn count(home: &Home, table: &str) -> Value {
    home.run(&["query", "sql", &format!("SELECT count(*), count(DISTINCT distinct_id) FROM {table}"), "-f", "jsonl"])
        .exits(0)
        .json()
}

fn keys(result: &Value) -> Vec<&str> {
    result.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn a_parallel_fetch_has_the_documented_result() {
    let simulator = Simulator::with_faults(1_050, &[]);
    let home = Home::new().with_server(&simulator);
    let result = fetch(&home, &["--parallel", "--workers", "3"]).exits(0).json();
    let fields = [
        "table",
        "rows",
        "total_rows",
        "successful_pages",
        "failed_pages",
        "failed_page_indices",
        "duration_seconds",
        "fetched_at",
        "expected_rows",
        "received",
        "drift",
        "shortfall",
        "duplicates",
        "rejected",
        "requests",
        "retries",
        "waited_seconds",
        "session_restarts",
        "short_pages",
        "run_id",
        "database",
        "table_rows",
        "updated_rows",
        "unchanged_rows",
        "unchecked_page",
        "run_waited_seconds",
        "has_failures",
    ];
    assert_eq!(keys(&result), fields);
    assert_eq!(result["table"], "users");
    assert_eq!(result["total_rows"], 1_050);
    assert_eq!((&result["successful_pages"], &result["failed_pages"]), (&json!(11), &json!(0)));
    assert_eq!((&result["failed_page_indices"], &result["has_failures"]), (&json!([]), &json!(false)));
    assert_eq!(count(&home, "users"), json!({"count_star()": 1_050, "count(DISTINCT distinct_id)": 1_050}));
    assert!(simulator.stats().max_concurrency <= 3);
}

#[test]
fn a_sequential_fetch_has_the_documented_result_and_the_same_rows() {
    let simulator = Simulator::with_faults(520, &[]);
    let home = Home::new().with_server(&simulator);
    let result = fetch(&home, &[]).exits(0).json();
    let fields = [
        "table",
        "rows",
        "type",
        "duration_seconds",
        "date_range",
        "fetched_at",
        "failed_page_indices",
        "expected_rows",
        "received",
        "drift",
        "shortfall",
        "duplicates",
        "rejected",
        "requests",
        "retries",
        "waited_seconds",
        "session_restarts",
        "short_pages",
        "run_id",
        "database",
        "table_rows",
        "updated_rows",
        "unchanged_rows",
        "unchecked_page",
        "run_waited_seconds",
        "has_failures",
    ];
    assert_eq!(keys(&result), fields);
    assert_eq!(
        (&result["rows"], &result["type"], &result["date_range"]),
        (&json!(520), &json!("profiles"), &Value::Null)
    );
    assert_eq!(simulator.stats().max_concurrency, 1);
    home.run(&["fetch", "profiles", "again", "--parallel"]).exits(0);
    let query =
        "SELECT count(*) FROM ((FROM users EXCEPT ALL FROM again) UNION ALL (FROM again EXCEPT ALL FROM users))";
    assert_eq!(home.run(&["query", "sql", "-s", "-f", "plain", query]).exits(0).stdout, "0\n");
}

#[test]
fn the_options_become_parameters_of_the_request() {
    let simulator = Simulator::with_faults(400, &[]);
    let home = Home::new().with_server(&simulator);
    let filter = r#"properties["plan"] == "free""#;
    let options = [
        "--where",
        filter,
        "--cohort",
        "7",
        "--include-all-users",
        "-o",
        "plan,\"a,b\"",
        "-o",
        "$email",
        "--page-size",
        "50",
        "--parallel",
        "--batch-size",
        "5000",
    ];
    fetch(&home, &options).exits(0);
    let request = simulator.stats().recent_requests.front().expect("a request").params.clone();
    assert_eq!(request.get("where").map(String::as_str), Some(filter));
    assert_eq!(request.get("output_properties").map(String::as_str), Some(r#"["plan","a,b","$email"]"#));
    assert_eq!(request.get("include_all_users").map(String::as_str), Some("true"));
    assert_eq!(request.get("page_size").map(String::as_str), Some("50"));
    let cohort: Value = serde_json::from_str(&request["filter_by_cohort"]).expect("JSON");
    assert_eq!(cohort["id"].to_string().trim_matches('"'), "7");
}

#[test]
fn too_many_workers_are_capped_with_a_warning_and_too_few_are_refused() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    assert_run!(fetch(&home, &["--parallel", "--workers", "12", "--quiet"]).exits(0).counting_lines());
    assert!(simulator.stats().max_concurrency <= 5);
    assert_run!(fetch(&home, &["--workers", "3", "--append"]).exits(0));
    let requests = simulator.stats().requests;
    fetch(&home, &["--parallel", "--workers", "0", "--append"]).exits(3).prints_nothing();
    assert_eq!(simulator.stats().requests, requests);
}

#[test]
fn piped_progress_prints_one_line_per_page_to_stderr() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=503 times=1"]);
    let home = Home::new().with_server(&simulator);
    let run = fetch(&home, &["-w", "properties[\"plan\"] != \"nothing\""]).exits(0);
    for line in [
        "page 0: 100 profiles (1 of 3 pages, 100 profiles)",
        "page 1: attempt 1 failed, retrying in ",
        "page 1: 100 profiles (",
        "page 2: 100 profiles (",
    ] {
        assert_eq!(run.stderr.lines().filter(|shown| shown.starts_with(line)).count(), 1, "{line}: {}", run.stderr);
    }
    assert!(run.stderr.contains("(3 of 3 pages, 300 profiles)\nloading 300 profiles into `users`"));
    assert!(!run.stderr.contains(['\u{1b}', '\r']), "{:?}", run.stderr);
    for option in ["--no-progress", "--quiet"] {
        let run = fetch(&home, &["--replace", option]).exits(0);
        assert!(!run.stderr.contains("page "), "{option}: {}", run.stderr);
    }
    assert_eq!(fetch(&home, &["--replace", "--quiet"]).exits(0).stderr, "");
}

#[test]
fn verbose_logs_without_the_secret() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=503 times=1"]);
    let home = Home::new().with_server(&simulator).with("RUST_LOG", "trace");
    let run = fetch(&home, &["--parallel", "-vvv"]).exits(0);
    assert!(run.stderr.contains("DEBUG"), "{}", run.stderr);
    assert!(!run.stderr.to_lowercase().contains("authorization"), "{}", run.stderr);
    let run = fetch(&home, &["--parallel", "--workers", "9", "--replace", "-v"]).exits(0);
    assert_eq!(run.stderr.matches("too many").count(), 1, "a warning is shown once: {}", run.stderr);
}

#[test]
fn pages_that_fail_are_named_and_the_exit_code_is_1() {
    for mode in [&["--parallel"][..], &[]] {
        let simulator = Simulator::with_faults(1_000, &["pages=3,7 status=404"]);
        let home = Home::new().with_server(&simulator);
        let run = fetch(&home, &[mode, &["--no-progress"]].concat()).exits(1);
        let result = run.json();
        assert_eq!((&result["failed_page_indices"], &result["has_failures"]), (&json!([3, 7]), &json!(true)));
        assert_eq!(count(&home, "users")["count_star()"], 800);
        assert_run!(run.counting_lines(), mode.concat());
        assert!(run.resume_command().ends_with("/mp fetch resume users"), "{}", run.stderr);
    }
}

#[test]
fn append_adds_the_profiles_of_a_missing_page() {
    let simulator = Simulator::with_faults(500, &["pages=2 status=404 times=1"]);
    let home = Home::new().with_server(&simulator);
    assert_run!(fetch(&home, &["--parallel", "-q"]).exits(1).counting_lines());
    let result = fetch(&home, &["--parallel", "--append", "-q"]).exits(0).json();
    assert_eq!((&result["total_rows"], &result["duplicates"]), (&json!(100), &json!(400)));
    assert_eq!(count(&home, "users"), json!({"count_star()": 500, "count(DISTINCT distinct_id)": 500}));
}

#[test]
fn replace_keeps_the_old_table_unless_complete() {
    let whole = Simulator::with_faults(300, &[]);
    let broken = Simulator::with_faults(500, &["pages=2 status=404"]);
    let home = Home::new().with_server(&whole);
    fetch(&home, &["-q"]).exits(0);
    let arguments = ["--replace", "--parallel", "-q", "--base-url", &broken.base_url()];
    let run = fetch(&home, &arguments).exits(1).prints_nothing();
    assert_run!(run.exits(1));
    assert_eq!(count(&home, "users")["count_star()"], 300);
}

#[test]
fn an_existing_table_is_refused_before_any_request() {
    let simulator = Simulator::with_faults(200, &[]);
    let home = Home::new().with_server(&simulator);
    fetch(&home, &["-q"]).exits(0);
    let requests = simulator.stats().requests;
    let run = fetch(&home, &["-q"]).exits(1).prints_nothing();
    assert_run!(run.exits(1));
    assert_eq!(simulator.stats().requests, requests);
}

#[test]
fn exit_codes_distinguish_the_causes() {
    let table = [
        ("status=401", 2),
        ("status=402", 3),
        ("status=403", 2),
        ("status=404", 3),
        ("status=400", 3),
        ("status=429", 5),
        ("status=503", 1),
        ("hourly-limit", 5),
        ("html", 1),
        ("empty", 1),
    ];
    for (fault, code) in table {
        let simulator = Simulator::with_faults(300, &[&format!("pages=0 {fault}")]);
        let home = Home::new().with_server(&simulator);
        let run = fetch(&home, &["--parallel", "-q", "--max-wait", "1s"]).exits(code).prints_nothing();
        let run = assert_run!(run, fault);
        assert!(!home.database().exists(), "{fault}: {}", run.stderr);
    }
}

#[test]
fn credentials_refused_in_the_middle_load_nothing() {
    let simulator = Simulator::with_faults(1_000, &["pages=5 status=401"]);
    let home = Home::new().with_server(&simulator);
    assert_run!(fetch(&home, &["-q"]).exits(2).prints_nothing());
    home.run(&["inspect", "tables"]).exits(4).prints_nothing();
}

#[test]
fn fetch_refuses_invalid_table_names() {
    let simulator = Simulator::with_faults(10, &[]);
    let home = Home::new().with_server(&simulator);
    for name in ["a b", "_own", "x;drop", "\"q\"", "é"] {
        assert_run!(home.run(&["fetch", "profiles", name]).exits(3).prints_nothing());
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn an_unwritable_path_is_reported_before_any_request() {
    let simulator = Simulator::with_faults(10, &[]);
    let home = Home::new().with_server(&simulator);
    std::fs::write(home.path().join("file"), "").expect("a file");
    for path in ["/proc/self/x.db", "file/x.db", "http://example.org/x.db"] {
        let run = fetch(&home, &["--db", path]).prints_nothing();
        assert!(matches!(run.code, Some(1 | 3)), "{run:?}");
        assert_run!(run, path);
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a_table_whose_name_is_a_keyword_is_created_with_a_note() {
    let simulator = Simulator::with_faults(100, &[]);
    let home = Home::new().with_server(&simulator);
    for (name, is_keyword) in [("select", true), ("Order", true), ("profiles", false)] {
        let run = home.run(&["fetch", "profiles", name, "--no-progress"]).exits(0);
        let note = format!("note: `{name}` is an SQL keyword: in queries, write \"{name}\" in double quotes\n");
        assert_eq!(run.stderr.contains(&note), is_keyword, "{}", run.stderr);
        let query = format!("select count(*) from \"{name}\"");
        assert_eq!(home.run(&["query", "sql", "-s", "-f", "plain", &query]).exits(0).stdout, "100\n");
    }
    // The table is no longer new.
    let run = home.run(&["fetch", "profiles", "select", "--no-progress", "--replace"]).exits(0);
    assert!(!run.stderr.contains("keyword"), "{}", run.stderr);
}
