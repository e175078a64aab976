from libc.stdint cimport int64_t, uint8_t

from sfu.routing.kernel.core cimport Core
from sfu.wire cimport rtp

cdef int read_rtcp(Core* core, int peer, const uint8_t* data, int n) noexcept nogil
cdef void note_arrival(Core* core, int peer, const uint8_t* data, rtp.RtpHeader* header, int64_t arrival_us) noexcept nogil
cdef void lack(Core* core, int layer, long long index) noexcept nogil
cdef void received(Core* core, int layer, long long row) noexcept nogil
cdef void report_transport(Core* core, int peer) noexcept nogil
cdef void report_layer(Core* core, int layer) noexcept nogil
cdef void ask_again(Core* core, int layer) noexcept nogil
cdef void report_slot(Core* core, int s) noexcept nogil
