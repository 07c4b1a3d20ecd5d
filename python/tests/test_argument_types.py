"""Arguments in the types that NumPy, pandas, polars and PyArrow return."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import Simulate
from simulator import FIRST_DAY, LAST_DAY, OPTIONS, requests

import mixpanel_data as mp
from mixpanel_data import _core, _options, _requests
from mixpanel_data.auth import ConfigManager

DAY = "2026-11-18"
DAYS = {"from_date": DAY, "to_date": DAY}


class Sent(Exception):
    """What a workspace would pass to the native module."""


class Recorder:
    """A native session that only shows what it is asked to do."""

    def call(self, name: str, arguments: str) -> str:
        # A statistic may check its table first.
        if name == "table_schema":
            return json.dumps({"table_name": "events", "columns": []})
        raise Sent({"": name, **json.loads(arguments)})

    def fetch(self, name: str, request: str, listener: object) -> str:
        return self.call(name, request)

    stream = stream_arrow = fetch

    def query(self, sql: str) -> object:
        raise Sent(sql)

    def cancel(self) -> None:
        pass


def named(value: Any) -> str | None:
    """Returns the part of the name of a test for one of its parameters."""
    return value if isinstance(value, str) else "-".join(value) if isinstance(value, dict) else ""


def sent(method: str, arguments: dict[str, Any]) -> Any:
    """Returns what a method of `Workspace` would pass to the native module."""
    ws = mp.Workspace.open("none.db", read_only=False)
    ws._connection.__dict__["_opened"] = Recorder()
    with pytest.raises(Sent) as caught:
        result = getattr(ws, method)(**arguments)
        next(iter(result))
    return caught.value.args[0]


INTEGERS = [np.int64(3), np.int32(3), np.uint8(3), pd.Series([3])[0], pl.Series([3])[0]]
NUMBERS = [*INTEGERS, np.float64(3), np.float32(3), Fraction(3)]
TIMES = [*NUMBERS, timedelta(seconds=3), pd.Timedelta(3, "s"), np.timedelta64(3, "s"), np.timedelta64(3000, "ms")]
TRUTHS = [np.True_, pd.Series([True])[0]]
DAYS_OF_ALL_KINDS = [
    np.str_(DAY), date(2026, 11, 18), datetime(2026, 11, 18), datetime(2026, 11, 18, tzinfo=UTC), pd.Timestamp(DAY),
    pd.Timestamp(DAY, tz="Europe/Lisbon"), np.datetime64(DAY), np.datetime64(DAY, "s"), np.datetime64(DAY, "ns"),
    pd.date_range(DAY, DAY)[0],
    datetime(2026, 11, 18, 6), datetime(2026, 11, 18, 23, 59, 59, 999999, tzinfo=UTC), pd.Timestamp(f"{DAY} 06:00"),
    pd.Timestamp(DAY) + pd.Timedelta(1, "ns"), np.datetime64(f"{DAY}T06"), np.datetime64(f"{DAY}T00:00:00.000000001"),
    pd.Timestamp(f"{DAY} 23:00", tz="America/New_York"),
]  # fmt: skip
TEXT_LISTS = [
    ["a", "b"], ("a", "b"), {"b", "a"}, frozenset("ab"), {"a": 1, "b": 2}.keys(), iter("ab"), [np.str_("a"), "b"],
    np.array(["a", "b"]), np.array(["a", "b"], dtype=object), pd.Series(["a", "b"]), pd.Index(["a", "b"]),
    pd.Series(["a", "b"], dtype="category"), pd.Series(["a", "b"], dtype="string"), pl.Series(["a", "b"]),
    pa.array(["a", "b"]), pa.chunked_array([["a"], ["b"]]),
]  # fmt: skip
NUMBER_LISTS = [[25, 50], (25, 50), np.array([25, 50]), pd.Series([25, 50]), pl.Series([25, 50]), pa.array([25, 50])]

# The argument, methods that take it with the other arguments that they need, its plain value, and others that mean it.
SAME: list[tuple[str, dict[str, dict[str, Any]], Any, list[Any]]] = [
    ("limit", {"fetch_profiles": {}, "fetch_events": DAYS, "stream_profiles": {}, "top_events": {}}, 3, INTEGERS),
    ("max_workers", {"fetch_profiles": {}, "refresh_events": {}, "resume_fetch": {}}, 3, INTEGERS),
    ("page_size", {"plan_profiles": {}, "refresh_profiles": {}}, 3, INTEGERS),
    ("memory", {"fetch_profiles": {}, "repair_events": {}, "stream_events_arrow": DAYS}, 3, INTEGERS),
    ("batch_size", {"fetch_profiles": {}, "fetch_events": DAYS}, 3, INTEGERS),
    ("as_of_timestamp", {"stream_profiles_arrow": {}}, 3, INTEGERS),
    ("chunk_days", {"plan_events": DAYS, "stream_events": DAYS}, 3, INTEGERS),
    ("refresh_days", {"refresh_events": {}}, 3, INTEGERS),
    ("top_n", {"column_stats": {"table": "events", "column": "event_name"}}, 3, INTEGERS),
    ("n", {"sample": {"table": "events"}}, 3, INTEGERS),
    ("limit", {"property_distribution": {"event": "x", "property": "y"}}, 3, INTEGERS),
    ("cohort_id", {"fetch_profiles": {}, "plan_profiles": {}}, "3", [*INTEGERS, 3, np.str_("3")]),
    ("group_id", {"stream_profiles": {}}, "3", [*INTEGERS, 3, np.str_("3")]),
    ("max_wait", {"fetch_profiles": {}, "resume_fetch": {}}, 3.0, TIMES),
    ("lock_wait", {"fetch_events": DAYS}, 3.0, TIMES),
    ("full_every", {"refresh_profiles": {}}, 3.0, TIMES),
    ("allow_drift", {"fetch_profiles": {}}, 3.0, NUMBERS),
    ("parallel", {"fetch_profiles": {}, "stream_events": DAYS, "plan_profiles": {}}, True, TRUTHS),
    ("allow_empty", {"refresh_events": {}}, True, TRUTHS),
    ("include_all_users", {"stream_profiles": {}}, True, TRUTHS),
    ("accept_partial", {"resume_fetch": {}}, True, TRUTHS),
    ("append", {"fetch_profiles": {}, "fetch_events": DAYS}, True, TRUTHS),
    ("progress", {"fetch_profiles": {}, "refresh_events": {}, "resume_fetch": {}}, True, TRUTHS),
    ("raw", {"stream_profiles": {}, "stream_events": DAYS}, True, TRUTHS),
    ("from_date", {"fetch_events": {}, "stream_events": {"to_date": DAY}, "daily_counts": {}}, DAY, DAYS_OF_ALL_KINDS),
    ("to_date", {"plan_events": {"from_date": DAY}, "engagement_distribution": {}}, DAY, DAYS_OF_ALL_KINDS),
    ("since", {"fetch_events": {}}, DAY, DAYS_OF_ALL_KINDS),
    ("events", {"fetch_events": DAYS, "refresh_events": {}, "daily_counts": {}}, ["a", "b"], TEXT_LISTS),
    ("output_properties", {"fetch_profiles": {}, "stream_profiles_arrow": {}}, ["a", "b"], TEXT_LISTS),
    ("distinct_ids", {"fetch_profiles": {}, "stream_profiles": {}}, ["a", "b"], TEXT_LISTS),
    ("drop_properties", {"fetch_events": DAYS}, ["a", "b"], TEXT_LISTS),
    ("hash_properties", {"resume_fetch": {}}, ["a", "b"], TEXT_LISTS),
    ("properties", {"property_coverage": {"event": "x"}}, ["a", "b"], TEXT_LISTS),
    ("percentiles", {"numeric_summary": {"event": "x", "property": "y"}}, [25.0, 50.0], NUMBER_LISTS),
    ("buckets", {"engagement_distribution": {}}, [25, 50], NUMBER_LISTS),
    ("where", {"fetch_profiles": {}, "stream_events": DAYS}, "x", [np.str_("x")]),
    ("table", {"event_breakdown": {}, "daily_counts": {}, "sample": {}}, "x", [np.str_("x")]),
    (
        "behaviors",
        {"fetch_profiles": {}},
        '[{"window": 3, "event_selectors": []}]',
        [[{"window": number, "event_selectors": []}] for number in INTEGERS],
    ),
]


@pytest.mark.parametrize(("name", "methods", "plain", "others"), SAME, ids=named)
def test_values_of_other_libraries_mean_the_same(
    name: str, methods: dict[str, dict[str, Any]], plain: Any, others: list[Any]
) -> None:
    for method, arguments in methods.items():
        expected = sent(method, {**arguments, name: plain})
        # An iterator can be read once only, and other methods read it as well.
        for other in [iter("ab") if type(value) is type(iter("ab")) else value for value in others]:
            assert sent(method, {**arguments, name: other}) == expected, (method, other)


SEEN = "2026-11-18T06:00:00Z"


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 18, 6), datetime(2026, 11, 18, 6, tzinfo=UTC), pd.Timestamp(SEEN), np.datetime64(SEEN[:-1]),
        np.datetime64(SEEN[:-1], "ns"), pd.Timestamp("2026-11-18 07:00", tz="Europe/Paris"), np.str_(SEEN),
    ],
    ids=str,
)  # fmt: skip
def test_times_since_when_profiles_were_seen(value: Any) -> None:
    for method in ("fetch_profiles", "stream_profiles", "plan_profiles", "stream_profiles_arrow"):
        assert sent(method, {"since": value})["since"] == SEEN


@pytest.mark.parametrize("value", [date(2026, 11, 18), DAY, np.str_(DAY), np.datetime64(DAY)], ids=repr)
def test_days_since_when_profiles_were_seen(value: Any) -> None:
    assert sent("fetch_profiles", {"since": value})["since"] == "2026-11-18T00:00:00Z"


@pytest.mark.parametrize("value", [timedelta(days=2), pd.Timedelta(days=2), np.timedelta64(2, "D")], ids=repr)
def test_times_before_now(value: Any) -> None:
    found = datetime.fromisoformat(sent("fetch_profiles", {"since": value})["since"])
    assert timedelta() <= datetime.now(UTC) - timedelta(days=2) - found < timedelta(seconds=30)


FRAME = pd.DataFrame({"distinct_id": ["a", "b"]})
NO_TEXTS = [
    (value, message)
    for value, message in [
        ("ab", "is 'ab', and must be a list of texts"),
        (np.str_("ab"), "is 'ab', and must be a list of texts"),
        (b"ab", "is b'ab', and must be a list of texts"),
        (5, "is 5, and must be a list of texts"),
        (np.array("ab"), "has 0 dimensions, and must be a list of texts"),
        (np.array([["a"], ["b"]]), "has 2 dimensions, and must be a list of texts"),
        (FRAME, "has 2 dimensions, and must be a list of texts"),
        (pl.DataFrame(FRAME), "has 2 dimensions, and must be a list of texts"),
        (np.array([1, 2]), "contains np.int64(1), and must be a list of texts"),
        (np.array([b"a"]), "contains np.bytes_(b'a'), and must be a list of texts"),
        (pd.Series(["a", None]), "contains nan, and must be a list of texts"),
        (pl.Series(["a", None]), "contains None, and must be a list of texts"),
        ({"a": 1}, "is an object of type dict, and must be a list of texts"),
        ([["a"], ["b"]], "contains an object of type list, and must be a list of texts"),
    ]
]
NO_INTEGERS = [
    (True, "is True, and must be an integer"),
    (np.True_, "is np.True_, and must be an integer"),
    (1.0, "is 1.0, and must be an integer"),
    (np.float64(2), "is np.float64(2.0), and must be an integer"),
    ("5", "is '5', and must be an integer"),
    (np.array(5), "is an object of type ndarray, and must be an integer"),
    (np.array([5]), "is an object of type ndarray, and must be an integer"),
    (np.array([5, 6]), "is an object of type ndarray, and must be an integer"),
    (pd.Series([5]), "is an object of type Series, and must be an integer"),
    (pl.Series([5]), "is an object of type Series, and must be an integer"),
    (np.timedelta64(5, "s"), "is np.timedelta64(5,'s'), and must be an integer"),
    (pd.NA, "is an object of type NAType, and must be an integer"),
]
NO_NUMBERS = [
    (True, "is True, and must be a number"),
    (float("nan"), "is nan, and must be a finite number"),
    (np.float32("inf"), "is np.float32(inf), and must be a finite number"),
    (Fraction(10**400), "is an object of type Fraction, and must be a finite number"),
    (np.array(5.0), "is an object of type ndarray, and must be a number"),
    (np.array([5.0, 6.0]), "is an object of type ndarray, and must be a number"),
    (pd.Series([5.0]), "is an object of type Series, and must be a number"),
    ("5", "is '5', and must be a number"),
    (pd.NA, "is an object of type NAType, and must be a number"),
    (1j, "is 1j, and must be a number"),
]
NO_TIMES = [(pd.NaT, "is NaT, and must be a number"), (np.timedelta64("NaT"), "is np.timedelta64('NaT'), and must be")]
NO_DAYS = [
    (np.datetime64("2026-11"), "is 2026-11, and must be a day"),
    (pd.NaT, "is NaT, and must be a day"),
    (np.datetime64("NaT"), "is NaT, and must be a day"),
    (pd.DatetimeIndex(["2026-11-18"]), "is an object of type DatetimeIndex, and must be a day"),
    (np.array("2026-11-18", dtype="datetime64[D]"), "is an object of type ndarray, and must be a day"),
    (np.array(["2026-11-18"], dtype="datetime64[D]"), "is an object of type ndarray, and must be a day"),
    (20261118, "is 20261118, and must be a day"),
]
ARRAY = np.array(["a", "b"])
NO_TRUTHS = [
    (value, "and must be True or False") for value in (1, "yes", np.array([True, False]), pd.NA, np.array(True))
]
NO_POINTS_IN_TIME = [(value, "and must be a time") for value in (pd.NaT, np.datetime64("NaT"), ARRAY, 5)]

# The argument, methods that take it with the other arguments that they need, and wrong values with their message.
WRONG: list[tuple[str, dict[str, dict[str, Any]], list[tuple[Any, str]]]] = [
    ("limit", {"fetch_profiles": {}, "stream_events": DAYS, "top_events": {}}, NO_INTEGERS),
    ("max_workers", {"fetch_profiles": {}, "refresh_events": {}}, NO_INTEGERS),
    ("n", {"sample": {"table": "events"}}, NO_INTEGERS),
    ("top_n", {"column_stats": {"table": "events", "column": "x"}}, NO_INTEGERS),
    ("batch_size", {"fetch_profiles": {}}, NO_INTEGERS),
    ("cohort_id", {"fetch_profiles": {}}, [(value, "and must be text or an integer") for value in (1.5, True, ARRAY)]),
    ("max_wait", {"fetch_profiles": {}, "resume_fetch": {}}, NO_NUMBERS + NO_TIMES),
    ("full_every", {"refresh_profiles": {}}, NO_NUMBERS + NO_TIMES),
    ("allow_drift", {"fetch_events": DAYS}, NO_NUMBERS),
    ("from_date", {"fetch_events": {}, "stream_events": {"to_date": DAY}, "daily_counts": {}}, NO_DAYS),
    ("since", {"fetch_events": {}}, NO_DAYS),
    ("since", {"fetch_profiles": {}}, NO_POINTS_IN_TIME),
    ("events", {"fetch_events": DAYS, "refresh_events": {}, "daily_counts": {}}, NO_TEXTS),
    ("output_properties", {"fetch_profiles": {}, "stream_profiles": {}}, NO_TEXTS),
    ("properties", {"property_coverage": {"event": "x"}}, NO_TEXTS),
    ("parallel", {"fetch_profiles": {}, "stream_events": DAYS}, NO_TRUTHS),
    ("append", {"fetch_profiles": {}, "fetch_events": DAYS}, NO_TRUTHS),
    ("progress", {"fetch_profiles": {}, "refresh_events": {}, "resume_fetch": {}}, NO_TRUTHS),
    ("raw", {"stream_profiles": {}, "stream_events": DAYS}, NO_TRUTHS),
    ("if_exists", {"fetch_profiles": {}, "fetch_events": {**DAYS, "append": True}}, [(ARRAY, "ndarray")]),
    ("type", {"drop_all": {}}, [(ARRAY, "is an object of type ndarray, and must be 'events' or 'profiles'")]),
    ("kind", {"quota_usage": {}}, [(ARRAY, "is an object of type ndarray, and must be 'queries' or 'exports'")]),
    ("filters", {"refresh_profiles": {}}, [(value, "and must be a dict") for value in (ARRAY, FRAME, ["where"])]),
    ("where", {"fetch_profiles": {}}, [(ARRAY, "and must be text")]),
    ("percentiles", {"numeric_summary": {"event": "x", "property": "y"}}, [
        (np.array([[1]]), "has 2 dimensions, and must be a list of numbers"), (np.array(1), "has 0 dimensions"),
        ("25", "is '25', and must be a list of numbers"), ([float("nan")], "contains nan"),
        ([True], "contains True"), (5, "is 5, and must be a list of numbers"),
    ]),
    ("buckets", {"engagement_distribution": {}}, [([1.5], "contains 1.5"), (np.array(1), "has 0 dimensions")]),
    ("behaviors", {"fetch_profiles": {}}, [
        ([{"window": float("nan")}], ""), ([{"window": ARRAY}], ""), (np.array(1), ""), (5, ""), ({"a": 1}, ""),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "methods", "values"), WRONG, ids=named)
def test_other_values_are_refused_by_name(
    name: str, methods: dict[str, dict[str, Any]], values: list[tuple[Any, str]]
) -> None:
    ws = mp.Workspace.open("none.db", read_only=False)
    ws._connection.__dict__["_opened"] = Recorder()
    for method, arguments in methods.items():
        for value, message in values:
            with pytest.raises(mp.InvalidInputError) as caught:
                next(iter(getattr(ws, method)(**{**arguments, name: value})))
            assert str(caught.value).startswith(name), (method, value)
            assert message in str(caught.value), (method, value)


def test_a_workspace_takes_paths_and_ids_of_all_kinds(tmp_path: Path) -> None:
    for project in (12345, np.int64(12345), "12345", np.str_("12345")):
        assert mp.Workspace(project_id=project)._choice == {"project_id": "12345"}  # type: ignore[arg-type]
    for path in (tmp_path / "x.db", str(tmp_path / "x.db"), np.str_(tmp_path / "x.db")):
        assert mp.Workspace(path=path)._choice == {"path": str(tmp_path / "x.db")}
        assert mp.Workspace.open(path)._choice["path"] == str(tmp_path / "x.db")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"project_id": 1.5}, "project_id is 1.5, and must be text or an integer"),
        ({"project_id": ARRAY}, "project_id is an object of type ndarray"),
        ({"path": ARRAY}, "path is an object of type ndarray, and must be a path"),
        ({"path": 5}, "path is 5, and must be a path"),
        ({"path": b"x.db"}, "path is b'x.db', and must be a path"),
        ({"account": b"x"}, "account is b'x', and must be text"),
        ({"account": 5}, "account is 5, and must be text"),
        ({"region": 5}, "region is 5, and must be text"),
        ({"base_url": b"x"}, "base_url is b'x', and must be text"),
        ({"read_only": ARRAY}, "read_only is an object of type ndarray, and must be True or False"),
    ],
    ids=str,
)
def test_a_workspace_refuses_others(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mp.InvalidInputError) as caught:
        mp.Workspace(**arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", [ARRAY, 5, b"accounts.toml"], ids=str)
def test_the_accounts_file_is_a_path(value: Any) -> None:
    with pytest.raises(mp.InvalidInputError, match="config_path is .*, and must be a path"):
        ConfigManager(value)


def test_a_fetch_with_values_of_other_libraries(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS)
    ws = mp.Workspace(path=tmp_path / "test.db")
    numbers: dict[str, Any] = {"limit": np.int64(5), "max_workers": np.int32(3), "max_wait": np.float64(60)}
    assert ws.fetch_profiles(**numbers, parallel=True).total_rows == 5
    ids = ws.query("SELECT distinct_id FROM profiles ORDER BY distinct_id LIMIT 3")
    expected = [row[0] for row in ids]
    for names in (ids.df()["distinct_id"], ids.pl()["distinct_id"], ids.arrow()["distinct_id"], set(expected)):
        streamed = ws.stream_profiles(distinct_ids=names, output_properties=np.array(["plan"]))
        assert sorted(profile["distinct_id"] for profile in streamed) == expected
    days: dict[str, Any] = {"from_date": pd.Timestamp(FIRST_DAY), "to_date": np.datetime64(LAST_DAY)}
    events = list(ws.stream_events(**days))
    assert {event["event_time"].date() for event in events} == {date(2026, 11, 18), date(2026, 11, 19)}
    before = requests()
    days["from_date"] = pd.DatetimeIndex([FIRST_DAY])
    with pytest.raises(mp.InvalidInputError, match="from_date is an object of type DatetimeIndex, and must be a day"):
        ws.fetch_events(**days)
    assert requests() == before


TEXTS = {"where", "distinct_id", "hash_key", "time_zone"}
NOT_SENT = {"progress", "append", "on_page_complete", "on_batch_complete"}


def test_every_option_that_is_not_text_is_converted() -> None:
    kinds = (_options.ProfileFetchOptions, _options.EventFetchOptions)
    names = {name for kind in kinds for name in kind.__annotations__}
    assert names - TEXTS - NOT_SENT <= set(_requests._CONVERSIONS)


def test_the_recorder_has_the_methods_of_a_session() -> None:
    """Otherwise the tests above could pass without a request being made."""
    names = [name for name in vars(Recorder) if not name.startswith("_")]
    assert all(hasattr(_core.Session, name) for name in names)
