"""The `duckdb` module and mixpanel-data in one process, on one database file.

The locks of DuckDB exclude other processes only. Two engines in one process both get the lock, and one that writes
destroys what the other has written. So mixpanel-data opens no file that this process has open already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import Simulate
from simulator import OPTIONS, PROFILES

import mixpanel_data
from mixpanel_data import DatabaseLockedError, Workspace

duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let two libraries open a database")


@pytest.fixture
def database(simulate: Simulate, tmp_path: Path) -> Path:
    """Returns the path of a database that does not exist yet."""
    # Slow enough that the callback for the first page comes before the load.
    simulate(*OPTIONS, "--latency", "50ms")
    return tmp_path / "project.db"


@pytest.fixture
def filled(database: Path, fetched: Path) -> Path:
    """Returns the path of a database with profiles, which another process has fetched."""
    shutil.copy(fetched, database)
    return database


def names_of(path: Path) -> list[Path]:
    """Returns other paths of a file, with links that are made for this."""
    symbolic, hard = path.with_name("symbolic.db"), path.with_name("hard.db")
    symbolic.symlink_to(path)
    hard.hardlink_to(path)
    return [path, symbolic, hard, Path(os.path.relpath(path))]


def connect(path: Path, read_only: bool = False) -> Any:
    """Opens the database with the `duckdb` module."""
    return duckdb.connect(str(path), read_only=read_only)


def count(workspace: Workspace, table: str) -> int:
    """Returns the number of rows of a table."""
    value = workspace.sql_scalar(f"SELECT count(*) FROM {table}")
    assert isinstance(value, int)
    return value


def assert_names_this_process(error: DatabaseLockedError) -> None:
    """Checks that the error says what to do."""
    assert error.code == "DATABASE_LOCKED"
    assert error.details["holding_pid"] == os.getpid()
    assert error.details["fault"] == "another_engine"
    assert "close that connection" in error.details["suggestion"]
    for part in (str(os.getpid()), "`duckdb` module", "close that connection, or query through it"):
        assert part in str(error)


def is_locked(path: Path) -> bool:
    """Returns whether another process finds the database locked."""
    script = "import sys, duckdb\ntry: duckdb.connect(sys.argv[1]).close()\nexcept duckdb.IOException: sys.exit(75)"
    return subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 75


@pytest.mark.parametrize("version", [duckdb.__version__])
@pytest.mark.parametrize("read_only", [False, True])
def test_duckdb_first(filled: Path, version: str, read_only: bool) -> None:
    with Workspace(path=filled) as workspace:
        with connect(filled) as connection:
            connection.execute("CREATE TABLE mine AS FROM range(200_000)")
        connection = connect(filled, read_only)
        with pytest.raises(DatabaseLockedError) as raised:
            workspace.fetch_profiles("again", progress=False)
        assert_names_this_process(raised.value)
        if not read_only:
            assert is_locked(filled), f"duckdb {version} must keep its lock"
            connection.execute("INSERT INTO mine FROM range(200_000); CHECKPOINT")
        connection.close()
        assert workspace.fetch_profiles("again", progress=False).rows == PROFILES
        assert count(workspace, "mine") == (200_000 if read_only else 400_000)
        assert count(workspace, "profiles") == count(workspace, "again") == PROFILES


@pytest.mark.parametrize("version", [duckdb.__version__])
@pytest.mark.parametrize("read_only", [False, True])
def test_duckdb_second(database: Path, version: str, read_only: bool) -> None:
    with Workspace(path=database) as workspace:
        assert workspace.fetch_profiles(progress=False).rows == PROFILES
        # Between its calls, a workspace holds nothing open.
        with connect(database, read_only) as connection:
            assert connection.execute("SELECT count(*) FROM profiles").fetchone() == (PROFILES,), version
            if not read_only:
                connection.execute("CREATE TABLE mine AS FROM range(200_000); CHECKPOINT")
            for call in (
                lambda: workspace.fetch_profiles("again", progress=False),
                lambda: workspace.sql_scalar("SELECT 1"),
                lambda: workspace.tables(),
                lambda: workspace.drop("profiles"),
            ):
                with pytest.raises(DatabaseLockedError) as raised:
                    call()
                assert_names_this_process(raised.value)
        assert workspace.fetch_profiles("again", progress=False).rows == PROFILES
        assert count(workspace, "profiles") == count(workspace, "again") == PROFILES
        assert read_only or count(workspace, "mine") == 200_000


def test_other_paths_of_the_file(filled: Path) -> None:
    names = names_of(filled)
    for opened in names:
        with connect(opened):
            for name in names:
                with pytest.raises(DatabaseLockedError) as raised, Workspace(path=name) as workspace:
                    workspace.sql_scalar("SELECT 1")
                assert_names_this_process(raised.value)


def test_a_plain_file_object(filled: Path) -> None:
    with Workspace(path=filled) as workspace:
        with filled.open("rb"), pytest.raises(DatabaseLockedError) as raised:
            workspace.tables()
        assert_names_this_process(raised.value)
        assert count(workspace, "profiles") == PROFILES


def test_opened_during_a_fetch(filled: Path) -> None:
    connections: list[Any] = []

    def open_once(_progress: object) -> None:
        if not connections:
            connections.append(connect(filled))

    with Workspace(path=filled) as workspace:
        with pytest.raises(DatabaseLockedError) as raised:
            workspace.fetch_profiles("again", progress=False, on_page_complete=open_once, lock_wait=0)
        assert_names_this_process(raised.value)
        assert len(workspace.unfinished_runs()) == 1
        connections[0].execute("CREATE TABLE mine AS FROM range(200_000); CHECKPOINT")
        connections[0].close()
        assert workspace.resume_fetch("again").rows == PROFILES
        assert count(workspace, "mine") == 200_000
        assert workspace.unfinished_runs() == []


def test_closed_by_another_thread(filled: Path) -> None:
    threads: list[threading.Thread] = []

    def open_for_a_while(_progress: object) -> None:
        if not threads:
            connection = connect(filled)
            threads.append(threading.Timer(2, connection.close))
            threads[0].start()

    with Workspace(path=filled) as workspace:
        result = workspace.fetch_profiles("again", parallel=True, progress=False, on_page_complete=open_for_a_while)
        threads[0].join()
        assert result.total_rows == PROFILES
        assert count(workspace, "again") == PROFILES


def test_the_error_is_exported() -> None:
    assert issubclass(DatabaseLockedError, mixpanel_data.MixpanelDataError)
