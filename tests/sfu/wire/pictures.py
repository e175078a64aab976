"""A codec's parser of sfu.wire as its tests ask it: octet by octet, and what it must hold for any octets."""

from __future__ import annotations

import types
from dataclasses import dataclass

from tests.sfu.wire.test_octets import Exact


@dataclass(frozen=True)
class Parser:
    """`parse` of one dual-source module; an octet read outside of the payload raises IndexError."""

    module: types.ModuleType

    def parse(self, octets: bytes) -> types.SimpleNamespace | None:
        """What it found; None when the payload is cut short."""
        picture = types.SimpleNamespace()
        result = self.module.parse(Exact(octets), len(octets), picture)
        assert result in (0, -1)
        return picture if result == 0 else None

    def told(self, octets: bytes) -> tuple[int, int, int]:
        """(key frame, width, height) of a payload that is whole."""
        found = self.parse(octets)
        assert found is not None
        return found.key_frame, found.width, found.height

    def holds(self, octets: bytes) -> None:
        """Whatever the octets are: no exception, no size beyond a row, none without a key frame."""
        found = self.parse(octets)
        if found is not None:
            assert found.key_frame in (0, 1) and 0 <= found.width <= 65535 and 0 <= found.height <= 65535
            assert found.key_frame or found.height == 0
