"""Runs `mp simulate`, a server on this machine that answers as Mixpanel does."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import mixpanel_data

PACKAGE_ROOT = Path(mixpanel_data.__file__).parent.parent
"""The directory from which child processes import the package."""

TODAY = "2026-11-20"
FIRST_DAY, LAST_DAY = "2026-11-18", "2026-11-19"
PAGE_SIZE = 100
PAGES = 10
PROFILES = 950
OPTIONS = (
    "--profiles", str(PROFILES), "--page-size", str(PAGE_SIZE), "--active", "0", "--today", TODAY,
    "--events", "per-day=200 clean",
)  # fmt: skip
"""The options of most tests: 10 pages, and 200 events a day."""

START_TIMEOUT = 10


@dataclass
class Simulator:
    """A running server, and the variables that make the package use it."""

    process: subprocess.Popen[str]
    variables: dict[str, str]

    def stop(self) -> None:
        """Stops the server."""
        self.process.terminate()
        try:
            self.process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(*options: str) -> Simulator:
    """Starts a server without a limit on requests."""
    return start_limited("--quota", "off", "--export-quota", "off", *options)


def start_limited(*options: str) -> Simulator:
    """Starts a server on a free port, with Mixpanel's limits on requests."""
    program = shutil.which("mp")
    assert program is not None, "the command mp is not in PATH"
    command = [program, "simulate", "--addr", "127.0.0.1:0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    variables: dict[str, str] = {}
    for line in process.stdout:
        words = shlex.split(line, comments=True)
        if words and words[0] == "export":
            variables.update((name, value) for name, _, value in (word.partition("=") for word in words[1:]))
        if "MP_BASE_URL" in variables and len(variables) >= 6:
            return Simulator(process, variables)
    raise AssertionError(f"{command} printed only {variables}")


def requests() -> int:
    """Returns how many requests the server of the current test has received."""
    with urllib.request.urlopen(f"{os.environ['MP_BASE_URL']}/_sim/stats") as response:
        counts = json.load(response)
    return int(counts["requests"]) + int(counts["export"]["requests"])


def child_environment(**changes: str) -> dict[str, str]:
    """Returns the environment of a child process that imports the package."""
    paths = [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
    # Safe: the working directory may hold the package without its native module.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1", **changes}


def run_python(code: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a child process to its end."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=child_environment(**changes), capture_output=True, text=True, timeout=60)
