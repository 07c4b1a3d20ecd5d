"""The connection to the native module that all parts of a workspace share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from . import _core
from ._arguments import check_unicode, refuse
from ._progress import log, log_messages
from ._wording import in_python
from .exceptions import ConfigError, InvalidInputError, from_core_error

TEMPORARY, EPHEMERAL = "mixpanel-data-", "ephemeral.db"
"""How the directory of a temporary database begins, and the name of its file."""


def is_temporary(path: str) -> bool:
    """Returns whether a database is one that `Workspace.ephemeral` made."""
    directory, name = os.path.split(path)
    return name == EPHEMERAL and os.path.basename(directory).startswith(TEMPORARY)


def without_none(**arguments: Any) -> dict[str, Any]:
    """Returns the arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def encoded(arguments: Mapping[str, Any]) -> str:
    """Returns arguments as JSON.

    Raises:
        InvalidInputError: An argument is nothing that JSON can express.
    """
    for name, value in arguments.items():
        try:
            # Without the escapes that hide text which is not Unicode.
            given = json.dumps(value, allow_nan=False, ensure_ascii=False)
        except TypeError:
            # All other arguments are converted before.
            refuse(name, value, "text")
        except ValueError as error:
            raise InvalidInputError(f"{name} has a wrong value: {error}") from None
        check_unicode(name, given)
    return json.dumps(arguments)


class Connection:
    """A project and a database in the native module."""

    _opened: _core.Session

    def __init__(self, choice: Mapping[str, Any], read_only: bool = False) -> None:
        self._choice = dict(choice)
        self._read_only = read_only
        self._is_deleted = False

    @property
    def core(self) -> _core.Session:
        """The native session, opened at the first use.

        Raises:
            ConfigError: The database was temporary and is deleted.
        """
        if self._is_deleted:
            raise ConfigError("the database of this workspace was temporary and is deleted; open another workspace")
        if not self.is_open:
            text = encoded(self._choice)
            try:
                session = _core.Session.open(text)
            except _core.CoreError as error:
                raise from_core_error(error, text) from None
            # Of several threads that open one, all must use the same, so that `cancel` reaches their work.
            if self.__dict__.setdefault("_opened", session) is session:
                log_messages(json.loads(session.info()))
        return self._opened

    @property
    def is_open(self) -> bool:
        """Whether the native session exists."""
        return "_opened" in self.__dict__

    def delete(self) -> None:
        """Makes every further use an error, so that none creates a temporary database again."""
        self._is_deleted = True

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
        text = encoded(without_none(**arguments))
        try:
            return json.loads(self.core.call(name, text))
        except _core.CoreError as error:
            raise from_core_error(error, text) from None

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

        sent = encoded(request)
        try:
            return json.loads(self.core.fetch(name, sent, receive))
        except _core.CoreError as error:
            raise from_core_error(error, sent) from None

    def __repr__(self) -> str:
        return f"Connection({self._choice.get('path')!r})"
