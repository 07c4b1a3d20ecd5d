//! What is typed wrongly, and help.

use crate::support::{Home, Simulator};

#[test]
fn wrong_arguments_exit_with_3_and_say_why() {
    let table: &[(&[&str], &[&str])] = &[
        (&["fetch", "profiles", "--workers", "0"], &["--workers", "at least 1"]),
        (&["fetch", "profiles", "--workers", "many"], &["--workers", "whole number"]),
        (&["fetch", "profiles", "--workers", "-1"], &["-1"]),
        (&["fetch", "profiles", "--batch-size", "99"], &["--batch-size", "100..=100000"]),
        (&["fetch", "profiles", "--batch-size", "100001"], &["--batch-size", "100..=100000"]),
        (&["fetch", "profiles", "--page-size", "0"], &["--page-size", "1..=40000"]),
        (&["fetch", "profiles", "--page-size", "40001"], &["--page-size", "1..=40000"]),
        (&["fetch", "profiles", "--replace", "--append"], &["--replace", "--append", "cannot be used with"]),
        (&["fetch", "profiles", "--raw"], &["--stdout"]),
        (&["fetch", "profiles", "--stdout", "--append"], &["--append", "cannot be used with"]),
        (&["fetch", "profiles", "--stdout", "--format", "csv"], &["--stdout", "JSON lines", "hint:"]),
        (&["fetch", "profiles", "--distinct-id", "a", "--distinct-ids", "b"], &["cannot be used with"]),
        (&["fetch", "profiles", "--behaviors", "[]"], &["--where"]),
        (&["fetch", "profiles", "--behaviors", "[]", "--where", "x", "--cohort", "1"], &["cannot be used with"]),
        (&["fetch", "profiles", "--include-all-users"], &["--cohort"]),
        (&["fetch", "profiles", "--as-of-timestamp", "now"], &["--as-of-timestamp"]),
        (&["fetch", "profiles", "--output-properties", "\"a,b"], &["quote that does not end", "hint:"]),
        (&["fetch", "profiles", "--upsert", "--append"], &["--upsert", "cannot be used with"]),
        (&["fetch", "profiles", "--upsert", "--replace"], &["--upsert", "cannot be used with"]),
        (&["fetch", "profiles", "--upsert", "--stdout"], &["--upsert", "cannot be used with"]),
        (&["fetch", "profiles", "--since", "yesterday"], &["--since", "last"]),
        (&["fetch", "profiles", "--since", "last", "--append"], &["--since", "cannot be used with"]),
        (&["fetch", "profiles", "--since", "last", "--replace"], &["--since", "cannot be used with"]),
        (&["fetch", "profiles", "--since", "last", "--stdout"], &["--since", "cannot be used with"]),
        (&["fetch", "profiles", "--plan", "--stdout"], &["--plan", "cannot be used with"]),
        (&["fetch", "profiles", "--quota", "60"], &["--quota", "60/h"]),
        (&["fetch", "profiles", "--quota", "0/h"], &["--quota"]),
        (&["fetch", "profiles", "--reserve", "-1"], &["-1"]),
        (&["fetch", "profiles", "--reserve", "60"], &["--reserve", "caused by:"]),
        (&["fetch", "profiles", "--max-wait", "30"], &["--max-wait", "30s or 10m"]),
        (&["fetch", "profiles", "--lock-wait", "a while"], &["--lock-wait", "30s or 10m"]),
        (&["fetch", "profiles", "--memory", "256"], &["--memory", "256MB or 1GB"]),
        (&["fetch", "profiles", "--memory", "100MB"], &["--memory", "200MB to 1000GB"]),
        (&["fetch", "resume", "--memory", "2000GB"], &["--memory", "200MB to 1000GB"]),
        (&["fetch", "resume", "--behaviors", "[]"], &["--where"]),
        (&["fetch", "resume", "--replace", "--append"], &["--replace", "cannot be used with"]),
        (&["fetch", "resume", "--max-wait", "-1s"], &["-1"]),
        (&["fetch", "discard"], &["which run", "--run", "--all"]),
        (&["fetch", "discard", "users", "--all"], &["--all", "cannot be used with"]),
        (&["fetch", "discard", "--run", "x", "--all"], &["--all", "cannot be used with"]),
        (&["fetch", "sttus"], &["sttus", "status"]),
        (&["verify"], &["TABLE"]),
        (&["fetch", "profiles", "--paralel"], &["--paralel", "hint:", "--parallel"]),
        (&["fetch", "profiels"], &["profiels", "profiles"]),
        (&["fetch", "profiles", "--format", "xml"], &["xml", "json, jsonl, table, csv, plain"]),
        (&["query", "sql"], &["QUERY"]),
        (&["query", "sql", "SELECT 1", "--file", "x"], &["cannot be used with"]),
        (&["inspect", "schema"], &["--table"]),
        (&["inspect", "sample", "-t", "x", "-n", "0"], &["--rows"]),
        (&["simulate", "--quota", "60/fortnight"], &["--quota", "60/h"]),
        (&["simulate", "--fault", "pages=1 nonsense"], &["--fault"]),
        (&["simulate", "--latency", "4"], &["--latency", "400ms"]),
        (&["simulate", "--addr", "example.org:8080"], &["--addr", "loopback"]),
        (&["completions", "cmd"], &["bash"]),
        (&["bogus"], &["bogus"]),
    ];
    let home = Home::new();
    for (arguments, texts) in table {
        let run = home.run(arguments).exits(3).prints_nothing().says(texts);
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.contains("error: error:"), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn a_usage_error_looks_like_every_other_error() {
    let run = Home::new().run(&["fetch", "profiles", "--replace", "--append"]).exits(3);
    insta::assert_snapshot!(run.stderr, @r"
    error: the argument '--replace' cannot be used with '--append'
    hint: usage: mp fetch profiles --replace [NAME]
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
fn the_help_of_fetch_is_an_overview() {
    let home = Home::new();
    let help = home.run(&["fetch", "--help"]).exits(0).stdout;
    for text in
        ["profiles", "resume", "status", "discard", "unfinished run", "`mp fetch resume` fetches the missing pages"]
    {
        assert!(help.contains(text), "no {text:?} in {help}");
    }
    let help = home.run(&["--help"]).exits(0).stdout;
    for text in ["verify", "rejected", "account, run or file"] {
        assert!(help.contains(text), "no {text:?} in {help}");
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
        assert!(run.stdout.contains("--parallel"), "{shell}");
        assert_eq!(home.run(&["--show-completion", shell]).exits(0).stdout, run.stdout);
    }
    assert!(home.run(&["--show-completion"]).exits(0).stdout.contains("complete -c mp"));
    home.run(&["--install-completion"]).exits(0).says(&["fish/completions/mp.fish"]).prints_nothing();
    assert!(home.path().join(".config/fish/completions/mp.fish").exists());
    home.run(&["--install-completion", "powershell"]).exits(3).says(&["mp completions powershell"]).prints_nothing();
    Home::new().run(&["--show-completion"]).exits(3).says(&["which shell this is"]).prints_nothing();
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
    let _said = run
        .says(&["error: `--group-id` needs a value, but the option `--parallel` follows", "`--group-id=--parallel`"]);
    assert_eq!(simulator.stats().requests, requests);
    home.run(&["demo", "--fast", "--keep", "-d", "-q"]).exits(0);
    for query in ["-- why\nselect 42", "--why\nselect 42"] {
        assert_eq!(
            home.run(&["query", "sql", query, "--db", "./-d/demo.db", "-s", "-f", "plain"]).exits(0).stdout,
            "42\n"
        );
    }
    // The hint for what may not begin so is a command line that works.
    let run = home.run(&["auth", "show", "-x"]).exits(3).says(&["use '-- -x'"]);
    assert!(!run.stderr.contains("panicked"));
    home.run(&["auth", "show", "--", "-x"]).exits(4).says(&["no account `-x`"]);
}

#[test]
fn a_tilde_that_the_shell_has_left_is_the_home_directory_in_every_path() {
    let home = Home::new().with("MP_CONFIG_PATH", "~/c/accounts.toml");
    std::fs::write(home.path().join("q.sql"), "select 7").expect("a file");
    home.run(&["demo", "--fast", "-q", "--keep=~/kept"]).exits(0);
    let run = home.run(&["query", "sql", "--db=~/kept/demo.db", "-F", "~/q.sql", "-s", "-f", "plain"]).exits(0);
    assert_eq!(run.stdout, "7\n");
    home.run_with_input(&["auth", "add", "a", "-u", "u", "-p", "1", "--secret-stdin"], "s").exits(0);
    assert!(home.path().join("c/accounts.toml").is_file());
    home.run(&["simulate", "--addr", "127.0.0.1:0", "--file=~/none.jsonl"]).exits(4).says(&["/none.jsonl"]);
    for arguments in [&["query", "sql", "select 1", "--db=~me/x.db"][..], &["query", "sql", "-F", "~me/q.sql"]] {
        home.run(arguments).exits(3).says(&["begins with `~` and a name", "hint: "]).prints_nothing();
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
    let table = [
        ("file/x.db", "a part of the path is a file"),
        (long.as_str(), "use a shorter file name"),
        ("a/x.db", "lead in a circle"),
        ("a", "lead in a circle"),
    ];
    for (database, hint) in table {
        for arguments in [&["fetch", "profiles", "-q"][..], &["query", "sql", "select 1"], &["fetch", "status"]] {
            let run = home_with_server.run(&[arguments, &["--db", database]].concat());
            if run.code == Some(1) {
                let _said = run.says(&[hint]);
            } else {
                assert!(matches!(run.code, Some(0 | 4)), "{database} {arguments:?}: {run:?}");
            }
        }
        home_with_server.run(&["fetch", "profiles", "--db", database]).exits(1).says(&[hint]);
    }
    assert_eq!(simulator.stats().requests, 0);
}
