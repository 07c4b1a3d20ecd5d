"""A data source for Spark 4 and for other engines that have its Python Data Source API, such as Sail.

Example:
    >>> from mixpanel_data.spark import MixpanelDataSource
    >>> spark.dataSource.register(MixpanelDataSource)  # doctest: +SKIP
    >>> events = (  # doctest: +SKIP
    ...     spark.read.format("mixpanel").option("from", "2026-01-01").option("to", "yesterday").load()
    ... )

Each project and day of events is a partition, and so are all profiles of a project. Executors need this package, and
either the accounts in their config file or the credentials in the options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mixpanel_data import _arguments, _sources
from mixpanel_data._session import without_none
from mixpanel_data._sources import Login, Span, parse_day, today_in
from mixpanel_data.auth import ConfigManager
from mixpanel_data.exceptions import InvalidInputError

try:
    import pyarrow
    from pyspark.sql import datasource
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
except ImportError as missing:
    raise ImportError(
        f"mixpanel_data.spark requires PySpark 4 and pyarrow ({missing}): pip install 'mixpanel-data[spark]'"
    ) from missing

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = ["MixpanelDataSource"]

_TABLES = ("events", "profiles")
_OPTIONS = {
    "table": "`events` (default) or `profiles`",
    "from": "first day of the events: YYYY-MM-DD, `today`, `yesterday`, or days ago such as `7d`; required for events",
    "to": "last day, inclusive, in the same form; `today` by default",
    "accounts": "accounts of the config file, separated by commas; the default account otherwise",
    "projects": "projects to read with one account or user name, separated by commas",
    "region": "`us`, `eu` or `in`",
    "username": "user name of a service account, instead of `accounts`; requires `projects`",
    "secret": "its secret",
    "events": "only events with these names, separated by commas; a name that has a comma is in double quotes",
    "where": "only events or profiles that this Mixpanel expression selects",
    "timezone": "time zone of the projects, such as `Europe/Lisbon`; UTC by default",
    "dedupe": "which events count as duplicates: `exact` (default), `day` or `none`",
    "chunkDays": "days per partition and request; 1 by default",
    "outputProperties": "only these properties of profiles, separated by commas",
    "dropProperties": "properties that are never stored, separated by commas",
    "hashProperties": "properties of which only keyed hashes are read, separated by commas",
}
"""The options and what they mean. Their names are the same in upper and lower case, and with underscores."""

_ALIASES = {"account": "accounts", "project": "projects"}
_ONLY_EVENTS = ("chunkDays", "dedupe", "events", "from", "timezone", "to")
_ONLY_PROFILES = ("outputProperties",)

# Mixpanel takes the names in the address of the request, which has a limited length.
_LONGEST_NAMES = 4000


class MixpanelDataSource(DataSource):  # type: ignore[misc, unused-ignore]
    __doc__ = "Events or profiles of Mixpanel projects, with these options:\n\n" + "\n".join(
        f"- `{name}`: {meaning}" for name, meaning in _OPTIONS.items()
    )

    @classmethod
    def name(cls) -> str:
        """Returns the name of the format: `mixpanel`."""
        return "mixpanel"

    def schema(self) -> StructType:
        """Returns the columns, which depend on the option `table` only."""
        from pyspark.sql.types import StringType, StructField, StructType, TimestampType

        # Not as text, in which Sail takes `timestamp` for a time without a time zone.
        is_time = {"event_time", "last_seen"}
        table = _Request.of(self.options).table
        names = (_sources.event_schema() if table == "events" else _sources.profile_schema()).names
        fields = [StructField(name, TimestampType() if name in is_time else StringType()) for name in names]
        return StructType([*fields, StructField("project_id", StringType())])

    def reader(self, schema: StructType) -> MixpanelReader:
        """Returns the reader."""
        return MixpanelReader(_Request.of(self.options))


@dataclass(frozen=True)
class _Request:
    """The options of a read, checked."""

    table: str
    logins: tuple[Login, ...]
    first: str = ""
    last: str = ""
    time_zone: str | None = None
    chunk_days: int = 1
    events: tuple[str, ...] | None = None
    fetch: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(options: Mapping[str, str]) -> _Request:
        """Reads the options.

        Raises:
            InvalidInputError: If one is unknown, missing, empty or wrong.
        """
        chosen = _chosen(options)
        table = _arguments.one_of("the option `table`", chosen.get("table", "events"), _TABLES)
        fetch = without_none(
            where=chosen.get("where"),
            drop_properties=_names(chosen, "dropProperties"),
            hash_properties=_names(chosen, "hashProperties"),
        )
        logins = _logins(chosen)
        if table == "profiles":
            _refuse(chosen, _ONLY_EVENTS, "profiles")
            fetch |= without_none(output_properties=_names(chosen, "outputProperties"))
            return _Request(table, logins, fetch=fetch)
        _refuse(chosen, _ONLY_PROFILES, "events")
        return _event_request(chosen, logins, fetch)


def _chosen(options: Mapping[str, str]) -> dict[str, str]:
    """Returns the options under the names that they have in the documentation."""
    known = {_plain(name): name for name in _OPTIONS} | _ALIASES
    chosen: dict[str, str] = {}
    for given, value in options.items():
        name = known.get(_plain(given))
        if name is None:
            described = "; ".join(f"{option}: {meaning}" for option, meaning in _OPTIONS.items())
            raise InvalidInputError(f"the format `mixpanel` has no option `{given}`. Options: {described}")
        if name in chosen:
            raise InvalidInputError(f"the option `{name}` is given twice, once as `{given}`")
        check = _arguments.hidden_text if name == "secret" else _arguments.text
        chosen[name] = check(f"the option `{name}`", value)
        if not chosen[name].strip():
            raise InvalidInputError(f"the option `{name}` is empty; leave it out, or give it a value")
    return chosen


def _event_request(chosen: Mapping[str, str], logins: tuple[Login, ...], fetch: dict[str, Any]) -> _Request:
    if "from" not in chosen:
        raise InvalidInputError("the option `from` is missing: the first day of the events")
    first, last, time_zone = chosen["from"], chosen.get("to", "today"), chosen.get("timezone")
    today = today_in(time_zone, "the option `timezone`")
    if parse_day(first, today) > parse_day(last, today):
        raise InvalidInputError(f"the first day, {first}, is after the last one, {last}")
    text = chosen.get("chunkDays", "1")
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise InvalidInputError(f"the option `chunkDays` must be 1 to 100, not `{text}`")
    if "dedupe" in chosen:
        _arguments.one_of("the option `dedupe`", chosen["dedupe"], _arguments.DEDUPE)
    events = _names(chosen, "events")
    fetch |= without_none(time_zone=time_zone, dedupe=chosen.get("dedupe"))
    return _Request(
        "events", logins, first, last, time_zone, int(text), None if events is None else tuple(events), fetch
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _names(chosen: Mapping[str, str], name: str) -> list[str] | None:
    """Returns the names in an option, each once."""
    if name not in chosen:
        return None
    return list(dict.fromkeys(_arguments.split(f"the option `{name}`", chosen[name])))


def _refuse(chosen: Mapping[str, str], names: tuple[str, ...], table: str) -> None:
    for name in names:
        if name in chosen:
            raise InvalidInputError(f"the option `{name}` does not apply to {table}")


def _logins(chosen: Mapping[str, str]) -> tuple[Login, ...]:
    """Returns one login for each project."""
    accounts, projects = _names(chosen, "accounts"), _names(chosen, "projects")
    if accounts is not None and len(accounts) > 1 and projects is not None:
        raise InvalidInputError("`projects` requires a single account; several accounts read their own projects")
    for project in projects or []:
        if not (project.isascii() and project.isdecimal()):
            raise InvalidInputError(f"the option `projects` contains `{project}`, and a project id has only digits")
    username, secret, region = chosen.get("username"), chosen.get("secret"), chosen.get("region")
    if region is not None:
        region = _arguments.region("the option `region`", region)
    # Without names, there is one login, with the default account or its own project.
    of_accounts: list[str | None] = [*accounts] if accounts else [None]
    of_projects: list[str | None] = [*projects] if projects else [None]
    logins = [Login(account, project, region, username, secret) for account in of_accounts for project in of_projects]
    for login in logins:
        login.check("accounts", "projects")
    for account in accounts or []:
        # Here, rather than in a task that has waited for the quota.
        ConfigManager().get_account(account)
    return tuple(logins)


class MixpanelPartition(InputPartition):  # type: ignore[misc, unused-ignore]
    """A project, and for events some of its days."""

    def __init__(self, project: int, span: Span | None) -> None:
        """Takes the position of the project among the reader's, which alone knows the credentials."""
        super().__init__((project, span))
        self.project = project
        self.span = span


class MixpanelReader(DataSourceReader):  # type: ignore[misc, unused-ignore]
    """Reads the partitions on the executors."""

    def __init__(self, request: _Request) -> None:
        """Takes the checked options."""
        self._request = request
        self._events = request.events

    # Only from Spark 4.1 on: with PySpark 4.0, Sail fails for want of the classes of filters if it finds the method.
    if hasattr(datasource, "EqualTo"):

        def pushFilters(self, filters: list[Any]) -> Iterator[Any]:  # noqa: N802 (Spark's name)
            """Requests only the events whose names a filter selects. Spark evaluates every filter itself as well."""
            for condition in filters:
                names = _wanted_names(condition)
                if self._request.table == "events" and names is not None:
                    self._events = tuple(name for name in names if self._events is None or name in self._events)
                yield condition

    def partitions(self) -> list[MixpanelPartition]:
        """Returns a partition for each project, or for each project and day."""
        projects = range(len(self._request.logins))
        if self._request.table == "profiles":
            return [MixpanelPartition(project, None) for project in projects]
        if self._events == ():
            return []
        today = today_in(self._request.time_zone)
        last = min(parse_day(self._request.last, today), today)
        first = parse_day(self._request.first, today)
        spans = Span(first, last).pieces(self._request.chunk_days) if first <= last else []
        # Days outside, so that neighbouring tasks share the quota of different projects.
        return [MixpanelPartition(project, span) for span in spans for project in projects]

    def read(self, partition: InputPartition | None) -> Iterator[pyarrow.RecordBatch]:
        """Fetches a partition and yields its rows as Arrow batches."""
        # If there are no partitions, Spark reads once with None.
        if not isinstance(partition, MixpanelPartition):
            return
        login, options = self._request.logins[partition.project], dict(self._request.fetch)
        with login.workspace() as (workspace, project_id):
            if partition.span is None:
                _sources.fetch_profiles(workspace, options)
                sql, schema = _sources.PROFILES_SQL, _sources.profile_schema()
            else:
                if self._events is not None:
                    options["events"] = list(self._events)
                _sources.fetch_events(workspace, partition.span, options)
                sql, schema = _sources.EVENTS_SQL, _sources.event_schema()
            for batch in _sources.batches(workspace, sql, schema):
                project = pyarrow.repeat(pyarrow.scalar(project_id), batch.num_rows)
                yield batch.append_column("project_id", project)


def _wanted_names(condition: Any) -> list[str] | None:
    """Returns the event names that a filter selects, or None if it is about something else."""
    if getattr(condition, "attribute", None) != ("event_name",):
        return None
    # By name, because PySpark 4.0 has no classes of filters.
    kind, value = type(condition).__name__, getattr(condition, "value", None)
    values = [value] if kind == "EqualTo" else value if kind == "In" else None
    if values is None:
        return None
    names = [name for name in values if isinstance(name, str) and name]
    is_usable = len(names) == len(values) and sum(len(name.encode()) for name in names) <= _LONGEST_NAMES
    return names if is_usable else None
