"""Shows the progress of a fetch."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from ._wording import in_python

logger = logging.getLogger("mixpanel_data")

LONG_WAIT = 10.0
"""Seconds from which a wait is a warning: callers without a progress bar would take it for a hang."""

_LOGGED = ("warning", "note", "retry", "split", "waiting", "database_busy")


class Display(Protocol):
    """Shows the events of a fetch."""

    def show(self, event: Mapping[str, Any]) -> None:
        """Shows an event."""

    def apart(self, event: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Keeps what the log says about an event apart from what is shown."""

    def close(self) -> None:
        """Removes what is shown."""


class Nothing:
    """Shows nothing."""

    def show(self, event: Mapping[str, Any]) -> None:
        """Ignores the event."""

    def apart(self, event: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Does nothing."""
        return nullcontext()

    def close(self) -> None:
        """Does nothing."""


def display(wanted: bool, what: str) -> Display:
    """Returns a tqdm bar if tqdm is installed, else plain lines on a terminal, else nothing."""
    if not wanted:
        return Nothing()
    in_notebook = "ipykernel" in sys.modules
    if not in_notebook and not is_terminal(sys.stderr):
        return Nothing()
    try:
        with warnings.catch_warnings():
            # Without ipywidgets, tqdm warns and shows a bar of text, which is all that is needed.
            warnings.filterwarnings("ignore", message="IProgress not found")
            from tqdm.auto import tqdm
    except ImportError:
        return Lines(what) if not in_notebook else Nothing()
    try:
        return Bar(tqdm(desc=what, unit=" rows", unit_scale=True))
    except (OSError, ValueError):
        # The terminal cannot be written to.
        return Nothing()


class Bar:
    """Shows the rows and the state in a bar of tqdm."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._done = 0
        self._total: int | None = None

    def show(self, event: Mapping[str, Any]) -> None:
        """Updates the bar."""
        kind = event["event"]
        if kind == "planned" and event["expected_rows"] is not None:
            self._bar.total = event["expected_rows"]
            self._bar.refresh()
        elif kind in ("page", "batch"):
            # A resumed run begins with the rows that it already has.
            self._bar.update(event["cumulative_rows"] - self._bar.n)
            if kind == "batch":
                self._done += 1
                self._bar.set_postfix_str(f"{self._done}/{event['total_batches']} date ranges")
        elif (text := state_of(event)) is not None:
            self._bar.set_postfix_str(text)

    def apart(self, event: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Removes the bar while the log may write a line."""
        shown: AbstractContextManager[object] = self._bar.external_write_mode()
        return shown if event["event"] in _LOGGED else nullcontext()

    def close(self) -> None:
        """Closes the bar."""
        self._bar.set_postfix_str("")
        self._bar.close()


class Lines(Nothing):
    """Shows one line per page or date range, which stays."""

    def __init__(self, what: str) -> None:
        self._what = what

    def show(self, event: Mapping[str, Any]) -> None:
        """Prints a line."""
        kind = event["event"]
        if kind == "page":
            total = event["total_pages"]
            number = f"page {event['page_index'] + 1}" + (f" of {total}" if total is not None else "")
            self._print(f"{number}: {event['cumulative_rows']:,} profiles so far")
        elif kind == "batch":
            self._print(f"{event['from_date']} to {event['to_date']}: {event['cumulative_rows']:,} events so far")
        elif (text := state_of(event)) is not None and text:
            self._print(text)

    def _print(self, text: str) -> None:
        print(f"{self._what}: {text}", file=sys.stderr)


def is_terminal(stream: Any) -> bool:
    """Returns whether a stream is a terminal. One that is closed, missing or a stand-in is none."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):
        return False


def state_of(event: Mapping[str, Any]) -> str | None:
    """Returns a description of an event that is not about finished records; None if it changes nothing."""
    match event["event"]:
        case "waiting":
            return f"waiting {event['pause']:.0f} s: {event['reason']}"
        case "database_busy":
            return f"waiting for the database: {event['reason']}"
        case "loading":
            return f"loading {event['rows']:,} rows"
        case "restarted":
            return f"starting again: {event['reason']}"
        case "resumed":
            return ""
        case _:
            return None


def log(event: Mapping[str, Any]) -> None:
    """Passes an event on to the logger `mixpanel_data`."""
    match event["event"]:
        case "warning":
            logger.warning("%s", in_python(event["message"]))
        case "note":
            logger.info("%s", in_python(event["message"]))
        case "retry" | "split":
            logger.debug("%s; %s", event["reason"], "retrying" if event["event"] == "retry" else "fetching in parts")
        case "waiting":
            level = logging.WARNING if event["pause"] >= LONG_WAIT else logging.INFO
            logger.log(level, "waiting %.1f s: %s", event["pause"], event["reason"])
        case "database_busy":
            logger.warning("waiting up to %.0f s for the database: %s", event["at_most"], event["reason"])
        case _:
            pass


def log_messages(found: Mapping[str, Any]) -> None:
    """Passes the notes and warnings of a result on to the logger."""
    for kind in ("note", "warning"):
        for message in found[f"{kind}s"]:
            log({"event": kind, "message": message})


def warn_of_rejects(result: Mapping[str, Any]) -> None:
    """Logs a warning if records of a fetch are not in its table."""
    if rejected := result.get("rejected"):
        records = "1 record was" if rejected == 1 else f"{rejected:,} records were"
        logger.warning("%s rejected; see the table _rejects, run_id %s", records, result.get("run_id"))
