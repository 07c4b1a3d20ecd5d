//! The statistics of `mp inspect` over a table of events.

use duckdb::Connection;
use serde_json::{Value, json};

use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::Home;

/// Creates the table `events`, as the Python package does: 60 days of 20 users, who sign up, view pages and buy.
pub(crate) fn create_events(home: &Home) {
    let path = home.database();
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("it can be created");
    let connection = Connection::open(path).expect("a database");
    connection
        .execute_batch(
            r#"CREATE TABLE events (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL, distinct_id VARCHAR NOT NULL,
                   insert_id VARCHAR PRIMARY KEY, properties JSON);
               INSERT INTO events
               SELECT CASE WHEN i % 10 = 0 THEN 'Sign Up' WHEN i % 7 = 0 THEN 'Purchase' ELSE 'Page View' END,
                      TIMESTAMP '2026-02-01 06:30:00' + to_hours(i * 2) + to_milliseconds(i),
                      CASE WHEN i % 100 = 99 THEN '' ELSE 'user-' || (i * 7 % 20) END, 'id-' || i,
                      CASE WHEN i % 7 = 0 THEN json_object('plan', ['free', 'pro', NULL][i % 3 + 1], 'amount', i % 50)
                           ELSE json_object('page', '/' || i % 4, 'odd name', i % 2 = 0) END
               FROM range(700) AS r(i);
               CREATE MACRO prop(properties, name) AS json_extract_string(properties, '/' || name)"#,
        )
        .expect("the table can be created");
}

fn home() -> Home {
    let home = Home::new();
    create_events(&home);
    home
}

/// The command lines whose output is in snapshots, in every format.
const COMMANDS: [&[&str]; 10] = [
    &["breakdown"],
    &["daily", "--from", "2026-02-10", "--to", "2026-02-11"],
    &["engagement", "-e", "Purchase", "--buckets", "1,2,4,8"],
    &["coverage", "-e", "Purchase", "-p", "plan,amount,none"],
    &["distribution", "-e", "Purchase", "-p", "plan", "-l", "2"],
    &["numeric", "-e", "Purchase", "-p", "amount", "--percentiles", "50,99.9"],
    &["top-events", "--type", "unique"],
    &["keys", "-e", "Page View"],
    &["column", "-c", "event_name", "--top", "2"],
    &["summarize"],
];

#[test]
fn every_format() {
    let home = home();
    for command in COMMANDS {
        for format in ["json", "jsonl", "csv", "plain", "table"] {
            let run = home.run(&[&["inspect"], command, &["-f", format]].concat());
            assert_run!(run.exits(0), format!("{} {format}", command[0]));
        }
    }
}

#[test]
fn the_table_is_an_argument_or_an_option() {
    let home = home();
    let connection = Connection::open(home.database()).expect("a database");
    connection.execute_batch("CREATE TABLE other AS FROM events WHERE event_name = 'Purchase'").expect("a copy");
    drop(connection);
    let total = |words: &[&str]| home.run(&[&["inspect"], words].concat()).exits(0).json()["total_events"].clone();
    assert_eq!(total(&["breakdown"]), json!(700));
    for words in [&["breakdown", "other"][..], &["breakdown", "-t", "other"], &["breakdown", "--table", "OTHER"]] {
        assert_eq!(total(words), json!(90), "{words:?}");
    }
    let top = home.run(&["inspect", "top-events", "--table", "other", "--jq", ".[0].event"]).exits(0).stdout;
    assert_eq!(top, "Purchase\n");
    home.run(&["inspect", "breakdown", "other", "-t", "events"]).exits(3);
}

#[test]
fn days_are_inclusive() {
    let home = home();
    let days = |words: &[&str]| -> Vec<String> {
        let result = home.run(&[&["inspect", "daily"], words].concat()).exits(0).json();
        let mut days: Vec<String> = result["counts"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|count| count["date"].as_str().map(str::to_owned))
            .collect();
        days.dedup();
        days
    };
    assert_eq!(days(&["--from", "2026-02-03", "--to", "2026-02-04"]), ["2026-02-03", "2026-02-04"]);
    assert_eq!(days(&["--to", "2026-02-01"]), ["2026-02-01"]);
    assert_eq!(days(&["--from", "2030-01-01"]), [""; 0]);
    assert_eq!(days(&["--from", "yesterday", "--to", "today"]), [""; 0]);
    assert_eq!(days(&["--from", "36500d", "--to", "2026-02-01"]), ["2026-02-01"]);
    home.run(&["inspect", "daily", "--from", "soon"]).exits(3).says(&["such as 2026-11-01, `today`"]);
    home.run(&["inspect", "engagement", "--buckets", "0"]).exits(3).says(&["must be at least 1"]);
    for of in [&["distribution", "-e", "a", "-p", "b", "-l", "0"][..], &["top-events", "-l", "0"]] {
        home.run(&[&["inspect"], of].concat()).exits(3).says(&["must be at least 1"]);
    }
    for wrong in
        [&["--from", "2026-02-30"][..], &["--from", "1.2.2026"], &["--from", "2026-02-02", "--to", "2026-02-01"]]
    {
        home.run(&[&["inspect", "daily"], wrong].concat()).exits(3).prints_nothing();
    }
}

#[test]
fn errors_have_hints() {
    let home = home();
    let connection = Connection::open(home.database()).expect("a database");
    connection.execute_batch("CREATE TABLE people AS SELECT 'a' AS distinct_id, 1 AS age").expect("a table");
    drop(connection);
    for command in COMMANDS.iter().filter(|command| command[0] != "column") {
        let run = home.run(&[&["inspect", command[0], "none"], &command[1..]].concat());
        run.exits(4).prints_nothing().says(&["there is no table `none`", "existing tables: `events`, `people`"]);
        if command[0] != "summarize" {
            let run = home.run(&[&["inspect", command[0], "people"], &command[1..]].concat());
            run.exits(3).prints_nothing().says(&["`people` is not a table", "inspect tables` lists the tables"]);
        }
    }
    assert_run!(home.run(&["inspect", "breakdown", "people"]).exits(3).prints_nothing(), "not events");
    assert_run!(home.run(&["inspect", "column", "-c", "nope"]).exits(3).prints_nothing(), "no column");
    assert_run!(home.run(&["inspect", "engagement", "--buckets", "5,1"]).exits(3).prints_nothing(), "buckets");
    assert_run!(
        home.run(&["inspect", "numeric", "-e", "a", "-p", "b", "--percentiles", "101"]).exits(3),
        "percentiles"
    );
}

#[test]
fn values_are_typed() {
    let home = home();
    let result = home.run(&["inspect", "distribution", "-e", "Page View", "-p", "odd name"]).exits(0).json();
    let values: Vec<&Value> =
        result["values"].as_array().expect("a list").iter().map(|value| &value["value"]).collect();
    assert!(values.contains(&&json!(true)) && values.contains(&&json!(false)), "{result}");
    let keys = home.run(&["inspect", "keys"]).exits(0).json();
    assert_eq!(keys, json!(["amount", "odd name", "page", "plan"]));
}

#[test]
fn names_may_contain_commas() {
    let home = home();
    let connection = Connection::open(home.database()).expect("a database");
    connection
        .execute_batch(
            r#"CREATE TABLE named AS FROM events LIMIT 0;
               INSERT INTO named
               SELECT ['a,b', 'a,b', 'a,b', 'a', 'a', 'c'][i + 1], TIMESTAMP '2026-02-01', 'user-' || i, 'id-' || i,
                      CASE WHEN i < 3 THEN '{"x,y": 1, "z": 2}' ELSE '{"x": 1}' END
               FROM range(6) AS r(i)"#,
        )
        .expect("the table can be created");
    drop(connection);
    let counts = "[.counts[] | [.event, .count]]";
    let coverage = "[.coverage[] | [.property, .defined_count]]";
    for (words, filter, expected) in [
        (&["daily", "-e", "\"a,b\",c"][..], counts, json!([["a,b", 3], ["c", 1]])),
        (&["daily", "-e", "\"a,b\"", "-e", "c"], counts, json!([["a,b", 3], ["c", 1]])),
        (&["daily", "--events", "a, c"], counts, json!([["a", 2], ["c", 1]])),
        (&["engagement", "-e", "\"a,b\",c"], "[.buckets[].user_count] | add", json!(4)),
        (&["coverage", "-e", "a,b", "-p", "\"x,y\",z"], coverage, json!([["x,y", 3], ["z", 3]])),
        (&["coverage", "-e", "a,b", "-p", "z", "-p", "\"x,y\""], coverage, json!([["z", 3], ["x,y", 3]])),
        (&["distribution", "-e", "a,b", "-p", "x,y"], "[.values[] | [.value, .count]]", json!([[1, 3]])),
        (&["numeric", "-e", "a,b", "-p", "x,y"], ".count", json!(3)),
        (&["keys", "-e", "a,b"], ".", json!(["x,y", "z"])),
        (&["column", "-c", "properties ->> 'x,y'"], ".count", json!(3)),
    ] {
        let result = home.run(&[&["inspect"], words, &["-t", "named", "-f", "json", "--jq", filter]].concat());
        assert_eq!(result.exits(0).json(), expected, "{words:?}");
    }
    for (words, says) in [
        (&["daily", "-e", ""][..], "`--events` names no event"),
        (&["engagement", "-e", "a", "-e", ","], "`--events` names no event"),
        (&["daily", "-e", "a,,c"], "item 2 of `--events` is missing"),
        (&["coverage", "-e", "a", "-p", ""], "`--properties` names no property"),
        (&["coverage", "-e", "a", "-p", "x,"], "item 2 of `--properties` is missing"),
        (&["coverage", "-e", "a", "-p", "\"x"], "`--properties` has an unclosed quote"),
    ] {
        let run = home.run(&[&["inspect"], words, &["-t", "named"]].concat());
        run.exits(3).prints_nothing().says(&[says, "hint: "]);
    }
}

/// No line is longer than the terminal, whose width the shell sets.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_of_any_width_shows_bars() {
    let home = home();
    for columns in [40, 80, 130] {
        for command in COMMANDS {
            let words: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
            let program = &*MP;
            let line = format!(
                "stty cols {columns} rows 200; unset COLUMNS; {program} inspect {} 2>/dev/null",
                words.join(" ")
            );
            let Some(mut script) = crate::terminal::script(&home, &line) else { return };
            let output = script.stdin(std::process::Stdio::null()).output().expect("it runs");
            let shown = String::from_utf8(output.stdout).expect("UTF-8");
            let plain = console::strip_ansi_codes(&shown).into_owned();
            let widest = plain.lines().map(|line| console::measure_text_width(line.trim_end())).max().unwrap_or(0);
            assert!(widest <= columns, "{command:?} in {columns} columns:\n{plain}");
            if command[0] == "daily"
                || (columns >= 80 && ["breakdown", "engagement", "distribution"].contains(&command[0]))
            {
                assert!(plain.contains('█'), "{command:?} in {columns} columns:\n{plain}");
            }
        }
    }
}
