"""Simulated projects behind one address, and what they contain by a path that shares no code with the package."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from simulator import start_limited

# Columns of an event that the server, not the package, determines.
Event = tuple[str, int, str, str | None, str]


class Simulator:
    """A simulated Mixpanel in a process of its own."""

    def __init__(self, *options: str) -> None:
        # With `--active 0`, no events are added to the current day while a test runs.
        self._running = start_limited("--active", "0", *options)
        self.address = self._running.variables["MP_BASE_URL"]

    def stop(self) -> None:
        """Ends the process."""
        self._running.stop()

    def lines(self, first: date, last: date) -> list[str]:
        """Returns the exported lines of these days, over HTTP."""
        query = f"project_id=12345&from_date={first}&to_date={last}&time_in_ms=true"
        return self._get(f"/api/2.0/export?{query}").splitlines()

    def _get(self, path: str) -> str:
        login = base64.b64encode(b"simulator:simulator-secret").decode()
        request = urllib.request.Request(self.address + path, headers={"Authorization": f"Basic {login}"})
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    text: str = response.read().decode()
                    return text
            except urllib.error.HTTPError as refusal:
                # Three exports a second.
                if refusal.code != 429:
                    raise
                time.sleep(0.4)

    def events(self, first: date, last: date) -> Counter[Event]:
        """Returns the events of these days as the table should have them: the last copy of each."""
        newest: dict[tuple[Any, ...], tuple[int, Event]] = {}
        without_id: Counter[Event] = Counter()
        for line in self.lines(first, last):
            event, at = event_of(line)
            if event[3] is None:
                without_id[event] += 1
                continue
            key = event[:4]
            if key not in newest or at >= newest[key][0]:
                newest[key] = (at, event)
        return without_id + Counter(event for _, event in newest.values())

    def profiles(self) -> dict[str, str]:
        """Returns the properties of each profile, as canonical JSON."""
        page = json.loads(self._get("/api/query/engage?project_id=12345"))
        assert page["total"] <= page["page_size"]
        return {row["$distinct_id"]: _without(row["$properties"], "$last_seen") for row in page["results"]}


def event_of(line: str) -> tuple[Event, int]:
    """Returns an exported line as an event, and when Mixpanel received it."""
    raw = json.loads(line)
    properties = raw["properties"]
    received = properties.get("$mp_api_timestamp_ms") or properties.get("mp_processing_time_ms") or 0
    event = (
        raw["event"],
        properties["time"],
        properties.get("distinct_id", ""),
        properties.get("$insert_id"),
        _without(properties, "time", "distinct_id", "$insert_id"),
    )
    return event, received


def stored(event_name: str, milliseconds: int, distinct_id: str, insert_id: str, properties: str) -> Event:
    """Returns a row of a destination in the form of `Simulator.events`."""
    made = insert_id.startswith("gen-")
    return event_name, milliseconds, distinct_id, None if made else insert_id, canonical(properties)


def canonical(properties: str) -> str:
    """Returns JSON text in a form that can be compared."""
    return _without(json.loads(properties))


def _without(properties: dict[str, Any], *names: str) -> str:
    kept = {name: value for name, value in properties.items() if name not in names}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False)


@dataclass
class Request:
    """A request that passed the router."""

    project: str
    path: str
    at: float
    at_once: int = 0
    status: int = 0


class Router:
    """Serves several simulators as projects of one Mixpanel, and records the requests."""

    def __init__(self, projects: dict[str, Simulator]) -> None:
        self.projects = projects
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._running = 0
        router = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                router._forward(self, None)

            def do_POST(self) -> None:
                router._forward(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def exports(self) -> list[Request]:
        """Returns the exports of events that were answered."""
        # The router may delay requests so that one more than allowed arrives in a second, and is sent again.
        with self._lock:
            return [request for request in self.requests if "/export" in request.path and request.status == 200]

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes | None) -> None:
        found = re.search(r"project_id=(\w+)", handler.path)
        request = Request(found[1] if found else "", handler.path, time.monotonic())
        with self._lock:
            self._running += 1
            request.at_once = self._running
            self.requests.append(request)
        try:
            request.status, headers, content = self._response(request.project, handler, body)
        finally:
            with self._lock:
                self._running -= 1
        handler.send_response(request.status)
        for name in ("Content-Type", "Content-Encoding", "Retry-After", "Date"):
            if headers.get(name):
                handler.send_header(name, headers[name])
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _response(self, project: str, handler: BaseHTTPRequestHandler, body: bytes | None) -> tuple[int, Any, bytes]:
        address = self.projects[project].address + handler.path.replace(project, "12345")
        request = urllib.request.Request(address, body, method=handler.command)
        for name in ("Authorization", "Accept-Encoding", "Content-Type", "Content-Encoding"):
            if handler.headers.get(name):
                request.add_header(name, handler.headers[name])
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read()

    def stop(self) -> None:
        """Closes the address."""
        self._server.shutdown()
        self._server.server_close()


def days_ago(days: int) -> date:
    """Returns a day of the simulated projects, which are in UTC."""
    return datetime.now(timezone.utc).date() - timedelta(days=days)
