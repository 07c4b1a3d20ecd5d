"""Fixtures: servers, and workspaces that use them."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulator import OPTIONS, Simulator, run_python, start

import mixpanel_data as mp

Simulate = Callable[..., Simulator]


def simulator_of(running: dict[tuple[str, ...], Simulator], *options: str) -> Simulator:
    """Returns the server with these options, started at the first use."""
    if options not in running:
        running[options] = start(*options)
    return running[options]


@pytest.fixture(scope="session")
def simulators() -> Iterator[dict[tuple[str, ...], Simulator]]:
    """The running servers by their options."""
    running: dict[tuple[str, ...], Simulator] = {}
    yield running
    for simulator in running.values():
        simulator.stop()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Python's own handling of SIGINT, here and in children: a shell starts background jobs with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An MP_HOME of the test's own, so that neither accounts nor quotas are those of other tests."""
    for name in [name for name in os.environ if name.startswith("MP_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("MP_HOME", str(home))
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def simulate(
    monkeypatch: pytest.MonkeyPatch, isolated: Path, simulators: dict[tuple[str, ...], Simulator]
) -> Iterator[Simulate]:
    """Makes the test use a server with these options; `fresh` ones are not shared with other tests."""
    own: list[Simulator] = []

    def use(*options: str, fresh: bool = False) -> Simulator:
        if fresh:
            simulator = start(*options)
            own.append(simulator)
        else:
            simulator = simulator_of(simulators, *options)
        for name, value in simulator.variables.items():
            if name != "MP_HOME":
                monkeypatch.setenv(name, value)
        return simulator

    yield use
    for simulator in own:
        simulator.stop()


@pytest.fixture
def ws(simulate: Simulate, tmp_path: Path) -> Iterator[mp.Workspace]:
    """A workspace whose server has 10 pages of profiles and 200 events a day."""
    simulate(*OPTIONS)
    with mp.Workspace(path=tmp_path / "test.db") as workspace:
        yield workspace


@pytest.fixture(scope="session")
def fetched(simulators: dict[tuple[str, ...], Simulator], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with profiles, fetched once, because each fetch takes a second without optimizations."""
    directory = tmp_path_factory.mktemp("fetched")
    variables = {**simulator_of(simulators, *OPTIONS).variables, "MP_HOME": str(directory)}
    code = "import sys, mixpanel_data; mixpanel_data.Workspace(path=sys.argv[1]).fetch_profiles(parallel=True)"
    path: Path = directory / "profiles.db"
    run = run_python(code, str(path), **variables)
    assert run.returncode == 0, run.stderr
    return path


@pytest.fixture(scope="session")
def reader(fetched: Path) -> mp.Workspace:
    """A workspace that all tests share, with profiles. For tests that only read."""
    return mp.Workspace.open(fetched)


@pytest.fixture
def stored(ws: mp.Workspace, fetched: Path) -> mp.Workspace:
    """The workspace of `ws`, with profiles."""
    shutil.copy(fetched, ws.db_path)
    return ws
