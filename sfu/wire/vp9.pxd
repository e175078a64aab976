from libc.stdint cimport uint8_t

from sfu.wire.picture cimport Picture

cdef int parse(const uint8_t* data, int size, Picture* picture) noexcept nogil
cdef int skip_structure(const uint8_t* data, int at, int size, Picture* picture) noexcept nogil
cdef int read_header(const uint8_t* data, int at, int size, Picture* picture) noexcept nogil
