"""Puts texts of the library, which are written for the command line and for Rust, into the words of Python."""

from __future__ import annotations

import re

_OPTIONS = (
    (re.compile(r"`--(append|replace|upsert)`"), r'`if_exists="\1"`'),
    (re.compile(r"`--since`"), "`since`"),
    (re.compile(r"`--since ([^`]+)`"), r'`since="\1"`'),
    (re.compile(r"`--stdout --raw` prints"), "a stream with `raw=True` returns"),
)

_WRONG_VALUE = re.compile(
    r"(?:invalid type: (?P<type>.+), expected|unknown variant (?P<variant>.+), expected) (?P<expected>.+)"
    r" at line \d+ column \d+"
)
"""What a JSON parser says about the value of an argument."""

_TYPES = {"i64": "an integer", "u64": "an integer", "u32": "an integer", "f64": "a number", "a boolean": "a bool"}


def in_python(text: str) -> str:
    """Returns a text for callers of the Python package."""
    if (found := _WRONG_VALUE.fullmatch(text)) is not None:
        expected = _TYPES.get(found["expected"], found["expected"])
        return f"an argument is {found['type'] or found['variant']}, and must be {expected}"
    if "`--" in text:
        for pattern, replacement in _OPTIONS:
            text = pattern.sub(replacement, text)
    return text
