from libc.stdint cimport int32_t, int64_t, uint8_t

from sfu.routing.kernel.core cimport Core
from sfu.routing.kernel.tables cimport State

cdef uint8_t* begin(Core* core) noexcept nogil
cdef void finish(Core* core, int peer, int path, int slot, int n, int verdict) noexcept nogil
cdef void pause(State* k, int peer) noexcept nogil
cdef void flush(Core* core) noexcept nogil
cdef int emit(State* k, int32_t s, int64_t p) noexcept nogil
cdef int emit_repair(Core* core, int s, long long sequence) noexcept nogil
cdef int send_rtcp(Core* core, int peer, const uint8_t* data, int n) noexcept nogil
cdef void tell(State* k, int kind, int32_t row, int64_t a, int64_t b, int64_t c) noexcept nogil
cdef int hand_up(Core* core, int kind, int row, int socket, void* address, int address_size,
                 const uint8_t* data, int n) noexcept nogil
