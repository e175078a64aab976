"""Numbers, names and secrets for the pure parts of a node, which draw nothing themselves."""

from __future__ import annotations

import itertools
import random
import secrets


class Draws:
    """Numbers rise for ever and are never given twice. `chance` draws what need not be secret."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.SystemRandom()
        self._sessions = itertools.count(1)
        self._tracks = itertools.count(1)
        self._peers = itertools.count(1)
        self._requests = itertools.count(1)

    def session(self) -> int:
        return next(self._sessions)

    def track(self) -> int:
        return next(self._tracks)

    def peer(self) -> int:
        return next(self._peers)

    def request(self) -> int:
        """Of the channel."""
        return next(self._requests)

    def ssrc(self) -> int:
        return self._chance.randrange(1, 2**32)

    def name(self) -> str:
        """Of a participant."""
        return "p-" + secrets.token_hex(6)

    def key(self) -> str:
        """To come back with; 192 bits that nobody guesses, fit for a URL."""
        return secrets.token_urlsafe(24)

    def credentials(self) -> tuple[str, str]:
        """Of ICE: at least 24 bits for the fragment, 128 for the password, of ALPHA, DIGIT, + and / (RFC 8445 5.3)."""
        return secrets.token_hex(8), secrets.token_hex(16)
