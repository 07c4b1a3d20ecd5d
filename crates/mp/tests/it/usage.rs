//! Invalid command lines, and help.

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

#[test]
fn wrong_arguments_exit_with_3_and_say_why() {
    let table: &[&[&str]] = &[
        &["fetch", "profiles", "--workers", "0"],
        &["fetch", "profiles", "--workers", "many"],
        &["fetch", "profiles", "--workers", "-1"],
        &["fetch", "profiles", "--batch-size", "99"],
        &["fetch", "profiles", "--batch-size", "100001"],
        &["fetch", "profiles", "--page-size", "0"],
        &["fetch", "profiles", "--page-size", "40001"],
        &["fetch", "profiles", "--replace", "--append"],
        &["fetch", "profiles", "--raw"],
        &["fetch", "profiles", "--stdout", "--append"],
        &["fetch", "profiles", "--stdout", "--format", "csv"],
        &["fetch", "profiles", "--distinct-id", "a", "--distinct-ids", "b"],
        &["fetch", "profiles", "--output", "x.csv"],
        &["fetch", "profiles", "--limit", "0"],
        &["fetch", "profiles", "--limit", "5", "--replace"],
        &["fetch", "profiles", "--refresh", "--replace"],
        &["fetch", "profiles", "--refresh", "--since", "last"],
        &["fetch", "profiles", "--behaviors", "[]"],
        &["fetch", "profiles", "--behaviors", "[]", "--where", "x", "--cohort", "1"],
        &["fetch", "profiles", "--include-all-users"],
        &["fetch", "profiles", "--as-of-timestamp", "now"],
        &["fetch", "profiles", "--output-properties", "\"a,b"],
        &["fetch", "profiles", "--upsert", "--append"],
        &["fetch", "profiles", "--upsert", "--replace"],
        &["fetch", "profiles", "--upsert", "--stdout"],
        &["fetch", "profiles", "--since", "yesterday"],
        &["fetch", "profiles", "--since", "last", "--append"],
        &["fetch", "profiles", "--since", "last", "--replace"],
        &["fetch", "profiles", "--since", "last", "--stdout"],
        &["fetch", "profiles", "--plan", "--stdout"],
        &["fetch", "profiles", "--quota", "60"],
        &["fetch", "profiles", "--quota", "0/h"],
        &["fetch", "profiles", "--reserve", "-1"],
        &["fetch", "profiles", "--reserve", "60"],
        &["fetch", "profiles", "--max-wait", "30"],
        &["fetch", "profiles", "--lock-wait", "a while"],
        &["fetch", "profiles", "--memory", "256"],
        &["fetch", "profiles", "--memory", "100MB"],
        &["fetch", "resume", "--memory", "2000GB"],
        &["fetch", "resume", "--behaviors", "[]"],
        &["fetch", "resume", "--replace", "--append"],
        &["fetch", "resume", "--max-wait", "-1s"],
        &["fetch", "discard"],
        &["fetch", "discard", "users", "--all"],
        &["fetch", "discard", "--run", "x", "--all"],
        &["fetch", "sttus"],
        &["verify"],
        &["fetch", "profiles", "--paralel"],
        &["fetch", "profiels"],
        &["fetch", "profiles", "--format", "xml"],
        &["query", "sql"],
        &["query", "sql", "SELECT 1", "--file", "x"],
        &["inspect", "schema"],
        &["inspect", "sample", "-t", "x", "-n", "0"],
        &["simulate", "--quota", "60/fortnight"],
        &["simulate", "--fault", "pages=1 nonsense"],
        &["simulate", "--latency", "4"],
        &["simulate", "--addr", "example.org:8080"],
        &["completions", "cmd"],
        &["bogus"],
    ];
    let home = Home::new();
    for arguments in table {
        let run = assert_run!(home.run(arguments).exits(3).prints_nothing(), arguments.join(" "));
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.contains("error: error:"), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn a_usage_error_looks_like_every_other_error() {
    let run = Home::new().run(&["fetch", "profiles", "--replace", "--append"]).exits(3);
    insta::assert_snapshot!(run.stderr, @r"
    error: the argument '--replace' cannot be used with '--append'
    hint: usage: mp fetch profiles [OPTIONS] [NAME]
    ");
}

#[test]
fn help_and_version_succeed() {
    let home = Home::new();
    let version = home.run(&["--version"]).exits(0);
    assert_eq!(version.stdout, format!("mp version {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&[][..], &["--help"], &["help"], &["auth"], &["fetch", "profiles", "--help"], &["demo", "-h"]] {
        let run = home.run(arguments).exits(0);
        assert!(run.stdout.contains("Usage: mp"), "{arguments:?}: {}", run.stdout);
        assert!(!run.stdout.contains('\u{1b}'), "no colour goes to a pipe");
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn global_options_work_before_and_after_the_command() {
    let home = Home::new();
    for arguments in [["-f", "csv", "auth", "list"], ["auth", "list", "-f", "csv"], ["auth", "-f", "csv", "list"]] {
        assert_eq!(home.run(&arguments).exits(0).stdout, "name,username,project_id,region,is_default\n");
    }
    home.run(&["-q", "-v", "-v", "auth", "list", "-vv", "-q"]).exits(0);
}

#[test]
fn completion_scripts_are_printed_and_installed() {
    let home = Home::new().with("SHELL", "/usr/bin/fish");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = home.run(&["completions", shell]).exits(0);
        assert!(run.stdout.contains("MP_COMPLETE"), "{shell}");
        assert_eq!(home.run(&["--show-completion", shell]).exits(0).stdout, run.stdout);
    }
    let script = home.run(&["--show-completion"]).exits(0).stdout;
    assert!(script.contains("--command mp"), "{script}");
    assert_eq!(home.run(&["completions"]).exits(0).stdout, script);
    assert_run!(home.run(&["--install-completion"]).exits(0).prints_nothing());
    let installed = home.path().join(".config/fish/completions/mp.fish");
    assert_eq!(std::fs::read_to_string(&installed).expect("a script"), script);
    std::fs::remove_file(&installed).expect("it is there");
    home.run(&["completions", "--install"]).exits(0).prints_nothing();
    assert!(installed.exists());
    assert_run!(home.run(&["--install-completion", "powershell"]).exits(3).prints_nothing());
    assert_run!(Home::new().run(&["--show-completion"]).exits(3).prints_nothing());
}

#[test]
fn values_that_begin_with_a_hyphen_reach_the_server_and_the_hints_for_others_help() {
    let simulator = Simulator::with_faults(10, &[]);
    let home = Home::new().with_server(&simulator);
    let values: [&[&str]; 6] = [
        &["--distinct-id", "-Mabc"],
        &["--distinct-ids", "--x", "--distinct-ids", "-1"],
        &["-g", "-1405123841946871899"],
        &["--group-id", "-1405123841946871899", "--parallel"],
        &["--where", "-1 < 0", "-o", "-a,-b"],
        &["-w", "--properties"],
    ];
    for value in values {
        let run = home.run(&[&["fetch", "profiles", "--stdout", "-q"], value].concat());
        assert!(
            !run.stderr.contains("unexpected argument") && !run.stderr.contains("needs a value"),
            "{value:?}: {run:?}"
        );
    }
    assert!(simulator.stats().requests >= 4, "{}", simulator.stats().requests);
    let requests = simulator.stats().requests;
    let run = home.run(&["fetch", "profiles", "--group-id", "--parallel"]).exits(3);
    assert_run!(run);
    assert_eq!(simulator.stats().requests, requests);
    home.run(&["demo", "--fast", "--keep", "-d", "-q"]).exits(0);
    for query in ["-- why\nselect 42", "--why\nselect 42"] {
        assert_eq!(
            home.run(&["query", "sql", query, "--db", "./-d/demo.db", "-s", "-f", "plain"]).exits(0).stdout,
            "42\n"
        );
    }
    // The hint for an argument that begins with `-` shows a command line that works.
    let run = assert_run!(home.run(&["auth", "show", "-x"]).exits(3));
    assert!(!run.stderr.contains("panicked"));
    assert_run!(home.run(&["auth", "show", "--", "-x"]).exits(4));
}

#[test]
fn an_unexpanded_tilde_is_expanded_in_every_path() {
    let home = Home::new().with("MP_CONFIG_PATH", "~/c/accounts.toml");
    std::fs::write(home.path().join("q.sql"), "select 7").expect("a file");
    home.run(&["demo", "--fast", "-q", "--keep=~/kept"]).exits(0);
    let run = home.run(&["query", "sql", "--db=~/kept/demo.db", "-F", "~/q.sql", "-s", "-f", "plain"]).exits(0);
    assert_eq!(run.stdout, "7\n");
    home.run_with_input(&["auth", "add", "a", "-u", "u", "-p", "1", "--secret-stdin", "--no-test"], "s").exits(0);
    assert!(home.path().join("c/accounts.toml").is_file());
    assert_run!(home.run(&["simulate", "--addr", "127.0.0.1:0", "--file=~/none.jsonl"]).exits(4));
    for arguments in [&["query", "sql", "select 1", "--db=~me/x.db"][..], &["query", "sql", "-F", "~me/q.sql"]] {
        assert_run!(home.run(arguments).exits(3).prints_nothing());
    }
    assert!(!home.path().join("~").exists());
}

#[test]
fn each_error_of_a_file_has_the_hint_that_helps_against_it() {
    let home = Home::new();
    let simulator = Simulator::with_faults(10, &[]);
    let home_with_server = home.with_server(&simulator);
    let path = |name: &str| home_with_server.path().join(name);
    std::fs::write(path("file"), "").expect("a file");
    std::os::unix::fs::symlink(path("b"), path("a")).expect("a link");
    std::os::unix::fs::symlink(path("a"), path("b")).expect("a link");
    let long = format!("{}.db", "x".repeat(300));
    for (case, database) in [("file", "file/x.db"), ("long", &long), ("circle", "a/x.db"), ("circle itself", "a")] {
        for arguments in [&["fetch", "profiles", "-q"][..], &["query", "sql", "select 1"], &["fetch", "status"]] {
            let run = home_with_server.run(&[arguments, &["--db", database]].concat());
            if run.code == Some(1) {
                assert_run!(run, format!("{case} {}", arguments[..2].join(" ")));
            } else {
                assert!(matches!(run.code, Some(0 | 4)), "{database} {arguments:?}: {run:?}");
            }
        }
        home_with_server.run(&["fetch", "profiles", "--db", database]).exits(1);
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn options_that_a_command_ignores_are_refused() {
    let home = Home::new();
    let table: &[&[&str]] = &[
        &["demo", "--db", "x.db"],
        &["demo", "--account", "a"],
        &["--project", "1", "demo"],
        &["demo", "--base-url", "http://127.0.0.1:1"],
        &["simulate", "--db", "x.db"],
        &["completions", "bash", "--db", "x.db"],
        &["completions", "bash", "-f", "json"],
        &["auth", "list", "--db", "x.db"],
        &["auth", "list", "--account", "a"],
        &["auth", "switch", "a", "--base-url", "http://127.0.0.1:1"],
        &["verify", "x", "--base-url", "http://127.0.0.1:1"],
        &["export", "x", "x.csv", "--base-url", "http://127.0.0.1:1"],
        &["query", "sql", "select 1", "--base-url", "http://127.0.0.1:1"],
        &["models", "dbt", "x", "--base-url", "http://127.0.0.1:1"],
        &["man", "x", "--csv-safe"],
    ];
    for arguments in table {
        let run = home.run(arguments).exits(3).prints_nothing();
        let run = run.says(&["error: this command does not use `--"]);
        assert_run!(run, arguments.join(" "));
    }
    assert_eq!(std::fs::read_dir(home.path()).expect("a home").count(), 0, "nothing is written");
}

#[test]
fn a_table_is_an_argument_or_an_option() {
    let home = Home::new();
    home.run(&["demo", "--fast", "-q", "--keep", "d"]).exits(0);
    let db = ["--db", "d/demo.db"];
    for command in [&["verify"][..], &["inspect", "schema"], &["inspect", "sample", "-n", "1"]] {
        let runs = [&["users"][..], &["-t", "users"], &["--table", "users"], &["--table=users"]];
        for table in runs {
            let run = home.run(&[command, table, &db].concat()).exits(0);
            assert!(run.stdout.len() > 10, "{run:?}");
        }
        home.run(&[command, &["-t", "users", "users"], &db].concat()).exits(3).prints_nothing();
        let run = home.run(&[command, &db[..]].concat()).exits(3).prints_nothing();
        run.says(&["<TABLE>"]);
    }
    home.run(&["inspect", "drop", "users", "--force", "--db", "d/demo.db"]).exits(0);
    home.run(&["verify", "users", "--db", "d/demo.db"]).exits(4);
}

#[test]
fn the_hint_for_an_unexpected_option_is_a_command_line_that_works() {
    let home = Home::new();
    let run = home.run(&["query", "sql", "select 1", "--no-such", "x.csv"]).exits(3).prints_nothing();
    assert!(!run.stderr.contains("as a value"), "{}", run.stderr);
    home.run(&["auth", "show", "-x"]).exits(3).says(&["to pass '-x' as a value, use '-- -x'"]);
    let run = home.run(&["fetch", "profiles", "--stdout", "--raw", "--append"]).exits(3);
    run.says(&["hint: usage: mp fetch profiles [OPTIONS] [NAME]\n"]);
}
