"""The exceptions: their classes, codes and facts, made by hand and from errors of the native module."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
import traceback
from pathlib import Path
from typing import Any

import pytest

from mixpanel_data import exceptions
from mixpanel_data.exceptions import MixpanelDataError, from_core, from_core_error

CLASSES: list[tuple[str, str, str, dict[str, Any]]] = [
    # Class, parent, code, arguments.
    ("MixpanelDataError", "Exception", "UNKNOWN_ERROR", {"message": "m"}),
    ("APIError", "MixpanelDataError", "API_ERROR", {"message": "m", "status_code": 418}),
    ("AuthenticationError", "APIError", "AUTH_FAILED", {}),
    ("RateLimitError", "APIError", "RATE_LIMITED", {}),
    ("QueryError", "APIError", "QUERY_FAILED", {}),
    ("ServerError", "APIError", "SERVER_ERROR", {}),
    ("JQLSyntaxError", "QueryError", "JQL_SYNTAX_ERROR", {"raw_error": "TypeError: x"}),
    ("NetworkError", "MixpanelDataError", "HTTP_ERROR", {"message": "m"}),
    ("TLSError", "NetworkError", "TLS_ERROR", {"message": "m"}),
    ("ConfigError", "MixpanelDataError", "CONFIG_ERROR", {"message": "m"}),
    ("AccountNotFoundError", "ConfigError", "ACCOUNT_NOT_FOUND", {"account_name": "a"}),
    ("AccountExistsError", "ConfigError", "ACCOUNT_EXISTS", {"account_name": "a"}),
    ("EventNotFoundError", "MixpanelDataError", "EVENT_NOT_FOUND", {"event_name": "a"}),
    ("InvalidInputError", "MixpanelDataError", "INVALID_INPUT", {"message": "m"}),
    ("TableExistsError", "MixpanelDataError", "TABLE_EXISTS", {"table_name": "t"}),
    ("TableNotFoundError", "MixpanelDataError", "TABLE_NOT_FOUND", {"table_name": "t"}),
    ("TableChangedError", "MixpanelDataError", "TABLE_CHANGED", {"message": "m"}),
    ("ConstraintViolatedError", "MixpanelDataError", "CONSTRAINT_VIOLATED", {"message": "m"}),
    ("DatabaseLockedError", "MixpanelDataError", "DATABASE_LOCKED", {"db_path": "/d.db"}),
    ("DatabaseNotFoundError", "MixpanelDataError", "DATABASE_NOT_FOUND", {"db_path": "/d.db"}),
    ("StorageError", "MixpanelDataError", "STORAGE_ERROR", {"message": "m"}),
    ("DatabaseUnusableError", "StorageError", "DATABASE_UNUSABLE", {"message": "m"}),
    ("DiskFullError", "StorageError", "DISK_FULL", {"message": "m"}),
    ("OutOfMemoryError", "MixpanelDataError", "OUT_OF_MEMORY", {"message": "m"}),
    ("RunNotFoundError", "MixpanelDataError", "RUN_NOT_FOUND", {"message": "m"}),
    ("RunBusyError", "MixpanelDataError", "RUN_BUSY", {"message": "m"}),
    ("IncompleteError", "MixpanelDataError", "INCOMPLETE", {"message": "m"}),
    ("OperationCancelledError", "MixpanelDataError", "CANCELLED", {"message": "m"}),
    (
        "DateRangeTooLargeError",
        "MixpanelDataError",
        "DATE_RANGE_TOO_LARGE",
        {"from_date": "2024-01-01", "to_date": "2024-06-30", "days_requested": 182},
    ),
]
of_each_class = pytest.mark.parametrize(
    ("name", "parent", "code", "arguments"), CLASSES, ids=[name for name, *_ in CLASSES]
)


def public(name: str) -> type[MixpanelDataError]:
    kind: type[MixpanelDataError] = getattr(exceptions, name)
    assert issubclass(kind, MixpanelDataError)
    return kind


def test_the_table_has_every_class() -> None:
    assert sorted(exceptions.__all__) == sorted(name for name, *_ in CLASSES)


@of_each_class
def test_parents_codes_and_dictionaries(name: str, parent: str, code: str, arguments: dict[str, Any]) -> None:
    error = public(name)(**arguments)
    assert parent in [kind.__name__ for kind in type(error).__mro__[1:]]
    assert error.code == code
    assert str(error) == error.message
    assert error.to_dict() == {"code": code, "message": error.message, "details": error.details}
    assert json.loads(json.dumps(error.to_dict())) == error.to_dict()
    # The arguments are also facts in the details, under the same names.
    facts = {key: value for key, value in arguments.items() if key != "message"}
    assert facts.items() <= error.details.items()
    for key, value in facts.items():
        assert getattr(error, key) == value


@of_each_class
def test_every_class_can_be_pickled_and_copied(name: str, parent: str, code: str, arguments: dict[str, Any]) -> None:
    error = public(name)(**arguments)
    from_native = from_core({"code": code, "message": "why", "details": {"a": [1]}, "hint": "do this", "run_id": "r"})
    for original in (error, from_native):
        original.add_note("a note")
        for other in (pickle.loads(pickle.dumps(original)), copy.copy(original), copy.deepcopy(original)):
            assert type(other) is type(original)
            assert other.to_dict() == original.to_dict()
            assert (other.args, other.run_id, other.hint) == (original.args, original.run_id, original.hint)
            assert other.__notes__ == original.__notes__


@of_each_class
def test_names_and_signatures(name: str, parent: str, code: str, arguments: dict[str, Any]) -> None:
    kind = public(name)
    # What tracebacks and pickles contain.
    assert kind.__module__ == "mixpanel_data.exceptions"
    assert kind.__doc__
    optional = set(inspect.signature(kind).parameters) - set(arguments)
    for parameter in optional:
        assert inspect.signature(kind).parameters[parameter].default is not inspect.Parameter.empty


@of_each_class
def test_codes_of_the_native_module(name: str, parent: str, code: str, arguments: dict[str, Any]) -> None:
    if name == "JQLSyntaxError":
        pytest.skip("the native module runs no JQL")
    error = from_core({"code": code, "message": "why", "details": {"fact": 1}, "kind": "any"})
    assert type(error) is public(name)
    assert (error.code, error.message, error.details["fact"]) == (code, "why", 1)


def test_every_code_of_the_library_has_a_class() -> None:
    source = Path(__file__).parents[2] / "crates/mixpanel-data/src/error.rs"
    if not source.exists():
        pytest.skip("not in the repository")
    codes = set(re.findall(r'=> "([A-Z_]+)"', source.read_text(encoding="utf-8")))
    assert codes <= {code for _, _, code, _ in CLASSES}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "QueryError"),
        (401, "AuthenticationError"),
        (402, "QueryError"),
        (403, "QueryError"),
        (404, "QueryError"),
        (418, "APIError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (503, "ServerError"),
        (None, "APIError"),
    ],
)
def test_the_status_selects_the_class(status: int | None, expected: str) -> None:
    details = {} if status is None else {"status_code": status}
    error = from_core({"code": "API_ERROR", "message": "why", "details": details})
    assert type(error).__name__ == expected
    assert isinstance(error, exceptions.APIError)
    assert error.status_code == (status or 0)


def test_a_code_of_a_newer_library_is_kept() -> None:
    error = from_core({"code": "OF_A_NEWER_LIBRARY", "message": "why"})
    assert type(error) is MixpanelDataError
    assert error.to_dict() == {"code": "OF_A_NEWER_LIBRARY", "message": "why", "details": {}}


@pytest.mark.parametrize("arguments", [(), ("no JSON",), ("[1]",), (7,)])
def test_a_native_error_that_is_not_json_is_still_an_error(arguments: tuple[object, ...]) -> None:
    error = from_core_error(RuntimeError(*arguments))
    assert type(error) is MixpanelDataError
    assert error.message == str(RuntimeError(*arguments))


def test_failed_sql_has_the_query_in_place_of_a_response() -> None:
    details = {"query": "SELECT", "error": "Parser Error"}
    error = from_core_error(RuntimeError(json.dumps({"code": "QUERY_FAILED", "message": "why", "details": details})))
    assert isinstance(error, exceptions.QueryError)
    assert (error.status_code, error.response_body) == (0, details)
    assert details.items() <= error.details.items()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"hint": "free some space"}, ["hint: free some space"]),
        ({"hint": "free some space", "run_id": "r-1"}, ["hint: free some space"]),
        ({"run_id": "r-1"}, ["hint: the fetched pages are kept; fetch the rest with resume_fetch(run_id='r-1')"]),
        ({}, []),
    ],
)
def test_hints_are_shown_below_the_traceback(payload: dict[str, Any], expected: list[str]) -> None:
    error = from_core({"code": "DISK_FULL", "message": "why", **payload})
    assert getattr(error, "__notes__", []) == expected
    assert error.run_id == payload.get("run_id")
    shown = "".join(traceback.format_exception(error))
    assert shown.splitlines()[-1 - len(expected) :] == ["mixpanel_data.exceptions.DiskFullError: why", *expected]


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        ("INCOMPLETE", {"emptied_rows": 3}, "resume_fetch(run_id='r-1', allow_empty=True) empties the table"),
        ("TABLE_CHANGED", {"superseded": True}, "resume_fetch(run_id='r-1', replace_newer=True)"),
        (
            "TABLE_CHANGED",
            {"superseded": True, "resumed_with": "upsert"},
            "resume_fetch(run_id='r-1', if_exists=\"upsert\", replace_newer=True)",
        ),
        ("TABLE_CHANGED", {"since": "2026-11-01"}, "resume_fetch(run_id='r-1'), or fetch again with since=\"last\""),
        ("TABLE_CHANGED", {"difference": "rows"}, "load them with resume_fetch(run_id='r-1')"),
        ("QUERY_FAILED", {"max_history_days": 5}, "resume_fetch(run_id='r-1', accept_partial=True) loads them"),
        ("INCOMPLETE", {"shortfall": 3}, "fetches everything again; pass allow_drift=PERCENT"),
        ("TABLE_EXISTS", {}, 'pass if_exists="append", "replace" or "upsert" to resume_fetch(run_id=\'r-1\')'),
        ("OUT_OF_MEMORY", {"memory_needed": "600MB"}, "resume_fetch(run_id='r-1', memory=600_000_000)"),
    ],
)
def test_the_hint_for_a_run_depends_on_why_it_ended(code: str, details: dict[str, Any], expected: str) -> None:
    error = from_core({"code": code, "message": "why", "details": details, "run_id": "r-1"})
    assert expected in str(error.hint)
    assert error.__notes__ == [f"hint: {error.hint}"]


def test_hints_are_about_python() -> None:
    error = from_core({"code": "TABLE_EXISTS", "message": "table `t` exists", "details": {"table_name": "t"}})
    assert error.hint is not None and 'if_exists="append"' in error.hint
    assert error.__notes__ == [f"hint: {error.hint}"]
    resumed = from_core({"code": "TABLE_EXISTS", "message": "table `t` exists", "run_id": "r-1"})
    assert "if_exists" in resumed.__notes__[0] and "run_id='r-1'" in resumed.__notes__[0]
    other = from_core(
        {"code": "INVALID_INPUT", "message": "use `--replace` or `--since last`", "hint": "or `--since 2026-11-01`"}
    )
    assert str(other) == 'use `if_exists="replace"` or `since="last"`'
    assert other.hint == 'or `since="2026-11-01"`'
    wrong = from_core({"code": "INVALID_INPUT", "message": 'invalid type: string "3", expected i64 at line 1 column 94'})
    assert str(wrong) == 'an argument is "3", and must be an integer'


def test_wrong_arguments_are_value_errors() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        raise from_core({"code": "INVALID_INPUT", "message": "batch_size is 0"})
    with pytest.raises(MixpanelDataError):
        raise exceptions.InvalidInputError("batch_size is 0")


@pytest.mark.parametrize(
    ("code", "details", "attributes"),
    [
        ("TABLE_EXISTS", {"table_name": "t", "suggestion": "s"}, {"table_name": "t", "suggestion": "s"}),
        ("TABLE_NOT_FOUND", {"table_name": "t", "available_tables": ["a"]}, {"available_tables": ["a"]}),
        ("TABLE_CHANGED", {"table_name": "t"}, {"table_name": "t"}),
        ("DATABASE_LOCKED", {"db_path": "/d", "holding_pid": 7}, {"db_path": "/d", "holding_pid": 7}),
        ("DATABASE_LOCKED", {"db_path": "/d", "holding_pid": None}, {"holding_pid": None}),
        ("DATABASE_NOT_FOUND", {"db_path": "/d", "suggestion": "s"}, {"db_path": "/d", "suggestion": "s"}),
        ("STORAGE_ERROR", {"path": "/d", "os_error": 13}, {"path": "/d", "os_error": 13}),
        ("OUT_OF_MEMORY", {"memory_needed": "600MB"}, {"memory_needed": "600MB"}),
        ("RATE_LIMITED", {"status_code": 429, "retry_after": 1.5}, {"retry_after": 1.5, "status_code": 429}),
        ("RUN_BUSY", {"holding_pid": 7}, {"holding_pid": 7}),
        ("INCOMPLETE", {"failed_page_indices": [3]}, {"failed_page_indices": (3,), "failed_date_ranges": ()}),
        ("INCOMPLETE", {"failed_date_ranges": [["a", "b"]]}, {"failed_date_ranges": (("a", "b"),), "shortfall": None}),
        ("INCOMPLETE", {"shortfall": 4}, {"shortfall": 4}),
        ("ACCOUNT_NOT_FOUND", {"account_name": "a", "available_accounts": ["b"]}, {"available_accounts": ["b"]}),
        ("EVENT_NOT_FOUND", {"event_name": "a"}, {"event_name": "a", "similar_events": []}),
        ("DATE_RANGE_TOO_LARGE", {"days_requested": 120, "max_days": 100}, {"days_requested": 120, "max_days": 100}),
    ],
)
def test_details_are_attributes(code: str, details: dict[str, Any], attributes: dict[str, Any]) -> None:
    error = from_core({"code": code, "message": "why", "details": details})
    assert {name: getattr(error, name) for name in attributes} == attributes


def test_texts_contain_the_message_only() -> None:
    parameters = {"secret": "hunter2"}
    error = exceptions.QueryError("m", request_params=parameters, request_body=parameters, request_url="u?hunter2")
    assert "hunter2" not in f"{error}{error!r}{traceback.format_exception(error)}"
    assert error.request_params == parameters


@pytest.mark.parametrize(
    ("raw", "kind", "message", "line", "trace"),
    [
        ("SyntaxError: Unexpected token }", "SyntaxError", "SyntaxError: Unexpected token }", None, None),
        ("it failed", "Error", "it failed", None, None),
        ("", "Error", "", None, None),
        ("x" * 300, "Error", "x" * 197 + "...", None, None),
        (
            "UserVisiblePreconditionFailedError: Uncaught exception TypeError: f is not a function\n"
            "  f(10);\n  ^\n\nStack trace:\nTypeError: f is not a function\n    at main (<anonymous>:7:4)\n",
            "TypeError",
            "f is not a function",
            "f(10);\n  ^",
            "TypeError: f is not a function\n    at main (<anonymous>:7:4)",
        ),
    ],
)
def test_errors_of_scripts_are_taken_apart(
    raw: str, kind: str, message: str, line: str | None, trace: str | None
) -> None:
    error = exceptions.JQLSyntaxError(raw, script="main()", request_path="/jql")
    assert (error.error_type, error.error_message, error.line_info, error.stack_trace) == (kind, message, line, trace)
    assert (error.status_code, error.script, error.raw_error, error.request_path) == (412, "main()", raw, "/jql")
    assert str(error).startswith(f"JQL {kind}: {message}")
