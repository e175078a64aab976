from libc.stdint cimport uint8_t

from sfu.routing.kernel.tables cimport State

cdef int extensions(State* k, long long s, long long p, uint8_t* out, int at) noexcept nogil
cdef int body(State* k, long long s, long long p, const uint8_t* payload, uint8_t* out, int at) noexcept nogil
cdef int rewrite(State* k, long long s, long long p, const uint8_t* payload, uint8_t* out) noexcept nogil
cdef int rewrite_repair(State* k, long long s, long long p, const uint8_t* payload, uint8_t* out, long long n) noexcept nogil
cdef void remember(State* k, long long s, long long layer, long long p) noexcept nogil
cdef long long recall(State* k, long long s, long long sequence) noexcept nogil
