"""RTCP blocks (RFC 3550 section 6, RFC 4585, transport-wide feedback). Dual source."""

import cython
from cython.cimports.sfu.wire.octets import get16, put16, put24, put32


def next_block(data, at, size, block):
    """Read the head of the block at `at` of a compound packet of `size` bytes.

    Returns where the next block begins, or -1 when this one is malformed: a version other than 2,
    a length that overruns, padding that does. Any order and reduced size (RFC 5506) are accepted.
    """
    end: cython.int
    if at + 4 > size or data[at] >> 6 != 2:
        return -1
    end = at + 4 + 4 * get16(data, at + 2)
    if end > size:
        return -1
    block.kind = data[at + 1]
    block.count = data[at] & 31
    block.at = at + 4
    block.end = end
    if data[at] >> 5 & 1:
        if end == block.at or data[end - 1] == 0 or data[end - 1] > end - block.at:
            return -1
        block.end = end - data[end - 1]
    return end


def put_head(out, at, count, kind, size):
    """Write the head of a block of `size` bytes (a multiple of 4, head included); returns at + 4."""
    out[at] = 128 | count
    out[at + 1] = kind
    put16(out, at + 2, size // 4 - 1)
    return at + 4


def put_sender_report(out, at, ssrc, ntp_seconds, ntp_fraction, timestamp, packets, octets):
    """An SR without report blocks; returns its end."""
    put_head(out, at, 0, 200, 28)
    put32(out, at + 4, ssrc)
    put32(out, at + 8, ntp_seconds)
    put32(out, at + 12, ntp_fraction)
    put32(out, at + 16, timestamp)
    put32(out, at + 20, packets)
    put32(out, at + 24, octets)
    return at + 28


def put_receiver_report(out, at, sender, ssrc, fraction, lost, highest, jitter, last_sr, delay):
    """An RR with one block: fraction of 256, 24-bit cumulative loss, delay since the last SR in 1/65536 s."""
    put_head(out, at, 1, 201, 32)
    put32(out, at + 4, sender)
    put32(out, at + 8, ssrc)
    put32(out, at + 12, (fraction & 255) << 24 | lost & 0xFFFFFF)
    put32(out, at + 16, highest)
    put32(out, at + 20, jitter)
    put32(out, at + 24, last_sr)
    put32(out, at + 28, delay)
    return at + 32


def put_nack(out, at, sender, ssrc, indexes, count):
    """A generic NACK (RFC 4585 6.2.1) for rising indexes; returns its end."""
    to: cython.int = at + 12
    i: cython.int = 0
    first: cython.longlong
    mask: cython.longlong
    while i < count:
        first = indexes[i]
        mask = 0
        i += 1
        while i < count and indexes[i] - first <= 16:
            mask |= 1 << (indexes[i] - first - 1)
            i += 1
        put16(out, to, first & 0xFFFF)
        put16(out, to + 2, mask)
        to += 4
    put_head(out, at, 1, 205, to - at)
    put32(out, at + 4, sender)
    put32(out, at + 8, ssrc)
    return to


def put_transport_report(out, at, room, sender, ssrc, report, base, arrivals_us, count):
    """Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1); returns its end.

    arrivals_us[i] is the arrival of number base + i, -1 where it did not come; the first one came.
    `room` is how many bytes `out` has from `at`: 20 + 2 * ceil(count / 7) + 2 * count + 3 are enough.
    Status: 0 not received, 1 delta of 0..63.75 ms in one byte, 2 delta of +-8 s in two.
    Returns -1 when the room is too small.
    """
    chunks: cython.int = (count + 6) // 7
    to: cython.int = at + 20 + 2 * chunks
    i: cython.int
    symbol: cython.int
    word: cython.int = 0
    reference: cython.longlong
    last: cython.longlong
    delta: cython.longlong
    if room < 20 + 2 * chunks + 2 * count + 3:
        return -1
    reference = arrivals_us[0] // 64000
    last = reference * 64000
    for i in range(count):
        symbol = 0
        if arrivals_us[i] >= 0:
            # Rounded against the sum so far, so that errors do not add up.
            delta = (arrivals_us[i] - last + 250125) // 250 - 1000
            if delta > 32767:
                delta = 32767
            if delta < -32768:
                delta = -32768
            last += delta * 250
            symbol = 1 if 0 <= delta <= 255 else 2
            if symbol == 1:
                out[to] = delta
                to += 1
            else:
                put16(out, to, delta & 0xFFFF)
                to += 2
        word |= symbol << 2 * (6 - i % 7)
        if i % 7 == 6 or i == count - 1:
            put16(out, at + 20 + 2 * (i // 7), 0xC000 | word)
            word = 0
    while (to - at) % 4:
        out[to] = 0
        to += 1
    put_head(out, at, 15, 205, to - at)
    put32(out, at + 4, sender)
    put32(out, at + 8, ssrc)
    put16(out, at + 12, base & 0xFFFF)
    put16(out, at + 14, count)
    put24(out, at + 16, reference & 0xFFFFFF)
    out[at + 19] = report & 255
    return to
