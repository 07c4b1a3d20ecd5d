"""Builds data frames; pandas, pyarrow and polars are imported only when one is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .exceptions import MixpanelDataError, from_core

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]
    import pyarrow

_NULLABLE = {"bool": "boolean"} | {
    f"{prefix}int{bits}": f"{prefix.upper()}Int{bits}" for prefix in ("", "u") for bits in (8, 16, 32, 64)
}
"""The types of pandas for Arrow columns with NULL; NumPy's own would make floats of integers."""

_DAYS_PER_MONTH = 30
"""Days of a month in an interval, as the rows of a result and DuckDB's own module count them."""

_MICROSECONDS_PER_DAY = 86_400_000_000


def optional(name: str, install: str, purpose: str) -> Any:
    """Imports an optional package.

    Args:
        name: The package.
        install: What `pip install` needs to install it.
        purpose: What needs it.

    Raises:
        ImportError: The package is not installed; the message says how to install it. The error of a package that is
            installed, but broken, is not changed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(f"{purpose} needs {name}, which is not installed: pip install {install}", name=name) from None


def pandas(purpose: str = "a DataFrame") -> Any:
    """Returns the module pandas."""
    return optional("pandas", "'mixpanel-data[pandas]'", purpose)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Returns the names of columns, those that repeat an earlier one with `_1`, `_2` and so on, as DuckDB does it."""
    taken: set[str] = set()
    found = []
    for name in names:
        free, number = name, 0
        # Names of DuckDB that differ only in case are the same.
        while free.lower() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.lower())
        found.append(free)
    return found


def quoted(name: str) -> str:
    """Returns a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def data_frame(columns: Sequence[str] | None, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Returns a data frame with these columns, even without rows; `None` takes the columns from the rows."""
    rows = list(rows)
    frame = pandas().DataFrame(rows, columns=None if columns is None else list(columns))
    for name in frame.columns:
        values = [row.get(name) for row in rows]
        if None in values and {type(value) for value in values} == {int, type(None)}:
            small = all(value is None or -(2**63) <= value < 2**63 for value in values)
            frame[name] = pandas().Series(values, dtype="Int64" if small else "object")
    return frame


def frame_of_arrow(table: pyarrow.Table) -> pd.DataFrame:
    """Returns the rows of a query as a data frame whose values and types are those of DuckDB's own module.

    Raises:
        QueryError: A value of a column does not fit any type of pandas; the message names the column.
    """
    import pyarrow

    columns = {}
    for name, column in zip(distinct_names(table.column_names), table.columns, strict=True):
        try:
            columns[name] = _series(column)
        except (ArithmeticError, TypeError, ValueError, pyarrow.ArrowException) as error:
            raise unsuitable(name, "pandas", str(error)) from None
    return pandas().DataFrame(columns, copy=False)


def unsuitable(column: str | None, library: str, reason: str) -> MixpanelDataError:
    """Returns the error for a column whose values a library cannot represent; `None` if it is unknown which one."""
    name = "COLUMN" if column is None else quoted(column)
    what = "the result" if column is None else f"column {name}"
    return from_core(
        {
            "code": "QUERY_FAILED",
            "message": f"{what} cannot be read with {library}: {reason}",
            "hint": f"convert it in the query, for example with CAST({name} AS VARCHAR)",
        }
    )


def _series(column: pyarrow.ChunkedArray) -> Any:
    import pyarrow
    import pyarrow.compute

    types, kind = pyarrow.types, column.type
    if types.is_decimal128(kind) and (kind.precision, kind.scale) == (38, 0):
        column = _whole_numbers(column)
        kind = column.type
    if column.null_count and str(kind) in _NULLABLE:
        dtype = pandas().api.types.pandas_dtype(_NULLABLE[str(kind)])
        return pandas().Series(dtype.__from_arrow__(column))
    if types.is_date(kind):
        column = column.cast(pyarrow.timestamp("us"))
    elif types.is_interval(kind):
        return _durations(column)
    elif types.is_union(kind):
        return pandas().Series(column.to_pylist(), dtype="object")
    elif types.is_time64(kind):
        column = column.cast(pyarrow.time64("us"), safe=False)
        latest = pyarrow.compute.max(column.cast(pyarrow.int64())).as_py()
        if latest is not None and latest >= _MICROSECONDS_PER_DAY:
            raise ValueError("24:00:00 is not a time in Python")
    try:
        # Without the first option, integers in lists with NULL would become floats.
        return column.to_pandas(integer_object_nulls=True, maps_as_pydicts="strict")
    except TypeError:
        # The keys of a map cannot be those of a dict.
        return column.to_pandas(integer_object_nulls=True)


def _whole_numbers(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Returns a HUGEINT column with 64 bits if its values fit, else as floats."""
    import pyarrow

    try:
        return column.cast(pyarrow.int64())
    except pyarrow.ArrowInvalid:
        return column.cast(pyarrow.float64())


def _durations(column: pyarrow.ChunkedArray) -> Any:
    """Returns intervals as time differences."""
    micros = [
        None
        if value is None
        else (value.months * _DAYS_PER_MONTH + value.days) * _MICROSECONDS_PER_DAY + value.nanoseconds // 1_000
        for value in column.to_pylist()
    ]
    return pandas().Series(micros, dtype="timedelta64[us]")
