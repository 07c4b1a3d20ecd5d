"""Requests of fetches, as the native module expects them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

from ._session import day
from .exceptions import InvalidInputError
from .types import FetchResult, IfExists, ParallelFetchResult, ParallelProfileResult

EventResult = FetchResult | ParallelFetchResult
ProfileResult = FetchResult | ParallelProfileResult


def request(**arguments: Any) -> dict[str, Any]:
    """Returns the arguments that are not None, as the native module expects them.

    Raises:
        InvalidInputError: An argument is wrong.
    """
    found = {}
    for name, value in arguments.items():
        if value is not None:
            try:
                found[name] = _CONVERSIONS[name](name, value) if name in _CONVERSIONS else value
            except (AttributeError, OverflowError, TypeError) as error:
                raise InvalidInputError(f"{name} has a wrong value: {error}") from None
    return found


def if_exists_of(if_exists: IfExists | None, append: bool) -> IfExists | None:
    """Combines `if_exists` with `append` of the former package."""
    if not append:
        return if_exists
    if if_exists not in (None, "append"):
        raise InvalidInputError(f"append=True cannot be combined with if_exists={if_exists!r}; leave out `append`")
    return "append"


def _texts(name: str, value: Sequence[str]) -> list[str]:
    """Returns a list of texts; a single text would be taken for a list of characters."""
    if isinstance(value, str):
        raise InvalidInputError(f"{name} is the text {value!r}; pass a list of texts")
    return list(value)


def _if_exists(name: str, value: str) -> str:
    if value not in ("fail", "append", "replace", "upsert"):
        raise InvalidInputError(f"{name} is {value!r}; use fail, append, replace or upsert")
    return value


def _behaviors(name: str, value: str | Sequence[dict[str, Any]]) -> str:
    return value if isinstance(value, str) else json.dumps(list(value))


def _id(name: str, value: str | int) -> str:
    """Returns an id, which may be a number, as text."""
    return str(value)


def _day(name: str, value: str | date) -> str | None:
    return day(value)


def _time(name: str, value: str | date | timedelta) -> str:
    """Returns a time as text. A time without a zone is in UTC, and a timedelta counts back from now."""
    if isinstance(value, timedelta):
        value = datetime.now(timezone.utc) - value
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _seconds(name: str, value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _key(name: str, value: str) -> str:
    """Returns a key; a wrong one must not get into a message."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text")
    return value


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int):
        raise InvalidInputError(f"{name} must be an integer, and is {value!r}")
    if value < 1:
        raise InvalidInputError(f"{name} must be positive, and is {value}")
    return value


_CONVERSIONS: dict[str, Callable[[str, Any], Any]] = {
    "behaviors": _behaviors,
    "cohort_id": _id,
    "distinct_ids": _texts,
    "drop_properties": _texts,
    "events": _texts,
    "from_date": _day,
    "full_every": _seconds,
    "group_id": _id,
    "hash_key": _key,
    "hash_properties": _texts,
    "if_exists": _if_exists,
    "lock_wait": _seconds,
    "max_wait": _seconds,
    "max_workers": _positive,
    "output_properties": _texts,
    "since": _time,
    "to_date": _day,
}
"""How the arguments of these names are checked and expressed in JSON. Others are passed on as they are."""


def profile_result(result: dict[str, Any]) -> ProfileResult:
    """Returns the result of a fetch of profiles."""
    return ParallelProfileResult._from_json(result) if "total_rows" in result else FetchResult._from_json(result)


def event_result(result: dict[str, Any]) -> EventResult:
    """Returns the result of a fetch of events."""
    return ParallelFetchResult._from_json(result) if "total_rows" in result else FetchResult._from_json(result)
