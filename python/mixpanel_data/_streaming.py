"""Streams of records that are not stored."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Unpack

from . import _core
from ._arguments import Day
from ._options import EventStreamOptions, ProfileStreamOptions, RunOptions, check_names
from ._progress import log
from ._requests import request
from ._session import Connection, encoded
from .exceptions import from_core_error


atexit.register(_core.pass_on_warnings)


class ArrowRecords:
    """Record batches of a stream, which can be read once, for example by `polars.DataFrame(records)`.

    Of several readers, the first one that asks for a batch gets all of them; `columns` and the schema are no batches.
    """

    def __init__(self, stream: _core.ArrowStream) -> None:
        self._stream = stream

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the batches by Arrow's PyCapsule protocol."""
        return self._stream.__arrow_c_stream__(requested_schema)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._stream.columns()

    def close(self) -> None:
        """Ends the fetch."""
        self._stream.close()


def listen(text: str) -> None:
    """Passes an event on to the log."""
    log(json.loads(text))


class Streamer:
    """The methods of a workspace that stream records."""

    _connection: Connection

    def _lines(self, name: str, arguments: dict[str, Any]) -> Iterator[str]:
        sent = encoded(arguments)
        try:
            stream = self._connection.core.stream(name, sent, listen)
        except _core.CoreError as error:
            raise from_core_error(error, sent) from None
        try:
            while True:
                try:
                    lines = next(stream)
                except StopIteration:
                    break
                except _core.CoreError as error:
                    raise from_core_error(error) from None
                yield from lines
        finally:
            stream.close()

    def _batches(self, name: str, arguments: dict[str, Any]) -> ArrowRecords:
        sent = encoded(arguments)
        try:
            return ArrowRecords(self._connection.core.stream_arrow(name, sent, listen))
        except _core.CoreError as error:
            raise from_core_error(error, sent) from None

    def stream_profiles(
        self,
        *,
        where: str | None = None,
        cohort_id: str | int | None = None,
        output_properties: Iterable[str] | None = None,
        raw: bool = False,
        distinct_id: str | None = None,
        distinct_ids: Iterable[str] | None = None,
        group_id: str | int | None = None,
        behaviors: str | Iterable[dict[str, Any]] | None = None,
        as_of_timestamp: int | None = None,
        include_all_users: bool = False,
        parallel: bool = False,
        max_workers: int | None = None,
        limit: int | None = None,
        since: str | datetime | timedelta | None = None,
        **options: Unpack[RunOptions],
    ) -> Iterator[dict[str, Any]]:
        """Iterates over profiles without storing them.

        A profile has `distinct_id`, `last_seen` (text) and `properties`; with `raw`, it is as Mixpanel sent it. The
        arguments are those of `fetch_profiles`. The first request is sent when the first profile is read.

        Raises:
            IncompleteError: At the end, if pages are missing.
        """
        check_names("stream_profiles", options, RunOptions)
        arguments = request(
            table="profiles",
            where=where,
            cohort_id=cohort_id,
            output_properties=output_properties,
            raw=raw,
            distinct_id=distinct_id,
            distinct_ids=distinct_ids,
            group_id=group_id,
            behaviors=behaviors,
            as_of_timestamp=as_of_timestamp,
            include_all_users=include_all_users,
            parallel=parallel,
            max_workers=max_workers,
            limit=limit,
            since=since,
            **options,
        )
        return (json.loads(line) for line in self._lines("profiles", arguments))

    def stream_events(
        self,
        *,
        from_date: Day,
        to_date: Day,
        events: Iterable[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        raw: bool = False,
        parallel: bool = False,
        max_workers: int | None = None,
        chunk_days: int | None = None,
        time_zone: str | None = None,
        **options: Unpack[RunOptions],
    ) -> Iterator[dict[str, Any]]:
        """Iterates over events without storing them, in the order of their days.

        An event has `event_name`, `event_time` (a datetime in UTC), `distinct_id`, `insert_id` and `properties`; with
        `raw`, it is as Mixpanel sent it. The arguments are those of `fetch_events`. Duplicates are not removed.

        Raises:
            IncompleteError: At the end, if date ranges are missing.
        """
        check_names("stream_events", options, RunOptions)
        arguments = request(
            table="events",
            from_date=from_date,
            to_date=to_date,
            events=events,
            where=where,
            limit=limit,
            raw=raw,
            parallel=parallel,
            max_workers=max_workers,
            chunk_days=chunk_days,
            time_zone=time_zone,
            **options,
        )
        lines = self._lines("events", arguments)
        return (json.loads(line) for line in lines) if arguments["raw"] else (event(line) for line in lines)

    def stream_profiles_arrow(
        self, *, parallel: bool = False, **options: Unpack[ProfileStreamOptions]
    ) -> ArrowRecords:
        """Streams profiles as record batches with the columns `distinct_id`, `properties` (JSON text) and `last_seen`.

        The arguments are those of `stream_profiles`, except `raw`. Missing pages make reading fail at the end.
        """
        check_names("stream_profiles_arrow", options, ProfileStreamOptions)
        return self._batches("profiles", request(table="profiles", parallel=parallel, **options))

    def stream_events_arrow(
        self, *, from_date: Day, to_date: Day, parallel: bool = False, **options: Unpack[EventStreamOptions]
    ) -> ArrowRecords:
        """Streams events as record batches.

        Their columns are `event_name`, `event_time` (UTC), `distinct_id`, `insert_id` and `properties` (JSON text). The
        arguments are those of `stream_events`, except `raw`. Missing date ranges make reading fail at the end.
        """
        check_names("stream_events_arrow", options, EventStreamOptions)
        arguments = request(table="events", from_date=from_date, to_date=to_date, parallel=parallel, **options)
        return self._batches("events", arguments)


def event(line: str) -> dict[str, Any]:
    """Returns an event with its time as a datetime in UTC."""
    record: dict[str, Any] = json.loads(line)
    if record["event_time"] is not None:
        record["event_time"] = datetime.fromisoformat(record["event_time"]).replace(tzinfo=timezone.utc)
    return record
