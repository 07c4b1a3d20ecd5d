"""The connection to the native module that all parts of a workspace share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from . import _core
from ._progress import log
from ._wording import in_python
from .exceptions import ConfigError, InvalidInputError, from_core_error

Day = str | date
"""A day: `2026-11-01`, `today`, `yesterday`, `7d` (seven days ago), or a date."""


def without_none(**arguments: Any) -> dict[str, Any]:
    """Returns the arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def day(value: Day | None) -> str | None:
    """Returns a day as text."""
    if isinstance(value, datetime):
        value = value.date()
    return value.isoformat() if isinstance(value, date) else value


def encoded(arguments: Mapping[str, Any]) -> str:
    """Returns arguments as JSON.

    Raises:
        InvalidInputError: If an argument has a type that JSON cannot express.
    """
    try:
        return json.dumps(arguments)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"an argument has the wrong type: {error}") from None


class Connection:
    """A project and a database in the native module."""

    def __init__(self, choice: Mapping[str, Any], read_only: bool = False) -> None:
        self._choice = dict(choice)
        self._read_only = read_only
        self._session: _core.Session | None = None

    @property
    def core(self) -> _core.Session:
        """The native session, opened at the first use."""
        if self._session is None:
            try:
                self._session = _core.Session.open(encoded(self._choice))
            except _core.CoreError as error:
                raise from_core_error(error) from None
            found = json.loads(self._session.info())
            for kind in ("note", "warning"):
                for message in found[f"{kind}s"]:
                    log({"event": kind, "message": message})
        return self._session

    @property
    def is_open(self) -> bool:
        """Whether the native session exists."""
        return self._session is not None

    @property
    def is_read_only(self) -> bool:
        """Whether everything that changes the database is refused."""
        return self._read_only

    def info(self) -> dict[str, Any]:
        """Returns the project, the account and the path of the database."""
        result: dict[str, Any] = json.loads(self.core.info())
        return result

    def call(self, name: str, **arguments: Any) -> Any:
        """Calls an operation; arguments that are None are left out."""
        try:
            return json.loads(self.core.call(name, encoded(without_none(**arguments))))
        except _core.CoreError as error:
            raise from_core_error(error) from None

    def check_writable(self, what: str) -> None:
        """Raises an error if the workspace is read-only."""
        if self._read_only:
            raise ConfigError(f"this workspace is read-only, so it cannot {what}; make one with `read_only=False`")

    def fetch(self, name: str, request: Mapping[str, Any], listener: Callable[[dict[str, Any]], None]) -> Any:
        """Runs a fetch and passes its events to `listener`."""
        self.check_writable("fetch into a table")
        return self._run(name, request, listener)

    def plan(self, name: str, request: Mapping[str, Any]) -> Any:
        """Estimates a fetch."""
        estimate = self._run(name, request, log)
        return {**estimate, "advice": [in_python(text) for text in estimate["advice"]]}

    def _run(self, name: str, request: Mapping[str, Any], listener: Callable[[dict[str, Any]], None]) -> Any:
        def receive(text: str) -> None:
            listener(json.loads(text))

        try:
            return json.loads(self.core.fetch(name, encoded(request), receive))
        except _core.CoreError as error:
            raise from_core_error(error) from None

    def __repr__(self) -> str:
        return f"Connection({self._choice.get('path')!r})"
