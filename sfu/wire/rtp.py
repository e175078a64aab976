"""RTP headers and their extensions (RFC 3550 section 5.1, RFC 8285). Dual source.

`data` is indexable bytes, `header` and `element` are rows of the structs in rtp.pxd. Nothing raises:
a malformed packet is a return value.
"""

import cython
from cython.cimports.sfu.wire.octets import get16, get32


def parse(data, size, header):
    """Fill `header` from the first `size` bytes; 0, or -1 when they are no RTP packet."""
    at: cython.int
    if size < 12 or data[0] >> 6 != 2:
        return -1
    at = 12 + 4 * (data[0] & 15)
    header.padding = data[0] >> 5 & 1
    header.marker = data[1] >> 7
    header.payload_type = data[1] & 127
    header.sequence = get16(data, 2)
    header.timestamp = get32(data, 4)
    header.ssrc = get32(data, 8)
    header.extension_at = header.extension_size = header.extension_profile = 0
    if at > size:
        return -1
    if data[0] & 16:
        if at + 4 > size:
            return -1
        header.extension_profile = get16(data, at)
        header.extension_size = 4 * get16(data, at + 2)
        header.extension_at = at + 4
        at += 4 + header.extension_size
        if at > size:
            return -1
    header.size = at
    return 0


def payload_end(data, size, header):
    """Where the payload of an opened packet ends, padding off; -1 when the padding overruns."""
    if not header.padding:
        return size
    if size <= header.size or data[size - 1] == 0 or data[size - 1] > size - header.size:
        return -1
    return size - data[size - 1]


def next_element(data, at, end, profile, element):
    """Read the element at `at` of an extension block that ends at `end`.

    Returns where to read next, or -1 at the end; an element that overruns ends the block.
    Profile 0xBEDE is the one-byte form, 0x100x the two-byte form; any other has no elements.
    """
    if profile != 0xBEDE and profile >> 4 != 0x100:
        return -1
    while at < end and data[at] == 0:
        at += 1
    if profile == 0xBEDE:
        # Id 0 with a length, and id 15, end the block (RFC 8285 4.2); 0 also means "not negotiated" to callers.
        if at >= end or data[at] >> 4 == 15 or data[at] >> 4 == 0:
            return -1
        element.id = data[at] >> 4
        element.length = (data[at] & 15) + 1
        element.at = at + 1
    else:
        if at + 2 > end:
            return -1
        element.id = data[at]
        element.length = data[at + 1]
        element.at = at + 2
    if element.at + element.length > end:
        return -1
    return element.at + element.length


def put_element(data, at, two_bytes, id, length):
    """Write an element's head; returns where its `length` bytes go. One-byte form takes ids 1-14, lengths 1-16."""
    if two_bytes:
        data[at] = id
        data[at + 1] = length
        return at + 2
    data[at] = id << 4 | length - 1
    return at + 1


def unwrap(newest, sequence):
    """The index (ROC << 16 | sequence) nearest to `newest` that has this sequence number (RFC 3711 3.3.1).

    newest -1 = none yet. May be negative when a number precedes the first one: the caller drops it.
    """
    difference: cython.longlong
    if newest < 0:
        return sequence
    difference = (sequence - newest) & 0xFFFF
    if difference >= 0x8000:
        difference -= 0x10000
    return newest + difference
