"""Which number, timestamp and picture id a packet gets on a route, or why it is not sent. Dual source.

`k` is the state of tables.pxd, `s` a slot's row, `p` a packet's row. A slot's stream is cut into segments:
within one, outgoing index = source index + offset, and likewise timestamp, picture id and TL0PICIDX. A
segment begins at every switch and after every packet that was left out, so no gap is seen where none is.
"""

import cython
from cython.cimports.sfu.routing.kernel.tables import (
    DEPARTURE_AUDIO_EARLY,
    DEPARTURE_BEFORE_SWITCH,
    DEPARTURE_PADDING,
    DEPARTURE_REFUSED_INDEX,
    DEPARTURE_SENT,
    DEPARTURE_TEMPORAL_DROP,
    DEPARTURE_TOO_LATE,
    DEPARTURE_WAIT_KEY_FRAME,
    KIND_AUDIO,
    SEGMENTS_PER_SLOT,
)

# Declared, because Cython takes a bare literal of more than 31 bits for a Python object.
MASK_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
SIGN_32 = cython.declare(cython.longlong, 0x80000000)
SPAN_32 = cython.declare(cython.longlong, 0x100000000)


def packet_row(k, layer, index):
    """The row in the layer's ring where the packet with this source index stands, if it still does."""
    return layer * k.ring + (index & k.layers[layer].ring_mask)


def capture_us(k, layer, timestamp, arrival_us):
    """When the sample of this source timestamp was captured, on the server's clock.

    From the layer's last SR; before one came, the arrival. Never later than the arrival.
    """
    difference: cython.longlong
    rate: cython.longlong
    at: cython.longlong
    if not k.layers[layer].sr_known:
        return arrival_us
    rate = k.tracks[k.layers[layer].track].clock_rate
    difference = (timestamp - cython.cast(cython.longlong, k.layers[layer].sr_timestamp)) & MASK_32
    if difference >= SIGN_32:
        difference -= SPAN_32
    at = k.layers[layer].sr_at_us + difference * 1000000 // rate
    return at if at < arrival_us else arrival_us


def slot_timestamp(k, s, capture):
    """The slot's clock (V2 of the wire rules): one base, fixed when the slot started, never moved."""
    elapsed: cython.longlong = capture - k.slots[s].clock_base_us
    rate: cython.longlong = k.slots[s].clock_rate
    return (k.slots[s].timestamp_base + elapsed * rate // 1000000) & MASK_32


def push_segment(k, s, start):
    """Keep the offsets in force from this source index on, for late packets and for NACKs."""
    row: cython.longlong = s * SEGMENTS_PER_SLOT
    count: cython.longlong = k.slots[s].segment_count
    newest: cython.longlong = row + (count + SEGMENTS_PER_SLOT - 1) % SEGMENTS_PER_SLOT
    # A run of packets left out is one border, not many.
    if count and k.segments[newest].from_source == start - 1 and k.segments[newest].layer == k.slots[s].current_layer:
        row = newest
    else:
        row += count % SEGMENTS_PER_SLOT
        k.slots[s].segment_count += 1
    k.segments[row].from_source = start
    k.segments[row].index_offset = k.slots[s].index_offset
    k.segments[row].timestamp_offset = k.slots[s].timestamp_offset
    k.segments[row].layer = k.slots[s].current_layer
    k.segments[row].picture_offset = k.slots[s].picture_offset
    k.segments[row].tl0_offset = k.slots[s].tl0_offset


def find_segment(k, s, layer, index):
    """The row of the segment that a late source index belongs to, -1 when it is forgotten."""
    count: cython.longlong = k.slots[s].segment_count
    row: cython.longlong
    i: cython.int
    for i in range(SEGMENTS_PER_SLOT):
        if i >= count:
            return -1
        row = s * SEGMENTS_PER_SLOT + (count - 1 - i) % SEGMENTS_PER_SLOT
        if k.segments[row].layer != layer:
            return -1
        if k.segments[row].from_source <= index:
            return row
    return -1


def claim(k, s, index):
    """Take an outgoing index for ever; 0 when it was taken before or is too old to know (sealed once)."""
    last: cython.longlong = k.slots[s].last_index
    at: cython.longlong
    word: cython.int
    bit: cython.ulonglong
    if index <= last - 1024 or index < 0:
        return 0
    if index - last >= 1024:
        for word in range(16):
            k.slots[s].sent_window[word] = 0
    elif index > last:
        at = last + 1
        while at <= index:
            word = at >> 6 & 15
            bit = cython.cast(cython.ulonglong, 1) << (at & 63)
            if k.slots[s].sent_window[word] & bit:
                k.slots[s].sent_window[word] ^= bit
            at += 1
    word = index >> 6 & 15
    bit = cython.cast(cython.ulonglong, 1) << (index & 63)
    if k.slots[s].sent_window[word] & bit:
        return 0
    k.slots[s].sent_window[word] |= bit
    if index > last:
        k.slots[s].last_index = index
    return 1


def switch(k, s, layer, p):
    """Begin a segment of `layer` at this packet: DEPARTURE_SENT, or AUDIO_EARLY (rule A3: take the next one)."""
    timestamp: cython.longlong = k.packets[p].timestamp
    capture: cython.longlong = capture_us(k, layer, timestamp, k.packets[p].arrival_us)
    out: cython.longlong
    ahead: cython.longlong
    frame: cython.longlong
    if not k.slots[s].started:
        k.slots[s].clock_base_us = capture
        out = k.slots[s].timestamp_base
    else:
        ahead = (slot_timestamp(k, s, capture) - k.slots[s].last_timestamp) & MASK_32
        if ahead >= SIGN_32:
            ahead -= SPAN_32
        if k.slots[s].kind == KIND_AUDIO:
            # Whole frames of 20 ms: any other step clicks or lets the jitter buffer grow.
            frame = k.slots[s].clock_rate // 50
            ahead = (ahead + frame // 2) // frame * frame
            if ahead < frame:
                return DEPARTURE_AUDIO_EARLY
        elif ahead < 1:
            ahead = 1  # always forward; a step back would freeze the picture
        out = k.slots[s].last_timestamp + ahead
    k.slots[s].current_layer = k.slots[s].last_layer = layer
    k.slots[s].segment_start = k.packets[p].index
    k.slots[s].last_source = k.packets[p].index - 1
    k.slots[s].timestamp_offset = (out - timestamp) & MASK_32
    k.slots[s].index_offset = k.slots[s].last_index + 1 - k.packets[p].index
    k.slots[s].picture_offset = k.slots[s].last_picture + 1 - k.packets[p].picture_id
    k.slots[s].tl0_offset = k.slots[s].last_tl0 + 1 - k.packets[p].tl0
    k.slots[s].current_temporal = k.slots[s].wanted_temporal
    k.slots[s].dropped_picture = -1
    k.slots[s].mark_next = 1 if k.slots[s].kind == KIND_AUDIO else 0
    push_segment(k, s, k.packets[p].index)
    return DEPARTURE_SENT


def follow_temporal(k, s, p):
    """Move the temporal layer towards the wanted one where the decoder can follow."""
    wanted: cython.int = k.slots[s].wanted_temporal
    if not k.packets[p].frame_start:
        return
    if wanted < k.slots[s].current_temporal or k.packets[p].key_frame:
        k.slots[s].current_temporal = wanted
    elif k.packets[p].temporal_sync and k.slots[s].current_temporal < k.packets[p].temporal <= wanted:
        # A sync frame needs only layer 0, so everything up to its layer can follow from here.
        k.slots[s].current_temporal = k.packets[p].temporal


def leave_out(k, s, p):
    """Drop an in-order packet on purpose and close the gap it would leave."""
    k.slots[s].last_source = k.packets[p].index
    k.slots[s].index_offset -= 1
    if k.packets[p].descriptor & 3 and k.packets[p].picture_id != k.slots[s].dropped_picture:
        k.slots[s].picture_offset -= 1
        k.slots[s].dropped_picture = k.packets[p].picture_id
    push_segment(k, s, k.packets[p].index + 1)


def select(k, s, layer, p):
    """Decide one (packet, route) pair: fills k.decision[0] and returns DEPARTURE_SENT, or why it is not sent."""
    index: cython.longlong = k.packets[p].index
    row: cython.longlong
    segment: cython.longlong
    if k.slots[s].current_layer != layer:
        return DEPARTURE_WAIT_KEY_FRAME
    if index < k.slots[s].segment_start:
        return DEPARTURE_BEFORE_SWITCH
    if index > k.slots[s].last_source:
        if k.slots[s].kind != KIND_AUDIO:
            follow_temporal(k, s, p)
            if k.packets[p].temporal > k.slots[s].current_temporal:
                leave_out(k, s, p)
                return DEPARTURE_TEMPORAL_DROP
        if k.packets[p].length == 0:
            leave_out(k, s, p)
            return DEPARTURE_PADDING
        if index - k.slots[s].last_source > k.layers[layer].ring_mask:
            # The source was away longer than a NACK can repair: close the gap, or the receiver asks for all of it.
            k.slots[s].index_offset = k.slots[s].last_index + 1 - index
            push_segment(k, s, index)
        k.slots[s].last_source = index
    elif k.packets[p].length == 0:
        return DEPARTURE_PADDING
    elif k.slots[s].kind != KIND_AUDIO and k.packets[p].temporal > k.slots[s].current_temporal:
        return DEPARTURE_TEMPORAL_DROP
    segment = find_segment(k, s, layer, index)
    if segment < 0:
        return DEPARTURE_TOO_LATE
    row = index + k.segments[segment].index_offset
    if not claim(k, s, row):
        return DEPARTURE_REFUSED_INDEX
    k.decision[0].index = row
    k.decision[0].timestamp = (k.packets[p].timestamp + k.segments[segment].timestamp_offset) & MASK_32
    k.decision[0].picture_id = (k.packets[p].picture_id + k.segments[segment].picture_offset) & 0x7FFF
    k.decision[0].tl0 = (k.packets[p].tl0 + k.segments[segment].tl0_offset) & 0xFF
    k.decision[0].marker = k.packets[p].marker | k.slots[s].mark_next
    k.slots[s].mark_next = 0
    k.slots[s].started = 1
    if row == k.slots[s].last_index:
        k.slots[s].last_timestamp = k.decision[0].timestamp
        k.slots[s].last_arrival_us = k.packets[p].arrival_us
        if k.packets[p].descriptor & 3:
            k.slots[s].last_picture = k.decision[0].picture_id
        if k.packets[p].descriptor & 4:
            k.slots[s].last_tl0 = k.decision[0].tl0
    return DEPARTURE_SENT
