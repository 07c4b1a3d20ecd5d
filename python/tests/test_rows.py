"""Rows of queries: values for which Python has no type, or not the whole range."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import duckdb
import polars
import pytest

import mixpanel_data as mp

FAR = (
    "TIMESTAMP '290000-01-01'", "TIMESTAMP '290000-12-31 23:59:59.120000'", "TIMESTAMP '0044-03-15 (BC) 12:00:00'",
    "TIMESTAMP '0001-12-31 (BC)'", "'290000-01-01'::TIMESTAMP_S", "'290000-02-03 04:05:06'::TIMESTAMP_MS",
    "'20000-02-29'::TIMESTAMP_S", "TIMESTAMP '10000-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'",
    "TIMESTAMPTZ '280000-01-01 00:00:00+00'", "TIMESTAMPTZ '0044-01-01 (BC) 00:00:00.5+00'",
    "DATE '290000-01-01'", "DATE '0044-01-01 (BC)'", "DATE '5877642-06-25 (BC)'", "DATE '5881580-07-10'",
    "TIME '24:00:00'", "TIME_NS '24:00:00'", "TIME '23:59:59.999999'", "NULL::TIME",
)  # fmt: skip
NESTED = (
    "row(1, 'two', 3)", "row(1)", "row(1, row(2, row(3, NULL)))", "[row(1, 'a'), NULL]", "{'a': row(1, 2)}",
    "(SELECT list((range, range + 1)) FROM range(3))", "MAP {'k': row(1, 2)}",
    "MAP {[1]: 2}", "MAP {[1]: 2, [1, 2]: 3}", "[MAP {{'a': 1}: 2}]", "MAP {MAP {1: 2}: 3}",
    "MAP {'a': [1]}", "[]", "[NULL]", "{'1': 1, '2': 2}",
    "CASE WHEN random() > 2 THEN row(1, 2) END",
)  # fmt: skip
NESTED_ENUM = "['b', NULL, 'a']::ENUM('a', 'b')[]"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mp.Workspace]:
    """A database without credentials."""
    path = tmp_path_factory.mktemp("rows") / "rows.db"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE none (n INTEGER, t VARCHAR)")
        connection.execute("CREATE TABLE events (event_name TEXT, event_time TIMESTAMP, distinct_id TEXT, "
                           "insert_id TEXT, properties JSON)")  # fmt: skip
        connection.execute("INSERT INTO events VALUES ('with', '2020-01-02 01:00:00', 'a', '1', '{}'), "
                           "('without', NULL, 'b', '2', '{}')")  # fmt: skip
    with mp.Workspace.open(path) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB's own module, in UTC: it returns times in the zone of its session."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def types(value: Any) -> Any:
    """Returns the types of a value and of what it contains."""
    if isinstance(value, dict):
        return {key: types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [types(item) for item in value]
    return type(value)


@pytest.mark.parametrize("expression", [*FAR, *(f"[{text}]" for text in FAR), *NESTED, NESTED_ENUM])
def test_values_are_those_of_duckdbs_own_module(
    database: mp.Workspace, engine: duckdb.DuckDBPyConnection, expression: str
) -> None:
    query = f"SELECT {expression} AS x, 1 AS y"
    expected = engine.execute(query).fetchall()
    found = database.query(query).fetchall()
    assert (found, types(found)) == (expected, types(expected))


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMPTZ", "DATE"])
def test_infinity_is_text_in_every_unit(database: mp.Workspace, kind: str) -> None:
    """DuckDB's own module returns the first or the last time of Python, which is another value."""
    query = f"SELECT 'infinity'::{kind}, '-infinity'::{kind}, ['-infinity'::{kind}]"
    assert database.query(query).fetchall() == [("infinity", "-infinity", ["-infinity"])]


def test_a_struct_without_names_is_a_key(database: mp.Workspace) -> None:
    assert database.sql_scalar("SELECT MAP {row(1, 2): 3}") == {(1, 2): 3}


def test_keys_that_python_cannot_tell_apart(database: mp.Workspace) -> None:
    a, b = "TIMESTAMP_NS '2026-01-01 00:00:00.000000001'", "TIMESTAMP_NS '2026-01-01 00:00:00.000000002'"
    found = database.sql_scalar(f"SELECT MAP {{{a}: 1, {b}: 2}}")
    assert found["value"] == [1, 2] and len(found["key"]) == 2


def test_no_library_loses_members_without_names(database: mp.Workspace) -> None:
    result = database.query("SELECT row(1, 'two', 3) AS x, [row(1, 2)] AS y")
    expected = {"x": {"1": 1, "2": "two", "3": 3}, "y": [{"1": 1, "2": 2}]}
    assert result.arrow().to_pylist() == [expected]
    assert result.pl().to_dicts() == polars.DataFrame(result).to_dicts() == [expected]
    frame = result.df()
    assert (frame["x"][0], list(frame["y"][0])) == (expected["x"], expected["y"])


def test_an_enum_of_many_values_is_read_in_linear_time(database: mp.Workspace) -> None:
    query = "SELECT ['a', 'b'][1 + range % 2]::ENUM('a', 'b') FROM range(200000)"
    begun = time.monotonic()
    rows = database.query(query).fetchall()
    assert rows[:3] == [("a",), ("b",), ("a",)] and len(rows) == 200_000
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("expression", ["1::VARIANT", "[1]::VARIANT", "[1::VARIANT]", "{'a': 1::VARIANT}"])
def test_a_variant_must_be_cast(database: mp.Workspace, expression: str) -> None:
    with pytest.raises(mp.QueryError, match="VARIANT") as caught:
        database.query(f"SELECT {expression} AS x").fetchall()
    assert str(caught.value).startswith('column "x" ') and "CAST" in str(caught.value.hint)


def test_the_type_of_a_column_without_values(database: mp.Workspace) -> None:
    for column, kind in {"n": "INTEGER", "t": "VARCHAR", "n + 0.5": "DECIMAL(12,1)"}.items():
        assert database.column_stats("none", column).dtype == kind


def test_events_without_a_time(database: mp.Workspace) -> None:
    found = database.event_breakdown("events")
    assert [(event.event_name, event.count) for event in found.events] == [("with", 1), ("without", 1)]
    assert found.events[0].first_seen is not None
    assert found.events[1].first_seen is None and found.events[1].last_seen is None
    assert len(found.df) == 2 and found.to_dict()["events"][1]["last_seen"] is None


def test_days_of_statistics_are_written_as_those_of_fetches(database: mp.Workspace) -> None:
    today = datetime.now(timezone.utc).date()
    (count,) = database.daily_counts(from_date="2020-01-02", to_date="today").counts
    assert count.event == "with"
    for text, days in {"today": 0, "yesterday": 1, "0d": 0, "7d": 7}.items():
        found = database.daily_counts(from_date=text, to_date="today")
        assert (found.from_date, found.to_date) == (str(today - timedelta(days)), str(today))
        assert not found.counts
    for day in ("tomorrow", "2026-11-31", ""):
        with pytest.raises(mp.InvalidInputError, match="from_date"):
            database.daily_counts(from_date=day)
