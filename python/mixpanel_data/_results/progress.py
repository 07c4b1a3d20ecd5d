"""What a fetch reports about its pages and date ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from .record import Reader, Record, texts


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProfileProgress(Record):
    """A page of profiles that is finished: staged, or failed for good.

    Attributes:
        page_index: Number of the page, counted from 0.
        total_pages: Number of pages, if known; it grows if the server has more than it announced.
        rows: Profiles in this page; 0 if it failed.
        success: Whether the page is staged.
        error: Why the page failed, if it did.
        cumulative_rows: Profiles in all pages so far, including duplicates, which the load removes.
    """

    page_index: int
    total_pages: int | None
    rows: int
    success: bool
    error: str | None
    cumulative_rows: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchProgress(Record):
    """A date range of events that is finished: staged, or failed for good.

    Attributes:
        from_date: First day, as `YYYY-MM-DD`.
        to_date: Last day, inclusive.
        batch_index: Number of the range, counted from 0.
        total_batches: Number of ranges; it changes if ranges are split or sizes become known.
        rows: Events in this range; 0 if it failed.
        success: Whether the range is staged.
        error: Why the range failed, if it did.
        cumulative_rows: Events in all ranges so far, including duplicates, which the load removes.
        bytes: Bytes of this range, uncompressed.
        events: Names of the events in this range, if a day was split by them.
    """

    from_date: str
    to_date: str
    batch_index: int
    total_batches: int
    rows: int
    success: bool
    error: str | None = None
    _: KW_ONLY
    cumulative_rows: int = 0
    bytes: int = 0
    events: tuple[str, ...] = ()

    _readers: ClassVar[Mapping[str, Reader]] = {"events": texts}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchResult(Record):
    """The outcome of one date range.

    Attributes:
        from_date: First day, as `YYYY-MM-DD`.
        to_date: Last day, inclusive.
        rows: Events in this range; 0 if it failed.
        success: Whether the range was fetched.
        error: Why the range failed, if it did.
    """

    from_date: str
    to_date: str
    rows: int
    success: bool
    error: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProfilePageResult(Record):
    """One page of profiles, as the server sent it.

    Attributes:
        profiles: The profiles.
        session_id: Session to send with requests for the other pages.
        page: Number of the page, counted from 0.
        has_more: Whether another page may follow.
        total: Number of profiles in all pages, if the server stated it.
        page_size: Profiles in a full page.
    """

    profiles: list[dict[str, Any]]
    session_id: str | None
    page: int
    has_more: bool
    total: int | None = None
    page_size: int = 1000

    @property
    def num_pages(self) -> int | None:
        """Number of pages that `total` profiles fill; `None` if the total is unknown."""
        return None if self.total is None else -(-self.total // max(self.page_size, 1))

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, `profile_count` and `num_pages` as values that `json.dumps` accepts."""
        # Not `super()`: with slots, the decorator replaces the class that a bare `super` would refer to.
        own = Record.to_dict(self)
        return {**own, "profile_count": len(self.profiles), "num_pages": self.num_pages}
