from libc.stdint cimport int64_t

from sfu.routing.kernel.core cimport Core

cdef int find_path(Core* core, int socket, void* address, int address_size) noexcept nogil
cdef unsigned int hash_address(int socket, void* address) noexcept nogil
cdef int take(Core* core, int socket, int i) noexcept nogil
cdef void flush_run(Core* core) noexcept nogil
cdef void forget_ring(Core* core, int layer) noexcept nogil
