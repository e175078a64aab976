"""The development mailbox: keeps the last mails in memory for a page; nothing leaves the machine."""

from __future__ import annotations

import datetime
import threading
from collections import deque
from dataclasses import dataclass
from email.message import EmailMessage

from control_plane.running.outbox import Letter

KEPT = 200


@dataclass(frozen=True)
class Kept:
    """A mail as it would have arrived."""

    key: str
    at: datetime.datetime
    to: str
    subject: str
    text: str
    html: str


class Mailbox:
    """The last KEPT mails. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Kept] = deque(maxlen=KEPT)

    def post(self, message: EmailMessage, letter: Letter) -> None:
        """Keep it; one that came before is not kept twice."""
        kept = Kept(
            letter.key,
            letter.put_at,
            str(message["To"]),
            str(message["Subject"]),
            _part(message, "plain"),
            _part(message, "html"),
        )
        with self._lock:
            if all(other.key != kept.key for other in self._kept):
                self._kept.append(kept)

    def newest(self, to: str | None = None) -> list[Kept]:
        """The newest first; those to one address alone, if told."""
        with self._lock:
            return [kept for kept in reversed(self._kept) if to is None or kept.to == to]


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return part.get_content() if part is not None else ""
