"""The ways out: datagrams to the network, events and hand-ups to Python."""

from libc.errno cimport EAGAIN, ECONNREFUSED, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENOBUFS, EPERM
from libc.string cimport memcpy

from sfu.routing.kernel.rewrite cimport recall, remember, rewrite, rewrite_repair
from sfu.routing.kernel.rings cimport room, st_monotonic_us, st_store
from sfu.routing.kernel.srtp cimport st_seal_rtcp, st_seal_rtp
from sfu.routing.kernel.core cimport ST_BATCH, st_latency_bucket, st_outbox_put, st_send, st_vector_size
from sfu.routing.kernel.tables cimport *

# Three seconds of errors pause a path (DESIGN section 3); a datagram from it ends the pause.
cdef int64_t PAUSE_AFTER_US = 3000000
cdef int64_t FOR_EVER_US = 1LL << 62
# Verdict of an outgoing datagram that is no (packet, route) pair: an answer to a binding request.
cdef int NO_VERDICT = -2


cdef uint8_t* begin(Core* core) noexcept nogil:
    """Where the next datagram is written; `finish` sends it on its way, or nothing does."""
    if core.outbox.count == ST_BATCH:
        flush(core)
    return core.outbox.bytes[core.outbox.count]


cdef void finish(Core* core, int peer, int path, int slot, int n, int verdict) noexcept nogil:
    """Put the `n` bytes written at `begin` into the batch for this path."""
    cdef PathRow* to = &core.state.paths[path]
    st_outbox_put(&core.outbox, core.fds[to.socket], to.address, to.address_length, n, peer, slot, verdict)


cdef void pause(State* k, int peer) noexcept nogil:
    """Nothing more is sent to the peer until an authenticated datagram comes from it."""
    k.peers[peer].paused_until_us = FOR_EVER_US


cdef void done(Core* core, int i, int error) noexcept nogil:
    """Count how message `i` of the batch ended."""
    cdef State* k = &core.state
    cdef int peer = core.outbox.peer[i]
    cdef int verdict = core.outbox.verdict[i]
    if error == 0:
        k.counters[COUNTER_SENT_PACKETS] += 1
        k.counters[COUNTER_SENT_OCTETS] += st_vector_size(&core.outbox, i)
        if peer >= 0:
            k.peers[peer].sent_packets += 1
            k.peers[peer].sent_octets += st_vector_size(&core.outbox, i)
            k.peers[peer].error_since_us = 0
    else:
        if verdict == DEPARTURE_RTCP_SENT:
            verdict = DEPARTURE_RTCP_LOST
        elif verdict >= 0 and (error == EAGAIN or error == ENOBUFS):
            verdict = DEPARTURE_SEND_BUFFER
        elif verdict >= 0 and error in (ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ENETDOWN, EPERM):
            verdict = DEPARTURE_SEND_UNREACHABLE
        elif verdict >= 0:
            verdict = DEPARTURE_SEND_INVALID
        if peer >= 0 and error != EAGAIN and error != ENOBUFS:
            if k.peers[peer].error_since_us == 0:
                k.peers[peer].error_since_us = k.now_us
            elif k.now_us - k.peers[peer].error_since_us >= PAUSE_AFTER_US:
                pause(k, peer)
    if verdict >= 0:
        k.departed[verdict] += 1


cdef void note_latency(Core* core, int at, int count) noexcept nogil:
    """Count how long the packets of a run that has just left were here. One look at the clock for all of them."""
    cdef int64_t now_us = core.fixed_now_us if core.fixed_now_us else st_monotonic_us()
    cdef LatencyRow* latency = &core.state.latency[0]
    cdef int64_t us
    cdef int i
    for i in range(at, at + count):
        if core.outbox.arrival_us[i]:
            us = now_us - core.outbox.arrival_us[i]
            latency.counts[st_latency_bucket(us, LATENCY_FIRST_US, LATENCY_BUCKETS)] += 1
            latency.sum_us += us if us > 0 else 0


cdef void flush(Core* core) noexcept nogil:
    """Send the batch. A message that fails ends with its own verdict, the rest goes on."""
    cdef int at = 0, run, sent, i
    while at < core.outbox.count:
        run = 1
        while at + run < core.outbox.count and core.outbox.fd[at + run] == core.outbox.fd[at]:
            run += 1
        sent = st_send(&core.outbox, at, run)
        if sent <= 0:
            done(core, at, -sent if sent < 0 else EAGAIN)
            at += 1
            continue
        for i in range(sent):
            done(core, at + i, 0)
        note_latency(core, at, sent)
        at += sent
    core.outbox.count = 0


cdef int emit(State* k, int32_t s, int64_t p) noexcept nogil:
    """Rewrite, seal and batch what select decided; -1 = its verdict comes with the batch."""
    cdef Core* core = <Core*> k.kernel
    cdef SlotRow* slot = &k.slots[s]
    cdef uint8_t* out = begin(core)
    cdef int n = rewrite(k, s, p, k.payloads + p * PACKET_BYTES, out)
    if n == 0:
        return DEPARTURE_OVERSIZED
    slot.packets += 1
    slot.octets += n - k.decision[0].header_bytes
    n = st_seal_rtp(&core.keys[slot.peer].rtp_out, out, k.decision[0].header_bytes, n, k.decision[0].index)
    if n < 0:
        return DEPARTURE_SEAL_FAILED
    if slot.kind == KIND_VIDEO:
        remember(k, s, slot.current_layer, p)
    finish(core, slot.peer, k.peers[slot.peer].path, s, n, DEPARTURE_SENT)
    if not k.from_ring:
        core.outbox.arrival_us[core.outbox.count - 1] = k.packets[p].arrival_us
    return -1


cdef int emit_repair(Core* core, int s, long long sequence) noexcept nogil:
    """Answer one NACKed number by a new packet on the RTX SSRC; the verdict, -1 = it comes with the batch."""
    cdef State* k = &core.state
    cdef SlotRow* slot = &k.slots[s]
    cdef uint8_t* out
    cdef int n
    cdef long long p
    if slot.rtx_payload_type == 0:
        return DEPARTURE_NACK_NO_RTX
    if k.peers[slot.peer].path < 0:
        return DEPARTURE_NO_PATH
    p = recall(k, s, sequence)
    if p < 0:
        return DEPARTURE_NACK_TOO_OLD
    out = begin(core)
    n = rewrite_repair(k, s, p, k.payloads + p * PACKET_BYTES, out, s * <long long> SENT_PER_SLOT + sequence % SENT_PER_SLOT)
    if n == 0:
        return DEPARTURE_OVERSIZED
    n = st_seal_rtp(&core.keys[slot.peer].rtp_out, out, k.decision[0].header_bytes, n, k.decision[0].index)
    if n < 0:
        return DEPARTURE_SEAL_FAILED
    finish(core, slot.peer, k.peers[slot.peer].path, s, n, DEPARTURE_RTX_SENT)
    return -1


cdef int send_rtcp(Core* core, int peer, const uint8_t* data, int n) noexcept nogil:
    """Seal and batch a compound packet; counts its verdict. 0, or -1 when it could not leave."""
    cdef State* k = &core.state
    cdef uint8_t* out
    if k.peers[peer].profile == 0 or k.peers[peer].path < 0 or n > 1400:
        k.departed[DEPARTURE_NO_PATH if k.peers[peer].path < 0 else DEPARTURE_NO_KEYS] += 1
        return -1
    if k.peers[peer].paused_until_us > k.now_us:
        k.departed[DEPARTURE_RTCP_LOST] += 1
        return -1
    out = begin(core)
    memcpy(out, data, n)
    n = st_seal_rtcp(&core.keys[peer], out, n)
    if n < 0:
        k.departed[DEPARTURE_SEAL_FAILED] += 1
        return -1
    finish(core, peer, k.peers[peer].path, -1, n, DEPARTURE_RTCP_SENT)
    return 0


cdef EventRow* next_event(Core* core, int kind, int row) noexcept nogil:
    """The row of the next event, its head filled; NULL when the ring is full."""
    cdef State* k = &core.state
    cdef EventRow* event
    if room(&core.events) == 0:
        k.counters[COUNTER_EVENTS_LOST] += 1
        return NULL
    event = &core.event_rows[core.events.tail % core.events.size]
    event.kind = kind
    event.row = row
    event.length = 0
    event.generation = 0
    if kind in (EVENT_PLI, EVENT_FIR, EVENT_SWITCHED, EVENT_LEFT):
        event.generation = k.slots[row].generation
    elif kind == EVENT_LAYER:
        event.generation = k.layers[row].generation
    elif row >= 0 and kind in (EVENT_DTLS, EVENT_ENCRYPTED):
        event.generation = k.peers[row].generation
    elif kind == EVENT_PATH:
        event.generation = k.paths[row].generation
    return event


cdef void publish(Core* core) noexcept nogil:
    st_store(&core.events.tail, core.events.tail + 1)
    core.told = 1


cdef void tell(State* k, int kind, int32_t row, int64_t a, int64_t b, int64_t c) noexcept nogil:
    """Write an event without bytes."""
    cdef Core* core = <Core*> k.kernel
    cdef EventRow* event = next_event(core, kind, row)
    if event == NULL:
        return
    event.a = a
    event.b = b
    event.c = c
    if kind == EVENT_SWITCHED and core.fresh_count < 256:
        core.fresh[core.fresh_count] = row
        core.fresh_count += 1
    publish(core)


cdef int hand_up(Core* core, int kind, int row, int socket, void* address, int address_size,
                 const uint8_t* data, int n) noexcept nogil:
    """Give Python a datagram; the Arrival verdict. A quarter of the ring is kept for events that must not be lost."""
    cdef EventRow* event
    if room(&core.events) * 4 < core.events.size or n > PACKET_BYTES:
        return ARRIVAL_HAND_UP_FULL
    event = next_event(core, kind, row)
    event.socket = socket
    event.address_length = address_size
    if address_size:
        memcpy(event.address, address, address_size if address_size <= 32 else 32)
    memcpy(event.bytes, data, n)
    event.length = n
    publish(core)
    return ARRIVAL_HANDED_UP
