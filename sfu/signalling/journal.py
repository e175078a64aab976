"""What is counted and logged of sessions, by number: how long a join takes, what became of it.

Decides nothing and changes no session. A stranger can cause at most one line for each grant he holds and each peer
connection he makes; errors that he can cause as often as he likes are logged at level debug.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sfu import errors
from sfu.logs import fields
from sfu.signalling import messages, whip_values
from sfu.signalling.backend import JournalSums
from sfu.signalling.histogram import Tally
from sfu.signalling.session_index import AnySession

log = logging.getLogger("stentor.session")

# Seconds from `join` on. The gate for the first frame is 0.6 s at the median and 1 s at the 95th percentile, so most
# bounds lie around those; moving them breaks dashboards that name a bound.
SESSION_BOUNDS_S = (10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
JOIN_BOUNDS_S = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0)
# Errors that are our fault or the network's: they are worth a line each.
TELLING = frozenset(kind.code for kind in (errors.MediaFailed, errors.WorkerLost, errors.Internal, errors.Overloaded))


class Journal:
    """One for each node."""

    def __init__(self) -> None:
        self._until = {"answer": Tally(JOIN_BOUNDS_S), "media": Tally(JOIN_BOUNDS_S)}
        self._waiting: dict[AnySession, set[str]] = {}  # joined, and these milestones are still ahead
        self.joined: Counter[str] = Counter({"joined": 0, "resumed": 0})
        self.lasted = Tally(SESSION_BOUNDS_S)
        self.connections: Counter[str] = Counter()  # peer connections by what became of them

    def sums(self) -> JournalSums:
        return JournalSums(
            joins={milestone: tally.value() for milestone, tally in self._until.items()},
            joined=dict(self.joined),
            lasted=self.lasted.value(),
            connections=dict(self.connections),
        )

    def said(self, session: AnySession, message: messages.FromServer, now: float) -> None:
        """The session's client is told this."""
        note = _NOTES.get(type(message))
        if note is not None:
            note(self, session, message, now)

    def replied(self, session: AnySession, outcome: whip_values.Outcome, now: float) -> None:
        """A request of WHIP or WHEP has this outcome. The first one is join and answer in one."""
        if isinstance(outcome, whip_values.Opened):
            self._joined(session, outcome, now)
            self._answered(session, outcome, now)
        elif isinstance(outcome, whip_values.Restarted):
            self._answered(session, outcome, now)

    def connected(self, session: AnySession, now: float) -> None:
        """ICE and DTLS are done: media can flow."""
        self.connections["connected"] += 1
        self._reach(session, "media", now)
        log.info("connected", extra=fields(**_numbers(session), since_join_ms=_since_join_ms(session, now)))

    def over(self, session: AnySession, now: float) -> None:
        """The session has ended; a second call is harmless."""
        if self._waiting.pop(session, None) is not None:
            self.lasted.add(now - session.joined_at)
        if session.room is not None:
            log.info("session over", extra=fields(**_numbers(session)))

    def _joined(self, session: AnySession, told: messages.Joined | whip_values.Opened, now: float) -> None:
        resumed = session in self._waiting
        self.joined["resumed" if resumed else "joined"] += 1
        if not resumed:
            self._waiting[session] = set(self._until)
        log.info("resumed" if resumed else "joined", extra=fields(**_numbers(session)))

    def _answered(self, session: AnySession, told: messages.Answer | whip_values.Outcome, now: float) -> None:
        self._reach(session, "answer", now)
        log.info("answered", extra=fields(**_numbers(session), since_join_ms=_since_join_ms(session, now)))

    def _ended(self, session: AnySession, message: messages.Ended, now: float) -> None:
        log.info("ended", extra=fields(**_numbers(session), reason=message.reason))

    def _refused(self, session: AnySession, message: messages.Error, now: float) -> None:
        if message.code == errors.MediaFailed.code:
            self.connections["failed"] += 1
        level = logging.WARNING if message.code in TELLING else logging.DEBUG
        log.log(level, "error told", extra=fields(**_numbers(session), code=message.code))

    def _reach(self, session: AnySession, milestone: str, now: float) -> None:
        ahead = self._waiting.get(session, set())
        if milestone in ahead:
            ahead.remove(milestone)
            self._until[milestone].add(now - session.joined_at)


def _numbers(session: AnySession) -> dict[str, int]:
    """Who, without a name."""
    room = session.room.number if session.room is not None else 0
    return {"session": session.number, "peer": session.peer, "room": room}


def _since_join_ms(session: AnySession, now: float) -> int:
    return round((now - session.joined_at) * 1000)


_NOTES: Mapping[type, Callable[[Journal, AnySession, Any, float], None]] = {
    messages.Joined: Journal._joined,
    messages.Answer: Journal._answered,
    messages.Ended: Journal._ended,
    messages.Error: Journal._refused,
}
