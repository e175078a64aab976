"""Idempotency-Key: the same request again gets the same answer and does nothing; another request under it is refused.

The answer is stored in the transaction of what it answers, so no crash comes between. An answer may hold a secret that
is told once, so it is sealed with a key made of the caller's own Idempotency-Key, of which only a hash is kept.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control_plane.accounts.tables import idempotent_answers
from control_plane.errors import Conflict, Invalid

# A day is what callers retry for at most; afterwards the key is as if it had never been used.
LASTS = datetime.timedelta(days=1)
_KEY = re.compile(r"[\x21-\x7e]{16,128}")
# Every key is used for one answer, so its nonce may stand.
_NONCE = bytes(12)


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Attempt:
    """One request under a key. `actor` keeps callers apart; strangers share one, and are kept apart by
    keys that nobody can guess: a telephone that tries again may have another network address by then."""

    actor: str
    key: str
    request: bytes  # method, path and body

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise Invalid("idempotency_key_malformed", "16 to 128 visible ASCII characters", field="Idempotency-Key")

    def _derived(self, purpose: str) -> bytes:
        return hmac.new(self.key.encode(), f"{purpose}:{self.actor}".encode(), hashlib.sha256).digest()

    def stored(self, connection: sa.Connection, now: datetime.datetime) -> Answer | None:
        """The answer given before; None for the first time. Raises Conflict for the same key with another request."""
        row = connection.execute(
            idempotent_answers.select().where(idempotent_answers.c.hash == self._derived("hash").hex())
        ).one_or_none()
        if row is None:
            return None
        if now - row.at >= LASTS:
            connection.execute(idempotent_answers.delete().where(idempotent_answers.c.hash == row.hash))
            return None
        if not hmac.compare_digest(row.request, self._request_hash()):
            raise Conflict("idempotency_key_reused", "this key was used for another request", field="Idempotency-Key")
        try:
            plain = json.loads(AESGCM(self._derived("seal")).decrypt(_NONCE, row.answer, None))
        except InvalidTag:
            raise Conflict("idempotency_key_reused", "this key is not free", field="Idempotency-Key") from None
        return Answer(plain["status"], plain["body"], tuple((name, value) for name, value in plain["headers"]))

    def store(self, connection: sa.Connection, now: datetime.datetime, answer: Answer) -> None:
        """Keep the answer; the primary key lets the second of two at once fail."""
        plain = json.dumps({"status": answer.status, "body": answer.body, "headers": answer.headers}).encode()
        connection.execute(
            idempotent_answers.insert().values(
                hash=self._derived("hash").hex(),
                request=self._request_hash(),
                answer=AESGCM(self._derived("seal")).encrypt(_NONCE, plain, None),
                at=now,
            )
        )

    def _request_hash(self) -> str:
        # Keyed, because a body may hold a password.
        return hmac.new(self._derived("request"), self.request, hashlib.sha256).hexdigest()


def forget_old(connection: sa.Connection, now: datetime.datetime) -> int:
    """Remove answers that are past LASTS; returns how many."""
    return connection.execute(idempotent_answers.delete().where(idempotent_answers.c.at <= now - LASTS)).rowcount
