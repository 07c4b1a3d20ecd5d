"""The keyword arguments that several methods share, as types for type checkers and editors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from ._arguments import Day
    from .types import BatchProgress, IfExists, ProfileProgress

PageCallback = Callable[["ProfileProgress"], object]
BatchCallback = Callable[["BatchProgress"], object]


class RunOptions(TypedDict, total=False):
    """Options of all fetches, as keyword arguments.

    Attributes:
        memory: Memory budget of the process in bytes; 400 MB by default, at least 200 MB.
        max_wait: Give up after this long without a new page, in seconds; 24 hours by default.
        lock_wait: How long to wait for another process that has the database open, in seconds.
        allow_drift: Percentage of announced profiles that may be missing; 0.1 by default.
        allow_empty: Whether an empty result may replace a table with rows.
        drop_properties: Properties to drop before anything is stored.
        hash_properties: Properties whose values are replaced by keyed hashes before anything is stored.
        hash_key: The key of these hashes; by default MP_HASH_KEY or the one in the config file.
    """

    memory: int | None
    max_wait: float | timedelta | None
    lock_wait: float | timedelta | None
    allow_drift: float | None
    allow_empty: bool
    drop_properties: Iterable[str] | None
    hash_properties: Iterable[str] | None
    hash_key: str | None


class ProfileFilters(TypedDict, total=False):
    """Which profiles are fetched."""

    where: str | None
    cohort_id: str | int | None
    output_properties: Iterable[str] | None
    distinct_id: str | None
    distinct_ids: Iterable[str] | None
    group_id: str | int | None
    behaviors: str | Iterable[dict[str, Any]] | None
    as_of_timestamp: int | None
    include_all_users: bool


class ProfileStreamOptions(ProfileFilters, RunOptions, total=False):
    """See `Workspace.stream_profiles`."""

    max_workers: int | None
    limit: int | None
    since: str | datetime | timedelta | None


class ProfilePlanOptions(ProfileStreamOptions, total=False):
    """See `Workspace.plan_profiles`."""

    page_size: int | None


class ProfileFetchOptions(ProfilePlanOptions, total=False):
    """See `Workspace.fetch_profiles`."""

    progress: bool
    append: bool
    batch_size: int
    on_page_complete: PageCallback | None
    if_exists: IfExists | None
    full_every: float | timedelta | None


class EventStreamOptions(RunOptions, total=False):
    """See `Workspace.stream_events`."""

    events: Iterable[str] | None
    where: str | None
    limit: int | None
    max_workers: int | None
    chunk_days: int | None
    time_zone: str | None


class EventPlanOptions(EventStreamOptions, total=False):
    """See `Workspace.plan_events`."""

    dedupe: Literal["exact", "day", "none"] | None
    refresh_days: int | None


class EventFetchOptions(EventPlanOptions, total=False):
    """See `Workspace.fetch_events`."""

    from_date: Day | None
    to_date: Day | None
    progress: bool
    append: bool
    batch_size: int
    on_batch_complete: BatchCallback | None
    if_exists: IfExists | None
    since: Day | None


def check_names(method: str, given: Mapping[str, object], known: type) -> None:
    """Checks that a method has keyword arguments of these names, as Python does itself for named parameters.

    Raises:
        TypeError: It does not.
    """
    unknown = [name for name in given if name not in known.__annotations__]
    if unknown:
        from difflib import get_close_matches

        from .workspace import Workspace

        code = getattr(Workspace, method).__code__
        parameters = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        similar = get_close_matches(unknown[0], [*parameters, *known.__annotations__], 1)
        advice = f". Did you mean {similar[0]!r}?" if similar else ""
        raise TypeError(f"{method}() got an unexpected keyword argument {unknown[0]!r}{advice}")
