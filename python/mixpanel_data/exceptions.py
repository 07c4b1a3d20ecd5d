"""The exceptions of the package. All of them derive from `MixpanelDataError`.

Wrong arguments raise `InvalidInputError`, which is also a `ValueError`.
"""

from __future__ import annotations

from ._errors.api import (
    APIError,
    AuthenticationError,
    JQLSyntaxError,
    NetworkError,
    QueryError,
    RateLimitError,
    ServerError,
    TLSError,
)
from ._errors.arguments import (
    AccountExistsError,
    AccountNotFoundError,
    ConfigError,
    DateRangeTooLargeError,
    EventNotFoundError,
    InvalidInputError,
)
from ._errors.base import MixpanelDataError
from ._errors.mapping import from_core as from_core
from ._errors.mapping import from_core_error as from_core_error
from ._errors.runs import IncompleteError, OperationCancelledError, RunBusyError, RunNotFoundError
from ._errors.storage import (
    ConstraintViolatedError,
    DatabaseLockedError,
    DatabaseNotFoundError,
    DatabaseUnusableError,
    DiskFullError,
    OutOfMemoryError,
    StorageError,
    TableChangedError,
    TableExistsError,
    TableNotFoundError,
)

__all__ = [
    "APIError",
    "AccountExistsError",
    "AccountNotFoundError",
    "AuthenticationError",
    "ConfigError",
    "ConstraintViolatedError",
    "DatabaseLockedError",
    "DatabaseNotFoundError",
    "DatabaseUnusableError",
    "DateRangeTooLargeError",
    "DiskFullError",
    "EventNotFoundError",
    "IncompleteError",
    "InvalidInputError",
    "JQLSyntaxError",
    "MixpanelDataError",
    "NetworkError",
    "OperationCancelledError",
    "OutOfMemoryError",
    "QueryError",
    "RateLimitError",
    "RunBusyError",
    "RunNotFoundError",
    "ServerError",
    "StorageError",
    "TLSError",
    "TableChangedError",
    "TableExistsError",
    "TableNotFoundError",
]
