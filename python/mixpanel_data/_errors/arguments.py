"""Errors of arguments, accounts and settings."""

from __future__ import annotations

from typing import Any

from .base import MixpanelDataError


class InvalidInputError(MixpanelDataError, ValueError):
    """An argument is wrong. Nothing was sent."""

    _default_code = "INVALID_INPUT"


class ConfigError(MixpanelDataError):
    """An account, a setting or an environment variable is wrong or missing."""

    _default_code = "CONFIG_ERROR"

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message, None, details)


class AccountNotFoundError(ConfigError):
    """The account is not in the accounts file."""

    _default_code = "ACCOUNT_NOT_FOUND"

    def __init__(self, account_name: str, available_accounts: list[str] | None = None) -> None:
        names = available_accounts or []
        listed = ", ".join(f"'{name}'" for name in names)
        others = f"Available accounts: {listed}." if names else "No accounts configured."
        details = {"account_name": account_name, "available_accounts": names}
        super().__init__(f"Account '{account_name}' not found. {others}", details)

    @property
    def account_name(self) -> str:
        """The account that was not found."""
        return self._text("account_name")

    @property
    def available_accounts(self) -> list[str]:
        """Names of the accounts that exist."""
        return list(self._details.get("available_accounts") or [])


class AccountExistsError(ConfigError):
    """There is already an account with this name."""

    _default_code = "ACCOUNT_EXISTS"

    def __init__(self, account_name: str) -> None:
        super().__init__(f"Account '{account_name}' already exists.", {"account_name": account_name})

    @property
    def account_name(self) -> str:
        """The name."""
        return self._text("account_name")


class EventNotFoundError(MixpanelDataError):
    """The project has no such event."""

    _default_code = "EVENT_NOT_FOUND"

    def __init__(self, event_name: str, similar_events: list[str] | None = None) -> None:
        similar = similar_events or []
        message = f"Event '{event_name}' not found."
        if similar:
            # More would hide the message.
            message += f" Did you mean {', '.join(repr(name) for name in similar[:5])}?"
        super().__init__(message, None, {"event_name": event_name, "similar_events": similar})

    @property
    def event_name(self) -> str:
        """The event that was not found."""
        return self._text("event_name")

    @property
    def similar_events(self) -> list[str]:
        """Events with similar names."""
        return list(self._details.get("similar_events") or [])


class DateRangeTooLargeError(MixpanelDataError):
    """A sequential fetch of events has too many days."""

    _default_code = "DATE_RANGE_TOO_LARGE"

    def __init__(self, from_date: str, to_date: str, days_requested: int, max_days: int = 100) -> None:
        details = {"from_date": from_date, "to_date": to_date, "days_requested": days_requested, "max_days": max_days}
        message = f"{from_date} to {to_date} is {days_requested} days, more than {max_days} days. Split the range."
        super().__init__(message, None, details)

    @property
    def from_date(self) -> str:
        """First day that was requested."""
        return self._text("from_date")

    @property
    def to_date(self) -> str:
        """Last day that was requested."""
        return self._text("to_date")

    @property
    def days_requested(self) -> int:
        """Number of days that were requested."""
        return self._number("days_requested") or 0

    @property
    def max_days(self) -> int:
        """Maximum number of days."""
        return self._number("max_days") or 100
