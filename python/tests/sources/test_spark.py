"""The data source of Spark, with Spark itself and with Sail."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from .mixpanel_servers import Event, Router, Simulator, canonical, days_ago, stored

import mixpanel_data as mp

pyarrow = pytest.importorskip("pyarrow")
pyspark = pytest.importorskip("pyspark")
pytest.importorskip("pyspark.sql.datasource")

Simulate = Callable[..., Simulator]
Serve = Callable[..., Router]

EVENTS = "per-day=400 duplicates=0.05 conflicts=0.02 without-insert-id=0.02"


@pytest.fixture(params=["spark", "sail"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "sail":
        pytest.importorskip("pysail")
        pytest.importorskip("grpc")
    return name


class Read:
    """What an engine read."""

    def __init__(self, engine: str, directory: Path, condition: str = "", **options: str) -> None:
        import pyarrow.parquet

        file = directory / "read.parquet"
        script = Path(__file__).with_name("read_with_spark.py")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYSPARK_PYTHON": sys.executable,
        }
        words = [sys.executable, str(script), engine, json.dumps(options), condition, str(file)]
        # In the sources, Spark's workers would import the package without its native module.
        done = subprocess.run(words, env=environment, cwd=directory, capture_output=True, text=True, timeout=300)
        self.plans = done.stdout
        assert done.returncode == 0, done.stdout + done.stderr
        self.table = pyarrow.parquet.read_table(file)

    def events(self, project: str) -> Counter[Event]:
        """Returns the events of a project in the form of `Simulator.events`."""
        rows = [row for row in self.table.to_pylist() if row["project_id"] == project]
        return Counter(
            stored(
                row["event_name"],
                round(row["event_time"].timestamp() * 1000),
                row["distinct_id"],
                row["insert_id"],
                row["properties"],
            )
            for row in rows
        )


@pytest.mark.slow
def test_thirty_days_of_two_projects_are_the_exact_set_within_the_quota(
    engine: str, simulate: Simulate, serve: Serve, tmp_path: Path
) -> None:
    first = simulate("--profiles", "300", "--events", EVENTS)
    second = simulate("--profiles", "300", "--events", EVENTS, "--seed", "5")
    router = serve(first, second)
    read = Read(engine, tmp_path, **{"from": "29d", "to": "today", "accounts": "first,second"})

    days = (days_ago(29), days_ago(0))
    for project, simulator in (("1001", first), ("1002", second)):
        expected = simulator.events(*days)
        assert expected.total() > 30 * 300
        assert read.events(project) == expected
    assert read.table.num_rows == sum(simulator.events(*days).total() for simulator in (first, second))

    assert Counter(request.project for request in router.exports()) == {"1001": 30, "1002": 30}
    if engine == "spark":
        # Sail chooses itself how many tasks it runs at a time.
        assert {request.at_once for request in router.exports()} <= {1, 2, 3, 4}
    for project in ("1001", "1002"):
        # Mixpanel allows three a second. The tolerance is what the requests may be delayed on their way.
        at = [request.at for request in router.requests if request.project == project and "/export" in request.path]
        assert all(later - earlier > 0.8 for earlier, later in zip(at, at[3:], strict=False))
    assert "event_time:timestamp," in read.plans


@pytest.mark.slow
def test_profiles_and_credentials_in_options(
    engine: str, simulate: Simulate, serve: Serve, tmp_path: Path
) -> None:
    first, second = simulate("--profiles", "1500", "--page-size", "2000"), simulate("--profiles", "700", "--seed", "2")
    router = serve(first, second)
    (tmp_path / "home" / "accounts.toml").unlink()
    options = {"username": "simulator", "secret": "simulator-secret", "projects": "1001, 1002", "region": "us"}
    read = Read(engine, tmp_path, table="profiles", **options)
    for project, simulator in (("1001", first), ("1002", second)):
        rows = [row for row in read.table.to_pylist() if row["project_id"] == project]
        found = {row["distinct_id"]: canonical(row["properties"]) for row in rows}
        assert found == simulator.profiles() and len(rows) == len(found)
    assert {request.project for request in router.requests} == {"1001", "1002"}
    assert "simulator-secret" not in read.plans


@pytest.mark.slow
def test_a_filter_on_the_name_is_sent_to_mixpanel_from_spark_4_1_on(
    engine: str, simulate: Simulate, serve: Serve, tmp_path: Path
) -> None:
    simulator = simulate("--profiles", "300", "--events", EVENTS)
    router = serve(simulator)
    options = {"from": "2d", "to": "1d", "where": 'properties["plan"] == "growth"'}
    read = Read(engine, tmp_path, "event_name = 'Search' AND distinct_id > '8'", **options)
    assert read.events("1001") == Counter(
        {
            event: count
            for event, count in simulator.events(days_ago(2), days_ago(1)).items()
            if event[0] == "Search" and event[2] > "8" and '"plan": "growth"' in event[4]
        }
    )
    has_filters = tuple(int(part) for part in pyspark.__version__.split(".")[:2]) >= (4, 1)
    assert all(("Search" in request.path) == has_filters for request in router.exports())
    assert len(router.exports()) == 2


@pytest.mark.slow
def test_a_day_that_cannot_be_fetched_fails_the_read(
    engine: str, simulate: Simulate, serve: Serve, tmp_path: Path
) -> None:
    serve(simulate("--export-fault", f"days={days_ago(2)} status=400"))
    with pytest.raises(AssertionError, match="400"):
        Read(engine, tmp_path, **{"from": "3d", "to": "1d"})


def reader_of(options: dict[str, str]) -> Any:
    from mixpanel_data.spark import MixpanelDataSource

    # The schema is not used, and Sail passes one of another type.
    source: Any = MixpanelDataSource(options)
    return source.reader(None)


def partitions(**options: str) -> list[tuple[int, str]]:
    reader = pickle.loads(pickle.dumps(reader_of(options)))
    parts = pickle.loads(pickle.dumps(reader.partitions()))
    return [(part.project, f"{part.span.first}/{part.span.last}" if part.span else "") for part in parts]


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts `a` and `b` in the config file."""
    file = tmp_path / "accounts.toml"
    file.write_text(
        "".join(f'[accounts.{name}]\nusername = "u"\nsecret = "s"\nproject_id = "1"\nregion = "us"\n' for name in "ab")
    )
    file.chmod(0o600)
    monkeypatch.setenv("MP_CONFIG_PATH", str(file))


@pytest.mark.usefixtures("accounts")
def test_partitions_are_projects_and_days() -> None:
    assert partitions(**{"from": "2026-01-30", "to": "2026-02-01", "accounts": "a,b"}) == [
        (0, "2026-01-30/2026-01-30"),
        (1, "2026-01-30/2026-01-30"),
        (0, "2026-01-31/2026-01-31"),
        (1, "2026-01-31/2026-01-31"),
        (0, "2026-02-01/2026-02-01"),
        (1, "2026-02-01/2026-02-01"),
    ]
    assert partitions(**{"from": "2026-01-01", "to": "2026-01-05", "chunkDays": "2", "account": "a"}) == [
        (0, "2026-01-01/2026-01-02"),
        (0, "2026-01-03/2026-01-04"),
        (0, "2026-01-05/2026-01-05"),
    ]
    assert partitions(table="profiles", projects='1, 2, "2"', account="a") == [(0, ""), (1, "")]
    assert len(partitions(**{"from": "yesterday", "to": "2999-01-01"})) == 2, "there are no days after today"


LISTS = [
    ("v", ["v"]),
    ("v,w", ["v", "w"]),
    ("v, w", ["v", "w"]),
    ("v ,w", ["v", "w"]),
    ("\tv\t,\nw\n", ["v", "w"]),
    ("v,v", ["v"]),
    ("Sign up , x", ["Sign up", "x"]),
    ('"Sign up " , x', ["Sign up ", "x"]),
    ('"a,b" , c', ["a,b", "c"]),
    ('"a""b",a"b', ['a"b']),
    ('["a"', ['["a"']),
]


@pytest.mark.parametrize("option", ["events", "dropProperties", "hashProperties", "outputProperties"])
@pytest.mark.parametrize(("text", "names"), LISTS, ids=str)
def test_lists_of_names(option: str, text: str, names: list[str]) -> None:
    base = {"table": "profiles"} if option == "outputProperties" else {"from": "today"}
    request = reader_of({**base, option: text})._request
    found = {
        "events": request.events and list(request.events),
        "dropProperties": request.fetch.get("drop_properties"),
        "hashProperties": request.fetch.get("hash_properties"),
        "outputProperties": request.fetch.get("output_properties"),
    }
    assert found == {**dict.fromkeys(found), option: names}


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("text", ["a,b", "a , b", ' "a",b '])
def test_lists_of_accounts(text: str) -> None:
    request = reader_of({"table": "profiles", "accounts": text})._request
    assert [login.account for login in request.logins] == ["a", "b"]


@pytest.mark.parametrize("text", ["5,6", "5 ,6", " 5 , 6 , 5"])
def test_lists_of_projects(text: str) -> None:
    request = reader_of({"table": "profiles", "projects": text})._request
    assert [login.project_id for login in request.logins] == ["5", "6"]


def of_events(**options: str) -> dict[str, str]:
    return {"from": "today", **options}


def of_profiles(**options: str) -> dict[str, str]:
    return {"table": "profiles", **options}


LOGIN = {"username": "me", "secret": "hidden"}
WRONG = [
    ({}, "`from` is missing"),
    ({"from": "soon"}, "`soon` is not a day"),
    (of_events(to="3d"), "is after the last one"),
    (of_events(chunkDays="0"), "`chunkDays` must be 1 to 100"),
    (of_events(chunkDays="x"), "`chunkDays` must be 1 to 100"),
    (of_events(form="json"), "has no option `form`"),
    (of_events(chunkDaze="1"), "has no option `chunkDaze`"),
    (of_events(chunkDays="1", chunk_days="2"), "`chunkDays` is given twice, once as `chunk_days`"),
    ({"table": "people"}, "`table` is 'people', and must be 'events' or 'profiles'"),
    (of_profiles(chunk_days="2"), "`chunkDays` does not apply to profiles"),
    (of_profiles(**{"from": "today"}), "does not apply to profiles"),
    (of_events(OUTPUTPROPERTIES="plan"), "`outputProperties` does not apply to events"),
    (of_events(secret="hidden"), "given together"),
    (of_events(**LOGIN), "require `projects`"),
    (of_events(**LOGIN, projects="1", account="a"), "either `accounts`, or"),
    (of_events(**LOGIN, projects="1", region="mars"), "`region` is 'mars', and must be 'us', 'eu' or 'in'"),
    (of_events(accounts="a,b", projects="1"), "requires a single account"),
    (of_events(accounts="a,nobody"), "there is no account `nobody`"),
    (of_events(projects="1,abc"), "`projects` contains `abc`"),
    (of_events(projects="-1"), "`projects` contains `-1`"),
    (of_events(dedupe="often"), "`dedupe` is 'often', and must be 'exact', 'day' or 'none'"),
    (of_events(timezone="Nope"), "`timezone` is 'Nope', and must be the name of a time zone, such as Europe/Lisbon"),
    (of_events(timezone="../UTC"), "`timezone` is '../UTC', and must be"),
    (of_events(timezone="Europe"), "`timezone` is 'Europe', and must be"),
    *[(of_events(**{name: ","}), f"`{name}` is ',': it has no names") for name in ("events", "accounts", "projects")],
    *[(of_events(dropProperties=text), "`dropProperties` is .*: name 2 is missing") for text in ("v,", "v, ,w")],
    (of_events(events='"a'), "`events` is '\"a'; write a name that has a comma or a quote"),
    *[
        (of_events(**{name: text}), f"`{name}` is .*; write a name that has a comma or a quote")
        for name in ("events", "dropProperties")
        for text in ('"a" b', 'x, "a', 'x, "a" b', 'email, "first, name', ' "a', 'x ,"a"b', 'a,"b""')
    ],
]


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_wrong_options_are_refused_without_showing_the_secret(options: dict[str, str], message: str) -> None:
    from mixpanel_data.spark import MixpanelDataSource

    with pytest.raises(mp.MixpanelDataError, match=message) as error:
        MixpanelDataSource(options).schema()
    assert isinstance(error.value, (mp.InvalidInputError, mp.AccountNotFoundError))
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("value", ["", "  "])
def test_no_option_may_be_empty(value: str) -> None:
    from mixpanel_data import spark

    for name in spark._OPTIONS:
        with pytest.raises(mp.InvalidInputError, match=f"the option `{name}` is empty"):
            spark.MixpanelDataSource({"from": "today", name: value}).schema()


def test_no_representation_shows_the_secret() -> None:
    reader = reader_of({"from": "today", "username": "me", "secret": "hidden", "projects": "1"})
    assert "hidden" not in repr((reader._request, reader.partitions(), vars(reader)))


def test_names_of_a_filter_narrow_the_option() -> None:
    reader = reader_of({"from": "today", "events": "a,b,c"})
    if not hasattr(reader, "pushFilters"):
        pytest.skip("requires PySpark 4.1")
    filters: Any = importlib.import_module("pyspark.sql.datasource")
    conditions = [filters.In(("event_name",), ("b", "c", "d")), filters.EqualTo(("distinct_id",), "a")]
    assert list(reader.pushFilters(conditions)) == conditions
    assert reader._events == ("b", "c")
    list(reader.pushFilters([filters.EqualTo(("event_name",), "x")]))
    assert reader.partitions() == [] and list(reader.read(None)) == []


def test_days() -> None:
    from mixpanel_data._sources import Span, parse_day

    today = date(2026, 3, 1)
    assert [parse_day(text, today).isoformat() for text in ("today", "yesterday", "7d", "2024-02-29")] == [
        "2026-03-01",
        "2026-02-28",
        "2026-02-22",
        "2024-02-29",
    ]
    for text in ("", "d", "-1d", "2026-02-30", "2026-1-1x"):
        with pytest.raises(ValueError, match="is not a day"):
            parse_day(text, today)
    span = Span(date(2026, 2, 27), date(2026, 3, 2))
    assert [(piece.first.day, piece.last.day) for piece in span.pieces(3)] == [(27, 1), (2, 2)]
