"""A bad link between a client and its socket: loss, delay and jitter, the same for the same seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """One direction. `loss` is a share from 0 to 1; a packet is late by delay_ms plus up to jitter_ms."""

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0

    @property
    def perfect(self) -> bool:
        return not (self.loss or self.delay_ms or self.jitter_ms)


class Impairment:
    """Draws the fate of each packet of one direction, in order."""

    def __init__(self, link: Link, chance: random.Random) -> None:
        self.link = link
        self._chance = chance
        self.lost = 0

    def delay_s(self) -> float | None:
        """Seconds until the packet goes on; None = it is lost. With jitter packets overtake each other."""
        if self.link.loss and self._chance.random() < self.link.loss:
            self.lost += 1
            return None
        return (self.link.delay_ms + self._chance.random() * self.link.jitter_ms) / 1000
