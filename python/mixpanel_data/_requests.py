"""Requests of fetches and of statistics, as the native module expects them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from . import _arguments
from .exceptions import InvalidInputError
from .types import FetchResult, IfExists, ParallelFetchResult, ParallelProfileResult

EventResult = FetchResult | ParallelFetchResult
ProfileResult = FetchResult | ParallelProfileResult

_IF_EXISTS = ("fail", "append", "replace", "upsert")


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
            except InvalidInputError:
                raise
            except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
                raise InvalidInputError(f"{name} has a wrong value: {error}") from None
    return found


def if_exists_of(if_exists: IfExists | None, append: bool) -> IfExists | None:
    """Combines `if_exists` with `append` of the former package."""
    chosen = None if if_exists is None else cast("IfExists", _if_exists("if_exists", if_exists))
    if not _arguments.boolean("append", append):
        return chosen
    if chosen not in (None, "append"):
        raise InvalidInputError(f"append=True cannot be combined with if_exists={chosen!r}; leave out `append`")
    return "append"


def check_since_day(since: object, **others: object) -> None:
    """Checks the arguments of a fetch that replaces the days since one.

    Raises:
        InvalidInputError: Another argument would have no effect.
    """
    for name, value in others.items():
        if since is not None and value is not None:
            raise InvalidInputError(f"since cannot be combined with {name}; leave out one of them")


def check_since_time(since: object, if_exists: IfExists | None) -> None:
    """Checks the arguments of a fetch of the profiles that were seen since a time.

    Raises:
        InvalidInputError: `if_exists` would have no effect.
    """
    if isinstance(since, str) and since == "last" and if_exists not in (None, "upsert"):
        advice = "leave it out, or pass a time as `since`"
        raise InvalidInputError(f'since="last" cannot be combined with if_exists={if_exists!r}; {advice}')


def _if_exists(name: str, value: object) -> str:
    return _arguments.one_of(name, value, _IF_EXISTS)


def _dedupe(name: str, value: object) -> str:
    return _arguments.one_of(name, value, _arguments.DEDUPE)


_CONVERSIONS: dict[str, Callable[[str, Any], Any]] = {
    "accept_partial": _arguments.boolean,
    "allow_drift": _arguments.number,
    "allow_empty": _arguments.boolean,
    "as_of_timestamp": _arguments.integer,
    "batch_size": _arguments.integer,
    "behaviors": _arguments.behaviors,
    "buckets": _arguments.some(_arguments.integer_list, "the default buckets"),
    "chunk_days": _arguments.integer,
    "cohort_id": _arguments.identifier,
    "dedupe": _dedupe,
    "distinct_ids": _arguments.text_list,
    "drop_properties": _arguments.text_list,
    "events": _arguments.some(_arguments.text_list, "all events"),
    "from_date": _arguments.day,
    "full_every": _arguments.seconds,
    "group_id": _arguments.identifier,
    "hash_key": _arguments.hidden_text,
    "hash_properties": _arguments.text_list,
    "if_exists": _if_exists,
    "include_all_users": _arguments.boolean,
    "limit": _arguments.integer,
    "lock_wait": _arguments.seconds,
    "max_wait": _arguments.seconds,
    "max_workers": _arguments.positive,
    "memory": _arguments.integer,
    "output_properties": _arguments.some(_arguments.text_list, "all properties"),
    "page_size": _arguments.integer,
    "parallel": _arguments.boolean,
    "percentiles": _arguments.some(_arguments.number_list, "the default percentiles"),
    "properties": _arguments.text_list,
    "raw": _arguments.boolean,
    "refresh_days": _arguments.integer,
    "replace_newer": _arguments.boolean,
    "since": _arguments.point_in_time,
    "to_date": _arguments.day,
    "top_n": _arguments.integer,
}
"""How the arguments of these names are checked and expressed in JSON. Others are passed on as they are."""


def profile_result(result: dict[str, Any]) -> ProfileResult:
    """Returns the result of a fetch of profiles."""
    return ParallelProfileResult._from_json(result) if "total_rows" in result else FetchResult._from_json(result)


def event_result(result: dict[str, Any]) -> EventResult:
    """Returns the result of a fetch of events."""
    return ParallelFetchResult._from_json(result) if "total_rows" in result else FetchResult._from_json(result)
