from libc.stdint cimport int64_t

from sfu.routing.kernel.tables cimport State

cdef void detach(State* k, long long s) noexcept nogil
cdef void detach_wanted(State* k, long long s) noexcept nogil
cdef void attach(State* k, long long s, long long layer) noexcept nogil
cdef void want(State* k, long long s, long long layer, int temporal) noexcept nogil
cdef int deliver(State* k, long long s, long long layer, long long p) noexcept nogil
cdef void offer(State* k, long long s, long long layer, long long p) noexcept nogil
cdef int credit(State* k, long long peer, long long octets) noexcept nogil
cdef void serve(State* k, long long peer) noexcept nogil
cdef int catch_up(State* k, long long s, long long layer, long long first) noexcept nogil
cdef void forward(State* k, long long layer, const int64_t* rows, int count) noexcept nogil
