"""The way in: a datagram is classified (RFC 7983), opened, kept in the ring of its layer, and offered to its routes."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from sfu.routing.kernel.core cimport (
    sockaddr,
    st_inbox_address,
    st_inbox_address_size,
    st_inbox_bytes,
    st_inbox_size,
    st_stamp_us,
    st_stun_answer,
)
from sfu.routing.kernel.binding cimport bind, find_stream, open_stream
from sfu.routing.kernel.forward cimport detach, forward, want
from sfu.routing.kernel.rank cimport assign_all, hear
from sfu.routing.kernel.reports cimport lack, note_arrival, read_rtcp, received
from sfu.routing.kernel.srtp cimport st_open_rtcp, st_open_rtp
from sfu.routing.kernel.tables cimport *
from sfu.routing.kernel.udp cimport begin, finish, hand_up, tell
from sfu.wire cimport av1, h264, red, rtp, vp8, vp9
from sfu.wire.octets cimport get16
from sfu.wire.picture cimport Picture


# Between two sizes of one layer that are told. Shorter lets a publisher whose every packet claims another size keep
# Python busy with choosing layers.
cdef int64_t SIZE_US = 20000


cdef unsigned int hash_address(int socket, void* address) noexcept nogil:
    """Family, port and address in network order, and the socket they came on."""
    cdef uint8_t* p = <uint8_t*> address
    cdef int n = 24 if (<uint16_t*> address)[0] == 10 else 8
    cdef uint32_t h = 2166136261u ^ <uint32_t> socket
    cdef int i
    for i in range(n):
        if n == 8 or i < 4 or i >= 8:  # an IPv6 flow label is not part of who it is
            h = (h ^ p[i]) * 16777619u
    return h


cdef bint same_address(uint8_t* a, uint8_t* b) noexcept nogil:
    if (<uint16_t*> a)[0] != (<uint16_t*> b)[0]:
        return False
    if (<uint16_t*> a)[0] == 10:
        return memcmp(a + 2, b + 2, 2) == 0 and memcmp(a + 8, b + 8, 16) == 0
    return memcmp(a + 2, b + 2, 6) == 0


cdef int find_path(Core* core, int socket, void* address, int address_size) noexcept nogil:
    """The path row of this sender on this socket, -1 when it is not known."""
    cdef unsigned int h = hash_address(socket, address)
    cdef int row = core.state.buckets[h % BUCKETS]
    while row >= 0:
        if (
            core.state.paths[row].hash == h
            and core.state.paths[row].socket == socket
            and same_address(core.state.paths[row].address, <uint8_t*> address)
        ):
            return row
        row = core.state.paths[row].next_path
    return -1


cdef int take(Core* core, int socket, int i) noexcept nogil:
    """Datagram `i` of the inbox; its Arrival verdict."""
    cdef State* k = &core.state
    cdef uint8_t* data = st_inbox_bytes(&core.inbox, i)
    cdef int n = st_inbox_size(&core.inbox, i)
    cdef void* address = st_inbox_address(&core.inbox, i)
    cdef int address_size = st_inbox_address_size(&core.inbox, i)
    cdef int path, peer
    if n == 0:
        return ARRIVAL_EMPTY
    if n > PACKET_BYTES:
        return ARRIVAL_OVERSIZED
    path = find_path(core, socket, address, address_size)
    peer = k.paths[path].peer if path >= 0 else -1
    if data[0] < 4:
        if path < 0:
            return hand_up(core, EVENT_STUN, -1, socket, address, address_size, data, n)
        return take_stun(core, path, peer, socket, address, address_size, data, n)
    if path < 0:
        return ARRIVAL_UNKNOWN_PATH
    if 20 <= data[0] < 64:
        return hand_up(core, EVENT_DTLS, peer, socket, address, address_size, data, n)
    if data[0] < 128 or data[0] > 191:
        return ARRIVAL_UNKNOWN_KIND
    if k.peers[peer].profile == 0:
        return ARRIVAL_NO_KEYS
    if n >= 2 and 192 <= data[1] <= 223:
        return take_rtcp(core, peer, data, n)
    return take_rtp(core, peer, data, n, stamp(core, i))


cdef int64_t stamp(Core* core, int i) noexcept nogil:
    """When datagram `i` arrived, on the monotonic clock; never in the future."""
    cdef int64_t at = st_stamp_us(&core.inbox, i)
    if at == 0 or at + core.stamp_offset_us > core.state.now_us:
        return core.state.now_us
    return at + core.stamp_offset_us


cdef void alive(Core* core, int peer) noexcept nogil:
    """An authenticated datagram came: the peer is there and its path works."""
    core.state.peers[peer].received_at_us = core.state.now_us
    core.state.peers[peer].paused_until_us = 0


cdef void keyed(Core* core, int peer) noexcept nogil:
    """A packet opened, so the peer has its keys and our last flight; the first one is told."""
    alive(core, peer)
    if not core.state.peers[peer].opened:
        core.state.peers[peer].opened = 1
        tell(&core.state, EVENT_ENCRYPTED, peer, 0, 0, 0)


cdef int take_stun(Core* core, int path, int peer, int socket, void* address, int address_size,
                   uint8_t* data, int n) noexcept nogil:
    """A binding request on a known path is answered here; what is not plain goes up."""
    cdef State* k = &core.state
    cdef int nominated = 0
    cdef uint8_t* out = begin(core)
    cdef int size = st_stun_answer(data, n, k.peers[peer].password, k.peers[peer].password_length,
                                   <sockaddr*> address, out, &nominated)
    if size < 0:
        return ARRIVAL_STUN_BAD
    if size == 0:
        return hand_up(core, EVENT_STUN, peer, socket, address, address_size, data, n)
    alive(core, peer)
    finish(core, peer, path, -1, size, -2)
    if nominated and k.peers[peer].path != path:
        k.peers[peer].path = path
        tell(k, EVENT_PATH, path, peer, 0, 0)
    return ARRIVAL_STUN_ANSWERED


cdef int take_rtcp(Core* core, int peer, uint8_t* data, int n) noexcept nogil:
    n = st_open_rtcp(&core.keys[peer], data, n)
    if n == -2:
        return ARRIVAL_REPLAYED
    if n == -3:
        return ARRIVAL_STREAMS_FULL
    if n < 0:
        return ARRIVAL_SRTCP_BAD_TAG
    keyed(core, peer)
    return ARRIVAL_RTCP_READ if read_rtcp(core, peer, data, n) == 0 else ARRIVAL_RTCP_BAD


cdef bint over_limit(State* k, int peer, int stream, int n) noexcept nogil:
    """Charge a packet to its peer's limit. True = it must be dropped: a picture's at 0, any at a second's overdraft.

    Asked before the packet is noted for TWCC: to the sender it is lost, so that its own estimate gives way.
    """
    cdef PeerRow* p = &k.peers[peer]
    if p.limit_bps == 0:
        return False
    p.allowance_bits = min(
        p.limit_bps, p.allowance_bits + (k.now_us - p.allowance_at_us) * p.limit_bps // 1000000
    )
    p.allowance_at_us = k.now_us
    cdef int layer = k.streams[stream].layer if stream >= 0 else -1
    cdef bint sound = layer >= 0 and k.tracks[k.layers[layer].track].kind == KIND_AUDIO
    if p.allowance_bits < (-p.limit_bps if sound else 8 * n):
        return True
    p.allowance_bits -= 8 * n
    return False


cdef int take_rtp(Core* core, int peer, uint8_t* data, int n, int64_t arrival_us) noexcept nogil:
    """Open, bind, note; then media goes to its ring and a repair is unwrapped into it."""
    cdef State* k = &core.state
    cdef rtp.RtpHeader header
    cdef long long index
    cdef int end, stream, layer, verdict
    if rtp.parse(data, n, &header) < 0:
        return ARRIVAL_MALFORMED
    stream = find_stream(core, peer, header.ssrc)
    verdict = open_stream(core, peer, stream, data, n, &header, &index, &end)
    if verdict >= 0:
        return verdict
    keyed(core, peer)
    k.peers[peer].received_packets += 1
    k.peers[peer].received_octets += n
    if over_limit(k, peer, stream, n):
        return ARRIVAL_OVER_LIMIT
    note_arrival(core, peer, data, &header, arrival_us)
    stream = bind(core, peer, stream, index, data, &header)
    if stream < 0:
        return ARRIVAL_STREAMS_FULL
    layer = k.streams[stream].layer
    if layer < 0:
        return ARRIVAL_UNBOUND
    end = rtp.payload_end(data, end, &header)
    if end < 0:
        return ARRIVAL_MALFORMED
    if k.streams[stream].repair:
        if end - header.size < 2:
            return ARRIVAL_RTX_PADDING
        if k.layers[layer].newest < 0:
            return ARRIVAL_UNBOUND
        index = rtp.unwrap(k.layers[layer].newest, get16(data, header.size))
        verdict = keep(core, layer, index, &header, data, header.size + 2, end, arrival_us, 1)
        return ARRIVAL_RTX_RECOVERED if verdict == ARRIVAL_FORWARDED else verdict
    return keep(core, layer, index, &header, data, header.size, end, arrival_us, 0)


cdef void read_elements(State* k, PacketRow* packet, int peer, const uint8_t* data, rtp.RtpHeader* header) noexcept nogil:
    """Audio level (RFC 6464) and video orientation, where the publisher sends them."""
    cdef rtp.Element element
    cdef int at = header.extension_at, end = header.extension_at + header.extension_size
    packet.level = packet.orientation = 255
    packet.voice = 0
    while True:
        at = rtp.next_element(data, at, end, header.extension_profile, &element)
        if at < 0:
            return
        if element.length < 1:
            continue
        if element.id == k.peers[peer].extension_audio_level:
            packet.level = data[element.at] & 127
            packet.voice = data[element.at] >> 7
        elif element.id == k.peers[peer].extension_orientation:
            packet.orientation = data[element.at]


cdef int read_payload(TrackRow* track, PacketRow* packet, Picture* picture, int payload_type,
                      const uint8_t* payload, int n) noexcept nogil:
    """What forwarding must know of the payload; an Arrival verdict when it cannot be one, else -1."""
    packet.descriptor = packet.picture_id = packet.tl0 = packet.temporal = packet.temporal_sync = 0
    packet.key_frame = packet.frame_start = packet.red = 0
    cdef int bad = 0
    if n == 0:
        return -1
    if track.codec == CODEC_OPUS:
        if payload_type != track.red_payload_type or payload_type == 0:
            return -1
        bad = red.parse(payload, n, track.payload_type)
        packet.red = bad if bad > 0 else 0
        return ARRIVAL_RED_BAD if bad < 0 else -1
    if track.codec == CODEC_VP8:
        bad = read_vp8(packet, picture, payload, n)
    elif track.codec == CODEC_H264:
        bad = h264.parse(payload, n, picture)
    elif track.codec == CODEC_VP9:
        bad = vp9.parse(payload, n, picture)
    elif track.codec == CODEC_AV1:
        bad = av1.parse(payload, n, picture)
    else:
        return -1
    if bad < 0:
        return ARRIVAL_MALFORMED
    packet.key_frame = picture.key_frame
    return -1


cdef int read_vp8(PacketRow* packet, Picture* picture, const uint8_t* payload, int n) noexcept nogil:
    """The one codec whose temporal layers are told apart and whose numbers are rewritten."""
    cdef vp8.Vp8Descriptor descriptor
    if vp8.parse(payload, n, &descriptor) < 0:
        return -1
    picture.key_frame = descriptor.key_frame
    picture.width = descriptor.width
    picture.height = descriptor.height
    packet.frame_start = descriptor.frame_start
    packet.picture_id = descriptor.picture_id
    packet.tl0 = descriptor.tl0
    packet.temporal = descriptor.temporal
    packet.temporal_sync = descriptor.sync
    packet.descriptor = (1 if descriptor.picture_bits == 7 else 2 if descriptor.picture_bits == 15 else 0) | (
        4 if descriptor.has_tl0 else 0) | (8 if descriptor.has_temporal else 0) | 16
    return 0


cdef bint continues_key_frame(State* k, int layer, long long index, uint32_t timestamp) noexcept nogil:
    """Whether a frame that is known as a key frame began before this packet: a slot must not start within it."""
    cdef LayerRow* l = &k.layers[layer]
    cdef PacketRow* first = &k.packets[layer * <long long> k.ring + (l.key_frame & l.ring_mask)]
    return 0 <= l.key_frame < index and first.index == l.key_frame and first.timestamp == timestamp


cdef int keep(Core* core, int layer, long long index, rtp.RtpHeader* header, const uint8_t* data, int at, int end,
              int64_t arrival_us, int repaired) noexcept nogil:
    """Put a packet into its layer's ring and into the run that is forwarded; its Arrival verdict."""
    cdef State* k = &core.state
    cdef LayerRow* l = &k.layers[layer]
    cdef long long row = layer * <long long> k.ring + (index & l.ring_mask)
    cdef PacketRow* packet = &k.packets[row]
    cdef PacketRow facts
    cdef Picture picture
    cdef int verdict
    if index < 0 or (l.newest >= 0 and index <= l.newest - l.ring_mask):
        return ARRIVAL_TOO_OLD
    if packet.index == index and packet.generation == l.generation:
        return ARRIVAL_DUPLICATE
    verdict = read_payload(&k.tracks[l.track], &facts, &picture, header.payload_type, data + at, end - at)
    if verdict >= 0:
        return verdict
    if facts.key_frame and continues_key_frame(k, layer, index, header.timestamp):
        facts.key_frame = 0
    read_elements(k, &facts, k.tracks[l.track].peer, data, header)
    facts.index = index
    facts.generation = l.generation
    facts.arrival_us = arrival_us
    facts.timestamp = header.timestamp
    facts.marker = header.marker
    facts.length = end - at
    facts.repaired = repaired
    if core.run_count and (core.run_layer != layer or core.run_count == 64):
        flush_run(core)
    lack(core, layer, index)
    packet[0] = facts
    memcpy(k.payloads + row * PACKET_BYTES, data + at, end - at)
    received(core, layer, row)
    if facts.key_frame:
        note_key_frame(core, layer, index, &picture)
    if k.tracks[l.track].muted:
        return ARRIVAL_MUTED
    core.run_layer = layer
    core.run_rows[core.run_count] = row
    core.run_count += 1
    if end == at:
        return ARRIVAL_PADDING
    return ARRIVAL_FORWARDED if l.first_current >= 0 or l.first_wanted >= 0 else ARRIVAL_NO_ROUTE


cdef void note_key_frame(Core* core, int layer, long long index, Picture* picture) noexcept nogil:
    cdef LayerRow* l = &core.state.layers[layer]
    if index <= l.key_frame:
        return
    l.key_frame = index
    l.key_frame_at_us = core.state.now_us
    l.key_frames += 1
    core.state.counters[COUNTER_KEY_FRAMES] += 1
    if core.state.now_us - l.size_told_at_us < SIZE_US and l.size_told_at_us:
        return  # a size that flickers: the next key frame tells
    # The first one is told in any case: a layer whose size nobody knows can be watched all the same.
    if l.key_frames == 1 or (picture.height and (picture.height != l.height or picture.width != l.width)):
        l.size_told_at_us = core.state.now_us
        l.height = picture.height
        l.width = picture.width
        tell(&core.state, EVENT_LAYER, layer, l.height, l.width, 0)


cdef void flush_run(Core* core) noexcept nogil:
    """Forward the packets that came one after the other for one layer, slot by slot; then let audio be ranked."""
    cdef State* k = &core.state
    cdef int layer = core.run_layer, i, changed = 0
    cdef int track
    if core.run_count == 0:
        return
    track = k.layers[layer].track
    forward(k, layer, core.run_rows, core.run_count)
    if k.tracks[track].kind == KIND_AUDIO:
        for i in range(core.run_count):
            changed |= hear(k, track, core.run_rows[i])
        if changed:
            assign_all(k, k.tracks[track].room)
    core.run_count = 0


cdef void forget_ring(Core* core, int layer) noexcept nogil:
    """The layer's numbers begin anew (another SSRC): nothing kept is valid, its viewers wait for a key frame."""
    cdef State* k = &core.state
    cdef LayerRow* l = &k.layers[layer]
    cdef long long row = layer * <long long> k.ring
    cdef int i, s, after
    if core.run_layer == layer:
        flush_run(core)
    for i in range(l.ring_mask + 1):
        k.packets[row + i].index = -1
    l.newest = l.oldest = l.key_frame = -1
    l.missing_count = 0
    l.sr_known = 0
    l.packets = l.octets = 0
    l.expected_prior = l.received_prior = l.lost_reported = 0
    l.jitter_q4 = l.transit = 0
    s = l.first_current
    while s >= 0:
        after = k.slots[s].next_current
        detach(k, s)
        if k.slots[s].wanted_layer < 0:
            want(k, s, layer, k.slots[s].wanted_temporal)
        s = after
