"""What the sources for dlt and for Spark have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from . import _arguments
from ._session import Connection, without_none
from .exceptions import InvalidInputError

if TYPE_CHECKING:
    import pyarrow

    from mixpanel_data import Workspace

PROFILES_SQL = "SELECT distinct_id, CAST(properties AS VARCHAR) AS properties, last_seen FROM profiles"
EVENTS_SQL = (
    "SELECT event_name, event_time, distinct_id, insert_id, CAST(properties AS VARCHAR) AS properties FROM events"
)

log = logging.getLogger("mixpanel_data")


@dataclass(frozen=True)
class Login:
    """Whose data to read: an account of the config file, or a service account's user name and secret."""

    account: str | None = None
    project_id: str | None = None
    region: str | None = None
    username: str | None = None
    secret: str | None = field(default=None, repr=False)

    def check(self, account: str = "account", project: str = "project_id") -> None:
        """Checks that the parts belong together; `account` and `project` are what their arguments are called.

        Raises:
            InvalidInputError: If a part is missing, or two parts exclude each other.
        """
        if (self.username is None) != (self.secret is None):
            raise InvalidInputError("`username` and `secret` must be given together")
        if self.username is not None and self.account is not None:
            raise InvalidInputError(f"give either `{account}`, or `username` and `secret`")
        if self.username is not None and self.project_id is None:
            raise InvalidInputError(f"`username` and `secret` require `{project}`")

    @contextmanager
    def workspace(self) -> Iterator[tuple[Workspace, str]]:
        """Opens a temporary workspace, and returns it with the id of its project."""
        from mixpanel_data import Workspace

        self.check()
        account, project_id, region = self.account, self.project_id, self.region
        with Workspace.ephemeral(account=account, project_id=project_id, region=region) as workspace:
            if self.username is not None:
                # Only the connection gets the secret: the workspace shows and pickles what it was made from.
                choice = {**workspace._choice, "username": self.username, "secret": self.secret}
                workspace._connection = Connection(choice)
            yield workspace, str(workspace.info().project_id)

    def project(self) -> str:
        """Returns the id of the project."""
        with self.workspace() as (_, project_id):
            return project_id


@dataclass(frozen=True)
class Span:
    """A range of days; both are included."""

    first: date
    last: date

    def days(self) -> list[date]:
        """Returns each day."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def pieces(self, length: int) -> list[Span]:
        """Splits it into spans of at most this many days."""
        days = self.days()
        return [Span(days[at], days[min(at + length, len(days)) - 1]) for at in range(0, len(days), length)]


def parse_day(text: str, today: date) -> date:
    """Reads a day: YYYY-MM-DD, `today`, `yesterday`, or days ago such as `7d`.

    Raises:
        InvalidInputError: If it is none of these.
    """
    words = {"today": 0, "yesterday": 1}
    if text in words:
        return today - timedelta(days=words[text])
    if text.endswith("d") and text[:-1].isdecimal():
        return today - timedelta(days=int(text[:-1]))
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        expected = "YYYY-MM-DD, today, yesterday, or days ago such as 7d"
        raise InvalidInputError(f"`{text}` is not a day; use {expected}") from None


def today_in(time_zone: str | None, name: str = "time_zone") -> date:
    """Returns the current day of a project in this time zone, UTC by default; `name` is that of the argument.

    Raises:
        InvalidInputError: If the time zone is unknown.
    """
    zone = timezone.utc if time_zone is None else _arguments.time_zone(name, time_zone)
    return datetime.now(zone).date()


def fetch_events(workspace: Workspace, span: Span, options: Mapping[str, Any]) -> None:
    """Fetches the events of some days into the table `events`.

    A table, rather than a stream, because only the load removes the duplicates that Mixpanel exports.

    Raises:
        MixpanelDataError: If a day could not be fetched.
    """
    result = workspace.fetch_events(
        "events",
        from_date=span.first.isoformat(),
        to_date=span.last.isoformat(),
        parallel=True,
        progress=False,
        **options,
    )
    if result.has_failures:
        days = ", ".join(f"{first} to {last}" for first, last in result.failed_date_ranges)
        raise _incomplete(f"could not fetch the events of {days}")
    _warn_about_rejects(result.rejected, "events")


def fetch_profiles(workspace: Workspace, options: Mapping[str, Any]) -> None:
    """Fetches profiles into the table `profiles`.

    Raises:
        MixpanelDataError: If a page could not be fetched.
    """
    result = workspace.fetch_profiles("profiles", parallel=True, progress=False, **options)
    if result.failed_page_indices:
        raise _incomplete(f"could not fetch these pages of profiles: {list(result.failed_page_indices)}")
    if result.has_failures:
        raise _incomplete(f"{result.shortfall} of the profiles that Mixpanel announced are missing")
    _warn_about_rejects(result.rejected, "profiles")


def _incomplete(what: str) -> Exception:
    """Returns the error for a partial fetch, because what is missing would look as if it was deleted."""
    from mixpanel_data.exceptions import IncompleteError

    return IncompleteError(f"{what}; nothing was passed on")


def _warn_about_rejects(rejected: int, what: str) -> None:
    if rejected:
        log.warning("%d records are not %s and were left out; `mp fetch %s` lists them", rejected, what, what)


def event_schema() -> pyarrow.Schema:
    """Returns the columns of events."""
    import pyarrow

    text = pyarrow.string()
    return pyarrow.schema(
        [
            pyarrow.field("event_name", text, nullable=False),
            pyarrow.field("event_time", pyarrow.timestamp("us", "UTC"), nullable=False),
            pyarrow.field("distinct_id", text, nullable=False),
            pyarrow.field("insert_id", text, nullable=False),
            pyarrow.field("properties", text),
        ]
    )


def profile_schema() -> pyarrow.Schema:
    """Returns the columns of profiles."""
    import pyarrow

    return pyarrow.schema(
        [
            pyarrow.field("distinct_id", pyarrow.string(), nullable=False),
            pyarrow.field("properties", pyarrow.string()),
            # Mixpanel sends no time zone with it.
            pyarrow.field("last_seen", pyarrow.timestamp("us", "UTC")),
        ]
    )


def batches(workspace: Workspace, sql: str, schema: pyarrow.Schema) -> Iterator[pyarrow.RecordBatch]:
    """Runs a query and yields its rows in batches with exactly these columns."""
    import pyarrow

    for batch in pyarrow.RecordBatchReader.from_stream(workspace.query(sql)):
        if batch.num_rows:
            yield batch.cast(schema)
