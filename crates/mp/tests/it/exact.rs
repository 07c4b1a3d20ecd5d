//! Every type in every format, compared with text given by hand. The table is that of `docs/output.md`.

use crate::snapshot::assert_run;
use crate::support::{Home, Run};

/// A home with a database `x.db`.
pub(crate) fn home(sql: &str) -> Home {
    let home = Home::new();
    let connection = duckdb::Connection::open(home.path().join("x.db")).expect("a database");
    connection.execute_batch(sql).expect("valid SQL");
    home
}

pub(crate) fn query(home: &Home, sql: &str, more: &[&str]) -> Run {
    home.run(&[&["query", "sql", sql, "--db", "x.db"], more].concat())
}

const EXACT: &str = r#"{"big":12345678901234567890123,"dec":0.10000000000000000555,"one":1.0,"e":1E5,"dup":1,"dup":2,"exp":1e400, "b" : [ ]}"#;

/// An expression, and its form in the JSON formats, in CSV, and in the formats `plain` and `table`.
struct Case(&'static str, &'static str, &'static str, &'static str);

/// A value that looks the same everywhere.
const fn same(sql: &'static str, text: &'static str) -> Case {
    Case(sql, text, text, text)
}

const CASES: [Case; 52] = [
    same("true", "true"),
    same("(-128)::TINYINT", "-128"),
    same("18446744073709551615::UBIGINT", "18446744073709551615"),
    same("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
    same("(-170141183460469231731687303715884105728)::HUGEINT", "-170141183460469231731687303715884105728"),
    same("340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"),
    same("5::HUGEINT", "5"),
    same("0::BIGNUM", "0"),
    same("(-1)::BIGNUM", "-1"),
    same("'-256'::BIGNUM", "-256"),
    same("'1000000000000000000'::BIGNUM", "1000000000000000000"),
    same(
        "'123456789012345678901234567890123456789012345678901234567890'::BIGNUM",
        "123456789012345678901234567890123456789012345678901234567890",
    ),
    same("'-999999999999999999999999999999999999'::BIGNUM", "-999999999999999999999999999999999999"),
    same("12.50::DECIMAL(9,2)", "12.50"),
    same("(-0.05)::DECIMAL(4,2)", "-0.05"),
    same("1234567890123456789012345678901234.5678::DECIMAL(38,4)", "1234567890123456789012345678901234.5678"),
    same("7::DECIMAL(38,0)", "7"),
    same("0.1::FLOAT", "0.1"),
    same("0.1::DOUBLE + 0.2::DOUBLE", "0.30000000000000004"),
    Case("'nan'::DOUBLE", "\"NaN\"", "NaN", "NaN"),
    Case("'inf'::FLOAT", "\"Infinity\"", "Infinity", "Infinity"),
    Case("'-inf'::DOUBLE", "\"-Infinity\"", "-Infinity", "-Infinity"),
    Case("'a,\"b\"'", r#""a,\"b\"""#, r#""a,""b""""#, "a,\"b\""),
    Case("'ü'", "\"ü\"", "ü", "ü"),
    Case("''", "\"\"", "\"\"", ""),
    Case("'NULL'", "\"NULL\"", "NULL", "NULL"),
    Case(r"'\xAA\x00b'::BLOB", "\"aa0062\"", "aa0062", "aa0062"),
    Case("''::BLOB", "\"\"", "\"\"", ""),
    Case("'0101'::BIT", "\"0101\"", "0101", "0101"),
    Case("DATE '2024-01-02'", "\"2024-01-02\"", "2024-01-02", "2024-01-02"),
    Case("TIME '03:04:05.25'", "\"03:04:05.250000\"", "03:04:05.250000", "03:04:05.250000"),
    Case("TIMESTAMP '2024-01-02 03:04:05'", "\"2024-01-02T03:04:05\"", "2024-01-02T03:04:05", "2024-01-02T03:04:05"),
    Case(
        "TIMESTAMPTZ '2024-01-02 03:04:05.5+02'",
        "\"2024-01-02T01:04:05.500000Z\"",
        "2024-01-02T01:04:05.500000Z",
        "2024-01-02T01:04:05.500000Z",
    ),
    Case("'infinity'::TIMESTAMP", "\"infinity\"", "infinity", "infinity"),
    Case(
        "INTERVAL '1 year 2 months 3 days 4 hours 5 minutes 6.7 seconds'",
        "\"P1Y2M3DT4H5M6.700000S\"",
        "P1Y2M3DT4H5M6.700000S",
        "P1Y2M3DT4H5M6.700000S",
    ),
    Case(
        "'0A0b0c0d-0000-4000-8000-00000000000f'::UUID",
        "\"0a0b0c0d-0000-4000-8000-00000000000f\"",
        "0a0b0c0d-0000-4000-8000-00000000000f",
        "0a0b0c0d-0000-4000-8000-00000000000f",
    ),
    Case("'b'::ENUM('a', 'b')", "\"b\"", "b", "b"),
    Case("[1, NULL, 3]", "[1,null,3]", "\"[1,null,3]\"", "[1,null,3]"),
    Case("[1.5, 2]::DECIMAL(3,1)[2]", "[1.5,2.0]", "\"[1.5,2.0]\"", "[1.5,2.0]"),
    same("[]::INTEGER[]", "[]"),
    Case("{'b': 1, 'a': 'x'}", r#"{"b":1,"a":"x"}"#, r#""{""b"":1,""a"":""x""}""#, r#"{"b":1,"a":"x"}"#),
    Case("row(1, 'x')", r#"[1,"x"]"#, r#""[1,""x""]""#, r#"[1,"x"]"#),
    Case("MAP {'k': 1.50}", r#"{"k":1.50}"#, r#""{""k"":1.50}""#, r#"{"k":1.50}"#),
    Case("MAP {1: true, 2: NULL}", r#"{"1":true,"2":null}"#, r#""{""1"":true,""2"":null}""#, r#"{"1":true,"2":null}"#),
    same("union_value(n := 1)", "1"),
    Case("NULL", "null", "", "NULL"),
    Case("'\"x\"'::JSON", "\"x\"", "\"\"\"x\"\"\"", "\"x\""),
    same("'null'::JSON", "null"),
    same("'1e400'::JSON", "1e400"),
    same("'-0.10'::JSON", "-0.10"),
    Case(
        r#"['1E5'::JSON, '{"a":1,"a":2}'::JSON]"#,
        r#"[1E5,{"a":1,"a":2}]"#,
        r#""[1E5,{""a"":1,""a"":2}]""#,
        r#"[1E5,{"a":1,"a":2}]"#,
    ),
    Case(
        r#"{'j': '{"n":0.10000000000000000555}'::JSON}"#,
        r#"{"j":{"n":0.10000000000000000555}}"#,
        r#""{""j"":{""n"":0.10000000000000000555}}""#,
        r#"{"j":{"n":0.10000000000000000555}}"#,
    ),
];

fn all() -> String {
    let columns = CASES.iter().enumerate().map(|(number, case)| format!("{} AS c{number}", case.0));
    format!("SELECT {}", columns.collect::<Vec<_>>().join(", "))
}

fn joined(form: impl Fn(usize, &Case) -> String, separator: &str) -> String {
    CASES.iter().enumerate().map(|(number, case)| form(number, case)).collect::<Vec<_>>().join(separator)
}

#[test]
fn every_type_in_every_format() {
    let home = home("");
    let print = |more: &[&str]| query(&home, &all(), more).exits(0).stdout;
    let members = joined(|number, case| format!("\"c{number}\":{}", case.1), ",");
    assert_eq!(print(&["-f", "jsonl"]), format!("{{{members}}}\n"));
    let members = joined(|number, case| format!("\"c{number}\": {}", case.1), ",\n    ");
    assert_eq!(print(&["-f", "json"]), format!("[\n  {{\n    {members}\n  }}\n]\n"));
    let names = joined(|number, _| format!("c{number}"), ",");
    assert_eq!(print(&["-f", "csv"]), format!("{names}\n{}\n", joined(|_, case| case.2.to_owned(), ",")));
    let plain = |case: &Case| if case.0 == "NULL" { "" } else { case.3 }.to_owned();
    assert_eq!(print(&["-f", "plain"]), format!("{}\n", joined(|_, case| plain(case), "\t")));
    let fields = joined(|number, case| format!("{:<3}  {}", format!("c{number}"), case.3), "\n");
    assert_eq!(print(&["-x"]), format!("─── row 1 ───\n{fields}\n"));
    // A row of the table is one line on a pipe, too.
    let table = print(&["-f", "table"]);
    let row = table.lines().nth(3).expect("a row").trim_matches('│').split('┆').map(str::trim);
    assert_eq!(row.collect::<Vec<_>>(), CASES.each_ref().map(|case| case.3));
}

#[test]
fn json_columns_are_printed_as_stored_in_every_row() {
    let home = home(&format!(
        "CREATE TABLE t AS SELECT '{EXACT}'::JSON AS properties UNION ALL SELECT '{{\"plan\":\"free\"}}'"
    ));
    let sql = "FROM t ORDER BY length(properties)";
    let quoted = EXACT.replace('"', "\"\"");
    assert_eq!(
        query(&home, sql, &["-f", "jsonl"]).exits(0).stdout,
        format!("{{\"properties\":{{\"plan\":\"free\"}}}}\n{{\"properties\":{EXACT}}}\n")
    );
    assert_eq!(
        query(&home, sql, &["-f", "csv"]).exits(0).stdout,
        format!("properties\n\"{{\"\"plan\"\":\"\"free\"\"}}\"\n\"{quoted}\"\n")
    );
    assert!(query(&home, sql, &["-f", "json"]).exits(0).stdout.contains(&format!("    \"properties\": {EXACT}\n")));
    let sample =
        |format: &str| home.run(&["inspect", "sample", "-t", "t", "--db", "x.db", "-f", format]).exits(0).stdout;
    assert!(sample("jsonl").contains(&format!("{{\"properties\":{EXACT}}}\n")));
    assert!(sample("csv").contains(&format!("\n\"{quoted}\"\n")));
    assert_eq!(query(&home, sql, &["-f", "plain"]).exits(0).stdout, format!("{{\"plan\":\"free\"}}\n{EXACT}\n"));
}

#[test]
fn a_line_of_jsonl_is_one_line() {
    let home = home("CREATE TABLE t AS SELECT '{\n  \"a\": \"\\n\"\r\n}'::JSON AS j");
    let run = query(&home, "FROM t", &["-f", "jsonl"]).exits(0);
    assert_eq!(run.stdout, "{\"j\":{   \"a\": \"\\n\"  }}\n");
    assert_eq!(query(&home, "FROM t", &["-f", "json"]).exits(0).json()[0]["j"]["a"], "\n");
}

#[test]
fn headings_are_the_column_names() {
    let home = home("");
    let sql = "SELECT 1 AS a_b, 2 AS \"a b\", 3 AS \"aB\", 4 AS a_b, NULL AS n, '' AS e, count(*), true";
    for format in ["table", "csv", "json"] {
        assert_run!(query(&home, sql, &["-f", format]).exits(0), format);
    }
}

#[test]
fn the_results_of_several_statements_follow_each_other() {
    let home = home("CREATE TABLE t AS SELECT 1 AS a");
    let sql = "SELECT 1 AS a; -- ;\nSELECT ';' AS b, 2 AS c UNION ALL SELECT 'x', 3 ORDER BY ALL;";
    for format in ["jsonl", "table", "plain"] {
        assert_run!(query(&home, sql, &["-f", format]).exits(0), format);
    }
    for more in [&["-f", "json"][..], &["-f", "csv"], &[], &["--scalar"]] {
        assert_run!(query(&home, sql, more).exits(3).prints_nothing(), format!("one {}", more.join(" ")));
    }
    // Statements without rows have no result.
    let sql = "BEGIN; CREATE TEMP TABLE u AS FROM t; SELECT count(*) AS n FROM u; COMMIT";
    assert_eq!(query(&home, sql, &[]).exits(0).json()[0]["n"], 1);
    assert_eq!(query(&home, sql, &["-s"]).exits(0).stdout, "1\n");
    // The line number is that of the whole query.
    let run = query(&home, "SELECT 1;\nSELECT 2;\nSELECT nothing", &["-f", "jsonl"]).exits(3);
    assert_run!(run.prints_nothing().says(&["LINE 3: SELECT nothing"]), "error");
}

#[test]
fn a_scalar_is_bare_except_in_json() {
    let home = home("");
    let table = [
        ("42", "42\n", "42\n"),
        ("'a \"b\"'", "a \"b\"\n", "\"a \\\"b\\\"\"\n"),
        ("NULL", "\n", "null\n"),
        ("1.50", "1.50\n", "1.50\n"),
        ("'{\"a\":1E5}'::JSON", "{\"a\":1E5}\n", "{\"a\":1E5}\n"),
        ("1 WHERE false", "\n", "null\n"),
    ];
    for (sql, bare, json) in table {
        let scalar = |more: &[&str]| query(&home, &format!("SELECT {sql}"), &[&["-s"], more].concat()).exits(0).stdout;
        for more in [&[][..], &["-f", "plain"], &["-f", "csv"], &["-f", "table"]] {
            assert_eq!(scalar(more), bare, "{sql} {more:?}");
        }
        assert_eq!((scalar(&["-f", "json"]).as_str(), scalar(&["-f", "jsonl"]).as_str()), (json, json), "{sql}");
    }
}
