//! The usual output and messages of the commands, in each format.

use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME};

const FORMATS: [&str; 5] = ["json", "jsonl", "csv", "plain", "table"];

/// Returns a home with 120 profiles in `users`.
fn fetched(simulator: &Simulator) -> Home {
    let home = Home::new().with_server(simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    home
}

/// Returns a home with an unfinished run of `users` that has 5 of 10 pages.
fn unfinished(simulator: &Simulator) -> Home {
    let home = Home::new().with_server(simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    home
}

fn refusing() -> Simulator {
    Simulator::with_faults(1_000, &["pages=5 status=401 times=1"])
}

/// Runs a command in each format.
fn in_each_format(home: &Home, arguments: &[&str]) {
    for format in FORMATS {
        assert_run!(home.run(&[arguments, &["-f", format]].concat()), format!("{} {format}", arguments[..2].join(" ")));
    }
}

#[test]
fn a_fetch() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    assert_run!(home.run(&["fetch", "profiles", "users"]).exits(0), "lines");
    assert_run!(home.run(&["fetch", "profiles", "users", "--append", "--no-progress"]).exits(0), "no progress");
    assert_run!(home.run(&["fetch", "profiles", "users", "--upsert", "-q"]).exits(0), "quiet");
    assert_run!(home.run(&["fetch", "profiles", "users", "--replace", "--parallel", "-q"]).exits(0), "parallel");
    // The number of profiles depends on the date.
    let since_last = home.run(&["fetch", "profiles", "users", "--since", "last", "-q"]).exits(0);
    assert_run!(since_last.counting_lines(), "since last");
    assert_run!(home.run(&["fetch", "profiles", "users"]).exits(1), "exists");
}

#[test]
fn a_stream() {
    let simulator = Simulator::with_faults(3, &[]);
    let home = Home::new().with_server(&simulator);
    for more in [&[][..], &["--raw"], &["-q"]] {
        assert_run!(home.run(&[&["fetch", "profiles", "--stdout"], more].concat()).exits(0), more.concat());
    }
}

#[test]
fn a_plan() {
    let simulator = Simulator::with_faults(950, &[]);
    let home = Home::new().with_server(&simulator);
    assert_run!(home.run(&["fetch", "profiles", "users", "--plan"]).exits(0), "json");
}

#[test]
fn an_unfinished_run() {
    let simulator = refusing();
    let home = Home::new().with_server(&simulator);
    assert_run!(home.run(&["fetch", "profiles", "users"]).exits(2), "stopped");
    assert_run!(home.run(&["fetch", "status"]).exits(0), "status");
    assert_run!(home.run(&["fetch", "discard", "users"]).exits(3), "not discarded");
    assert_run!(home.run(&["fetch", "profiles", "others", "-q"]).exits(0), "another");
    assert_run!(home.run(&["fetch", "resume"]).exits(0), "resumed");
    assert_run!(home.run(&["fetch", "status"]).exits(0), "status when done");
    assert_run!(home.run(&["fetch", "resume"]).exits(4), "nothing left");
    assert_run!(home.run(&["fetch", "resume", "users"]).exits(4), "nothing left of users");
    assert_run!(home.run(&["fetch", "discard", "users"]).exits(4), "nothing to discard of users");
    assert_run!(home.run(&["fetch", "discard", "--all"]).exits(0), "nothing to discard");
}

#[test]
fn a_discarded_run() {
    for format in FORMATS {
        let simulator = refusing();
        let home = unfinished(&simulator);
        assert_run!(home.run(&["fetch", "discard", "users", "--force", "-f", format]).exits(0), format);
    }
}

#[test]
fn tables() {
    let simulator = Simulator::with_faults(3, &[]);
    let home = fetched(&simulator);
    in_each_format(&home, &["inspect", "schema", "-t", "users"]);
    // A sample of more than one row would differ on every run.
    in_each_format(&fetched(&Simulator::with_faults(1, &[])), &["inspect", "sample", "-t", "users"]);
    assert_run!(home.run(&["inspect", "tables"]).exits(0), "tables json");
    assert_run!(home.run(&["inspect", "tables", "-f", "plain"]).exits(0), "tables plain");
    assert_run!(home.run(&["inspect", "schema", "-t", "user"]).exits(4), "schema of none");
    assert_run!(home.run(&["inspect", "sample", "-t", "user"]).exits(4), "sample of none");
    assert_run!(home.run(&["inspect", "drop", "-t", "user", "--force"]).exits(4), "drop none");
    assert_run!(home.run(&["inspect", "drop", "-t", "users"]).exits(1), "not dropped");
    assert_run!(home.run(&["inspect", "drop", "-t", "users", "--force"]).exits(0), "dropped");
    in_each_format(&home, &["inspect", "tables"]);
}

#[test]
fn queries() {
    let simulator = Simulator::with_faults(3, &[]);
    let home = fetched(&simulator);
    in_each_format(&home, &["query", "sql", "SELECT distinct_id, last_seen FROM users ORDER BY ALL"]);
    for format in FORMATS {
        let none = ["query", "sql", "SELECT distinct_id, last_seen FROM users WHERE false", "-f", format];
        assert_run!(home.run(&none).exits(0), format!("no rows {format}"));
        let scalar = ["query", "sql", "SELECT count(*) AS n, 7 AS m FROM users", "-s", "-f", format];
        assert_run!(home.run(&scalar).exits(0), format!("scalar {format}"));
    }
    for (case, sql) in [
        ("syntax", "SELEC 1"),
        ("no column", "SELECT nothing FROM users"),
        ("no table", "FROM user"),
        ("no function", "SELECT nothing(1)"),
        ("write", "DELETE FROM users"),
        ("file", "FROM 'x.csv'"),
        ("network", "FROM 'https://example.org/x.parquet'"),
        ("extension", "INSTALL httpfs"),
        ("several", "SELECT 1; SELECT 2"),
        ("empty", ""),
        ("overflow", "SELECT 255::UTINYINT + 1::UTINYINT"),
    ] {
        assert_run!(home.run(&["query", "sql", sql]), case);
    }
}

#[test]
fn missing_database() {
    let simulator = Simulator::with_faults(3, &[]);
    let home = Home::new().with_server(&simulator);
    for arguments in [
        &["query", "sql", "SELECT 1"][..],
        &["inspect", "tables"],
        &["inspect", "schema", "-t", "users"],
        &["inspect", "sample", "-t", "users"],
        &["inspect", "drop", "-t", "users", "--force"],
        &["verify", "users"],
        &["fetch", "status"],
        &["fetch", "resume"],
        &["fetch", "discard", "--all"],
    ] {
        assert_run!(home.run(arguments), arguments.join(" "));
    }
    // Without a project, there is no default database path.
    assert_run!(Home::new().run(&["inspect", "tables"]).exits(4), "no project");
}

#[test]
fn verification() {
    let simulator = Simulator::with_faults(250, &[]);
    let home = fetched(&simulator);
    in_each_format(&home, &["verify", "users"]);
    let change = |sql: &str| duckdb::Connection::open(home.database()).expect("it").execute_batch(sql).expect("SQL");
    change("DELETE FROM users WHERE rowid = 3");
    assert_run!(home.run(&["verify", "users"]), "a row less");
    change("UPDATE users SET properties = '{}' WHERE rowid = 4");
    assert_run!(home.run(&["verify", "users"]), "a row changed");
    change("CREATE TABLE mine AS SELECT 1 AS a");
    assert_run!(home.run(&["verify", "mine"]), "not a load");
    assert_run!(home.run(&["verify", "people"]), "no table");
}

#[test]
fn accounts() {
    let simulator = Simulator::with_faults(3, &[]);
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    assert_run!(home.run(&["auth", "show"]).exits(4), "show none");
    assert_run!(home.run(&["auth", "test"]).exits(4), "test none");
    assert_run!(home.run(&["fetch", "profiles"]).exits(4), "fetch without");
    let add = |name| ["auth", "add", name, "-u", USERNAME, "-p", PROJECT, "--secret-stdin"];
    assert_run!(home.run_with_input(&add("prod"), CANARY).exits(0), "add");
    assert_run!(home.run_with_input(&add("test"), CANARY).exits(0), "add another");
    assert_run!(home.run_with_input(&add("prod"), CANARY).exits(1), "add again");
    in_each_format(&home, &["auth", "list"]);
    in_each_format(&home, &["auth", "show"]);
    in_each_format(&home, &["auth", "test"]);
    in_each_format(&home, &["auth", "switch", "test"]);
    for command in ["show", "switch", "test"] {
        assert_run!(home.run(&["auth", command, "gone"]).exits(4), format!("{command} gone"));
    }
    assert_run!(home.run(&["fetch", "profiles", "--account", "gone"]).exits(4), "fetch with one that is gone");
    assert_run!(home.run_with_input(&["auth", "remove", "test"], "n\n").exits(1), "declined");
    assert_run!(home.run_with_input(&["auth", "remove", "test"], "y\n").exits(0), "agreed");
    assert_run!(home.run(&["auth", "remove", "test", "--force"]).exits(4), "remove gone");
    assert_run!(home.run(&["auth", "remove", "prod", "--force"]).exits(0), "remove the last");
}

#[test]
fn servers_that_cannot_be_reached() {
    let home = |url: &str| {
        let home = Home::new().with("MP_BASE_URL", url).with("MP_USERNAME", USERNAME).with("MP_SECRET", CANARY);
        home.with("MP_PROJECT_ID", PROJECT).with("MP_REGION", "eu")
    };
    let commands = [&["auth", "test"][..], &["fetch", "profiles", "-q"], &["fetch", "profiles", "--plan", "-q"]];
    for url in ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://localhost:1"] {
        for arguments in commands {
            let run = home(url).run(&[arguments, &["--max-wait", "1s"]].concat()).exits(1).prints_nothing();
            assert_run!(run, format!("{url} {}", arguments.join(" ")));
        }
    }
}
