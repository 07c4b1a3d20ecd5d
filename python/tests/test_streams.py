"""Streams of records that are not stored."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow
import pytest
from conftest import Simulate
from simulator import FIRST_DAY, LAST_DAY, OPTIONS, PROFILES, requests

import mixpanel_data as mp



def native_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def wait_for_threads(most: int) -> None:
    end = time.monotonic() + 5
    while native_threads() > most:
        assert time.monotonic() < end, f"{native_threads()} threads are left instead of {most}"
        time.sleep(0.02)


def by_id(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: str(record[name]))


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("parallel", [False, True])
def test_streamed_profiles_are_those_that_a_fetch_stores(ws: mp.Workspace, parallel: bool) -> None:
    stored = ws.query("SELECT distinct_id, properties, last_seen FROM profiles ORDER BY distinct_id").fetchall()
    streamed = by_id(list(ws.stream_profiles(parallel=parallel)), "distinct_id")
    assert len(streamed) == PROFILES
    for (distinct_id, properties, last_seen), profile in zip(stored, streamed, strict=True):
        assert set(profile) == {"distinct_id", "last_seen", "properties"}
        assert profile["distinct_id"] == distinct_id
        assert profile["properties"] == json.loads(properties)
        seen = profile["last_seen"]
        assert (None if seen is None else datetime.fromisoformat(seen)) == last_seen


def test_raw_profiles_are_as_mixpanel_sent_them(ws: mp.Workspace) -> None:
    profiles = list(ws.stream_profiles(raw=True))
    assert len(profiles) == PROFILES
    assert all({"$distinct_id", "$properties"} <= set(profile) for profile in profiles)
    stored = by_id(list(ws.stream_profiles()), "distinct_id")
    assert [profile["$distinct_id"] for profile in by_id(profiles, "$distinct_id")] == [
        profile["distinct_id"] for profile in stored
    ]


def test_streamed_events_are_those_that_a_fetch_stores(ws: mp.Workspace) -> None:
    ws.fetch_events(from_date=FIRST_DAY, to_date=LAST_DAY)
    columns = "insert_id, event_name, event_time, distinct_id, properties"
    stored = ws.query(f"SELECT {columns} FROM events ORDER BY insert_id").fetchall()
    streamed = by_id(list(ws.stream_events(from_date=FIRST_DAY, to_date=LAST_DAY)), "insert_id")
    assert len(streamed) == len(stored) > 100
    for (insert_id, name, moment, distinct_id, properties), event in zip(stored, streamed, strict=True):
        assert event == {
            "insert_id": insert_id, "event_name": name, "event_time": moment.replace(tzinfo=timezone.utc),
            "distinct_id": distinct_id, "properties": json.loads(properties),
        }  # fmt: skip


def test_raw_events_are_as_mixpanel_sent_them(ws: mp.Workspace) -> None:
    events = list(ws.stream_events(from_date=FIRST_DAY, to_date=LAST_DAY, raw=True))
    assert len(events) == len(list(ws.stream_events(from_date=FIRST_DAY, to_date=LAST_DAY)))
    assert all(set(event) == {"event", "properties"} for event in events)
    assert all(isinstance(event["properties"]["time"], int) for event in events)


def test_events_can_be_filtered_by_name(ws: mp.Workspace) -> None:
    names = {event["event_name"] for event in ws.stream_events(from_date=FIRST_DAY, to_date=LAST_DAY)}
    assert len(names) > 1
    name = sorted(names)[0]
    only = ws.stream_events(from_date=FIRST_DAY, to_date=LAST_DAY, events=[name])
    assert {event["event_name"] for event in only} == {name}


def test_a_limit_ends_a_stream(ws: mp.Workspace) -> None:
    assert len(list(ws.stream_profiles(limit=250))) == 250
    assert len(list(ws.stream_events(from_date=FIRST_DAY, to_date=LAST_DAY, limit=10))) == 10


@pytest.mark.parametrize("parallel", [False, True])
def test_an_early_break_ends_the_fetch(simulate: Simulate, tmp_path: Path, parallel: bool) -> None:
    simulate(*OPTIONS, "--latency", "50ms")
    ws = mp.Workspace(path=tmp_path / "test.db")
    before = native_threads()
    for round_ in range(5):
        for count, profile in enumerate(ws.stream_profiles(parallel=parallel)):
            assert profile["distinct_id"]
            if count == round_:
                break
    wait_for_threads(before)
    for _event in ws.stream_events(from_date=FIRST_DAY, to_date=LAST_DAY, parallel=parallel):
        break
    wait_for_threads(before)
    assert ws.unfinished_runs() == []


def test_a_stream_that_is_never_read_sends_no_request(ws: mp.Workspace) -> None:
    before = native_threads()
    stream = ws.stream_profiles()
    assert native_threads() == before
    del stream


def test_closing_a_stream_ends_the_fetch(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "50ms")
    ws = mp.Workspace(path=tmp_path / "test.db")
    before = native_threads()
    records = ws.stream_profiles_arrow()
    assert records.columns == ["distinct_id", "properties", "last_seen"]
    records.close()
    wait_for_threads(before)
    with pytest.raises(RuntimeError, match="closed or has been read"):
        records.__arrow_c_stream__()


@pytest.mark.usefixtures("stored")
def test_profiles_as_record_batches(ws: mp.Workspace) -> None:
    stored = ws.query("SELECT distinct_id, properties, last_seen FROM profiles ORDER BY distinct_id").pl()
    frame = polars.DataFrame(ws.stream_profiles_arrow(parallel=True)).sort("distinct_id")
    assert frame.columns == stored.columns
    assert frame["distinct_id"].to_list() == stored["distinct_id"].to_list()
    assert frame["last_seen"].to_list() == stored["last_seen"].to_list()
    assert frame["properties"].str.json_path_match("$.plan").to_list() == (
        stored["properties"].str.json_path_match("$.plan").to_list()
    )


READERS: dict[str, Callable[[Any], int]] = {
    "duckdb": lambda records: len(duckdb.sql("SELECT * FROM records").fetchall()),
    "polars": lambda records: polars.DataFrame(records).height,
    "pyarrow": lambda records: pyarrow.table(records).num_rows,
    "reader": lambda records: pyarrow.RecordBatchReader.from_stream(records).read_all().num_rows,
    "capsule": lambda records: pyarrow.table(Capsule(records.__arrow_c_stream__())).num_rows,
}


class Capsule:
    def __init__(self, capsule: object) -> None:
        self.capsule = capsule

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.capsule


@pytest.mark.parametrize("reader", READERS)
def test_a_stream_is_read_once_and_its_schema_as_often_as_one_likes(ws: mp.Workspace, reader: str) -> None:
    # Libraries start their own threads at the first use.
    assert READERS[reader](pyarrow.table({"number": [1, 2]})) == 2
    before = native_threads()
    records = ws.stream_profiles_arrow()
    for _ in range(3):
        assert pyarrow.RecordBatchReader.from_stream(records).schema.names == records.columns
    late = pyarrow.RecordBatchReader.from_stream(records)
    assert READERS[reader](records) == PROFILES
    with pytest.raises(Exception, match="has been read already"):
        late.read_all()
    with pytest.raises(RuntimeError, match="has been read already"):
        records.__arrow_c_stream__()
    wait_for_threads(before)


@pytest.mark.parametrize("ended", ["close", "drop"])
def test_a_capsule_that_nobody_reads_ends_with_its_stream(ws: mp.Workspace, ended: str) -> None:
    before = native_threads()
    records = ws.stream_profiles_arrow()
    reader = pyarrow.RecordBatchReader.from_stream(records)
    if ended == "close":
        records.close()
        with pytest.raises(Exception, match="is closed"):
            reader.read_all()
    else:
        # The capsule keeps the stream, until it is dropped as well.
        del records
        assert native_threads() > before
        del reader
    wait_for_threads(before)


def test_events_as_record_batches(ws: mp.Workspace) -> None:
    ws.fetch_events(from_date=FIRST_DAY, to_date=LAST_DAY)
    columns = ["event_name", "event_time", "distinct_id", "insert_id", "properties"]
    stored = ws.query(f"SELECT {', '.join(columns)} FROM events ORDER BY insert_id").pl()
    frame = polars.DataFrame(ws.stream_events_arrow(from_date=FIRST_DAY, to_date=LAST_DAY)).sort("insert_id")
    assert frame.columns == columns
    for name in columns[:4]:
        assert frame[name].to_list() == stored[name].to_list(), name


@pytest.mark.parametrize("parallel", [False, True])
def test_missing_pages_raise_at_the_end(simulate: Simulate, tmp_path: Path, parallel: bool) -> None:
    simulate(*OPTIONS, "--fault", "pages=3 status=400")
    ws = mp.Workspace(path=tmp_path / "test.db")
    seen = []
    with pytest.raises(mp.IncompleteError) as caught:
        for profile in ws.stream_profiles(parallel=parallel):
            seen.append(profile)
    assert tuple(caught.value.failed_page_indices) == (3,)
    expected = "1 page could not be fetched: 3; the last error: the server answered 400 Bad Request"
    assert str(caught.value).startswith(expected)
    assert len(seen) == PROFILES - 100


def test_missing_pages_make_reading_record_batches_fail(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--fault", "pages=3 status=400")
    ws = mp.Workspace(path=tmp_path / "test.db")
    with pytest.raises(Exception, match="page"):
        polars.DataFrame(ws.stream_profiles_arrow())


@pytest.mark.parametrize("day", ["2026-11-17", FIRST_DAY, LAST_DAY])
@pytest.mark.parametrize("parallel", [False, True])
def test_missing_days_raise_at_the_end(simulate: Simulate, tmp_path: Path, day: str, parallel: bool) -> None:
    simulate(*OPTIONS, "--export-fault", f"days={day} status=400")
    ws = mp.Workspace(path=tmp_path / "test.db")
    seen = []
    with pytest.raises(mp.IncompleteError, match=f"1 date range could not be fetched: {day}; the last.* 400") as caught:
        for event in ws.stream_events(from_date="2026-11-17", to_date=LAST_DAY, chunk_days=1, parallel=parallel):
            seen.append(event)
    assert caught.value.failed_date_ranges == ((day, day),)
    assert {event["event_time"].date().isoformat() for event in seen} == {"2026-11-17", FIRST_DAY, LAST_DAY} - {day}


def test_wrong_arguments_raise_before_any_request(ws: mp.Workspace) -> None:
    before = requests()
    with pytest.raises(mp.InvalidInputError):
        ws.stream_profiles(output_properties="plan")
    with pytest.raises(mp.InvalidInputError):
        next(ws.stream_events(from_date="2026-13-01", to_date="2026-11-19"))
    with pytest.raises(Exception, match=FIRST_DAY):
        polars.DataFrame(ws.stream_events_arrow(from_date=LAST_DAY, to_date=FIRST_DAY))
    assert requests() == before
    next(ws.stream_profiles())
    assert requests() > before


def test_two_streams_at_a_time(ws: mp.Workspace) -> None:
    pairs = list(zip(ws.stream_profiles(), ws.stream_profiles(), strict=True))
    assert len(pairs) == PROFILES
    assert all(first == second for first, second in pairs)


def test_a_stream_can_be_read_in_another_thread(ws: mp.Workspace) -> None:
    stream = ws.stream_profiles()
    found = [next(stream)]
    reader = threading.Thread(target=lambda: found.extend(stream))
    reader.start()
    reader.join(20)
    assert len(found) == PROFILES
