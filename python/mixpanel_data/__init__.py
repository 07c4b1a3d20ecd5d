"""Fetches Mixpanel user profiles and events into DuckDB, quickly and without gaps.

```python
import mixpanel_data as mp

ws = mp.Workspace()
ws.fetch_profiles(parallel=True)
ws.sql("SELECT properties->>'plan' AS plan, count(*) AS profiles FROM profiles GROUP BY ALL")
```
"""

from ._core import version as _version
from ._query import QueryResult
from ._requests import run_options
from .exceptions import *  # noqa: F403
from .exceptions import __all__ as _exceptions
from .types import *  # noqa: F403
from .types import __all__ as _types
from .workspace import Workspace

__version__ = _version()

__all__ = ["QueryResult", "Workspace", "run_options", *_exceptions, *_types]
