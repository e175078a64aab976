from libc.stdint cimport uint8_t

cdef int parse(const uint8_t* data, int size, int payload_type) noexcept nogil
cdef int primary(const uint8_t* data, int headers) noexcept nogil
cdef void rewrite(const uint8_t* data, int headers, uint8_t* out, int payload_type) noexcept nogil
