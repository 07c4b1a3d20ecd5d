"""Ctrl-C: the call ends, what has arrived is kept, and nothing hangs."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Simulate
from simulator import OPTIONS, PROFILES, child_environment

import mixpanel_data as mp

# Interrupted calls take at most a second; a loaded machine is slower.
SOON = 4.0
START = "import sys, mixpanel_data as mp\nws = mp.Workspace(path=sys.argv[1])\nprint('ready', flush=True)\n"
FETCH = START + "ws.fetch_profiles(parallel=True)\nprint('done', flush=True)\nwhile True: input()\n"

# Says that it is ready when the first page is on disk.
FETCH_A_PAGE = START.replace("print('ready', flush=True)\n", "") + (
    "def on_page(page):\n"
    "    if page.page_index == 0: print('ready', flush=True)\n"
    "ws.fetch_profiles(parallel={parallel}, on_page_complete=on_page)\n"
)


class Child:
    """A Python process to interrupt."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], env=child_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[float, str]:
        """Returns how long the process takes to end, and its standard error."""
        begun = time.monotonic()
        try:
            _, errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the process hangs") from None
        return time.monotonic() - begun, errors


@pytest.fixture
def slow_server(simulate: Simulate) -> None:
    simulate(*OPTIONS, "--latency", "100ms")


def interrupt_and_resume(database: Path, delay: float) -> None:
    child = Child(FETCH, str(database))
    time.sleep(delay)
    child.interrupt()
    seconds, errors = child.end()
    assert seconds < SOON, errors
    assert child.process.returncode == -signal.SIGINT, errors
    assert "KeyboardInterrupt" in errors
    with mp.Workspace(path=database) as ws:
        runs = ws.unfinished_runs()
        named = re.search(r'resume_fetch\(run_id="([^"]+)"\)', errors)
        if runs:
            assert named is not None, errors
            assert named[1] == runs[0].run_id
            ws.resume_fetch(run_id=named[1])
        elif not database.exists():
            # Before the fetch has begun, there is nothing to say.
            assert "nothing was stored" in errors or "self.core.fetch(" not in errors, errors
            ws.fetch_profiles()
        assert ws.sql_scalar("SELECT count(DISTINCT distinct_id) FROM profiles") == PROFILES
        assert ws.sql_scalar("SELECT count(*) FROM profiles") == PROFILES
        assert ws.unfinished_runs() == []


def interrupt_often(directory: Path, rounds: int) -> None:
    generator = random.Random(os.getpid())
    # The moments are reported if a test fails.
    delays = [generator.uniform(0, 0.8) for _ in range(rounds)]
    print("delays", delays)
    databases = [directory / f"{number}.db" for number in range(rounds)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(interrupt_and_resume, databases, delays))


def test_an_interrupted_fetch_ends_soon_and_resumes_in_another_process(slow_server: None, tmp_path: Path) -> None:
    interrupt_often(tmp_path, 10)


@pytest.mark.slow
def test_fifty_interrupts(slow_server: None, tmp_path: Path) -> None:
    interrupt_often(tmp_path, 50)


def test_the_pages_that_have_arrived_are_kept(slow_server: None, tmp_path: Path) -> None:
    child = Child(FETCH_A_PAGE.format(parallel=False), str(tmp_path / "test.db"))
    time.sleep(0.25)
    child.interrupt()
    seconds, errors = child.end()
    assert seconds < SOON
    with mp.Workspace(path=tmp_path / "test.db") as ws:
        (run,) = ws.unfinished_runs()
        assert run.run_id in errors
        fetched: list[int] = []
        ws.resume_fetch(on_page_complete=lambda page: fetched.append(page.page_index))
        assert 0 not in fetched and 0 < len(fetched) < 10
        assert ws.sql_scalar("SELECT count(*) FROM profiles") == PROFILES


def test_a_second_interrupt_ends_at_once(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--fault", "pages=2 stall=10 for=30s")
    child = Child(FETCH_A_PAGE.format(parallel=True), str(tmp_path / "test.db"))
    child.interrupt()
    time.sleep(0.1)
    child.interrupt()
    seconds, errors = child.end()
    assert seconds < SOON, errors
    assert "KeyboardInterrupt" in errors
    with mp.Workspace(path=tmp_path / "test.db") as ws:
        assert len(ws.unfinished_runs()) == 1


def test_a_stalled_server_does_not_delay_an_interrupt(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--fault", "pages=2 stall=10 for=30s")
    child = Child(FETCH_A_PAGE.format(parallel=True), str(tmp_path / "test.db"))
    child.interrupt()
    seconds, errors = child.end()
    assert seconds < SOON, errors
    assert "resume_fetch" in errors


LONG = "SELECT count(*) FROM range(100000) a, range(10000000) b WHERE (a.range + b.range) % 7 = 3"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "call",
    [
        f"ws.sql({LONG!r})",
        f"ws.query({LONG!r}).pl()",
        f"ws.query({LONG!r}).fetchall()",
        "list(ws.query('SELECT * FROM range(1000000000000)'))",
        "ws.query('SELECT * FROM range(1000000000) a, range(1000) b').arrow()",
    ],
)
def test_a_long_query_can_be_interrupted(ws: mp.Workspace, call: str) -> None:
    child = Child(START + call, str(ws.db_path))
    time.sleep(0.7)
    child.interrupt()
    seconds, errors = child.end()
    assert seconds < SOON, errors
    assert "KeyboardInterrupt" in errors


@pytest.mark.parametrize(
    "call",
    [
        "list(ws.stream_profiles())",
        "list(ws.stream_profiles(parallel=True))",
        "list(ws.stream_events(from_date='2026-11-18', to_date='2026-11-19'))",
    ],
)
def test_a_stream_can_be_interrupted(simulate: Simulate, tmp_path: Path, call: str) -> None:
    simulate(*OPTIONS, "--latency", "10s")
    child = Child(START + call, str(tmp_path / "test.db"))
    time.sleep(0.5)
    child.interrupt()
    seconds, errors = child.end()
    assert seconds < SOON, errors
    assert "KeyboardInterrupt" in errors


def test_another_thread_is_stopped_by_cancel(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--latency", "300ms")
    ws = mp.Workspace(path=tmp_path / "test.db")
    caught: list[BaseException] = []
    arrived = threading.Event()

    def fetch() -> None:
        try:
            ws.fetch_profiles(on_page_complete=lambda page: arrived.set())
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert arrived.wait(10)
    begun = time.monotonic()
    ws.cancel()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - begun < SOON
    (error,) = caught
    assert isinstance(error, mp.OperationCancelledError)
    assert error.run_id is not None
    # The workspace is usable afterwards.
    ws.resume_fetch(run_id=error.run_id, parallel=True)
    assert ws.sql_scalar("SELECT count(*) FROM profiles") == PROFILES


@pytest.mark.usefixtures("stored")
def test_a_query_of_another_thread_is_stopped_by_cancel(ws: mp.Workspace) -> None:
    caught: list[BaseException] = []

    def query() -> None:
        try:
            ws.sql_scalar(LONG)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=query)
    thread.start()
    end = time.monotonic() + 10
    while thread.is_alive() and time.monotonic() < end:
        # The query may not have begun yet, and a cancellation that comes before it does not stop it.
        thread.join(0.5)
        ws.cancel()
    assert not thread.is_alive()
    assert isinstance(caught[0], mp.OperationCancelledError)


def test_no_signal_handler_is_installed(ws: mp.Workspace) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
    ws.fetch_profiles()
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
