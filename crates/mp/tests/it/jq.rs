//! `--jq`, on every command that prints JSON.

use crate::exact::{home, query};
use crate::snapshot::assert_run;
use crate::support::Home;

const ROWS: &str = "SELECT * FROM (VALUES ('a', 1), ('b', 20)) AS t(name, n)";

#[test]
fn json_is_filtered_as_a_whole_and_jsonl_line_by_line() {
    let home = home("CREATE TABLE t AS SELECT 1 AS a");
    let filtered = |sql: &str, more: &[&str]| query(&home, sql, more).exits(0).stdout;
    assert_eq!(filtered(ROWS, &["--jq", ".[].name"]), "a\nb\n");
    assert_eq!(filtered(ROWS, &["--jq", "map(select(.n > 10))"]), "[{\"name\":\"b\",\"n\":20}]\n");
    assert_eq!(filtered(ROWS, &["--jq", ".name", "-f", "jsonl"]), "a\nb\n");
    assert_eq!(filtered(ROWS, &["--jq", "length", "-f", "json"]), "2\n");
    assert_eq!(filtered(ROWS, &["--jq", "empty"]), "");
    assert_eq!(filtered("SELECT 7", &["-s", "--jq", ". + 1"]), "8\n");
    let tables = home.run(&["inspect", "tables", "--db", "x.db", "--jq", ".[] | \"\\(.name): \\(.row_count)\""]);
    assert_eq!(tables.exits(0).stdout, "t: 1\n");
    let schema = home.run(&["inspect", "schema", "-t", "t", "--db", "x.db", "--jq", ".columns[].type"]);
    assert_eq!(schema.exits(0).stdout, "INTEGER\n");
}

#[test]
fn numbers_stay_exact_unless_the_filter_computes_with_them() {
    let home = home("");
    let sql = r#"SELECT '{"big":12345678901234567890123,"dec":0.10000000000000000555,"e":1E5,"x":1e400}'::JSON AS p, 9.50 AS d"#;
    let run = query(&home, sql, &["--jq", ".[]"]).exits(0);
    assert_eq!(
        run.stdout,
        "{\"p\":{\"big\":12345678901234567890123,\"dec\":0.10000000000000000555,\"e\":1E5,\"x\":1e400},\"d\":9.50}\n"
    );
}

#[test]
fn a_wrong_filter_is_an_error_before_the_query_runs() {
    let home = home("");
    for (case, filter) in [
        ("open bracket", ".["),
        ("no key", ".a."),
        ("empty", ""),
        ("unknown filter", "nothing"),
        ("unknown variable", "$x"),
        ("environment", "env"),
        ("halt", "halt"),
        ("module", "import \"a\" as a; ."),
    ] {
        let run = query(&home, "SELECT error('it ran')", &["--jq", filter]).exits(3).prints_nothing();
        assert_run!(run, case);
    }
    assert_run!(query(&home, "SELECT 1 AS a", &["--jq", ".[] | .a.b"]).exits(1).prints_nothing(), "wrong type");
    for format in ["table", "csv", "plain"] {
        query(&home, "SELECT 1", &["--jq", ".", "-f", format]).exits(3).prints_nothing();
    }
    let run = Home::new().run(&["fetch", "profiles", "--stdout", "--jq", "."]).exits(3).prints_nothing();
    assert_run!(run, "stdout");
}

#[test]
fn a_filter_overrides_the_default_format() {
    let home = home("").with("MP_FORMAT", "table");
    assert_eq!(query(&home, ROWS, &["--jq", ".[1].n"]).exits(0).stdout, "20\n");
    let home = home.with("MP_FORMAT", "jsonl");
    assert_eq!(query(&home, ROWS, &["--jq", ".n"]).exits(0).stdout, "1\n20\n");
}
