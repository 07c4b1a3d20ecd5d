"""The base classes of all results, and the conversions from the JSON of the native module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, FrozenInstanceError, dataclass, fields
from datetime import date, datetime, time, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from .._frames import data_frame

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

Reader = Callable[[Any], Any]
"""Converts a JSON value other than null to the value of a field."""

_SHOWN_ITEMS = 5
"""Items of a sequence in a repr: a plan has a range for every request, and the rows of a query are many."""

RecordType = TypeVar("RecordType", bound="Record")


def _set_attribute(self: Any, name: str, value: Any) -> None:
    if name in (item.name for item in fields(self)):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delete_attribute(self: Any, name: str) -> None:
    if name in (item.name for item in fields(self)):
        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Record:
    """A result: immutable, comparable and picklable, with `to_dict()` for JSON.

    Comparison and `repr` are written here, once, because generating them for every class takes a fifth of the import.
    """

    _readers: ClassVar[Mapping[str, Reader]] = {}

    def __init_subclass__(cls) -> None:
        # The decorator creates a class with slots from one without. The methods of the latter would then fail for
        # names that are no fields, with an error about `super`.
        if "__setattr__" in cls.__dict__:
            cls.__setattr__ = _set_attribute  # type: ignore[method-assign]
            cls.__delattr__ = _delete_attribute  # type: ignore[method-assign]

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
        values = ", ".join(f"{item.name}={_shown(getattr(self, item.name))}" for item in shown)
        return f"{type(self).__qualname__}({values})"

    def __reduce__(self) -> tuple[Any, ...]:
        # By name, so that a pickle of another version of the package loads: fields that it lacks get their defaults.
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return restore, (type(self), values)


class _WithCache:
    """Has a place for a data frame, which is no field, because it is no part of the values."""

    __slots__ = ("_df_cache",)

    _df_cache: Any

    def __new__(cls, *_args: Any, **_values: Any) -> Self:
        record = super().__new__(cls)
        object.__setattr__(record, "_df_cache", None)
        return record


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ResultWithDataFrame(Record, _WithCache):
    """A result that is also available as a pandas `DataFrame`, which is built at the first access and then kept."""

    _columns: ClassVar[tuple[str, ...] | None] = None

    @property
    def df(self) -> pd.DataFrame:
        """The result as a `DataFrame`.

        Raises:
            ImportError: If pandas is not installed.
        """
        frame: pd.DataFrame | None = self._df_cache
        if frame is None:
            frame = self._frame()
            object.__setattr__(self, "_df_cache", frame)
        return frame

    def to_table_dict(self) -> list[dict[str, Any]]:
        """Returns the rows of `df` as dictionaries."""
        return cast("list[dict[str, Any]]", self.df.to_dict("records"))

    def _frame(self) -> pd.DataFrame:
        return data_frame(self._columns, self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        raise NotImplementedError(f"{type(self).__name__} must implement df property")


def _shown(value: Any) -> str:
    """Returns the repr of a value, of long sequences only the first items."""
    if type(value) not in (list, tuple) or len(value) <= _SHOWN_ITEMS:
        return repr(value)
    text = repr(value[:_SHOWN_ITEMS])
    return f"{text[:-1]}, ... {len(value) - _SHOWN_ITEMS} more{text[-1]}"


def restore(kind: type[RecordType], values: Mapping[str, Any]) -> RecordType:
    """Recreates a pickled record; ignores fields that this version does not have."""
    known = {item.name for item in fields(kind) if item.init}
    return kind(**{name: value for name, value in values.items() if name in known})


def plain(value: Any) -> Any:
    """Returns a value in the form that `json.dumps` accepts, and that JSON has: as the command `mp` writes it."""
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, timedelta):
        return iso_duration(value)
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)


def iso_duration(value: timedelta) -> str:
    """Returns a time difference in ISO 8601, such as `P1DT2H3M4.500000S`."""
    # A negative one has no negative days and positive seconds, as `timedelta` stores it.
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{sign}{value.days}D" if value.days else ""
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    parts = [(f"{hours}", "H"), (f"{minutes}", "M"), (f"{seconds}{fraction}", "S")]
    clock = "".join(f"{sign}{number}{unit}" for number, unit in parts if number != "0")
    return f"P{days}{'T' if clock else ''}{clock}" if days or clock else "PT0S"


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
