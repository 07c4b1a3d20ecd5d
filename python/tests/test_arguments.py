"""Wrong arguments: the error names them, and nothing is requested."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Simulate
from simulator import FIRST_DAY, LAST_DAY, OPTIONS, PROFILES, requests

import mixpanel_data as mp
from mixpanel_data import _fetching, _options, _progress
from mixpanel_data._session import encoded
from mixpanel_data._wording import in_python

DAYS = {"from_date": FIRST_DAY, "to_date": LAST_DAY}


IF_EXISTS = ("fail", "append", "replace")
TAKE_EVENTS: dict[str, dict[str, Any]] = {
    "fetch_events": DAYS,
    "stream_events": DAYS,
    "stream_events_arrow": DAYS,
    "plan_events": DAYS,
    "refresh_events": {},
    "daily_counts": {},
    "engagement_distribution": {},
}
"""The methods that have an argument `events`, and their other arguments."""

EMPTY: list[Any] = [[], (), set(), iter(())]

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("fetch_profiles", {"memory": -1}, "memory is -1, and must be an integer that is not negative"),
    ("fetch_profiles", {"memory": 1.5}, "memory is 1.5, and must be an integer"),
    ("fetch_profiles", {"where": 5}, "where is 5, and must be text"),
    ("fetch_profiles", {"parallel": "yes"}, "parallel is 'yes', and must be True or False"),
    ("fetch_profiles", {"allow_drift": float("nan")}, "allow_drift"),
    ("fetch_profiles", {"max_wait": "5"}, "max_wait is '5', and must be a number"),
    ("fetch_profiles", {"max_workers": "3"}, "max_workers is '3', and must be an integer"),
    ("fetch_profiles", {"max_workers": 0}, "max_workers must be positive, and is 0"),
    ("fetch_profiles", {"output_properties": "plan"}, "output_properties"),
    ("fetch_profiles", {"output_properties": 5}, "output_properties"),
    ("fetch_profiles", {"output_properties": ["a", 5]}, "output_properties contains 5, and must be a list of texts"),
    ("fetch_profiles", {"distinct_ids": [{"a": 1}]}, "distinct_ids contains an object of type dict"),
    ("fetch_profiles", {"behaviors": 5}, "behaviors"),
    ("fetch_profiles", {"distinct_id": {1}}, "distinct_id"),
    ("fetch_profiles", {"where": "\ud800"}, "where is text that is not valid Unicode"),
    ("fetch_profiles", {"limit": 2**70}, "limit"),
    ("fetch_profiles", {"page_size": "many"}, "page_size"),
    ("fetch_events", {**DAYS, "dedupe": "often"}, "dedupe is 'often', and must be 'exact', 'day' or"),
    ("fetch_events", {**DAYS, "events": [None]}, "events contains None, and must be a list of texts"),
    ("stream_profiles", {"where": 5}, "where is 5, and must be text"),
    ("stream_events", {**DAYS, "chunk_days": "5"}, "chunk_days"),
    ("stream_profiles_arrow", {"as_of_timestamp": "today"}, "as_of_timestamp"),
    ("plan_profiles", {"since": 5}, "since"),
    ("column_stats", {"table": "events", "column": "x", "top_n": -1}, "top_n is -1, and must be an integer that is not"),
    ("engagement_distribution", {"buckets": [-1]}, "buckets is -1, and must be an integer that is not negative"),
    ("top_events", {"limit": [1]}, "limit is an object of type list"),
    ("fetch_profiles", {"where": b"x"}, "where is b'x', and must be text"),
    ("fetch_profiles", {"distinct_ids": ["\ud800"]}, "distinct_ids is text that is not valid Unicode"),
    ("fetch_profiles", {"behaviors": [{"name": "\ud800"}], "where": "x"}, "behaviors is text that is not valid"),
    ("query", {"sql": "SELECT '\ud800'"}, "sql is text that is not valid Unicode"),
    ("table_schema", {"table": "\ud800"}, "table is text that is not valid Unicode"),
    ("table_schema", {"table": b"x"}, "table is b'x', and must be text"),
    ("fetch_profiles", {"max_wait": 1e30}, "max_wait must be 0 to 1e+10 seconds, and is 1e+30"),
    ("fetch_events", {**DAYS, "lock_wait": -1}, "lock_wait must be 0 to 1e+10 seconds, and is -1"),
    ("fetch_profiles", {"max_wait": timedelta(-1)}, "max_wait must be 0 to 1e+10 seconds, and is -86400"),
    ("fetch_events", {**DAYS, "chunk_days": 0}, "chunk_days 0: use 1 to 100"),
    ("stream_events", {**DAYS, "chunk_days": 101}, "chunk_days 101: use 1 to 100"),
    ("fetch_events", {**DAYS, "refresh_days": 99999}, "refresh_days 99999: use 0 to"),
    ("fetch_profiles", {"distinct_id": "a", "distinct_ids": []}, "distinct_id and distinct_ids cannot be combined"),
    ("stream_profiles", {"include_all_users": True}, "include_all_users requires a cohort"),
    ("fetch_events", {"since": FIRST_DAY, "from_date": FIRST_DAY}, "since cannot be combined with from_date"),
    ("fetch_events", {"since": FIRST_DAY, "to_date": LAST_DAY}, "since cannot be combined with to_date"),
    ("fetch_events", {"since": "last", "from_date": date(2026, 11, 18)}, "since cannot be combined with from_date"),
    *[("fetch_events", {"since": "7d", "if_exists": do}, "since cannot be combined with if_") for do in IF_EXISTS],
    ("fetch_events", {"since": "last", "append": True}, "since cannot be combined with if_exists"),
    ("fetch_profiles", {"since": "last", "if_exists": "fail"}, "since=\"last\" cannot be combined with if_"),
    ("fetch_profiles", {"since": "last", "if_exists": "replace"}, "since=\"last\" cannot be combined with if_"),
    ("fetch_profiles", {"since": "last", "append": True}, "since=\"last\" cannot be combined with if_exists='append'"),
    *[
        (method, {**arguments, "events": empty}, "events is empty; leave it out for all events")
        for method, arguments in TAKE_EVENTS.items()
        for empty in EMPTY
    ],
    *[
        (method, {"output_properties": []}, "output_properties is empty; leave it out for all properties")
        for method in ("fetch_profiles", "stream_profiles", "plan_profiles", "stream_profiles_arrow")
    ],
    ("refresh_profiles", {"filters": {"output_properties": []}}, "output_properties is empty; leave it out for all"),
    ("engagement_distribution", {"buckets": []}, "buckets is empty; leave it out for the default buckets"),
    ("numeric_summary", {"event": "a", "property": "b", "percentiles": []}, "percentiles is empty; leave it out for"),
    ("quota_usage", {"kind": "foo"}, "kind is 'foo', and must be 'queries' or 'exports'"),
]


@pytest.mark.parametrize(("method", "arguments", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_the_error_names_the_argument(
    ws: mp.Workspace, method: str, arguments: dict[str, Any], message: str
) -> None:
    before = requests()
    with pytest.raises(mp.InvalidInputError) as caught:
        result = getattr(ws, method)(**arguments)
        next(iter(result))
    assert str(caught.value).startswith(message), caught.value
    assert "line 1" not in str(caught.value)
    assert requests() == before


@pytest.mark.parametrize("key", [123456789, b"a secret", ["a secret"]])
def test_a_wrong_key_is_not_quoted(ws: mp.Workspace, key: Any) -> None:
    with pytest.raises(mp.InvalidInputError, match="hash_key must be text") as caught:
        ws.fetch_profiles(hash_properties=["a"], hash_key=key)
    assert "secret" not in str(caught.value) and "123" not in str(caught.value)


def test_every_method_with_names_of_events_is_in_the_table() -> None:
    methods = {name: getattr(mp.Workspace, name) for name in dir(mp.Workspace) if not name.startswith("_")}
    code = {name: method.__code__ for name, method in methods.items() if hasattr(method, "__code__")}
    assert {name for name, of in code.items() if "events" in of.co_varnames} <= set(TAKE_EVENTS)


def test_no_ids_select_nothing(ws: mp.Workspace) -> None:
    before = requests()
    assert ws.fetch_profiles(distinct_ids=[]).rows == 0
    assert requests() == before


def test_a_run_is_resumed_into_its_own_table_only(ws: mp.Workspace) -> None:
    def stop(page: mp.ProfileProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(mp.RunNotFoundError):
        ws.resume_fetch("people", run_id="unknown")
    with pytest.raises(KeyboardInterrupt):
        ws.fetch_profiles("people", on_page_complete=stop)
    (run,) = ws.unfinished_runs()
    before = requests()
    with pytest.raises(mp.InvalidInputError, match="is a run of table 'people', and table is 'profiles'"):
        ws.resume_fetch("profiles", run_id=run.run_id)
    assert requests() == before
    assert ws.resume_fetch("people", run_id=run.run_id).rows == PROFILES


def test_a_position_in_the_arguments_is_a_name() -> None:
    arguments = {"a": "x, {", "b": [1, 2], "ü": None, "c": 7}
    text = encoded(arguments)
    for name, last in (("a", '"x, {"'), ("b", "[1, 2]"), ("\\u00fc", "null"), ("c", ": 7")):
        column = text.index(last) + len(last)
        message = f"invalid type: integer `7`, expected a string at line 1 column {column}"
        assert in_python(message, text).startswith("ü" if "u00" in name else name), name


def test_names_of_filters_are_checked(ws: mp.Workspace) -> None:
    filters: Any = {"wher": "true"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'wher'. Did you mean 'where'"):
        ws.refresh_profiles(filters=filters)


def test_an_estimate_takes_the_options_of_its_fetch(ws: mp.Workspace) -> None:
    assert ws.plan_events(from_date=FIRST_DAY, to_date=LAST_DAY, dedupe="day", refresh_days=3).days == 2


@pytest.mark.usefixtures("stored")
def test_a_read_only_workspace_stores_no_estimate(ws: mp.Workspace, tmp_path: Path) -> None:
    with mp.Workspace(path=ws.db_path, read_only=True) as reader:
        with pytest.raises(mp.ConfigError, match="read-only"):
            reader.plan_profiles("other")
        assert reader.unfinished_runs() == []


OPTIONS_OF = {
    "fetch_profiles": _options.ProfileFetchOptions,
    "fetch_events": _options.EventFetchOptions,
    "stream_profiles": _options.ProfileStreamOptions,
    "stream_events": _options.EventStreamOptions,
}


@pytest.mark.parametrize("method", OPTIONS_OF)
def test_the_types_of_options_are_those_of_the_method(method: str) -> None:
    """The types serve the overloads, and the methods that pass their arguments on."""
    function = getattr(mp.Workspace, method)
    names = set(OPTIONS_OF[method].__annotations__)
    code = function.__code__
    parameters = set(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
    own = {"name", "parallel", "raw", *(("from_date", "to_date") if method == "stream_events" else ())}
    assert names == (parameters - own) | set(_options.RunOptions.__annotations__)


def test_threads_share_one_session(ws: mp.Workspace) -> None:
    for _ in range(5):
        shared = mp.Workspace(path=ws.db_path)
        start = threading.Barrier(8)

        def core(shared: mp.Workspace = shared, start: threading.Barrier = start) -> int:
            start.wait()
            return id(shared._connection.core)

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda _: core(), range(8)))) == 1


USES: list[Callable[[mp.Workspace], object]] = [
    lambda ws: ws.fetch_profiles(),
    lambda ws: ws.tables(),
    lambda ws: ws.sql_scalar("SELECT 1"),
    lambda ws: next(ws.stream_profiles()),
    lambda ws: ws.info(),
]


def test_a_temporary_workspace_cannot_be_used_afterwards(simulate: Simulate) -> None:
    simulate(*OPTIONS)
    with mp.Workspace.ephemeral() as used:
        used.fetch_profiles(limit=10)
        path, result = used.db_path, used.query("SELECT 1")
    with mp.Workspace.ephemeral() as unused:
        pass
    for ws in (used, unused):
        for use in USES:
            with pytest.raises(mp.ConfigError, match="temporary and is deleted"):
                use(ws)
    with pytest.raises(mp.ConfigError, match="temporary and is deleted"):
        result.fetchall()
    assert not path.parent.exists()


def test_a_display_that_fails_keeps_no_event_from_a_callback(
    ws: mp.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(_progress.Nothing):
        def show(self, event: object) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(_fetching, "display", lambda wanted, what: Broken())
    pages: list[int] = []
    ws.fetch_profiles(on_page_complete=lambda page: pages.append(page.page_index))
    assert sorted(pages) == list(range(10))
