"""The base classes of all results, and the conversions from the JSON of the native module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from .._frames import data_frame

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

Reader = Callable[[Any], Any]
"""Converts a JSON value other than null to the value of a field."""

RecordType = TypeVar("RecordType", bound="Record")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Record:
    """A result: immutable, comparable and picklable, with `to_dict()` for JSON.

    Comparison and `repr` are written here, once, because generating them for every class takes a fifth of the import.
    """

    _readers: ClassVar[Mapping[str, Reader]] = {}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> Self:
        """Creates the record from an object of the native module; fields that are unknown here are ignored.

        A newer native module may add fields, and the same object may serve several types.
        """
        data = cls._prepared(data)
        values: dict[str, Any] = {}
        for name in (item.name for item in fields(cls) if item.init and not item.name.startswith("_")):
            if name not in data:
                continue
            value, reader = data[name], cls._readers.get(name)
            values[name] = value if value is None or reader is None else reader(value)
        return cls(**values)

    @classmethod
    def _prepared(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the object with changes that concern several fields."""
        return data

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as values that `json.dumps` accepts: times are ISO 8601 text, tuples are lists."""
        return {item.name: plain(getattr(self, item.name)) for item in self._public_fields()}

    @classmethod
    def _public_fields(cls) -> list[Field[Any]]:
        """Returns the fields in the order of the constructor."""
        public = [item for item in fields(cls) if not item.name.startswith("_")]
        return sorted(public, key=lambda item: bool(item.kw_only))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), self._compared()))

    def _compared(self) -> tuple[Any, ...]:
        return tuple(getattr(self, item.name) for item in fields(self) if item.compare)

    def __repr__(self) -> str:
        # Fetches have up to 35 fields, most of them counters with their defaults.
        shown = [item for item in self._public_fields() if not item.kw_only or getattr(self, item.name) != item.default]
        return f"{type(self).__qualname__}({', '.join(f'{item.name}={getattr(self, item.name)!r}' for item in shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # By name, so that a pickle of another version of the package loads: fields that it lacks get their defaults.
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return restore, (type(self), values)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ResultWithDataFrame(Record):
    """A result that is also available as a pandas `DataFrame`, which is built at the first access and then kept."""

    # With a factory, so that subclasses without slots have it too; not in `__init__`, so that `dataclasses.replace`
    # does not copy the frame of other values.
    _df_cache: Any = field(default_factory=lambda: None, init=False, repr=False, compare=False)

    _columns: ClassVar[tuple[str, ...] | None] = None

    @property
    def df(self) -> pd.DataFrame:
        """The result as a `DataFrame`.

        Raises:
            ImportError: If pandas is not installed.
        """
        if self._df_cache is None:
            object.__setattr__(self, "_df_cache", self._frame())
        return self._df_cache

    def to_table_dict(self) -> list[dict[str, Any]]:
        """Returns the rows of `df` as dictionaries."""
        return cast("list[dict[str, Any]]", self.df.to_dict("records"))

    def _frame(self) -> pd.DataFrame:
        return data_frame(self._columns, self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        raise NotImplementedError(f"{type(self).__name__} must implement df property")


def restore(kind: type[RecordType], values: Mapping[str, Any]) -> RecordType:
    """Recreates a pickled record; ignores fields that this version does not have."""
    known = {item.name for item in fields(kind) if item.init}
    return kind(**{name: value for name, value in values.items() if name in known})


def plain(value: Any) -> Any:
    """Returns a value in the form that `json.dumps` accepts."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)


def moment(value: Any) -> datetime:
    """Reads a time of the native module, which is ISO 8601 text in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def texts(value: Any) -> tuple[str, ...]:
    """Reads a list of texts."""
    return tuple(value)


def numbers(value: Any) -> tuple[int, ...]:
    """Reads a list of whole numbers."""
    return tuple(value)


def day_range(value: Any) -> tuple[str, str]:
    """Reads a pair of days."""
    first, last = value
    return first, last


def day_ranges(value: Any) -> tuple[tuple[str, str], ...]:
    """Reads a list of pairs of days."""
    return tuple(day_range(pair) for pair in value)


def record(kind: type[Record]) -> Reader:
    """Returns a reader of one record of this type."""

    def read(value: Any) -> Record:
        return value if isinstance(value, kind) else kind._from_json(value)

    return read


def list_of(kind: type[Record]) -> Reader:
    """Returns a reader of a list of records of this type."""
    read = record(kind)
    return lambda value: [read(item) for item in value]


def tuple_of(kind: type[Record]) -> Reader:
    """Returns a reader of a list of records of this type, as a tuple."""
    read = record(kind)
    return lambda value: tuple(read(item) for item in value)


def whole(value: float) -> int | float:
    """Returns a number without a fraction as an `int`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
