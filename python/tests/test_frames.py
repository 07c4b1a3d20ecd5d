"""Data frames of query results: their types, and the values that they cannot hold."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pytest

import mixpanel_data as mp
from mixpanel_data._frames import data_frame, distinct_names
from mixpanel_data.types import ResultWithDataFrame


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("frames") / "empty.db"
    duckdb.connect(str(path)).close()
    return path


@pytest.fixture
def ws(isolated: Path, database: Path) -> mp.Workspace:
    return mp.Workspace.open(database)


def of_values(kind: str, *values: str) -> str:
    return f"SELECT v::{kind} AS x FROM (VALUES {', '.join(f'({value})' for value in values)}) t(v)"


INTEGERS = [f"{prefix}{name}" for prefix in ("", "U") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")]
AS_DUCKDB = {
    **{f"{kind} with NULL": of_values(kind, "1", "NULL") for kind in [*INTEGERS, "FLOAT", "DOUBLE", "BOOLEAN"]},
    **{kind: of_values(kind, "1", "2") for kind in [*INTEGERS, "FLOAT", "DOUBLE", "BOOLEAN"]},
    "all NULL": of_values("BIGINT", "NULL"),
    "no rows": f"{of_values('BIGINT', '1')} WHERE false",
    "more digits than a float has": of_values("BIGINT", "9007199254740993", "NULL"),
    "the largest number": of_values("UBIGINT", "18446744073709551615", "NULL"),
    "several columns": "SELECT 1 AS a, 'x' AS b, NULL::BIGINT AS c, true AS d UNION ALL SELECT 2, NULL, 3, NULL",
    "text": of_values("VARCHAR", "'a'", "NULL"),
    "enum": of_values("ENUM('a', 'b')", "'b'", "NULL"),
    "date": of_values("DATE", "'2020-01-02'", "NULL"),
    "late date": of_values("DATE", "'9999-12-31'"),
    "timestamp": of_values("TIMESTAMP", "'2020-01-02 03:04:05.6'", "NULL"),
    "timestamp of nanoseconds": of_values("TIMESTAMP_NS", "'2020-01-02'"),
    "interval": of_values("INTERVAL", "'1 month 2 days 3.5 seconds'", "NULL", "'-1 day'"),
    "map": "SELECT MAP {'k': 9007199254740993} AS x",
    "struct": "SELECT {'a': 9007199254740993, 'b': NULL::BIGINT} AS x",
    "union": "SELECT union_value(num := 2)::UNION(num INT, str VARCHAR) AS x",
    "time of nanoseconds": "SELECT '01:02:03.000000001'::TIME_NS AS x",
    "names": "SELECT 1 AS a, 2 AS a, 3 AS \"A\", 4 AS a_1",
}
"""Queries whose data frames are those of DuckDB's own module."""


@pytest.mark.parametrize("name", AS_DUCKDB)
def test_frames_are_those_of_duckdbs_own_module(ws: mp.Workspace, name: str) -> None:
    found, expected = ws.sql(AS_DUCKDB[name]), duckdb.sql(AS_DUCKDB[name]).df()
    pandas.testing.assert_frame_equal(found, expected, check_categorical=False)


@pytest.mark.parametrize(
    ("query", "dtype", "values"),
    [
        (of_values("HUGEINT", "1", "NULL"), "Int64", [1, None]),
        (of_values("UHUGEINT", "1", "2"), "int64", [1, 2]),
        (f"SELECT sum(x) AS x FROM ({of_values('BIGINT', '9007199254740993', 'NULL')})", "int64", [2**53 + 1]),
        ("SELECT sum(b) AS x FROM (VALUES (1, NULL::INT), (2, 3)) t(a, b) GROUP BY a ORDER BY a", "Int64", [None, 3]),
        (of_values("HUGEINT", "1e30", "NULL"), "float64", [1e30, None]),
    ],
)
def test_sums_are_whole_numbers_if_they_fit(ws: mp.Workspace, query: str, dtype: str, values: list[Any]) -> None:
    column = ws.sql(query)["x"]
    assert column.dtype == dtype
    assert [None if pandas.isna(value) else value for value in column] == values


@pytest.mark.parametrize("column", ["[9007199254740993, NULL]", "{'a': [9007199254740993, NULL]}.a"])
def test_integers_in_lists_keep_their_digits(ws: mp.Workspace, column: str) -> None:
    assert list(ws.sql(f"SELECT {column} AS x")["x"][0]) == [9007199254740993, None]


def test_a_map_whose_keys_are_lists(ws: mp.Workspace) -> None:
    ((key, value),) = ws.sql("SELECT MAP {[1]: 2} AS x")["x"][0]
    assert (list(key), value) == ([1], 2)


UNSUITABLE = {
    "df": ["DATE 'infinity'", "TIME '24:00:00'", "1::VARIANT"],
    "pl": [
        "[INTERVAL 1 DAY]", "{'a': INTERVAL 1 DAY}", "union_value(num := 2)::UNION(num INT, str VARCHAR)",
        "1::VARIANT",
    ],
    "fetchall": ["1::VARIANT"],
    "arrow": ["1::VARIANT"],
}  # fmt: skip


@pytest.mark.parametrize(("method", "value"), [(name, value) for name, all in UNSUITABLE.items() for value in all])
def test_values_without_a_type_raise_an_error_that_names_the_column(
    ws: mp.Workspace, method: str, value: str
) -> None:
    with pytest.raises(mp.QueryError, match='column "b c"') as caught:
        getattr(ws.query(f'SELECT 1 AS a, {value} AS "b c"'), method)()
    assert caught.value.status_code == 0
    assert 'CAST("b c" AS VARCHAR)' in str(caught.value.hint)
    getattr(ws.query(f'SELECT 1 AS a, CAST({value} AS VARCHAR) AS "b c"'), method)()


def test_a_statement_that_cannot_be_described(ws: mp.Workspace) -> None:
    with pytest.raises(mp.QueryError, match="the result cannot be read with polars"):
        ws.query("SELECT 1; SELECT INTERVAL 1 DAY AS x").pl()
    assert ws.query("SELECT 1; SELECT 2 AS x").pl().columns == ["x"]
    assert ws.query("SELECT 1; SELECT 2 AS x").columns == ["x"]
    for statement in ("SHOW TABLES", "SHOW ALL TABLES"):
        assert ws.query(statement).columns == ws.query(statement).pl().columns


@pytest.mark.parametrize("end", ["", ";", " ; \n", " -- a comment", "\n/* another; one */"])
def test_polars_frames_of_intervals_and_of_equal_names(ws: mp.Workspace, end: str) -> None:
    query = "SELECT INTERVAL '1 month 2 days 3 seconds' AS i, 1 AS a, 2 AS a ORDER BY a" + end
    frame = ws.query(query).pl()
    assert frame.schema["i"] == polars.Duration("us")
    assert frame.rows() == [(datetime.timedelta(days=32, seconds=3), 1, 2)]
    assert frame.columns == ["i", "a", "a_1"]
    assert frame.rows() == ws.query(query).fetchall()


def test_names_and_types_of_words_that_are_types(ws: mp.Workspace) -> None:
    query = "SELECT 'UNION'::ENUM('UNION', 'VARIANT') AS \"INTERVAL\", {'UNION': 1, 'INTERVAL': 2} AS s"
    assert ws.query(query).pl().rows() == [("UNION", {"UNION": 1, "INTERVAL": 2})]


def test_the_order_of_rows_stays(ws: mp.Workspace) -> None:
    query = "SELECT to_seconds(range) AS x FROM range(200000) ORDER BY (range * 7919) % 200003"
    assert ws.query(query).pl()["x"].to_list() == [row[0] for row in ws.query(query)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a_1", "a_2"]),
        (["a", "a", "a_1"], ["a", "a_1", "a_1_1"]),
        (["a", "A"], ["a", "A_1"]),
        (["", ""], ["", "_1"]),
    ],
)
def test_distinct_names(names: list[str], expected: list[str]) -> None:
    assert distinct_names(names) == expected


def test_rows_as_dictionaries_keep_columns_of_one_name(ws: mp.Workspace) -> None:
    result = ws.sql_rows("SELECT 1 AS a, 2 AS a")
    assert result.columns == ["a", "a"]
    assert result.to_dicts() == [{"a": 1, "a_1": 2}]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([1, None], "Int64"), ([1, 2], "int64"), ([1.5, None], "float64"), ([2**70, None], "object")],
)
def test_frames_of_results_keep_whole_numbers(values: list[Any], dtype: str) -> None:
    frame = data_frame(["n"], [{"n": value} for value in values])
    assert frame["n"].dtype == dtype
    assert [None if pandas.isna(value) else value for value in frame["n"]] == values


def test_what_a_result_shows(ws: mp.Workspace) -> None:
    assert repr(ws.query("SELECT\n  1")) == "QueryResult('SELECT 1')"
    shown = repr(ws.query(f"SELECT '{'x' * 1000}'"))
    assert shown.endswith('…")') and len(shown) < 80
    html = ws.query("SELECT repeat('<', 10000) AS x")._repr_html_()
    assert len(html) < 2000 and "…" in html


def test_columns_without_running_the_query(ws: mp.Workspace) -> None:
    assert ws.query("SELECT error('was run') AS a, 1 AS a").columns == ["a", "a"]
    assert ws.query("FROM (VALUES (1, 2)) t(a, b);").columns == ["a", "b"]
    with pytest.raises(mp.QueryError):
        ws.query("SELECT nothing_of_this_name").columns  # noqa: B018


def test_rows_are_read_once(ws: mp.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    result = ws.query("SELECT 1 AS a")
    queries: list[str] = []
    start = result._start

    def counted(query: str) -> Any:
        queries.append(query)
        return start(query)

    monkeypatch.setattr(result, "_start", counted)
    monkeypatch.setattr(ws, "query", lambda query: result)
    assert ws.sql_rows("SELECT 1 AS a").rows == [(1,)]
    assert queries == ["SELECT 1 AS a"]


def test_a_result_says_that_it_cannot_be_pickled(ws: mp.Workspace) -> None:
    with pytest.raises(TypeError, match="pickle the Workspace"):
        pickle.dumps(ws.query("SELECT 1"))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_result_can_be_copied(ws: mp.Workspace, duplicate: Callable[[Any], Any]) -> None:
    result = ws.query("SELECT 10")
    assert duplicate(result).fetchall() == result.fetchall() == [(10,)]


@pytest.mark.parametrize("query", [None, 1, b"SELECT 1"])
def test_a_query_that_is_no_text(ws: mp.Workspace, query: Any) -> None:
    with pytest.raises(mp.InvalidInputError, match="the query is .+, and must be text"):
        ws.query(query)


def test_a_subclass_may_keep_its_data_frame_where_the_others_do() -> None:
    @dataclasses.dataclass(frozen=True)
    class Own(ResultWithDataFrame):
        value: int

        @property
        def df(self) -> Any:
            if self._df_cache is None:
                object.__setattr__(self, "_df_cache", pandas.DataFrame([{"value": self.value}]))
            return self._df_cache

    result = Own(42)
    assert result.df is result.df
    assert result.to_table_dict() == [{"value": 42}]
