//! Defaults of options: MP_FORMAT, MP_DB, MP_PARALLEL, and `[defaults]` in the config file.

use crate::exact::home;
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

const SQL: [&str; 3] = ["query", "sql", "SELECT 1 AS a"];

#[test]
fn the_format_comes_from_the_option_the_environment_or_the_config_file() {
    let home = home("").with("MP_DB", "x.db");
    assert_eq!(home.run(&SQL).exits(0).json()[0]["a"], 1);
    home.write_config("[defaults]\nformat = \"csv\"\n");
    assert_eq!(home.run(&SQL).exits(0).stdout, "a\n1\n");
    assert_eq!(home.run(&["inspect", "tables"]).exits(0).stdout, "name,type,row_count,fetched_at,partial\n");
    let home = home.with("MP_FORMAT", "JSONL");
    assert_eq!(home.run(&SQL).exits(0).stdout, "{\"a\":1}\n");
    assert_eq!(home.run(&[&SQL[..], &["-f", "plain"]].concat()).exits(0).stdout, "1\n");
    assert_run!(home.with("MP_FORMAT", "xml").run(&SQL).exits(3).prints_nothing());
}

#[test]
fn a_config_file_below_an_unexpanded_tilde_has_defaults_too() {
    let home = home("").with("MP_DB", "x.db").with("MP_CONFIG_PATH", "~/.mp/accounts.toml");
    home.write_config("[defaults]\nformat = \"csv\"\n");
    assert_eq!(home.run(&SQL).exits(0).stdout, "a\n1\n");
}

#[test]
fn the_database_comes_from_the_option_the_environment_or_the_config_file() {
    let home = home("CREATE TABLE x (a INTEGER)");
    let names =
        |home: &Home, more: &[&str]| home.run(&[&["inspect", "tables", "-f", "plain"], more].concat()).exits(0).stdout;
    duckdb::Connection::open(home.path().join("y.db"))
        .and_then(|it| it.execute_batch("CREATE TABLE y (a INTEGER)"))
        .expect("it");
    home.write_config("[defaults]\ndb = \"~/x.db\"\n");
    assert_eq!(names(&home, &[]), "x\n");
    let home = home.with("MP_DB", "y.db");
    assert_eq!(names(&home, &[]), "y\n");
    assert_eq!(names(&home, &["--db", "x.db"]), "x\n");
    assert_run!(home.with("MP_DB", "").run(&SQL).exits(3).prints_nothing());
}

#[test]
fn a_fetch_uses_the_defaults() {
    let fetch = |config: &str, parallel: Option<&str>, more: &[&str]| {
        let simulator = Simulator::with_faults(300, &[]);
        let mut home = Home::new().with_server(&simulator);
        home.write_config(config);
        if let Some(parallel) = parallel {
            home = home.with("MP_PARALLEL", parallel);
        }
        let result = home.run(&[&["fetch", "profiles", "-q"], more].concat()).exits(0).json();
        (result["failed_pages"].is_number(), simulator.stats().max_concurrency)
    };
    assert!(!fetch("", None, &[]).0);
    assert!(fetch("", Some("1"), &[]).0);
    assert!(fetch("[defaults]\nparallel = true\n", None, &[]).0);
    assert!(!fetch("[defaults]\nparallel = true\n", Some("0"), &[]).0);
    assert_eq!(fetch("[defaults]\nparallel = true\nworkers = 1\n", None, &[]), (true, 1));
    assert!(!fetch("[defaults]\nworkers = 2\nmemory = \"250MB\"\npage_size = 100\n", None, &[]).0);
}

#[test]
fn too_many_workers_in_the_config_file_are_capped_with_a_warning() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    home.write_config("[defaults]\nparallel = true\nworkers = 99\n");
    let warning = "warning: 99 workers are too many: Mixpanel allows 5 concurrent queries per project; using 5\n";
    for arguments in [&["users", "-q"][..], &["--stdout", "-q"], &["other", "--plan", "-q"]] {
        let run = home.run(&[&["fetch", "profiles"], arguments].concat()).exits(0);
        assert!(run.stderr.contains(warning), "{arguments:?}: {}", run.stderr);
    }
    assert!(simulator.stats().max_concurrency <= 5);
}

#[test]
fn wrong_defaults_are_errors() {
    for (case, config) in [
        ("unknown key", "[defaults]\nformt = \"csv\"\n"),
        ("wrong value", "[defaults]\nworkers = \"five\"\n"),
        ("no table", "defaults = 1\n"),
    ] {
        let home = home("");
        home.write_config(config);
        assert_run!(home.run(&[&SQL[..], &["--db", "x.db"]].concat()).exits(1).prints_nothing(), case);
    }
    assert_run!(Home::new().with("MP_PARALLEL", "maybe").run(&["auth", "list"]).exits(3).prints_nothing(), "variable");
}
