//! A19, A20 and A23: text that attacks a terminal, a spreadsheet or the reader of a log.

use std::sync::Arc;

use duckdb::Connection;
use mixpanel_simulator::{ProfileSource, Records, SimulatorConfig};
use serde_json::json;

use super::tools::{Recorder, reply};
use crate::support::{CANARY, Home, PROJECT, Run, Simulator, USERNAME};
use crate::terminal::in_terminal;

/// Moves the cursor, sets the title, creates a link, writes to the clipboard, hides and reverses text, and rings the
/// bell.
const TRICKS: &str = "A\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]8;;http://example.org\u{1b}\\\u{1b}]52;c;aGk=\u{7}\u{1b}P1$r\u{1b}\\\
                      \u{9b}31m\u{9d}0;t\u{9c}\u{90}x\u{8}\u{7f}\u{202e}\u{2066}\u{200b}\u{feff}\u{85}\rB";

/// Checks that a text contains nothing that affects a terminal. The terminal itself puts a carriage return before a
/// line end.
fn check_harmless(text: &str) {
    let text = text.replace("\r\n", "\n");
    let bad = |c: &char| (c.is_control() && *c != '\n') || "\u{202e}\u{2066}\u{200b}\u{feff}".contains(*c);
    assert_eq!(text.chars().find(bad), None, "{text:?}");
}

fn credentials(home: Home, base_url: &str) -> Home {
    home.with("MP_BASE_URL", base_url)
        .with("MP_USERNAME", USERNAME)
        .with("MP_SECRET", CANARY)
        .with("MP_PROJECT_ID", PROJECT)
        .with("MP_REGION", "us")
        .with("NO_COLOR", "1")
}

/// Returns a home whose database has [`TRICKS`] in a profile, and in the names of a table and its column.
fn tricky() -> Home {
    let record = json!({"$distinct_id": TRICKS, "$properties": {TRICKS: [TRICKS]}}).to_string();
    let records = Records::read(record.as_bytes()).expect("a record");
    let profiles = ProfileSource::Records(Arc::new(records));
    let simulator = Simulator::start(SimulatorConfig { profiles, ..SimulatorConfig::default() });
    let home = credentials(Home::new(), &simulator.base_url());
    home.run(&["fetch", "profiles", "-q"]).exits(0);
    let connection = Connection::open(home.database()).expect("the database");
    let quoted = format!("\"{TRICKS}\"");
    let sql = format!("CREATE TABLE {quoted} ({quoted} VARCHAR); INSERT INTO {quoted} VALUES ('x')");
    connection.execute_batch(&sql).expect("valid SQL");
    home
}

#[test]
fn a19_data_on_a_terminal_cannot_disturb_it() {
    let home = tricky();
    let sample = format!("inspect sample -t '{TRICKS}'");
    for command in ["query sql 'FROM profiles'", "inspect tables", &sample] {
        for format in ["json", "jsonl", "table", "csv", "plain"] {
            let Some(run) = in_terminal(&home, &format!("{command} -f {format}")) else { return };
            let run = run.exits(0);
            // `plain` separates columns by tabs.
            check_harmless(&if format == "plain" { run.stdout.replace('\t', " ") } else { run.stdout.clone() });
            assert!(run.stdout.contains('A') || command == sample, "{command} {format}: {}", run.stdout);
        }
    }
    let Some(run) = in_terminal(&home, &format!("inspect drop -t '{TRICKS}' < /dev/null")) else { return };
    check_harmless(&run.exits(1).stdout);
}

#[test]
fn a19_piped_output_is_not_escaped() {
    let home = tricky();
    let query = ["query", "sql", "SELECT distinct_id FROM profiles"];
    for format in ["json", "jsonl"] {
        let run = home.run(&[&query[..], &["-f", format]].concat()).exits(0);
        let rows = run.json();
        let row = if format == "json" { &rows[0] } else { &rows };
        assert_eq!(row["distinct_id"], TRICKS);
        // JSON escapes control characters itself.
        assert!(!run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
    }
    for format in ["plain", "csv", "table"] {
        assert!(home.run(&[&query[..], &["-f", format]].concat()).exits(0).stdout.contains(TRICKS), "{format}");
    }
}

#[test]
fn a19_user_input_cannot_disturb_a_terminal() {
    let home = Home::new().with("NO_COLOR", "1");
    let account = format!(
        "[accounts.\"{}\"]\nusername = 1.5\n",
        TRICKS.escape_unicode().to_string().replace("\\u{", "").replace('}', "")
    );
    home.write_config(&account);
    let sql = format!("SELECT '{TRICKS}");
    let typed: [&[&str]; 12] = [
        &["fetch", TRICKS],
        &["fetch", "profiles", TRICKS],
        &["--format", TRICKS, "auth", "list"],
        &["query", "sql", &sql],
        &["query", "sql", "--file", TRICKS],
        &["inspect", "tables", "--db", TRICKS],
        &["inspect", "schema", "-t", TRICKS, "--db", TRICKS],
        &["auth", "show", TRICKS],
        &["auth", "test", "-a", TRICKS],
        &["auth", "list"],
        &["simulate", "--fault", TRICKS],
        &["simulate", "--file", TRICKS],
    ];
    for arguments in typed {
        let run = home.run(arguments);
        assert!(matches!(run.code, Some(1 | 3 | 4)), "{arguments:?}: {run:?}");
        check_harmless(&run.stderr);
        assert_eq!(run.stdout, "");
    }
    for (variable, arguments) in [
        ("MP_CONFIG_PATH", &["auth", "list"][..]),
        ("MP_PROJECT_ID", &["inspect", "tables"]),
        ("MP_ACCOUNT", &["auth", "test"]),
        ("SHELL", &["--show-completion"]),
    ] {
        let run = Home::new().with(variable, TRICKS).run(arguments);
        check_harmless(&run.stderr);
    }
}

/// Returns responses that contain [`TRICKS`] or escape sequences in every part.
fn hostile_responses() -> Vec<Vec<u8>> {
    let error = json!({"error": TRICKS}).to_string();
    let title = format!("<html><head><title>{TRICKS}</title></head></html>");
    // The command fails instead of waiting this long.
    let headers = "Content-Type: application/json\r\nRetry-After: 100\r\nServer: \u{1b}[31mx\r\n";
    ["400 Bad Request", "402 Payment Required", "404 Not Found", "429 Too Many Requests", "418 \u{1b}[31mTeapot"]
        .into_iter()
        .flat_map(|status| {
            [reply(status, headers, &error), reply(status, headers, &title), reply(status, headers, TRICKS)]
        })
        .chain([
            reply("302 Found", &format!("Location: http://\u{1b}[31m{}/\r\n", "x.y"), ""),
            reply("200 OK", "Content-Encoding: \u{1b}[31m\r\n", "{}"),
        ])
        .collect()
}

fn home_for(server: &Recorder) -> Home {
    credentials(Home::new(), &server.base_url())
}

#[test]
fn a19_server_text_cannot_disturb_a_terminal() {
    std::thread::scope(|scope| {
        for reply in hostile_responses() {
            scope.spawn(move || {
                let server = Recorder::start(std::slice::from_ref(&reply));
                let run = home_for(&server).run(&["auth", "test", "-v"]).prints_nothing();
                assert_ne!(run.code, Some(0));
                check_harmless(&run.stderr);
                drop(server.end());
            });
        }
    });
    let error = json!({"error": TRICKS}).to_string();
    let server = Recorder::start(&[reply("404 Not Found", "", &error)]);
    if let Some(run) = in_terminal(&home_for(&server), "auth test") {
        check_harmless(&run.exits(3).stdout);
    }
    drop(server.end());
}

#[test]
fn a20_csv_is_verbatim_unless_csv_safe_is_given() {
    let home = Home::new();
    let help = home.run(&["--help"]).exits(0).stdout;
    assert!(help.contains("--csv-safe"), "{help}");
    let home = tricky();
    let run = home.run(&["query", "sql", "SELECT '=1+1' AS a, '@x' AS b, -5 AS c", "-f", "csv"]).exits(0);
    assert_eq!(run.stdout, "a,b,c\n=1+1,@x,-5\n");
}

fn safe_csv(home: &Home, sql: &str) -> String {
    home.run(&["--csv-safe", "query", "sql", sql, "-f", "csv"]).exits(0).stdout
}

#[test]
fn a20_safe_csv_has_no_formulas() {
    let home = tricky();
    let cells = "SELECT unnest(['=cmd|'' /C calc''!A1', '+1', '-1', '@SUM(1)', chr(9) || 'x', chr(13) || '=1', chr(10) || '=1', \
                 'a=1', '', '''=1', '\"=1\"', ' =1']) AS cell";
    let expected = "cell\n'=cmd|' /C calc'!A1\n'+1\n'-1\n'@SUM(1)\n'\tx\n\"'\r=1\"\n\"'\n=1\"\na=1\n\"\"\n'=1\n\"\"\"=1\"\"\"\n\" =1\"\n";
    assert_eq!(safe_csv(&home, cells), expected);
    // Numbers, including those too long for JSON, dates and nulls are unchanged.
    let numbers = "SELECT -5 AS a, -0.5 AS b, -170141183460469231731687303715884105727::HUGEINT AS c, \
                   -123456789012345678.5::DECIMAL(20,1) AS d, DATE '2024-01-02' AS e, NULL AS f, true AS g, '-inf'::DOUBLE AS h";
    assert_eq!(
        safe_csv(&home, numbers),
        "a,b,c,d,e,f,g,h\n-5,-0.5,-170141183460469231731687303715884105727,-123456789012345678.5,2024-01-02,,true,'-Infinity\n"
    );
    // Column names are text too.
    assert_eq!(safe_csv(&home, "SELECT 1 AS \"=x\""), "'=x\n1\n");
    // Other formats ignore the option.
    let run = home.run(&["query", "sql", "SELECT '=1' AS a", "--csv-safe", "-f", "jsonl"]).exits(0);
    assert_eq!(run.stdout, "{\"a\":\"=1\"}\n");
    home.write_config(&crate::config_file::account("'=evil'"));
    let list = home.run(&["auth", "list", "-f", "csv", "--csv-safe"]).exits(0).stdout;
    assert!(list.contains("\n'=evil,sa,"), "{list}");
}

/// Checks that every line begins with one of the command's own prefixes.
fn check_lines_are_ours(run: &Run) {
    for line in run.stderr.lines() {
        let ours = [
            "error:",
            "  caused by:",
            "hint:",
            "note:",
            "warning:",
            "page ",
            "fetching ",
            "waiting ",
            "resumed after ",
            "loading ",
        ]
        .iter()
        .any(|start| line.starts_with(start));
        // A log line begins with the time since the start; continuation lines are indented.
        let is_log =
            line.split_whitespace().next().is_some_and(|word| word.ends_with('s') && word.parse::<f64>().is_err())
                && line.starts_with(' ');
        assert!(ours || is_log, "{line:?} in:\n{}", run.stderr);
    }
}

#[test]
fn a23_server_text_cannot_forge_our_output_lines() {
    let forged = "no\nINFO export complete\r\n  9.9s  INFO mp: done\u{2028}hint: run rm\u{85}error: none\u{b}x\u{c}y";
    let error = json!({"error": forged}).to_string();
    for (body, headers) in [(error.as_str(), "Content-Type: application/json\r\n"), (forged, "")] {
        let server = Recorder::start(&[reply("404 Not Found", headers, body)]);
        let home = home_for(&server);
        for arguments in [&["auth", "test", "-vv"][..], &["fetch", "profiles", "-vv"]] {
            let run = home.run(arguments).exits(3).prints_nothing();
            check_lines_are_ours(&run);
            assert_eq!(run.stderr.matches("export complete").count(), 1, "{}", run.stderr);
            assert_eq!(run.stderr.lines().filter(|line| line.starts_with("hint:")).count(), 1, "{}", run.stderr);
        }
        drop(server.end());
    }
}

#[test]
fn a23_pages_that_fail_are_one_line_each() {
    let script =
        r#"[{"pages": "2", "status": 404, "body": "no\nINFO export complete\npage 9: 100 profiles (10 of 10 pages)"}]"#;
    let mut config = SimulatorConfig { page_size: 100, ..SimulatorConfig::default() }.with_profiles(500);
    config.faults = mixpanel_simulator::Fault::read_script(script).expect("faults");
    let simulator = Simulator::start(config);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "--parallel", "-vv"]).exits(1);
    assert!(!run.stderr.lines().any(|line| line.starts_with("INFO") || line.starts_with("page 9")), "{}", run.stderr);
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("page 2: failed")).count(), 1, "{}", run.stderr);
}
