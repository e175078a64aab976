"""RTCP as the kernel reads and writes it: SR, RR, NACK, transport-wide feedback; PLI and FIR go up.

A BYE (RFC 3550 6.6) is read and changes nothing: who publishes is said in the offer, who left by his WebSocket.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from sfu.routing.kernel.binding cimport find_stream
from sfu.routing.kernel.core cimport st_latency_bucket
from sfu.routing.kernel.select cimport capture_us
from sfu.routing.kernel.tables cimport *
from sfu.routing.kernel.udp cimport emit_repair, send_rtcp, tell
from sfu.wire cimport rtcp, rtp
from sfu.wire.octets cimport get16, get32

# Between two feedback reports to a publisher. Above 100 ms Chromium's estimate crawls; lower costs datagrams.
cdef int64_t TRANSPORT_REPORT_US = 50000
cdef int64_t REPORT_US = 1000000
# A missing packet is asked for at once, then again after this long, so many times in all.
cdef int64_t ASK_AGAIN_US = 60000
cdef int ASK_MOST = 6
# A gap longer than this is an outage: a key frame mends it, hundreds of NACKs would not.
cdef int GAP_MOST = 48
# Between two requests of one slot that are told. The router sends a PLI every 300 ms at most; longer than a round
# trip would swallow the request of a client whose key frame was lost on its way.
cdef int64_t REQUEST_US = 20000
# Of the Unix epoch on the NTP scale, in seconds.
cdef int64_t NTP_EPOCH = 2208988800


cdef int find_slot(Core* core, int peer, long long ssrc) noexcept nogil:
    cdef int s = core.state.peers[peer].first_slot
    while s >= 0:
        if core.state.slots[s].ssrc == ssrc:
            return s
        s = core.state.slots[s].next_of_peer
    return -1


cdef int read_rtcp(Core* core, int peer, const uint8_t* data, int n) noexcept nogil:
    """Every block of an opened packet; -1 when one is malformed (those before it were read)."""
    cdef State* k = &core.state
    cdef rtcp.Block block
    cdef int at = 0, size
    while at < n:
        at = rtcp.next_block(data, at, n, &block)
        if at < 0:
            return -1
        size = block.end - block.at
        if block.kind == 200 and size >= 24:
            read_sender_report(core, peer, data, block.at)
            read_report_blocks(core, peer, data, block.at + 24, block.end)
        elif block.kind == 201:
            k.counters[COUNTER_REPORTS_READ] += 1
            read_report_blocks(core, peer, data, block.at + 4, block.end)
        elif block.kind == 205 and block.count == 1 and size >= 8:
            read_nack(core, peer, data, &block)
        elif block.kind == 205 and block.count == 15 and size >= 16:
            k.counters[COUNTER_REPORTS_READ] += 1
        elif block.kind == 206 and block.count == 1 and size >= 8:
            read_key_frame_request(core, peer, EVENT_PLI, get32(data, block.at + 4))
        elif block.kind == 206 and block.count == 4:
            size = block.at + 8
            while size + 8 <= block.end:
                read_key_frame_request(core, peer, EVENT_FIR, get32(data, size))
                size += 8
    return 0


cdef void read_report_blocks(Core* core, int peer, const uint8_t* data, int at, int end) noexcept nogil:
    """What the peer says of the slots that it gets: packets lost, and the round trip (RFC 3550 section 6.4.1)."""
    cdef State* k = &core.state
    cdef SlotRow* slot
    cdef long long lost
    cdef int64_t rtt_us
    cdef int s
    while at + 24 <= end:
        s = find_slot(core, peer, get32(data, at))
        if s >= 0:
            slot = &k.slots[s]
            lost = get32(data, at + 4) & 0xFFFFFF
            lost -= (lost & 0x800000) << 1  # 24 bits with a sign: duplicates may outweigh losses
            # It falls when a repair comes late; what was counted stays counted.
            if lost > slot.told_lost:
                k.counters[COUNTER_TOLD_LOST] += lost - slot.told_lost
                k.peers[peer].told_lost += lost - slot.told_lost
                slot.told_lost = lost
            if slot.reported_middle and get32(data, at + 16) == slot.reported_middle:
                rtt_us = k.now_us - slot.reported_at_us - ((get32(data, at + 20) * 1000000) >> 16)
                rtt_us = rtt_us if rtt_us > 0 else 0
                k.peers[peer].rtt_us = rtt_us if rtt_us else 1
                k.rtts[0].counts[st_latency_bucket(rtt_us, RTT_FIRST_US, LATENCY_BUCKETS)] += 1
                k.rtts[0].sum_us += rtt_us
        at += 24


cdef void read_key_frame_request(Core* core, int peer, int kind, long long ssrc) noexcept nogil:
    cdef int s = find_slot(core, peer, ssrc)
    if s >= 0:
        core.state.counters[COUNTER_PLIS_READ if kind == EVENT_PLI else COUNTER_FIRS_READ] += 1
        request_key_frame(core, kind, s)


cdef void request_key_frame(Core* core, int kind, int s) noexcept nogil:
    """Tell the router, but not of each of a flood: one datagram holds a hundred, which would leave others no events."""
    cdef SlotRow* slot = &core.state.slots[s]
    if slot.request_told_at_us and core.state.now_us - slot.request_told_at_us < REQUEST_US:
        return
    slot.request_told_at_us = core.state.now_us
    tell(&core.state, kind, s, 0, 0, 0)


cdef void read_nack(Core* core, int peer, const uint8_t* data, rtcp.Block* block) noexcept nogil:
    """Each lost number is answered in this step, by a repair or by a verdict."""
    cdef State* k = &core.state
    cdef int s = find_slot(core, peer, get32(data, block.at + 4))
    cdef int at = block.at + 8, bit
    cdef long long first, mask
    if s < 0:
        return
    while at + 4 <= block.end:
        first = get16(data, at)
        mask = get16(data, at + 2)
        repair(core, s, first)
        for bit in range(16):
            if mask >> bit & 1:
                repair(core, s, (first + bit + 1) & 0xFFFF)
        at += 4


cdef void repair(Core* core, int s, long long sequence) noexcept nogil:
    cdef int verdict = emit_repair(core, s, sequence)
    core.state.counters[COUNTER_NACKS_READ] += 1
    if verdict >= 0:
        core.state.departed[verdict] += 1
    if verdict == DEPARTURE_NACK_NO_RTX:
        # Never the packet again (it would be sealed twice): a key frame mends it.
        request_key_frame(core, EVENT_PLI, s)


cdef void read_sender_report(Core* core, int peer, const uint8_t* data, int at) noexcept nogil:
    """Tie the layer's timestamps to the server's clock by the fastest report so far (DESIGN section 4, one clock)."""
    cdef State* k = &core.state
    cdef PeerRow* p = &k.peers[peer]
    cdef int stream = find_stream(core, peer, get32(data, at))
    cdef LayerRow* l
    cdef int64_t ntp_us, offset
    if stream < 0 or k.streams[stream].layer < 0 or k.streams[stream].repair:
        return
    l = &k.layers[k.streams[stream].layer]
    ntp_us = (get32(data, at + 4) - NTP_EPOCH) * 1000000 + ((get32(data, at + 8) * 1000000) >> 32)
    offset = k.now_us - ntp_us
    # Clocks drift apart by up to 100 ppm: without this an old minimum would hold for ever.
    if p.clock_known:
        p.clock_offset_us += (k.now_us - l.sr_arrival_us) // 10000 if l.sr_known else 0
    if not p.clock_known or offset < p.clock_offset_us:
        p.clock_offset_us = offset
        p.clock_known = 1
    l.sr_at_us = ntp_us + p.clock_offset_us
    l.sr_timestamp = get32(data, at + 12)
    l.sr_middle = ((get32(data, at + 4) & 0xFFFF) << 16) | (get32(data, at + 8) >> 16)
    l.sr_arrival_us = k.now_us
    l.sr_known = 1


cdef void note_arrival(Core* core, int peer, const uint8_t* data, rtp.RtpHeader* header, int64_t arrival_us) noexcept nogil:
    """Remember when a transport-wide number came, for the next report."""
    cdef PeerRow* p = &core.state.peers[peer]
    cdef rtp.Element element
    cdef int at = header.extension_at, end = header.extension_at + header.extension_size
    cdef long long number
    cdef ArrivalRow* row
    while p.extension_transport_cc:
        at = rtp.next_element(data, at, end, header.extension_profile, &element)
        if at < 0:
            return
        if element.id != p.extension_transport_cc or element.length != 2:
            continue
        number = rtp.unwrap(p.arrival_newest if p.arrivals_known else 0x10000, get16(data, element.at))
        if not p.arrivals_known:
            p.arrivals_known = 1
            number = 0x10000 + get16(data, element.at)
            p.arrival_newest = p.arrival_base = number
            p.report_at_us = core.state.now_us + TRANSPORT_REPORT_US
        elif number > p.arrival_newest:
            if number - p.arrival_newest > ARRIVALS_PER_PEER:
                p.arrival_base = number
            p.arrival_newest = number
        elif number <= p.arrival_newest - ARRIVALS_PER_PEER // 2:
            return  # too late to say anything about it
        if number < p.arrival_base:
            p.arrival_base = number
        row = &core.state.arrivals[peer * ARRIVALS_PER_PEER + number % ARRIVALS_PER_PEER]
        p.media_ssrc = header.ssrc
        row.number = number
        row.at_us = arrival_us
        p.arrivals += 1
        return


cdef void report_transport(Core* core, int peer) noexcept nogil:
    """Feedback for all that came since the last report, in as many packets as it needs."""
    cdef State* k = &core.state
    cdef PeerRow* p = &k.peers[peer]
    cdef long long stamps[256]
    cdef unsigned char out[1100]
    cdef long long number = p.arrival_base
    cdef ArrivalRow* row
    cdef int count, n
    while number <= p.arrival_newest:
        count = 0
        while count < 256 and number + count <= p.arrival_newest:
            row = &k.arrivals[peer * ARRIVALS_PER_PEER + (number + count) % ARRIVALS_PER_PEER]
            stamps[count] = row.at_us if row.number == number + count else -1
            count += 1
        if stamps[0] < 0:
            number += 1
            continue
        n = rtcp.put_transport_report(out, 0, 1100, p.sender_ssrc, p.media_ssrc, p.report_count, number, stamps, count)
        if n > 0 and send_rtcp(core, peer, out, n) == 0:
            k.counters[COUNTER_TRANSPORT_REPORTS_WRITTEN] += 1
        p.report_count += 1
        number += count
    p.arrival_base = p.arrival_newest + 1
    p.arrivals = 0
    p.report_at_us = k.now_us + TRANSPORT_REPORT_US


cdef void lack(Core* core, int layer, long long index) noexcept nogil:
    """An index arrived: it is missing no longer, and those it skipped are."""
    cdef State* k = &core.state
    cdef LayerRow* l = &k.layers[layer]
    cdef MissingRow* rows = &k.missing[layer * MISSING_PER_LAYER]
    cdef long long gap
    cdef uint32_t i
    if l.newest < 0:
        l.newest = l.oldest = index
        return
    if index > l.newest:
        gap = l.newest + 1
        k.counters[COUNTER_PACKETS_LOST] += index - gap
        if k.tracks[l.track].nack and index - gap <= GAP_MOST:
            while gap < index and l.missing_count < MISSING_PER_LAYER:
                rows[l.missing_count].index = gap
                rows[l.missing_count].asked = 0
                rows[l.missing_count].asked_at_us = 0
                l.missing_count += 1
                gap += 1
        l.newest = index
        return
    if index < l.oldest:
        l.oldest = index
    for i in range(l.missing_count):
        if rows[i].index == index:
            l.missing_count -= 1
            while i < l.missing_count:
                rows[i] = rows[i + 1]
                i += 1
            return


cdef void received(Core* core, int layer, long long row) noexcept nogil:
    """Statistics of RFC 3550 A.3 and A.8 for the packet now in the ring."""
    cdef State* k = &core.state
    cdef LayerRow* l = &k.layers[layer]
    cdef int64_t transit, difference
    l.packets += 1
    l.octets += k.packets[row].length
    if k.packets[row].repaired:
        return
    transit = (k.packets[row].arrival_us * <int64_t> k.tracks[l.track].clock_rate // 1000000 - k.packets[row].timestamp) & 0xFFFFFFFFLL
    difference = <int32_t> <uint32_t> (transit - l.transit)
    if l.packets > 1 and -0x1000000 < difference < 0x1000000:
        if difference < 0:
            difference = -difference
        l.jitter_q4 += difference - ((l.jitter_q4 + 8) >> 4)
    l.transit = transit


cdef void ask_again(Core* core, int layer) noexcept nogil:
    """NACK what is missing and due, and forget what was asked for often enough or has left the ring."""
    cdef State* k = &core.state
    cdef LayerRow* l = &k.layers[layer]
    cdef MissingRow* rows = &k.missing[layer * MISSING_PER_LAYER]
    cdef long long due[64]
    cdef unsigned char out[300]
    cdef int count = 0, kept = 0
    cdef uint32_t i
    cdef int peer = k.tracks[l.track].peer
    for i in range(l.missing_count):
        if rows[i].asked >= ASK_MOST or rows[i].index <= l.newest - l.ring_mask:
            continue
        if k.now_us - rows[i].asked_at_us >= ASK_AGAIN_US:
            rows[i].asked += 1
            rows[i].asked_at_us = k.now_us
            due[count] = rows[i].index
            count += 1
        rows[kept] = rows[i]
        kept += 1
    l.missing_count = kept
    if count:
        k.counters[COUNTER_NACKS_WRITTEN] += count
        send_rtcp(core, peer, out, rtcp.put_nack(out, 0, k.peers[peer].sender_ssrc, l.ssrc, due, count))


cdef void report_layer(Core* core, int layer) noexcept nogil:
    """An RR for a bound SSRC, once a second."""
    cdef State* k = &core.state
    cdef LayerRow* l = &k.layers[layer]
    cdef int peer = k.tracks[l.track].peer
    cdef unsigned char out[32]
    cdef int64_t expected = l.newest - l.oldest + 1, lost, interval, fraction = 0, delay = 0
    l.report_at_us = k.now_us + REPORT_US
    if l.newest < 0 or <int64_t> l.packets == l.received_prior:
        return
    lost = expected - <int64_t> l.packets
    interval = expected - l.expected_prior
    if interval > 0 and lost > l.lost_reported:
        fraction = (lost - l.lost_reported) * 256 // interval
    l.expected_prior = expected
    l.received_prior = l.packets
    l.lost_reported = lost
    if l.sr_known:
        delay = (k.now_us - l.sr_arrival_us) * 65536 // 1000000
    send_rtcp(core, peer, out, rtcp.put_receiver_report(
        out, 0, k.peers[peer].sender_ssrc, l.ssrc, fraction if fraction < 255 else 255, lost if lost > 0 else 0,
        l.newest & 0xFFFFFFFFLL, l.jitter_q4 >> 4, l.sr_middle if l.sr_known else 0, delay))


cdef void report_slot(Core* core, int s) noexcept nogil:
    """An SR that ties the slot's clock to the server's: every slot speaks the same clock (V7)."""
    cdef State* k = &core.state
    cdef SlotRow* slot = &k.slots[s]
    cdef unsigned char out[28]
    cdef int64_t at
    slot.report_at_us = k.now_us + REPORT_US
    if slot.packets == 0 or slot.current_layer < 0:
        return
    at = capture_us(k, slot.current_layer, (slot.last_timestamp - <int64_t> slot.timestamp_offset) & 0xFFFFFFFFLL,
                    slot.last_arrival_us) + core.ntp_offset_us
    if send_rtcp(core, slot.peer, out, rtcp.put_sender_report(
            out, 0, slot.ssrc, at // 1000000 + NTP_EPOCH, ((at % 1000000) << 32) // 1000000,
            slot.last_timestamp, slot.packets & 0xFFFFFFFFLL, slot.octets & 0xFFFFFFFFLL)) == 0:
        k.counters[COUNTER_SENDER_REPORTS_WRITTEN] += 1
        slot.reported_at_us = k.now_us
        slot.reported_middle = (get16(out, 10) << 16) | get16(out, 12)
