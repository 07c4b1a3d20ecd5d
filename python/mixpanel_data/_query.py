"""The result of a query."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _core
from .exceptions import from_core_error

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_SHOWN_ROWS = 20


def quoted(name: str) -> str:
    """Returns a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def missing(package: str, extra: str, instead: str) -> ImportError:
    """Returns the error for an optional package that is not installed."""
    return ImportError(
        f"this needs {package}: install with `pip install 'mixpanel-data[{extra}]'`, or use {instead}"
    )


class QueryResult:
    """The result of a read-only SQL query, which is run when it is read.

    Pass it to anything that accepts an Arrow stream, such as ``polars.DataFrame(result)``, or to DuckDB by name:
    ``duckdb.sql("select * from result")``. Each reading runs the query again, so a result holds no rows in memory and
    does not keep the database open.
    """

    def __init__(self, start: Callable[[], _core.ArrowStream], query: str) -> None:
        self._start = start
        self._query = query

    def _stream(self) -> _core.ArrowStream:
        try:
            return self._start()
        except _core.CoreError as error:
            raise from_core_error(error) from None

    def _collected(self) -> _core.Collected:
        try:
            return self._stream().collect()
        except _core.CoreError as error:
            raise from_core_error(error) from None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the rows by Arrow's PyCapsule protocol, a batch at a time."""
        return self._stream().__arrow_c_stream__(requested_schema)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
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

    @staticmethod
    def _next(stream: _core.ArrowStream) -> list[tuple[Any, ...]] | None:
        try:
            return stream.rows()
        except _core.CoreError as error:
            raise from_core_error(error) from None

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
        try:
            import pyarrow
        except ImportError:
            raise missing("pyarrow", "pandas", "`query` with `.pl()` or iteration") from None
        table: pyarrow.Table = pyarrow.table(self._collected())
        return table

    def pl(self) -> polars.DataFrame:
        """Returns the rows as a polars data frame."""
        try:
            import polars
        except ImportError:
            raise missing("polars", "polars", "`query` with `.df()` or iteration") from None
        return polars.DataFrame(self._collected())

    def df(self) -> pandas.DataFrame:
        """Returns the rows as a pandas data frame.

        Integers of more than 64 bits, as of ``sum``, become 64-bit integers if all values fit, otherwise floats.
        """
        try:
            import pandas  # noqa: F401
            import pyarrow
        except ImportError:
            raise missing("pandas and pyarrow", "pandas", "`query` with `.pl()` or iteration") from None
        table = self.arrow()
        for index, field in enumerate(table.schema):
            if pyarrow.types.is_decimal128(field.type) and field.type.scale == 0 and field.type.precision == 38:
                column = table.column(index)
                try:
                    column = column.cast(pyarrow.int64())
                except pyarrow.ArrowInvalid:
                    column = column.cast(pyarrow.float64())
                table = table.set_column(index, field.name, column)
        frame: pandas.DataFrame = table.to_pandas()
        return frame

    def __repr__(self) -> str:
        return f"QueryResult({' '.join(self._query.split())[:60]!r})"

    def _repr_html_(self) -> str:
        """Returns the first rows as an HTML table, for notebooks."""
        stream = self._stream()
        rows: list[tuple[Any, ...]] = []
        try:
            columns = stream.columns()
            while len(rows) <= _SHOWN_ROWS and (more := self._next(stream)) is not None:
                rows.extend(more)
        finally:
            stream.close()
        shown = "".join(_html_row(row, "td") for row in rows[:_SHOWN_ROWS])
        rest = f"<p>The first {_SHOWN_ROWS} rows.</p>" if len(rows) > _SHOWN_ROWS else ""
        return f"<table><thead>{_html_row(columns, 'th')}</thead><tbody>{shown}</tbody></table>{rest}"


def _html_row(cells: list[str] | tuple[Any, ...], tag: str) -> str:
    texts = ("" if cell is None else html.escape(str(cell)) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"
