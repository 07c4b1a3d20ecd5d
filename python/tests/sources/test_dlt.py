"""The dlt source, with dlt's DuckDB destination."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from .mixpanel_servers import Event, Router, Simulator, canonical, days_ago, stored

dlt = pytest.importorskip("dlt")
duckdb = pytest.importorskip("duckdb")

FEW = ("--profiles", "120", "--events", "per-day=200 duplicates=0.05 conflicts=0.02 without-insert-id=0.02")


class Destination:
    """A pipeline into a DuckDB file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "destination" / "warehouse.duckdb"
        self.file.parent.mkdir()

    def pipeline(self) -> Any:
        return dlt.pipeline(
            "mixpanel_test",
            destination=dlt.destinations.duckdb(str(self.file)),
            dataset_name="mixpanel",
            pipelines_dir=str(self.directory / "pipelines"),
        )

    def run(self, *resources: str, **arguments: Any) -> dict[str, int]:
        """Runs the source and returns the rows that it sent."""
        from mixpanel_data.dlt import mixpanel_source

        refresh = arguments.pop("refresh", None)
        source = mixpanel_source(**arguments)
        pipeline = self.pipeline()
        pipeline.run(source.with_resources(*resources) if resources else source, refresh=refresh)
        counts: dict[str, int] = pipeline.last_trace.last_normalize_info.row_counts
        return counts

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
            return rows

    def events(self, where: str = "true") -> Counter[Event]:
        query = f"""SELECT event_name, epoch_ms(event_time), distinct_id, insert_id, properties
            FROM mixpanel.events WHERE {where}"""
        return Counter(stored(*row) for row in self.rows(query))

    def profiles(self) -> dict[str, str]:
        rows = self.rows("SELECT distinct_id, properties FROM mixpanel.profiles")
        assert len({row[0] for row in rows}) == len(rows)
        return {distinct_id: canonical(properties) for distinct_id, properties in rows}


@pytest.fixture
def destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)
    return Destination(tmp_path)


Simulate = Callable[..., Simulator]
Serve = Callable[..., Router]


def test_a_second_run_changes_nothing_and_the_state_is_kept_in_the_destination(
    simulate: Simulate, serve: Serve, destination: Destination
) -> None:
    simulator = simulate(*FEW)
    router = serve(simulator)
    destination.run(from_date="8d")
    expected = simulator.events(days_ago(8), days_ago(0))
    assert destination.events() == expected and expected
    assert destination.profiles() == simulator.profiles()
    assert len(router.exports()) == 9

    # As on a machine that runs the pipeline for the first time.
    shutil.rmtree(destination.directory / "pipelines")
    sent = destination.run(from_date="8d")
    assert destination.events() == expected
    assert destination.profiles() == simulator.profiles()
    assert len(router.exports()) == 9 + 6, "only the days that are open"
    open_rows = simulator.events(days_ago(5), days_ago(0))
    # A day without events, as the current one can be in its first hours, is sent as a row that is not stored.
    empty = 6 - len(_days_of(open_rows))
    assert sent["events"] == open_rows.total() + empty
    assert open_rows.total() < expected.total()
    query = "SELECT DISTINCT event_day, CAST(event_time AT TIME ZONE 'UTC' AS DATE) FROM mixpanel.events"
    days = destination.rows(query)
    assert len(days) == len(_days_of(expected)) and all(day == local for day, local in days)


def _days_of(events: Counter[Event]) -> set[int]:
    """Returns the days on which these events occurred in UTC, as days since 1970."""
    return {milliseconds // 86_400_000 for _, milliseconds, *_ in events}


def test_open_days_are_replaced_as_a_whole_and_settled_days_are_kept(
    simulate: Simulate, serve: Serve, destination: Destination
) -> None:
    changing = "per-day=150 late-rows=0.05 deleted-rows=0.05 rekeyed=0.05"
    before, after = (simulate("--profiles", "100", "--events", f"{changing} revision={n}") for n in (0, 1))
    serve(before)
    destination.run("events", from_date="7d")
    assert destination.events() == before.events(days_ago(7), days_ago(0))

    serve(after)
    destination.run("events", from_date="7d")
    settled, still_open = (days_ago(7), days_ago(6)), (days_ago(5), days_ago(0))
    assert before.events(*still_open) != after.events(*still_open)
    assert before.events(*settled) != after.events(*settled)
    assert destination.events() == before.events(*settled) + after.events(*still_open)

    destination.run("events", from_date="7d", since="7d")
    assert destination.events() == after.events(days_ago(7), days_ago(0))


def test_a_day_whose_events_were_all_deleted_becomes_empty(
    simulate: Simulate, serve: Serve, destination: Destination
) -> None:
    full, empty = simulate(*FEW), simulate("--profiles", "10", "--events", "per-day=0")
    serve(full)
    destination.run("events", from_date="6d")
    assert not empty.lines(days_ago(6), days_ago(0))
    serve(empty)
    destination.run("events", from_date="6d")
    assert destination.events() == full.events(days_ago(6), days_ago(6))
    assert destination.rows("SELECT count(*) FROM mixpanel.events WHERE _mp_deleted") == [(0,)]


def test_a_load_that_failed_is_repeated_without_new_requests(
    simulate: Simulate, serve: Serve, destination: Destination
) -> None:
    simulator = simulate(*FEW)
    router = serve(simulator)
    from mixpanel_data.dlt import mixpanel_source

    # dlt forgets what is pending if nothing was ever loaded.
    destination.run("profiles", from_date="2d")
    pipeline = destination.pipeline()
    pipeline.extract(mixpanel_source(from_date="2d"))
    pipeline.normalize()
    requests = len(router.requests)
    assert requests > 3
    # DuckDB gives a file to one process at a time.
    script = f"import duckdb; c = duckdb.connect({str(destination.file)!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Exception, match="lock"):
            pipeline.load()
        other.communicate(b"\n")
    destination.pipeline().run(mixpanel_source(from_date="2d"))
    assert len(router.requests) == requests
    assert destination.events() == simulator.events(days_ago(2), days_ago(0))
    destination.run(from_date="2d")
    assert destination.events() == simulator.events(days_ago(2), days_ago(0))


def test_a_fetch_that_failed_leaves_the_destination_and_the_state_as_they_were(
    simulate: Simulate, serve: Serve, destination: Destination
) -> None:
    good = simulate(*FEW)
    broken = simulate(*FEW, "--export-fault", f"days={days_ago(1)} status=400")
    serve(broken)
    with pytest.raises(Exception, match="400|could not fetch the events of"):
        destination.run(from_date="3d")
    assert destination.rows("SELECT * FROM information_schema.tables WHERE table_name = 'events'") == []

    serve(good)
    destination.run("events", from_date="3d")
    expected = good.events(days_ago(3), days_ago(0))
    assert destination.events() == expected
    serve(broken)
    with pytest.raises(Exception, match="400|could not fetch the events of"):
        destination.run("events", from_date="3d")
    assert destination.events() == expected


def test_profiles_are_replaced_or_updated(
    simulate: Simulate, serve: Serve, destination: Destination, tmp_path: Path
) -> None:
    everyone, some = simulate("--profiles", "60"), simulate("--profiles", "60", "--seed", "2")
    serve(everyone)
    destination.run("profiles", from_date="today", profiles_since_last=True)
    assert destination.profiles() == everyone.profiles()
    serve(some)
    sent = destination.run("profiles", from_date="today", profiles_since_last=True)["profiles"]
    kept = destination.profiles()
    assert 0 < sent < 60 and len(kept) == 60 + sent, "only those that were seen lately are new"

    destination.run("profiles", from_date="today")
    assert destination.profiles() == some.profiles(), "the others were deleted in Mixpanel"
    serve(everyone)
    destination.run("profiles", from_date="today", profiles_since_last=True)
    assert set(some.profiles()) <= set(destination.profiles()), "an update removes nothing"


def test_two_projects_share_a_table(simulate: Simulate, serve: Serve, destination: Destination) -> None:
    first, second = simulate(*FEW), simulate(*FEW, "--seed", "7")
    serve(first, second)
    for _ in range(2):
        for account in ("first", "second"):
            destination.run(from_date="1d", account=account)
        for project, simulator in (("1001", first), ("1002", second)):
            assert destination.events(f"project_id = '{project}'") == simulator.events(days_ago(1), days_ago(0))
        assert destination.rows("SELECT project_id, count(*) FROM mixpanel.profiles GROUP BY ALL ORDER BY ALL") == [
            ("1001", 120),
            ("1002", 120),
        ]


def test_earlier_days_are_added_and_other_options_are_refused(
    simulate: Simulate, serve: Serve, destination: Destination
) -> None:
    simulator = simulate(*FEW)
    router = serve(simulator)
    destination.run("events", from_date="7d", to_date="7d")
    destination.run("events", from_date=days_ago(9), to_date=datetime.combine(days_ago(7), time()))
    assert destination.events() == simulator.events(days_ago(9), days_ago(7))
    with pytest.raises(Exception, match="drop_resources"):
        destination.run("events", from_date="9d", events=["Search"])
    destination.run("events", from_date="1d", events=["Search"], refresh="drop_resources")
    expected = simulator.events(days_ago(1), days_ago(0))
    assert destination.events() == Counter({row: count for row, count in expected.items() if row[0] == "Search"})
    assert "event=%5B%22Search%22%5D" in router.exports()[-1].path


def test_days_are_those_of_the_time_zone(simulate: Simulate, serve: Serve, destination: Destination) -> None:
    serve(simulate("--profiles", "100", "--events", "per-day=300 timezone=Asia/Kolkata"))
    destination.run("events", from_date="3d", time_zone="Asia/Kolkata")
    query = "SELECT event_day, CAST(event_time AT TIME ZONE 'UTC' + INTERVAL 330 MINUTE AS DATE) FROM mixpanel.events"
    rows = destination.rows(query)
    assert rows and all(day == local for day, local in rows)


def test_credentials_come_from_the_secrets_of_dlt(
    simulate: Simulate, serve: Serve, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = serve(simulate(*FEW), simulate(*FEW))
    # Variables that other programs set, and that dlt would take for arguments of the same name.
    monkeypatch.setenv("REGION", "eu-west-1")
    monkeypatch.setenv("USERNAME", "somebody")
    settings = destination.directory / ".dlt"
    settings.mkdir()
    (settings / "config.toml").write_text('[sources.mixpanel]\nfrom_date = "today"\nproject_id = 1002\n')
    (settings / "secrets.toml").write_text('[sources.mixpanel]\nusername = "simulator"\nsecret = "simulator-secret"\n')
    script = "import sys; sys.path[:0] = eval(sys.argv[1]); import dlt; from mixpanel_data.dlt import mixpanel_source; "
    script += "dlt.pipeline('p', destination=dlt.destinations.duckdb('x.db'), pipelines_dir='p').run(mixpanel_source())"
    words = [sys.executable, "-c", script, repr(sys.path)]
    subprocess.run(words, cwd=destination.directory, check=True)
    assert {request.project for request in router.requests} == {"1002"}

    # The configured project is not that of an account that is named.
    words[2] = script.replace("mixpanel_source()", "mixpanel_source(account='first')").replace("x.db", "y.db")
    subprocess.run(words, cwd=destination.directory, check=True)
    assert {request.project for request in router.requests} == {"1001", "1002"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "SOURCES__MIXPANEL__FROM_DATE"),
        ({"from_date": "soon"}, "`soon` is not a day"),
        ({"from_date": "today", "to_date": "2d"}, "is after the last one"),
        ({"from_date": timedelta(days=3)}, "from_date is .*, and must be a day"),
        ({"from_date": "today", "refresh_days": 5.0}, "refresh_days is 5.0, and must be an integer"),
        ({"from_date": "today", "events": b"Search"}, "events is b'Search', and must be a list of texts"),
        ({"from_date": "today", "events": "a,"}, "events is 'a,': name 2 is missing"),
        ({"from_date": "today", "drop_properties": ""}, "drop_properties is '': it has no names"),
        ({"from_date": "today", "dedupe": "often"}, "dedupe is 'often', and must be"),
        ({"from_date": "today", "region": "mars"}, "region is 'mars', and must be"),
        ({"from_date": "today", "time_zone": "Nope"}, "time_zone is 'Nope', and must be the name of a time zone"),
        ({"from_date": "today", "username": "me"}, "given together"),
        ({"from_date": "today", "username": "me", "secret": "s"}, "require `project_id`"),
        ({"from_date": "today", "username": "me", "secret": "s", "account": "first"}, "either `account`"),
    ],
)
def test_wrong_arguments_are_refused(destination: Destination, arguments: dict[str, Any], message: str) -> None:
    from mixpanel_data.dlt import mixpanel_source

    with pytest.raises(ValueError, match=message):
        mixpanel_source(**arguments)


def test_names_in_a_text_are_separated_by_commas() -> None:
    from mixpanel_data.dlt import _listed

    assert _listed(events="v , w", drop_properties=["v , w"]) == {"events": ["v", "w"], "drop_properties": ["v , w"]}


def test_what_is_due_never_leaves_a_gap() -> None:
    from mixpanel_data import dlt as source

    wanted = source._Events("2026-01-01", "today", None, None, 5, {})
    state: dict[str, Any] = {}
    loaded: set[date] = set()
    runs = ("2026-01-03", "2026-01-03", "2026-01-04", "2026-01-20", "2026-01-19", "2026-03-01")
    for today in (date.fromisoformat(text) for text in runs):
        for span in source._due(state, wanted, today):
            loaded |= set(span.days())
            source._record(state, span, date.fromordinal(today.toordinal() - 5))
        assert len(loaded) == (max(loaded) - date(2026, 1, 1)).days + 1
        assert max(loaded) >= today
    assert state == {"first": "2026-01-01", "open": "2026-02-24"}
