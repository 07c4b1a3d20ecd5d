"""Descriptions of tables and of what they hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._arguments import Day, integer
from ._frames import quoted
from ._query import QueryResult
from ._requests import request
from ._session import Connection
from .exceptions import DatabaseNotFoundError, InvalidInputError
from .types import (
    ColumnStatsResult,
    CountType,
    DailyCountsResult,
    EngagementDistributionResult,
    EventBreakdownResult,
    NumericPropertySummaryResult,
    PropertyCoverageResult,
    PropertyDistributionResult,
    SummaryResult,
    TableInfo,
    TableSchema,
    TopEvent,
    VerifyReport,
)

if TYPE_CHECKING:
    import pandas

EVENTS = "events"
"""The table whose events are described by default."""


class Statistics:
    """The methods of a workspace that describe tables. None of them sends a request. Days are those of UTC."""

    _connection: Connection

    def query(self, sql: str) -> QueryResult:
        """Returns the result of a query."""
        raise NotImplementedError

    def _described(self, name: str, **arguments: Any) -> Any:
        """Calls an operation with converted arguments."""
        return self._connection.call(name, **request(**arguments))

    def tables(self) -> list[TableInfo]:
        """Returns the tables in name order, without views and internal tables.

        Before the first fetch, there are none.

        Raises:
            DatabaseNotFoundError: The workspace is read-only, and its database does not exist.
        """
        try:
            found = self._connection.call("tables")
        except DatabaseNotFoundError:
            if self._connection.is_read_only:
                raise
            return []
        return [TableInfo._from_json(table) for table in found]

    def table_schema(self, table: str) -> TableSchema:
        """Returns the columns of a table or view.

        Raises:
            TableNotFoundError: There is no such table.
        """
        return TableSchema._from_json(self._connection.call("table_schema", table=table))

    def sample(self, table: str, n: int = 10) -> pandas.DataFrame:
        """Returns `n` random rows of a table as a pandas data frame."""
        n = integer("n", n)
        if n < 0:
            raise InvalidInputError(f"n must not be negative, and is {n}")
        self.table_schema(table)
        return self.query(f"SELECT * FROM {quoted(table)} USING SAMPLE {n} ROWS").df()

    def summarize(self, table: str) -> SummaryResult:
        """Describes every column of a table, as DuckDB's `SUMMARIZE` does."""
        return SummaryResult._from_json(self._connection.call("summarize", table=table))

    def event_breakdown(self, table: str) -> EventBreakdownResult:
        """Counts the events of a table by name, their users, and when they first and last happened."""
        return EventBreakdownResult._from_json(self._connection.call("event_breakdown", table=table))

    def property_keys(self, table: str, event: str | None = None) -> list[str]:
        """Returns the names of the properties in a table, or of one event, sorted."""
        keys: list[str] = self._connection.call("property_keys", table=table, event=event)
        return keys

    def column_stats(self, table: str, column: str, *, top_n: int = 10) -> ColumnStatsResult:
        """Describes a column, or an SQL expression over the columns, with its most frequent values."""
        found = self._described("column_stats", table=table, column=column, top_n=top_n)
        return ColumnStatsResult._from_json(found)

    def property_distribution(
        self,
        event: str,
        property: str,
        *,
        from_date: Day | None = None,
        to_date: Day | None = None,
        limit: int = 20,
        table: str = EVENTS,
    ) -> PropertyDistributionResult:
        """Returns the most frequent values of a property of an event in the table, between two days of UTC."""
        found = self._described(
            "property_distribution", table=table, event=event, property=property, limit=limit,
            from_date=from_date, to_date=to_date,
        )  # fmt: skip
        return PropertyDistributionResult._from_json(found)

    def numeric_summary(
        self,
        event: str,
        property: str,
        *,
        from_date: Day | None = None,
        to_date: Day | None = None,
        percentiles: Iterable[float] | None = None,
        table: str = EVENTS,
    ) -> NumericPropertySummaryResult:
        """Summarizes a numeric property of an event in the table, between two days of UTC."""
        found = self._described(
            "numeric_summary", table=table, event=event, property=property,
            percentiles=percentiles,
            from_date=from_date, to_date=to_date,
        )  # fmt: skip
        return NumericPropertySummaryResult._from_json(found)

    def daily_counts(
        self,
        *,
        from_date: Day | None = None,
        to_date: Day | None = None,
        events: Iterable[str] | None = None,
        table: str = EVENTS,
    ) -> DailyCountsResult:
        """Counts the events of the table by day, which is one of UTC, and name."""
        found = self._described(
            "daily_counts", table=table, events=events, from_date=from_date, to_date=to_date
        )
        return DailyCountsResult._from_json(found)

    def engagement_distribution(
        self,
        *,
        from_date: Day | None = None,
        to_date: Day | None = None,
        events: Iterable[str] | None = None,
        buckets: Iterable[int] | None = None,
        table: str = EVENTS,
    ) -> EngagementDistributionResult:
        """Counts the users of the table by their number of events between two days of UTC."""
        found = self._described(
            "engagement_distribution", table=table, events=events,
            buckets=buckets, from_date=from_date, to_date=to_date,
        )  # fmt: skip
        return EngagementDistributionResult._from_json(found)

    def property_coverage(
        self,
        event: str,
        properties: Iterable[str],
        *,
        from_date: Day | None = None,
        to_date: Day | None = None,
        table: str = EVENTS,
    ) -> PropertyCoverageResult:
        """Counts the events in the table, between two days of UTC, in which each of these properties has a value."""
        found = self._described(
            "property_coverage", table=table, event=event, properties=properties,
            from_date=from_date, to_date=to_date,
        )  # fmt: skip
        return PropertyCoverageResult._from_json(found)

    def top_events(
        self, *, type: CountType = "general", limit: int | None = None, table: str = EVENTS
    ) -> list[TopEvent]:
        """Returns the most frequent events of the last day in the table, and how they changed since the day before.

        Days are those of UTC.
        """
        found = self._described("top_events", table=table, type=type, limit=10 if limit is None else limit)
        return [TopEvent._from_json(event) for event in found]

    def verify_table(self, table: str) -> VerifyReport:
        """Compares a table with what its last load recorded. Detects any later change."""
        return VerifyReport._from_json(self._connection.call("verify_table", table=table))
