"""Which layer an SSRC belongs to, and what was seen of it: index and replay window (RFC 3711 3.3).

Bound by `a=ssrc` where the offer had it, else by MID and RID of the first packets, a repair stream by
repaired-rid and the RTX payload type. A row is made only for a packet whose tag was right.
"""

from libc.string cimport memcmp, memset

from sfu.routing.kernel.arrivals cimport forget_ring
from sfu.routing.kernel.srtp cimport st_open_rtp
from sfu.routing.kernel.tables cimport *


cdef int find_stream(Core* core, int peer, long long ssrc) noexcept nogil:
    cdef StreamRow* rows = &core.state.streams[peer * STREAMS_PER_PEER]
    cdef int i
    for i in range(STREAMS_PER_PEER):
        if not rows[i].live:
            return -1
        if rows[i].ssrc == ssrc:
            return peer * STREAMS_PER_PEER + i
    return -1


cdef int open_stream(Core* core, int peer, int stream, uint8_t* data, int n, rtp.RtpHeader* header,
                     long long* index, int* end) noexcept nogil:
    """Open the packet in place: its index, and where it ends without the tag. An Arrival verdict, or -1 when open."""
    cdef StreamRow* row = &core.state.streams[stream]
    cdef long long behind
    cdef int word
    index[0] = rtp.unwrap(row.highest if stream >= 0 else -1, header.sequence)
    if index[0] < 0:
        return ARRIVAL_TOO_OLD
    if stream >= 0 and row.highest >= 0:
        behind = row.highest - index[0]
        if behind >= 256:
            return ARRIVAL_TOO_OLD
        if behind >= 0 and row.window[index[0] >> 6 & 3] >> (index[0] & 63) & 1:
            return ARRIVAL_REPLAYED
    end[0] = st_open_rtp(&core.keys[peer].rtp_in, data, header.size, n, index[0])
    if end[0] < 0:
        return ARRIVAL_SRTP_BAD_TAG
    if stream >= 0:
        advance(row, index[0])
    return -1


cdef void advance(StreamRow* row, long long index) noexcept nogil:
    """Mark an index as seen; the window is a circle of 256 bits."""
    cdef long long at
    if index - row.highest >= 256:
        memset(row.window, 0, sizeof(row.window))
        row.highest = index
    at = row.highest + 1
    while at <= index:
        row.window[at >> 6 & 3] &= ~(1ULL << (at & 63))
        at += 1
    if index > row.highest:
        row.highest = index
    row.window[index >> 6 & 3] |= 1ULL << (index & 63)


cdef bint equal(const uint8_t* a, int a_length, const uint8_t* b, int b_length) noexcept nogil:
    return a_length == b_length and memcmp(a, b, a_length) == 0


cdef bint is_media(TrackRow* track, int payload_type) noexcept nogil:
    return payload_type == track.payload_type or (payload_type == track.red_payload_type and payload_type != 0)


cdef int match(Core* core, int peer, const uint8_t* data, rtp.RtpHeader* header, int* repair) noexcept nogil:
    """The layer that the packet's own words name, -1 when they do not suffice (yet)."""
    cdef State* k = &core.state
    cdef PeerRow* p = &k.peers[peer]
    cdef rtp.Element element, mid, rid, repaired
    cdef int at = header.extension_at, end = header.extension_at + header.extension_size
    cdef int i, j, track, layer
    mid.length = rid.length = repaired.length = 0
    while True:
        at = rtp.next_element(data, at, end, header.extension_profile, &element)
        if at < 0:
            break
        if element.id == p.extension_mid:
            mid = element
        elif element.id == p.extension_rid:
            rid = element
        elif element.id == p.extension_repaired_rid:
            repaired = element
    if repaired.length == 0:
        repaired = rid
    for i in range(TRACKS_PER_PEER):
        track = p.tracks[i]
        if track < 0:
            continue
        repair[0] = header.payload_type == k.tracks[track].rtx_payload_type and k.tracks[track].rtx_payload_type != 0
        for j in range(k.tracks[track].layer_count):
            layer = k.tracks[track].layers[j]
            if header.ssrc == (k.layers[layer].rtx_ssrc if repair[0] else k.layers[layer].ssrc):
                return layer
            if not repair[0] and not is_media(&k.tracks[track], header.payload_type):
                continue
            if not equal(data + mid.at, mid.length, k.tracks[track].mid, k.tracks[track].mid_length):
                continue
            if k.layers[layer].rid_length == 0:
                return layer
            if repair[0] and equal(data + repaired.at, repaired.length, k.layers[layer].rid, k.layers[layer].rid_length):
                return layer
            if not repair[0] and equal(data + rid.at, rid.length, k.layers[layer].rid, k.layers[layer].rid_length):
                return layer
    return -1


cdef int bind(Core* core, int peer, int stream, long long index, const uint8_t* data, rtp.RtpHeader* header) noexcept nogil:
    """The stream row of an opened packet, made and bound where that can be done; -1 when the peer has too many."""
    cdef State* k = &core.state
    cdef int i, layer, repair = 0
    if stream < 0:
        for i in range(STREAMS_PER_PEER):
            if not k.streams[peer * STREAMS_PER_PEER + i].live:
                stream = peer * STREAMS_PER_PEER + i
                break
        if stream < 0:
            return -1
        memset(&k.streams[stream], 0, sizeof(StreamRow))
        k.streams[stream].live = 1
        k.streams[stream].ssrc = header.ssrc
        k.streams[stream].layer = -1
        k.streams[stream].highest = index - 1
        advance(&k.streams[stream], index)
    if k.streams[stream].layer >= 0:
        return stream
    layer = match(core, peer, data, header, &repair)
    if layer < 0:
        return stream
    k.streams[stream].layer = layer
    k.streams[stream].repair = repair
    if repair:
        k.layers[layer].rtx_ssrc = header.ssrc
    elif k.layers[layer].newest >= 0:
        # The publisher began anew under another SSRC: the old stream is nobody's any longer.
        for i in range(STREAMS_PER_PEER):
            if i + peer * STREAMS_PER_PEER != stream and k.streams[peer * STREAMS_PER_PEER + i].layer == layer:
                if not k.streams[peer * STREAMS_PER_PEER + i].repair:
                    k.streams[peer * STREAMS_PER_PEER + i].layer = -1
        forget_ring(core, layer)
        k.layers[layer].ssrc = header.ssrc
    else:
        k.layers[layer].ssrc = header.ssrc
    return stream


cdef void unbind(Core* core, int peer, int layer) noexcept nogil:
    """The layer is gone: its streams belong to nothing. Their windows stay, or old packets could be replayed."""
    cdef int i
    for i in range(STREAMS_PER_PEER):
        if core.state.streams[peer * STREAMS_PER_PEER + i].layer == layer:
            core.state.streams[peer * STREAMS_PER_PEER + i].layer = -1
