"""The results of fetches into a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .._frames import data_frame, quoted
from ..exceptions import ConfigError, DatabaseNotFoundError
from .record import Reader, Record, ResultWithDataFrame, day_range, day_ranges, moment, numbers, texts

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

_OF_PROFILES = (
    "failed_page_indices",
    "expected_rows",
    "drift",
    "shortfall",
    "session_restarts",
    "short_pages",
    "unchecked_page",
)
_OF_EVENTS = (
    "failed_date_ranges",
    "conflicting_duplicates",
    "without_insert_id",
    "without_distinct_id",
    "outside_range",
    "repeated_hour",
    "skipped_hour",
    "replaced_rows",
    "received_bytes",
    "open_days",
)
_READERS: Mapping[str, Reader] = {
    "fetched_at": moment,
    "date_range": day_range,
    "failed_page_indices": numbers,
    "failed_date_ranges": day_ranges,
    "short_pages": numbers,
    "open_days": texts,
}


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class _IntoTable(ResultWithDataFrame):
    """What the results of all fetches have in common.

    `rows + duplicates + rejected` is `received`.

    Attributes:
        run_id: The id of the run.
        database: Absolute path of the database file.
        table_rows: Rows in the table after the load.
        updated_rows: How many of the rows replaced older ones; `None` if unknown.
        unchanged_rows: Fetched records that were left out because the table keeps its own row; `None` if unknown.
        received: Records received.
        duplicates: Records left out in favor of another one with the same id.
        rejected: Records that cannot be stored; see the table `_rejects`.
        requests: Requests, including retries, of all processes that worked on the run.
        retries: Those that repeated a failed one.
        waited_seconds: Seconds spent waiting, for the quota for example, in this process.
        run_waited_seconds: The same of all processes that worked on the run.
        limit: Size of a sample; `None` if everything was fetched.
    """

    run_id: str | None = None
    database: str | None = None
    table_rows: int | None = None
    updated_rows: int | None = None
    unchanged_rows: int | None = None
    received: int = 0
    duplicates: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    run_waited_seconds: float = 0.0
    limit: int | None = None

    _readers: ClassVar[Mapping[str, Reader]] = _READERS

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as values that `json.dumps` accepts; a `limit` only if there is one."""
        values = Record.to_dict(self)
        if self.limit is None:
            del values["limit"]
        return values

    def _table_frame(self, table: str) -> pd.DataFrame:
        """Reads the table as it is now."""
        if self.database is None:
            return data_frame(None, [])
        # Imported here: one imports this module, and the other one the native module, for which types have no use.
        from .._session import is_temporary
        from ..workspace import Workspace

        with Workspace.open(self.database) as workspace:
            try:
                # An error of the query itself would not say that the table is gone.
                workspace.table_schema(table)
            except DatabaseNotFoundError:
                if not is_temporary(self.database):
                    raise
                advice = "read `df` before its workspace ends"
                raise ConfigError(f"the database of this result was temporary and is deleted; {advice}") from None
            return workspace.sql(f"SELECT * FROM {quoted(table)}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FetchResult(_IntoTable):
    """The result of a sequential fetch. `df` is the table as it is at the first access.

    Attributes:
        table: The table.
        rows: Rows that the run put into the table.
        type: What was fetched.
        duration_seconds: Seconds from the call to the committed load, in this process.
        date_range: First and last day of events; `None` for profiles.
        fetched_at: When everything was received and the load began, in UTC.
        failed_page_indices: Pages that failed for good.
        expected_rows: Profiles that the server announced.
        drift: Missing profiles that are accepted because a project changes during a fetch.
        shortfall: Missing profiles beyond that.
        session_restarts: How often the server lost the session and the fetch began again.
        short_pages: Pages before the last one that were not full.
        unchecked_page: The failed page of which it is unknown whether it exists.
        failed_date_ranges: Date ranges that failed for good.
        conflicting_duplicates: Duplicates that differ from the event that was kept.
        without_insert_id: Events without `$insert_id`.
        without_distinct_id: Events without a usable `distinct_id`.
        outside_range: Events of other days than those requested.
        repeated_hour: Events whose local time occurred twice.
        skipped_hour: Events whose local time did not occur.
        replaced_rows: Rows that fetched days replaced.
        received_bytes: Bytes of the responses, uncompressed.
        open_days: Fetched days whose events may still change.
    """

    table: str
    rows: int
    type: Literal["events", "profiles"]
    duration_seconds: float
    date_range: tuple[str, str] | None
    fetched_at: datetime
    _: KW_ONLY
    failed_page_indices: tuple[int, ...] = ()
    expected_rows: int | None = None
    drift: int = 0
    shortfall: int = 0
    session_restarts: int = 0
    short_pages: tuple[int, ...] = ()
    unchecked_page: int | None = None
    failed_date_ranges: tuple[tuple[str, str], ...] = ()
    conflicting_duplicates: int = 0
    without_insert_id: int = 0
    without_distinct_id: int = 0
    outside_range: int = 0
    repeated_hour: int = 0
    skipped_hour: int = 0
    replaced_rows: int = 0
    received_bytes: int = 0
    open_days: tuple[str, ...] = ()
    # Records for `df`, in place of the table.
    _data: list[dict[str, Any]] = field(default_factory=list, repr=False, compare=False)

    @property
    def has_failures(self) -> bool:
        """Whether profiles or events are missing from the table."""
        return bool(self.failed_page_indices or self.failed_date_ranges or self.shortfall)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that apply to the type, as values that `json.dumps` accepts."""
        values = _IntoTable.to_dict(self)
        for name in _OF_EVENTS if self.type == "profiles" else _OF_PROFILES:
            del values[name]
        return values

    def _frame(self) -> pd.DataFrame:
        return data_frame(None, self._data) if self._data else self._table_frame(self.table)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParallelProfileResult(_IntoTable):
    """The result of a parallel fetch of profiles. `df` is the table as it is at the first access.

    Attributes:
        table: The table.
        total_rows: Rows that the run put into the table.
        successful_pages: Number of pages whose profiles are in the table.
        failed_pages: Number of pages that failed for good.
        failed_page_indices: Those pages, in order.
        duration_seconds: Seconds from the call to the committed load, in this process.
        fetched_at: When the last page was received and the load began, in UTC.
        expected_rows: Profiles that the server announced.
        drift: Missing profiles that are accepted because a project changes during a fetch.
        shortfall: Missing profiles beyond that.
        session_restarts: How often the server lost the session and the fetch began again.
        short_pages: Pages before the last one that were not full.
        unchecked_page: The failed page of which it is unknown whether it exists.
    """

    table: str
    total_rows: int
    successful_pages: int
    failed_pages: int
    failed_page_indices: tuple[int, ...]
    duration_seconds: float
    fetched_at: datetime
    _: KW_ONLY
    expected_rows: int | None = None
    drift: int = 0
    shortfall: int = 0
    session_restarts: int = 0
    short_pages: tuple[int, ...] = ()
    unchecked_page: int | None = None

    @property
    def rows(self) -> int:
        """Same as `total_rows`, under its name in `FetchResult`."""
        return self.total_rows

    @property
    def has_failures(self) -> bool:
        """Whether profiles are missing from the table."""
        return self.failed_pages > 0 or self.shortfall > 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, `rows` and `has_failures` as values that `json.dumps` accepts."""
        return {**_IntoTable.to_dict(self), "rows": self.rows, "has_failures": self.has_failures}

    def _frame(self) -> pd.DataFrame:
        return self._table_frame(self.table)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParallelFetchResult(_IntoTable):
    """The result of a parallel fetch of events. `df` is the table as it is at the first access.

    Attributes:
        table: The table.
        total_rows: Rows that the run put into the table.
        successful_batches: Number of date ranges whose events are in the table.
        failed_batches: Number of date ranges that failed for good.
        failed_date_ranges: First and last day of those, in order; adjacent ones are merged.
        duration_seconds: Seconds from the call to the committed load, in this process.
        fetched_at: When the last range was received and the load began, in UTC.
        date_range: First and last day.
        conflicting_duplicates: Duplicates that differ from the event that was kept.
        without_insert_id: Events without `$insert_id`.
        without_distinct_id: Events without a usable `distinct_id`.
        outside_range: Events of other days than those requested.
        repeated_hour: Events whose local time occurred twice.
        skipped_hour: Events whose local time did not occur.
        replaced_rows: Rows that fetched days replaced.
        received_bytes: Bytes of the responses, uncompressed.
        open_days: Fetched days whose events may still change.
    """

    table: str
    total_rows: int
    successful_batches: int
    failed_batches: int
    failed_date_ranges: tuple[tuple[str, str], ...]
    duration_seconds: float
    fetched_at: datetime
    _: KW_ONLY
    date_range: tuple[str, str] | None = None
    conflicting_duplicates: int = 0
    without_insert_id: int = 0
    without_distinct_id: int = 0
    outside_range: int = 0
    repeated_hour: int = 0
    skipped_hour: int = 0
    replaced_rows: int = 0
    received_bytes: int = 0
    open_days: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Same as `total_rows`, under its name in `FetchResult`."""
        return self.total_rows

    @property
    def type(self) -> Literal["events"]:
        """What was fetched."""
        return "events"

    @property
    def has_failures(self) -> bool:
        """Whether events are missing from the table."""
        return self.failed_batches > 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, `rows`, `type` and `has_failures` as values that `json.dumps` accepts."""
        own = _IntoTable.to_dict(self)
        return {**own, "rows": self.rows, "type": self.type, "has_failures": self.has_failures}

    def _frame(self) -> pd.DataFrame:
        return self._table_frame(self.table)
