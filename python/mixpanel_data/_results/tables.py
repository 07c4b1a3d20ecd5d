"""Tables, their columns, and the rows of queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from .._frames import distinct_names
from .record import Reader, Record, list_of, moment


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TableInfo(Record):
    """A table of the database.

    Attributes:
        name: Its name.
        type: What it holds; `unknown` if no fetch created it.
        row_count: Number of rows.
        fetched_at: When it was last loaded, in UTC; `None` if no fetch created it.
        partial: Whether pages or date ranges are missing because a fetch could not retrieve them.
    """

    name: str
    type: Literal["events", "profiles", "unknown"]
    row_count: int
    fetched_at: datetime | None
    _: KW_ONLY
    partial: bool = False

    _readers: ClassVar[Mapping[str, Reader]] = {"fetched_at": moment}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ColumnInfo(Record):
    """A column of a table.

    Attributes:
        name: Its name.
        type: Its SQL type.
        nullable: Whether it may be null.
        primary_key: Whether it is part of the primary key.
    """

    name: str
    type: str
    nullable: bool
    primary_key: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TableSchema(Record):
    """The columns of a table.

    Attributes:
        table_name: The table.
        columns: Its columns, in order.
    """

    table_name: str
    columns: list[ColumnInfo]

    _readers: ClassVar[Mapping[str, Reader]] = {"columns": list_of(ColumnInfo)}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TableMetadata(Record):
    """What was fetched into a table.

    Attributes:
        type: What the table holds.
        fetched_at: When it was fetched.
        from_date: First day of events.
        to_date: Last day of events.
        filter_events: Names of the fetched events, if not all.
        filter_where: Filter expression.
        filter_cohort_id: Cohort.
        filter_output_properties: Names of the fetched properties, if not all.
        filter_group_id: Group type.
        filter_behaviors: Behaviors, as JSON text.
    """

    type: Literal["events", "profiles"]
    fetched_at: datetime
    from_date: str | None = None
    to_date: str | None = None
    filter_events: list[str] | None = None
    filter_where: str | None = None
    filter_cohort_id: str | None = None
    filter_output_properties: list[str] | None = None
    filter_group_id: str | None = None
    filter_behaviors: str | None = None

    _readers: ClassVar[Mapping[str, Reader]] = {"fetched_at": moment}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WorkspaceInfo(Record):
    """A workspace.

    Attributes:
        path: The database file; `None` for a temporary one.
        project_id: The project.
        region: Where its data is stored: `us`, `eu` or `in`.
        account: The account; `None` if the credentials come from the environment.
        tables: Names of the tables.
        size_mb: Size of the database file in megabytes.
        created_at: When the database file was created, if known.
    """

    path: Path | None
    project_id: str
    region: str
    account: str | None
    tables: list[str]
    size_mb: float
    created_at: datetime | None

    _readers: ClassVar[Mapping[str, Reader]] = {"path": Path, "created_at": moment}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SQLResult(Record):
    """The rows of a query; iterates over them.

    Attributes:
        columns: Names of the columns, which need not be unique.
        rows: The rows.
    """

    columns: list[str]
    rows: list[tuple[Any, ...]]

    _readers: ClassVar[Mapping[str, Reader]] = {"rows": lambda rows: [tuple(row) for row in rows]}

    def to_dicts(self) -> list[dict[str, Any]]:
        """Returns each row as a dictionary. Of columns with the same name, the second is `name_1`."""
        names = distinct_names(self.columns)
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Returns the columns, the rows and `row_count` as values that `json.dumps` accepts."""
        return {**Record.to_dict(self), "row_count": len(self.rows)}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)
