"""Fixtures of the sources for dlt and Spark."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from .mixpanel_servers import Router, Simulator

ACCOUNTS = """\
default = "first"

[accounts.first]
username = "simulator"
secret = "simulator-secret"
project_id = "1001"
region = "us"

[accounts.second]
username = "simulator"
secret = "simulator-secret"
project_id = "1002"
region = "us"
"""


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    """Starts simulators, and stops them after the test."""
    started: list[Simulator] = []

    def start(*options: str) -> Simulator:
        started.append(Simulator(*options))
        return started[-1]

    yield start
    for simulator in started:
        simulator.stop()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Router]]:
    """Serves simulators as the projects 1001 and 1002 of the accounts `first` and `second`."""
    home = tmp_path / "home"
    home.mkdir()
    accounts = home / "accounts.toml"
    accounts.write_text(ACCOUNTS)
    accounts.chmod(0o600)
    for name in [name for name in os.environ if name.startswith("MP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MP_HOME", str(home))
    routers: list[Router] = []

    def start(*simulators: Simulator) -> Router:
        routers.append(Router({str(1001 + at): simulator for at, simulator in enumerate(simulators)}))
        monkeypatch.setenv("MP_BASE_URL", routers[-1].address)
        return routers[-1]

    yield start
    for router in routers:
        router.stop()
