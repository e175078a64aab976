"""Who speaks, from levels ten times a second, with hysteresis. Pure.

A level is a sum over the packets of 100 ms of (127 - level in -dBov): five packets of 20 ms, so 1 dB is 5 units.
"""

from __future__ import annotations

from collections.abc import Mapping

# Louder by 6 dB in each of five packets. Less: two people who talk at once make the picture flutter.
LOUDER_UNITS = 30
# So long somebody must be louder before the picture goes over. Less: a cough takes it. More: answers come late.
LOUDER_FOR_S = 0.3
# A pause between words lasts up to 400 ms; a shorter hold makes the frame around the speaker blink.
SPEAKING_HOLD_S = 0.5
# Share of the newest 100 ms in the smoothed level. 1: every plosive counts. Near 0: seconds of delay.
NEWEST_SHARE = 0.5
# Former speakers that are remembered: nobody looks further back than to the one before.
RECENT_MAX = 8


class Speakers:
    """The active speaker of one room and everybody who speaks now."""

    def __init__(self) -> None:
        self.active: str | None = None
        self.speaking: tuple[str, ...] = ()  # loudest first
        self.recent: tuple[str, ...] = ()  # active speakers, the latest first
        self._smoothed: dict[str, float] = {}
        self._heard_at: dict[str, float] = {}
        self._rival: str | None = None
        self._rival_since = 0.0

    def hear(self, levels: Mapping[str, int], now: float) -> bool:
        """Take in the levels of the last 100 ms; an empty mapping is silence. True when what is told has changed."""
        for participant in {*self._smoothed, *levels}:
            before = self._smoothed.get(participant, 0.0)
            self._smoothed[participant] = before + NEWEST_SHARE * (levels.get(participant, 0) - before)
        for participant, level in levels.items():
            if level > 0:
                self._heard_at[participant] = now
        for participant, at in tuple(self._heard_at.items()):
            # `levels` empty is the worker's last word before it falls silent: no later message would end the hold.
            if now - at >= SPEAKING_HOLD_S or not levels:
                del self._heard_at[participant]
                self._smoothed.pop(participant, None)
        return self._tell(self._elect(now))

    def forget(self, participant: str) -> bool:
        """He has left. True when what is told has changed."""
        self._smoothed.pop(participant, None)
        self._heard_at.pop(participant, None)
        self.recent = tuple(name for name in self.recent if name != participant)
        if self._rival == participant:
            self._rival = None
        return self._tell(None if self.active == participant else self.active)

    def _elect(self, now: float) -> str | None:
        if not self._heard_at:
            self._rival = None
            return self.active  # in silence the last one stays
        loudest = max(self._heard_at, key=lambda name: (self._smoothed[name], name))
        if self.active is None:
            return loudest
        needed = self._smoothed[self.active] + LOUDER_UNITS if self.active in self._heard_at else 0.0
        if loudest == self.active or self._smoothed[loudest] < needed:
            self._rival = None
            return self.active
        if self._rival != loudest:
            self._rival, self._rival_since = loudest, now
        if now - self._rival_since < LOUDER_FOR_S:
            return self.active
        self._rival = None
        return loudest

    def _tell(self, active: str | None) -> bool:
        speaking = tuple(sorted(self._heard_at, key=lambda name: (-self._smoothed[name], name)))
        # Only who speaks is news, not each change of their order: that would be a message every 100 ms.
        changed = active != self.active or set(speaking) != set(self.speaking)
        if changed:
            self.speaking = speaking
        if active is not None and active != self.active:
            self.recent = (active, *(name for name in self.recent if name != active))[:RECENT_MAX]
        self.active = active
        return changed
