"""Iteration over the record batches of a stream."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from conftest import Simulate
from simulator import FIRST_DAY, LAST_DAY, OPTIONS, PROFILES, requests

import mixpanel_data as mp
from mixpanel_data._streaming import ArrowRecords

DAYS: Any = {"from_date": FIRST_DAY, "to_date": LAST_DAY}
STREAMS: list[Callable[[mp.Workspace], ArrowRecords]] = [
    lambda ws: ws.stream_profiles_arrow(),
    lambda ws: ws.stream_profiles_arrow(parallel=True),
    lambda ws: ws.stream_events_arrow(**DAYS),
    lambda ws: ws.stream_events_arrow(parallel=True, chunk_days=1, **DAYS),
]


@pytest.mark.parametrize("stream", STREAMS)
def test_the_batches_are_those_of_the_stream(ws: mp.Workspace, stream: Callable[[mp.Workspace], ArrowRecords]) -> None:
    batches = list(stream(ws))
    assert len(batches) > 1 and all(isinstance(batch, pyarrow.RecordBatch) for batch in batches)
    expected = pyarrow.table(stream(ws))
    by_id = [(name, "ascending") for name in ("insert_id", "distinct_id") if name in expected.column_names]
    assert pyarrow.Table.from_batches(batches).sort_by(by_id).equals(expected.sort_by(by_id))


def test_a_stream_without_records_has_no_batches(ws: mp.Workspace) -> None:
    before = requests()
    assert list(ws.stream_profiles_arrow(distinct_ids=[])) == []
    assert requests() == before


def test_missing_pages_raise_at_the_end(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--fault", "pages=3 status=400")
    rows = 0
    with pytest.raises(mp.IncompleteError, match="1 page could not be fetched: 3; the last error: .* 400") as caught:
        for batch in mp.Workspace(path=tmp_path / "test.db").stream_profiles_arrow():
            rows += batch.num_rows
    assert caught.value.failed_page_indices == (3,)
    assert rows == PROFILES - 100


def test_missing_days_raise_at_the_end(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--export-fault", f"days={LAST_DAY} status=400")
    seen: set[str] = set()
    with pytest.raises(mp.IncompleteError, match=f"{LAST_DAY}; the last error: .* 400") as caught:
        for batch in mp.Workspace(path=tmp_path / "test.db").stream_events_arrow(chunk_days=1, **DAYS):
            seen |= {time.date().isoformat() for time in batch["event_time"].to_pylist()}
    assert caught.value.failed_date_ranges == ((LAST_DAY, LAST_DAY),)
    assert seen == {FIRST_DAY}


def test_a_loop_that_is_left_ends_the_fetch(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "50ms")
    ws = mp.Workspace(path=tmp_path / "test.db")
    records = ws.stream_profiles_arrow()
    for batch in records:
        assert batch.num_rows
        break
    with pytest.raises(RuntimeError, match="closed or has been read"):
        next(iter(records))
    assert ws.unfinished_runs() == []


def test_a_stream_that_is_closed_in_the_middle_ends(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "50ms")
    records = mp.Workspace(path=tmp_path / "test.db").stream_profiles_arrow()
    batches = iter(records)
    next(batches)
    records.close()
    with pytest.raises(RuntimeError, match="closed or has been read"):
        next(batches)


def test_a_loop_whose_batches_another_reader_takes_does_not_end_silently(ws: mp.Workspace) -> None:
    records = ws.stream_profiles_arrow()
    late = pyarrow.RecordBatchReader.from_stream(records)
    batches = iter(records)
    next(batches)
    late.read_next_batch()
    with pytest.raises(RuntimeError, match="closed or has been read"):
        list(batches)


def test_the_first_reader_gets_all_batches(ws: mp.Workspace) -> None:
    records = ws.stream_profiles_arrow()
    first = iter(records)
    rows = next(first).num_rows
    with pytest.raises(RuntimeError, match="closed or has been read"):
        pyarrow.table(records)
    assert rows + sum(batch.num_rows for batch in first) == PROFILES
    with pytest.raises(RuntimeError, match="closed or has been read"):
        list(records)


def test_batches_that_another_reader_got_are_not_lost_without_a_word(ws: mp.Workspace) -> None:
    records = ws.stream_profiles_arrow()
    assert pyarrow.table(records).num_rows == PROFILES
    with pytest.raises(RuntimeError, match="closed or has been read"):
        list(records)


def test_a_closed_stream_has_no_batches(ws: mp.Workspace) -> None:
    records = ws.stream_profiles_arrow()
    records.close()
    with pytest.raises(RuntimeError, match="closed or has been read"):
        list(records)


def test_iteration_needs_pyarrow(ws: mp.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    before = requests()
    with pytest.raises(ImportError, match=r"record batches needs pyarrow, which is not installed: pip install 'mix"):
        iter(ws.stream_profiles_arrow())
    assert requests() == before


def test_wrong_arguments_are_errors_of_the_package(ws: mp.Workspace) -> None:
    with pytest.raises(mp.InvalidInputError, match=FIRST_DAY):
        list(ws.stream_events_arrow(from_date=LAST_DAY, to_date=FIRST_DAY))
