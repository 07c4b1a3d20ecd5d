"""Statistics of the events in a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from .record import Reader, Record, ResultWithDataFrame, list_of, moment, texts, tuple_of, whole


def _moments(value: Any) -> tuple[datetime, datetime]:
    first, last = value
    return moment(first), moment(last)


def _percentiles(value: Mapping[Any, float | None]) -> dict[int | float, float | None]:
    return {whole(float(number)): percentile for number, percentile in value.items()}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventStats(Record):
    """One event of a table.

    Attributes:
        event_name: Its name.
        count: Number of rows.
        unique_users: Number of users who have it.
        first_seen: Time of the first one, in UTC, without a time zone, as in the table; `None` if no row has a time.
        last_seen: Time of the last one, likewise.
        pct_of_total: Percentage of all events.
    """

    event_name: str
    count: int
    unique_users: int
    first_seen: datetime | None
    last_seen: datetime | None
    pct_of_total: float

    _readers: ClassVar[Mapping[str, Reader]] = {"first_seen": moment, "last_seen": moment}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventBreakdownResult(ResultWithDataFrame):
    """The events of a table, the most frequent first; `df` has a row for each.

    Attributes:
        table: The table.
        total_events: Number of rows.
        total_users: Number of users.
        date_range: Times of the first and the last event, as in `EventStats`; `None` if the table is empty.
        events: The events.
    """

    table: str
    total_events: int
    total_users: int
    date_range: tuple[datetime, datetime] | None
    events: list[EventStats] = field(default_factory=list)

    _readers: ClassVar[Mapping[str, Reader]] = {"date_range": _moments, "events": list_of(EventStats)}
    _columns: ClassVar[tuple[str, ...] | None] = tuple(EventStats.__slots__)

    def _rows(self) -> list[dict[str, Any]]:
        return [{name: getattr(event, name) for name in EventStats.__slots__} for event in self.events]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TopEvent(Record):
    """An event of the last day in a table, compared with the day before.

    Attributes:
        event: The event.
        count: Number of events, of users, or of events per user.
        percent_change: The change as a share of the day before: 0.5 is half as many more. `None` if there were none.
    """

    event: str
    count: int | float
    percent_change: float | None

    _readers: ClassVar[Mapping[str, Reader]] = {"count": whole}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DailyCount(Record):
    """The number of one event on one day.

    Attributes:
        date: The day, as `YYYY-MM-DD`.
        event: The event.
        count: Number of rows.
    """

    date: str
    event: str
    count: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DailyCountsResult(ResultWithDataFrame):
    """The number of each event on each day, without days that have none; `df` has a row for each.

    Attributes:
        from_date: First day; `None` if none was given and the table is empty.
        to_date: Last day.
        events: The requested events; `None` for all.
        counts: The counts, by day and event.
    """

    from_date: str | None
    to_date: str | None
    events: tuple[str, ...] | None
    counts: tuple[DailyCount, ...]

    _readers: ClassVar[Mapping[str, Reader]] = {"events": texts, "counts": tuple_of(DailyCount)}
    _columns: ClassVar[tuple[str, ...] | None] = tuple(DailyCount.__slots__)

    def _rows(self) -> list[dict[str, Any]]:
        return [count.to_dict() for count in self.counts]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EngagementBucket(Record):
    """The users whose number of events is in one range.

    Attributes:
        bucket_min: The smallest number of events.
        bucket_label: The range, such as `2-5` or `100+`.
        user_count: Number of users.
        percentage: Percentage of all users.
    """

    bucket_min: int
    bucket_label: str
    user_count: int
    percentage: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EngagementDistributionResult(ResultWithDataFrame):
    """How many users have how many events; `df` has a row for each range.

    Attributes:
        from_date: First day; `None` if none was given and the table is empty.
        to_date: Last day.
        events: The events that count; `None` for all.
        total_users: Number of users with at least one event.
        buckets: The ranges, in order.
    """

    from_date: str | None
    to_date: str | None
    events: tuple[str, ...] | None
    total_users: int
    buckets: tuple[EngagementBucket, ...]

    _readers: ClassVar[Mapping[str, Reader]] = {"events": texts, "buckets": tuple_of(EngagementBucket)}
    _columns: ClassVar[tuple[str, ...] | None] = tuple(EngagementBucket.__slots__)

    def _rows(self) -> list[dict[str, Any]]:
        return [bucket.to_dict() for bucket in self.buckets]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PropertyCoverage(Record):
    """How often one property of an event has a value.

    Attributes:
        property: The property.
        defined_count: Number of events with a value other than null.
        null_count: Number of events without the property, or with null.
        coverage_percentage: Percentage of events with a value.
    """

    property: str
    defined_count: int
    null_count: int
    coverage_percentage: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PropertyCoverageResult(ResultWithDataFrame):
    """How often properties of an event have a value; `df` has a row for each property.

    Attributes:
        event: The event.
        from_date: First day; `None` if none was given and the table is empty.
        to_date: Last day.
        total_events: Number of events.
        coverage: The properties, in the order in which they were given.
    """

    event: str
    from_date: str | None
    to_date: str | None
    total_events: int
    coverage: tuple[PropertyCoverage, ...]

    _readers: ClassVar[Mapping[str, Reader]] = {"coverage": tuple_of(PropertyCoverage)}
    _columns: ClassVar[tuple[str, ...] | None] = tuple(PropertyCoverage.__slots__)

    def _rows(self) -> list[dict[str, Any]]:
        return [item.to_dict() for item in self.coverage]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PropertyValueCount(Record):
    """A value of a property, and how often it occurs.

    Attributes:
        value: The value, as JSON has it; `None` if the property is missing or null.
        count: Number of events.
        percentage: Percentage of all events.
    """

    value: Any
    count: int
    percentage: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PropertyDistributionResult(ResultWithDataFrame):
    """The most frequent values of a property; `df` has a row for each.

    Attributes:
        event: The event.
        property_name: The property.
        from_date: First day; `None` if none was given and the table is empty.
        to_date: Last day.
        total_count: Number of events, also those with other values.
        values: The values, the most frequent first.
    """

    event: str
    property_name: str
    from_date: str | None
    to_date: str | None
    total_count: int
    values: tuple[PropertyValueCount, ...]

    _readers: ClassVar[Mapping[str, Reader]] = {"values": tuple_of(PropertyValueCount)}
    _columns: ClassVar[tuple[str, ...] | None] = tuple(PropertyValueCount.__slots__)

    def _rows(self) -> list[dict[str, Any]]:
        return [value.to_dict() for value in self.values]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NumericPropertySummaryResult(Record):
    """A summary of a numeric property. Values that are not JSON numbers do not count.

    Without a number, and for numbers too large for a `float`, fields are `None`.

    Attributes:
        event: The event.
        property_name: The property.
        from_date: First day; `None` if none was given and the table is empty.
        to_date: Last day.
        count: Number of events with a number.
        min: The smallest number.
        max: The largest number.
        sum: The sum.
        avg: The mean.
        stddev: The standard deviation of all values.
        percentiles: Percentiles by number, such as 50 for the median.
    """

    event: str
    property_name: str
    from_date: str | None
    to_date: str | None
    count: int
    min: float | None
    max: float | None
    sum: float | None
    avg: float | None
    stddev: float | None
    percentiles: dict[int | float, float | None]

    _readers: ClassVar[Mapping[str, Reader]] = {"percentiles": _percentiles}
