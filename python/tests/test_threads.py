"""Threads, forks and several fetches at a time."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import Simulate
from simulator import FIRST_DAY, LAST_DAY, OPTIONS, PROFILES

import mixpanel_data as mp

COUNT = "SELECT count(*) FROM profiles"


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Counts in a thread, in Python."""
    count = 0
    is_over = False

    def work() -> None:
        nonlocal count
        while not is_over:
            count += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda: count
    finally:
        is_over = True
        thread.join()


def speed_during(action: Callable[[], object]) -> float:
    """Returns how many times per second a thread counts while the work runs."""
    with counting() as count:
        begun, first = time.monotonic(), count()
        action()
        return (count() - first) / (time.monotonic() - begun)


def test_python_threads_keep_their_speed_during_a_fetch(simulate: Simulate, tmp_path: Path) -> None:
    """The fetch waits for the server most of the time; otherwise the two would compete for the processor as well."""
    simulate(*OPTIONS, "--latency", "200ms")
    best = 0.0
    for attempt in range(5):
        ws = mp.Workspace(path=tmp_path / f"{attempt}.db")
        idle = speed_during(lambda: time.sleep(0.5))
        busy = speed_during(lambda ws=ws: ws.fetch_profiles(progress=False))  # type: ignore[misc]
        best = max(best, busy / idle)
        if best > 0.8:
            return
    raise AssertionError(f"a counting thread keeps {best:.0%} of its speed")


@pytest.mark.usefixtures("stored")
def test_eight_threads_of_queries(ws: mp.Workspace) -> None:

    def work(number: int) -> list[int]:
        return [ws.sql_scalar(f"SELECT count(*) + {number} FROM profiles") for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(work, range(8))):
            assert found == [PROFILES + number] * 5


def test_queries_during_a_fetch_into_another_table(simulate: Simulate, fetched: Path, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "50ms")
    ws = mp.Workspace(path=shutil.copy(fetched, tmp_path))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ws.fetch_profiles, "other")
        counts = []
        while not running.done():
            # Only the load at the end needs the database for itself.
            with suppress(mp.DatabaseLockedError):
                counts.append(ws.sql_scalar(COUNT))
        assert running.result().rows == PROFILES
    assert counts and set(counts) == {PROFILES}


def count_rows(path: str) -> int:
    """Counts in a child process."""
    with mp.Workspace.open(path) as ws:
        return int(ws.sql_scalar(COUNT))


def fetch_again(path: str) -> int:
    """Fetches in a child process."""
    with mp.Workspace(path=path) as ws:
        return ws.fetch_profiles(if_exists="replace", parallel=True).total_rows


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_after_a_fetch(ws: mp.Workspace, method: str) -> None:
    ws.fetch_profiles()
    assert ws.query(COUNT).fetchall() == [(PROFILES,)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.apply_async(count_rows, (str(ws.db_path),)).get(60) == PROFILES
        assert pool.apply_async(fetch_again, (str(ws.db_path),)).get(60) == PROFILES
    assert ws.sql_scalar(COUNT) == PROFILES


def in_fork(action: Callable[[], object]) -> int:
    """Returns the exit code of a forked child that runs `action`: 3 if it raises `RuntimeError`."""
    child = os.fork()
    if child == 0:
        code = 9
        try:
            action()
            code = 0
        except RuntimeError:
            code = 3
        finally:
            os._exit(code)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the forked process hangs")


def test_a_workspace_works_in_a_fork(ws: mp.Workspace) -> None:
    ws.fetch_profiles()

    def work() -> None:
        assert ws.query(COUNT).fetchall() == [(PROFILES,)]
        ws.fetch_profiles(if_exists="replace", parallel=True)

    assert in_fork(work) == 0
    assert ws.sql_scalar(COUNT) == PROFILES


@pytest.mark.usefixtures("stored")
def test_a_workspace_works_in_a_fork_right_after_a_query(ws: mp.Workspace) -> None:

    def count() -> None:
        assert ws.sql_scalar(COUNT) == PROFILES

    for _ in range(5):
        assert ws.query("SELECT * FROM profiles").fetchone() is not None
        assert in_fork(count) == 0


def test_a_fork_during_a_fetch_raises(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "100ms")
    ws = mp.Workspace(path=tmp_path / "test.db")
    codes: list[int] = []

    def on_page(page: mp.ProfileProgress) -> None:
        if page.page_index == 1:
            codes.append(in_fork(lambda: ws.fetch_profiles("other")))
            codes.append(in_fork(lambda: ws.sql_scalar("SELECT 1")))

    assert ws.fetch_profiles(on_page_complete=on_page).rows == PROFILES
    assert codes == [3, 3]


def test_two_fetches_at_a_time_into_two_databases(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "20ms")
    spaces = [mp.Workspace(path=tmp_path / f"{number}.db") for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda ws: ws.fetch_profiles(parallel=True), spaces))
    assert [result.total_rows for result in results] == [PROFILES] * 2
    assert [ws.sql_scalar(COUNT) for ws in spaces] == [PROFILES] * 2


@pytest.mark.parametrize("shared", [True, False])
def test_two_fetches_at_a_time_into_one_database(simulate: Simulate, tmp_path: Path, shared: bool) -> None:
    simulate(*OPTIONS, "--latency", "20ms")
    first = mp.Workspace(path=tmp_path / "test.db")
    second = first if shared else mp.Workspace(path=tmp_path / "test.db")
    with ThreadPoolExecutor(2) as pool:
        profiles = pool.submit(first.fetch_profiles, parallel=True)
        events = pool.submit(second.fetch_events, from_date=FIRST_DAY, to_date=LAST_DAY)
        for fetch in (profiles, events):
            error = fetch.exception(60)
            # Waiting for each other is what happens; an error would be correct as well.
            assert error is None or isinstance(error, mp.DatabaseLockedError)
    found = {table.name: table.row_count for table in first.tables()}
    assert found.get("profiles") == (None if profiles.exception() else PROFILES)
    assert ("events" in found) == (events.exception() is None)
    assert all(first.verify_table(name).is_intact for name in found)


def test_two_fetches_of_one_table_store_it_once(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "20ms")
    ws = mp.Workspace(path=tmp_path / "test.db")
    with ThreadPoolExecutor(2) as pool:
        fetches = [pool.submit(ws.fetch_profiles, parallel=True) for _ in range(2)]
        errors = [fetch.exception(60) for fetch in fetches]
    assert errors.count(None) >= 1
    for error in errors:
        assert error is None or isinstance(error, mp.TableExistsError | mp.DatabaseLockedError | mp.RunBusyError), error
    assert ws.sql_scalar(COUNT) == PROFILES
