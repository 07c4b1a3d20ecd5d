"""Unfinished runs, estimates, and checks of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from .record import Reader, Record, day_ranges, moment, texts, tuple_of


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnfinishedRun(Record):
    """A fetch that did not finish. Its pages are on disk, and `Workspace.resume_fetch` fetches only the missing ones.

    Attributes:
        run_id: The id of the run.
        state: How far it got. Of an `unreadable` run, most other fields are `None`.
        kind: What it fetches.
        table: The table into which its rows will be loaded.
        project_id: The project.
        region: Where its data is stored.
        if_exists: What to do if the table exists.
        dropped_properties: Properties that the run drops.
        hashed_properties: Properties that the run hashes; its missing pages need the key.
        started_at: When the run began, in UTC.
        age_seconds: Seconds since then.
        pages_done: Pages on disk; for events, date ranges.
        pages_total: Number of pages or date ranges, if known.
        bytes: Bytes on disk.
        reason: Why the run is unfinished.
        is_loaded_in_part: Whether its pages are in the table already, which is then partial.
        is_superseded: Whether the table was loaded after the run began, so that the run could replace newer records
            by older ones.
        held_by: The id of the process that works on the run.
    """

    run_id: str
    state: Literal["running", "planned", "stopped", "complete", "unreadable"]
    kind: Literal["profiles", "events"] = "profiles"
    table: str | None = None
    project_id: str | None = None
    region: str | None = None
    if_exists: Literal["fail", "append", "replace", "upsert"] | None = None
    dropped_properties: tuple[str, ...] = ()
    hashed_properties: tuple[str, ...] = ()
    started_at: datetime | None = None
    age_seconds: int = 0
    pages_done: int = 0
    pages_total: int | None = None
    bytes: int = 0
    reason: str = ""
    is_loaded_in_part: bool = False
    is_superseded: bool = False
    held_by: int | None = None

    _readers: ClassVar[Mapping[str, Reader]] = {
        "dropped_properties": texts,
        "hashed_properties": texts,
        "started_at": moment,
    }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FetchEstimate(Record):
    """What a fetch of profiles needs, according to page 0, which is kept for the fetch that follows.

    Attributes:
        table: The table.
        run_id: The id of the run that keeps page 0.
        page_size: Profiles in a full page.
        quota_used: Counted requests from this machine in the current quota window.
        quota_limit: Counted requests that the quota allows per window.
        expected_rows: Profiles that the server announced.
        pages: Number of pages, including page 0.
        requests: Requests still to be sent.
        counted_requests: How many of them are expected to count towards the quota.
        expected_seconds: Estimated seconds for the rest, including waits for the quota.
        expected_bytes: Upper estimate of the disk space.
        advice: Ways to make the fetch smaller or faster; one sentence each.
    """

    table: str
    run_id: str
    page_size: int
    quota_used: int
    quota_limit: int
    expected_rows: int | None = None
    pages: int | None = None
    requests: int | None = None
    counted_requests: int | None = None
    expected_seconds: float | None = None
    expected_bytes: int | None = None
    advice: tuple[str, ...] = ()

    _readers: ClassVar[Mapping[str, Reader]] = {"advice": texts}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventEstimate(Record):
    """What a fetch of events needs, estimated without a request.

    Attributes:
        table: The table.
        from_date: First day, as `YYYY-MM-DD`.
        to_date: Last day, inclusive.
        days: Number of days.
        batches: First and last day of each request.
        requests: Number of requests; each counts towards the quota.
        workers: Maximum number of requests in flight.
        wait_seconds: Seconds that the fetch waits for the quota, if requests take no time.
        quota_used: Exports from this machine in the current quota window.
        quota_limit: Exports that the quota allows per window.
        advice: Ways to make the fetch smaller or faster; one sentence each.
    """

    table: str
    from_date: str
    to_date: str
    days: int
    batches: tuple[tuple[str, str], ...]
    requests: int
    workers: int
    wait_seconds: float
    quota_used: int
    quota_limit: int
    advice: tuple[str, ...] = ()

    _readers: ClassVar[Mapping[str, Reader]] = {"batches": day_ranges, "advice": texts}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class QuotaUsage(Record):
    """How much of a project's quota is used.

    Attributes:
        used: Counted requests from this machine in the current window.
        limit: Counted requests that the quota allows per window, less the reserve.
        reserve: Requests reserved for other clients.
        window_seconds: Length of the rolling window.
        next_free_at: When the next counted request may be sent, in UTC; `None` means now.
    """

    used: int
    limit: int
    reserve: int
    window_seconds: int
    next_free_at: datetime | None = None

    _readers: ClassVar[Mapping[str, Reader]] = {"next_free_at": moment}

    @property
    def remaining(self) -> int:
        """Counted requests that may still be sent in the current window."""
        return max(self.limit - self.used, 0)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VerifyReport(Record):
    """The contents of a table, compared with what its last load recorded.

    Attributes:
        table: The table.
        rows: Number of rows.
        distinct_ids: Number of distinct ids; for events, of distinct events.
        digest: Digest of the table, with the name of its algorithm; independent of the order of the rows.
        expected_rows: Number of rows after the last load.
        expected_digest: The digest after the last load, if it was recorded.
        run_id: The run of the last load.
        fetched_at: When the last load took place, in UTC.
        partial: Whether pages are missing because a fetch could not retrieve them. This is not a problem.
        problems: What differs from the last load, or cannot be compared; one sentence each.
    """

    table: str
    rows: int
    distinct_ids: int
    digest: str
    expected_rows: int | None = None
    expected_digest: str | None = None
    run_id: str | None = None
    fetched_at: datetime | None = None
    partial: bool = False
    problems: tuple[str, ...] = ()

    _readers: ClassVar[Mapping[str, Reader]] = {"fetched_at": moment, "problems": texts}

    @property
    def is_intact(self) -> bool:
        """Whether the table is verified to match the last load."""
        return not self.problems


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AuditedDay(Record):
    """A day whose events differ from Mixpanel's count.

    Attributes:
        day: The day, as `YYYY-MM-DD`.
        rows: Number of rows in the table.
        counted: Number of events that Mixpanel counts now.
        counted_before: Number that Mixpanel counted when the day was last repaired.
    """

    day: str
    rows: int
    counted: int
    counted_before: int | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventAudit(Record):
    """The settled days of a table of events, compared with Mixpanel's counts.

    Attributes:
        table: The table.
        days: Number of compared days.
        open_days: Number of days that were not compared because they may still change.
        differing_days: The days that differ, in order.
        counted_at: When Mixpanel counted, in UTC.
    """

    table: str
    days: int
    open_days: int
    differing_days: tuple[AuditedDay, ...]
    counted_at: datetime

    _readers: ClassVar[Mapping[str, Reader]] = {"differing_days": tuple_of(AuditedDay), "counted_at": moment}

    @property
    def has_differences(self) -> bool:
        """Whether a day differs."""
        return bool(self.differing_days)
