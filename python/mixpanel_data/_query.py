"""The result of a query."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Never, Self

from . import _core
from ._frames import distinct_names, frame_of_arrow, optional, pandas, quoted, unsuitable
from .exceptions import from_core_error

if TYPE_CHECKING:
    import pandas as pd
    import polars
    import pyarrow

_SHOWN_ROWS = 20
_SHOWN_CHARACTERS = 60
_SHOWN_CELL = 200

_TEXTS_AND_COMMENTS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_UNKNOWN_TO_POLARS = re.compile(r"\b(?:INTERVAL|UNION)\b")


class QueryResult:
    """The result of a read-only SQL query, which is run when it is read.

    Pass it to anything that accepts an Arrow stream, such as ``polars.DataFrame(result)``, or to DuckDB by name:
    ``duckdb.sql("select * from result")``. Each reading runs the query again, so a result holds no rows in memory. The
    database is open until a reading ends: an iteration that is not finished keeps it open.
    """

    def __init__(self, start: Callable[[str], _core.ArrowStream], query: str) -> None:
        self._start = start
        self._query = query

    def _stream(self, query: str | None = None) -> _core.ArrowStream:
        try:
            return self._start(query or self._query)
        except _core.CoreError as error:
            self._fail(error)

    def _collected(self, query: str | None = None) -> _core.Collected:
        try:
            return self._stream(query).collect()
        except _core.CoreError as error:
            self._fail(error)

    def _next(self, stream: _core.ArrowStream) -> list[tuple[Any, ...]] | None:
        try:
            return stream.rows()
        except _core.CoreError as error:
            self._fail(error)

    def _fail(self, error: _core.CoreError) -> Never:
        failed = from_core_error(error)
        if "of the type VARIANT" in failed.message:
            names = [name for name, kind in self._types() if "VARIANT" in _TEXTS_AND_COMMENTS.sub("", kind)]
            raise unsuitable(names[0] if names else None, "this package", "there is a VARIANT in it") from None
        raise failed from None

    def _types(self) -> list[tuple[str, str]]:
        """Returns the names and SQL types of the columns without running the query; none if that is not possible."""
        # Of several statements, only the first one would be described; the result is that of the last one.
        if ";" in _TEXTS_AND_COMMENTS.sub("", self._query.rstrip("; \t\r\n")):
            return []
        try:
            stream = self._start(f"DESCRIBE {self._query}")
            return [(row[0], row[1]) for row in chain.from_iterable(iter(stream.rows, None))]
        except _core.CoreError:
            # Not a SELECT, or a wrong one, whose reading says so.
            return []

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the rows by Arrow's PyCapsule protocol, a batch at a time."""
        return self._stream().__arrow_c_stream__(requested_schema)

    @property
    def columns(self) -> list[str]:
        """The names of the columns. For a `SELECT`, the query is not run."""
        names = [name for name, _ in self._types()]
        if names:
            return names
        stream = self._stream()
        try:
            return stream.columns()
        finally:
            stream.close()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Iterates over the rows as tuples of Python values. A JSON column holds text."""
        stream = self._stream()
        try:
            while (rows := self._next(stream)) is not None:
                yield from rows
        finally:
            stream.close()

    def _read(self, most: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Returns the names of the columns and all rows, or at least `most` if there are as many."""
        stream = self._stream()
        rows: list[tuple[Any, ...]] = []
        try:
            columns = stream.columns()
            while (most is None or len(rows) < most) and (more := self._next(stream)) is not None:
                rows.extend(more)
        finally:
            stream.close()
        return columns, rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all rows as tuples."""
        return list(self)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Returns the first row, or None if there is none."""
        for row in self:
            return row
        return None

    def arrow(self) -> pyarrow.Table:
        """Returns the rows as a PyArrow table."""
        module = optional("pyarrow", "'mixpanel-data[pandas]'", "an Arrow table")
        table: pyarrow.Table = module.table(self._collected())
        return table

    def pl(self) -> polars.DataFrame:
        """Returns the rows as a polars data frame.

        An INTERVAL becomes a `Duration`, with months of 30 days. Of columns with the same name, the second becomes
        `name_1`.

        Raises:
            QueryError: The query is wrong, or polars has no type for a column.
        """
        module = optional("polars", "'mixpanel-data[polars]'", "a polars data frame")
        query, durations = self._for_polars()
        try:
            frame: polars.DataFrame = module.DataFrame(self._collected(query))
        except BaseException as error:
            # What polars raises for a type that it does not have may be no `Exception`.
            if type(error).__name__ == "PanicException" or isinstance(error, module.exceptions.PolarsError):
                raise unsuitable(None, "polars", str(error)) from error
            raise
        return frame.with_columns(module.col(name).cast(module.Duration("us")) for name in durations)

    def _for_polars(self) -> tuple[str, list[str]]:
        """Returns the query with columns that polars accepts, and those whose microseconds are durations."""
        given = self._types()
        names = distinct_names([name for name, _ in given])
        durations = []
        for name, (_, kind) in zip(names, given, strict=True):
            if kind == "INTERVAL":
                durations.append(name)
            elif (found := _UNKNOWN_TO_POLARS.search(_TEXTS_AND_COMMENTS.sub("", kind))) is not None:
                raise unsuitable(name, "polars", f"polars has no type for {found[0]}")
        if not durations and names == [name for name, _ in given]:
            return self._query, []
        replaced = ", ".join(f"epoch_us({quoted(name)}) AS {quoted(name)}" for name in durations)
        columns = f"* REPLACE ({replaced})" if durations else "*"
        query = self._query.rstrip("; \t\r\n")
        return f"SELECT {columns} FROM (\n{query}\n) AS result({', '.join(map(quoted, names))})", durations

    def df(self) -> pd.DataFrame:
        """Returns the rows as a pandas data frame.

        Columns of integers or truth values with NULL have pandas' nullable types, such as `Int64`, so that no digit
        changes. Integers of more than 64 bits, as of ``sum``, become 64-bit integers if all values fit, otherwise
        floats. Of columns with the same name, the second becomes `name_1`.

        Raises:
            QueryError: The query is wrong, or pandas has no type for a column.
        """
        pandas("a pandas data frame")
        return frame_of_arrow(self.arrow())

    def __repr__(self) -> str:
        return f"QueryResult({_cut(' '.join(self._query.split()), _SHOWN_CHARACTERS)!r})"

    def __copy__(self) -> Self:
        return type(self)(self._start, self._query)

    def __deepcopy__(self, memo: object) -> Self:
        return self.__copy__()

    def __reduce__(self) -> Never:
        raise TypeError("a QueryResult cannot be pickled; pickle the Workspace, or what `fetchall` or `arrow` returns")

    def _repr_html_(self) -> str:
        """Returns the first rows as an HTML table, for notebooks."""
        columns, rows = self._read(_SHOWN_ROWS + 1)
        shown = "".join(_html_row(row, "td") for row in rows[:_SHOWN_ROWS])
        rest = f"<p>The first {_SHOWN_ROWS} rows.</p>" if len(rows) > _SHOWN_ROWS else ""
        return f"<table><thead>{_html_row(columns, 'th')}</thead><tbody>{shown}</tbody></table>{rest}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _html_row(cells: list[str] | tuple[Any, ...], tag: str) -> str:
    texts = ("" if cell is None else html.escape(_cut(str(cell), _SHOWN_CELL)) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"
