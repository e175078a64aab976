"""One step of the kernel, and the door through which Python reaches it."""

import os

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from sfu.routing.kernel.apply cimport apply_commands
from sfu.routing.kernel.arrivals cimport flush_run, take
from sfu.routing.kernel.core cimport Core, ST_BURST, st_drops, st_inbox_size, st_receive
from sfu.routing.kernel.forward cimport serve
from sfu.routing.kernel.rank cimport assign_all, release
from sfu.routing.kernel.reports cimport ask_again, report_layer, report_slot, report_transport
from sfu.routing.kernel.rings cimport room, st_load, st_monotonic_us, st_realtime_us, st_store, st_thread_cpu_ns, waiting
from sfu.routing.kernel.srtp cimport st_srtp, st_srtp_close
from sfu.routing.kernel.tables cimport *
from sfu.routing.kernel.udp cimport emit, flush, pause, tell

from sfu.routing import tables as rows

cdef extern from "<sys/epoll.h>" nogil:
    enum: EPOLLIN
    enum: EPOLL_CTL_ADD
    ctypedef union epoll_data_t:
        int fd
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int most, int timeout_ms)

cdef extern from "<unistd.h>" nogil:
    ssize_t read(int fd, void* buffer, size_t n)
    ssize_t write(int fd, const void* buffer, size_t n)

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    pthread_t pthread_self()
    int pthread_setname_np(pthread_t thread, const char* name)

# The grain of all timers: reports, repeated NACKs, seats. Finer wakes an idle thread more often.
cdef int64_t TICK_US = 10000
# Levels go up ten times a second: what the eye needs to see who speaks.
cdef int64_t LEVELS_US = 100000
# RFC 7675 section 5.1: consent that is not given anew for so long is over. A peer without a sign of life is sent
# nothing more, or whoever has its address now is flooded for as long as its WebSocket stands.
cdef int64_t CONSENT_US = 30000000
# Bursts read from one socket before commands and timers are looked at again.
cdef int BURSTS = 4


cdef void tick(Core* core) noexcept nogil:
    """What is due by the clock."""
    cdef State* k = &core.state
    cdef int i
    for i in range(core.peers_used):
        if k.peers[i].live and k.now_us - k.peers[i].received_at_us > CONSENT_US:
            pause(k, i)
        if k.peers[i].live and k.peers[i].arrivals and k.peers[i].report_at_us <= k.now_us:
            report_transport(core, i)
    for i in range(core.layers_used):
        if not k.layers[i].live:
            continue
        if k.layers[i].missing_count:
            ask_again(core, i)
        if k.layers[i].report_at_us <= k.now_us:
            report_layer(core, i)
    for i in range(core.slots_used):
        if k.slots[i].live and k.slots[i].report_at_us <= k.now_us:
            report_slot(core, i)
    for i in range(core.rooms_used):
        if k.rooms[i].first_peer >= 0 and k.rooms[i].speaking:
            if release(k, i):
                assign_all(k, i)
            if k.rooms[i].levels_at_us <= k.now_us:
                k.rooms[i].levels_at_us = k.now_us + LEVELS_US
                tell_levels(core, i)
    # Clocks of arrival stamps and ours may be stepped apart by NTP; read the difference anew.
    core.stamp_offset_us = st_monotonic_us() - st_realtime_us()


cdef void tell_levels(Core* core, int room_row) noexcept nogil:
    """One LEVELS event for each seated speaker, then one that closes the list (row's b = -1)."""
    cdef State* k = &core.state
    cdef int seat, speaking = 0
    cdef int track
    for seat in range(SEATS_PER_ROOM):
        track = k.rooms[room_row].seats[seat]
        if track >= 0:
            speaking = 1
            tell(k, EVENT_LEVELS, room_row, seat, track, k.tracks[track].level_sum)
            k.tracks[track].level_sum = 0
    k.rooms[room_row].speaking = speaking
    tell(k, EVENT_LEVELS, room_row, SEATS_PER_ROOM, -1, 0)


cdef int serve_queues(Core* core) noexcept nogil:
    """Let each pacer send what it has credit for; how many still hold something."""
    cdef State* k = &core.state
    cdef int i, left = 0
    for i in range(core.peers_used):
        if k.peers[i].live and k.peers[i].queue_head != k.peers[i].queue_tail:
            serve(k, i)
            left += k.peers[i].queue_head != k.peers[i].queue_tail
    return left


cdef int64_t clock(Core* core) noexcept nogil:
    return core.fixed_now_us if core.fixed_now_us else st_monotonic_us()


cdef void note_drops(Core* core, int socket, uint32_t drops) noexcept nogil:
    """The system's count for this socket as of the newest datagram; it wraps, and tells nothing before the first drop."""
    if drops:
        core.state.counters[COUNTER_SOCKET_DROPS] += <uint32_t> (drops - core.drops[socket])
        core.drops[socket] = drops


cdef int read_socket(Core* core, int socket) noexcept nogil:
    """Up to BURSTS bursts of one socket; how many datagrams came."""
    cdef int burst, i, n, count = 0
    for burst in range(BURSTS):
        n = st_receive(core.fds[socket], &core.inbox)
        if n < 0:
            # EAGAIN is the end of the burst; an ICMP error of an earlier send shows here and is not a datagram.
            if n != -11:
                core.state.arrived[ARRIVAL_RECEIVE_ERROR] += 1
            break
        core.state.now_us = clock(core)
        for i in range(n):
            core.state.counters[COUNTER_RECEIVED_OCTETS] += st_inbox_size(&core.inbox, i)
            core.state.arrived[take(core, socket, i)] += 1
        flush_run(core)
        flush(core)
        if n:
            note_drops(core, socket, st_drops(&core.inbox, n - 1))
        count += n
        # A path that Python made for the first check must be known before the ClientHello behind it is looked at.
        apply_commands(core)
        if n < ST_BURST:
            break
    return count


cdef int step(Core* core, int epoll, int wake, int notify, int timeout_ms) noexcept nogil:
    """Wait, apply, receive and forward, tick, tell. Returns how many datagrams came."""
    cdef State* k = &core.state
    cdef epoll_event ready[17]
    cdef uint64_t number = 1
    cdef int64_t woken_us
    cdef int i, n, count = 0
    n = epoll_wait(epoll, ready, 17, timeout_ms)
    k.now_us = woken_us = clock(core)
    apply_commands(core)
    for i in range(n):
        if ready[i].data.fd < 0:
            read(wake, &number, 8)
        else:
            count += read_socket(core, ready[i].data.fd)
    k.now_us = clock(core)
    if k.now_us >= core.timers_at_us:
        core.timers_at_us = k.now_us + TICK_US
        tick(core)
    core.queues = serve_queues(core) if core.queues or count else 0
    for i in range(core.fresh_count):
        report_slot(core, core.fresh[i])
    core.fresh_count = 0
    flush(core)
    k.counters[COUNTER_STEPS] += 1
    k.counters[COUNTER_RECEIVED_PACKETS] += count
    if core.told:
        core.told = 0
        number = 1
        write(notify, &number, 8)
    k.counters[COUNTER_WORKING_US] += clock(core) - woken_us
    return count


cdef class Kernel:
    """The tables, the rings and the thread's loop. One thread calls `run` (or `step`), one other the rest."""

    cdef Core* core
    cdef int epoll, wake_fd, notify_fd
    cdef uint64_t stopping
    cdef readonly dict arrays
    cdef object limits

    def __cinit__(self, limits, sockets):
        """`sockets`: file descriptors of bound non-blocking UDP sockets; their index is a path's `socket`."""
        cdef int64_t real
        cdef epoll_event event
        if len(sockets) > 16:
            raise ValueError(f"{len(sockets)} sockets are more than the 16 one worker serves")
        for power in (limits.ring, limits.audio_ring):
            if power & (power - 1):
                raise ValueError("the length of a ring must be a power of two")
        self.limits = limits
        self.arrays = rows.allocate(limits)
        self.core = <Core*> calloc(1, sizeof(Core))
        if self.core == NULL:
            raise MemoryError()
        self.core.keys = <st_srtp*> calloc(limits.peers, sizeof(st_srtp))
        self.point()
        self.core.commands.size = limits.commands
        self.core.events.size = limits.events
        self.core.ntp_offset_us = st_realtime_us() - st_monotonic_us()
        self.core.stamp_offset_us = -self.core.ntp_offset_us
        self.core.state.now_us = st_monotonic_us()
        self.epoll = epoll_create1(0)
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.notify_fd = os.eventfd(0, os.EFD_NONBLOCK)
        event.events = EPOLLIN
        event.data.u32 = 0
        event.data.fd = -1
        epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.wake_fd, &event)
        for i, fd in enumerate(sockets):
            self.core.fds[i] = fd
            event.data.fd = i
            epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event)
        self.core.sockets = len(sockets)

    cdef point(self):
        """Acquire each table once: here a wrong type is an error, later it would be a crash."""
        cdef State* k = &self.core.state
        cdef PeerRow[::1] peers = self.arrays["peers"]
        cdef PathRow[::1] paths = self.arrays["paths"]
        cdef StreamRow[::1] streams = self.arrays["streams"]
        cdef TrackRow[::1] tracks = self.arrays["tracks"]
        cdef LayerRow[::1] layers = self.arrays["layers"]
        cdef PacketRow[::1] packets = self.arrays["packets"]
        cdef MissingRow[::1] missing = self.arrays["missing"]
        cdef SlotRow[::1] slots = self.arrays["slots"]
        cdef SegmentRow[::1] segments = self.arrays["segments"]
        cdef SentRow[::1] sent = self.arrays["sent"]
        cdef QueuedRow[::1] queued = self.arrays["queued"]
        cdef RoomRow[::1] rooms = self.arrays["rooms"]
        cdef ArrivalRow[::1] arrivals = self.arrays["arrivals"]
        cdef DecisionRow[::1] decision = self.arrays["decision"]
        cdef AudioRow[::1] audio = self.arrays["audio"]
        cdef LatencyRow[::1] latency = self.arrays["latency"]
        cdef LatencyRow[::1] rtts = self.arrays["rtts"]
        cdef CommandRow[::1] commands = self.arrays["commands"]
        cdef EventRow[::1] events = self.arrays["events"]
        cdef uint8_t[::1] payloads = self.arrays["payloads"]
        cdef uint64_t[::1] arrived = self.arrays["arrived"]
        cdef uint64_t[::1] departed = self.arrays["departed"]
        cdef uint64_t[::1] counters = self.arrays["counters"]
        cdef int32_t[::1] buckets = self.arrays["buckets"]
        k.peers, k.paths, k.streams = &peers[0], &paths[0], &streams[0]
        k.tracks, k.layers, k.packets, k.missing = &tracks[0], &layers[0], &packets[0], &missing[0]
        k.slots, k.segments, k.sent, k.queued = &slots[0], &segments[0], &sent[0], &queued[0]
        k.rooms, k.arrivals, k.decision, k.audio = &rooms[0], &arrivals[0], &decision[0], &audio[0]
        k.latency, k.rtts = &latency[0], &rtts[0]
        k.payloads, k.arrived, k.departed = &payloads[0], &arrived[0], &departed[0]
        k.counters, k.buckets = &counters[0], &buckets[0]
        k.ring, k.audio_ring = self.limits.ring, self.limits.audio_ring
        k.kernel = self.core
        k.emit = emit
        k.tell = tell
        self.core.command_rows = &commands[0]
        self.core.event_rows = &events[0]

    def __dealloc__(self):
        cdef int i
        if self.core == NULL:
            return
        if self.core.keys != NULL:
            # Not asked of the peers' table: when a cycle is collected, the arrays may be gone before we are.
            for i in range(self.core.peers_used):
                st_srtp_close(&self.core.keys[i])
            free(self.core.keys)
        free(self.core)
        for fd in (self.epoll, self.wake_fd, self.notify_fd):
            if fd > 0:
                os.close(fd)

    def notification_fd(self):
        """Becomes readable when events wait."""
        return self.notify_fd

    def push(self, int kind, int row, unsigned int generation, tuple numbers, bytes data):
        """Write one command; False when the ring is full and the caller must wait. `wake` makes it take effect at once."""
        cdef CommandRow* command
        cdef int i
        if len(numbers) > NUMBERS_PER_COMMAND or len(data) > 256:
            raise ValueError(f"a command has at most {NUMBERS_PER_COMMAND} numbers and 256 bytes")
        if room(&self.core.commands) == 0:
            return False
        command = &self.core.command_rows[self.core.commands.tail % self.core.commands.size]
        command.kind = kind
        command.row = row
        command.generation = generation
        command.length = len(data)
        for i in range(len(numbers)):
            command.numbers[i] = numbers[i]
        memset(command.bytes, 0, 32)
        memcpy(command.bytes, <const uint8_t*> data, len(data))
        st_store(&self.core.commands.tail, self.core.commands.tail + 1)
        return True

    def wake(self):
        """Let the kernel thread look at the commands now."""
        cdef uint64_t one = 1
        write(self.wake_fd, &one, 8)

    def take_events(self, int most=256):
        """Up to `most` events as tuples (kind, row, generation, a, b, c, socket, address, data), oldest first."""
        cdef EventRow* event
        cdef uint64_t number
        found = []
        read(self.notify_fd, &number, 8)
        while len(found) < most and waiting(&self.core.events):
            event = &self.core.event_rows[self.core.events.head % self.core.events.size]
            found.append((
                event.kind, event.row, event.generation, event.a, event.b, event.c, event.socket,
                event.address[:event.address_length] if event.length else b"", event.bytes[:event.length],
            ))
            st_store(&self.core.events.head, self.core.events.head + 1)
        return found

    def step(self, int timeout_ms=0, int64_t now_us=0):
        """One step in the caller's thread (tests, machines with one core); how many datagrams came.

        `now_us`: the time this step believes it is; 0 = the real one.
        """
        cdef int count
        self.core.fixed_now_us = now_us
        with nogil:
            count = step(self.core, self.epoll, self.wake_fd, self.notify_fd, timeout_ms)
        return count

    def run(self):
        """Steps until `stop`, never holding the GIL."""
        cdef int64_t wait_us
        cdef int64_t busy = 0
        cdef int timeout_ms
        self.core.fixed_now_us = 0
        with nogil:
            pthread_setname_np(pthread_self(), b"kernel")  # for `top -H`, and for who measures threads from outside
            busy = st_thread_cpu_ns()
            while st_load(&self.stopping) == 0:
                if waiting(&self.core.commands):
                    timeout_ms = 0
                elif self.core.queues:
                    timeout_ms = 1
                elif self.core.peers_used == 0:
                    timeout_ms = 1000
                else:
                    wait_us = self.core.timers_at_us - st_monotonic_us()
                    timeout_ms = <int> ((wait_us + 999) // 1000) if wait_us > 0 else 0
                step(self.core, self.epoll, self.wake_fd, self.notify_fd, timeout_ms)
                self.core.state.counters[COUNTER_BUSY_NS] = st_thread_cpu_ns() - busy

    def stop(self):
        st_store(&self.stopping, 1)
        self.wake()
