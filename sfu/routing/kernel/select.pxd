from sfu.routing.kernel.tables cimport State

cdef long long capture_us(State* k, long long layer, long long timestamp, long long arrival_us) noexcept nogil
cdef int switch(State* k, long long s, long long layer, long long p) noexcept nogil
cdef int select(State* k, long long s, long long layer, long long p) noexcept nogil
cdef long long packet_row(State* k, long long layer, long long index) noexcept nogil
cdef long long slot_timestamp(State* k, long long s, long long capture) noexcept nogil
cdef void push_segment(State* k, long long s, long long start) noexcept nogil
cdef long long find_segment(State* k, long long s, long long layer, long long index) noexcept nogil
cdef int claim(State* k, long long s, long long index) noexcept nogil
cdef void leave_out(State* k, long long s, long long p) noexcept nogil
cdef void follow_temporal(State* k, long long s, long long p) noexcept nogil
