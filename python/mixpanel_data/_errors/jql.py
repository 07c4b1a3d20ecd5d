"""Parses the error of a JQL script."""

from __future__ import annotations

import re

_KIND = re.compile(r"\b(\w*Error):(?=\s|$)")
_PREFIX = re.compile(r"(?:UserVisiblePreconditionFailedError:\s*)?(?:Uncaught exception \w+:\s*)?")
_CARET = re.compile(r"^\s*\^+\s*$")
_TRACE = "Stack trace:"
_LONGEST = 200


def parse_error(raw: str) -> dict[str, str | None]:
    """Returns `error_type`, `error_message`, `line_info` and `stack_trace` of an error, or None for each."""
    text, _, trace = raw.partition(_TRACE)
    lines = text.splitlines()
    kinds = [kind for kind in _KIND.findall(raw) if kind != "UserVisiblePreconditionFailedError"]
    first = _PREFIX.sub("", lines[0], count=1).strip() if lines else ""
    # The line of the script is above the line with the caret.
    carets = [number for number, line in enumerate(lines) if number > 0 and _CARET.match(line)]
    return {
        "error_type": kinds[0] if kinds else "Error",
        "error_message": first if len(first) <= _LONGEST else f"{first[: _LONGEST - 3]}...",
        "line_info": "\n".join(lines[carets[0] - 1 : carets[0] + 1]).strip() if carets else None,
        "stack_trace": trace.strip() or None,
    }
