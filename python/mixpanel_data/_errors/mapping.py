"""Turns the errors of the native module into exceptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._wording import in_python, with_names
from . import api, arguments, runs, storage
from .base import MixpanelDataError

_CLASSES: Mapping[str, type[MixpanelDataError]] = {
    kind._default_code: kind
    for kind in (
        api.APIError,
        api.AuthenticationError,
        api.NetworkError,
        api.QueryError,
        api.RateLimitError,
        api.ServerError,
        api.TLSError,
        arguments.AccountExistsError,
        arguments.AccountNotFoundError,
        arguments.ConfigError,
        arguments.DateRangeTooLargeError,
        arguments.EventNotFoundError,
        arguments.InvalidInputError,
        runs.IncompleteError,
        runs.OperationCancelledError,
        runs.RunBusyError,
        runs.RunNotFoundError,
        storage.ConstraintViolatedError,
        storage.DatabaseLockedError,
        storage.DatabaseNotFoundError,
        storage.DatabaseUnusableError,
        storage.DiskFullError,
        storage.OutOfMemoryError,
        storage.StorageError,
        storage.TableChangedError,
        storage.TableExistsError,
        storage.TableNotFoundError,
    )
}

_OF_STATUS: Mapping[int, type[api.APIError]] = {
    400: api.QueryError,
    401: api.AuthenticationError,
    402: api.QueryError,
    403: api.QueryError,
    404: api.QueryError,
    429: api.RateLimitError,
}

_HINTS: Mapping[str, str] = {
    "TABLE_EXISTS": 'pass if_exists="append", "replace" or, for profiles, "upsert"; or update the table with '
    "refresh_profiles() or refresh_events()",
    "DATABASE_NOT_FOUND": "the first fetch creates it; otherwise check `path`",
    "DATE_RANGE_TOO_LARGE": "pass parallel=True, which divides the range",
    "RUN_NOT_FOUND": "unfinished_runs() lists the runs that can be resumed",
}
"""What to do in Python, for errors whose hints in the command line are about its options."""

_HINTS_OF_SQL: Mapping[str, str] = {
    "has been disabled by configuration": "queries read only the database; the `duckdb` module reads files, "
    "query(...).pl() and .df() write them",
    "the configuration has been locked": "queries cannot change settings; use `Workspace.connection` for that",
    "which is attached in read-only mode": "queries only read; use the `duckdb` module for tables of your own",
}
"""What to do about failed SQL, by a part of DuckDB's message."""


def from_core(payload: Mapping[str, Any], arguments: str = "{}") -> MixpanelDataError:
    """Returns the exception for an error of the native module.

    Args:
        payload: The object `{"code", "message", "details", "hint"?, "run_id"?}`.
        arguments: The arguments of the call as JSON text.
    """
    code = str(payload.get("code") or MixpanelDataError._default_code)
    details = dict(payload.get("details") or {})
    kind = _class_of(code, details)
    if kind is api.QueryError and "status_code" not in details:
        # A failed SQL statement: without a response, its text and the error take the place of the body.
        details["status_code"] = 0
        details["response_body"] = {name: details[name] for name in ("query", "error") if name in details}
    message = in_python(str(payload.get("message", "")), arguments)
    error = kind._of_core(with_names(message) if code == "INVALID_INPUT" else message, code, details)
    error._run_id = payload.get("run_id")
    error._hint = payload.get("hint")
    if not error.hint and error.run_id:
        error._hint = _hint_of_run(error.run_id, code, details)
    if not error.hint:
        of_sql = [hint for part, hint in _HINTS_OF_SQL.items() if kind is api.QueryError and part in error.message]
        error._hint = next(iter(of_sql), None) or _HINTS.get(code) or details.get("suggestion")
    if error.hint:
        error._hint = in_python(error.hint)
        error.add_note(f"hint: {error.hint}")
    return error


def _hint_of_run(run_id: str, code: str, details: Mapping[str, Any]) -> str:
    """Returns what to do with a run that loaded nothing. Without the options, resuming could end in the same error."""
    megabytes = str(details.get("memory_needed", "")).removesuffix("MB")
    memory = f", memory={megabytes}_000_000" if megabytes.isdecimal() else ""

    def call(options: str = "") -> str:
        return f"resume_fetch(run_id={run_id!r}{options}{memory})"

    kept = "the fetched pages are kept"
    if "emptied_rows" in details:
        return f"if that is correct, {call(', allow_empty=True')} empties the table"
    if details.get("superseded"):
        # A run that creates its table can only add to one that exists.
        chosen = details.get("resumed_with") or ("append" if code == "TABLE_EXISTS" else None)
        option = f', if_exists="{chosen}"' if chosen else ""
        loading = call(f"{option}, replace_newer=True")
        return f"the table is newer than this run, so it was kept; {loading} loads the older records nevertheless"
    if code == "TABLE_CHANGED" and "since" in details:
        return f'{kept}: restore the table and call {call()}, or fetch again with since="last"'
    if code == "TABLE_CHANGED":
        return f"{kept}: restore the table if rows are missing, then load them with {call()}"
    if "max_history_days" in details:
        return f"{kept}: {call(', accept_partial=True')} loads them"
    if "shortfall" in details:
        return f"{call()} fetches everything again; pass allow_drift=PERCENT to accept the profiles received"
    if code == "TABLE_EXISTS":
        return f'{kept}: pass if_exists="append", "replace" or "upsert" to {call()}'
    return f"{kept}; fetch the rest with {call()}"


def from_core_error(error: BaseException, arguments: str = "{}") -> MixpanelDataError:
    """Returns the exception for a `CoreError`, whose first argument is JSON text, as are the `arguments` of the call.

    Raise it `from None`: the native error has the same facts.
    """
    try:
        payload = json.loads(error.args[0])
    except (IndexError, TypeError, ValueError):
        return MixpanelDataError(str(error))
    return from_core(payload, arguments) if isinstance(payload, dict) else MixpanelDataError(str(error))


def _class_of(code: str, details: Mapping[str, Any]) -> type[MixpanelDataError]:
    known = _CLASSES.get(code, MixpanelDataError)
    if known not in (MixpanelDataError, api.APIError):
        return known
    status = details.get("status_code")
    if not isinstance(status, int):
        return known
    if status >= 500:
        return api.ServerError
    return _OF_STATUS.get(status, api.APIError)
