"""Passwords as Argon2id hashes: made, compared, seen to be out of date. 0.1 s each: see control_plane.accounts.pool."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from control_plane.errors import Invalid

CHARACTERS_MIN = 10
# Argon2 takes any length, but what a stranger may send has a limit; no pass phrase is longer.
CHARACTERS_MAX = 256


@dataclass(frozen=True)
class Cost:
    """What one hash costs. The default is the second recommendation of RFC 9106 on one lane (we hash in parallel)."""

    passes: int = 3
    memory_kib: int = 65536
    lanes: int = 1


class Passwords:
    """Makes and compares hashes of one cost; a hash of another is good, but out of date."""

    def __init__(self, cost: Cost = Cost()) -> None:
        self._hasher = PasswordHasher(cost.passes, cost.memory_kib, cost.lanes, type=Type.ID)
        # Compared with where there is no such person, so that an unknown address costs the same time.
        self.nobody = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        return self._hasher.hash(_normal(password))

    def holds(self, kept: str, password: str) -> bool:
        """Whether this is the password of that hash; costs the same either way."""
        try:
            return self._hasher.verify(kept, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    def out_of_date(self, kept: str) -> bool:
        """Made with other parameters than today's: hash again at the next sign-in (ACC-02)."""
        return self._hasher.check_needs_rehash(kept)


def check(password: str, *, field: str = "password") -> None:
    """Raises Invalid for a new password that is too short or too long, or is one character again and again."""
    if len(password) < CHARACTERS_MIN:
        raise Invalid("password_short", f"at least {CHARACTERS_MIN} characters", field=field)
    if len(password) > CHARACTERS_MAX:
        raise Invalid("password_long", f"at most {CHARACTERS_MAX} characters", field=field)
    if len(set(password)) < 3:
        raise Invalid("password_weak", "too few different characters", field=field)


def _normal(password: str) -> bytes:
    # One keyboard sends é as one character, another as two (RFC 8265 4.2.1 asks for NFC).
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
