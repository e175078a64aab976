"""What Python wants, carried out between two bursts: the only place where rows begin and end."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from sfu.routing.kernel.arrivals cimport flush_run, hash_address
from sfu.routing.kernel.binding cimport unbind
from sfu.routing.kernel.forward cimport detach, detach_wanted, want
from sfu.routing.kernel.rank cimport assign, assign_all, unseat
from sfu.routing.kernel.rings cimport room, st_store, waiting
from sfu.routing.kernel.srtp cimport st_srtp_close, st_srtp_open
from sfu.routing.kernel.tables cimport *
from sfu.routing.kernel.udp cimport send_rtcp, tell

# One command retires at most this many rows; with fewer free events it waits, so that no RETIRED is lost.
cdef int EVENTS_KEPT = 256


cdef int apply_commands(Core* core) noexcept nogil:
    """All waiting commands in order; returns how many."""
    cdef int count = 0
    cdef CommandRow* command
    while waiting(&core.commands) and room(&core.events) >= <uint32_t> EVENTS_KEPT:
        command = &core.command_rows[core.commands.head % core.commands.size]
        if apply(core, command) < 0:
            core.state.counters[COUNTER_COMMANDS_STALE] += 1
        st_store(&core.commands.head, core.commands.head + 1)
        count += 1
    core.state.counters[COUNTER_COMMANDS] += count
    return count


cdef int apply(Core* core, CommandRow* c) noexcept nogil:
    """One command; -1 when it names a row that is no longer what it was."""
    cdef State* k = &core.state
    cdef int r = c.row
    if c.kind == COMMAND_ADD_PEER:
        return add_peer(core, c)
    if c.kind == COMMAND_SET_PATH:
        return set_path(core, c)
    if c.kind == COMMAND_ADD_TRACK:
        return add_track(core, c)
    if c.kind == COMMAND_ADD_LAYER:
        return add_layer(core, c)
    if c.kind == COMMAND_ADD_SLOT:
        return add_slot(core, c)
    if c.kind == COMMAND_SET_AUDIO:
        k.audio[0].threshold = c.numbers[0]
        k.audio[0].hold_us = c.numbers[1]
        k.audio[0].margin = c.numbers[2]
        k.audio[0].margin_us = c.numbers[3]
        return 0
    if c.kind == COMMAND_FENCE:
        tell(k, EVENT_FENCED, 0, c.numbers[0], 0, 0)
        return 0
    if c.kind == COMMAND_DROP_PATH:
        return drop_path(core, r) if k.paths[r].live and k.paths[r].generation == c.generation else -1
    if c.kind in (COMMAND_WANT, COMMAND_DROP_SLOT):
        if not k.slots[r].live or k.slots[r].generation != c.generation:
            return -1
        return want_layer(core, c) if c.kind == COMMAND_WANT else drop_slot(core, r)
    if c.kind in (COMMAND_MUTE, COMMAND_DROP_TRACK):
        if not k.tracks[r].live or k.tracks[r].generation != c.generation:
            return -1
        return mute(core, c) if c.kind == COMMAND_MUTE else drop_track(core, r)
    if not k.peers[r].live or k.peers[r].generation != c.generation:
        return -1
    if c.kind == COMMAND_SET_KEYS:
        return set_keys(core, c)
    if c.kind == COMMAND_DROP_PEER:
        return drop_peer(core, r)
    if c.kind == COMMAND_SEND_RTCP:
        k.counters[COUNTER_PLIS_WRITTEN] += c.length > 1 and c.bytes[1] == 206  # RFC 4585: payload-specific feedback
        return send_rtcp(core, r, c.bytes, c.length)
    if c.kind == COMMAND_SET_LIMIT:
        k.peers[r].limit_bps = k.peers[r].allowance_bits = c.numbers[0]
        k.peers[r].allowance_at_us = k.now_us
        return 0
    if c.kind == COMMAND_SET_RATE:
        k.peers[r].rate_bps = c.numbers[0]
        k.peers[r].credit_at_us = k.now_us
        k.peers[r].credit_bits = 0
        return 0
    return -1


cdef void retired(Core* core, int kind, int row, int64_t generation) noexcept nogil:
    tell(&core.state, EVENT_RETIRED, row, kind, generation, 0)


cdef int add_peer(Core* core, CommandRow* c) noexcept nogil:
    """A new peer, or the extensions of one that is there already."""
    cdef State* k = &core.state
    cdef PeerRow* p = &k.peers[c.row]
    cdef int i
    cdef bint known = p.live and p.generation == c.generation
    if not known:
        memset(p, 0, sizeof(PeerRow))
        memset(&k.streams[c.row * STREAMS_PER_PEER], 0, STREAMS_PER_PEER * sizeof(StreamRow))
        p.generation = c.generation
        p.live = 1
        p.path = p.first_slot = -1
        for i in range(AUDIO_SLOTS_PER_PEER):
            p.audio_slots[i] = -1
        for i in range(TRACKS_PER_PEER):
            p.tracks[i] = -1
        p.room = c.numbers[0]
        p.next_peer = k.rooms[p.room].first_peer
        p.previous_peer = -1
        if p.next_peer >= 0:
            k.peers[p.next_peer].previous_peer = c.row
        k.rooms[p.room].first_peer = c.row
        k.rooms[p.room].peers += 1
        core.peers_used = max(core.peers_used, c.row + 1)
        core.rooms_used = max(core.rooms_used, p.room + 1)
    p.sender_ssrc = c.numbers[1]
    p.extension_mid = c.numbers[2]
    p.extension_rid = c.numbers[3]
    p.extension_repaired_rid = c.numbers[4]
    p.extension_transport_cc = c.numbers[5]
    p.extension_audio_level = c.numbers[6]
    p.extension_orientation = c.numbers[7]
    p.password_length = c.length if c.length <= 64 else 64
    memcpy(p.password, c.bytes, p.password_length)
    return 0


cdef int set_path(Core* core, CommandRow* c) noexcept nogil:
    cdef State* k = &core.state
    cdef PathRow* path = &k.paths[c.row]
    cdef int peer = c.numbers[0]
    if not k.peers[peer].live or k.peers[peer].generation != <uint32_t> c.numbers[1]:
        retired(core, COMMAND_DROP_PATH, c.row, c.generation)
        return -1
    if not path.live:
        memset(path, 0, sizeof(PathRow))
        path.live = 1
        path.generation = c.generation
        path.peer = peer
        path.peer_generation = c.numbers[1]
        path.socket = c.numbers[2]
        path.address_length = c.length
        memcpy(path.address, c.bytes, 28)
        path.hash = hash_address(path.socket, path.address)
        path.next_path = k.buckets[path.hash % BUCKETS]
        k.buckets[path.hash % BUCKETS] = c.row
    if c.numbers[3] or k.peers[peer].path < 0:
        k.peers[peer].path = c.row
        k.peers[peer].error_since_us = k.peers[peer].paused_until_us = 0
    k.peers[peer].received_at_us = k.now_us
    return 0


cdef int drop_path(Core* core, int row) noexcept nogil:
    cdef State* k = &core.state
    cdef int32_t* link = &k.buckets[k.paths[row].hash % BUCKETS]
    while link[0] != row:
        link = &k.paths[link[0]].next_path
    link[0] = k.paths[row].next_path
    if k.peers[k.paths[row].peer].path == row:
        k.peers[k.paths[row].peer].path = -1
    k.paths[row].live = 0
    retired(core, COMMAND_DROP_PATH, row, k.paths[row].generation)
    return 0


cdef int set_keys(Core* core, CommandRow* c) noexcept nogil:
    """Keys come once in a peer's life: with new ones for old SSRCs an index could be sealed twice."""
    cdef PeerRow* p = &core.state.peers[c.row]
    cdef int profile = c.numbers[0], key = 32 if profile == PROFILE_AEAD_AES_256_GCM else 16
    cdef int salt = 14 if profile == PROFILE_AES_CM_128_HMAC_SHA1_80 else 12
    cdef uint8_t* b = c.bytes
    if p.profile or <int> c.length != 2 * (key + salt):
        return -1
    if st_srtp_open(&core.keys[c.row], profile, b, b + key, b + key + salt, b + 2 * key + salt):
        return -1
    memset(c.bytes, 0, 256)
    p.profile = profile
    assign(&core.state, c.row)
    return 0


cdef int add_track(Core* core, CommandRow* c) noexcept nogil:
    cdef State* k = &core.state
    cdef TrackRow* t = &k.tracks[c.row]
    cdef int peer = c.numbers[0], i
    if not k.peers[peer].live or k.peers[peer].generation != <uint32_t> c.numbers[1]:
        retired(core, COMMAND_DROP_TRACK, c.row, c.generation)
        return -1
    memset(t, 0, sizeof(TrackRow))
    t.live = 1
    t.generation = c.generation
    t.peer = peer
    t.room = k.peers[peer].room
    t.seat = -1
    t.kind = c.numbers[2]
    t.codec = c.numbers[3]
    t.payload_type = c.numbers[4]
    t.rtx_payload_type = c.numbers[5]
    t.clock_rate = c.numbers[6]
    t.nack = c.numbers[7]
    t.red_payload_type = c.numbers[8]
    t.mid_length = c.length if c.length <= 16 else 16
    memcpy(t.mid, c.bytes, t.mid_length)
    for i in range(LAYERS_PER_TRACK):
        t.layers[i] = -1
    for i in range(TRACKS_PER_PEER):
        if k.peers[peer].tracks[i] < 0:
            k.peers[peer].tracks[i] = c.row
            return 0
    t.live = 0
    retired(core, COMMAND_DROP_TRACK, c.row, c.generation)
    return -1


cdef int add_layer(Core* core, CommandRow* c) noexcept nogil:
    cdef State* k = &core.state
    cdef LayerRow* l = &k.layers[c.row]
    cdef int track = c.numbers[0], i
    cdef int64_t first = c.row * <int64_t> k.ring
    if not k.tracks[track].live or k.tracks[track].generation != <uint32_t> c.numbers[1] or k.tracks[track].layer_count == LAYERS_PER_TRACK:
        retired(core, COMMAND_DROP_LAYER, c.row, c.generation)
        return -1
    memset(l, 0, sizeof(LayerRow))
    l.live = 1
    l.generation = c.generation
    l.track = track
    l.first_current = l.first_wanted = -1
    l.newest = l.oldest = l.key_frame = -1
    l.ssrc = c.numbers[2]
    l.rtx_ssrc = c.numbers[3]
    l.ring_mask = (k.audio_ring if k.tracks[track].kind == KIND_AUDIO else k.ring) - 1
    l.rid_length = c.length if c.length <= 16 else 16
    memcpy(l.rid, c.bytes, l.rid_length)
    for i in range(l.ring_mask + 1):
        k.packets[first + i].index = -1
    k.tracks[track].layers[k.tracks[track].layer_count] = c.row
    k.tracks[track].layer_count += 1
    core.layers_used = max(core.layers_used, c.row + 1)
    return 0


cdef int add_slot(Core* core, CommandRow* c) noexcept nogil:
    cdef State* k = &core.state
    cdef SlotRow* s = &k.slots[c.row]
    cdef int peer = c.numbers[0], i
    if not k.peers[peer].live or k.peers[peer].generation != <uint32_t> c.numbers[1]:
        retired(core, COMMAND_DROP_SLOT, c.row, c.generation)
        return -1
    # What the row sent in an earlier life is none of this one's. A row that sent nothing costs no memory: 8 KiB a slot.
    if s.started:
        memset(&k.sent[c.row * <int64_t> SENT_PER_SLOT], 0, SENT_PER_SLOT * sizeof(SentRow))
    memset(s, 0, sizeof(SlotRow))
    s.live = 1
    s.generation = c.generation
    s.peer = peer
    s.current_layer = s.wanted_layer = s.next_current = s.previous_current = s.next_wanted = s.previous_wanted = -1
    s.dropped_picture = s.last_layer = -1
    s.kind = c.numbers[2]
    s.codec = c.numbers[3]
    s.payload_type = c.numbers[4]
    s.rtx_payload_type = c.numbers[5]
    s.clock_rate = c.numbers[6]
    s.ssrc = c.numbers[7]
    s.rtx_ssrc = c.numbers[8]
    s.ranked = c.numbers[9]
    # The first numbers are drawn below 2^15, so that a receiver that misses them guesses the same ROC.
    s.last_index = c.numbers[10] & 0x7FFF
    s.rtx_index = c.numbers[10] >> 16 & 0x7FFF
    s.last_picture = c.numbers[10] >> 32 & 0x7FFF
    s.last_tl0 = c.numbers[10] >> 48 & 0xFF
    s.timestamp_base = c.numbers[11]
    s.red_payload_type = c.numbers[12]
    s.wanted_temporal = s.current_temporal = 3
    s.mid_length = c.length if c.length <= 16 else 16
    memcpy(s.mid, c.bytes, s.mid_length)
    s.next_of_peer = k.peers[peer].first_slot
    k.peers[peer].first_slot = c.row
    core.slots_used = max(core.slots_used, c.row + 1)
    if s.kind == KIND_AUDIO:
        for i in range(AUDIO_SLOTS_PER_PEER):
            if k.peers[peer].audio_slots[i] < 0:
                k.peers[peer].audio_slots[i] = c.row
                break
        if s.ranked:
            assign(k, peer)
    return 0


cdef int want_layer(Core* core, CommandRow* c) noexcept nogil:
    cdef State* k = &core.state
    cdef int layer = c.numbers[0]
    if layer >= 0 and (not k.layers[layer].live or k.layers[layer].generation != <uint32_t> c.numbers[1]):
        want(k, c.row, -1, c.numbers[2])
        return -1
    want(k, c.row, layer, c.numbers[2])
    if k.slots[c.row].kind == KIND_AUDIO:
        assign(k, k.slots[c.row].peer)  # a pair's audio leaves the ranked slots
    return 0


cdef int mute(Core* core, CommandRow* c) noexcept nogil:
    cdef State* k = &core.state
    k.tracks[c.row].muted = c.numbers[0]
    if c.numbers[0] and k.tracks[c.row].seat >= 0:
        unseat(k, c.row)
        assign_all(k, k.tracks[c.row].room)
    return 0


cdef int drop_slot(Core* core, int row) noexcept nogil:
    cdef State* k = &core.state
    cdef SlotRow* s = &k.slots[row]
    cdef int32_t* link = &k.peers[s.peer].first_slot
    cdef int i
    detach(k, row)
    detach_wanted(k, row)
    while link[0] != row:
        link = &k.slots[link[0]].next_of_peer
    link[0] = s.next_of_peer
    for i in range(AUDIO_SLOTS_PER_PEER):
        if k.peers[s.peer].audio_slots[i] == row:
            k.peers[s.peer].audio_slots[i] = -1
    s.live = 0
    retired(core, COMMAND_DROP_SLOT, row, s.generation)
    return 0


cdef int drop_track(Core* core, int row) noexcept nogil:
    """The track and its layers; slots that carried them carry nothing."""
    cdef State* k = &core.state
    cdef TrackRow* t = &k.tracks[row]
    cdef int i, layer
    flush_run(core)
    if t.seat >= 0:
        unseat(k, row)
        assign_all(k, t.room)
    for i in range(t.layer_count):
        layer = t.layers[i]
        while k.layers[layer].first_current >= 0:
            detach(k, k.layers[layer].first_current)
        while k.layers[layer].first_wanted >= 0:
            detach_wanted(k, k.layers[layer].first_wanted)
        unbind(core, t.peer, layer)
        k.layers[layer].live = 0
        retired(core, COMMAND_DROP_LAYER, layer, k.layers[layer].generation)
    for i in range(TRACKS_PER_PEER):
        if k.peers[t.peer].tracks[i] == row:
            k.peers[t.peer].tracks[i] = -1
    t.live = 0
    retired(core, COMMAND_DROP_TRACK, row, t.generation)
    return 0


cdef int drop_peer(Core* core, int row) noexcept nogil:
    """The peer with all that is left of its tracks and slots; Python has dropped its paths before."""
    cdef State* k = &core.state
    cdef PeerRow* p = &k.peers[row]
    cdef int i
    for i in range(TRACKS_PER_PEER):
        if p.tracks[i] >= 0:
            drop_track(core, p.tracks[i])
    while p.first_slot >= 0:
        drop_slot(core, p.first_slot)
    if p.previous_peer >= 0:
        k.peers[p.previous_peer].next_peer = p.next_peer
    else:
        k.rooms[p.room].first_peer = p.next_peer
    if p.next_peer >= 0:
        k.peers[p.next_peer].previous_peer = p.previous_peer
    k.rooms[p.room].peers -= 1
    if p.profile:
        st_srtp_close(&core.keys[row])
    p.queue_head = p.queue_tail
    p.profile = p.live = 0
    retired(core, COMMAND_DROP_PEER, row, p.generation)
    return 0
