"""The VP8 payload descriptor and the key-frame header (RFC 7741 sections 4.2 and 4.3). Dual source."""

import cython
from cython.cimports.sfu.wire.octets import get16


def parse(data, size, descriptor):
    """Fill `descriptor` from a payload; 0, or -1 when it is cut short."""
    at: cython.int = 1
    flags: cython.int = 0
    if size < 1:
        return -1
    descriptor.frame_start = data[0] >> 4 & 1 if data[0] & 7 == 0 else 0
    descriptor.picture_bits = descriptor.picture_id = descriptor.has_tl0 = descriptor.tl0 = 0
    descriptor.has_temporal = descriptor.temporal = descriptor.sync = 0
    descriptor.key_frame = descriptor.width = descriptor.height = 0
    if data[0] & 128:
        if size < 2:
            return -1
        flags = data[1]
        at = 2
    if flags & 128:
        if size < at + 1 or (data[at] & 128 and size < at + 2):
            return -1
        descriptor.picture_bits = 15 if data[at] & 128 else 7
        descriptor.picture_id = get16(data, at) & 0x7FFF if data[at] & 128 else data[at]
        at += 2 if data[at] & 128 else 1
    if flags & 64:
        if size < at + 1:
            return -1
        descriptor.has_tl0 = 1
        descriptor.tl0 = data[at]
        at += 1
    if flags & 48:
        if size < at + 1:
            return -1
        descriptor.has_temporal = 1 if flags & 32 else 0
        descriptor.temporal = data[at] >> 6 if flags & 32 else 0
        descriptor.sync = data[at] >> 5 & 1 if flags & 32 else 0
        at += 1
    descriptor.size = at
    if descriptor.frame_start and size > at and data[at] & 1 == 0:
        descriptor.key_frame = 1
        if size >= at + 10 and data[at + 3] == 0x9D and data[at + 4] == 1 and data[at + 5] == 0x2A:
            descriptor.width = (data[at + 7] << 8 | data[at + 6]) & 0x3FFF
            descriptor.height = (data[at + 9] << 8 | data[at + 8]) & 0x3FFF
    return 0


def rewrite(data, size, out, picture_id, tl0):
    """Write the descriptor of a payload that `parse` took, with other numbers, to `out`.

    The picture id becomes 15 bits wide, so `out` may be one byte longer; where the source has no
    picture id or no TL0PICIDX, none is made. Returns the bytes read << 8 | the bytes written.
    """
    at: cython.int = 1
    to: cython.int = 1
    flags: cython.int = 0
    out[0] = data[0]
    if data[0] & 128:
        flags = data[1]
        out[1] = flags
        at = to = 2
    if flags & 128:
        at += 2 if data[at] & 128 else 1
        out[to] = 128 | picture_id >> 8 & 127
        out[to + 1] = picture_id & 255
        to += 2
    if flags & 64:
        out[to] = tl0 & 255
        at += 1
        to += 1
    if flags & 48:
        out[to] = data[at]
        at += 1
        to += 1
    return at << 8 | to
