"""Builds pandas data frames; pandas is imported only when one is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]


def pandas() -> Any:
    """Returns the module pandas.

    Raises:
        ImportError: If pandas is not installed; the message says how to install it.
    """
    try:
        import pandas as module  # type: ignore[import-untyped,unused-ignore]
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise ImportError(
            "a DataFrame needs pandas, which is not installed: pip install 'mixpanel-data[pandas]'",
            name="pandas",
        ) from None
    return module


def data_frame(columns: Sequence[str] | None, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Returns a data frame with these columns, even without rows; `None` takes the columns from the rows."""
    return pandas().DataFrame(list(rows), columns=None if columns is None else list(columns))
