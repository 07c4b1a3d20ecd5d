//! Reaching properties: the macro `prop`, typed views, the property catalog, and hints for misused JSON operators.

use std::collections::BTreeMap;
use std::process::Stdio;

use duckdb::Connection;
use mixpanel_simulator::{OddProfile, SimulatorConfig};
use serde_json::{Value, json};

use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};
use crate::terminal::script;

/// Returns a home with 120 profiles in `users`, whose server has been stopped.
fn home() -> Home {
    let simulator = Simulator::with_faults(120, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    home
}

fn execute(home: &Home, sql: &str) {
    let connection = Connection::open(home.database()).expect("a database");
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn query(home: &Home, sql: &str) -> Value {
    home.run(&["query", "sql", sql]).exits(0).json()
}

fn scalar(home: &Home, sql: &str) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", sql]).exits(0).stdout.trim_end().to_owned()
}

#[test]
fn the_macro_and_the_view_reach_properties() {
    let home = home();
    let by_macro =
        query(&home, "select prop(properties, '$email') as e, prop(properties, 'ltv')::double as l from users");
    let by_view = query(&home, "select \"$email\" as e, ltv as l from users_typed");
    let by_path = query(&home, "select properties->>'$.\"$email\"' as e, (properties->>'ltv')::double as l from users");
    assert_eq!((&by_macro, &by_view), (&by_path, &by_path));
    assert_eq!(by_path.as_array().map(Vec::len), Some(120));
    let and =
        "select count(*) from users where prop(properties, 'plan') = 'free' and prop(properties, '$city') is not null";
    assert_ne!(scalar(&home, and), "0");
    assert_eq!(scalar(&home, "select count(*) from _rejects"), "0");
    assert_eq!(scalar(&home, "select count(*) from users where prop(properties, 'none') is null"), "120");
    // Another client sees them too.
    let connection = Connection::open(home.database()).expect("a database");
    let sql = "select count(prop(properties, '$email')) from users";
    assert_eq!(connection.query_row(sql, [], |row| row.get::<_, u64>(0)).expect("a count"), 120);
}

#[test]
fn misused_operators_get_a_hint_with_the_corrected_expression() {
    let home = home();
    for misused in [
        "select properties->>'$email' from users",
        "select json_extract_string(properties, '$email') from users",
        "select count(*) from users where properties->>'plan' = 'free' and properties->>'$.ltv' = '1'",
        "select count(*) from users where distinct_id <> '' and properties->>'plan' = 'free'",
        "select count(*) from users where properties->>'sessions' > 3",
        "select properties->>'sessions'::int from users",
        "select count(*) from users where prop(properties, 'sessions') > 3",
    ] {
        let run = assert_run!(home.run(&["query", "sql", misused]).exits(3).prints_nothing(), misused);
        let hint = run.stderr.lines().find(|line| line.starts_with("hint:")).unwrap_or_else(|| panic!("{run:?}"));
        // The expression of the hint works.
        let expression = hint.rsplit('`').nth(1).expect("an expression");
        if expression.contains("properties, 'age'") {
            continue;
        }
        let corrected = format!("select count({expression}) from users where {expression} is not null");
        assert_ne!(scalar(&home, &corrected), "", "{hint}");
    }
    execute(&home, "drop macro prop");
    for misused in
        ["select properties->>'$email' from users", "from users where distinct_id <> '' and properties->>'plan' = 'x'"]
    {
        let run = assert_run!(home.run(&["query", "sql", misused]).exits(3), format!("without macro {misused}"));
        let expression = run.stderr.rsplit('`').nth(1).expect("an expression").to_owned();
        assert_eq!(scalar(&home, &format!("select count({expression}) from users")), "120");
    }
}

#[test]
fn a_property_used_as_a_column_gets_a_hint_with_a_query_that_works() {
    let home = home();
    for (wrong, queries) in [
        ("select plan from users", &["SELECT plan FROM users_typed", "prop(properties, 'plan')"][..]),
        ("select u.PLAN from users u", &["SELECT PLAN FROM users_typed", "prop(properties, 'PLAN')"]),
        ("select count(*) from users group by plan", &["SELECT plan FROM users_typed", "prop(properties, 'plan')"]),
        ("select \"$email\" from users", &["SELECT \"$email\" FROM users_typed", "prop(properties, '$email')"]),
        ("select $email from users", &["SELECT \"$email\" FROM users_typed"]),
        ("select $email from users_typed", &["SELECT \"$email\" FROM users_typed"]),
        ("select $nosuch from users", &["\"$nosuch\""]),
    ] {
        let run = home.run(&["query", "sql", wrong]).exits(3).prints_nothing().says(queries);
        let hint = run.stderr.lines().find(|line| line.starts_with("hint: ")).expect("a hint");
        for query in queries.iter().filter(|query| query.starts_with("SELECT")) {
            assert!(hint.contains(&format!("`{query}`")), "{hint}");
            assert_eq!(query_rows(&home, query), 120, "{query}");
        }
    }
    for other in ["select nosuch from users", "select plan from nosuch", "select $1 from users", "select ? from users"]
    {
        let run = home.run(&["query", "sql", other]).exits(3);
        assert!(!run.stderr.contains("_typed") && !run.stderr.contains("double quotes"), "{}", run.stderr);
    }
    execute(&home, "drop macro prop");
    let run = home.run(&["query", "sql", "select \"$email\" from users"]).exits(3);
    run.says(&["or `(properties->>'/$email')`"]);
    assert_eq!(query_rows(&home, "select (properties->>'/$email') from users"), 120);
}

fn query_rows(home: &Home, sql: &str) -> usize {
    query(home, sql).as_array().map_or(0, Vec::len)
}

#[test]
fn properties_take_one_line_each_on_any_terminal() {
    let home = home().with("NO_COLOR", "1");
    let count = home.run(&["inspect", "properties"]).exits(0).json().as_array().expect("a list").len();
    let program = &*MP;
    for (columns, last) in [(20, "NAME"), (40, "FILL"), (60, "DISTINCT"), (80, "VALUES"), (200, "VALUES")] {
        let line = format!("stty cols {columns} rows 200; unset COLUMNS; {program} inspect properties");
        let Some(mut script) = script(&home, &line) else { return };
        let run = crate::support::Run::new(script.stdin(Stdio::null()).output().expect("it runs")).exits(0);
        let text = run.stdout.replace("\r\n", "\n");
        assert!(text.lines().all(|line| console::measure_text_width(line) <= columns), "{columns}:\n{text}");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('│')).collect();
        assert_eq!(rows.len(), count + 1, "{columns}:\n{text}");
        assert!(rows[0].trim_end_matches(['│', ' ']).ends_with(last), "{columns}:\n{text}");
        let has = |text: &str| rows.iter().any(|row| row.contains(text));
        assert!(has("█") == (columns >= 60) && has(" to ") == (columns >= 80), "{columns}:\n{text}");
    }
}

#[test]
fn objects_of_the_user_stay_with_a_warning() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "other", "-q"]).exits(0);
    execute(&home, "create or replace macro prop(a) as a; create view users_typed as select 1 as mine");
    for mode in [&[][..], &["--append"], &["--replace"]] {
        let run = home.run(&[&["fetch", "profiles", "users", "--no-progress"], mode].concat()).exits(0);
        let run = run.says(&["own macro `prop`", "`users_typed` is not a view that mp created"]);
        assert_eq!(run.stderr.matches("warning:").count(), 2, "{}", run.stderr);
        assert_eq!(query(&home, "select mine, prop(2) as p from users_typed"), json!([{"mine": 1, "p": 2}]));
    }
    assert_run!(home.run(&["fetch", "profiles", "users", "--replace", "-q"]).exits(0));
    home.run(&["inspect", "drop", "-t", "users", "--force"]).exits(0);
    assert_eq!(scalar(&home, "select mine from users_typed"), "1");
}

#[test]
fn a_view_neither_blocks_nor_announces_a_replacement_and_goes_with_its_table() {
    let simulator = Simulator::with_faults(50, &[]);
    let home = Home::new().with_server(&simulator);
    for _ in 0..3 {
        let run = home.run(&["fetch", "profiles", "users", "--replace", "-q"]).exits(0);
        assert_eq!(run.stderr, "");
        assert_eq!(scalar(&home, "select count(\"$email\") from users_typed"), "50");
    }
    home.run(&["verify", "users"]).exits(0);
    let plan = home.run(&["fetch", "profiles", "users", "--replace", "--plan"]).exits(0);
    assert!(!plan.stderr.contains("typed") && !plan.stdout.contains("typed"), "{plan:?}");
    home.run(&["inspect", "drop", "-t", "users", "--force"]).exits(0);
    assert_eq!(query(&home, "select view_name from duckdb_views() where not internal"), json!([]));
    assert_eq!(scalar(&home, "select count(*) from _properties"), "0");
    assert_run!(home.run(&["fetch", "profiles", "users_typed", "-q"]).exits(0));
}

#[test]
fn tables_are_listed_with_views_and_internal_tables_on_request() {
    let home = home();
    let names = |arguments: &[&str]| home.run(arguments).exits(0).stdout;
    assert_eq!(names(&["inspect", "tables", "-f", "plain"]), "users\n");
    assert_run!(home.run(&["inspect", "tables", "--all"]).exits(0));
    assert_run!(home.run(&["inspect", "tables", "--all", "-f", "table"]).exits(0), "table");
}

#[test]
fn properties_are_listed_by_fill_rate() {
    let home = home();
    let found = home.run(&["inspect", "properties"]).exits(0).json();
    let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for row in query(&home, "select properties from users").as_array().expect("rows") {
        for (name, value) in row["properties"].as_object().expect("an object") {
            let (profiles, nulls) = expected.entry(name.clone()).or_default();
            (*profiles, *nulls) = (*profiles + 1, *nulls + u64::from(value.is_null()));
        }
    }
    let found: Vec<&Value> = found.as_array().expect("a list").iter().collect();
    let counts =
        |property: &Value| (property["profiles"].as_u64().unwrap_or(0), property["nulls"].as_u64().unwrap_or(0));
    let by_name: BTreeMap<String, (u64, u64)> =
        found.iter().map(|found| (found["name"].as_str().unwrap_or_default().to_owned(), counts(found))).collect();
    assert_eq!(by_name, expected);
    let fills: Vec<f64> = found.iter().filter_map(|found| found["fill_percent"].as_f64()).collect();
    assert!(fills.is_sorted_by(|one, other| one >= other) && fills.len() == found.len(), "{fills:?}");
    // The order of the rows depends on the arrival of the pages, and so does the example.
    for arguments in [&["-f", "table"][..], &["users", "-f", "plain"], &["-t", "users", "-f", "csv"], &[]] {
        assert_run!(home.run(&[&["inspect", "properties"], arguments].concat()).exits(0), arguments.join(" "));
    }
    assert_run!(home.run(&["inspect", "properties", "user"]).exits(4), "no table");
    home.run(&["inspect", "properties", "users", "-t", "users"]).exits(3);
    execute(&home, "create table other (a integer)");
    assert_run!(home.run(&["inspect", "properties"]).exits(3), "two tables");
    assert_run!(home.run(&["inspect", "properties", "other"]).exits(3), "no properties");
}

#[test]
fn the_catalog_survives_a_resumed_run() {
    for (page, code) in [("pages=5 status=401 times=1", 2), ("pages=3 status=404 times=1", 1)] {
        let simulator = Simulator::with_faults(950, &[page]);
        let home = Home::new().with_server(&simulator);
        let run = home.run(&["fetch", "profiles", "users", "-q"]).exits(code);
        home.shell(&run.resume_command()).exits(0);
        let differences = "with found as (
                 select key, count(*) as n, count(*) filter (type = 'NULL') as z from users, json_each(properties) group by key)
             select count(*) from found full join (select * from _properties where table_name = 'users') p on key = name
             where n is distinct from profiles or z is distinct from nulls";
        assert_eq!(scalar(&home, differences), "0", "{page}");
        assert_eq!(scalar(&home, "select count(*) > 20 from _properties"), "true");
        assert_eq!(scalar(&home, "select count(ltv) from users_typed"), "950");
    }
}

#[test]
fn odd_records_and_a_database_of_the_python_package_have_a_catalog() {
    let config = SimulatorConfig {
        odd_profiles: vec![(3, OddProfile::IdMissing), (14, OddProfile::NotAnObject)],
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::start(config.with_profiles(50));
    let home = Home::new().with_server(&simulator);
    std::fs::create_dir_all(home.database().parent().expect("a directory")).expect("a directory");
    execute(
        &home,
        "create table _metadata (table_name varchar primary key, type varchar not null, fetched_at timestamp not null,
             from_date date, to_date date, row_count integer not null);
         insert into _metadata values ('users', 'profiles', '2024-01-01', null, null, 1);
         create table users (distinct_id varchar primary key, properties json, last_seen timestamp);
         insert into users values ('py', '{\"only here\": \"2024-01-01\", \"ltv\": 5}', null)",
    );
    let before = home.run(&["inspect", "properties", "users", "-f", "jsonl"]).exits(0).stdout;
    assert_eq!(before.lines().count(), 2, "{before}");
    home.run(&["fetch", "profiles", "users", "-q", "--append", "--allow-rejects"]).exits(0);
    assert_eq!(scalar(&home, "select column_type from _properties where name = 'only here'"), "DATE");
    assert_eq!(scalar(&home, "select count(*) from users_typed where \"only here\" = date '2024-01-01'"), "1");
    assert_eq!(scalar(&home, "select count(*) from _rejects"), "2");
    assert_eq!(scalar(&home, "select profiles from _properties where name = 'ltv'"), "49");
}
