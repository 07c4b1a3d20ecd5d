"""Workspaces: credentials, databases, tables and statistics."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest
from conftest import Simulate
from simulator import FIRST_DAY, LAST_DAY, OPTIONS, PROFILES

import mixpanel_data as mp
from mixpanel_data.auth import ConfigManager

SECRET = "hunter2hunter2"
COMPLETE = {"MP_USERNAME": "env", "MP_SECRET": SECRET, "MP_PROJECT_ID": "111", "MP_REGION": "us"}


def add_accounts() -> None:
    config = ConfigManager()
    for name, project in (("first", "222"), ("second", "333")):
        config.add_account(name, "user", SECRET, project, "eu")


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({}, {}, ("first", "222", "eu")),
        ({}, {"account": "second"}, ("second", "333", "eu")),
        (COMPLETE, {}, (None, "111", "us")),
        (COMPLETE, {"account": "second"}, ("second", "333", "eu")),
        ({"MP_ACCOUNT": "second"}, {}, ("second", "333", "eu")),
        ({}, {"project_id": "444"}, ("first", "444", "eu")),
        ({}, {"account": "second", "region": "in"}, ("second", "333", "in")),
        (COMPLETE, {"project_id": 555}, (None, "555", "us")),
    ],
)
def test_credentials(
    isolated: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], arguments: dict[str, Any],
    expected: tuple[str | None, str, str],
) -> None:  # fmt: skip
    add_accounts()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    info = mp.Workspace(**arguments).info()
    assert (info.account, info.project_id, info.region) == expected
    assert info.path is not None and info.path.name == f"{expected[1]}.db"
    assert not info.path.exists()


def test_incomplete_credentials_in_the_environment_are_an_error(
    isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_accounts()
    monkeypatch.setenv("MP_USERNAME", "env")
    with pytest.raises(mp.ConfigError, match="MP_USERNAME"):
        mp.Workspace().info()
    assert mp.Workspace("second").info().project_id == "333"


def test_missing_credentials(isolated: Path) -> None:
    with pytest.raises(mp.ConfigError):
        mp.Workspace().fetch_profiles()
    add_accounts()
    with pytest.raises(mp.AccountNotFoundError) as caught:
        mp.Workspace("third").info()
    assert caught.value.account_name == "third"
    assert caught.value.available_accounts == ["first", "second"]


def test_nothing_shows_the_secret(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    ws = mp.Workspace(path=isolated / "x.db")
    texts = (repr(ws), str(ws), repr(vars(ws)), repr(ws.info()), repr(ws.info().to_dict()), repr(pickle.dumps(ws)))
    assert not any(SECRET in text for text in texts)


@pytest.mark.usefixtures("stored")
def test_pickling(ws: mp.Workspace) -> None:
    copy = pickle.loads(pickle.dumps(ws))
    assert copy.db_path == ws.db_path
    assert copy.sql_scalar("SELECT count(*) FROM profiles") == PROFILES
    closed = pickle.loads(pickle.dumps(mp.Workspace.open(ws.db_path)))
    with pytest.raises(mp.ConfigError, match="read-only"):
        closed.drop("profiles")


@pytest.mark.usefixtures("stored")
def test_open_needs_no_credentials(ws: mp.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ws.db_path
    for name in list(os.environ):
        if name.startswith("MP_") and name != "MP_HOME":
            monkeypatch.delenv(name)
    with mp.Workspace.open(path) as opened:
        assert opened.sql_scalar("SELECT count(*) FROM profiles") == PROFILES
        assert opened.info().project_id == "unknown"
        for call in (opened.events, lambda: next(opened.stream_profiles()), opened.fetch_profiles):
            with pytest.raises(mp.ConfigError):
                call()
    with mp.Workspace.open(path, read_only=False) as opened:
        opened.drop_all()
        assert opened.tables() == []


@pytest.mark.usefixtures("stored")
def test_read_only(ws: mp.Workspace) -> None:
    opened = mp.Workspace(path=ws.db_path, read_only=True)
    for call in (opened.fetch_profiles, opened.drop_all, lambda: opened.drop("profiles"), opened.resume_fetch):
        with pytest.raises(mp.ConfigError, match="read-only"):
            call()
    assert opened.sql_scalar("SELECT count(*) FROM profiles") == PROFILES


@pytest.mark.parametrize("kind", ["ephemeral", "memory"])
def test_temporary_databases(simulate: Simulate, kind: str) -> None:
    simulate(*OPTIONS)
    with getattr(mp.Workspace, kind)() as ws:
        ws.fetch_profiles(parallel=True)
        path = ws.db_path
        assert path.exists()
        assert ws.sql_scalar("SELECT count(*) FROM profiles") == PROFILES
    assert not path.parent.exists()


def test_close_can_be_repeated(ws: mp.Workspace) -> None:
    ws.close()
    ws.close()
    with ws as same:
        assert same is ws


def test_info_and_tables(ws: mp.Workspace) -> None:
    assert ws.tables() == [] and ws.info().size_mb == 0 and ws.info().created_at is None
    ws.fetch_profiles()
    info = ws.info()
    assert (info.path, info.tables, info.account) == (ws.db_path, ["profiles"], None)
    # Linux does not tell when a file was created.
    assert info.size_mb > 0.1 and (info.created_at is not None or sys.platform == "linux")
    (table,) = ws.tables()
    assert (table.name, table.type, table.row_count) == ("profiles", "profiles", PROFILES)
    columns = ws.table_schema("profiles").columns
    assert [(column.name, column.type) for column in columns] == [
        ("distinct_id", "VARCHAR"), ("properties", "JSON"), ("last_seen", "TIMESTAMP"),
    ]  # fmt: skip
    with pytest.raises(mp.TableNotFoundError) as caught:
        ws.table_schema("nope")
    assert caught.value.available_tables == ["profiles"]


def test_a_missing_database_is_an_error_only_for_readers(ws: mp.Workspace) -> None:
    ws.drop_all()
    with pytest.raises(mp.DatabaseNotFoundError):
        mp.Workspace.open(ws.db_path).tables()


@pytest.mark.usefixtures("stored")
def test_drop(ws: mp.Workspace) -> None:
    ws.fetch_profiles("other")
    ws.fetch_events(from_date=LAST_DAY, to_date=LAST_DAY)
    with pytest.raises(mp.TableNotFoundError):
        ws.drop("other", "nope")
    ws.drop("other")
    assert [table.name for table in ws.tables()] == ["events", "profiles"]
    ws.drop_all("profiles")
    assert [table.name for table in ws.tables()] == ["events"]
    with pytest.raises(mp.InvalidInputError):
        ws.drop_all("nope")  # type: ignore[arg-type]
    ws.drop_all()
    ws.drop_all()
    assert ws.tables() == []


@pytest.mark.usefixtures("stored")
def test_existing_tables(ws: mp.Workspace) -> None:
    with pytest.raises(mp.TableExistsError) as caught:
        ws.fetch_profiles()
    assert caught.value.table_name == "profiles" and caught.value.suggestion
    ws.fetch_profiles(append=True)
    ws.fetch_profiles(if_exists="replace")
    ws.fetch_profiles(if_exists="upsert")
    assert ws.sql_scalar("SELECT count(*) FROM profiles") == PROFILES
    with pytest.raises(ValueError, match="append"):
        ws.fetch_profiles(append=True, if_exists="replace")


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "a-b"}, {"name": "_x"}, {"name": ""}, {"batch_size": 99}, {"batch_size": 100_001},
        {"distinct_id": "a", "distinct_ids": ["b"]}, {"behaviors": [{}]}, {"output_properties": "plan"},
        {"include_all_users": True}, {"limit": 0}, {"if_exists": "nonsense"}, {"memory": 1}, {"since": "nonsense"},
    ],
)  # fmt: skip
def test_wrong_arguments(ws: mp.Workspace, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ws.fetch_profiles(**arguments)
    assert ws.unfinished_runs() == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"to_date": "2026-11-17"}, {"from_date": "18.11.2026"}, {"limit": 0}, {"limit": 100_001}, {"chunk_days": 0},
        {"chunk_days": 101}, {"batch_size": 1}, {"name": "a b"}, {"events": "View Item"}, {"dedupe": "nonsense"},
    ],
)  # fmt: skip
def test_wrong_arguments_of_events(ws: mp.Workspace, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ws.fetch_events(**{"from_date": FIRST_DAY, "to_date": LAST_DAY, **arguments})


def test_too_many_days(ws: mp.Workspace) -> None:
    with pytest.raises(mp.DateRangeTooLargeError) as caught:
        ws.fetch_events(from_date="2026-01-01", to_date=LAST_DAY)
    assert caught.value.max_days == 100


def test_an_unknown_argument_is_a_type_error(ws: mp.Workspace) -> None:
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("fetch_profiles", {"wher": "x"}, "'wher'. Did you mean 'where'?"),
        ("fetch_events", {"frm_date": "x"}, "'frm_date'. Did you mean 'from_date'?"),
        ("refresh_profiles", {"memori": 1}, "'memori'. Did you mean 'memory'?"),
        ("refresh_events", {"xyzzy": 1}, "'xyzzy'"),
        ("resume_fetch", {"runid": "x"}, "'runid'. Did you mean 'run_id'?"),
        ("plan_profiles", {"page": 1}, "'page'"),
        ("plan_events", {"from_date": 1, "to_date": 1, "chunk_day": 1}, "'chunk_day'. Did you mean 'chunk_days'?"),
        ("stream_profiles", {"cohort": 1}, "'cohort'. Did you mean 'cohort_id'?"),
        ("stream_events", {"from_date": 1, "to_date": 1, "event": []}, "'event'. Did you mean 'events'?"),
        ("stream_profiles_arrow", {"raw": True}, "'raw'"),
        ("stream_events_arrow", {"from_date": 1, "to_date": 1, "raw": True}, "'raw'"),
        ("repair_events", {"tables": "x"}, "'tables'. Did you mean 'table'?"),
    ]
    for method, arguments, message in calls:
        with pytest.raises(TypeError) as caught:
            getattr(ws, method)(**arguments)
        assert str(caught.value).startswith(f"{method}() got an unexpected keyword argument {message}"), caught.value


def test_statistics(ws: mp.Workspace) -> None:
    fetched = ws.fetch_events(from_date=FIRST_DAY, to_date=LAST_DAY)
    total = fetched.rows
    assert fetched.date_range == (FIRST_DAY, LAST_DAY)
    breakdown = ws.event_breakdown("events")
    assert isinstance(breakdown, mp.EventBreakdownResult)
    assert breakdown.total_events == sum(event.count for event in breakdown.events) == total
    event = breakdown.events[0].event_name
    assert isinstance(ws.summarize("events"), mp.SummaryResult)
    assert ws.summarize("events").row_count == total
    keys = ws.property_keys("events", event)
    assert keys == sorted(keys) and "$city" in keys and set(keys) <= set(ws.property_keys("events"))
    assert isinstance(ws.column_stats("events", "event_name", top_n=3), mp.ColumnStatsResult)
    distribution = ws.property_distribution(event, "$city", limit=3)
    assert isinstance(distribution, mp.PropertyDistributionResult) and len(distribution.values) <= 3
    assert isinstance(ws.numeric_summary(event, "$mp_event_size"), mp.NumericPropertySummaryResult)
    counts = ws.daily_counts(from_date=FIRST_DAY, to_date=LAST_DAY)
    assert isinstance(counts, mp.DailyCountsResult)
    assert sum(count.count for count in counts.counts) == total
    assert isinstance(ws.engagement_distribution(), mp.EngagementDistributionResult)
    assert isinstance(ws.property_coverage(event, ["$city", "nope"]), mp.PropertyCoverageResult)
    top = ws.top_events(limit=2)
    assert len(top) == 2 and all(isinstance(event, mp.TopEvent) for event in top)
    assert ws.verify_table("events").is_intact
    for result in (breakdown, distribution, counts):
        assert isinstance(result.df, pandas.DataFrame)
        assert pickle.loads(pickle.dumps(result)).to_dict() == result.to_dict()
    sample = ws.sample("events", 5)
    assert isinstance(sample, pandas.DataFrame) and len(sample) == 5
    assert len(ws.sample("events", 0)) == 0


def test_credentials_can_be_checked(ws: mp.Workspace) -> None:
    found = mp.Workspace.test_credentials()
    assert found["success"] is True and found["region"] == "us" and found["events_found"] > 1
    assert len(ws.events()) == found["events_found"]


def test_wrong_credentials(simulate: Simulate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    simulate(*OPTIONS)
    monkeypatch.setenv("MP_SECRET", "wrong-secret")
    with pytest.raises(mp.AuthenticationError) as caught:
        mp.Workspace(path=tmp_path / "test.db").fetch_profiles()
    assert caught.value.status_code == 401
    assert "wrong-secret" not in repr(caught.value) + str(caught.value.to_dict())


def test_the_quota_can_be_chosen(ws: mp.Workspace, tmp_path: Path) -> None:
    chosen = mp.Workspace(path=tmp_path / "test.db", quota="7/10m", reserve=2)
    for usage in (chosen.quota_usage(), chosen.quota_usage("exports")):
        assert (usage.limit, usage.reserve, usage.window_seconds) == (5, 2, 600)
    assert mp.Workspace(reserve=10).quota_usage().limit == 50
    for quota, reserve in [("0/h", None), ("much", None), ("", None), ("5/h", 5), (None, 60), (None, -1), (None, True)]:
        with pytest.raises(mp.InvalidInputError, match="reserve" if reserve else "quota"):
            mp.Workspace(quota=quota, reserve=reserve).quota_usage()


def test_plans(ws: mp.Workspace) -> None:
    plan = ws.plan_profiles(parallel=True)
    assert (plan.pages, plan.expected_rows) == (10, PROFILES)
    assert ws.quota_usage().used == 1
    assert ws.plan_events(from_date=FIRST_DAY, to_date=LAST_DAY).to_dict()
    (run,) = ws.unfinished_runs()
    ws.discard_run(run.run_id)
    assert ws.unfinished_runs() == []
    with pytest.raises(mp.RunNotFoundError):
        ws.resume_fetch()


def test_refreshing(ws: mp.Workspace) -> None:
    ws.refresh_profiles(parallel=True)
    ws.refresh_profiles()
    assert ws.sql_scalar("SELECT count(*) FROM profiles") == PROFILES


@pytest.mark.slow
def test_refreshing_events(ws: mp.Workspace) -> None:
    ws.refresh_events(from_date=LAST_DAY)
    first = ws.sql_scalar("SELECT count(*) FROM events")
    ws.refresh_events()
    assert ws.sql_scalar("SELECT count(*) FROM events") >= first > 0


def test_the_log(simulate: Simulate, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    simulate(*OPTIONS, "--fault", "pages=2 status=503 times=1", fresh=True)
    with caplog.at_level(logging.DEBUG, "mixpanel_data"):
        mp.Workspace(path=tmp_path / "test.db").fetch_profiles()
    assert {record.name for record in caplog.records} == {"mixpanel_data"}
    assert "requests go to http://127.0.0.1" in caplog.text
    assert any("503" in record.message and record.levelno == logging.DEBUG for record in caplog.records)
    assert caplog.records[0].threadName == "MainThread"


@pytest.mark.parametrize("parallel", [False, True])
def test_the_frame_of_a_fetch_after_its_workspace_ended(simulate: Simulate, parallel: bool) -> None:
    simulate(*OPTIONS)
    with mp.Workspace.ephemeral() as ws:
        profiles = ws.fetch_profiles(distinct_ids=["a"], parallel=parallel)
        events = ws.fetch_events(from_date=LAST_DAY, to_date=LAST_DAY, parallel=parallel)
        read = ws.fetch_profiles("read", limit=10)
        assert len(read.df) == 10
    for result in (profiles, events, pickle.loads(pickle.dumps(events))):
        with pytest.raises(mp.ConfigError, match="of this result was temporary and is deleted; read `df` before"):
            _ = result.df
    assert len(read.df) == 10


def test_the_frame_of_a_fetch_whose_table_is_gone(ws: mp.Workspace) -> None:
    result = ws.fetch_profiles("people", limit=10)
    other = ws.fetch_profiles("other", limit=10)
    ws.drop("people")
    with pytest.raises(mp.TableNotFoundError, match="people"):
        _ = result.df
    ws.fetch_profiles("people", limit=20)
    assert len(result.df) == 20, "the table as it is at the first access"
    ws.db_path.unlink()
    with pytest.raises(mp.DatabaseNotFoundError):
        _ = other.df
