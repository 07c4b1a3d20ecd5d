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
fn rows_can_be_formatted_and_functions_of_jq_are_defined() {
    let home = home("");
    let sql = r#"SELECT ['a,"b"', NULL, E't\tn\n\\', ''] AS text, [1.50, 2] AS numbers, true AS yes, '<é&''>' AS odd"#;
    for (filter, expected) in [
        (".[0] | .text | @csv", "\"a,\"\"b\"\"\",,\"t\tn\n\\\",\"\"\n"),
        (".[0] | .text | @tsv", "a,\"b\"\t\tt\\tn\\n\\\\\t\n"),
        (".[0] | [.numbers[], .yes] | @csv, @tsv", "1.50,2.00,true\n1.50\t2.00\ttrue\n"),
        ("[] | @csv, @tsv", "\n\n"),
        (".[0].odd | @sh", "'<é&'\\''>'\n"),
        (".[0].odd | @html", "&lt;é&amp;&apos;&gt;\n"),
        (".[0].odd | @uri", "%3C%C3%A9%26%27%3E\n"),
        (".[0].odd | @base64, (@base64 | @base64d)", "PMOpJic+\n<é&'>\n"),
        (".[0].odd | @json, @text", "\"<é&'>\"\n<é&'>\n"),
        ("[{a: [1]}, 2] | [leaf_paths]", "[[0,\"a\",0],[1]]\n"),
        ("65 | ascii", "A\n"),
        ("1, [1] | toarray", "[1]\n[1]\n"),
        ("\"aba\" | trimstr(\"a\")", "b\n"),
        ("0 | date", "1970-01-01T00:00:00Z\n"),
        ("2 | IN(1, 2), IN(3)", "true\nfalse\n"),
        ("IN(1, 2; 2, 3)", "true\n"),
        ("[{k: 1, v: 2}, {k: 2, v: 3}] | INDEX(.k) | map(.v)", "[2,3]\n"),
    ] {
        assert_eq!(query(&home, sql, &["--jq", filter]).exits(0).stdout, expected, "{filter}");
    }
    for (filter, reason) in [
        ("1 | @csv", "number (1) cannot be csv-formatted, only an array can be"),
        ("[[1]] | @tsv", "array ([1]) is not valid in a tsv row"),
    ] {
        let run = query(&home, sql, &["--jq", filter]).exits(1).prints_nothing();
        assert!(run.stderr.contains(reason), "{filter}: {}", run.stderr);
    }
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
        ("input", "input"),
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
