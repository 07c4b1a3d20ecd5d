//! Tables on a terminal of 80 columns and 24 lines.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::exact::home;
use crate::program::MP;
use crate::support::{Home, Run};
use crate::terminal::{in_terminal, read_until, script};

/// Runs a query on `x.db` in a terminal, without a pager unless the home has one.
fn shown(home: &Home, sql: &str, more: &str) -> Option<String> {
    let run = in_terminal(home, &format!("query sql \"{sql}\" --db x.db {more}"))?;
    Some(run.exits(0).stdout.replace("\r\n", "\n"))
}

#[test]
fn the_default_format_is_a_table_on_a_terminal_only() {
    let home = home("").with("NO_COLOR", "1");
    let Some(text) = shown(&home, "SELECT 1 AS a", "") else { return };
    assert!(text.starts_with("┌"), "{text}");
    assert!(shown(&home, "SELECT 1 AS a", "| cat").expect("a terminal").starts_with("[\n"));
    let home = home.with("MP_FORMAT", "jsonl");
    assert_eq!(shown(&home, "SELECT 1 AS a", "").expect("a terminal"), "{\"a\":1}\n");
}

#[test]
fn a_terminal_shows_40_rows_and_counts_the_rest() {
    let home = home("").with("NO_COLOR", "1");
    for (rows, more, lines, last) in [
        (40, "", 40, "└"),
        (41, "", 40, "... 1 more row; --all shows it"),
        (1_500, "", 40, "... 1,460 more rows; --all shows them"),
        (1_500, "--all", 1_500, "└"),
        (1_500, "-f table", 40, "... 1,460 more rows; --all shows them"),
    ] {
        let Some(text) = shown(&home, &format!("SELECT range AS n FROM range({rows})"), more) else { return };
        assert_eq!(text.lines().filter(|line| line.starts_with("│")).count(), lines + 1, "{rows} {more}");
        assert!(text.lines().last().expect("lines").starts_with(last), "{rows} {more}: {text}");
    }
    for format in ["jsonl", "csv", "plain"] {
        let text = shown(&home, "SELECT range AS n FROM range(100)", &format!("-f {format}")).expect("a terminal");
        assert!(text.lines().count() >= 100, "{format}");
    }
}

#[test]
fn a_row_is_one_line_and_narrow_columns_are_whole() {
    let home = home("").with("NO_COLOR", "1");
    let sql = "SELECT '83ec686c-1600-460a-51b7' AS id, repeat('wide ü ', 400) AS v, chr(10) || 'x' AS nl FROM range(3)";
    let Some(text) = shown(&home, sql, "") else { return };
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("│")).collect();
    assert_eq!(rows.len(), 4, "{text}");
    assert!(
        rows[1].contains("83ec686c-1600-460a-51b7 ") && rows[1].contains('…') && rows[1].contains("\\nx"),
        "{text}"
    );
    let wide = "SELECT repeat('漢', 90) AS 日本, repeat('é', 90) AS b, 1 AS n";
    for text in [text, shown(&home, wide, "").expect("a terminal")] {
        assert!(text.contains('…') && text.lines().all(|line| console::measure_text_width(line) <= 80), "{text}");
    }
    // 30 columns do not fit, so each field is on its own line.
    let columns: Vec<String> = (0..30).map(|number| format!("{number} AS c{number}")).collect();
    let text = shown(&home, &format!("SELECT {}", columns.join(", ")), "").expect("a terminal");
    assert!(text.starts_with("─── row 1 ───\nc0   0\n"), "{text}");
}

#[test]
fn expanded_rows_have_one_field_per_line() {
    let home = home("CREATE TABLE t AS SELECT 'x' AS a, NULL AS long_name, chr(27) || 'b' AS v").with("NO_COLOR", "1");
    let Some(text) = shown(&home, "FROM t", "-x") else { return };
    assert_eq!(text, "─── row 1 ───\na          x\nlong_name  NULL\nv          \\u{1b}b\n");
    let run = home.run(&["inspect", "sample", "-t", "t", "--db", "x.db", "-x"]).exits(0);
    assert_eq!(run.stdout, "─── row 1 ───\na          x\nlong_name  NULL\nv          \u{1b}b\n");
    let run = home.run(&["query", "sql", "FROM t", "--db", "x.db", "-x", "-f", "csv"]).exits(3).prints_nothing();
    run.says(&["`--expanded` is a layout of `--format table`"]);
}

#[test]
fn null_is_dim_if_colors_are_allowed() {
    let sql = "SELECT NULL AS a, 'NULL' AS b";
    let Some(text) = shown(&home(""), sql, "") else { return };
    assert_eq!(text.matches("\u{1b}[2m").count(), 1, "{text:?}");
    let home = home("").with("TERM", "dumb");
    assert!(!shown(&home, sql, "").expect("a terminal").contains('\u{1b}'));
}

fn with_pager(pager: &str) -> Home {
    home("").with("PAGER", pager)
}

#[test]
fn a_pager_shows_output_that_is_longer_than_the_screen() {
    let long = "SELECT range AS n, NULL AS x FROM range(30)";
    let Some(text) = shown(&with_pager("tee paged | sed s/^/paged:/"), long, "") else { return };
    assert!(text.lines().count() > 30 && text.lines().all(|line| line.starts_with("paged:")), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    for (pager, sql, more) in [
        ("sed s/^/paged:/", "SELECT 1", ""),
        ("sed s/^/paged:/", long, "-f csv"),
        ("sed s/^/paged:/", long, "-f table | cat"),
        ("", long, ""),
        ("no-such-program", long, ""),
    ] {
        let text = shown(&with_pager(pager), sql, more).expect("a terminal");
        assert!(!text.contains("paged:"), "{pager} {more}: {text}");
        assert!(text.contains('1'), "{pager} {more}: {text}");
    }
    // A pager that ends early or is killed is no error, and the secret is not passed on.
    for pager in ["true", "head -n 1", "kill -9 $$", "sleep 0; exit 3"] {
        let _shown: String = shown(&with_pager(pager), long, "").expect("a terminal");
    }
    let home = with_pager("env").with("MP_SECRET", crate::support::CANARY);
    let text = shown(&home, long, "").expect("a terminal");
    assert!(text.contains("LESS=FRX") && !text.contains("MP_SECRET"), "{text}");
}

#[test]
fn ctrl_c_is_for_the_pager() {
    let pager = "trap 'interrupted=1' INT; echo pager-is-up; until test -n \"$interrupted\"; do sleep 0.05; done; cat";
    let query = format!("{} query sql 'FROM range(30)' --db x.db", MP);
    let line = format!("trap : INT; stty cols 80 rows 24; {query}; echo code=$?");
    let home = with_pager(pager);
    let Some(mut script) = script(&home, &line) else { return };
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut seen = String::new();
    read_until(&mut screen, &mut seen, "pager-is-up");
    keys.write_all(b"\x03").expect("Ctrl-C");
    screen.read_to_string(&mut seen).expect("the rest");
    child.wait().expect("it ends");
    let (rows, end) = seen.split_once("code=").expect("the exit code");
    assert!(rows.contains("│    29 │") && end.trim() == "0", "{seen}");
}

#[test]
fn reports_show_times_to_the_second_and_separated_thousands() {
    let simulator = crate::support::Simulator::with_faults(1_234, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "-q"]).exits(0);
    let run: Run = home.run(&["inspect", "tables", "-f", "table"]).exits(0);
    let row = run.stdout.lines().nth(3).expect("a row");
    assert!(row.contains(" 1,234 ") && row.contains(" UTC ") && !row.contains('.'), "{row}");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert_eq!(home.run(&["inspect", "tables"]).exits(0).json()[0]["row_count"], 1_234);
}

#[test]
fn a_terminal_does_not_wait_for_a_query() {
    let Some(run) = in_terminal(&home(""), "query sql --db x.db") else { return };
    let run = run.exits(3);
    assert!(run.stdout.contains("the query is missing"), "{}", run.stdout);
}
