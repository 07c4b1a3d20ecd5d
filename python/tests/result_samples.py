"""Objects as the native module writes them, one for each result type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from mixpanel_data import types
from mixpanel_data._results.record import Record

INTO_TABLE = {
    "duration_seconds": 2.5,
    "fetched_at": "2026-11-26T10:00:00.250Z",
    "received": 8_003,
    "duplicates": 2,
    "rejected": 1,
    "requests": 12,
    "retries": 2,
    "waited_seconds": 1.5,
    "run_id": "20261126-100000-1f",
    "database": "/data/12345.db",
    "table_rows": 9_000,
    "updated_rows": 0,
    "unchanged_rows": None,
    "run_waited_seconds": 3.5,
}
OF_PROFILES = {
    "failed_page_indices": [3, 7],
    "expected_rows": 8_003,
    "drift": 0,
    "shortfall": 4,
    "session_restarts": 1,
    "short_pages": [4],
    "unchecked_page": 7,
}
OF_EVENTS = {
    "failed_date_ranges": [["2026-11-03", "2026-11-04"]],
    "conflicting_duplicates": 1,
    "without_insert_id": 3,
    "without_distinct_id": 0,
    "outside_range": 0,
    "repeated_hour": 0,
    "skipped_hour": 0,
    "replaced_rows": 5,
    "received_bytes": 1_000_000,
    "open_days": ["2026-11-26"],
}
DAYS = {"from_date": "2026-11-01", "to_date": "2026-11-26"}
COLUMN = {"name": "distinct_id", "type": "VARCHAR", "nullable": False, "primary_key": True}
SUMMARY = {
    "column_name": "last_seen",
    "column_type": "TIMESTAMP",
    "min": "2026-11-01 00:00:00",
    "max": "2026-11-26 00:00:00",
    "approx_unique": 25,
    "avg": None,
    "std": None,
    "q25": None,
    "q50": "2026-11-13 00:00:00",
    "q75": None,
    "count": 8_000,
    "null_percentage": 0.5,
}
EVENT_STATS = {
    "event_name": "Sign up",
    "count": 3,
    "unique_users": 2,
    "first_seen": "2026-11-01T00:00:00Z",
    "last_seen": "2026-11-02T03:04:05.000006Z",
    "pct_of_total": 75.0,
}
COLUMN_STATS = {
    "table": "orders",
    "column": "amount",
    "dtype": "BIGINT",
    "count": 4,
    "null_count": 1,
    "null_pct": 20.0,
    "unique_count": 3,
    "unique_pct": 75.0,
    "top_values": [{"value": 5, "count": 2}, {"value": None, "count": 1}, {"value": {"a": [1]}, "count": 1}],
    "min": "-9223372036854775808",
    "max": "170141183460469231731687303715884105727",
    "mean": 1.5,
    "std": None,
}

SAMPLES: dict[type[Record], dict[str, Any]] = {
    types.FetchResult: {"table": "profiles", "rows": 8_000, "type": "profiles", "date_range": None}
    | INTO_TABLE
    | OF_PROFILES,
    types.ParallelProfileResult: {"table": "profiles", "rows": 8_000, "total_rows": 8_000, "successful_pages": 8}
    | {"failed_pages": 2}
    | INTO_TABLE
    | OF_PROFILES,
    types.ParallelFetchResult: {"table": "events", "rows": 8_000, "total_rows": 8_000, "type": "events"}
    | {"successful_batches": 8, "failed_batches": 2, "date_range": ["2026-11-01", "2026-11-26"]}
    | INTO_TABLE
    | OF_EVENTS,
    types.ProfileProgress: {"page_index": 3, "total_pages": 10, "rows": 0, "success": False, "error": "why"}
    | {"cumulative_rows": 3_000},
    types.BatchProgress: DAYS
    | {"batch_index": 1, "total_batches": 4, "rows": 7, "success": True, "error": None}
    | {"cumulative_rows": 9, "bytes": 1_234, "events": ["Sign up"]},
    types.BatchResult: DAYS | {"rows": 7, "success": True, "error": None},
    types.ProfilePageResult: {"profiles": [{"$distinct_id": "a"}], "session_id": "s", "page": 0, "has_more": True}
    | {"total": 24_600, "page_size": 1_000},
    types.TableInfo: {"name": "events", "type": "events", "row_count": 3, "fetched_at": "2026-11-26T10:00:00Z"}
    | {"partial": True},
    types.ColumnInfo: COLUMN,
    types.TableSchema: {"table_name": "profiles", "columns": [COLUMN]},
    types.TableMetadata: {"type": "events", "fetched_at": "2026-11-26T10:00:00Z", "filter_events": ["Sign up"]} | DAYS,
    types.WorkspaceInfo: {"path": "/data/12345.db", "project_id": "12345", "region": "eu", "account": None}
    | {"tables": ["events"], "size_mb": 1.25, "created_at": "2026-11-26T10:00:00Z"},
    types.SQLResult: {"columns": ["a", "b"], "rows": [[1, {"x": [None]}], ["text", 2.5]]},
    types.ColumnSummary: SUMMARY,
    types.SummaryResult: {"table": "profiles", "row_count": 8_000, "columns": [SUMMARY]},
    types.EventStats: EVENT_STATS,
    types.EventBreakdownResult: {"table": "events", "total_events": 4, "total_users": 2, "events": [EVENT_STATS]}
    | {"date_range": ["2026-11-01T00:00:00Z", "2026-11-02T03:04:05.000006Z"]},
    types.ColumnStatsResult: COLUMN_STATS,
    types.TopEvent: {"event": "Sign up", "count": 12.0, "percent_change": None},
    types.DailyCount: {"date": "2026-11-01", "event": "Sign up", "count": 3},
    types.DailyCountsResult: DAYS
    | {"events": ["Sign up"], "counts": [{"date": "2026-11-01", "event": "Sign up", "count": 3}]},
    types.EngagementBucket: {"bucket_min": 2, "bucket_label": "2-4", "user_count": 3, "percentage": 12.5},
    types.EngagementDistributionResult: DAYS
    | {"events": None, "total_users": 24}
    | {"buckets": [{"bucket_min": 2, "bucket_label": "2-4", "user_count": 3, "percentage": 12.5}]},
    types.PropertyCoverage: {"property": "plan", "defined_count": 3, "null_count": 1, "coverage_percentage": 75.0},
    types.PropertyCoverageResult: DAYS
    | {"event": "Sign up", "total_events": 4}
    | {"coverage": [{"property": "plan", "defined_count": 3, "null_count": 1, "coverage_percentage": 75.0}]},
    types.PropertyValueCount: {"value": "free", "count": 3, "percentage": 75.0},
    types.PropertyDistributionResult: DAYS
    | {"event": "Sign up", "property_name": "plan", "total_count": 4}
    | {"values": [{"value": "free", "count": 3, "percentage": 75.0}, {"value": None, "count": 1, "percentage": 25.0}]},
    types.NumericPropertySummaryResult: DAYS
    | {"event": "Order", "property_name": "amount", "count": 3, "min": 1.0, "max": 9.5, "sum": 12.0, "avg": 4.0}
    | {"stddev": None, "percentiles": {"50": 1.5, "99.9": None}},
    types.UnfinishedRun: {"run_id": "r", "state": "stopped", "kind": "events", "table": "events", "project_id": "12345"}
    | {"region": "eu", "if_exists": "append", "dropped_properties": ["$email"], "hashed_properties": []}
    | {"started_at": "2026-11-26T10:00:00Z", "age_seconds": 60, "pages_done": 3, "pages_total": None, "bytes": 1_000}
    | {"reason": "stopped by Ctrl-C", "is_loaded_in_part": False, "is_superseded": True, "held_by": 4_711},
    types.FetchEstimate: {"table": "profiles", "run_id": "r", "expected_rows": 24_600, "page_size": 1_000, "pages": 25}
    | {"requests": 24, "counted_requests": 0, "expected_seconds": 2.5, "expected_bytes": 50_000_000}
    | {"quota_used": 1, "quota_limit": 55, "advice": ["request fewer properties"]},
    types.EventEstimate: {"table": "events", "days": 26, "batches": [["2026-11-01", "2026-11-26"]], "requests": 1}
    | DAYS
    | {"workers": 10, "wait_seconds": 0.0, "quota_used": 0, "quota_limit": 55, "advice": []},
    types.QuotaUsage: {"used": 60, "limit": 55, "reserve": 5, "window_seconds": 3_600}
    | {"next_free_at": "2026-11-26T10:00:00Z"},
    types.VerifyReport: {"table": "profiles", "rows": 2, "expected_rows": 3, "distinct_ids": 2, "digest": "h:1"}
    | {"expected_digest": "h:2", "run_id": "r", "fetched_at": "2026-11-26T10:00:00Z", "partial": False}
    | {"problems": ["1 row is missing"]},
    types.AuditedDay: {"day": "2026-11-01", "rows": 3, "counted": 4, "counted_before": None},
    types.EventAudit: {"table": "events", "days": 25, "open_days": 1, "counted_at": "2026-11-26T10:00:00Z"}
    | {"differing_days": [{"day": "2026-11-01", "rows": 3, "counted": 4, "counted_before": 3}]},
}


def with_optional_fields_missing(kind: type[Record], sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the sample without each of the fields that have a default."""
    for field in fields(kind):
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        if has_default and field.name in sample:
            yield {name: value for name, value in sample.items() if name != field.name}
