"""When a key frame is asked for: per track, one request in flight, few for one subscriber.

Measured: Chromium answers a PLI on all layers at once and silently ignores what comes within 300 ms of
the last, so a request is repeated after that time until the waited-for layer has shown one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

REPEAT_S = 0.3
# A request that was not answered so often is repeated only every SLOW_REPEAT_S: the source may be gone.
QUICK_REPEATS = 4
SLOW_REPEAT_S = 2.0
# One subscriber causes at most so many requests of one track in the window (repeats not counted). More would
# let one broken decoder cost every viewer of the source its quality; fewer would stall who switches often.
REQUESTS_MOST = 3
WINDOW_S = 10.0


@dataclass(slots=True)
class _Pending:
    """A track whose key frame somebody waits for."""

    asked_at: float
    repeats: int = 0
    waiting: dict[int, tuple[int, int]] = field(default_factory=dict)  # subscriber -> (layer, its key frames then)
    postponed: dict[int, tuple[int, int]] = field(default_factory=dict)  # the same of those over their limit


class KeyFrameRequests:
    """Decides when a PLI leaves. `key_frames(layer)` tells how many key frames that layer has shown."""

    def __init__(self, key_frames: Callable[[int], int]) -> None:
        self._key_frames = key_frames
        self._pending: dict[int, _Pending] = {}
        self._spent: dict[int, dict[int, deque[float]]] = {}  # subscriber -> track -> when

    def ask(self, track: int, layer: int, subscriber: int, now: float) -> int | None:
        """The subscriber needs a key frame of this layer; returns the layer to send a PLI for now, or None."""
        pending = self._pending.get(track)
        if pending is None:
            pending = self._pending[track] = _Pending(asked_at=-math.inf)
        shown = self._key_frames(layer)
        if pending.waiting.get(subscriber) == (layer, shown):
            return None  # in flight already
        if not self._spend(subscriber, track, now):
            pending.postponed[subscriber] = (layer, shown)
            return None
        pending.waiting[subscriber] = (layer, shown)
        pending.repeats = 0
        return self._send(pending, now)

    def due(self, now: float) -> list[int]:
        """Layers for which a PLI must leave now; those that showed their key frame are forgotten."""
        found: list[int] = []
        for track, pending in list(self._pending.items()):
            for subscribers in (pending.waiting, pending.postponed):
                for subscriber, (layer, before) in list(subscribers.items()):
                    if self._key_frames(layer) > before:
                        del subscribers[subscriber]
            for subscriber in list(pending.postponed):
                if self._spend(subscriber, track, now):
                    pending.waiting[subscriber] = pending.postponed.pop(subscriber)
            if not pending.waiting and not pending.postponed:
                # Remembered as long as the browser would ignore another request.
                if now - pending.asked_at >= REPEAT_S:
                    del self._pending[track]
                continue
            layer_due = self._send(pending, now)
            if layer_due is not None:
                found.append(layer_due)
        return found

    def forget_subscriber(self, subscriber: int) -> None:
        """The slot is gone."""
        self._spent.pop(subscriber, None)
        self.cancel(subscriber)

    def cancel(self, subscriber: int) -> None:
        """The slot waits for nothing any longer."""
        for pending in self._pending.values():
            pending.waiting.pop(subscriber, None)
            pending.postponed.pop(subscriber, None)

    def forget_track(self, track: int) -> None:
        self._pending.pop(track, None)
        for spent in self._spent.values():
            spent.pop(track, None)

    def _send(self, pending: _Pending, now: float) -> int | None:
        every = REPEAT_S if pending.repeats < QUICK_REPEATS else SLOW_REPEAT_S
        if not pending.waiting or now - pending.asked_at < every:
            return None
        pending.asked_at = now
        pending.repeats += 1
        return next(iter(pending.waiting.values()))[0]

    def _spend(self, subscriber: int, track: int, now: float) -> bool:
        spent = self._spent.setdefault(subscriber, {}).setdefault(track, deque())
        while spent and now - spent[0] >= WINDOW_S:
            spent.popleft()
        if len(spent) >= REQUESTS_MOST:
            return False
        spent.append(now)
        return True
