"""Which rows of a table are free. A dropped row is free again only when the kernel has retired it."""

from __future__ import annotations

from sfu.errors import Overloaded
from sfu.routing.commands import Row


class FreeRows:
    """Rows 0 to count - 1 of one table; low rows first, so that the kernel's scans stay short."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._free = list(range(count - 1, -1, -1))
        self._generations: dict[int, int] = {}
        self._living: set[Row] = set()
        self.used = 0

    @property
    def free(self) -> int:
        """How many rows can be taken now."""
        return len(self._free)

    def take(self) -> Row:
        """A free row in a life of its own; raises Overloaded when there is none."""
        if not self._free:
            raise Overloaded(f"no more {self._name}: this server's table is full", retry_after_s=5.0)
        row = self._free.pop()
        # 24 bits: the kernel keeps 32, the sent map the low 8. 0 is never used.
        generation = self._generations.get(row, 0) % 0xFFFFFF + 1
        self._generations[row] = generation
        self.used += 1
        life = Row(row, generation)
        self._living.add(life)
        return life

    def retire(self, row: Row) -> bool:
        """The kernel is done with this life of the row. False for one that is over already, or never was."""
        if row not in self._living:
            return False
        self._living.remove(row)
        self._free.append(row.row)
        self.used -= 1
        return True


class RoomRows:
    """Room numbers of the node and the kernel's room rows; a row is free when its last peer left."""

    def __init__(self, count: int) -> None:
        self._free = list(range(count - 1, -1, -1))
        self._rows: dict[int, int] = {}
        self._count: dict[int, int] = {}

    def row(self, room: int) -> int:
        return self._rows[room]

    def number(self, row: int) -> int | None:
        return next((room for room, known in self._rows.items() if known == row), None)

    def check(self, room: int) -> None:
        """Raises Overloaded where `enter` would find no row."""
        if room not in self._rows and not self._free:
            raise Overloaded("no more rooms: this server's table is full", retry_after_s=5.0)

    def enter(self, room: int) -> None:
        if room not in self._rows:
            self._rows[room] = self._free.pop()
        self._count[room] = self._count.get(room, 0) + 1

    def leave(self, room: int) -> None:
        self._count[room] -= 1
        if self._count[room] == 0:
            self._free.append(self._rows.pop(room))
            del self._count[room]
