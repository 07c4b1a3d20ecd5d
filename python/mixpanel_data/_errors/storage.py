"""Errors of tables and database files."""

from __future__ import annotations

from typing import Any

from .base import MixpanelDataError


class _TableError(MixpanelDataError):
    @property
    def table_name(self) -> str:
        """The table."""
        return self._text("table_name")


class TableExistsError(_TableError):
    """The table exists, and the fetch does not append to it, upsert into it or replace it."""

    _default_code = "TABLE_EXISTS"

    def __init__(self, table_name: str) -> None:
        suggestion = "remove it with drop(), append to it, or choose another name"
        details = {"table_name": table_name, "suggestion": suggestion}
        super().__init__(f"Table '{table_name}' already exists.", None, details)

    @property
    def suggestion(self) -> str:
        """What to do about it."""
        return self._text("suggestion")


class TableNotFoundError(_TableError):
    """The table does not exist."""

    _default_code = "TABLE_NOT_FOUND"

    def __init__(self, table_name: str) -> None:
        super().__init__(f"Table '{table_name}' not found.", None, {"table_name": table_name})

    @property
    def available_tables(self) -> list[str]:
        """Names of the tables that exist, if known."""
        return list(self._details.get("available_tables") or [])


class TableChangedError(_TableError):
    """The table or its database has changed since the fetch began. Check it, then resume the run."""

    _default_code = "TABLE_CHANGED"


class ConstraintViolatedError(_TableError):
    """The rows violate an index or a constraint of the table."""

    _default_code = "CONSTRAINT_VIOLATED"


class _DatabaseError(MixpanelDataError):
    @property
    def db_path(self) -> str:
        """Path of the database file."""
        return self._text("db_path")

    @property
    def suggestion(self) -> str:
        """What to do about it."""
        return self._text("suggestion")


class DatabaseLockedError(_DatabaseError):
    """The database is open elsewhere: in another process, or in this one through another DuckDB library."""

    _default_code = "DATABASE_LOCKED"

    def __init__(self, db_path: str, holding_pid: int | None = None) -> None:
        suggestion = "close it there, or wait and try again"
        details: dict[str, Any] = {"db_path": db_path, "suggestion": suggestion}
        holder = "another process"
        if holding_pid is not None:
            details["holding_pid"] = holding_pid
            holder = f"process {holding_pid}"
        super().__init__(f"Database '{db_path}' is locked by {holder}: {suggestion}.", None, details)

    @property
    def holding_pid(self) -> int | None:
        """The id of the process that has it open, if known."""
        return self._number("holding_pid")


class DatabaseNotFoundError(_DatabaseError):
    """The database file to read does not exist."""

    _default_code = "DATABASE_NOT_FOUND"

    def __init__(self, db_path: str) -> None:
        details = {"db_path": db_path, "suggestion": "fetch events or profiles to create it"}
        super().__init__(f"Database '{db_path}' does not exist.", None, details)


class StorageError(MixpanelDataError):
    """A file could not be read or written."""

    _default_code = "STORAGE_ERROR"

    @property
    def path(self) -> str | None:
        """The file or directory, if known."""
        return self._details.get("path")

    @property
    def os_error(self) -> int | None:
        """The operating system's error number, if known."""
        return self._number("os_error")


class DiskFullError(StorageError):
    """The disk is full. Free some space and resume."""

    _default_code = "DISK_FULL"


class DatabaseUnusableError(StorageError):
    """The file is not usable as a database: it is damaged, no DuckDB file, or of a newer version."""

    _default_code = "DATABASE_UNUSABLE"


class OutOfMemoryError(MixpanelDataError):
    """The load needs more memory than its budget."""

    _default_code = "OUT_OF_MEMORY"

    @property
    def memory_needed(self) -> str | None:
        """A sufficient budget, such as `600MB`, if known."""
        return self._details.get("memory_needed")
