"""Streams of records that are not stored."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Unpack

from . import _core
from ._arguments import Day
from ._frames import optional
from ._options import EventStreamOptions, ProfileStreamOptions, RunOptions, check_names
from ._progress import log
from ._requests import request
from ._session import Connection, encoded
from .exceptions import IncompleteError, MixpanelDataError, from_core_error

if TYPE_CHECKING:
    import pyarrow


class Listener:
    """Passes the events of a stream on to the log, and keeps why a page or a date range failed."""

    def __init__(self) -> None:
        self._reason: str | None = None

    def __call__(self, text: str) -> None:
        event = json.loads(text)
        self._reason = event.get("error") or self._reason
        log(event)

    def error(self, error: _core.CoreError) -> MixpanelDataError:
        """Returns the exception for an error of the stream. Nothing else says afterwards why records are missing."""
        found = from_core_error(error)
        if isinstance(found, IncompleteError) and self._reason is not None:
            found.args = (f"{found.message}; the last error: {self._reason}",)
        return found


atexit.register(_core.pass_on_warnings)


class ArrowRecords:
    """Record batches of a stream, which can be read once, for example by `polars.DataFrame(records)` or a loop.

    Of several readers, the first one that asks for a batch gets all of them; `columns` and the schema are no batches.
    """

    def __init__(self, stream: _core.ArrowStream, listener: Listener) -> None:
        self._stream = stream
        self._listener = listener
        self._is_used = False

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the batches by Arrow's PyCapsule protocol."""
        self._check_unused()
        return self._stream.__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[pyarrow.RecordBatch]:
        """Iterates over the batches as PyArrow's. A loop that is left early ends the fetch.

        Raises:
            ImportError: pyarrow is not installed.
            IncompleteError: At the end, if pages or date ranges are missing.
        """
        module = optional("pyarrow", "'mixpanel-data[pandas]'", "an iterator over record batches")
        return self._iterate(module.RecordBatchReader.from_stream)

    def _iterate(self, read: Callable[[Any], Iterable[pyarrow.RecordBatch]]) -> Iterator[pyarrow.RecordBatch]:
        self._check_unused()
        self._is_used = True
        try:
            while (batch := self._next()) is not None:
                yield from read(batch)
        finally:
            self._stream.close()

    def _check_unused(self) -> None:
        # The native stream would return what a loop has left.
        if self._is_used:
            raise RuntimeError("this stream is closed or has been read already")

    def _next(self) -> _core.Collected | None:
        try:
            return self._stream.batch()
        except _core.CoreError as error:
            raise self._listener.error(error) from None

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._stream.columns()

    def close(self) -> None:
        """Ends the fetch."""
        self._is_used = True
        self._stream.close()


class Streamer:
    """The methods of a workspace that stream records."""

    _connection: Connection

    def _lines(self, name: str, arguments: dict[str, Any]) -> Iterator[str]:
        sent, listener = encoded(arguments), Listener()
        try:
            stream = self._connection.core.stream(name, sent, listener)
        except _core.CoreError as error:
            raise from_core_error(error, sent) from None
        try:
            while True:
                try:
                    lines = next(stream)
                except StopIteration:
                    break
                except _core.CoreError as error:
                    raise listener.error(error) from None
                yield from lines
        finally:
            stream.close()

    def _batches(self, name: str, arguments: dict[str, Any]) -> ArrowRecords:
        sent, listener = encoded(arguments), Listener()
        try:
            return ArrowRecords(self._connection.core.stream_arrow(name, sent, listener), listener)
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

        The arguments are those of `stream_profiles`, except `raw`. Pass the result to a library that reads Arrow, or
        iterate over its batches. Missing pages make reading fail at the end.
        """
        check_names("stream_profiles_arrow", options, ProfileStreamOptions)
        return self._batches("profiles", request(table="profiles", parallel=parallel, **options))

    def stream_events_arrow(
        self, *, from_date: Day, to_date: Day, parallel: bool = False, **options: Unpack[EventStreamOptions]
    ) -> ArrowRecords:
        """Streams events as record batches.

        Their columns are `event_name`, `event_time` (UTC), `distinct_id`, `insert_id` and `properties` (JSON text). The
        arguments are those of `stream_events`, except `raw`. Pass the result to a library that reads Arrow, or iterate
        over its batches. Missing date ranges make reading fail at the end.
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
