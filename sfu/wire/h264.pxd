from libc.stdint cimport uint8_t

from sfu.wire.picture cimport Picture

cdef int parse(const uint8_t* data, int size, Picture* picture) noexcept nogil
cdef void read_unit(const uint8_t* data, int at, int end, Picture* picture) noexcept nogil
cdef int read_chroma(const uint8_t* data, Picture* picture) noexcept nogil
cdef void read_size(const uint8_t* data, Picture* picture) noexcept nogil
