//! `mp info`, and which project it and the other commands use.

use mixpanel_simulator::SimulatorConfig;
use serde_json::{Value, json};

use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME};

fn info(home: &Home, options: &[&str]) -> Value {
    home.run(&[&["info", "--format", "json"], options].concat()).exits(0).json()
}

fn path(home: &Home, below: &str) -> Value {
    home.path().join(below).display().to_string().into()
}

#[test]
fn info_works_without_an_account_and_a_database() {
    let home = Home::new();
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "duckdb_version": info(&home, &[])["duckdb_version"],
        "config_path": path(&home, ".mp/accounts.toml"),
        "account": null,
        "username": null,
        "project_id": null,
        "region": null,
        "host": null,
        "database": null,
        "database_bytes": null,
        "tables": null,
        "unfinished_runs": null,
        "quota": null,
        "export_quota": null,
    });
    let run = home.run(&["info", "--format", "json"]).exits(0);
    assert_eq!((run.json(), run.stderr.as_str()), (expected, ""));
    assert!(run.json()["duckdb_version"].as_str().expect("a version").starts_with("v1."));
    assert!(!home.path().join(".mp").exists(), "nothing is created");
}

#[test]
fn info_shows_the_account_the_database_and_the_quota() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let shown = info(&home, &[]);
    let expected = [
        ("account", Value::Null),
        ("username", USERNAME.into()),
        ("project_id", PROJECT.into()),
        ("region", "us".into()),
        ("host", simulator.base_url().into()),
        ("database", home.database().display().to_string().into()),
        ("tables", json!(["users"])),
        ("unfinished_runs", 1.into()),
    ];
    for (field, value) in expected {
        assert_eq!(shown[field], value, "{field}");
    }
    assert!(shown["database_bytes"].as_u64().expect("a size") > 10_000);
    let quota = &shown["quota"];
    assert_eq!((&quota["used"], &quota["limit"], &quota["next_free_at"]), (&2.into(), &60.into(), &Value::Null));
    assert_eq!(quota["window_seconds"], 3_600);
    // Exports of events are counted separately.
    assert_eq!((&shown["export_quota"]["used"], &shown["export_quota"]["limit"]), (&0.into(), &60.into()));
    let requests = simulator.stats().requests;
    let table = home.run(&["info", "--format", "table"]).exits(0).stdout;
    for text in ["users", "2 of 60 requests used; the next one is possible now", " MB"] {
        assert!(table.contains(text), "no {text:?} in {table}");
    }
    assert_eq!(simulator.stats().requests, requests, "no request is sent");
}

#[test]
fn info_says_when_the_next_request_is_possible() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let home = Home::new().with_server(&simulator);
    for _ in 0..60 {
        home.run(&["auth", "test"]).exits(0);
    }
    let shown = info(&home, &[]);
    assert_eq!(shown["quota"]["used"], 60);
    let next: jiff::Timestamp = shown["quota"]["next_free_at"].as_str().expect("a time").parse().expect("ISO 8601");
    let wait = next.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3_000..3_700).contains(&wait), "{wait}");
    assert!(home.run(&["info", "-f", "table"]).exits(0).stdout.contains("60 of 60 requests used; the next one is"));
}

#[test]
fn what_cannot_be_read_is_a_warning() {
    let home = Home::new();
    std::fs::write(home.path().join("broken.db"), "not a database").expect("a file");
    let run = home.run(&["info", "--format", "json", "--db", "broken.db"]).exits(0);
    assert_eq!((&run.json()["tables"], &run.json()["database_bytes"]), (&Value::Null, &14.into()));
    let _run = run.says(&["warning: could not list the tables: "]);
    home.write_config("[accounts.a]\nusername = 1\n");
    let run = home.run(&["info", "--format", "json"]).exits(0);
    assert_eq!(run.json()["account"], Value::Null);
    let _run = run.says(&["warning: invalid config file"]);
    home.run(&["info", "--account", "gone"]).exits(0).says(&["warning: "]).json();
}

#[test]
fn a_project_option_or_variable_replaces_that_of_the_account() {
    let home = || {
        let home = Home::new();
        home.write_config(&crate::config_file::account("work"));
        home
    };
    let used = |home: &Home, options: &[&str]| {
        let shown = info(home, options);
        let database = shown["database"].as_str().expect("a path").rsplit('/').next().expect("a name").to_owned();
        (shown["account"].clone(), shown["project_id"].as_str().expect("a project").to_owned(), database)
    };
    let expected = |account: Option<&str>, project: &str| (json!(account), project.to_owned(), format!("{project}.db"));
    assert_eq!(used(&home(), &[]), expected(Some("work"), "1"));
    assert_eq!(used(&home(), &["--project", "22"]), expected(Some("work"), "22"));
    assert_eq!(used(&home().with("MP_PROJECT_ID", "33"), &[]), expected(Some("work"), "33"));
    assert_eq!(used(&home().with("MP_PROJECT_ID", "33"), &["--project", "22"]), expected(Some("work"), "22"));
    assert_eq!(used(&home().with("MP_PROJECT_ID", "33"), &["--account", "work"]), expected(Some("work"), "33"));
    // A database that is chosen for every project stays.
    assert_eq!(used(&home().with("MP_DB", "x/all.db"), &["--project", "22"]).2, "all.db");
    // Credentials in the environment; the region defaults to us.
    let variables = || home().with("MP_USERNAME", USERNAME).with("MP_SECRET", CANARY);
    assert_eq!(used(&variables().with("MP_PROJECT_ID", "33"), &[]), expected(None, "33"));
    assert_eq!(info(&variables().with("MP_PROJECT_ID", "33"), &[])["region"], "us");
    assert_eq!(used(&variables(), &["--project", "22"]), expected(None, "22"));
    // The variables belong together, so an account ignores all of them.
    assert_eq!(used(&variables().with("MP_PROJECT_ID", "33"), &["-a", "work"]), expected(Some("work"), "1"));
    for arguments in [&["fetch", "status", "--project", "x"][..], &["auth", "test", "--project", ""]] {
        home().run(arguments).exits(3).prints_nothing().says(&["error: cannot use `--project`"]);
    }
    let run = variables().run(&["auth", "test"]).exits(4).prints_nothing();
    run.says(&["error: the environment sets MP_USERNAME, MP_SECRET but not MP_PROJECT_ID"]);
}

#[test]
fn one_account_fetches_several_projects_into_several_databases() {
    let simulator = Simulator::with_faults(100, &[]);
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    home.write_config(&crate::config_file::account("work").replace("\"sa\"", &format!("\"{USERNAME}\"")));
    home.run(&["fetch", "profiles", "-q"]).exits(2);
    home.run(&["fetch", "profiles", "-q", "--project", PROJECT]).exits(0);
    let count = ["query", "sql", "select count(*) from profiles", "-s", "-f", "plain", "--project", PROJECT];
    assert_eq!(home.run(&count).exits(0).stdout, "100\n");
    assert!(home.database().exists());
}

#[test]
fn the_only_database_is_used_without_an_account() {
    let simulator = Simulator::with_faults(100, &[]);
    let home = Home::new();
    let with_server = ["MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID"];
    let fetch = |project: &str| {
        let mut command = home.command(&["fetch", "profiles", "-q", "--base-url", &simulator.base_url()]);
        command.envs(with_server.into_iter().zip([USERNAME, CANARY, project]));
        command.output().expect("it runs").status.code()
    };
    home.run(&["inspect", "tables"]).exits(4).says(&["error: no credentials found", "`--db`"]);
    assert_eq!(fetch(PROJECT), Some(0));
    let run = home.run(&["inspect", "tables"]).exits(0).says(&["note: there is no account; using the only database"]);
    assert_eq!(run.json()[0]["name"], "profiles");
    std::fs::copy(home.database(), home.path().join(".mp/data/777.db")).expect("a copy");
    home.run(&["inspect", "tables"]).exits(4).says(&["12345.db`, `", "777.db`"]);
}

#[test]
fn another_directory_can_hold_all_files() {
    let simulator = Simulator::with_faults(100, &[]);
    for (value, below) in [("own", "own"), ("~/own/mp", "own/mp"), ("~", "")] {
        let home = Home::new().with_server(&simulator).with("MP_HOME", value);
        home.run(&["fetch", "profiles", "-q"]).exits(0);
        let shown = info(&home, &[]);
        let in_it = |name: &str| home.path().join(below).join(name).display().to_string();
        let is_relative = !value.starts_with('~');
        let expected = |name: &str| if is_relative { format!("{value}/{name}") } else { in_it(name) };
        assert_eq!(shown["config_path"], expected("accounts.toml"), "{value}");
        assert_eq!(shown["database"], expected(&format!("data/{PROJECT}.db")), "{value}");
        for name in [format!("data/{PROJECT}.db"), "state".to_owned()] {
            assert!(std::path::Path::new(&in_it(&name)).exists(), "{value}: {name}");
        }
        assert!(!home.path().join(".mp").exists());
    }
    // More specific settings come first.
    let home = Home::new().with("MP_HOME", "own").with("MP_CONFIG_PATH", "c.toml").with("MP_DB", "d.db");
    let shown = info(&home, &[]);
    assert_eq!((&shown["config_path"], &shown["database"]), (&json!("c.toml"), &json!("d.db")));
    let run = Home::new().with("MP_HOME", "").run(&["info"]).exits(3).prints_nothing();
    run.says(&["error: the environment variable MP_HOME is empty"]);
}
