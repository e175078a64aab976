"""Who is heard: the loudest three of up to four ranked speakers of a room. Dual source.

1. A room has four seats. Seats 0-2 are heard by all; seat 3 by those who sit on one of the others, since
   nobody is sent his own voice.
2. A speaker takes a free seat with his first packet above the threshold; a seat is free again when its
   holder was below it for the hold time.
3. A full set changes only for someone louder by the margin for the margin time.
4. A subscriber's slot keeps its speaker while he keeps his seat. Slots are ordinary routes: the seats only
   decide which of them carry which layer.
"""

import cython
from cython.cimports.sfu.routing.kernel.forward import catch_up, detach, detach_wanted, want
from cython.cimports.sfu.routing.kernel.select import packet_row
from cython.cimports.sfu.routing.kernel.tables import AUDIO_SLOTS_PER_PEER, EVENT_LEFT, SEATS_PER_ROOM

# Packets kept in the ring before the first loud one that leave with it, so that no word loses its beginning.
PREROLL = cython.declare(cython.longlong, 3)
# Older ones do not: under DTX they are the comfort noise of long ago, and the jitter buffer would wait for more such.
# Lower: a packet that the network held up for a moment loses the beginning of a word.
PREROLL_US = cython.declare(cython.longlong, 100000)
# Opus sends no more in DTX (RFC 6716 section 2.1.9 and what libopus makes of it).
DTX_BYTES = cython.declare(cython.int, 2)


def hear(k, track, p):
    """Note the level of a packet; returns 1 when the room's seats changed."""
    room: cython.longlong = k.tracks[track].room
    level: cython.int = k.packets[p].level
    loud: cython.int
    if room < 0:
        return 0
    # A stream without levels counts as speaking while it sends, but for the silence of DTX.
    loud = 127 - level if level < 128 else k.audio[0].threshold if k.packets[p].length > DTX_BYTES else 0
    k.tracks[track].loudness += (16 * loud - k.tracks[track].loudness) >> 2
    if loud < k.audio[0].threshold:
        return 0
    k.tracks[track].loud_at_us = k.now_us
    k.tracks[track].level_sum += loud
    k.rooms[room].speaking = 1
    if k.tracks[track].seat < 0 and take_seat(k, track, room):
        return 1
    return challenge(k, track, room)


def take_seat(k, track, room):
    """Sit down on a free seat."""
    seat: cython.int
    for seat in range(SEATS_PER_ROOM):
        if k.rooms[room].seats[seat] < 0:
            k.rooms[room].seats[seat] = track
            k.tracks[track].seat = seat
            k.tracks[track].fresh = 1
            k.tracks[track].louder_since_us = 0
            return 1
    return 0


def challenge(k, track, room):
    """Move up for being louder: from the last seat into the first three, or from outside onto the last."""
    mine: cython.int = k.tracks[track].seat
    last: cython.int = SEATS_PER_ROOM - 1
    quietest: cython.int = 0
    seat: cython.int
    other: cython.longlong
    if 0 <= mine < last:
        return 0
    for seat in range(1, last):
        if k.tracks[k.rooms[room].seats[seat]].loudness < k.tracks[k.rooms[room].seats[quietest]].loudness:
            quietest = seat
    other = k.rooms[room].seats[quietest]
    if k.tracks[track].loudness < k.tracks[other].loudness + 16 * k.audio[0].margin:
        k.tracks[track].louder_since_us = 0
        return 0
    if k.tracks[track].louder_since_us == 0:
        k.tracks[track].louder_since_us = k.now_us
    if k.now_us - k.tracks[track].louder_since_us < k.audio[0].margin_us:
        return 0
    k.tracks[track].louder_since_us = 0
    if mine < 0:
        k.tracks[k.rooms[room].seats[last]].seat = -1
        k.rooms[room].seats[last] = track
        k.tracks[track].seat = last
        k.tracks[track].fresh = 1
    swap(k, room, quietest, last)
    return 1


def swap(k, room, a, b):
    """Exchange two seats, either of which may be empty."""
    first: cython.longlong = k.rooms[room].seats[a]
    second: cython.longlong = k.rooms[room].seats[b]
    k.rooms[room].seats[a] = second
    k.rooms[room].seats[b] = first
    if first >= 0:
        k.tracks[first].seat = b
    if second >= 0:
        k.tracks[second].seat = a


def release(k, room):
    """Free the seats of those who fell silent; the last seat moves up. Returns 1 when the seats changed."""
    changed: cython.int = 0
    seat: cython.int
    track: cython.longlong
    for seat in range(SEATS_PER_ROOM):
        track = k.rooms[room].seats[seat]
        if track >= 0 and k.now_us - k.tracks[track].loud_at_us > k.audio[0].hold_us:
            k.tracks[track].seat = -1
            k.rooms[room].seats[seat] = -1
            changed = 1
    if changed:
        close_ranks(k, room)
    return changed


def close_ranks(k, room):
    """The holder of the last seat, who is not heard by all, moves up to a free one."""
    seat: cython.int
    for seat in range(SEATS_PER_ROOM - 1):
        if k.rooms[room].seats[seat] < 0:
            swap(k, room, seat, SEATS_PER_ROOM - 1)
            return


def unseat(k, track):
    """The track is gone or muted: its seat is free at once."""
    if k.tracks[track].seat >= 0:
        k.rooms[k.tracks[track].room].seats[k.tracks[track].seat] = -1
        k.tracks[track].seat = -1
        close_ranks(k, k.tracks[track].room)


def heard(k, peer, track, seat, slots):
    """Whether this peer shall hear the holder of this seat: not himself, nobody twice, as many as he has slots."""
    before: cython.int
    i: cython.int
    s: cython.longlong
    other: cython.longlong
    rank: cython.int = 0
    if k.tracks[track].peer == peer:
        return 0
    for i in range(AUDIO_SLOTS_PER_PEER):
        s = k.peers[peer].audio_slots[i]
        # The audio of a pair follows its picture and is left out of the ranked slots.
        if s >= 0 and not k.slots[s].ranked:
            if k.slots[s].current_layer >= 0 and k.layers[k.slots[s].current_layer].track == track:
                return 0
            if k.slots[s].wanted_layer >= 0 and k.layers[k.slots[s].wanted_layer].track == track:
                return 0
    for before in range(seat):
        other = k.rooms[k.tracks[track].room].seats[before]
        if other >= 0 and k.tracks[other].peer != peer:
            rank += 1
    return 1 if rank < slots and rank < SEATS_PER_ROOM - 1 else 0


def free_slot(k, peer, layer):
    """The number of a free ranked slot of this peer for this layer, -1 when none is free.

    The one that carried it last, else the one that has been silent longest, so that the packets before a
    first loud one still fit behind what the slot sent last (rule A3).
    """
    i: cython.int
    found: cython.int = -1
    s: cython.longlong
    oldest: cython.longlong = 0
    for i in range(AUDIO_SLOTS_PER_PEER):
        s = k.peers[peer].audio_slots[i]
        if s < 0 or not k.slots[s].ranked or k.slots[s].current_layer >= 0 or k.slots[s].wanted_layer >= 0:
            continue
        if k.slots[s].last_layer == layer:
            return i
        if found < 0 or k.slots[s].last_arrival_us < oldest:
            found = i
            oldest = k.slots[s].last_arrival_us
    return found


def preroll(k, layer):
    """The source index of the first packet that leaves with the newest one."""
    newest: cython.longlong = k.layers[layer].newest
    index: cython.longlong = newest - PREROLL
    while index < newest and k.now_us - k.packets[packet_row(k, layer, index)].arrival_us > PREROLL_US:
        index += 1
    return index


def assign(k, peer):
    """Make the peer's ranked slots carry the seats that he shall hear."""
    room: cython.longlong = k.peers[peer].room
    i: cython.int
    seat: cython.int
    slots: cython.int = 0
    present: cython.int = 0  # bit = seat whose holder has a slot already
    s: cython.longlong
    layer: cython.longlong
    track: cython.longlong
    first: cython.longlong
    for i in range(AUDIO_SLOTS_PER_PEER):
        s = k.peers[peer].audio_slots[i]
        if s >= 0 and k.slots[s].ranked:
            slots += 1
    if slots == 0 or k.peers[peer].profile == 0:
        return
    for i in range(AUDIO_SLOTS_PER_PEER):
        s = k.peers[peer].audio_slots[i]
        if s < 0 or not k.slots[s].ranked:
            continue
        layer = k.slots[s].wanted_layer if k.slots[s].wanted_layer >= 0 else k.slots[s].current_layer
        if layer < 0:
            continue
        track = k.layers[layer].track
        if k.tracks[track].seat >= 0 and heard(k, peer, track, k.tracks[track].seat, slots):
            present |= 1 << k.tracks[track].seat
        else:
            detach_wanted(k, s)
            detach(k, s)
            k.tell(k, EVENT_LEFT, s, 0, 0, 0)
    for seat in range(SEATS_PER_ROOM):
        track = k.rooms[room].seats[seat]
        if track < 0 or present >> seat & 1 or not heard(k, peer, track, seat, slots):
            continue
        layer = k.tracks[track].layers[0]
        i = free_slot(k, peer, layer)
        if i < 0 or layer < 0:
            continue
        s = k.peers[peer].audio_slots[i]
        want(k, s, layer, 0)
        # Who only changed seats may have been heard a moment ago: he goes on with his next packet.
        if k.tracks[track].fresh:
            first = preroll(k, layer)
            if k.slots[s].last_layer == layer and k.slots[s].last_source >= first:
                first = k.slots[s].last_source + 1
            catch_up(k, s, layer, first)


def assign_all(k, room):
    """Assign every peer of the room."""
    peer: cython.longlong = k.rooms[room].first_peer
    seat: cython.int
    while peer >= 0:
        assign(k, peer)
        peer = k.peers[peer].next_peer
    for seat in range(SEATS_PER_ROOM):
        if k.rooms[room].seats[seat] >= 0:
            k.tracks[k.rooms[room].seats[seat]].fresh = 0
