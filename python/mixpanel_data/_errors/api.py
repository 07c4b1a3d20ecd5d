"""Errors of Mixpanel's API and of the connection to it."""

from __future__ import annotations

from typing import Any

from .base import MixpanelDataError
from .jql import parse_error


class APIError(MixpanelDataError):
    """Mixpanel's API refused a request or failed.

    Errors that this package raises contain no request, because its parameters may be confidential: the attributes
    `request_*` are `None` then.
    """

    _default_code = "API_ERROR"
    _default_message = "The API request failed"
    _default_status = 0

    def __init__(
        self,
        message: str | None = None,
        *,
        status_code: int | None = None,
        response_body: str | dict[str, Any] | None = None,
        request_method: str | None = None,
        request_url: str | None = None,
        request_params: dict[str, Any] | None = None,
        request_body: dict[str, Any] | None = None,
        code: str | None = None,
    ) -> None:
        optional = {
            "response_body": response_body,
            "request_method": request_method,
            "request_url": request_url,
            "request_params": request_params,
            "request_body": request_body,
        }
        details: dict[str, Any] = {"status_code": self._default_status if status_code is None else status_code}
        details.update((name, value) for name, value in optional.items() if value is not None)
        super().__init__(self._default_message if message is None else message, code, details)

    @property
    def status_code(self) -> int:
        """Status of the response; 0 without a response."""
        return self._number("status_code") or 0

    @property
    def response_body(self) -> str | dict[str, Any] | None:
        """Body of the response."""
        return self._details.get("response_body")

    @property
    def request_method(self) -> str | None:
        """Method of the request."""
        return self._details.get("request_method")

    @property
    def request_url(self) -> str | None:
        """Address of the request."""
        return self._details.get("request_url")

    @property
    def request_params(self) -> dict[str, Any] | None:
        """Query parameters of the request."""
        return self._details.get("request_params")

    @property
    def request_body(self) -> dict[str, Any] | None:
        """Body of the request."""
        return self._details.get("request_body")


class AuthenticationError(APIError):
    """Mixpanel rejected the credentials (status 401)."""

    _default_code = "AUTH_FAILED"
    _default_message = "Authentication failed"
    _default_status = 401


class RateLimitError(APIError):
    """A limit of Mixpanel was reached (status 429), and waiting did not help."""

    _default_code = "RATE_LIMITED"
    _default_message = "Rate limit exceeded"
    _default_status = 429

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        status_code: int | None = None,
        response_body: str | dict[str, Any] | None = None,
        request_method: str | None = None,
        request_url: str | None = None,
        request_params: dict[str, Any] | None = None,
    ) -> None:
        if retry_after is not None:
            message = f"{message or self._default_message}; retry after {retry_after} seconds"
        super().__init__(
            message,
            status_code=status_code,
            response_body=response_body,
            request_method=request_method,
            request_url=request_url,
            request_params=request_params,
        )
        if retry_after is not None:
            self._details["retry_after"] = retry_after

    @property
    def retry_after(self) -> float | None:
        """Seconds until the next request may succeed, if known."""
        return self._details.get("retry_after")


class QueryError(APIError):
    """A query failed: one of the API (status 400, 402, 403 or 404), or one in SQL (status 0)."""

    _default_code = "QUERY_FAILED"
    _default_message = "Query execution failed"
    _default_status = 400


class ServerError(APIError):
    """Mixpanel failed (status 5xx) on every attempt."""

    _default_code = "SERVER_ERROR"
    _default_message = "Server error"
    _default_status = 500


class JQLSyntaxError(QueryError):
    """A JQL script failed (status 412). This package runs no JQL; the class is here for code that catches it.

    Args:
        raw_error: The error as the API sent it.
        script: The script.
        request_path: Path of the request.
    """

    _default_code = "JQL_SYNTAX_ERROR"
    _default_status = 412

    def __init__(self, raw_error: str, script: str | None = None, request_path: str | None = None) -> None:
        parts = parse_error(raw_error)
        lines = [f"JQL {parts['error_type']}: {parts['error_message']}", parts["line_info"]]
        body = {"error": raw_error, "request": request_path}
        super().__init__(
            "\n".join(line for line in lines if line),
            response_body={name: value for name, value in body.items() if value},
            request_body={"script": script} if script else None,
        )
        self._details.update(parts, script=script, request_path=request_path, raw_error=raw_error)

    @property
    def error_type(self) -> str:
        """Name of the JavaScript error, such as `TypeError`."""
        return self._text("error_type")

    @property
    def error_message(self) -> str:
        """What is wrong with the script."""
        return self._text("error_message")

    @property
    def line_info(self) -> str | None:
        """The line of the script with a caret below the error."""
        return self._details.get("line_info")

    @property
    def stack_trace(self) -> str | None:
        """The stack trace."""
        return self._details.get("stack_trace")

    @property
    def script(self) -> str | None:
        """The script."""
        return self._details.get("script")

    @property
    def raw_error(self) -> str:
        """The error as the API sent it."""
        return self._text("raw_error")

    @property
    def request_path(self) -> str | None:
        """Path of the request."""
        return self._details.get("request_path")


class NetworkError(MixpanelDataError):
    """The server could not be reached, or the connection broke on every attempt."""

    _default_code = "HTTP_ERROR"


class TLSError(NetworkError):
    """There are no usable CA certificates. Nothing was sent."""

    _default_code = "TLS_ERROR"
