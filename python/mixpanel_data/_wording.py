"""Puts texts of the library, which are written for the command line and for Rust, into the words of Python."""

from __future__ import annotations

import json
import re

_OPTIONS = (
    (re.compile(r"`--(append|replace|upsert)`"), r'`if_exists="\1"`'),
    (re.compile(r"`--since`"), "`since`"),
    (re.compile(r"`--since ([^`]+)`"), r'`since="\1"`'),
    (re.compile(r"`--stdout --raw` prints"), "a stream with `raw=True` returns"),
)

_ARGUMENT = re.compile(
    r"(?:^|(?<=and ))(?:the )?"
    r"(batch size|chunk days|distinct ids?|group id|include all users|output properties|page size|refresh days|where)\b"
    r"(?=:| \d| and| cannot| is| requires)"
)
"""An argument, where a message about a wrong one begins."""

_WRONG_VALUE = re.compile(
    r"(?:invalid (?:type|value): (?:integer|floating point|boolean|string)?|unknown variant) ?(?P<value>.+), expected"
    r" (?P<expected>.+) at line \d+ column (?P<column>\d+)"
)
"""What a JSON parser says about the value of an argument."""

_EXPECTED = {
    "i64": "an integer",
    "u64": "an integer that is not negative",
    "u32": "an integer that is not negative",
    "f64": "a number",
    "a boolean": "True or False",
    "a string": "text",
    "a sequence": "a list",
}
_VALUES = {"sequence": "a list", "map": "a dict", "`true`": "True", "`false`": "False", "null": "None"}


def in_python(text: str, arguments: str = "{}") -> str:
    """Returns a text for callers of the Python package; `arguments` are those of the call, as JSON text."""
    if (found := _WRONG_VALUE.fullmatch(text)) is not None:
        name = _argument_at(int(found["column"]), arguments)
        value = _VALUES.get(found["value"], found["value"].strip("`"))
        return f"{name} is {value}, and must be {_EXPECTED.get(found['expected'], found['expected'])}"
    if "`--" in text:
        for pattern, replacement in _OPTIONS:
            text = pattern.sub(replacement, text)
    return text


def with_names(text: str) -> str:
    """Returns a text about wrong arguments with their names in Python."""
    return _ARGUMENT.sub(lambda found: found[1].replace(" ", "_"), text)


def _argument_at(column: int, arguments: str) -> str:
    """Returns the name of the argument whose value ends in this column of the JSON text of all arguments."""
    end = 1
    for name, value in json.loads(arguments).items():
        # Its two braces take the place of the comma and the blank behind the value.
        end += len(json.dumps({name: value}))
        if column < end:
            return str(name)
    return "an argument"
