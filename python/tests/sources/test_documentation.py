"""Runs the examples of docs/dlt-and-spark.md as they are printed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from .mixpanel_servers import Router, Simulator

PAGE = Path(__file__).parents[3] / "docs" / "dlt-and-spark.md"

Simulate = Callable[..., Simulator]
Serve = Callable[..., Router]


def sections(title: str) -> list[str]:
    """Returns the sections of the page with this title."""
    text = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [part for part in text if part.startswith(f"{title}\n")]


def blocks(title: str, language: str) -> list[str]:
    """Returns the code of a section of the page."""
    (section,) = sections(title)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


def run(code: str, directory: Path) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYSPARK_PYTHON": sys.executable,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DLT_DATA_DIR": str(directory / "dlt"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(simulate: Simulate, serve: Serve, tmp_path: Path) -> Router:
    """Serves two projects, with the accounts that the page names."""
    small = ("--profiles", "100", "--events", "per-day=100")
    router = serve(simulate(*small), simulate(*small))
    accounts = tmp_path / "home" / "accounts.toml"
    accounts.write_text(accounts.read_text().replace("first", "web").replace("second", "shop"))
    return router


def needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"requires {module}")


def test_dlt(project: Router, tmp_path: Path) -> None:
    needs("dlt", "duckdb", "pyarrow")
    (example,) = blocks("dlt", "python")
    first = run(example, tmp_path)
    assert "App Open" in first
    assert run(example, tmp_path) == first

    config, secrets = blocks("dlt", "toml")
    for name, text in (("config", config), ("secrets", secrets)):
        file = tmp_path / ".dlt" / f"{name}.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace("my-service-account", "simulator").replace("...", "simulator-secret"))
    project.projects["12345"] = project.projects["1002"]
    assert "App Open" in run(example.replace('from_date="7d"', ""), tmp_path)
    assert project.exports()[-1].project == "12345"


def test_the_options_of_spark_are_those_that_the_page_lists() -> None:
    needs("pyspark", "pyarrow")
    from mixpanel_data import spark

    (section,) = sections("Spark")
    (table,) = re.findall(r"^\| Option \|.*\n\|.*\n((?:\|.*\n)+)", section, flags=re.MULTILINE)
    listed = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(spark._OPTIONS)
    assert {*spark._ALIASES.values(), *spark._ONLY_EVENTS, *spark._ONLY_PROFILES} <= set(spark._OPTIONS)
    assert all(f"`{name}`" in (spark.MixpanelDataSource.__doc__ or "") for name in listed)


@pytest.mark.slow
def test_spark(project: Router, tmp_path: Path) -> None:
    needs("pyspark", "pyarrow")
    (example,) = blocks("Spark", "python")
    shown = run(example, tmp_path)
    assert "App Open" in shown and "1001" in shown and "1002" in shown
    assert len(project.exports()) == 6, "once for each project and day"


@pytest.mark.slow
def test_sail(project: Router, tmp_path: Path) -> None:
    needs("pyspark", "pyarrow", "pysail", "grpc")
    (example,) = blocks("Sail", "python")
    assert "App Open" in run(example, tmp_path)
