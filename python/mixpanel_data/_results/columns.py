"""Statistics of the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .record import Reader, Record, ResultWithDataFrame, list_of, plain

_WHOLE_NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ColumnSummary(Record):
    """DuckDB's summary of a column.

    Attributes:
        column_name: Its name.
        column_type: Its SQL type.
        min: The smallest value, as text.
        max: The largest value, as text.
        approx_unique: Approximate number of different values.
        avg: Mean of a numeric column.
        std: Standard deviation of a numeric column.
        q25: A quarter of the values are smaller, approximately; as text.
        q50: The approximate median, as text.
        q75: A quarter of the values are larger, approximately; as text.
        count: Number of rows.
        null_percentage: Percentage of rows with NULL.
    """

    column_name: str
    column_type: str
    min: Any
    max: Any
    approx_unique: int
    avg: float | None
    std: float | None
    q25: Any
    q50: Any
    q75: Any
    count: int
    null_percentage: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SummaryResult(ResultWithDataFrame):
    """DuckDB's summary of all columns of a table; `df` has a row for each.

    Attributes:
        table: The table.
        row_count: Number of rows.
        columns: Its columns, in order.
    """

    table: str
    row_count: int
    columns: list[ColumnSummary] = field(default_factory=list)

    _readers: ClassVar[Mapping[str, Reader]] = {"columns": list_of(ColumnSummary)}
    _columns: ClassVar[tuple[str, ...] | None] = tuple(ColumnSummary.__slots__)

    def _rows(self) -> list[dict[str, Any]]:
        return [column.to_dict() for column in self.columns]


def _pairs(value: Any) -> list[tuple[Any, int]]:
    """Reads values with their counts: pairs, or objects of the native module."""
    return [(item["value"], item["count"]) if isinstance(item, Mapping) else (item[0], item[1]) for item in value]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ColumnStatsResult(ResultWithDataFrame):
    """Statistics of a column, or of an SQL expression over the columns; `df` has the most frequent values.

    Attributes:
        table: The table.
        column: The column or expression.
        dtype: Its SQL type.
        count: Number of rows with a value.
        null_count: Number of rows with NULL.
        null_pct: Percentage of rows with NULL.
        unique_count: Approximate number of different values.
        unique_pct: Approximate percentage of values that differ.
        top_values: The most frequent values and their counts, the most frequent first.
        min: The smallest value: a number for a numeric type, else text.
        max: The largest value, likewise.
        mean: Mean of a numeric column.
        std: Standard deviation of a numeric column.
    """

    table: str
    column: str
    dtype: str
    count: int
    null_count: int
    null_pct: float
    unique_count: int
    unique_pct: float
    top_values: list[tuple[Any, int]] = field(default_factory=list)
    min: int | float | str | None = None
    max: int | float | str | None = None
    mean: float | None = None
    std: float | None = None

    _readers: ClassVar[Mapping[str, Reader]] = {"top_values": _pairs}
    _columns: ClassVar[tuple[str, ...] | None] = ("value", "count")

    @classmethod
    def _prepared(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        dtype = data.get("dtype", "")
        return {**data, "min": _of_type(dtype, data.get("min")), "max": _of_type(dtype, data.get("max"))}

    def _rows(self) -> list[dict[str, Any]]:
        return [{"value": plain(value), "count": count} for value, count in self.top_values]


def _of_type(dtype: str, value: Any) -> Any:
    """Returns the text of a number as a number; the native module writes the values of all types as text."""
    if not isinstance(value, str):
        return value
    try:
        if dtype in _WHOLE_NUMBERS:
            return int(value)
        if dtype in ("FLOAT", "DOUBLE") or dtype.startswith("DECIMAL"):
            return float(value)
    except ValueError:
        return value
    return value
