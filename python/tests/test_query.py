"""Results of queries: their values, and their ways into other libraries."""

from __future__ import annotations

import datetime
import decimal
import math
import os
from typing import Any

import duckdb
import nanoarrow
import pandas
import polars
import pyarrow
import pytest
from simulator import run_python

import mixpanel_data as mp

VALUES = {
    "tinyint": "(-128)::TINYINT", "smallint": "(-32768)::SMALLINT", "integer": "2147483647", "bigint": "(-2)::BIGINT",
    "hugeint": "(-12345678901234567890123)::HUGEINT", "utinyint": "255::UTINYINT", "usmallint": "65535::USMALLINT",
    "uinteger": "4294967295::UINTEGER", "ubigint": "18446744073709551615::UBIGINT",
    "float": "1.5::FLOAT", "double": "0.1::DOUBLE", "infinite": "'-inf'::DOUBLE", "decimal": "12.340::DECIMAL(9, 3)",
    "wide_decimal": "1234567890123456789012345678.91::DECIMAL(38, 2)",
    "boolean": "true", "text": "'Größe 髙橋 👋'", "empty_text": "''", "blob": "'\\x00\\xFFa'::BLOB",
    "date": "DATE '2024-02-29'", "early_date": "DATE '0001-01-01'", "timestamp": "TIMESTAMP '1969-12-31 23:59:59.5'",
    "timestamp_s": "TIMESTAMP_S '2024-01-01 01:02:03'", "timestamp_ms": "TIMESTAMP_MS '2024-01-01 01:02:03.004'",
    "timestamp_ns": "TIMESTAMP_NS '2024-01-01 01:02:03.000004'",
    "time": "TIME '23:59:59.999999'", "interval": "INTERVAL '1 month 2 days 3 seconds'",
    "enum": "'b'::ENUM ('a', 'b')", "list": "[1, NULL, 3]", "nested_list": "[[1], [], NULL]", "empty_list": "[]::INT[]",
    "struct": "{'a': 1, 'b': {'c': 'x'}}", "map": "MAP {'k': 2, 'l': NULL}",
    "json": "'{\"a\": 1e400, \"b\": 123456789012345678901234567890}'::JSON", "null": "NULL", "null_date": "NULL::DATE",
    "union": "union_value(num := 2)::UNION(num INT, str VARCHAR)",
}  # fmt: skip


def of_duckdb(ws: mp.Workspace, query: str) -> list[Any]:
    with duckdb.connect(str(ws.db_path), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_duckdbs_own_module(reader: mp.Workspace, name: str) -> None:
    query = f"SELECT {VALUES[name]} AS value"
    ((found,),), ((expected,),) = reader.query(query).fetchall(), duckdb.execute(query).fetchall()
    assert found == expected
    assert type(found) is type(expected)


def test_a_time_with_a_zone_is_in_utc(reader: mp.Workspace) -> None:
    query = "SELECT TIMESTAMPTZ '2024-01-01 00:00:00+02'"
    assert reader.sql_scalar(query) == datetime.datetime(2023, 12, 31, 22, tzinfo=datetime.timezone.utc)
    assert reader.sql_scalar(query).tzinfo is datetime.timezone.utc


def test_not_a_number(reader: mp.Workspace) -> None:
    assert math.isnan(reader.sql_scalar("SELECT 'nan'::DOUBLE"))


def test_a_decimal_without_decimal_places(reader: mp.Workspace) -> None:
    assert type(reader.sql_scalar("SELECT 7::DECIMAL(10, 0)")) is decimal.Decimal


def test_an_array_is_a_list(reader: mp.Workspace) -> None:
    """DuckDB's own module returns a tuple."""
    assert reader.sql_scalar("SELECT [1, 2, 3]::INT[3]") == [1, 2, 3]


def test_a_uuid_is_text(reader: mp.Workspace) -> None:
    text = "d999bc24-7647-4448-8dc9-6d85634d3c5a"
    assert str(reader.sql_scalar(f"SELECT '{text}'::UUID")) == text


def test_rows_of_a_table(reader: mp.Workspace) -> None:
    query = "SELECT * FROM profiles ORDER BY distinct_id"
    assert reader.query(query).fetchall() == of_duckdb(reader, query)


def test_odd_properties(reader: mp.Workspace) -> None:
    odd = r"""'{"nul": "a\u0000b", "big": 123456789012345678901234567890, "large": 1e400, "emoji": "👋"}'"""
    text = reader.sql_scalar(f"SELECT {odd}::JSON")
    assert "123456789012345678901234567890" in text and "1e400" in text and "👋" in text
    assert reader.sql_scalar("SELECT 'a' || chr(0) || 'b'") == "a\0b"
    assert reader.query("SELECT 'a' || chr(0) || 'b' AS x").pl()["x"].to_list() == ["a\0b"]


QUERY = "SELECT distinct_id, last_seen, length(distinct_id) AS n FROM profiles ORDER BY distinct_id"


def test_data_frames(reader: mp.Workspace) -> None:
    result = reader.query(QUERY)
    rows = result.fetchall()
    assert result.columns == ["distinct_id", "last_seen", "n"]
    assert isinstance(result.pl(), polars.DataFrame)
    assert result.pl().rows() == rows
    assert isinstance(result.arrow(), pyarrow.Table)
    assert [tuple(row.values()) for row in result.arrow().to_pylist()] == rows
    assert isinstance(result.df(), pandas.DataFrame)
    assert list(result.df()["distinct_id"]) == [row[0] for row in rows]
    assert list(reader.sql(QUERY).columns) == result.columns
    assert list(result) == rows
    assert result.fetchone() == rows[0]


def test_large_sums_are_numbers_in_pandas(reader: mp.Workspace) -> None:
    frame = reader.sql("SELECT sum(length(distinct_id)) AS n, sum(1.5) AS d FROM profiles")
    assert frame["n"].dtype == "int64"
    assert frame["n"][0] == reader.sql_scalar("SELECT sum(length(distinct_id)) FROM profiles")


def test_integers_of_the_typed_view_stay_integers(reader: mp.Workspace) -> None:
    columns = reader.table_schema("profiles_typed").columns
    whole = [column.name for column in columns if column.type.endswith("INT") or column.type == "INTEGER"]
    frame = reader.sql("SELECT * FROM profiles_typed")
    assert any(frame[name].hasnans for name in whole)
    assert {frame[name].dtype.kind for name in whole} == {"i"}


def test_capsules_are_taken_by_other_libraries(reader: mp.Workspace) -> None:
    result = reader.query(QUERY)
    rows = result.fetchall()
    assert polars.DataFrame(result).rows() == rows
    # A capsule can be taken from a result any number of times.
    assert polars.DataFrame(result).rows() == rows
    assert duckdb.sql("SELECT count(*), sum(n) FROM result").fetchall() == [(len(rows), sum(row[2] for row in rows))]
    stream = nanoarrow.ArrayStream(result)
    assert sum(len(batch) for batch in stream) == len(rows)
    assert pyarrow.table(result).num_rows == len(rows)
    assert pyarrow.RecordBatchReader.from_stream(result).read_all().num_rows == len(rows)


def test_results_without_rows(reader: mp.Workspace) -> None:
    result = reader.query("SELECT distinct_id, 1 AS n FROM profiles WHERE false")
    assert result.columns == ["distinct_id", "n"]
    assert result.fetchall() == [] and result.fetchone() is None
    assert result.pl().shape == (0, 2) and result.df().shape == (0, 2) and result.arrow().num_rows == 0
    assert polars.DataFrame(result).columns == ["distinct_id", "n"]
    assert reader.sql_scalar("SELECT 1 WHERE false") is None
    rows = reader.sql_rows("SELECT 1 AS n WHERE false")
    assert (list(rows.columns), list(rows.rows)) == (["n"], [])


def test_several_batches(reader: mp.Workspace) -> None:
    result = reader.query("SELECT range AS n FROM range(300000)")
    assert sum(row[0] for row in result) == sum(range(300_000))
    assert polars.DataFrame(result)["n"].sum() == sum(range(300_000))
    assert pyarrow.table(result).column("n").num_chunks > 1


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_capsules_that_are_never_read_do_not_leak(reader: mp.Workspace, rounds: int) -> None:
    result = reader.query("SELECT range FROM range(100000)")
    for number in range(rounds):
        capsule = result.__arrow_c_stream__()
        del capsule
        if number == rounds // 10:
            before = (len(os.listdir("/proc/self/task")), descriptors())
    # A few threads may be about to end.
    assert len(os.listdir("/proc/self/task")) <= before[0] + 20
    assert descriptors() <= before[1] + 20
    assert result.fetchone() == (0,)


def test_memory_stays_bounded_during_iteration(reader: mp.Workspace) -> None:
    # In a process of its own, because the maximum never falls. All rows are 200 MB.
    code = (
        "import resource, sys, mixpanel_data\n"
        "ws = mixpanel_data.Workspace.open(sys.argv[1])\n"
        "result = ws.query(\"SELECT range, repeat('x', 1000) FROM range(200000)\")\n"
        "for count, _row in enumerate(result):\n"
        "    if count == 20_000: before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert count == 199_999\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1_024)\n"
    )
    run = run_python(code, str(reader.db_path))
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 80, run.stdout


def test_html_is_escaped(reader: mp.Workspace) -> None:
    html = reader.query("SELECT '<script>&' AS \"<b>\", NULL AS n")._repr_html_()
    assert "<script>" not in html and "<b>" not in html
    assert "&lt;script&gt;&amp;" in html and "&lt;b&gt;" in html
    assert reader.query("SELECT range FROM range(100)")._repr_html_().count("<tr>") == 21


def test_sql_errors(reader: mp.Workspace) -> None:
    for wrong in ("SELECT nope FROM profiles", "SELEC 1", "SELECT * FROM missing"):
        with pytest.raises(mp.QueryError) as caught:
            reader.sql_rows(wrong)
        assert caught.value.code == "QUERY_FAILED"
        assert caught.value.status_code == 0
        body = caught.value.response_body
        assert isinstance(body, dict)
        assert body["query"] == wrong and body["error"]


def test_a_result_has_the_columns_of_the_table_as_it_is(ws: mp.Workspace) -> None:
    with duckdb.connect(str(ws.db_path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT INTERVAL 1 DAY AS a")
    result = ws.query("SELECT * FROM t")
    assert result.columns == result.pl().columns == ["a"]
    with duckdb.connect(str(ws.db_path)) as connection:
        connection.execute("ALTER TABLE t ADD COLUMN b INTERVAL")
    assert result.columns == result.pl().columns == ["a", "b"]


def test_errors_while_a_result_is_read(reader: mp.Workspace) -> None:
    result = reader.query("SELECT CAST(IF(range = 250000, 'x', '1') AS INT) FROM range(300000)")
    for read in (result.fetchall, result.pl, result.arrow):
        with pytest.raises(mp.QueryError, match="'x'"):
            read()
    with pytest.raises(Exception, match="'x'"):
        polars.DataFrame(result)
    assert reader.sql_scalar("SELECT 1") == 1


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("FROM read_csv('/etc/passwd')", "the `duckdb` module reads files"),
        ("COPY profiles TO 'x.csv'", "write them"),
        ("SET memory_limit = '1GB'", "queries cannot change settings"),
        ("DELETE FROM profiles", "queries only read"),
    ],
)
def test_what_queries_cannot_do_has_a_hint(stored: mp.Workspace, statement: str, hint: str) -> None:
    with pytest.raises(mp.QueryError) as caught:
        stored.sql_rows(statement)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "statement", ["DELETE FROM profiles", "DROP TABLE profiles", "CREATE TABLE x (a INT)", ""]
)
def test_only_statements_that_read_are_allowed(stored: mp.Workspace, statement: str) -> None:
    with pytest.raises(mp.MixpanelDataError):
        stored.sql_rows(statement)
    assert stored.sql_scalar("SELECT count(*) > 0 FROM profiles") is True


def test_a_missing_database(ws: mp.Workspace) -> None:
    with pytest.raises(mp.DatabaseNotFoundError):
        ws.sql_scalar("SELECT 1")


def test_an_unfinished_iteration_keeps_the_database_open(stored: mp.Workspace) -> None:
    rows = iter(stored.query("SELECT * FROM range(1000000)"))
    next(rows)
    with pytest.raises(mp.DatabaseLockedError, match="a query reads it") as caught:
        stored.drop("profiles")
    assert "read or closed" in str(caught.value.hint)
    rows.close()  # type: ignore[attr-defined]
    stored.drop("profiles")


def test_duckdb_can_read_the_file_between_calls(stored: mp.Workspace) -> None:
    with stored.connection as connection:
        assert connection.execute("SELECT count(*) > 0 FROM profiles").fetchone() == (True,)
        with pytest.raises(mp.DatabaseLockedError):
            stored.fetch_profiles("other")
    assert stored.fetch_profiles("other").rows > 0
