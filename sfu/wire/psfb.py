"""Payload-specific feedback that Python writes (RFC 4585 6.3): the kernel seals it."""

from __future__ import annotations

import struct


def picture_loss_indication(sender_ssrc: int, media_ssrc: int) -> bytes:
    """A PLI of 12 bytes (RFC 4585 6.3.1)."""
    return struct.pack("!BBHII", 0x81, 206, 2, sender_ssrc, media_ssrc)
