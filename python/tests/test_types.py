"""The result types: from JSON and back, immutable, picklable, and as data frames."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import random
import subprocess
import sys
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mixpanel_data import types
from mixpanel_data._results.record import Record, restore

from result_samples import OF_EVENTS, OF_PROFILES, SAMPLES, with_optional_fields_missing

KINDS = sorted(SAMPLES, key=lambda kind: kind.__name__)
of_each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
of_each_frame = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if issubclass(kind, types.ResultWithDataFrame)], ids=lambda kind: kind.__name__
)


def of_sample(kind: type[Record], **changes: Any) -> Any:
    return kind._from_json(SAMPLES[kind] | changes)


def test_every_public_type_has_a_sample() -> None:
    public = {getattr(types, name) for name in types.__all__}
    records = {item for item in public if isinstance(item, type) and issubclass(item, Record)}
    assert records - {types.ResultWithDataFrame} == set(SAMPLES)


@of_each_kind
def test_json_becomes_a_record_and_the_same_json(kind: type[Record]) -> None:
    result = of_sample(kind)
    written = json.loads(json.dumps(result.to_dict()))
    again = kind._from_json(written)
    assert again == result
    assert again.to_dict() == result.to_dict()
    for name, value in SAMPLES[kind].items():
        if isinstance(value, str) and value.endswith("Z"):
            assert datetime.fromisoformat(written[name]) == datetime.fromisoformat(value)
        elif name in written and isinstance(value, (int, float, type(None))):
            assert written[name] == value


@of_each_kind
def test_fields_of_a_newer_library_are_ignored_and_optional_ones_may_be_missing(kind: type[Record]) -> None:
    assert of_sample(kind, of_a_newer_library=[1], _data=[{}], _df_cache=1) == of_sample(kind)
    for data in with_optional_fields_missing(kind, SAMPLES[kind]):
        kind._from_json(data).to_dict()


@of_each_kind
def test_records_are_immutable_and_have_no_dictionary(kind: type[Record]) -> None:
    result = of_sample(kind)
    name = dataclasses.fields(kind)[-1].name
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(result, name, None)
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(result, name)
    with pytest.raises(AttributeError, match=f"'{kind.__name__}' object has no attribute 'of_no_field'"):
        result.of_no_field = 1
    assert not hasattr(result, "__dict__")
    assert "_df_cache" not in {field.name for field in dataclasses.fields(kind)} | set(dataclasses.asdict(result))


@of_each_kind
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_records_can_be_pickled_and_copied(kind: type[Record], protocol: int) -> None:
    result = of_sample(kind)
    assert pickle.loads(pickle.dumps(result, protocol)) == result
    assert copy.copy(result) == result
    assert copy.deepcopy(result) == result
    assert restore(kind, {**result.__reduce__()[1][1], "of_another_version": 1}) == result


@of_each_kind
def test_equality_and_hashes(kind: type[Record]) -> None:
    result = of_sample(kind)
    assert result == of_sample(kind)
    assert result != 1
    assert result != next(other for other in map(of_sample, KINDS) if type(other) is not kind)
    first = next(field.name for field in dataclasses.fields(kind) if not field.kw_only and field.init)
    assert dataclasses.replace(result, **{first: None}) != result
    try:
        assert hash(result) == hash(of_sample(kind))
    except TypeError as error:
        assert "unhashable type: 'list'" in str(error) or "unhashable type: 'dict'" in str(error)


@of_each_kind
def test_the_annotations_of_records_can_be_resolved(kind: type[Record]) -> None:
    names = {field.name for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind, localns={"pd": None})
    assert names <= set(hints)


@of_each_kind
def test_the_repr_names_the_type_and_the_first_field(kind: type[Record]) -> None:
    result = of_sample(kind)
    first = next(field.name for field in dataclasses.fields(kind) if not field.kw_only and field.repr)
    assert repr(result).startswith(f"{kind.__name__}({first}=")


def test_the_repr_of_many_items_is_short() -> None:
    ranges = tuple((f"2026-01-{day:02}", f"2026-01-{day:02}") for day in range(1, 31))
    estimate = of_sample(types.EventEstimate, batches=ranges)
    assert "('2026-01-05', '2026-01-05'), ... 25 more)" in repr(estimate)
    assert "2026-01-06" not in repr(estimate)
    assert repr(types.SQLResult(["a"], [(n,) for n in range(7)])).endswith("(3,), (4,), ... 2 more])")
    assert repr(types.SQLResult(["a"], [(n,) for n in range(5)])).endswith("(3,), (4,)])")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\xaa\x00b", "aa0062"),
        (bytearray(b"a"), "61"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (timedelta(), "PT0S"),
        (timedelta(days=360), "P360D"),
        (timedelta(days=-360), "P-360D"),
        (timedelta(days=1, hours=2, minutes=3, seconds=4.5), "P1DT2H3M4.500000S"),
        (timedelta(days=-1, hours=-2, seconds=-3.5), "P-1DT-2H-3.500000S"),
        (timedelta(microseconds=-1), "PT-0.000001S"),
    ],
)
def test_values_that_json_does_not_have_are_written_as_the_command_does(value: object, expected: str) -> None:
    result = types.SQLResult(["a"], [(value,), ([{"b": value}],)])
    written = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert written["rows"] == [[expected], [[{"b": expected}]]]


def test_the_repr_of_a_fetch_leaves_out_counters_without_a_value() -> None:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    result = types.ParallelProfileResult("profiles", 10, 1, 0, (), 1.0, at, duplicates=2)
    assert "successful_pages=1" in repr(result)
    assert "duplicates=2" in repr(result)
    assert "rejected" not in repr(result)


@pytest.mark.parametrize(("kind", "positional"), [(types.FetchResult, 6), (types.ParallelProfileResult, 7)])
def test_additional_fields_are_keywords_with_defaults(kind: type[Record], positional: int) -> None:
    order = [field for field in dataclasses.fields(kind) if field.init and not field.kw_only]
    assert len(order) == positional
    additional = [field for field in dataclasses.fields(kind) if field.kw_only]
    assert all(field.default is not MISSING or field.default_factory is not MISSING for field in additional)


def test_a_fetch_shows_only_what_applies_to_its_type() -> None:
    of_profiles = of_sample(types.FetchResult).to_dict()
    of_events = of_sample(types.FetchResult, type="events", date_range=["2026-11-01", "2026-11-02"], **OF_EVENTS)
    assert set(OF_PROFILES) <= set(of_profiles)
    assert not set(OF_EVENTS) & set(of_profiles)
    assert set(OF_EVENTS) <= set(of_events.to_dict())
    assert not set(OF_PROFILES) & set(of_events.to_dict())
    assert of_events.date_range == ("2026-11-01", "2026-11-02")
    assert "limit" not in of_profiles
    assert of_sample(types.FetchResult, limit=5).to_dict()["limit"] == 5


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        (types.FetchResult, {"failed_page_indices": [], "shortfall": 0}, False),
        (types.FetchResult, {"failed_page_indices": [1], "shortfall": 0}, True),
        (types.FetchResult, {"failed_page_indices": [], "shortfall": 1}, True),
        (types.FetchResult, {"failed_page_indices": [], "shortfall": 0, **OF_EVENTS}, True),
        (types.ParallelProfileResult, {"failed_pages": 0, "shortfall": 0}, False),
        (types.ParallelProfileResult, {"failed_pages": 0, "shortfall": 1}, True),
        (types.ParallelProfileResult, {"failed_pages": 1, "shortfall": 0}, True),
        (types.ParallelFetchResult, {"failed_batches": 0}, False),
        (types.ParallelFetchResult, {"failed_batches": 1}, True),
    ],
)
def test_has_failures(kind: type[Record], changes: dict[str, Any], expected: bool) -> None:
    result = of_sample(kind, **changes)
    assert result.has_failures is expected
    if kind is not types.FetchResult:
        assert result.to_dict()["has_failures"] is expected
        assert result.to_dict()["rows"] == result.rows == result.total_rows


def test_times_are_aware() -> None:
    result = of_sample(types.FetchResult)
    assert result.fetched_at == datetime(2026, 11, 26, 10, 0, 0, 250_000, UTC)
    assert result.to_dict()["fetched_at"] == "2026-11-26T10:00:00.250000+00:00"
    eastern = timezone(timedelta(hours=-5))
    naive_and_aware = [datetime(2024, 1, 31, 12), datetime(2024, 1, 31, 12, tzinfo=eastern)]
    for moment in naive_and_aware:
        assert dataclasses.replace(result, fetched_at=moment).to_dict()["fetched_at"] == moment.isoformat()


@pytest.mark.parametrize(
    ("dtype", "text", "expected"),
    [
        ("BIGINT", "-9223372036854775808", -(2**63)),
        ("HUGEINT", "170141183460469231731687303715884105727", 2**127 - 1),
        ("DOUBLE", "1.5", 1.5),
        ("DOUBLE", "inf", float("inf")),
        ("DECIMAL(18,3)", "1.250", 1.25),
        ("VARCHAR", "12", "12"),
        ("DATE", "2026-11-01", "2026-11-01"),
        ("INTEGER", "of another engine", "of another engine"),
        ("INTEGER", None, None),
    ],
)
def test_limits_of_numeric_columns_are_numbers(dtype: str, text: str | None, expected: object) -> None:
    stats = of_sample(types.ColumnStatsResult, dtype=dtype, min=text, max=text)
    assert (stats.min, stats.max) == (expected, expected)
    assert type(stats.min) is type(expected)


def test_values_have_the_types_of_the_former_package() -> None:
    stats = of_sample(types.ColumnStatsResult)
    assert stats.top_values == [(5, 2), (None, 1), ({"a": [1]}, 1)]
    assert stats.to_dict()["top_values"] == [[5, 2], [None, 1], [{"a": [1]}, 1]]
    numeric = of_sample(types.NumericPropertySummaryResult)
    assert numeric.percentiles == {50: 1.5, 99.9: None}
    assert [type(number) for number in numeric.percentiles] == [int, float]
    assert numeric.to_dict()["percentiles"] == {"50": 1.5, "99.9": None}
    assert of_sample(types.WorkspaceInfo).path == Path("/data/12345.db")
    assert [type(of_sample(types.TopEvent, count=count).count) for count in (12.0, 1.5)] == [int, float]
    assert isinstance(of_sample(types.EventBreakdownResult).date_range, tuple)
    assert of_sample(types.EventBreakdownResult, date_range=None, events=[]).to_dict()["date_range"] is None
    assert of_sample(types.DailyCountsResult, events=None).to_dict()["events"] is None


def test_derived_properties() -> None:
    page = of_sample(types.ProfilePageResult)
    assert (page.num_pages, page.to_dict()["num_pages"], page.to_dict()["profile_count"]) == (25, 25, 1)
    totals = [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (None, None)]
    assert [of_sample(types.ProfilePageResult, total=total).num_pages for total, _ in totals] == [n for _, n in totals]
    assert of_sample(types.QuotaUsage).remaining == 0
    assert of_sample(types.QuotaUsage, used=50).remaining == 5
    assert not of_sample(types.VerifyReport).is_intact
    assert of_sample(types.VerifyReport, problems=[]).is_intact
    assert of_sample(types.EventAudit).has_differences
    assert not of_sample(types.EventAudit, differing_days=[]).has_differences


def test_sql_results_are_sequences_of_rows() -> None:
    result = of_sample(types.SQLResult)
    assert (len(result), list(result)) == (2, [(1, {"x": [None]}), ("text", 2.5)])
    assert result.to_dicts() == [{"a": 1, "b": {"x": [None]}}, {"a": "text", "b": 2.5}]
    assert result.to_dict()["row_count"] == 2
    values = types.SQLResult(["a", "b"], [(Decimal("1.10"), datetime(2026, 11, 1, tzinfo=UTC))])
    assert json.loads(json.dumps(values.to_dict()))["rows"] == [["1.10", "2026-11-01T00:00:00+00:00"]]


def test_random_counters_survive_json_and_pickling() -> None:
    generator = random.Random(15)
    counters = [name for name, value in SAMPLES[types.ParallelProfileResult].items() if type(value) is int]
    for _ in range(200):
        values = {name: generator.choice([0, 1, 2**53 + 1, 2**64 - 1]) for name in counters}
        result = of_sample(types.ParallelProfileResult, **values)
        written = json.loads(json.dumps(result.to_dict()))
        assert {name: written[name] for name in counters if name != "rows"} == {
            name: value for name, value in values.items() if name != "rows"
        }
        assert types.ParallelProfileResult._from_json(written) == pickle.loads(pickle.dumps(result)) == result


@of_each_frame
def test_data_frames(kind: type[Record]) -> None:
    pandas = pytest.importorskip("pandas")
    result = of_sample(kind, database=None)
    assert isinstance(result.df, pandas.DataFrame)
    assert result.df is result.df
    assert json.dumps(result.to_table_dict(), default=str)
    # The frame is not part of the values.
    for other in (dataclasses.replace(result), pickle.loads(pickle.dumps(result)), copy.copy(result)):
        assert other._df_cache is None
    assert of_sample(kind, database=None) == result


@pytest.mark.parametrize(
    ("kind", "empty", "columns", "rows"),
    [
        (types.SummaryResult, {"columns": []}, ["column_name", "column_type", "min", "max", "approx_unique"], 1),
        (types.EventBreakdownResult, {"events": []}, ["event_name", "count", "unique_users", "first_seen"], 1),
        (types.ColumnStatsResult, {"top_values": []}, ["value", "count"], 3),
        (types.DailyCountsResult, {"counts": []}, ["date", "event", "count"], 1),
        (types.EngagementDistributionResult, {"buckets": []}, ["bucket_min", "bucket_label", "user_count"], 1),
        (types.PropertyCoverageResult, {"coverage": []}, ["property", "defined_count", "null_count"], 1),
        (types.PropertyDistributionResult, {"values": []}, ["value", "count", "percentage"], 2),
    ],
)
def test_data_frames_have_their_columns_even_without_rows(
    kind: type[Record], empty: dict[str, Any], columns: list[str], rows: int
) -> None:
    pytest.importorskip("pandas")
    full, none = of_sample(kind).df, of_sample(kind, **empty).df
    assert list(full.columns) == list(none.columns)
    assert list(full.columns)[: len(columns)] == columns
    assert (len(full), len(none)) == (rows, 0)


def test_a_fetch_with_records_has_them_as_a_data_frame() -> None:
    pytest.importorskip("pandas")
    at = datetime(2026, 11, 26, tzinfo=UTC)
    result = types.FetchResult("events", 2, "events", 1.0, None, at, _data=[{"a": 1}, {"a": 2}])
    assert result.df.to_dict("records") == [{"a": 1}, {"a": 2}]
    assert "_data" not in result.to_dict()
    assert "_data" not in repr(result)


@pytest.mark.parametrize("kind", [types.FetchResult, types.ParallelProfileResult, types.ParallelFetchResult])
def test_the_data_frame_of_a_fetch_is_its_table(kind: type[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Workspace:
        @classmethod
        @contextmanager
        def open(cls, path: str) -> Iterator[Workspace]:
            calls.append(path)
            yield cls()
            calls.append("closed")

        def table_schema(self, table: str) -> None:
            calls.append(table)

        def sql(self, query: str) -> str:
            calls.append(query)
            return "a data frame"

    module = ModuleType("mixpanel_data.workspace")
    vars(module)["Workspace"] = Workspace
    monkeypatch.setitem(sys.modules, module.__name__, module)
    result = of_sample(kind, table='a "b"')
    assert [result.df, result.df] == ["a data frame"] * 2
    assert calls == ["/data/12345.db", 'a "b"', 'SELECT * FROM "a ""b"""', "closed"]


WITHOUT_PANDAS = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from mixpanel_data.types import DailyCountsResult

result = DailyCountsResult("2026-11-01", "2026-11-02", None, ())
result.to_dict()
try:
    result.df
except ImportError as error:
    print(error)
"""
IMPORTED = """
import sys
import mixpanel_data.types, mixpanel_data.exceptions
print(sorted({"pandas", "numpy", "polars", "pyarrow", "duckdb", "tqdm"} & set(sys.modules)))
"""


def run(program: str) -> str:
    package = Path(types.__file__).parents[1]
    # The package alone: a package that `site` preloads is not this package's doing.
    start = f"import sys; sys.path.insert(0, {str(package)!r})\n"
    done = subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_data_frame_without_pandas_says_how_to_install_it() -> None:
    assert "pip install 'mixpanel-data[pandas]'" in run(WITHOUT_PANDAS)


def test_importing_the_types_imports_no_data_frames() -> None:
    assert run(IMPORTED).strip() == "[]"
