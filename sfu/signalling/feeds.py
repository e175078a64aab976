"""What happens in rooms, kept for a while, for those who follow it by the server API. Pure.

An event's id is `<room number>-<sequence>`: a room that ended and was opened again has another number, so that
nobody who comes back takes its events for the old one's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# Events of a room that one who was away can still read. Fewer: a short break loses some; more: memory per room.
KEPT = 1000
# Rooms followed or remembered at once; the one that was silent longest is forgotten first.
ROOMS_MAX = 10_000

Listener = Callable[["FeedEvent"], None]


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """`body` is the message as clients get it."""

    id: str
    body: bytes


@dataclass(slots=True)
class _Feed:
    kept: deque[FeedEvent] = field(default_factory=lambda: deque(maxlen=KEPT))
    listeners: list[Listener] = field(default_factory=list)


class Feeds:
    """By name of the room, whether it is open or not."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = {}

    def publish(self, room: str, number: int, sequence: int, body: bytes) -> None:
        """Keep it, and tell those who listen."""
        feed = self._feed(room)
        event = FeedEvent(f"{number}-{sequence}", body)
        feed.kept.append(event)
        for listener in tuple(feed.listeners):
            listener(event)

    def listen(self, room: str, after: str | None, listener: Listener) -> list[FeedEvent]:
        """What was kept since the event `after` (None: nothing, an unknown one: all), and from now on every event."""
        feed = self._feed(room)
        feed.listeners.append(listener)
        if after is None:
            return []
        kept = list(feed.kept)
        ids = [event.id for event in kept]
        return kept[ids.index(after) + 1 :] if after in ids else kept

    def leave(self, room: str, listener: Listener) -> None:
        """A second call is harmless."""
        feed = self._feeds.get(room)
        if feed is not None and listener in feed.listeners:
            feed.listeners.remove(listener)

    def listeners(self) -> int:
        """How many listen in all."""
        return sum(len(feed.listeners) for feed in self._feeds.values())

    def _feed(self, room: str) -> _Feed:
        feed = self._feeds.pop(room, None) or _Feed()
        self._feeds[room] = feed  # the one that was silent longest stands first
        if len(self._feeds) > ROOMS_MAX:
            quiet = next((name for name, one in self._feeds.items() if not one.listeners and one is not feed), None)
            if quiet is not None:
                del self._feeds[quiet]
        return feed
