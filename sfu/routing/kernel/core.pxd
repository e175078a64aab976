"""What the parts of the kernel share: the state, the rings to Python, the boxes of datagrams, the keys."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from sfu.routing.kernel.rings cimport Ring
from sfu.routing.kernel.srtp cimport st_srtp
from sfu.routing.kernel.tables cimport CommandRow, EventRow, State

cdef extern from "kernel.h" nogil:
    enum: ST_BURST
    enum: ST_BATCH
    enum: ST_BYTES
    struct sockaddr:
        pass
    ctypedef struct st_inbox:
        pass
    ctypedef struct st_outbox:
        int count
        int* fd
        int32_t* peer
        int32_t* verdict
        int32_t* slot
        int64_t* arrival_us
        uint8_t bytes[64][1552]
    int st_receive(int fd, st_inbox* box)
    int64_t st_stamp_us(st_inbox* box, int i)
    uint32_t st_drops(st_inbox* box, int i)
    int st_latency_bucket(int64_t us, int first_us, int buckets)
    void st_outbox_put(st_outbox* o, int fd, void* address, int address_length, int n, int peer, int slot, int verdict)
    int st_send(st_outbox* o, int at, int count)
    int st_stun_answer(uint8_t* p, int n, const uint8_t* password, int password_length, const sockaddr* origin,
                       uint8_t* out, int* nominated)
    uint8_t* st_inbox_bytes(st_inbox* box, int i)
    int st_inbox_size(st_inbox* box, int i)
    void* st_inbox_address(st_inbox* box, int i)
    int st_inbox_address_size(st_inbox* box, int i)
    int64_t st_vector_size(st_outbox* o, int i)

ctypedef struct Core:
    State state
    st_srtp* keys  # one for each peer row
    st_inbox inbox
    st_outbox outbox
    Ring commands
    Ring events
    CommandRow* command_rows
    EventRow* event_rows
    int fds[16]
    uint32_t drops[16]  # of each socket, as the system last told
    int sockets
    int peers_used  # one more than the highest row ever used, so that a scan stops there
    int layers_used
    int slots_used
    int rooms_used
    int told  # events were written in this step
    int fresh_count
    int32_t fresh[256]  # slots that switched in this step: their SR leaves with it
    int run_count
    int32_t run_layer
    int64_t run_rows[64]  # packets of one layer that came one after the other
    int64_t stamp_offset_us  # monotonic minus real time
    int64_t ntp_offset_us  # our NTP clock minus monotonic, fixed at start
    int64_t timers_at_us
    int64_t fixed_now_us  # a test's clock; 0 = the real one
    int64_t queues  # peers whose pacer has something queued
