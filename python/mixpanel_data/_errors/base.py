"""The base class of all exceptions."""

from __future__ import annotations

from typing import Any, Self, TypeVar

PUBLIC_MODULE = "mixpanel_data.exceptions"

ErrorType = TypeVar("ErrorType", bound="MixpanelDataError")


def _rebuild(kind: type[ErrorType], message: str, state: dict[str, Any]) -> ErrorType:
    # Without the constructor, whose parameters differ between the classes.
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class MixpanelDataError(Exception):
    """Base class of all exceptions of this package.

    Args:
        message: What failed and why.
        code: Stable code, such as `TABLE_EXISTS`.
        details: Further facts, which `json.dumps` accepts.
    """

    _default_code = "UNKNOWN_ERROR"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # The name in tracebacks and pickles, so that they do not depend on the private modules.
        if cls.__module__.startswith(__package__):
            cls.__module__ = PUBLIC_MODULE

    def __init__(self, message: str, code: str | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self._code = self._default_code if code is None else code
        self._details: dict[str, Any] = {} if details is None else details
        self._run_id: str | None = None
        self._hint: str | None = None

    @property
    def message(self) -> str:
        """What failed and why."""
        return str(self.args[0]) if self.args else ""

    @property
    def code(self) -> str:
        """Stable code, such as `TABLE_EXISTS`."""
        return self._code

    @property
    def details(self) -> dict[str, Any]:
        """Further facts, which `json.dumps` accepts."""
        return self._details

    @property
    def run_id(self) -> str | None:
        """The unfinished run whose pages are on disk; `Workspace.resume_fetch` resumes it."""
        return self._run_id

    @property
    def hint(self) -> str | None:
        """What to do about it, also shown below the traceback."""
        return self._hint

    def to_dict(self) -> dict[str, Any]:
        """Returns `code`, `message` and `details`."""
        return {"code": self.code, "message": self.message, "details": self.details}

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}(message={self.message!r}, code={self.code!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))

    @classmethod
    def _of_core(cls, message: str, code: str, details: dict[str, Any]) -> Self:
        error = cls.__new__(cls, message)
        MixpanelDataError.__init__(error, message, code, details)
        return error

    def _text(self, name: str) -> str:
        return str(self._details.get(name, ""))

    def _number(self, name: str) -> int | None:
        value = self._details.get(name)
        return None if value is None else int(value)


MixpanelDataError.__module__ = PUBLIC_MODULE
