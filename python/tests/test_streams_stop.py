"""Streams that are interrupted, forked or incomplete."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from conftest import Simulate
from simulator import OPTIONS, requests, run_python
from test_interrupt import SOON, START, Child

import mixpanel_data as mp

BIG = "SELECT range AS a, range + 1 AS b FROM range(300000000)"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "call",
    [
        f"pyarrow.table(ws.query({BIG!r}))",
        f"pyarrow.RecordBatchReader.from_stream(ws.query({BIG!r})).read_all()",
        f"for batch in nanoarrow.ArrayStream(ws.query({BIG!r})): pass",
    ],
)
def test_a_fast_reader_of_a_capsule_can_be_interrupted(ws: mp.Workspace, call: str) -> None:
    # The exception comes with the next statement, because the library raises its own first.
    code = f"try:\n    {call}\nexcept Exception:\n    while True: pass\n"
    child = Child(START.replace("print(", "import pyarrow, nanoarrow; print(") + code, str(ws.db_path))
    time.sleep(0.5)
    child.interrupt()
    seconds, errors = child.end()
    assert seconds < SOON, errors
    assert "KeyboardInterrupt" in errors


FORK = """
import os, sys, signal, mixpanel_data as mp
ws = mp.Workspace(path=sys.argv[1])
result = ws.query("SELECT * FROM range(10000000)")
{before}
child = os.fork()
if child == 0:
    signal.alarm(20)
    try:
        {inside}
    except BaseException as error:
        print(type(error).__name__, error, flush=True)
    os._exit(0)
status = os.waitpid(child, 0)[1]
print("status", status, flush=True)
{after}
"""


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("before", "inside", "after"),
    [
        ("rows = iter(result); next(rows)", "list(rows)", "print(sum(1 for _ in rows) + 1)"),
        ("rows = iter(result); next(rows)", "rows.close(); print('forked')", "print(sum(1 for _ in rows) + 1)"),
        (
            "import nanoarrow; batches = iter(nanoarrow.ArrayStream(result)); first = len(next(batches))",
            "list(batches)",
            "print(sum(map(len, batches)) + first)",
        ),
    ],
)
def test_a_half_read_result_ends_in_a_forked_process(ws: mp.Workspace, before: str, inside: str, after: str) -> None:
    done = run_python(FORK.format(before=before, inside=inside, after=after), str(ws.db_path))
    said, status, rows = done.stdout.strip().splitlines()[-3:]
    assert "forked" in said, done.stdout
    assert (status, rows) == ("status 0", "10000000"), done.stdout + done.stderr


@pytest.mark.parametrize(
    "call", ["ws.resume_fetch()", "ws.resume_fetch(run_id={run_id!r})", "ws.resume_fetch('profiles')"]
)
@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupted_resume_names_the_run_that_keeps_its_pages(
    simulate: Simulate, tmp_path: Path, call: str, interrupts: int
) -> None:
    simulate(*OPTIONS, "--fault", "pages=4-9 stall=10 for=60s", fresh=True)
    path = tmp_path / "test.db"
    first = Child(START + "ws.fetch_profiles(on_page_complete=lambda page: print('page', flush=True))", str(path))
    assert first.process.stdout is not None
    assert first.process.stdout.readline() == "page\n"
    first.interrupt()
    _, errors = first.end()
    with mp.Workspace(path=path) as ws:
        (run,) = ws.unfinished_runs()
    assert run.run_id in errors
    before = requests()
    child = Child(START + call.format(run_id=run.run_id), str(path))
    end = time.monotonic() + 10
    while requests() == before:
        assert time.monotonic() < end, "the resumed run sends no request"
        time.sleep(0.02)
    for _ in range(interrupts):
        child.interrupt()
        time.sleep(0.15)
    _, errors = child.end()
    assert re.findall(r'resume_fetch\(run_id="([^"]+)"\)', errors) == [run.run_id], errors
    assert "nothing was stored" not in errors


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupted_estimate_says_nothing_of_a_table(simulate: Simulate, tmp_path: Path, interrupts: int) -> None:
    simulate(*OPTIONS, "--latency", "20s")
    child = Child(START + "ws.plan_profiles()", str(tmp_path / "test.db"))
    time.sleep(0.5)
    for _ in range(interrupts):
        child.interrupt()
        time.sleep(0.15)
    _, errors = child.end()
    assert "KeyboardInterrupt" in errors
    assert "loaded" not in errors and "nothing was stored" not in errors


def test_missing_pages_have_one_wording(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--fault", "pages=3 status=400", fresh=True)
    said = []
    with mp.Workspace(path=tmp_path / "test.db") as ws:
        with pytest.raises(mp.IncompleteError) as caught:
            rows = []
            for row in ws.stream_profiles():
                rows.append(row)
        said.append(str(caught.value))
        assert len(rows) == 850 and caught.value.details["failed_page_indices"] == [3]
        records = ws.stream_profiles_arrow()
        with pytest.raises(Exception, match="could not be fetched") as other:
            import pyarrow

            pyarrow.table(records)
        said.append(str(other.value))
    assert "1 page could not be fetched: 3" in said[0] and "1 page could not be fetched: 3" in said[1]


def test_a_failing_log_handler_does_not_end_a_stream(
    simulate: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(*OPTIONS)
    reported: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    def fail(event: object) -> None:
        raise ValueError("a handler of the caller")

    monkeypatch.setattr("mixpanel_data._streaming.log", fail)
    with mp.Workspace(path=tmp_path / "test.db") as ws:
        assert sum(1 for _ in ws.stream_profiles()) == 950
    assert reported
