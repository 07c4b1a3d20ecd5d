"""Working directories, standard streams, and other calls that use the same file."""

from __future__ import annotations

import io
import json
import logging
import pickle
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Simulate
from simulator import OPTIONS, PROFILES, run_python

import mixpanel_data as mp
from mixpanel_data import _progress

COUNT = "SELECT count(*) FROM profiles"


@pytest.mark.parametrize("name", ["x.db", "./x.db", "sub/../x.db", Path("x.db")])
def test_a_relative_path_means_the_same_file_everywhere(
    simulate: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | Path
) -> None:
    simulate(*OPTIONS)
    (tmp_path / "sub").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    ws = mp.Workspace(path=name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    ws.fetch_profiles(on_page_complete=lambda page: monkeypatch.chdir(tmp_path / "sub"))
    copies = [ws, pickle.loads(pickle.dumps(ws))]
    monkeypatch.chdir(tmp_path)
    copies.append(mp.Workspace.open(name))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [copy.sql_scalar(COUNT) for copy in copies] == [PROFILES] * 3
    assert [path.parent for path in tmp_path.rglob("*.db")] == [tmp_path]


def test_a_deleted_working_directory_is_an_error_of_the_package(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS)
    code = (
        "import os, sys, mixpanel_data as mp\n"
        "os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\n"
        "try: mp.Workspace(path='x.db').fetch_profiles()\n"
        "except mp.MixpanelDataError as error: print('refused', error)\n"
    )
    run = run_python(code, str(tmp_path / "gone"))
    assert run.stdout.startswith("refused"), run.stdout + run.stderr


class Broken(io.StringIO):
    """A terminal that cannot be written to."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, closed(), object(), Broken()])
@pytest.mark.parametrize("has_tqdm", [True, False])
def test_a_fetch_needs_no_standard_error(
    simulate: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: Any, has_tqdm: bool
) -> None:
    simulate(*OPTIONS)
    monkeypatch.setattr(sys, "stderr", stream)
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    pages: list[int] = []
    with mp.Workspace(path=tmp_path / "x.db") as ws:
        ws.fetch_profiles(on_page_complete=lambda page: pages.append(page.page_index))
        assert ws.sql_scalar(COUNT) == PROFILES
    assert pages


@pytest.mark.usefixtures("stored")
def test_threads_fetch_into_tables_of_one_file_and_query_it(ws: mp.Workspace) -> None:
    is_over = threading.Event()

    def query() -> int:
        number = 0
        while not is_over.is_set():
            assert ws.sql_scalar(COUNT) == PROFILES
            assert "profiles" in {table.name for table in ws.tables()}
            number += 1
        return number

    def fetch(number: int) -> None:
        for _ in range(2):
            ws.fetch_profiles(f"t{number}", if_exists="replace", parallel=True)

    with ThreadPoolExecutor(7) as pool:
        queries = [pool.submit(query) for _ in range(3)]
        try:
            list(pool.map(fetch, range(4)))
        finally:
            is_over.set()
        assert all(thread.result() > 0 for thread in queries)
    assert {table.name for table in ws.tables()} == {"profiles", "t0", "t1", "t2", "t3"}


def test_a_wait_for_the_database_is_announced(
    simulate: Simulate, fetched: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import duckdb

    # Slow enough that the first callback comes before the load.
    simulate(*OPTIONS, "--latency", "100ms")
    path = shutil.copy(fetched, tmp_path)
    with mp.Workspace(path=path) as ws:
        opened: list[duckdb.DuckDBPyConnection] = []

        def on_page(page: mp.ProfileProgress) -> None:
            if not opened:
                opened.append(duckdb.connect(str(path), read_only=True))

        with caplog.at_level(logging.WARNING, "mixpanel_data"), pytest.raises(mp.DatabaseLockedError) as caught:
            ws.fetch_profiles(if_exists="replace", lock_wait=1, on_page_complete=on_page)
        opened[0].close()
        assert "for the database" in caplog.text
        ws.resume_fetch(run_id=caught.value.run_id)


def test_a_long_wait_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mixpanel_data"):
        for pause in (1.0, 60.0):
            _progress.log({"event": "waiting", "pause": pause, "reason": "429 Too Many Requests"})
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.WARNING]


RECORDS = """\
{"$distinct_id":"a","$properties":{"v":1}}
{"$properties":{"v":2}}
{"$distinct_id":"c","$properties":5}
"""


@pytest.mark.parametrize(
    ("read", "where"),
    [
        ("list(ws.stream_profiles())", "left out"),
        ("polars.DataFrame(ws.stream_profiles_arrow())", "left out"),
        ("pyarrow.table(ws.stream_profiles_arrow())", "left out"),
        ("pyarrow.RecordBatchReader.from_stream(ws.stream_profiles_arrow()).read_all()", "left out"),
        ("records = ws.stream_profiles_arrow(); duckdb.sql('FROM records').fetchall()", "left out"),
        ("ws.fetch_profiles()", "table _rejects"),
        ("ws.fetch_profiles(parallel=True)", "table _rejects"),
    ],
)
def test_records_that_cannot_be_rows_are_not_lost_without_a_word(
    simulate: Simulate, tmp_path: Path, read: str, where: str
) -> None:
    (tmp_path / "records.jsonl").write_text(RECORDS)
    simulate("--file", str(tmp_path / "records.jsonl"))
    # The interpreter ends right after it.
    code = f"import duckdb, polars, pyarrow, sys, mixpanel_data as mp\nws = mp.Workspace(path=sys.argv[1])\n{read}"
    run = run_python(code, str(tmp_path / "x.db"))
    assert run.returncode == 0, run.stderr
    assert "2 records were rejected" in run.stderr and where in run.stderr


def test_raw_streams_have_records_that_cannot_be_rows(simulate: Simulate, tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text(RECORDS)
    simulate("--file", str(tmp_path / "records.jsonl"))
    records = list(mp.Workspace(path=tmp_path / "x.db").stream_profiles(raw=True))
    assert records == [json.loads(line) for line in RECORDS.splitlines()]
