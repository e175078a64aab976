from libc.stdint cimport uint8_t

from sfu.routing.kernel.core cimport Core
from sfu.wire cimport rtp

cdef int find_stream(Core* core, int peer, long long ssrc) noexcept nogil
cdef int open_stream(Core* core, int peer, int stream, uint8_t* data, int n, rtp.RtpHeader* header,
                     long long* index, int* end) noexcept nogil
cdef int bind(Core* core, int peer, int stream, long long index, const uint8_t* data, rtp.RtpHeader* header) noexcept nogil
cdef void unbind(Core* core, int peer, int layer) noexcept nogil
