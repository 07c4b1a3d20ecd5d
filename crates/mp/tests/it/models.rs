//! The dbt project of `mp models dbt`. Its SQL is run in DuckDB; dbt itself is not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use duckdb::Connection;
use serde_json::{Value, json};

use crate::snapshot::assert_run;
use crate::statistics::create_events;
use crate::support::Home;

/// The files of a project.
const FILES: [&str; 5] = ["README.md", "dbt_project.yml", "macros/mixpanel_event.sql", "packages.yml", "profiles.yml"];

/// Returns the contents of all files below a directory, by their relative names.
fn contents(directory: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            files.extend(contents(&path).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            files.insert(name, fs::read_to_string(&path).expect("text"));
        }
    }
    files
}

/// Renders what dbt's Jinja would make of the escapes in a file.
fn rendered(text: &str) -> String {
    text.replace("{{ '{' }}", "{")
}

/// Returns the query of the view in a project.
fn view_query(project: &Path) -> String {
    let text = fs::read_to_string(project.join("macros/mixpanel_event.sql")).expect("the macros");
    let (_, query) = text.split_once("{% macro mixpanel_event() %}").expect("the macro");
    let (query, _) = query.split_once("{% endmacro %}").expect("its end");
    rendered(query)
}

/// Creates the view as dbt would, and returns the result of a query as JSON.
fn query_view(database: &Path, project: &Path, query: &str) -> Value {
    let connection = Connection::open(database).expect("a database");
    let view = view_query(project);
    let create = format!("CREATE SCHEMA IF NOT EXISTS mixpanel; CREATE OR REPLACE VIEW mixpanel.event AS {view}");
    connection.execute_batch(&create).unwrap_or_else(|error| panic!("{error}\n{create}"));
    let query = format!("SELECT json_group_array(r) FROM (SELECT to_json(r) AS r FROM ({query}) AS r)");
    let text: String = connection.query_row(&query, [], |row| row.get(0)).expect("a result");
    serde_json::from_str(&text).expect("JSON")
}

/// Returns a home with the table `events`.
fn home() -> Home {
    let home = Home::new().with("MP_PROJECT_ID", crate::support::PROJECT);
    create_events(&home);
    home
}

#[test]
fn the_files_are_written() {
    let home = home();
    let run = assert_run!(home.run(&["models", "dbt", "new/project", "-f", "json"]).exits(0));
    assert_eq!(run.json()["files"], json!(FILES));
    let files = contents(&home.path().join("new/project"));
    assert_eq!(files.keys().collect::<Vec<_>>(), FILES.iter().collect::<Vec<_>>());
    let database = home.database().display().to_string();
    assert!(files["profiles.yml"].contains(&format!("path: \"{database}\"\n")), "{}", files["profiles.yml"]);
    assert!(files["README.md"].contains(&database), "{}", files["README.md"]);
    for (name, text) in &files {
        for placeholder in ["DATABASE_PATH", "QUERY_COMMAND", "FETCHED_AT", "TABLE_NAME"] {
            assert!(!text.contains(placeholder), "{placeholder} in {name}");
        }
    }
    assert_run!(home.run(&["models", "dbt", "table", "-f", "table"]).exits(0), "table");
    let quiet = home.run(&["models", "dbt", "quiet", "-q"]).exits(0);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn existing_files_are_replaced_only_on_request() {
    let home = home();
    let project = home.path().join("project");
    home.run(&["models", "dbt", "project", "-q"]).exits(0);
    let expected = contents(&project);
    for name in FILES {
        fs::write(project.join(name), "mine").expect("a file");
    }
    fs::write(project.join("other.sql"), "mine").expect("a file");
    fs::remove_file(project.join("packages.yml")).expect("it exists");
    let before = contents(&project);
    assert_run!(home.run(&["models", "dbt", "project"]).exits(1).prints_nothing(), "several");
    assert_eq!(contents(&project), before, "nothing is written, not even the missing file");
    home.run(&["models", "dbt", "project", "--force", "-q"]).exits(0);
    let mut after = contents(&project);
    assert_eq!(after.remove("other.sql").as_deref(), Some("mine"));
    assert_eq!(after, expected);
    for name in &FILES[1..] {
        fs::remove_file(project.join(name)).expect("it exists");
    }
    assert_run!(home.run(&["models", "dbt", "project"]).exits(1).prints_nothing(), "one");
    fs::write(home.path().join("file"), "mine").expect("a file");
    assert_run!(home.run(&["models", "dbt", "file"]).exits(3).prints_nothing(), "a file");
    home.run(&["models", "dbt", "file", "--force"]).exits(3).prints_nothing();
}

#[test]
fn a_table_of_events_is_required() {
    let home = home();
    Connection::open(home.database())
        .and_then(|connection| {
            connection.execute_batch(
                "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON);
                 CREATE TABLE almost AS SELECT * EXCLUDE (insert_id) FROM events",
            )
        })
        .expect("tables");
    for table in ["profiles", "almost"] {
        assert_run!(home.run(&["models", "dbt", "project", table]).exits(3).prints_nothing(), table);
    }
    assert_run!(home.run(&["models", "dbt", "project", "people"]).exits(4).prints_nothing(), "no table");
    assert_run!(home.run(&["models", "dbt", "project", "--db", "none.db"]).exits(4).prints_nothing(), "no database");
    assert_run!(home.run(&["models", "dbt"]).exits(3).prints_nothing(), "no directory");
    assert!(!home.path().join("project").exists(), "nothing is written");
}

#[test]
fn the_view_has_all_events() {
    let home = home();
    home.run(&["models", "dbt", "project", "EVENTS", "-q"]).exits(0);
    let project = home.path().join("project");
    for (view, table) in [
        ("SELECT count(*) AS n FROM mixpanel.event", "SELECT count(*) AS n FROM main.events"),
        (
            "SELECT name, time, distinct_id, insert_id, properties FROM mixpanel.event ORDER BY insert_id",
            "SELECT event_name AS name, event_time AS time, distinct_id, insert_id, properties FROM main.events
             ORDER BY insert_id",
        ),
    ] {
        assert_eq!(query_view(&home.database(), &project, view), query_view(&home.database(), &project, table));
    }
    let connection = Connection::open(home.database()).expect("a database");
    let columns: String = connection
        .query_row(
            "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_name)
             FROM duckdb_columns() WHERE schema_name = 'mixpanel'",
            [],
            |row| row.get(0),
        )
        .expect("the columns");
    insta::assert_snapshot!(columns.replace(", ", "\n"));
}

#[test]
fn properties_have_their_exact_names_and_types() {
    let home = home();
    let properties = json!({
        "$os": "iOS", "os": "wrong", "$browser_version": 17.4, "$screen_width": "1920", "$screen_height": "tall",
        "$screen_dpi": 9_007_199_254_740_993_u64, "mp_processing_time_ms": 1_767_225_600_123_u64, "$wifi": true,
        "$has_nfc": "false", "$bluetooth_enabled": "maybe", "$city": null, "mp_country_code": "PT", "$region": ["a"],
        "$current_url": "https://example.org/?q=\"é\"", "mp_lib": "web", "$mp_lib": "wrong",
    });
    Connection::open(home.database())
        .and_then(|connection| {
            connection.execute(
                "INSERT INTO events VALUES ('Odd', '2026-01-01 00:00:00.123', '', 'odd', ?)",
                [properties.to_string()],
            )
        })
        .expect("a row");
    home.run(&["models", "dbt", "project", "-q"]).exits(0);
    let query = "SELECT os, browser_version, screen_width, screen_height, screen_dpi, mp_processing_time_ms, wifi, has_nfc,
                        bluetooth_enabled, city, mp_country_code, region, current_url, mp_lib, carrier, _fivetran_synced,
                        distinct_id
                 FROM mixpanel.event WHERE insert_id = 'odd'";
    let expected = json!([{
        "os": "iOS", "browser_version": 17.4, "screen_width": 1920, "screen_height": null,
        "screen_dpi": 9_007_199_254_740_993_u64, "mp_processing_time_ms": 1_767_225_600_123_u64, "wifi": true,
        "has_nfc": false, "bluetooth_enabled": null, "city": null, "mp_country_code": "PT", "region": "[\"a\"]",
        "current_url": "https://example.org/?q=\"é\"", "mp_lib": "web", "carrier": null, "_fivetran_synced": null,
        "distinct_id": "",
    }]);
    assert_eq!(query_view(&home.database(), &home.path().join("project"), query), expected);
}

#[test]
fn odd_names_are_quoted_for_sql_yaml_and_jinja() {
    for (directory, name, table) in [
        ("main", "memory", "events"),
        ("it's {{ x }}", "{{ x }} {% y %}", "it's {{ \"x\" }} {% y %} {# z #}"),
        ("a: \"b\" \\n\n{%", "- é: [x]*%", "select"),
    ] {
        let home = home();
        let below = home.path().join(directory);
        fs::create_dir(&below).expect("a directory");
        let database = below.join(format!("{name}.db"));
        fs::copy(home.database(), &database).expect("a copy");
        let renamed = format!("ALTER TABLE events RENAME TO \"{}\"", table.replace('"', "\"\""));
        if table != "events" {
            Connection::open(&database).and_then(|it| it.execute_batch(&renamed)).expect("another name");
        }
        let relative = format!("{directory}/{name}.db");
        let run = home.run(&["models", "dbt", "pro ject", table, "--db", &relative, "-q"]).exits(0).json();
        assert_eq!(run["database"], json!(database.display().to_string()));
        let project = home.path().join("pro ject");
        let profile = fs::read_to_string(project.join("profiles.yml")).expect("the profile");
        let path = profile.lines().find_map(|line| line.trim().strip_prefix("path: ")).expect("the path");
        for opening in ["{{", "{%", "{#"] {
            assert!(!path.replace("{{ '{' }}", "").contains(opening), "{path}");
        }
        let path: String = serde_json::from_str(&rendered(path)).expect("a double-quoted text");
        assert_eq!(path, database.display().to_string());
        let counted = query_view(&database, &project, "SELECT count(*) AS n FROM mixpanel.event");
        assert_eq!(counted, json!([{ "n": 700 }]), "{name}");
    }
}

#[test]
fn a_database_that_dbt_cannot_open_is_refused() {
    let home = home();
    for name in
        ["main.db", "Temp.duckdb", "system", "it's.db", "a\"b.db", "a.b.db", "a?b.db", "a#b.db", "a;b.db", "a\nb.db"]
    {
        fs::copy(home.database(), home.path().join(name)).expect("a copy");
        let run = home.run(&["models", "dbt", "project", "--db", name]).exits(3).prints_nothing();
        let run = run.says(&["dbt cannot open a database", "hint: copy it"]);
        if name == "main.db" {
            assert_run!(run);
        }
    }
    assert!(!home.path().join("project").exists(), "nothing is written");
}

#[test]
fn the_time_of_the_last_load_is_the_time_of_the_sync() {
    let home = home();
    Connection::open(home.database())
        .and_then(|connection| {
            connection.execute_batch(
                "CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR, fetched_at TIMESTAMP,
                     from_date DATE, to_date DATE, row_count INTEGER);
                 INSERT INTO _metadata VALUES ('events', 'events', '2026-03-01 12:00:00', NULL, NULL, 700),
                     ('other', 'events', '2027-03-01 12:00:00', NULL, NULL, 1)",
            )
        })
        .expect("metadata");
    home.run(&["models", "dbt", "project", "-q"]).exits(0);
    let query = "SELECT DISTINCT _fivetran_synced::VARCHAR AS t FROM mixpanel.event";
    let synced = query_view(&home.database(), &home.path().join("project"), query);
    assert_eq!(synced, json!([{ "t": "2026-03-01 12:00:00" }]));
}
