from libc.stdint cimport uint8_t

from sfu.wire.picture cimport Picture

cdef int parse(const uint8_t* data, int size, Picture* picture) noexcept nogil
cdef long long leb128(const uint8_t* data, Picture* picture) noexcept nogil
cdef void read_size(const uint8_t* data, Picture* picture) noexcept nogil
cdef void skip_operating_points(const uint8_t* data, Picture* picture) noexcept nogil
