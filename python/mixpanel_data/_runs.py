"""Updates of tables, and unfinished runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal, Unpack

from ._arguments import Day, options as options_of
from ._fetching import Fetcher
from ._options import (
    BatchCallback,
    EventPlanOptions,
    PageCallback,
    ProfileFilters,
    ProfilePlanOptions,
    RunOptions,
    check_names,
)
from ._requests import EventResult, ProfileResult, event_result, profile_result, request
from .exceptions import InvalidInputError
from .types import EventEstimate, FetchEstimate, IfExists, UnfinishedRun


class Runs(Fetcher):
    """The methods of a workspace that update tables and continue runs."""

    def refresh_profiles(
        self,
        name: str = "profiles",
        *,
        progress: bool = True,
        parallel: bool = False,
        max_workers: int | None = None,
        full_every: float | timedelta | None = None,
        page_size: int | None = None,
        on_page_complete: PageCallback | None = None,
        filters: ProfileFilters | None = None,
        **options: Unpack[RunOptions],
    ) -> ProfileResult:
        """Brings a table of profiles up to date: resumes, fetches what changed, or fetches everything.

        Args:
            name: The table.
            progress: Whether to show a progress bar.
            parallel: Request several pages at a time.
            max_workers: How many, 1 to 5.
            full_every: Replace the whole table if the load that created it is older, in seconds.
            page_size: Profiles per page to request.
            on_page_complete: Called in this thread for each page.
            filters: Those with which the table was loaded, such as `{"where": ...}`.
            **options: See `mixpanel_data.RunOptions`.
        """
        check_names("refresh_profiles", options, RunOptions)
        chosen = {} if filters is None else options_of("filters", filters)
        check_names("refresh_profiles", chosen, ProfileFilters)
        arguments = request(
            table=name,
            parallel=parallel,
            max_workers=max_workers,
            full_every=full_every,
            page_size=page_size,
            **chosen,
            **options,
        )
        return profile_result(self._fetch("refresh_profiles", arguments, progress, on_page_complete, None))

    def refresh_events(
        self,
        name: str = "events",
        *,
        from_date: Day | None = None,
        events: Iterable[str] | None = None,
        where: str | None = None,
        progress: bool = True,
        parallel: bool = False,
        max_workers: int | None = None,
        chunk_days: int | None = None,
        dedupe: Literal["exact", "day", "none"] | None = None,
        time_zone: str | None = None,
        refresh_days: int | None = None,
        on_batch_complete: BatchCallback | None = None,
        **options: Unpack[RunOptions],
    ) -> EventResult:
        """Brings a table of events up to date: resumes, or replaces the days that may have changed since the last load.

        Args:
            name: The table.
            from_date: The first day, if the table does not exist.
            events: The names with which the table was loaded.
            where: The filter with which the table was loaded.
            progress: Whether to show a progress bar.
            parallel: Request several date ranges at a time.
            max_workers: How many; 10 by default.
            chunk_days: Days per request.
            dedupe: The rule with which the table was loaded.
            time_zone: The time zone of the project.
            refresh_days: Days after which a day counts as settled.
            on_batch_complete: Called in this thread for each date range.
            **options: See `mixpanel_data.RunOptions`.
        """
        check_names("refresh_events", options, RunOptions)
        arguments = request(
            table=name,
            from_date=from_date,
            events=events,
            where=where,
            parallel=parallel,
            max_workers=max_workers,
            chunk_days=chunk_days,
            dedupe=dedupe,
            time_zone=time_zone,
            refresh_days=refresh_days,
            **options,
        )
        return event_result(self._fetch("refresh_events", arguments, progress, None, on_batch_complete))

    def resume_fetch(
        self,
        table: str | None = None,
        *,
        run_id: str | None = None,
        progress: bool = True,
        parallel: bool = False,
        max_workers: int | None = None,
        if_exists: IfExists | None = None,
        accept_partial: bool = False,
        replace_newer: bool = False,
        on_page_complete: PageCallback | None = None,
        on_batch_complete: BatchCallback | None = None,
        **options: Unpack[RunOptions],
    ) -> ProfileResult | EventResult:
        """Resumes an unfinished run: requests what is missing, then loads.

        Args:
            table: The newest unfinished run of this table; by default, the newest of all.
            run_id: This run; with `table`, it must be a run of that table.
            progress: Whether to show a progress bar.
            parallel: Request several pages or date ranges at a time, even if the run did not.
            max_workers: How many.
            if_exists: What to do if the table exists, instead of what the run was started with.
            accept_partial: Load what is on disk without requesting the rest.
            replace_newer: Load the run even if its table was loaded after it began, so that older records may replace
                newer ones.
            on_page_complete: Called in this thread for each page.
            on_batch_complete: Called in this thread for each date range.
            **options: See `mixpanel_data.RunOptions`.

        Raises:
            RunNotFoundError: There is no such run.
            RunBusyError: Another process is working on it.
            InvalidInputError: An argument is wrong, or the run is one of another table.
        """
        check_names("resume_fetch", options, RunOptions)
        arguments = request(
            table=table,
            run_id=run_id,
            parallel=parallel,
            max_workers=max_workers,
            if_exists=if_exists,
            accept_partial=accept_partial,
            replace_newer=replace_newer,
            **options,
        )
        if table is not None and run_id is not None:
            self._check_table(table, run_id)
        result = self._fetch("resume", arguments, progress, on_page_complete, on_batch_complete)
        return event_result(result) if "failed_date_ranges" in result else profile_result(result)

    def _check_table(self, table: str, run_id: str) -> None:
        """Checks that a run, if there is one, is a run of this table."""
        for run in self.unfinished_runs():
            if run.run_id == run_id and run.table not in (None, table):
                raise InvalidInputError(f"run_id {run_id} is a run of table {run.table!r}, and table is {table!r}")

    def plan_profiles(
        self, name: str = "profiles", *, parallel: bool = False, **options: Unpack[ProfilePlanOptions]
    ) -> FetchEstimate:
        """Estimates a fetch of profiles, by requesting page 0, which the fetch then reuses.

        Args:
            name: The table.
            parallel: Whether the fetch would request several pages at a time.
            **options: Filters, `page_size` and others as for `fetch_profiles`.
        """
        check_names("plan_profiles", options, ProfilePlanOptions)
        self._connection.check_writable("keep the page that an estimate requests")
        arguments = request(table=name, parallel=parallel, **options)
        return FetchEstimate._from_json(self._connection.plan("plan_profiles", arguments))

    def plan_events(
        self,
        name: str = "events",
        *,
        from_date: Day,
        to_date: Day,
        parallel: bool = True,
        **options: Unpack[EventPlanOptions],
    ) -> EventEstimate:
        """Estimates a fetch of events. Sends no request.

        Args:
            name: The table.
            from_date: The first day.
            to_date: The last day.
            parallel: Whether the fetch would request several date ranges at a time.
            **options: `events`, `where`, `chunk_days`, `dedupe` and others as for `fetch_events`.
        """
        check_names("plan_events", options, EventPlanOptions)
        arguments = request(table=name, from_date=from_date, to_date=to_date, parallel=parallel, **options)
        return EventEstimate._from_json(self._connection.plan("plan_events", arguments))

    def unfinished_runs(self) -> list[UnfinishedRun]:
        """Returns the unfinished runs of the database, newest first."""
        return [UnfinishedRun._from_json(run) for run in self._connection.call("unfinished_runs")]

    def discard_run(self, run_id: str) -> None:
        """Deletes an unfinished run and what it has fetched. Rows already in the table are kept."""
        self._connection.check_writable("delete a run")
        self._connection.call("discard_run", run_id=run_id)
