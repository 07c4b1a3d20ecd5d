"""Errors of runs, which are fetches that can be resumed."""

from __future__ import annotations

from .base import MixpanelDataError


class RunNotFoundError(MixpanelDataError):
    """The unfinished run does not exist."""

    _default_code = "RUN_NOT_FOUND"


class RunBusyError(MixpanelDataError):
    """Another process works on the run."""

    _default_code = "RUN_BUSY"

    @property
    def holding_pid(self) -> int | None:
        """The id of that process, if known."""
        return self._number("holding_pid")


class IncompleteError(MixpanelDataError):
    """Pages or date ranges are missing, and the table was left unchanged."""

    _default_code = "INCOMPLETE"

    @property
    def failed_page_indices(self) -> tuple[int, ...]:
        """The pages that failed."""
        return tuple(self._details.get("failed_page_indices") or ())

    @property
    def failed_date_ranges(self) -> tuple[tuple[str, str], ...]:
        """First and last day of each date range that failed."""
        return tuple((first, last) for first, last in self._details.get("failed_date_ranges") or ())

    @property
    def shortfall(self) -> int | None:
        """How many of the announced profiles are missing."""
        return self._number("shortfall")


class OperationCancelledError(MixpanelDataError):
    """The caller requested a stop, with `Workspace.cancel` for example."""

    _default_code = "CANCELLED"
