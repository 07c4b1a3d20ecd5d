//! What a fetch and other commands say on a terminal, which the program `script` provides, if no format is requested.

use std::process::Stdio;

use crate::program::MP;
use crate::support::{Home, Run, Simulator};
use crate::terminal::script;

/// Runs the command with standard output on a terminal of this size, and standard error in a file.
fn shown(home: &Home, (columns, rows): (u16, u16), command: &str) -> Option<Run> {
    let line = format!("stty cols {columns} rows {rows}; unset COLUMNS; {MP} {command} 2> messages.txt");
    let run = Run::new(script(home, &line)?.stdin(Stdio::null()).output().expect("it runs"));
    let stderr = std::fs::read_to_string(home.path().join("messages.txt")).expect("the messages");
    Some(Run { stdout: run.stdout.replace("\r\n", "\n"), stderr, ..run })
}

/// Returns the command after `Next: `, which must be the last line.
fn next(run: &Run) -> &str {
    let last = run.stdout.lines().last().expect("a line");
    last.strip_prefix("Next: ").unwrap_or_else(|| panic!("no command in:\n{}", run.stdout))
}

#[test]
fn a_fetch_ends_with_what_was_loaded_where_it_is_and_what_to_type_next() {
    let simulator = Simulator::with_faults(250, &[]);
    for size in [(80, 24), (40, 15), (200, 50)] {
        for variable in ["MP_TEST", "NO_COLOR", "TERM"] {
            let home = Home::new().with_server(&simulator).with(variable, "dumb");
            let Some(run) = shown(&home, size, "fetch profiles users") else { return };
            let run = run.exits(0);
            let lines: Vec<&str> = run.stdout.lines().collect();
            assert!(lines[0].starts_with("Loaded 250 profiles into `users` in"), "{}", run.stdout);
            assert!(lines.len() <= 6 && !run.stdout.contains(['{', '\u{1b}']), "{size:?} {variable}:\n{}", run.stdout);
            assert!(
                lines.contains(&"  requests  3") && lines.contains(&"  database  ~/.mp/data/12345.db"),
                "{lines:?}"
            );
            let prose = lines.iter().filter(|line| !line.starts_with("Next: "));
            assert!(prose.clone().all(|line| line.chars().count() <= size.0.into()), "{size:?}:\n{}", run.stdout);
            assert_eq!(home.shell(next(&run)).exits(0).json().as_array().map(Vec::len), Some(10));
        }
    }
}

#[test]
fn programs_get_json_on_a_terminal_too_if_they_ask_for_it() {
    let simulator = Simulator::with_faults(250, &[]);
    for (format, option) in [("json", ""), ("", "-f json"), ("", "--jq .rows"), ("jsonl", ""), ("", "-f table")] {
        let home = Home::new().with_server(&simulator);
        let home = if format.is_empty() { home } else { home.with("MP_FORMAT", format) };
        let Some(run) = shown(&home, (80, 24), &format!("fetch profiles {option}")) else { return };
        let run = run.exits(0);
        assert!(!run.stdout.contains("Next: "), "{format} {option}: {}", run.stdout);
        match option {
            "--jq .rows" => assert_eq!(run.stdout, "250\n"),
            "-f table" => assert!(run.stdout.contains("FIELD"), "{}", run.stdout),
            _ => assert_eq!(run.json()["rows"], 250),
        }
    }
}

#[test]
fn the_next_command_repeats_the_options_of_the_call() {
    let simulator = Simulator::with_faults(150, &[]);
    let home = Home::new().with_server(&simulator);
    let command = format!("fetch profiles select --db 'my data.db' --base-url {}", simulator.base_url());
    let Some(run) = shown(&home, (80, 24), &command) else { return };
    let run = run.exits(0);
    assert!(run.stdout.contains("  database  ~/my data.db\n"), "{}", run.stdout);
    assert_eq!(next(&run), format!("{MP} query sql 'SELECT * FROM \"select\" LIMIT 10' --db 'my data.db'"));
    assert_eq!(home.shell(next(&run)).exits(0).json().as_array().map(Vec::len), Some(10));
}

#[test]
fn added_updated_and_unchanged_profiles_are_told_apart() {
    let simulator = Simulator::with_faults(150, &[]);
    let home = Home::new().with_server(&simulator);
    for (option, first, second) in [
        ("", "Loaded 150 profiles into `users` in ", "  requests  2"),
        (
            "--append",
            "Added 0 profiles to `users` in ",
            "  table     150 rows now; 150 fetched profiles were there already",
        ),
        ("--upsert", "Added 0 profiles to `users` and updated 150 in ", "  requests  2"),
        ("--replace", "Loaded 150 profiles into `users` in ", "  requests  2"),
    ] {
        let Some(run) = shown(&home, (80, 24), &format!("fetch profiles users {option}")) else { return };
        let run = run.exits(0);
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert!(lines[0].starts_with(first) && lines[1] == second, "{option}:\n{}", run.stdout);
    }
    let Some(run) = shown(&home, (80, 24), "fetch profiles none --distinct-ids nobody") else { return };
    let run = run.exits(0);
    assert!(run.stdout.starts_with("Loaded 0 profiles into `none` in ") && !run.stdout.contains("Next:"), "{run:?}");
}

#[test]
fn what_is_missing_comes_first_and_next_is_the_command_that_resumes() {
    let simulator = Simulator::with_faults(1_000, &["pages=3 status=404 times=1"]);
    let home = Home::new().with_server(&simulator);
    let line = format!("stty cols 80 rows 24; {MP} fetch profiles users --no-progress --parallel");
    let Some(mut script) = script(&home, &line) else { return };
    let run = Run::new(script.stdin(Stdio::null()).output().expect("it runs")).exits(1);
    let run = Run { stdout: run.stdout.replace("\r\n", "\n"), ..run };
    let place = |text: &str| run.stdout.find(text).unwrap_or_else(|| panic!("no {text:?} in:\n{}", run.stdout));
    let first = place("1 page failed, so `users` lacks the profiles of page 3");
    assert!(first < place("Incomplete: loaded 900 of 1,000 profiles into `users` in "), "{}", run.stdout);
    assert_eq!(run.stdout.matches("fetch resume").count(), 1, "{}", run.stdout);
    let resume = next(&run).to_owned();
    let resumed = shown(&home, (80, 24), resume.strip_prefix(&*MP).expect("our program")).expect("a terminal").exits(0);
    let lines: Vec<&str> = resumed.stdout.lines().collect();
    assert!(lines[0].starts_with("Loaded 1,000 profiles into `users` in "), "{}", resumed.stdout);
    assert!(lines[1].starts_with("  requests  1") && lines[1].contains("(whole run)"), "{}", resumed.stdout);
}

#[test]
fn an_estimate_is_text_on_standard_output() {
    let simulator = Simulator::with_faults(950, &[]);
    let home = Home::new().with_server(&simulator);
    let Some(run) = shown(&home, (40, 15), "fetch profiles users --plan") else { return };
    let run = run.exits(0);
    assert!(run.stdout.starts_with("950 profiles on 10 pages, 100 per page\n"), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 40), "{}", run.stdout);
    assert!(!run.stdout.contains('{') && !run.stderr.contains("950 profiles on"), "{run:?}");
}

#[test]
fn other_commands_answer_with_a_sentence() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    let (resume, size) = (format!("{MP} fetch resume users"), (80, 24));
    home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    let Some(run) = shown(&home, size, "fetch status") else { return };
    let run = run.exits(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("`users`: stopped, 5 of 10 pages ("), "{}", run.stdout);
    assert!(lines[1].starts_with("  reason  ") && lines[1].contains("401"), "{}", run.stdout);
    let id = lines.iter().find_map(|line| line.strip_prefix("  run     ")).expect("an id").to_owned();
    assert_eq!(lines.last(), Some(&format!("  resume  {resume}").as_str()));
    home.run(&["fetch", "profiles", "other", "-q"]).exits(0);
    let discarded = format!("Discarded run {id} of `users` (5 pages, ");
    for (command, expected) in [
        ("fetch discard users --force", discarded.as_str()),
        ("fetch discard --all --force", "There are no unfinished runs\n"),
        ("fetch status", "~/.mp/data/12345.db has no unfinished runs\n"),
        ("verify other", "`other` is as it was loaded: 950 rows, 950 distinct ids\n"),
        ("inspect drop other --force", "Dropped the table `other`\n"),
        ("auth test", "The credentials of the environment are valid for project 12345 (us), which has "),
        (
            "auth add work -u sa.x -p 1 -r us --no-test",
            "Added `work`, the default account; the credentials were not tested",
        ),
        ("auth add more -u sa.x -p 1 -r us --no-test", "Added `more`; the credentials were not tested\n"),
        ("auth switch more", "Account `more` is now the default\n"),
        (
            "auth edit more --project 2 --no-test",
            "Changed project id of account `more`; the credentials were not tested",
        ),
        ("auth remove work --force", "Removed account `work`\n"),
    ] {
        let run = shown(&home, size, command).expect("a terminal").exits(0);
        assert!(run.stdout.starts_with(expected), "{command}:\n{}{}", run.stdout, run.stderr);
        assert!(!run.stdout.contains('{'), "{command}: {}", run.stdout);
    }
}

#[test]
fn a_table_of_runs_does_not_break_ids() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    let id = home.run(&["fetch", "status"]).exits(0).json()[0]["run_id"].as_str().expect("an id").to_owned();
    for columns in [80, 120] {
        let Some(run) = shown(&home, (columns, 24), "fetch status -f table") else { return };
        let run = run.exits(0);
        assert!(run.stdout.contains(&id) && run.stdout.contains("stopped"), "{}", run.stdout);
        assert_eq!(run.stdout.contains("REASON"), columns > 80, "{}", run.stdout);
        assert!(run.stdout.contains("401") || run.stderr.contains("401"), "{run:?}");
    }
}
