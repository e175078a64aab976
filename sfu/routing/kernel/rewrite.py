"""Write a packet of the ring as a slot's own packet, media or repair; remember what was sent. Dual source."""

import cython
from cython.cimports.sfu.routing.kernel.tables import CODEC_VP8, KIND_AUDIO, PACKET_BYTES, SENT_PER_SLOT
from cython.cimports.sfu.wire import red, vp8
from cython.cimports.sfu.wire.octets import copy, put16, put32
from cython.cimports.sfu.wire.rtp import put_element

# Declared, because Cython takes a bare literal of more than 31 bits for a Python object.
MASK_32 = cython.declare(cython.longlong, 0xFFFFFFFF)


def extensions(k, s, p, out, at):
    """Write the extension block this subscriber negotiated at `at`; returns where the payload begins.

    MID on every packet (a slot is known by it), the transport-wide number, and of the source's own
    extensions only the audio level and the video orientation.
    """
    peer: cython.longlong = k.slots[s].peer
    start: cython.int = at + 4
    two_bytes: cython.int = 0
    i: cython.int
    if k.peers[peer].extension_mid > 14 or k.peers[peer].extension_transport_cc > 14:
        two_bytes = 1
    if k.peers[peer].extension_audio_level > 14 or k.peers[peer].extension_orientation > 14:
        two_bytes = 1
    at = start
    if k.peers[peer].extension_mid and k.slots[s].mid_length:
        at = put_element(out, at, two_bytes, k.peers[peer].extension_mid, k.slots[s].mid_length)
        for i in range(k.slots[s].mid_length):
            out[at + i] = k.slots[s].mid[i]
        at += k.slots[s].mid_length
    if k.peers[peer].extension_transport_cc:
        at = put_element(out, at, two_bytes, k.peers[peer].extension_transport_cc, 2)
        put16(out, at, k.peers[peer].transport_sequence)
        k.peers[peer].transport_sequence = (k.peers[peer].transport_sequence + 1) & 0xFFFF
        at += 2
    if k.slots[s].kind == KIND_AUDIO and k.peers[peer].extension_audio_level and k.packets[p].level < 128:
        at = put_element(out, at, two_bytes, k.peers[peer].extension_audio_level, 1)
        out[at] = k.packets[p].voice << 7 | k.packets[p].level
        at += 1
    if k.slots[s].kind != KIND_AUDIO and k.peers[peer].extension_orientation and k.packets[p].orientation < 255:
        at = put_element(out, at, two_bytes, k.peers[peer].extension_orientation, 1)
        out[at] = k.packets[p].orientation
        at += 1
    if at == start:
        return start - 4
    while (at - start) & 3:
        out[at] = 0
        at += 1
    put16(out, start - 4, 0x1000 if two_bytes else 0xBEDE)
    put16(out, start - 2, (at - start) >> 2)
    out[0] |= 16
    return at


def body(k, s, p, payload, out, at):
    """Copy the payload to `at`, its VP8 descriptor with the slot's numbers; returns the end.

    The blocks of RED get the slot's payload type; for a slot that takes no RED the primary block alone is copied.
    """
    read: cython.int = 0
    moved: cython.int
    length: cython.int = k.packets[p].length
    if k.slots[s].codec == CODEC_VP8 and k.packets[p].descriptor:
        moved = vp8.rewrite(payload, length, out + at, k.decision[0].picture_id, k.decision[0].tl0)
        read = moved >> 8
        at += moved & 255
    if k.packets[p].red and k.slots[s].red_payload_type:
        read = k.packets[p].red
        red.rewrite(payload, read, out + at, k.slots[s].payload_type)
        at += read
    elif k.packets[p].red:
        read = red.primary(payload, k.packets[p].red)
    copy(out, at, payload, read, length - read)
    return at + length - read


def rewrite(k, s, p, payload, out):
    """The packet as k.decision[0] says; returns its size, header_bytes in the decision; 0 if it is too large."""
    at: cython.int
    out[0] = 0x80
    out[1] = k.decision[0].marker << 7 | k.slots[s].payload_type
    if k.packets[p].red and k.slots[s].red_payload_type:
        out[1] = k.decision[0].marker << 7 | k.slots[s].red_payload_type
    put16(out, 2, k.decision[0].index & 0xFFFF)
    put32(out, 4, k.decision[0].timestamp)
    put32(out, 8, k.slots[s].ssrc)
    at = extensions(k, s, p, out, 12)
    if at + k.packets[p].length + 1 > PACKET_BYTES:
        return 0
    k.decision[0].header_bytes = at
    return body(k, s, p, payload, out, at)


def rewrite_repair(k, s, p, payload, out, n):
    """The packet that entry `n` of the sent map says, as an RTX packet (RFC 4588): never the same packet again.

    Takes the next index of the RTX SSRC; returns the size, the index and header size in k.decision[0].
    """
    at: cython.int
    k.slots[s].rtx_index += 1
    k.decision[0].index = k.slots[s].rtx_index
    k.decision[0].picture_id = k.sent[n].picture_id
    k.decision[0].tl0 = k.sent[n].tl0
    out[0] = 0x80
    out[1] = k.packets[p].marker << 7 | k.slots[s].rtx_payload_type
    put16(out, 2, k.slots[s].rtx_index & 0xFFFF)
    put32(out, 4, k.sent[n].timestamp)
    put32(out, 8, k.slots[s].rtx_ssrc)
    at = extensions(k, s, p, out, 12)
    if at + k.packets[p].length + 3 > PACKET_BYTES:
        return 0
    k.decision[0].header_bytes = at
    put16(out, at, k.sent[n].sequence)
    return body(k, s, p, payload, out, at + 2)


def remember(k, s, layer, p):
    """Note what left under k.decision[0].index, for NACKs."""
    n: cython.longlong = s * SENT_PER_SLOT + k.decision[0].index % SENT_PER_SLOT
    k.sent[n].source_low = k.packets[p].index & MASK_32
    k.sent[n].timestamp = k.decision[0].timestamp
    k.sent[n].sequence = k.decision[0].index & 0xFFFF
    k.sent[n].layer = layer
    k.sent[n].picture_id = k.decision[0].picture_id
    k.sent[n].tl0 = k.decision[0].tl0
    k.sent[n].generation = k.layers[layer].generation & 0xFF


def recall(k, s, sequence):
    """The packet's row that left under this sequence number, -1 when the map or the ring has forgotten it."""
    n: cython.longlong = s * SENT_PER_SLOT + sequence % SENT_PER_SLOT
    behind: cython.longlong = (k.slots[s].last_index - sequence) & 0xFFFF
    layer: cython.longlong = k.sent[n].layer
    p: cython.longlong
    if behind >= SENT_PER_SLOT or behind > k.slots[s].last_index or k.sent[n].sequence != sequence:
        return -1
    if not k.layers[layer].live or k.layers[layer].generation & 0xFF != k.sent[n].generation:
        return -1
    p = layer * k.ring + (k.sent[n].source_low & k.layers[layer].ring_mask)
    if k.packets[p].index < 0 or k.packets[p].index & MASK_32 != k.sent[n].source_low:
        return -1
    if k.packets[p].generation != k.layers[layer].generation:
        return -1
    return p
