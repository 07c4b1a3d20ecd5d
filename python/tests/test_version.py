"""The package has the version of the Cargo workspace."""

import tomllib
from pathlib import Path

import mixpanel_data

ROOT = Path(__file__).resolve().parents[2]


def test_the_package_has_the_version_of_the_workspace() -> None:
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert mixpanel_data.__version__ == manifest["workspace"]["package"]["version"]


def test_the_version_is_written_only_in_the_workspace() -> None:
    project = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]
