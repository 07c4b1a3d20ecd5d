# What the package consists of, for type checkers: `__init__.py` imports it at the first use.
from ._options import RunOptions as RunOptions
from ._query import QueryResult as QueryResult
from .exceptions import *
from .types import *
from .workspace import Workspace as Workspace

__version__: str
