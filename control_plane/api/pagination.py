"""Lists in pages: an opaque cursor says where to go on. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from control_plane.errors import Invalid

T = TypeVar("T")
LIMIT, LIMIT_MAX = 50, 200


def page(rows: Sequence[T], key: Callable[[T], str], cursor: str, limit: int) -> tuple[list[T], str | None]:
    """`limit` of the rows after the one that the cursor names, and the next cursor (None: that was all). The row may
    be gone meanwhile: rows are in a fixed order, so a cursor keeps its place by number as well.
    Raises Invalid with field `cursor`."""
    start = 0
    if cursor:
        place, name = _read(cursor)
        start = next((number + 1 for number, row in enumerate(rows) if key(row) == name), min(place, len(rows)))
    cut = list(rows[start : start + limit])
    more = start + len(cut) < len(rows)
    return cut, _write(start + len(cut), key(cut[-1])) if cut and more else None


def place(cursor: str) -> int:
    """How many rows come before what the cursor asks for: of lists whose rows are counted and never go, which are read
    from there on. Raises Invalid with field `cursor`."""
    return _read(cursor)[0] if cursor else 0


def counted(rows: Sequence[T], key: Callable[[T], str], start: int, limit: int) -> tuple[list[T], str | None]:
    """`limit` of the rows from `start` on, and the next cursor. Give one row more than `limit` where there is one."""
    cut = list(rows[:limit])
    return cut, _write(start + limit, key(cut[-1])) if len(rows) > limit else None


def listed(items: list[Any], cursor: str | None) -> dict[str, Any]:
    """The body of a list."""
    return {"items": items, "next": cursor}


def _write(place: int, name: str) -> str:
    return base64.urlsafe_b64encode(f"{place}:{name}".encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[int, str]:
    try:
        place, _, name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        if re.fullmatch("[0-9]{1,9}", place):
            return int(place), name
    except (ValueError, binascii.Error):
        pass
    raise Invalid("cursor_malformed", "this cursor is not one of ours", field="cursor")
