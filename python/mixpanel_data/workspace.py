"""One Mixpanel project and one database."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from ._arguments import absolute, boolean, identifier, integer, one_of, text
from ._frames import optional
from ._options import RunOptions, check_names
from ._query import QueryResult
from ._requests import event_result, request
from ._runs import Runs
from ._session import EPHEMERAL, TEMPORARY, Connection, without_none
from ._statistics import Statistics
from ._streaming import Streamer
from .types import EventAudit, FetchResult, ParallelFetchResult, QuotaUsage, SQLResult, TableType, WorkspaceInfo

if TYPE_CHECKING:
    import duckdb
    import pandas


class Workspace(Runs, Streamer, Statistics):
    """A Mixpanel project and a DuckDB database, with everything that can be done with them.

    Credentials, the database and the server are those that the command `mp` would use: an account from the config file,
    or `MP_USERNAME`, `MP_SECRET`, `MP_PROJECT_ID` and `MP_REGION`. The database is open only during a call.

    Args:
        account: The name of an account in the config file.
        project_id: The project to use instead of the account's.
        region: The region to use instead of the account's: us, eu or in.
        path: The database file; by default `~/.mp/data/PROJECT.db`.
        read_only: Whether to refuse everything that changes the database.
        base_url: A server on this machine to send requests to instead of Mixpanel, for tests.
        quota: The requests that Mixpanel allows the project, such as `"120/h"`; by default `"60/h"`, of queries and of
            exports each.
        reserve: How many of them to leave to other programs; by default none.

    Example:
        ```python
        import mixpanel_data as mp

        ws = mp.Workspace()
        ws.fetch_profiles(parallel=True)
        ws.sql("SELECT count(*) FROM profiles")
        ```
    """

    def __init__(
        self,
        account: str | None = None,
        project_id: str | None = None,
        region: str | None = None,
        path: str | PathLike[str] | None = None,
        read_only: bool = False,
        *,
        base_url: str | None = None,
        quota: str | None = None,
        reserve: int | None = None,
    ) -> None:
        choice = without_none(
            account=None if account is None else text("account", account),
            project_id=None if project_id is None else identifier("project_id", project_id),
            region=None if region is None else text("region", region),
            path=None if path is None else absolute("path", path),
            base_url=None if base_url is None else text("base_url", base_url),
            quota=None if quota is None else text("quota", quota),
            reserve=None if reserve is None else integer("reserve", reserve),
        )
        self._set_up(choice, read_only)

    def _set_up(self, choice: dict[str, Any], read_only: bool) -> None:
        self._choice = choice
        self._connection = Connection(choice, boolean("read_only", read_only))

    @classmethod
    def open(cls, path: str | PathLike[str], *, read_only: bool = True) -> Self:
        """Opens a database without credentials. What needs them raises `ConfigError`."""
        workspace = cls.__new__(cls)
        workspace._set_up({"path": absolute("path", path), "offline": True}, read_only)
        return workspace

    @classmethod
    @contextlib.contextmanager
    def ephemeral(
        cls,
        account: str | None = None,
        project_id: str | None = None,
        region: str | None = None,
        *,
        base_url: str | None = None,
    ) -> Iterator[Self]:
        """Uses a temporary database, which is deleted at the end of the `with` block; the workspace ends with it."""
        with tempfile.TemporaryDirectory(prefix=TEMPORARY) as directory:
            path = os.path.join(directory, EPHEMERAL)
            workspace = cls(account, project_id, region, path, base_url=base_url)
            try:
                yield workspace
            finally:
                workspace.close()
                workspace._connection.delete()

    @classmethod
    def memory(
        cls,
        account: str | None = None,
        project_id: str | None = None,
        region: str | None = None,
        *,
        base_url: str | None = None,
    ) -> contextlib.AbstractContextManager[Self]:
        """Does the same as `ephemeral`: fetches are staged on disk, so that they can be resumed."""
        return cls.ephemeral(account, project_id, region, base_url=base_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops what other threads do with this workspace. Nothing stays open between calls."""
        if self._connection.is_open:
            self._connection.core.cancel()

    def cancel(self) -> None:
        """Stops the fetches and queries of other threads; what they have fetched is kept."""
        self.close()

    def query(self, sql: str) -> QueryResult:
        """Returns the result of a read-only query, as Arrow data, a data frame or rows.

        Raises:
            QueryError: The query is wrong.
            DatabaseNotFoundError: Nothing has been fetched yet.
        """
        sql = text("the query", sql)
        self._connection.call("check_sql", sql=sql)
        return QueryResult(lambda query: self._connection.core.query(query), sql)

    def sql(self, query: str) -> pandas.DataFrame:
        """Runs a read-only query and returns its rows as a pandas data frame.

        Raises:
            ImportError: pandas or pyarrow is not installed; `query` works without them.
            QueryError: The query is wrong.
        """
        return self.query(query).df()

    def sql_scalar(self, query: str) -> Any:
        """Runs a query and returns the first value of its first row, or None if there is no row."""
        row = self.query(query).fetchone()
        return None if row is None else row[0]

    def sql_rows(self, query: str) -> SQLResult:
        """Runs a query and returns its columns and rows."""
        columns, rows = self.query(query)._read()
        return SQLResult(columns=columns, rows=rows)

    def info(self) -> WorkspaceInfo:
        """Returns the project, the account, the database and its tables."""
        found = self._connection.info()
        path = Path(absolute("path", found["path"]))
        status = path.stat() if path.exists() else None
        # Linux does not tell; `st_ctime` is the time of the last change there.
        born: float | None = getattr(status, "st_birthtime", None)
        return WorkspaceInfo(
            path=path,
            project_id=found["project_id"] or "unknown",
            region=found["region"] or "unknown",
            account=found["account"],
            tables=[table.name for table in self.tables()] if status else [],
            size_mb=status.st_size / 1_000_000 if status else 0.0,
            created_at=None if born is None else datetime.fromtimestamp(born, timezone.utc),
        )

    @property
    def db_path(self) -> Path:
        """The path of the database file."""
        return Path(absolute("path", self._connection.info()["path"]))

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """A read-only connection of the `duckdb` module, which must be installed.

        While it is open, other methods that need the file raise `DatabaseLockedError`: two engines in one process that
        use one file can destroy it. Close it before the next call.
        """
        module = optional("duckdb", "duckdb", "a connection")
        opened: duckdb.DuckDBPyConnection = module.connect(str(self.db_path), read_only=True)
        return opened

    def drop(self, *names: str) -> None:
        """Drops tables and views, all or none.

        Raises:
            TableNotFoundError: There is no such table.
        """
        self._connection.check_writable("drop tables")
        self._connection.call("drop", tables=list(names))

    def drop_all(self, type: TableType | None = None) -> None:
        """Drops all tables, or all of one type: `"events"` or `"profiles"`."""
        chosen = None if type is None else one_of("type", type, ("events", "profiles"))
        self._connection.check_writable("drop tables")
        names = [table.name for table in self.tables() if chosen in (None, table.type)]
        if names:
            self.drop(*names)

    def events(self) -> list[str]:
        """Returns the names of the project's events. Costs one query."""
        names: list[str] = self._connection.call("events")
        return names

    @staticmethod
    def test_credentials(account: str | None = None) -> dict[str, Any]:
        """Checks the credentials of an account by requesting the names of events.

        Static: of the workspace on which it is called, it knows nothing, so name the account unless it is the default.

        Returns:
            `success`, `account`, `project_id`, `region` and `events_found`.
        """
        workspace = Workspace(account)
        found = workspace._connection.info()
        count = workspace._connection.call("test_credentials")
        return {
            "success": True,
            "account": found["account"],
            "project_id": found["project_id"],
            "region": found["region"],
            "events_found": count,
        }

    def quota_usage(self, kind: Literal["queries", "exports"] = "queries") -> QuotaUsage:
        """Returns how much of the project's quota is used: of queries, or of exports of events."""
        chosen = one_of("kind", kind, ("queries", "exports"))
        return QuotaUsage._from_json(self._connection.call("quota_usage")[chosen])

    def audit_events(self, table: str = "events") -> EventAudit:
        """Compares the settled days of a table of events with Mixpanel's counts. Costs one query."""
        return EventAudit._from_json(self._connection.call("audit_events", table=table))

    def repair_events(
        self, table: str = "events", **options: Unpack[RunOptions]
    ) -> list[FetchResult | ParallelFetchResult]:
        """Fetches the days again for which Mixpanel counts other numbers of events; each replaces its rows."""
        check_names("repair_events", options, RunOptions)
        found = self._fetch("repair_events", request(table=table, **options), False, None, None)
        return [event_result(result) for result in found["results"]]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._choice.items())
        return f"Workspace({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self._choice, self._connection.is_read_only)


def _restored(kind: type[Workspace], choice: dict[str, Any], read_only: bool) -> Workspace:
    workspace = kind.__new__(kind)
    workspace._set_up(choice, read_only)
    return workspace
