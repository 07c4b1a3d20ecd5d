//! What is typed wrongly, and help.

use crate::support::Home;

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
        (&["simulate", "--addr", "localhost"], &["--addr"]),
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
    for text in ["profiles", "resume", "status", "discard", "unfinished run", "`mp fetch resume` goes on with it"] {
        assert!(help.contains(text), "no {text:?} in {help}");
    }
    let help = home.run(&["--help"]).exits(0).stdout;
    for text in ["verify", "or left records", "account, run or file"] {
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
