"""One burst of one layer to each of its routes; switches; the pacer row. Dual source.

A layer has two lists of slots: those that carry it and those that wait for its key frame. A packet costs
nothing for slots that want another layer.

    forward -> offer -> (credit? else queued) -> deliver -> select -> k.emit (rewrite, seal, send)
            -> catch_up, for a waiting slot at a key frame -> select.switch -> offer from the ring
"""

import cython
from cython.cimports.sfu.routing.kernel.select import packet_row, select, switch
from cython.cimports.sfu.routing.kernel.tables import (
    COUNTER_AUDIO_SWITCHES,
    COUNTER_SWITCHES,
    DEPARTURE_NO_KEYS,
    DEPARTURE_NO_PATH,
    DEPARTURE_PATH_PAUSED,
    DEPARTURE_QUEUE_FULL,
    DEPARTURE_QUEUE_STALE,
    DEPARTURE_QUEUED,
    DEPARTURE_SENT,
    EVENT_SWITCHED,
    KIND_AUDIO,
    QUEUE_PER_PEER,
)

# A key frame younger than this is worth sending again from the ring to a new viewer; an older one would
# be followed by too long a burst, and asking for a new one is quicker to look at.
FRESH_KEY_FRAME_US = cython.declare(cython.longlong, 300000)

# Declared, because Cython takes a bare literal of more than 31 bits for a Python object.
MASK_32 = cython.declare(cython.longlong, 0xFFFFFFFF)


def detach(k, s):
    """Take the slot off the list of the layer that it carries."""
    before: cython.longlong = k.slots[s].previous_current
    after: cython.longlong = k.slots[s].next_current
    if k.slots[s].current_layer < 0:
        return
    if before >= 0:
        k.slots[before].next_current = after
    else:
        k.layers[k.slots[s].current_layer].first_current = after
    if after >= 0:
        k.slots[after].previous_current = before
    k.slots[s].next_current = k.slots[s].previous_current = k.slots[s].current_layer = -1


def detach_wanted(k, s):
    """Take the slot off the list of the layer that it waits for."""
    before: cython.longlong = k.slots[s].previous_wanted
    after: cython.longlong = k.slots[s].next_wanted
    if k.slots[s].wanted_layer < 0:
        return
    if before >= 0:
        k.slots[before].next_wanted = after
    else:
        k.layers[k.slots[s].wanted_layer].first_wanted = after
    if after >= 0:
        k.slots[after].previous_wanted = before
    k.slots[s].next_wanted = k.slots[s].previous_wanted = k.slots[s].wanted_layer = -1


def attach(k, s, layer):
    """Put the slot on the list of the layer that it carries from now on."""
    first: cython.longlong = k.layers[layer].first_current
    k.slots[s].current_layer = layer
    k.slots[s].previous_current = -1
    k.slots[s].next_current = first
    if first >= 0:
        k.slots[first].previous_current = s
    k.layers[layer].first_current = s


def want(k, s, layer, temporal):
    """Make the slot wait for `layer` (-1 = show nothing); from a fresh key frame in the ring it starts at once."""
    first: cython.longlong
    k.slots[s].wanted_temporal = temporal
    detach_wanted(k, s)
    if layer < 0:
        detach(k, s)
        return
    if k.slots[s].current_layer == layer:
        return
    first = k.layers[layer].first_wanted
    k.slots[s].wanted_layer = layer
    k.slots[s].next_wanted = first
    k.slots[s].previous_wanted = -1
    if first >= 0:
        k.slots[first].previous_wanted = s
    k.layers[layer].first_wanted = s
    if k.slots[s].kind == KIND_AUDIO:
        return  # audio starts with the next packet
    if k.layers[layer].key_frame >= 0 and k.now_us - k.layers[layer].key_frame_at_us <= FRESH_KEY_FRAME_US:
        catch_up(k, s, layer, k.layers[layer].key_frame)


def deliver(k, s, layer, p):
    """Select and send one packet to one slot now; the verdict is counted here or, once sent, by the sender."""
    peer: cython.longlong = k.slots[s].peer
    verdict: cython.int
    if k.peers[peer].profile == 0:
        verdict = DEPARTURE_NO_KEYS
    elif k.peers[peer].path < 0:
        verdict = DEPARTURE_NO_PATH
    elif k.peers[peer].paused_until_us > k.now_us:
        verdict = DEPARTURE_PATH_PAUSED
    else:
        verdict = select(k, s, layer, p)
    if verdict == DEPARTURE_SENT:
        verdict = k.emit(k, s, p)
    if verdict >= 0:
        k.departed[verdict] += 1
    return verdict


def credit(k, peer, octets):
    """Whether the peer's pacer lets this many bytes leave now; takes them if so. Rate 0 = always."""
    rate: cython.longlong = k.peers[peer].rate_bps
    if rate == 0:
        return 1
    k.peers[peer].credit_bits += (k.now_us - k.peers[peer].credit_at_us) * rate // 1000000
    k.peers[peer].credit_at_us = k.now_us
    # At most 5 ms of the rate in one burst, but never less than one full packet.
    if k.peers[peer].credit_bits > max(rate // 200, 12032):
        k.peers[peer].credit_bits = max(rate // 200, 12032)
    if k.peers[peer].credit_bits < 0:
        return 0
    k.peers[peer].credit_bits -= 8 * octets
    return 1


def offer(k, s, layer, p):
    """Send one packet to one slot, or queue a reference to it where its pacer has no credit. Audio is not queued."""
    peer: cython.longlong = k.slots[s].peer
    row: cython.longlong
    if k.peers[peer].rate_bps == 0:
        deliver(k, s, layer, p)
        return
    if k.slots[s].kind == KIND_AUDIO:
        credit(k, peer, k.packets[p].length)  # audio pays and never waits
        deliver(k, s, layer, p)
        return
    if k.peers[peer].queue_head == k.peers[peer].queue_tail and credit(k, peer, k.packets[p].length):
        deliver(k, s, layer, p)
        return
    if (k.peers[peer].queue_tail - k.peers[peer].queue_head) & MASK_32 >= QUEUE_PER_PEER:
        k.departed[DEPARTURE_QUEUE_FULL] += 1
        return
    row = peer * QUEUE_PER_PEER + k.peers[peer].queue_tail % QUEUE_PER_PEER
    k.queued[row].source = k.packets[p].index
    k.queued[row].slot = s
    k.queued[row].slot_generation = k.slots[s].generation
    k.queued[row].layer = layer
    k.queued[row].layer_generation = k.layers[layer].generation
    k.peers[peer].queue_tail = (k.peers[peer].queue_tail + 1) & MASK_32
    k.departed[DEPARTURE_QUEUED] += 1


def serve(k, peer):
    """Send from the peer's queue while there is credit. Numbers are taken now, so the queue never reorders them."""
    row: cython.longlong
    s: cython.longlong
    layer: cython.longlong
    p: cython.longlong
    while k.peers[peer].queue_head != k.peers[peer].queue_tail:
        row = peer * QUEUE_PER_PEER + k.peers[peer].queue_head % QUEUE_PER_PEER
        s = k.queued[row].slot
        layer = k.queued[row].layer
        p = packet_row(k, layer, k.queued[row].source)
        if (
            k.slots[s].generation != k.queued[row].slot_generation
            or k.layers[layer].generation != k.queued[row].layer_generation
            or k.packets[p].index != k.queued[row].source
            or k.slots[s].current_layer != layer
        ):
            k.departed[DEPARTURE_QUEUE_STALE] += 1
        else:
            if not credit(k, peer, k.packets[p].length):
                return
            deliver(k, s, layer, p)
        k.peers[peer].queue_head = (k.peers[peer].queue_head + 1) & MASK_32


def catch_up(k, s, layer, first):
    """Switch the slot to `layer` at source index `first` and send all that the ring has from there on.

    Audio may start a packet later (rule A3). Returns 1 when the slot switched.
    """
    index: cython.longlong = first
    newest: cython.longlong = k.layers[layer].newest
    p: cython.longlong
    verdict: cython.int
    switched: cython.int = 0
    k.from_ring = 1  # late on purpose: not a latency of forwarding
    while index <= newest:
        p = packet_row(k, layer, index)
        if k.packets[p].index == index and k.packets[p].generation == k.layers[layer].generation:
            if not switched:
                detach(k, s)
                verdict = switch(k, s, layer, p)
                if verdict != DEPARTURE_SENT:
                    k.departed[verdict] += 1
                    index += 1
                    continue
                switched = 1
                detach_wanted(k, s)
                attach(k, s, layer)
                k.counters[COUNTER_AUDIO_SWITCHES if k.slots[s].kind == KIND_AUDIO else COUNTER_SWITCHES] += 1
                k.tell(k, EVENT_SWITCHED, s, layer, k.layers[layer].generation, k.layers[layer].height)
            offer(k, s, layer, p)
        index += 1
    k.from_ring = 0
    return switched


def forward(k, layer, rows, count):
    """Send `count` packets (rows of the ring, as they came) to every slot that carries the layer, slot by slot.

    Then let the slots that wait for it start at the last key frame among them, or at once for audio.
    """
    s: cython.longlong = k.layers[layer].first_current
    after: cython.longlong
    first: cython.longlong = -1
    i: cython.int
    while s >= 0:
        for i in range(count):
            offer(k, s, layer, rows[i])
        s = k.slots[s].next_current
    s = k.layers[layer].first_wanted
    if s < 0:
        return
    for i in range(count):
        if k.packets[rows[i]].key_frame:
            first = k.packets[rows[i]].index
    while s >= 0:
        after = k.slots[s].next_wanted
        if k.slots[s].kind == KIND_AUDIO:
            catch_up(k, s, layer, k.packets[rows[0]].index)
        elif first >= 0:
            catch_up(k, s, layer, first)
        s = after
