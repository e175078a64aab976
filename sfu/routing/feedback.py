"""When a key frame is asked for: per track, one request in flight, few for one subscriber.

Measured: Chromium answers a PLI on all layers at once and silently ignores what comes within 300 ms of
the last, so a request is repeated after that time until the waited-for layer has shown one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

REPEAT_S = 0.3
# One subscriber causes at most so many requests in the window. More would let one broken decoder cost
# every viewer of the source its quality.
REQUESTS_MOST = 3
WINDOW_S = 10.0


@dataclass(slots=True)
class _Pending:
    """A track whose key frame somebody waits for."""

    asked_at: float
    waiting: dict[int, tuple[int, int]] = field(default_factory=dict)  # subscriber -> (layer, its key frames then)


class KeyFrameRequests:
    """Decides when a PLI leaves. `key_frames(layer)` tells how many key frames that layer has shown."""

    def __init__(self, key_frames: Callable[[int], int]) -> None:
        self._key_frames = key_frames
        self._pending: dict[int, _Pending] = {}
        self._spent: dict[int, deque[float]] = {}

    def ask(self, track: int, layer: int, subscriber: int, now: float) -> int | None:
        """The subscriber needs a key frame of this layer; returns the layer to send a PLI for, or None."""
        pending = self._pending.get(track)
        if pending is None:
            pending = self._pending[track] = _Pending(asked_at=now - REPEAT_S)
        if subscriber not in pending.waiting or pending.waiting[subscriber][0] != layer:
            pending.waiting[subscriber] = (layer, self._key_frames(layer))
        return self._send(pending, now)

    def due(self, now: float) -> list[int]:
        """Layers for which a PLI must leave now; those that showed their key frame are forgotten."""
        found: list[int] = []
        for track, pending in list(self._pending.items()):
            for subscriber, (layer, before) in list(pending.waiting.items()):
                if self._key_frames(layer) > before:
                    del pending.waiting[subscriber]
            if not pending.waiting:
                del self._pending[track]
                continue
            layer_due = self._send(pending, now)
            if layer_due is not None:
                found.append(layer_due)
        return found

    def forget_subscriber(self, subscriber: int) -> None:
        """The slot is gone or wants something else."""
        self._spent.pop(subscriber, None)
        self.cancel(subscriber)

    def cancel(self, subscriber: int) -> None:
        """The slot waits for nothing any longer."""
        for pending in self._pending.values():
            pending.waiting.pop(subscriber, None)

    def forget_track(self, track: int) -> None:
        self._pending.pop(track, None)

    def _send(self, pending: _Pending, now: float) -> int | None:
        if now - pending.asked_at < REPEAT_S:
            return None
        for subscriber, (layer, _) in pending.waiting.items():
            if self._spend(subscriber, now):
                pending.asked_at = now
                self._charge(pending.waiting.keys() - {subscriber}, now)
                return layer
        return None

    def _spend(self, subscriber: int, now: float) -> bool:
        spent = self._spent.setdefault(subscriber, deque())
        while spent and now - spent[0] >= WINDOW_S:
            spent.popleft()
        if len(spent) >= REQUESTS_MOST:
            return False
        spent.append(now)
        return True

    def _charge(self, subscribers: Iterable[int], now: float) -> None:
        for subscriber in subscribers:
            self._spend(subscriber, now)
