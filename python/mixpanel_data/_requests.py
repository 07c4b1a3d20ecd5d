"""Requests of fetches, as the native module expects them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from ._session import seconds, without_none
from .exceptions import InvalidInputError
from .types import FetchResult, IfExists, ParallelFetchResult, ParallelProfileResult

EventResult = FetchResult | ParallelFetchResult
ProfileResult = FetchResult | ParallelProfileResult


def texts(name: str, value: Sequence[str] | None) -> list[str] | None:
    """Returns a list of texts; a single text would be taken for a list of characters."""
    if isinstance(value, str):
        raise InvalidInputError(f"{name} is the text {value!r}; pass a list of texts")
    return None if value is None else list(value)


def one_of(name: str, value: str | None, choices: Sequence[str]) -> None:
    """Checks that a text is one of these, or None."""
    if value is not None and value not in choices:
        raise InvalidInputError(f"{name} is {value!r}; use {', '.join(choices[:-1])} or {choices[-1]}")


def if_exists_of(if_exists: IfExists | None, append: bool = False) -> IfExists | None:
    """Checks `if_exists`, and combine it with `append` of earlier versions."""
    one_of("if_exists", if_exists, ("fail", "append", "replace", "upsert"))
    if not append:
        return if_exists
    if if_exists not in (None, "append"):
        raise InvalidInputError(f"append=True cannot be combined with if_exists={if_exists!r}; leave out `append`")
    return "append"


def behaviors_text(value: str | Sequence[dict[str, Any]] | None) -> str | None:
    """Returns behaviors as JSON text."""
    return value if value is None or isinstance(value, str) else json.dumps(list(value))


def profile_filters(
    *,
    where: str | None,
    cohort_id: str | int | None,
    output_properties: Sequence[str] | None,
    distinct_id: str | None,
    distinct_ids: Sequence[str] | None,
    group_id: str | int | None,
    behaviors: str | Sequence[dict[str, Any]] | None,
    as_of_timestamp: int | None,
    include_all_users: bool,
) -> dict[str, Any]:
    """Returns the filters of profiles as a request."""
    return without_none(
        where=where,
        cohort_id=None if cohort_id is None else str(cohort_id),
        output_properties=texts("output_properties", output_properties),
        distinct_id=distinct_id,
        distinct_ids=texts("distinct_ids", distinct_ids),
        group_id=None if group_id is None else str(group_id),
        behaviors=behaviors_text(behaviors),
        as_of_timestamp=as_of_timestamp,
        include_all_users=include_all_users,
    )


def run_options(
    *,
    memory: int | None = None,
    max_wait: float | timedelta | None = None,
    lock_wait: float | timedelta | None = None,
    allow_drift: float | None = None,
    allow_empty: bool = False,
    drop_properties: Sequence[str] | None = None,
    hash_properties: Sequence[str] | None = None,
    hash_key: str | None = None,
) -> dict[str, Any]:
    """Returns the options of a run as a request.

    Args:
        memory: Memory budget of the process in bytes; 400 MB by default, at least 200 MB.
        max_wait: Give up after this long without a new page, in seconds; 24 hours by default.
        lock_wait: How long to wait for another process that has the database open, in seconds.
        allow_drift: Percentage of announced profiles that may be missing; 0.1 by default.
        allow_empty: Whether an empty result may replace a table with rows.
        drop_properties: Properties to drop before anything is stored.
        hash_properties: Properties whose values are replaced by keyed hashes before anything is stored.
        hash_key: The key of these hashes; by default MP_HASH_KEY or the one in the config file.
    """
    return without_none(
        memory=memory,
        max_wait=seconds(max_wait),
        lock_wait=seconds(lock_wait),
        allow_drift=allow_drift,
        allow_empty=allow_empty,
        drop_properties=texts("drop_properties", drop_properties),
        hash_properties=texts("hash_properties", hash_properties),
        hash_key=hash_key,
    )


def workers(max_workers: int | None) -> int | None:
    if max_workers is not None and max_workers < 1:
        raise InvalidInputError(f"max_workers must be positive, and is {max_workers}")
    return max_workers


def given_filters(filters: dict[str, Any] | None) -> dict[str, Any]:
    given = dict(filters or {})
    if "behaviors" in given:
        given["behaviors"] = behaviors_text(given["behaviors"])
    for name in ("cohort_id", "group_id"):
        if given.get(name) is not None:
            given[name] = str(given[name])
    return {name: value for name, value in given.items() if value is not None}


def profile_result(result: dict[str, Any]) -> ProfileResult:
    """Returns the result of a fetch of profiles."""
    return ParallelProfileResult._from_json(result) if "total_rows" in result else FetchResult._from_json(result)


def event_result(result: dict[str, Any]) -> EventResult:
    """Returns the result of a fetch of events."""
    return ParallelFetchResult._from_json(result) if "total_rows" in result else FetchResult._from_json(result)
