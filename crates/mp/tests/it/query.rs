//! `mp query sql` and `mp inspect`.

use serde_json::json;

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

/// Returns a home with 120 profiles in `users`, whose server has been stopped.
fn home() -> Home {
    let simulator = Simulator::with_faults(120, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    home
}

fn with_database(home: &Home, arguments: &[&str]) -> crate::support::Run {
    let database = home.database().display().to_string();
    Home::new().run(&[arguments, &["--db", &database]].concat())
}

const ROWS: &str = "SELECT * FROM (VALUES (1, 'a,\"b\"', NULL, true, '{\"k\":[1,\"ü\"]}'::JSON), \
                    (2, '', 1.5, false, NULL)) AS t(id_number, text, number, flag, nested)";

#[test]
fn rows_in_every_format() {
    let home = home();
    let rows = |format: &str| with_database(&home, &["query", "sql", ROWS, "-f", format]).exits(0).stdout;
    insta::assert_snapshot!(rows("json"), @r#"
    [
      {
        "id_number": 1,
        "text": "a,\"b\"",
        "number": null,
        "flag": true,
        "nested": {"k":[1,"ü"]}
      },
      {
        "id_number": 2,
        "text": "",
        "number": 1.5,
        "flag": false,
        "nested": null
      }
    ]
    "#);
    insta::assert_snapshot!(rows("jsonl"), @r#"
    {"id_number":1,"text":"a,\"b\"","number":null,"flag":true,"nested":{"k":[1,"ü"]}}
    {"id_number":2,"text":"","number":1.5,"flag":false,"nested":null}
    "#);
    insta::assert_snapshot!(rows("csv"), @r#"
    id_number,text,number,flag,nested
    1,"a,""b""",,true,"{""k"":[1,""ü""]}"
    2,"",1.5,false,
    "#);
    assert_eq!(rows("plain"), "1\ta,\"b\"\t\ttrue\t{\"k\":[1,\"ü\"]}\n2\t\t1.5\tfalse\t\n");
    insta::assert_snapshot!(rows("table"), @r#"
    ┌───────────┬───────┬────────┬───────┬───────────────┐
    │ id_number ┆ text  ┆ number ┆ flag  ┆ nested        │
    ╞═══════════╪═══════╪════════╪═══════╪═══════════════╡
    │         1 ┆ a,"b" ┆   NULL ┆ true  ┆ {"k":[1,"ü"]} │
    │         2 ┆       ┆    1.5 ┆ false ┆ NULL          │
    └───────────┴───────┴────────┴───────┴───────────────┘
    "#);
}

#[test]
fn piped_query_output_is_verbatim() {
    let home = home();
    let long = "x".repeat(500);
    let query = format!("SELECT '[bold]{long}' || chr(27) || '[31m' AS v");
    let run = with_database(&home, &["query", "sql", &query]).exits(0);
    assert_eq!(run.json(), json!([{"v": format!("[bold]{long}\u{1b}[31m")}]));
    for format in ["plain", "csv", "table"] {
        let run = with_database(&home, &["query", "sql", &query, "-f", format]).exits(0);
        assert!(run.stdout.contains(&format!("[bold]{long}\u{1b}[31m")), "{format}");
    }
}

#[test]
fn an_empty_result_prints_no_rows() {
    let home = home();
    let rows = |format: &str| {
        with_database(&home, &["query", "sql", "SELECT 1 AS a WHERE false", "-f", format]).exits(0).stdout
    };
    assert_eq!((rows("json"), rows("jsonl"), rows("plain")), ("[]\n".to_owned(), String::new(), String::new()));
    assert_eq!(rows("csv"), "a\n");
}

#[test]
fn columns_of_the_same_name_are_kept_apart() {
    let run = with_database(&home(), &["query", "sql", "SELECT 1 AS a, 2 AS b, 3 AS a"]).exits(0);
    assert_eq!(run.json(), json!([{"a": 1, "b": 2, "a_1": 3}]));
}

#[test]
fn a_scalar_is_the_first_value() {
    let home = home();
    let scalar = |more: &[&str]| {
        let arguments = ["query", "sql", "SELECT count(*), 'x' FROM users", "--scalar"];
        with_database(&home, &[&arguments, more].concat()).exits(0).stdout
    };
    assert_eq!(scalar(&[]), "120\n");
    assert_eq!(scalar(&["-f", "json"]), "120\n");
}

#[test]
fn a_query_is_read_from_a_file_or_stdin() {
    let home = home();
    let database = home.database().display().to_string();
    let file = home.path().join("query.sql");
    std::fs::write(&file, "-- how many\nSELECT 42 AS n;\n").expect("a file");
    let path = file.display().to_string();
    assert_eq!(with_database(&home, &["query", "sql", "-F", &path, "-s", "-f", "plain"]).exits(0).stdout, "42\n");
    let run = Home::new().run_with_input(&["query", "sql", "--file", "-", "--db", &database], "SELECT 7 AS n");
    assert_eq!(run.exits(0).json(), json!([{"n": 7}]));
    for arguments in [&["query", "sql", "--db", &database][..], &["query", "sql", "-", "--db", &database]] {
        let run = Home::new().run_with_input(arguments, "-- piped\nSELECT 8 AS n;\n");
        assert_eq!(run.exits(0).json(), json!([{"n": 8}]));
    }
    assert_run!(Home::new().run_with_input(&["query", "sql", "--db", &database], " \n").exits(3), "empty");
    let missing = with_database(&home, &["query", "sql", "-F", "nowhere.sql"]).exits(4).prints_nothing();
    assert_run!(missing.exits(4));
}

#[test]
fn sql_errors_show_the_position() {
    let home = home();
    let run = with_database(&home, &["query", "sql", "SELECT count(*) FROM userz"]).exits(3).prints_nothing();
    let run = assert_run!(run);
    assert!(run.stderr.lines().any(|line| line.trim() == "^"), "{}", run.stderr);
    with_database(&home, &["query", "sql", "DROP TABLE users"]).exits(3).prints_nothing();
    with_database(&home, &["query", "sql", "SELECT * FROM read_csv('/etc/passwd')"]).exits(3).prints_nothing();
    assert_eq!(with_database(&home, &["inspect", "tables"]).exits(0).json()[0]["row_count"], 120);
}

#[test]
fn unreadable_databases_get_distinct_errors() {
    let home = Home::new();
    let at = |name: &str| home.path().join(name).display().to_string();
    let run = home.run(&["query", "sql", "SELECT 1", "--db", &at("none.db")]).exits(4).prints_nothing();
    assert_run!(run.exits(4));
    assert!(!home.path().join("none.db").exists());
    std::fs::write(home.path().join("text.db"), "this is no database, whatever its name says\n".repeat(500))
        .expect("a file");
    let run = home.run(&["inspect", "tables", "--db", &at("text.db")]).exits(1).prints_nothing();
    assert_run!(run.exits(1));
}

#[test]
fn a_project_id_is_enough_to_find_the_database() {
    let simulator = Simulator::with_faults(10, &[]);
    let fetched = Home::new().with_server(&simulator);
    fetched.run(&["fetch", "profiles", "-q"]).exits(0);
    let text = std::fs::read(fetched.database()).expect("a database");
    let home = Home::new().with("MP_PROJECT_ID", "777");
    std::fs::create_dir_all(home.path().join(".mp/data")).expect("a directory");
    std::fs::write(home.path().join(".mp/data/777.db"), text).expect("a copy");
    assert_eq!(home.run(&["inspect", "tables"]).exits(0).json()[0]["name"], "profiles");
    let home = home.with("MP_PROJECT_ID", "../777");
    assert_run!(home.run(&["inspect", "tables"]).exits(3).prints_nothing());
}

#[test]
fn tables_are_listed_described_sampled_and_dropped() {
    let home = home();
    let tables = with_database(&home, &["inspect", "tables"]).exits(0).json();
    assert_eq!(tables.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&tables[0]["name"], &tables[0]["type"], &tables[0]["row_count"]),
        (&json!("users"), &json!("profiles"), &json!(120))
    );

    let schema = with_database(&home, &["inspect", "schema", "-t", "users"]).exits(0).json();
    assert_eq!(schema["table"], "users");
    let names: Vec<_> =
        schema["columns"].as_array().expect("columns").iter().map(|column| column["name"].clone()).collect();
    assert_eq!(names, ["distinct_id", "properties", "last_seen"]);
    let csv = with_database(&home, &["inspect", "schema", "-t", "users", "-f", "csv"]).exits(0).stdout;
    assert!(csv.starts_with("name,type,nullable\ndistinct_id,VARCHAR,"), "{csv}");

    let rows = with_database(&home, &["inspect", "sample", "-t", "users", "-n", "3"]).exits(0).json();
    assert_eq!(rows.as_array().map(Vec::len), Some(3));
    assert!(rows[0]["properties"].is_object());

    let run = with_database(&home, &["inspect", "schema", "-t", "user"]).exits(4).prints_nothing();
    assert_run!(run.exits(4));
    let run = with_database(&home, &["inspect", "drop", "-t", "users"]).exits(1).prints_nothing();
    assert_run!(run.exits(1));
    let run = with_database(&home, &["inspect", "drop", "-t", "users", "--force"]).exits(0);
    assert_eq!(run.json(), json!({"dropped": "users"}));
    assert_eq!(with_database(&home, &["inspect", "tables"]).exits(0).stdout, "[]\n");
    with_database(&home, &["inspect", "drop", "-t", "users", "--force"]).exits(4).prints_nothing();
}

#[test]
fn a_locked_database_error_names_the_process() {
    let home = home();
    let file = std::fs::File::options().read(true).write(true).open(home.database()).expect("the database");
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("a lock");
    let run = with_database(&home, &["inspect", "tables"]).exits(1).prints_nothing();
    let process = format!("process {}", std::process::id());
    assert_run!(run.says(&[&process]));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let home = home();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let Ok(full) = full else { return println!("skipped: there is no /dev/full") };
    let database = home.database().display().to_string();
    let mut command = home.command(&["query", "sql", "SELECT 1", "--db", &database]);
    let output = command.stdout(full).stderr(std::process::Stdio::piped()).output().expect("it runs");
    let run = crate::support::Run::new(output).exits(1);
    assert_run!(run.exits(1));
}

#[test]
fn sql_without_its_subcommand_gets_a_hint() {
    for (case, arguments) in [
        ("sql", &["query", "SELECT 1 AS a"][..]),
        ("after an option", &["query", "-f", "csv", "select it's"]),
        ("a word", &["query", "slq"]),
        ("another command", &["fetch", "SELECT 1"]),
    ] {
        assert_run!(Home::new().run(arguments).exits(3).prints_nothing(), case);
    }
}

#[test]
fn times_are_in_utc_in_every_time_zone() {
    let home = home();
    let query = "SELECT abs(epoch(now()::TIMESTAMP) - epoch(now())) < 1 AS a, \
                 '2026-07-01'::TIMESTAMP = '2026-07-01 00:00:00+00'::TIMESTAMPTZ AS b, \
                 ('2026-07-01 23:30:00+00'::TIMESTAMPTZ)::DATE = '2026-07-01' AS c";
    let spilling = format!("{query} FROM users ORDER BY ALL");
    for zone in ["America/New_York", "Asia/Kathmandu", "", "Nowhere/Else"] {
        for query in [query, &spilling, &format!("BEGIN; {query}")] {
            let mut command = home.command(&["query", "sql", query, "-f", "csv"]);
            let output = command.env("TZ", zone).output().expect("it runs");
            let shown = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(shown.ends_with("true,true,true\n"), "{zone} {query}: {shown}");
        }
    }
}
