"""Fetches Mixpanel user profiles and events into DuckDB, quickly and without gaps.

```python
import mixpanel_data as mp

ws = mp.Workspace()
ws.fetch_profiles(parallel=True)
ws.sql("SELECT properties->>'plan' AS plan, count(*) AS profiles FROM profiles GROUP BY ALL")
```
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _load() -> dict[str, Any]:
    """Imports what the package consists of, and returns it by name."""
    from ._core import version
    from ._options import RunOptions
    from ._query import QueryResult
    from .workspace import Workspace

    found: dict[str, Any] = {"QueryResult": QueryResult, "RunOptions": RunOptions, "Workspace": Workspace}
    for module in (import_module(f"{__name__}.{name}") for name in ("exceptions", "types")):
        found |= {name: getattr(module, name) for name in module.__all__}
    return {**found, "__all__": list(found), "__version__": version()}


def __getattr__(name: str) -> Any:
    # At the first use, so that neither the import nor the command `mp` waits for what it does not need.
    if name.startswith("_") and name not in ("__all__", "__version__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals().update(_load())
    try:
        return globals()[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    globals().update(_load())
    return list(globals())
