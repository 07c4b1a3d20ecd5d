"""Credentials, and the accounts file."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mixpanel_data import _core, auth
from mixpanel_data.auth import AccountInfo, ConfigManager, Credentials, SecretStr
from mixpanel_data.exceptions import (
    AccountExistsError,
    AccountNotFoundError,
    ConfigError,
    InvalidInputError,
    MixpanelDataError,
)

SECRET = "hunter2-\N{SNOWMAN}"


def credentials(**changes: Any) -> Credentials:
    return Credentials(**{"username": "u", "secret": SECRET, "project_id": "12345", "region": "us"} | changes)


class OfPydantic:
    """Has the method of pydantic's type of the same name."""

    def get_secret_value(self) -> str:
        return SECRET


@pytest.mark.parametrize("given", [SECRET, SecretStr(SECRET), OfPydantic()])
def test_secrets_are_never_shown(given: Any) -> None:
    account = credentials(secret=given)
    assert account.secret.get_secret_value() == SECRET
    shown = [repr(account), str(account), f"{account}", repr(account.secret), str(account.secret)]
    logged = logging.LogRecord("name", logging.INFO, "path", 0, "%s", (account,), None)
    shown += [repr([account]), "%s" % account.secret, logged.getMessage()]
    assert not [text for text in shown if SECRET in text or "hunter" in text]
    assert "username='u'" in repr(account)
    with pytest.raises(TypeError):
        json.dumps(account.secret)


@pytest.mark.parametrize("value", [SecretStr(SECRET), credentials()])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_secrets_cannot_be_pickled(value: object, protocol: int) -> None:
    with pytest.raises(TypeError) as caught:
        pickle.dumps(value, protocol)
    assert "account" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_secrets_are_values() -> None:
    assert SecretStr("a") == SecretStr("a") != SecretStr("b")
    assert SecretStr("a") != "a"
    assert len({SecretStr("a"), SecretStr("a"), SecretStr("b")}) == 2
    assert len(SecretStr("abc")) == 3
    assert SecretStr("\udcff") == SecretStr("\udcff")
    assert str(SecretStr("")) == ""
    assert str(SecretStr("a")) == str(SecretStr("abcdefghijklmnop"))
    secret = SecretStr("a")
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    for name in ("_secret", "other"):
        with pytest.raises(AttributeError):
            setattr(secret, name, "b")


def test_credentials_are_immutable_values() -> None:
    account = credentials()
    assert account == credentials()
    assert account != credentials(secret="other")
    assert copy.deepcopy(account) == account
    with pytest.raises(dataclasses.FrozenInstanceError):
        account.region = "eu"  # type: ignore[misc]


@pytest.mark.parametrize("region", ["us", "EU", "In", " in "])
def test_regions_are_normalized(region: str) -> None:
    assert credentials(region=region).region == region.strip().lower()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region": "uk"}, "region is 'uk', and must be 'us', 'eu' or 'in'"),
        ({"region": ""}, "region is '', and must be"),
        ({"region": None}, "region is None, and must be"),
        ({"username": " "}, "the username of the credentials is empty"),
        ({"username": "", "project_id": ""}, "the username and the project_id of the credentials is empty"),
        ({"secret": ""}, "the secret of the credentials is empty"),
        ({"secret": None}, "secret must be text"),
        ({"secret": b"hidden"}, "secret must be text"),
        ({"username": None}, "username is None, and must be text"),
        ({"project_id": 1.5}, "project_id is 1.5, and must be text or an integer"),
    ],
)
def test_unusable_credentials(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        credentials(**changes)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(message)


class FakeCore:
    """The accounts of the native module, in memory, and the calls that were made."""

    class CoreError(Exception):
        pass

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.result: Any = None
        self.error: dict[str, Any] | None = None

    def accounts(self, name: str, arguments: str) -> str:
        self.calls.append((name, json.loads(arguments)))
        if self.error is not None:
            raise self.CoreError(json.dumps(self.error))
        return json.dumps({"value": self.result, "notes": [], "warnings": []})


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCore]:
    fake = FakeCore()
    monkeypatch.setattr(auth, "_core", fake)
    yield fake


ACCOUNT = {"name": "a", "username": "u", "project_id": "1", "region": "eu", "is_default": True}


def test_results_of_the_native_module_become_values(core: FakeCore) -> None:
    manager = ConfigManager()
    core.result = [ACCOUNT | {"of_a_newer_library": 1}]
    assert manager.list_accounts() == [AccountInfo("a", "u", "1", "eu", True)]
    core.result = ACCOUNT
    account = manager.get_account("a")
    assert account.to_dict() == ACCOUNT
    assert pickle.loads(pickle.dumps(account)) == account
    core.result = {"username": "u", "secret": SECRET, "project_id": "1", "region": "eu", "account": "a"}
    assert manager.resolve_credentials() == credentials(project_id="1", region="eu")
    manager.resolve_credentials("a")
    core.result = {"path": "/home/u/.mp/accounts.toml"}
    assert manager.config_path == Path("/home/u/.mp/accounts.toml")
    names = [("list", {}), ("get", {"name": "a"}), ("resolve", {}), ("resolve", {"account": "a"}), ("path", {})]
    assert core.calls == names


@pytest.mark.parametrize("path", ["accounts.toml", Path("accounts.toml")])
def test_every_call_names_the_file(core: FakeCore, path: str | Path) -> None:
    manager = ConfigManager(config_path=path)
    manager.add_account("a", "u", SecretStr(SECRET), "1", "EU")
    manager.set_default("a")
    manager.remove_account(name="a")
    given = {"name": "a", "username": "u", "secret": SECRET, "project_id": "1", "region": "eu"}
    expected = [("add", given), ("set_default", {"name": "a"}), ("remove", {"name": "a"})]
    assert core.calls == [(name, arguments | {"config_path": str(Path.cwd() / path)}) for name, arguments in expected]


def test_a_wrong_region_is_reported_before_anything_is_called(core: FakeCore) -> None:
    with pytest.raises(ValueError, match="must be 'us', 'eu' or 'in'"):
        ConfigManager().add_account("a", "u", SECRET, "1", "uk")
    assert core.calls == []


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        ("ACCOUNT_EXISTS", {"account_name": "a"}, AccountExistsError),
        ("ACCOUNT_NOT_FOUND", {"account_name": "a", "available_accounts": ["b"]}, AccountNotFoundError),
        ("CONFIG_ERROR", {}, ConfigError),
        ("INVALID_INPUT", {}, InvalidInputError),
    ],
)
def test_errors_of_the_native_module_become_exceptions(
    core: FakeCore, code: str, details: dict[str, Any], kind: type[MixpanelDataError]
) -> None:
    core.error = {"code": code, "message": "why", "details": details, "hint": "do this"}
    with pytest.raises(kind) as caught:
        ConfigManager().add_account("a", "u", SECRET, "1", "us")
    error = caught.value
    assert (error.details, error.message, error.__notes__) == (details, "why", ["hint: do this"])
    # The native error is not shown as well.
    assert error.__suppress_context__
    assert SECRET not in "".join(traceback.format_exception(error))


WRONG: list[tuple[str, dict[str, Any], str]] = [
    *[
        (method, {"name": value}, f"name is {value!r}, and must be text")
        for method in ("get_account", "remove_account", "set_default", "add_account")
        for value in (None, 5, b"x")
    ],
    *[("resolve_credentials", {"account": value}, f"account is {value!r}, and must be text") for value in (5, b"x")],
    *[("add_account", {"secret": value}, "secret must be text") for value in (None, 47110815, b"hunter2")],
    ("add_account", {"username": 5}, "username is 5, and must be text"),
    ("add_account", {"project_id": 1.5}, "project_id is 1.5, and must be text or an integer"),
    ("add_account", {"project_id": None}, "project_id is None, and must be text or an integer"),
    ("add_account", {"region": None}, "region is None, and must be 'us', 'eu' or 'in'"),
    *[
        (method, {"name": "\ud800"}, "name is text that is not valid Unicode")
        for method in ("get_account", "remove_account", "set_default", "add_account")
    ],
    ("resolve_credentials", {"account": "\ud800"}, "account is text that is not valid Unicode"),
    *[
        ("add_account", {name: "hunter2\ud800"}, f"{name} is text that is not valid Unicode")
        for name in ("username", "secret", "project_id")
    ],
]


@pytest.mark.parametrize(("method", "arguments", "message"), WRONG, ids=ascii)
def test_wrong_arguments(isolated: Path, method: str, arguments: dict[str, Any], message: str) -> None:
    base = {"name": "a", "username": "u", "secret": "s", "project_id": "1", "region": "us"}
    manager = ConfigManager()
    manager.add_account(**base)
    with pytest.raises(InvalidInputError) as caught:
        getattr(manager, method)(**(base if method == "add_account" else {}) | arguments)
    assert str(caught.value) == message
    shown = "".join(traceback.format_exception(caught.value))
    assert "47110815" not in shown and "hunter2" not in shown
    assert [account.name for account in manager.list_accounts()] == ["a"]


def test_a_project_may_be_an_integer(isolated: Path) -> None:
    number: Any = 12
    ConfigManager().add_account("a", "u", "s", number, "us")
    assert ConfigManager().get_account("a").project_id == credentials(project_id=number).project_id == "12"


@pytest.mark.parametrize("path", ["acc.toml", "./acc.toml", "sub/../acc.toml", Path("acc.toml")])
def test_a_relative_path_means_the_same_file_everywhere(
    isolated: Path, monkeypatch: pytest.MonkeyPatch, path: str | Path
) -> None:
    for name in ("sub", "elsewhere"):
        (isolated / name).mkdir()
    monkeypatch.chdir(isolated)
    manager = ConfigManager(path)
    manager.add_account("one", "u", "s", "1", "us")
    monkeypatch.chdir(isolated / "elsewhere")
    assert [account.name for account in manager.list_accounts()] == ["one"]
    manager.add_account("two", "u", "s", "1", "us")
    assert [file.parent for file in isolated.rglob("acc.toml")] == [isolated]
    assert manager.config_path.is_absolute() and manager.config_path.samefile(isolated / "acc.toml")


@pytest.mark.parametrize("name", ["MP_CONFIG_PATH", "MP_HOME", "HOME"])
def test_the_path_is_absolute(isolated: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(isolated)
    monkeypatch.delenv("MP_HOME")
    monkeypatch.setenv(name, "relative")
    path = ConfigManager().config_path
    assert path.is_absolute() and path.is_relative_to(isolated / "relative")


def test_the_home_directory_may_be_named_by_a_tilde(isolated: Path) -> None:
    assert ConfigManager("~/acc.toml").config_path == isolated / "acc.toml"


@pytest.mark.skipif(not hasattr(_core, "accounts"), reason="the native module has no accounts")
def test_the_accounts_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MP_ACCOUNT", "MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID", "MP_REGION"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "new" / "accounts.toml"
    manager = ConfigManager(config_path=path)
    assert manager.list_accounts() == []
    with pytest.raises(ConfigError):
        manager.resolve_credentials()
    manager.add_account("first", "user.1", SECRET, "12345", "eu")
    manager.add_account(name="second", username="user.2", secret="other", project_id="67890", region="US")
    assert path.stat().st_mode & 0o077 == 0
    assert [(account.name, account.is_default) for account in manager.list_accounts()] == [
        ("first", True),
        ("second", False),
    ]
    with pytest.raises(AccountExistsError) as exists:
        manager.add_account("first", "user.3", SECRET, "12345", "eu")
    assert exists.value.account_name == "first"
    with pytest.raises(AccountNotFoundError) as missing:
        manager.get_account("third")
    assert (missing.value.account_name, missing.value.available_accounts) == ("third", ["first", "second"])
    assert manager.resolve_credentials() == credentials(username="user.1", region="eu")
    assert manager.resolve_credentials("second").secret == SecretStr("other")
    manager.set_default("second")
    assert ConfigManager(path).get_account("second").is_default
    manager.remove_account("second")
    assert [(account.name, account.is_default) for account in manager.list_accounts()] == [("first", True)]
    for name, value in {"MP_USERNAME": "env", "MP_SECRET": "s", "MP_PROJECT_ID": "1", "MP_REGION": "in"}.items():
        monkeypatch.setenv(name, value)
    assert manager.resolve_credentials() == Credentials("env", SecretStr("s"), "1", "in")
    assert manager.resolve_credentials("first").username == "user.1"
    monkeypatch.setenv("MP_CONFIG_PATH", str(path))
    assert ConfigManager().config_path == path
    assert ConfigManager().get_account("first") == manager.get_account("first")


def test_a_readable_accounts_file_is_logged(isolated: Path, caplog: pytest.LogCaptureFixture) -> None:
    manager = ConfigManager()
    manager.add_account("one", "user", "secret", "1", "us")
    manager.config_path.chmod(0o644)
    calls: list[Callable[[], object]] = [
        manager.list_accounts, manager.resolve_credentials, lambda: manager.get_account("one"),
    ]  # fmt: skip
    for call in calls:
        caplog.clear()
        call()
        assert any(str(manager.config_path) in record.getMessage() for record in caplog.records), call
