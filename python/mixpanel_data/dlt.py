"""A dlt source for the events and the profiles of a project.

Example:
    >>> import dlt
    >>> from mixpanel_data.dlt import mixpanel_source
    >>> pipeline = dlt.pipeline("mixpanel_to_duckdb", destination="duckdb", dataset_name="mixpanel")
    >>> pipeline.run(mixpanel_source(from_date="2026-01-01"))  # doctest: +SKIP

Each run fetches the days that may still have changed and the days that came after, and replaces them in the
destination as a whole. That is the only way to lose events that were deleted in Mixpanel, and to keep one copy of an
event whose ids were merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from mixpanel_data import _arguments, _sources
from mixpanel_data._arguments import Day
from mixpanel_data._requests import request
from mixpanel_data._session import without_none
from mixpanel_data._sources import Login, Span, parse_day, today_in
from mixpanel_data.exceptions import InvalidInputError

try:
    import dlt
    import pyarrow
    import pyarrow.compute
    from dlt.common.configuration.specs import BaseConfiguration
except ImportError as missing:
    raise ImportError(
        f"mixpanel_data.dlt requires dlt and pyarrow ({missing}): pip install 'mixpanel-data[dlt]'"
    ) from missing

if TYPE_CHECKING:
    from dlt.extract import DltResource

    from mixpanel_data import Workspace

__all__ = ["mixpanel_source"]

# dlt writes a file for each table that it is given, so small ones are slow.
_ROWS = 100_000


@dataclass(frozen=True)
class _Events:
    """Which events to fetch, and how."""

    from_date: str
    to_date: str
    since: str | None
    time_zone: str | None
    refresh_days: int
    options: dict[str, Any]


# Without a specification of its own, dlt would also fill arguments from variables such as REGION and USERNAME, which
# many systems set.
@dlt.source(  # type: ignore[untyped-decorator, unused-ignore]
    name="mixpanel", section="mixpanel", spec=BaseConfiguration, max_table_nesting=0
)
def mixpanel_source(
    from_date: Day | None = None,
    to_date: Day = "today",
    account: str | None = None,
    project_id: str | None = None,
    region: str | None = None,
    username: str | None = None,
    secret: str | None = None,
    events: Iterable[str] | None = None,
    where: str | None = None,
    since: Day | None = None,
    time_zone: str | None = None,
    refresh_days: int = 5,
    dedupe: str | None = None,
    profiles_where: str | None = None,
    profiles_since_last: bool = False,
    output_properties: Iterable[str] | None = None,
    drop_properties: Iterable[str] | None = None,
    hash_properties: Iterable[str] | None = None,
) -> tuple[DltResource, ...]:
    """Returns a source with the resources `events` and `profiles`.

    `from_date`, `account`, `project_id`, `region`, `username` and `secret` can also come from the section
    `sources.mixpanel` of dlt's configuration, such as the variable `SOURCES__MIXPANEL__FROM_DATE`. Without an account
    or a user name, the credentials are those that `Workspace()` finds.

    Args:
        from_date: First day of the events: a date, YYYY-MM-DD, `today`, `yesterday`, or days ago such as `7d`. If it is
            before the first day that was loaded, the days between are loaded as well.
        to_date: Last day of the events, inclusive, in the same form.
        account: Name of an account in the config file.
        project_id: Project to read, instead of the account's.
        region: Region of the project: `us`, `eu` or `in`.
        username: User name of a service account, instead of `account`. Requires `secret` and `project_id`.
        secret: Its secret.
        events: Only events with these names: a list, or a text in which they are separated by commas; a name that has
            a comma is then in double quotes. The same goes for the properties below.
        where: Only events that this Mixpanel expression selects.
        since: Also load the days since then again, for example after an import of old events.
        time_zone: Time zone of the project, such as `Europe/Lisbon`; UTC by default.
        refresh_days: Days after which a day counts as settled and is not loaded again.
        dedupe: Which events count as duplicates: `exact` (default), `day` or `none`.
        profiles_where: Only profiles that this Mixpanel expression selects.
        profiles_since_last: Load only the profiles seen since a day before the last run. Without it, each run loads all
            profiles, and those that were deleted in Mixpanel disappear.
        output_properties: Only these properties of profiles.
        drop_properties: Properties that are never stored.
        hash_properties: Properties of which only keyed hashes are stored.

    Raises:
        InvalidInputError: If an argument is wrong.
    """
    login = _login(account, project_id, region, username, secret)
    first = _configured("from_date") if from_date is None else _arguments.day("from_date", from_date)
    if first is None:
        raise InvalidInputError("`from_date` is missing; pass it, or set SOURCES__MIXPANEL__FROM_DATE")
    private = request(**_listed(drop_properties=drop_properties, hash_properties=hash_properties))
    wanted = _Events(
        first,
        _arguments.day("to_date", to_date),
        None if since is None else _arguments.day("since", since),
        time_zone,
        _arguments.integer("refresh_days", refresh_days),
        {**private, **request(**_listed(events=events), where=where, time_zone=time_zone, dedupe=dedupe)},
    )
    today = today_in(time_zone)
    if parse_day(wanted.from_date, today) > parse_day(wanted.to_date, today):
        raise InvalidInputError(f"the first day, {wanted.from_date}, is after the last one, {wanted.to_date}")
    profile_options = {**private, **request(where=profiles_where, **_listed(output_properties=output_properties))}
    only_since_last = _arguments.boolean("profiles_since_last", profiles_since_last)
    return (
        _resource("events", lambda: _load_events(login, wanted), _EVENT_KEYS),
        _resource(
            "profiles",
            lambda: _load_profiles(login, profile_options, only_since_last),
            _CHANGED_PROFILE_KEYS if only_since_last else _ALL_PROFILE_KEYS,
        ),
    )


_LOGIN: dict[str, Callable[[str, Any], str]] = {
    "account": _arguments.text,
    "project_id": _arguments.identifier,
    "region": _arguments.region,
    "username": _arguments.text,
    "secret": _arguments.hidden_text,
}


def _login(*given: str | None) -> Login:
    """Returns these credentials, or those of dlt's configuration if there are none."""
    parts = dict(zip(_LOGIN, given, strict=True))
    # An account is not mixed with what is configured, which may be another one's project.
    if all(parts[name] is None for name in ("account", "username", "secret")):
        parts = {name: _configured(name) if part is None else part for name, part in parts.items()}
    parts = {name: None if part is None else _LOGIN[name](name, part) for name, part in parts.items()}
    login = Login(**parts)
    login.check()
    return login


def _configured(name: str) -> str | None:
    """Returns a value of dlt's configuration, under exactly this section."""
    value: Any = (dlt.secrets if name == "secret" else dlt.config).get(f"sources.mixpanel.{name}")
    return None if value is None else str(value)


# Merge keys replace all rows that share a key with a new row. They are never combined with a primary key: dlt joins the
# two with OR, for which databases compare each new row with each old one. Rows are unique without it, because the
# duplicates were removed on the way, and a day or a project is always replaced as a whole.
_EVENT_KEYS: dict[str, Any] = {
    "project_id": {"merge_key": True, "nullable": False},
    "event_day": {"merge_key": True, "nullable": False},
    # Marks the row that stands for a day without events. It removes the day's rows and is not stored itself.
    "_mp_deleted": {"hard_delete": True, "data_type": "bool"},
}
_ALL_PROFILE_KEYS: dict[str, Any] = {
    "project_id": {"merge_key": True, "primary_key": False, "nullable": False},
    "distinct_id": {"primary_key": False, "nullable": False},
}
_CHANGED_PROFILE_KEYS: dict[str, Any] = {
    "project_id": {"merge_key": False, "primary_key": True, "nullable": False},
    "distinct_id": {"primary_key": True, "nullable": False},
}


def _resource(name: str, load: Callable[[], Iterator[pyarrow.Table]], columns: dict[str, Any]) -> DltResource:
    return dlt.resource(
        load,
        name=name,
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        columns=columns,
    )


def _load_events(login: Login, wanted: _Events) -> Iterator[pyarrow.Table]:
    """Fetches the days that are due. Their end is recorded once dlt has taken all of them."""
    project_id = login.project()
    state = dlt.current.resource_state().setdefault(project_id, {})
    today = today_in(wanted.time_zone)
    selection = {**wanted.options}
    if state.get("selection", selection) != selection:
        raise InvalidInputError(
            f"the events of project {project_id} were loaded with {state['selection']}, and this run has {selection}; "
            "use the same options, another pipeline, or `pipeline.run(..., refresh='drop_resources')`"
        )
    for span in _due(state, wanted, today):
        with login.workspace() as (workspace, _):
            _sources.fetch_events(workspace, span, wanted.options)
            yield from _days(workspace, project_id, span, wanted.time_zone)
        _record(state, span, today - timedelta(days=wanted.refresh_days))
    state["selection"] = selection


def _due(state: dict[str, Any], wanted: _Events, today: date) -> list[Span]:
    """Returns the days to fetch: all of them, or those that were open, those that came after and those before."""
    first = parse_day(wanted.from_date, today)
    last = min(parse_day(wanted.to_date, today), today)
    if "first" not in state:
        return [Span(first, last)]
    loaded, start = date.fromisoformat(state["first"]), date.fromisoformat(state["open"])
    if wanted.since is not None:
        start = max(loaded, min(start, parse_day(wanted.since, today)))
    spans = [Span(first, loaded - timedelta(days=1)), Span(start, last)]
    return [span for span in spans if span.first <= span.last]


def _record(state: dict[str, Any], span: Span, settled_before: date) -> None:
    """Records the first day that was loaded, and the first one that the next run has to load again."""
    first, still_open = span.first, min(span.last + timedelta(days=1), settled_before)
    if "first" in state:
        first = min(first, date.fromisoformat(state["first"]))
        still_open = max(still_open, date.fromisoformat(state["open"]))
    state["first"], state["open"] = first.isoformat(), max(first, still_open).isoformat()


def _days(workspace: Workspace, project_id: str, span: Span, time_zone: str | None) -> Iterator[pyarrow.Table]:
    """Yields the events of a span, and for each of its days without events a row that removes those of earlier runs."""
    empty, outside = set(span.days()), 0
    for table in _tables(workspace, _sources.EVENTS_SQL, _sources.event_schema()):
        day = _local_day(table["event_time"], time_zone)
        # A neighbouring day is not complete and must not be replaced.
        kept = pyarrow.compute.min_element_wise(day, pyarrow.scalar(span.last))
        kept = pyarrow.compute.max_element_wise(kept, pyarrow.scalar(span.first))
        outside += pyarrow.compute.sum(pyarrow.compute.not_equal(day, kept)).as_py()
        empty -= set(pyarrow.compute.unique(kept).to_pylist())
        yield _with_keys(table, project_id, kept, is_deleted=False)
    if outside:
        _sources.log.warning(
            "%d events are of other days than %s to %s, and count as events of the nearest one; check `time_zone`",
            outside,
            span.first,
            span.last,
        )
    if empty:
        yield _markers(project_id, sorted(empty))


def _local_day(time: pyarrow.ChunkedArray, time_zone: str | None) -> pyarrow.ChunkedArray:
    """Returns the day of the project on which each of these times is."""
    local = pyarrow.compute.local_timestamp(time.cast(pyarrow.timestamp("us", time_zone or "UTC")))
    # Rounding first, because the cast to days refuses to lose the time of day.
    return pyarrow.compute.floor_temporal(local, unit="day").cast(pyarrow.date32())


def _markers(project_id: str, days: list[date]) -> pyarrow.Table:
    """Returns a row for each of these days that removes its events."""
    midnight = [datetime(day.year, day.month, day.day, tzinfo=timezone.utc) for day in days]
    schema = _sources.event_schema()
    columns = {name: midnight if name == "event_time" else [""] * len(days) for name in schema.names}
    table = pyarrow.table(columns, schema=schema)
    return _with_keys(table, project_id, pyarrow.array(days, pyarrow.date32()), is_deleted=True)


def _with_keys(table: pyarrow.Table, project_id: str, day: Any, *, is_deleted: bool) -> pyarrow.Table:
    rows = table.num_rows
    table = _with_project(table, project_id)
    table = table.append_column(pyarrow.field("event_day", pyarrow.date32(), nullable=False), day)
    return table.append_column("_mp_deleted", pyarrow.array([True if is_deleted else None] * rows, pyarrow.bool_()))


def _load_profiles(login: Login, options: dict[str, Any], only_since_last: bool) -> Iterator[pyarrow.Table]:
    """Fetches all profiles, or those seen since the last run."""
    began = datetime.now(timezone.utc)
    with login.workspace() as (workspace, project_id):
        state = dlt.current.resource_state().setdefault(project_id, {})
        since = None
        # Profiles that change while they are fetched, and clocks that differ, are why the ranges overlap by a day.
        if only_since_last and state.get("selection") == options:
            since = datetime.fromisoformat(state["began"]) - timedelta(days=1)
        _sources.fetch_profiles(workspace, {**options, **without_none(since=since)})
        for table in _tables(workspace, _sources.PROFILES_SQL, _sources.profile_schema()):
            yield _with_project(table, project_id)
    state.update(began=began.isoformat(), selection=options)


def _with_project(table: pyarrow.Table, project_id: str) -> pyarrow.Table:
    column = pyarrow.repeat(pyarrow.scalar(project_id), table.num_rows)
    return table.append_column(pyarrow.field("project_id", pyarrow.string(), nullable=False), column)


def _tables(workspace: Workspace, sql: str, schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    """Runs a query and yields its rows in tables of about `_ROWS` rows."""
    held: list[pyarrow.RecordBatch] = []
    for batch in _sources.batches(workspace, sql, schema):
        held.append(batch)
        if sum(part.num_rows for part in held) >= _ROWS:
            yield pyarrow.Table.from_batches(held)
            held = []
    if held:
        yield pyarrow.Table.from_batches(held)


def _listed(**names: Iterable[str] | None) -> dict[str, Any]:
    """Returns lists of names; in a text, such as the value of a variable, they are separated by commas."""
    return {name: _arguments.split(name, value) if isinstance(value, str) else value for name, value in names.items()}
