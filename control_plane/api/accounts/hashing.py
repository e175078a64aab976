"""[I/O] Password work for routes: in the pool's threads, so that no thread that serves requests waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from control_plane.accounts import passwords
from control_plane.accounts.passwords import Passwords
from control_plane.accounts.pool import HashingPool


@dataclass(frozen=True)
class Hashing:
    pool: HashingPool
    passwords: Passwords

    async def make(self, password: str, *, field: str = "password") -> str:
        """The hash of a new password. Raises Invalid where it is not taken, Unavailable where the queue is full."""
        passwords.check(password, field=field)
        return await self.pool.run(lambda: self.passwords.hash(password))

    async def compare(self, kept: str | None, password: str) -> tuple[bool, str | None]:
        """Whether it is the password, and a newer hash where the kept one is out of date. None costs the same."""

        def work() -> tuple[bool, str | None]:
            right = self.passwords.holds(kept or self.passwords.nobody, password[: passwords.CHARACTERS_MAX])
            right = right and kept is not None and len(password) <= passwords.CHARACTERS_MAX
            newer = self.passwords.hash(password) if right and self.passwords.out_of_date(kept or "") else None
            return right, newer

        return await self.pool.run(work)
