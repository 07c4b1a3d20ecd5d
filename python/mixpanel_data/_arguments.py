"""Conversions of arguments to what the native module expects.

NumPy and pandas have their own numbers and times, polars and PyArrow lists as well. These are recognized by what they can do, so
that none of the libraries is imported. A value is accepted if it means the same in Python; any other raises an
`InvalidInputError` that names the argument.
"""

from __future__ import annotations

import json
import math
import numbers
import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from .exceptions import InvalidInputError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Item = TypeVar("Item")

Day = str | date
"""A day: `2026-11-01`, `today`, `yesterday`, `7d` (seven days ago), or a date."""

REGIONS = ("us", "eu", "in")
DEDUPE = ("exact", "day", "none")

_SHOWN_CHARACTERS = 60
_MOST_SECONDS = 1e10
"""About three centuries, which is more than any wait and less than the clocks of all systems can count."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ITEM = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"\s*|(?P<plain>[^",\s][^,]*)?)(?:,|$)')
"""An item of a list in a text."""

_LONGER_THAN_A_DAY = ("W]", "M]", "Y]")
"""How the names of NumPy's types for times end whose unit is a week, a month or a year."""


def text(name: str, value: object) -> str:
    """Returns text."""
    if not isinstance(value, str):
        refuse(name, value, "text")
    return str(value)


def hidden_text(name: str, value: object) -> str:
    """Returns text that is not part of an error message, because it is a secret."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text")
    return str(value)


def boolean(name: str, value: object) -> bool:
    """Returns True or False."""
    if not isinstance(value, bool) and _kind(value) != "b":
        refuse(name, value, "True or False")
    return bool(value)


def integer(name: str, value: Any) -> int:
    """Returns an integer. True and False are none, and neither is an array with a single integer."""
    if not isinstance(value, (bool, Sized)):
        try:
            return int(operator.index(value))
        except TypeError:
            pass
    refuse(name, value, "an integer")


def positive(name: str, value: object) -> int:
    """Returns a positive integer."""
    number = integer(name, value)
    if number < 1:
        raise InvalidInputError(f"{name} must be positive, and is {number}")
    return number


def number(name: str, value: Any, expected: str = "a number") -> float:
    """Returns a finite number."""
    # Differences of times count as numbers in NumPy.
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or _kind(value) == "m":
        refuse(name, value, expected)
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        refuse(name, value, "a finite number")
    return found


def seconds(name: str, value: object) -> float:
    """Returns a number of seconds, which may be a difference of times."""
    found = _in_python(value)
    if isinstance(found, timedelta):
        found = found.total_seconds()
    found = number(name, found, "a number of seconds or a timedelta")
    if not 0 <= found <= _MOST_SECONDS:
        raise InvalidInputError(f"{name} must be 0 to {_MOST_SECONDS:.0e} seconds, and is {found:g}")
    return found


def day(name: str, value: Any) -> str:
    """Returns a day as text. Of a time, its date counts, in the time's own zone."""
    if isinstance(value, str):
        return str(value)
    found = _in_python(value)
    is_long = _kind(value) == "M" and str(value.dtype).endswith(_LONGER_THAN_A_DAY)
    # NaT is a date, but it is not equal to itself.
    if not isinstance(found, date) or found != found or is_long:
        refuse(name, value, "a day, such as 2026-11-01")
    if isinstance(found, datetime):
        found = found.date()
    return found.isoformat()


def point_in_time(name: str, value: Any) -> str:
    """Returns a time as text. A time without a zone is in UTC, a day its midnight; a timedelta counts back from now."""
    if isinstance(value, str):
        return f"{value}T00:00:00Z" if _DAY.fullmatch(value) else str(value)
    found = _in_python(value)
    if isinstance(found, timedelta):
        found = datetime.now(timezone.utc) - found
    if not isinstance(found, date) or found != found:
        refuse(name, value, "a time, a timedelta or text")
    if not isinstance(found, datetime):
        found = datetime.combine(found, time.min)
    found = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return found.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def identifier(name: str, value: object) -> str:
    """Returns an id, which may be an integer, as text."""
    if isinstance(value, str):
        return str(value)
    try:
        return str(integer(name, value))
    except InvalidInputError:
        refuse(name, value, "text or an integer")


def path(name: str, value: Any) -> str:
    """Returns a path as text."""
    try:
        found = os.fspath(value)
    except TypeError:
        found = None
    if not isinstance(found, str):
        refuse(name, value, "a path")
    return str(found)


def text_list(name: str, value: Iterable[str]) -> list[str]:
    """Returns a list of texts; those of a set are sorted, so that equal sets make equal requests."""
    found = _each(name, value, "texts", text)
    return sorted(found) if isinstance(value, (set, frozenset)) else found


def integer_list(name: str, value: Iterable[int]) -> list[int]:
    """Returns a list of integers."""
    return _each(name, value, "integers", integer)


def number_list(name: str, value: Iterable[float]) -> list[float]:
    """Returns a list of numbers."""
    return _each(name, value, "numbers", number)


def behaviors(name: str, value: str | Iterable[Mapping[str, Any]]) -> str:
    """Returns behaviors as JSON."""
    if isinstance(value, str):
        return str(value)
    found = _items(name, value, "dicts")
    check_unicode(name, json.dumps(found, default=_json_value, ensure_ascii=False))
    return json.dumps(found, default=_json_value, allow_nan=False)


def split(name: str, value: object) -> list[str]:
    """Returns the names in a text, which are separated by commas, as the options of the command `mp` are.

    Whitespace around a name is no part of it. A name in double quotes may have both, and `""` stands for a quote.
    """
    given, start, found = text(name, value), 0, []
    # After a comma at the end, there is one more item.
    while start <= len(given):
        item = _ITEM.match(given, start)
        if item is None:
            raise InvalidInputError(f'{name} is {shown(given)}; write a name that has a comma or a quote as "a,b"')
        plain, quoted = (item["plain"] or "").strip(), item["quoted"]
        found.append(plain if quoted is None else quoted.replace('""', '"'))
        if not plain and quoted is None:
            missing = f"name {len(found)} is missing" if given.strip(", \t\r\n") else "it has no names"
            raise InvalidInputError(f"{name} is {shown(given)}: {missing}")
        start = item.end() + (not item[0].endswith(","))
    return found


def absolute(name: str, value: Any) -> str:
    """Returns a path that means the same file in another working directory."""
    found = path(name, value)
    if not found or found.startswith("~"):
        return found
    try:
        return os.path.join(os.getcwd(), found)
    except OSError:
        # The working directory is deleted, which the first use reports.
        return found


def options(name: str, value: Any) -> dict[str, Any]:
    """Returns options in a dict."""
    if not isinstance(value, Mapping):
        refuse(name, value, "a dict")
    return dict(value)


def one_of(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Returns a text that is one of these."""
    if not isinstance(value, str) or value not in choices:
        refuse(name, value, f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}")
    return str(value)


def region(name: str, value: object) -> str:
    """Returns a region in lower case."""
    return one_of(name, value.strip().lower() if isinstance(value, str) else value, REGIONS)


def time_zone(name: str, value: object) -> ZoneInfo:
    """Returns a time zone."""
    # Here, so that importing the package does not take longer.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(text(name, value))
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        refuse(name, value, "the name of a time zone, such as Europe/Lisbon")


def some(convert: Callable[[str, Any], list[Item]], default: str) -> Callable[[str, Any], list[Item]]:
    """Returns a conversion that refuses an empty list, which would otherwise select the default, as None does."""

    def converted(name: str, value: Any) -> list[Item]:
        found = convert(name, value)
        if not found:
            raise InvalidInputError(f"{name} is empty; leave it out for {default}")
        return found

    return converted


def check_unicode(name: str, given: str) -> None:
    """Checks a text for lone surrogates, which no other library accepts.

    Raises:
        InvalidInputError: There is one. The text may be a secret, so it is not part of the message.
    """
    try:
        given.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(f"{name} is text that is not valid Unicode") from None


def refuse(name: str, value: object, expected: str) -> NoReturn:
    """Raises the error for a value that is something else.

    Raises:
        InvalidInputError: Always.
    """
    raise InvalidInputError(f"{name} is {shown(value)}, and must be {expected}")


def _each(name: str, value: Any, plural: str, convert: Callable[[str, Any], Item]) -> list[Item]:
    """Returns the converted items of a list."""
    found = []
    for item in _items(name, value, plural):
        try:
            found.append(convert(name, item))
        except InvalidInputError:
            raise InvalidInputError(f"{name} contains {shown(item)}, and must be a list of {plural}") from None
    return found


def _items(name: str, value: Any, plural: str) -> list[Any]:
    """Returns the items of anything that is like a list; a text would be taken for a list of characters."""
    expected = f"a list of {plural}"
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not hasattr(value, "__iter__"):
        refuse(name, value, expected)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:
        raise InvalidInputError(f"{name} has {len(shape)} dimensions, and must be {expected}")
    # PyArrow has an object for each value.
    return [item.as_py() if hasattr(item, "as_py") else item for item in value]


def _kind(value: object) -> str:
    """Returns the letter that NumPy has for the type of a single value, such as `M` for a time, or an empty text."""
    if isinstance(value, Sized):
        return ""
    return str(getattr(getattr(value, "dtype", None), "kind", ""))


def _in_python(value: Any) -> Any:
    """Returns a time, or a difference of times, of NumPy as one of Python if it has a unit; others as they are."""
    kind = _kind(value)
    if kind not in ("M", "m") or "[" not in str(value.dtype):
        return value
    return value.astype("datetime64[us]" if kind == "M" else "timedelta64[us]").item()


def _json_value(value: Any) -> Any:
    """Returns a value of NumPy as one that JSON has."""
    for convert in (boolean, integer, number):
        try:
            return convert("a value", value)
        except InvalidInputError:
            continue
    raise TypeError(f"{shown(value)} cannot be part of JSON")


def shown(value: object) -> str:
    """Returns what a message calls a value: itself, if it is short, or its type."""
    if isinstance(value, date) or _kind(value) == "M":
        return str(value)
    if isinstance(value, str):
        found = repr(str(value))
        return found if len(found) <= _SHOWN_CHARACTERS else f"{found[:_SHOWN_CHARACTERS]}…"
    is_simple = value is None or isinstance(value, (bytes, numbers.Number)) or _kind(value) == "b"
    found = repr(value) if is_simple else ""
    return found if 0 < len(found) <= _SHOWN_CHARACTERS else f"an object of type {type(value).__name__}"
