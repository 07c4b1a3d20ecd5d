"""The types of results. All of them are immutable, and `to_dict()` returns what `json.dumps` accepts.

Those with a property `df` need pandas for it: `pip install 'mixpanel-data[pandas]'`.
"""

from __future__ import annotations

from typing import Literal

from ._results.columns import ColumnStatsResult, ColumnSummary, SummaryResult
from ._results.fetch import FetchResult, ParallelFetchResult, ParallelProfileResult
from ._results.progress import BatchProgress, BatchResult, ProfilePageResult, ProfileProgress
from ._results.record import ResultWithDataFrame
from ._results.runs import (
    AuditedDay,
    EventAudit,
    EventEstimate,
    FetchEstimate,
    QuotaUsage,
    UnfinishedRun,
    VerifyReport,
)
from ._results.statistics import (
    DailyCount,
    DailyCountsResult,
    EngagementBucket,
    EngagementDistributionResult,
    EventBreakdownResult,
    EventStats,
    NumericPropertySummaryResult,
    PropertyCoverage,
    PropertyCoverageResult,
    PropertyDistributionResult,
    PropertyValueCount,
    TopEvent,
)
from ._results.tables import ColumnInfo, SQLResult, TableInfo, TableMetadata, TableSchema, WorkspaceInfo

TimeUnit = Literal["day", "week", "month"]
"""A unit of time."""

HourDayUnit = Literal["hour", "day"]
"""A short unit of time."""

CountType = Literal["general", "unique", "average"]
"""What is counted: events, users, or events per user."""

TableType = Literal["events", "profiles"]
"""What a table holds."""

EntityType = Literal["event", "profile"]
"""What a property belongs to."""

IfExists = Literal["fail", "append", "replace", "upsert"]
"""What a fetch does if its table exists."""

__all__ = [
    "AuditedDay",
    "BatchProgress",
    "BatchResult",
    "ColumnInfo",
    "ColumnStatsResult",
    "ColumnSummary",
    "CountType",
    "DailyCount",
    "DailyCountsResult",
    "EngagementBucket",
    "EngagementDistributionResult",
    "EntityType",
    "EventAudit",
    "EventBreakdownResult",
    "EventEstimate",
    "EventStats",
    "FetchEstimate",
    "FetchResult",
    "HourDayUnit",
    "IfExists",
    "NumericPropertySummaryResult",
    "ParallelFetchResult",
    "ParallelProfileResult",
    "ProfilePageResult",
    "ProfileProgress",
    "PropertyCoverage",
    "PropertyCoverageResult",
    "PropertyDistributionResult",
    "PropertyValueCount",
    "QuotaUsage",
    "ResultWithDataFrame",
    "SQLResult",
    "SummaryResult",
    "TableInfo",
    "TableMetadata",
    "TableSchema",
    "TableType",
    "TimeUnit",
    "TopEvent",
    "UnfinishedRun",
    "VerifyReport",
    "WorkspaceInfo",
]
