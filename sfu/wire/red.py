"""Redundant audio data (RED, RFC 2198): earlier frames in front of the one that a packet is for. Dual source."""

import cython
from cython.cimports.sfu.wire.octets import get24

# Chromium sends one redundant frame, at most nine. More would only make a stranger's packet long to read.
BLOCKS_MOST = cython.declare(cython.int, 32)


def parse(data, size, payload_type):
    """The bytes of the headers in front of the blocks; -1 when it is no RED of this payload type alone.

    The last block is the primary one; it must not be empty, since without the others it is the packet.
    """
    at: cython.int = 0
    blocks: cython.int = 0
    redundant: cython.longlong = 0
    while at < size and data[at] & 128:
        if at + 4 > size or data[at] & 127 != payload_type or blocks == BLOCKS_MOST:
            return -1
        redundant += get24(data, at + 1) & 0x3FF
        at += 4
        blocks += 1
    if at >= size or data[at] != payload_type or at + 1 + redundant >= size:
        return -1
    return at + 1


def primary(data, headers):
    """Where the primary block begins in a payload whose headers `parse` has measured."""
    at: cython.int = 0
    found: cython.longlong = headers
    while at + 1 < headers:
        found += get24(data, at + 1) & 0x3FF
        at += 4
    return found


def rewrite(data, headers, out, payload_type):
    """Write the headers with another payload type of the blocks."""
    i: cython.int
    for i in range(headers):
        out[i] = data[i] & 128 | payload_type if i & 3 == 0 else data[i]
