"""Accounts and credentials: the same accounts file and rules as those of the command `mp`."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol, Self

from . import _core
from ._arguments import absolute, hidden_text, identifier, region as region_of, text
from ._progress import log_messages
from ._results.record import Record
from ._session import encoded, without_none
from .exceptions import InvalidInputError, from_core_error

Region = Literal["us", "eu", "in"]
"""Where the data of a project is stored."""


class _HasSecretValue(Protocol):
    def get_secret_value(self) -> str: ...


class SecretStr:
    """A secret that is never part of a text: `get_secret_value` is the only way to read it.

    It cannot be pickled, so that it does not end up in a file or a queue by accident.

    Args:
        secret: The secret, or an object with a method `get_secret_value`, such as a `SecretStr` of pydantic.
    """

    __slots__ = ("_secret",)
    _secret: str

    def __init__(self, secret: str | _HasSecretValue) -> None:
        given: Any = secret
        if not isinstance(secret, str) and hasattr(secret, "get_secret_value"):
            given = secret.get_secret_value()
        object.__setattr__(self, "_secret", hidden_text("secret", given))

    def get_secret_value(self) -> str:
        """Returns the secret."""
        return self._secret

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a SecretStr cannot be changed")

    def __repr__(self) -> str:
        return f"SecretStr('{self}')"

    def __str__(self) -> str:
        # Always the same length, which tells nothing about the secret.
        return "**********" if self._secret else ""

    def __len__(self) -> int:
        return len(self._secret)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretStr):
            return NotImplemented
        return hmac.compare_digest(_bytes(self), _bytes(other))

    def __hash__(self) -> int:
        return hash((SecretStr, self._secret))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled; pass the name of an account instead")


def _bytes(secret: SecretStr) -> bytes:
    # Lone surrogates stand for bytes of the environment that are not UTF-8.
    return secret.get_secret_value().encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A service account and the project that it is used for. Its text never contains the secret.

    Attributes:
        username: User name of the service account.
        secret: Its secret; a `str` becomes a `SecretStr`.
        project_id: The project.
        region: Where the data of the project is stored; upper case becomes lower case.

    Raises:
        InvalidInputError: If the user name, the project or the secret is empty, or the region is unknown.
    """

    username: str
    secret: SecretStr
    project_id: str
    region: Region

    def __post_init__(self) -> None:
        if not isinstance(self.secret, SecretStr):
            object.__setattr__(self, "secret", SecretStr(self.secret))
        object.__setattr__(self, "username", text("username", self.username))
        object.__setattr__(self, "project_id", identifier("project_id", self.project_id))
        empty = [name for name in ("username", "project_id") if not getattr(self, name).strip()]
        if empty or not len(self.secret):
            raise InvalidInputError(f"the {' and the '.join(empty or ['secret'])} of the credentials is empty")
        object.__setattr__(self, "region", region_of("region", self.region))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AccountInfo(Record):
    """An account, without its secret.

    Attributes:
        name: Its name.
        username: User name of the service account.
        project_id: The project.
        region: Where the data of the project is stored.
        is_default: Whether this is the default account.
    """

    name: str
    username: str
    project_id: str
    region: str
    is_default: bool


class ConfigManager:
    """The accounts file. Every method reads it anew, and changes are safe while `mp` changes it too.

    Args:
        config_path: Another accounts file. By default, that of `mp`: the one that `MP_CONFIG_PATH` names, else
            `~/.mp/accounts.toml`.
    """

    def __init__(self, config_path: str | PathLike[str] | None = None) -> None:
        self._config_path = None if config_path is None else absolute("config_path", config_path)

    @property
    def config_path(self) -> Path:
        """Absolute path of the accounts file, which need not exist."""
        return Path(absolute("path", self._call("path")["path"]))

    def list_accounts(self) -> list[AccountInfo]:
        """Returns all accounts."""
        return [AccountInfo._from_json(account) for account in self._call("list")]

    def get_account(self, name: str) -> AccountInfo:
        """Returns an account.

        Raises:
            AccountNotFoundError: If there is no such account.
        """
        return AccountInfo._from_json(self._call("get", name=text("name", name)))

    def add_account(
        self, name: str, username: str, secret: str | _HasSecretValue, project_id: str, region: str
    ) -> None:
        """Adds an account; the first one becomes the default.

        Args:
            name: Its name.
            username: User name of the service account.
            secret: Its secret.
            project_id: The project.
            region: `us`, `eu` or `in`.

        Raises:
            AccountExistsError: If there is an account with this name.
            InvalidInputError: If a value is not usable.
        """
        self._call(
            "add",
            name=text("name", name),
            username=text("username", username),
            secret=SecretStr(secret).get_secret_value(),
            project_id=identifier("project_id", project_id),
            region=region_of("region", region),
        )

    def remove_account(self, name: str) -> None:
        """Removes an account; if it is the default, the next one becomes the default.

        Raises:
            AccountNotFoundError: If there is no such account.
        """
        self._call("remove", name=text("name", name))

    def set_default(self, name: str) -> None:
        """Makes an account the default.

        Raises:
            AccountNotFoundError: If there is no such account.
        """
        self._call("set_default", name=text("name", name))

    def resolve_credentials(self, account: str | None = None) -> Credentials:
        """Returns the credentials that a `Workspace` would use.

        They are those of the account, if one is named here or in `MP_ACCOUNT`; else those in `MP_USERNAME`,
        `MP_SECRET` and `MP_PROJECT_ID`, with the region in `MP_REGION`, by default `us`; else those of the default
        account. `MP_PROJECT_ID` alone replaces the project of an account.

        Args:
            account: Name of an account.

        Raises:
            AccountNotFoundError: If there is no such account.
            ConfigError: If there are no credentials.
        """
        found = self._call("resolve", account=None if account is None else text("account", account))
        return Credentials(**{name: found[name] for name in ("username", "secret", "project_id", "region")})

    def _call(self, operation: str, **arguments: str | None) -> Any:
        given = without_none(**arguments)
        if self._config_path is not None:
            given["config_path"] = self._config_path
        try:
            found = json.loads(_core.accounts(operation, encoded(given)))
        except _core.CoreError as error:
            raise from_core_error(error) from None
        log_messages(found)
        return found["value"]


__all__ = ["AccountInfo", "ConfigManager", "Credentials", "Region", "SecretStr"]
