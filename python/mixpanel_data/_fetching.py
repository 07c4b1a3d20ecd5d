"""Fetches into tables, and unfinished runs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal, Unpack, overload

from ._arguments import Day, boolean, day
from ._options import (
    BatchCallback,
    EventFetchOptions,
    PageCallback,
    ProfileFetchOptions,
    RunOptions,
    check_names,
)
from ._progress import display, log, warn_of_rejects
from ._requests import EventResult, ProfileResult, check_since_day, check_since_time, if_exists_of, request
from ._session import Connection
from .types import (
    BatchProgress,
    FetchResult,
    IfExists,
    ParallelFetchResult,
    ParallelProfileResult,
    ProfileProgress,
)


class Fetcher:
    """The methods of a workspace that fetch into tables."""

    _connection: Connection

    def _fetch(
        self,
        name: str,
        arguments: dict[str, Any],
        progress: bool,
        on_page: PageCallback | None,
        on_batch: BatchCallback | None,
    ) -> Any:
        is_shown = boolean("progress", progress)
        # What opening the session writes to the log comes before the bar.
        _ = self._connection.core
        shown = display(is_shown, arguments.get("table") or name)

        def listen(event: dict[str, Any]) -> None:
            with shown.apart(event):
                log(event)
            # A terminal that is closed must not keep the event from the callback.
            with suppress(OSError, ValueError):
                shown.show(event)
            if event["event"] == "page" and on_page is not None:
                on_page(ProfileProgress._from_json(event))
            elif event["event"] == "batch" and on_batch is not None:
                on_batch(BatchProgress._from_json(event))

        try:
            result = self._connection.fetch(name, arguments, listen)
        finally:
            with suppress(OSError, ValueError):
                shown.close()
        for each in result.get("results", [result]):
            warn_of_rejects(each)
        return result

    @overload
    def fetch_profiles(
        self, name: str = ..., *, parallel: Literal[True], **options: Unpack[ProfileFetchOptions]
    ) -> ParallelProfileResult: ...
    @overload
    def fetch_profiles(
        self, name: str = ..., *, parallel: Literal[False] = ..., **options: Unpack[ProfileFetchOptions]
    ) -> FetchResult: ...
    @overload
    def fetch_profiles(
        self, name: str = ..., *, parallel: bool, **options: Unpack[ProfileFetchOptions]
    ) -> ProfileResult: ...
    def fetch_profiles(
        self,
        name: str = "profiles",
        *,
        where: str | None = None,
        cohort_id: str | int | None = None,
        output_properties: Iterable[str] | None = None,
        progress: bool = True,
        append: bool = False,
        batch_size: int = 1000,
        distinct_id: str | None = None,
        distinct_ids: Iterable[str] | None = None,
        group_id: str | int | None = None,
        behaviors: str | Iterable[dict[str, Any]] | None = None,
        as_of_timestamp: int | None = None,
        include_all_users: bool = False,
        parallel: bool = False,
        max_workers: int | None = None,
        on_page_complete: PageCallback | None = None,
        if_exists: IfExists | None = None,
        since: str | datetime | timedelta | None = None,
        full_every: float | timedelta | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        **options: Unpack[RunOptions],
    ) -> ProfileResult:
        """Fetches user profiles into a table.

        Pages are staged beside the database as they arrive, and one transaction loads them all. Interrupted, the fetch
        keeps what has arrived; `resume_fetch` fetches the rest.

        Args:
            name: The table.
            where: A filter in Mixpanel's expression language.
            cohort_id: The id of a saved cohort.
            output_properties: Only these properties.
            progress: Whether to show a progress bar, on a terminal or in a notebook.
            append: The same as `if_exists="append"`.
            batch_size: Has no effect; accepted because the former package had it.
            distinct_id: Only the profile with this id.
            distinct_ids: Only the profiles with these ids.
            group_id: Profiles of this group: the numeric data group id.
            behaviors: Conditions on events, as Mixpanel's API expects them; requires `where`.
            as_of_timestamp: Where the windows of `behaviors` end, in seconds since 1970.
            include_all_users: With a cohort: also list members without a profile.
            parallel: Request several pages at a time.
            max_workers: How many, 1 to 5; larger numbers count as 5.
            on_page_complete: Called in this thread for each page, in order of completion. An exception is reported by
                `sys.unraisablehook` and does not affect the fetch; `KeyboardInterrupt` and `SystemExit` stop it.
            if_exists: What to do if the table exists: fail (default), append, replace or upsert.
            since: Fetch only profiles seen since then and upsert them: a time, a timedelta before now, or `"last"`,
                the last load of the table, which always upserts.
            full_every: With `since="last"`: replace the whole table if the load that created it is older, in seconds.
            page_size: Profiles per page to request, up to 40,000.
            limit: Fetch only a sample of at most this many.
            **options: See `mixpanel_data.RunOptions`.

        Returns:
            A `ParallelProfileResult` if `parallel`, else a `FetchResult`.

        Raises:
            InvalidInputError: An argument is wrong; nothing was requested.
            TableExistsError: The table exists, and `if_exists` is not set.
            IncompleteError: A replacement lacks pages; the old table is unchanged.
            MixpanelDataError: Nothing was loaded. If `run_id` is set, `resume_fetch(run_id=...)` continues.
        """
        check_names("fetch_profiles", options, RunOptions)
        chosen = if_exists_of(if_exists, append)
        check_since_time(since, chosen)
        arguments = request(
            table=name,
            where=where,
            cohort_id=cohort_id,
            output_properties=output_properties,
            distinct_id=distinct_id,
            distinct_ids=distinct_ids,
            group_id=group_id,
            behaviors=behaviors,
            as_of_timestamp=as_of_timestamp,
            include_all_users=include_all_users,
            batch_size=batch_size,
            parallel=parallel,
            max_workers=max_workers,
            if_exists=chosen,
            since=since,
            full_every=full_every,
            page_size=page_size,
            limit=limit,
            **options,
        )
        result = self._fetch("profiles", arguments, progress, on_page_complete, None)
        return ParallelProfileResult._from_json(result) if arguments["parallel"] else FetchResult._from_json(result)

    @overload
    def fetch_events(
        self, name: str = ..., *, parallel: Literal[True], **options: Unpack[EventFetchOptions]
    ) -> ParallelFetchResult: ...
    @overload
    def fetch_events(
        self, name: str = ..., *, parallel: Literal[False] = ..., **options: Unpack[EventFetchOptions]
    ) -> FetchResult: ...
    @overload
    def fetch_events(
        self, name: str = ..., *, parallel: bool, **options: Unpack[EventFetchOptions]
    ) -> EventResult: ...
    def fetch_events(
        self,
        name: str = "events",
        *,
        from_date: Day | None = None,
        to_date: Day | None = None,
        events: Iterable[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        progress: bool = True,
        append: bool = False,
        batch_size: int = 1000,
        parallel: bool = False,
        max_workers: int | None = None,
        on_batch_complete: BatchCallback | None = None,
        chunk_days: int | None = None,
        if_exists: IfExists | None = None,
        since: Day | None = None,
        dedupe: Literal["exact", "day", "none"] | None = None,
        time_zone: str | None = None,
        refresh_days: int | None = None,
        **options: Unpack[RunOptions],
    ) -> EventResult:
        """Fetches the events of a range of days into a table.

        Args:
            name: The table.
            from_date: The first day, in the project's time zone: a date, `"today"`, `"yesterday"`, or `"7d"` for seven
                days ago. Required unless `since` is set.
            to_date: The last day, inclusive.
            events: Only events with these names.
            where: A filter in Mixpanel's expression language.
            limit: Fetch only a sample of at most this many events, 1 to 100,000.
            progress: Whether to show a progress bar, on a terminal or in a notebook.
            append: The same as `if_exists="append"`.
            batch_size: Has no effect; accepted because the former package had it.
            parallel: Request several date ranges at a time. Otherwise, at most 100 days.
            max_workers: How many; 10 by default.
            on_batch_complete: Called in this thread for each date range, as `on_page_complete` of `fetch_profiles`.
            chunk_days: Days per request, 1 to 100; by default as the quota and the size of the days allow.
            if_exists: What to do if the table exists: fail (default), append or replace.
            since: Fetch all days since this one and replace them: a day, or `"last"`, the days that may have changed
                since the table was loaded. Not with `from_date`, `to_date` or `if_exists`.
            dedupe: Which of several events with one identity are kept: `"exact"` (default), `"day"` or `"none"`.
            time_zone: The time zone of the project, such as `"Europe/Lisbon"`; by default that of the table, else UTC.
            refresh_days: Days after which a day counts as settled.
            **options: See `mixpanel_data.RunOptions`.

        Returns:
            A `ParallelFetchResult` if `parallel`, else a `FetchResult`.

        Raises:
            InvalidInputError: An argument is wrong; nothing was requested.
            DateRangeTooLargeError: More than 100 days without `parallel`.
            TableExistsError: The table exists, and neither `if_exists` nor `since` is set.
            IncompleteError: A replacement lacks date ranges; the old table is unchanged.
            MixpanelDataError: Nothing was loaded. If `run_id` is set, `resume_fetch(run_id=...)` continues.
        """
        check_names("fetch_events", options, RunOptions)
        chosen = if_exists_of(if_exists, append)
        check_since_day(since, from_date=from_date, to_date=to_date, if_exists=chosen)
        arguments = request(
            table=name,
            from_date=from_date,
            to_date=to_date,
            events=events,
            where=where,
            limit=limit,
            batch_size=batch_size,
            parallel=parallel,
            max_workers=max_workers,
            chunk_days=chunk_days,
            if_exists=chosen,
            since=None if since is None else day("since", since),
            dedupe=dedupe,
            time_zone=time_zone,
            refresh_days=refresh_days,
            **options,
        )
        result = self._fetch("events", arguments, progress, None, on_batch_complete)
        return ParallelFetchResult._from_json(result) if arguments["parallel"] else FetchResult._from_json(result)
