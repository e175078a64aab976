from libc.stdint cimport uint8_t

cdef long long get16(const uint8_t* data, long long at) noexcept nogil
cdef long long get24(const uint8_t* data, long long at) noexcept nogil
cdef long long get32(const uint8_t* data, long long at) noexcept nogil
cdef void put16(uint8_t* data, long long at, long long value) noexcept nogil
cdef void put24(uint8_t* data, long long at, long long value) noexcept nogil
cdef void put32(uint8_t* data, long long at, long long value) noexcept nogil
cdef void copy(uint8_t* out, long long to, const uint8_t* data, long long at, long long count) noexcept nogil
