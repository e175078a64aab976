from sfu.routing.kernel.tables cimport State

cdef int hear(State* k, long long track, long long p) noexcept nogil
cdef int release(State* k, long long room) noexcept nogil
cdef void close_ranks(State* k, long long room) noexcept nogil
cdef int take_seat(State* k, long long track, long long room) noexcept nogil
cdef int challenge(State* k, long long track, long long room) noexcept nogil
cdef void swap(State* k, long long room, int a, int b) noexcept nogil
cdef int heard(State* k, long long peer, long long track, int seat, int slots) noexcept nogil
cdef int free_slot(State* k, long long peer, long long layer) noexcept nogil
cdef long long preroll(State* k, long long layer) noexcept nogil
cdef void assign(State* k, long long peer) noexcept nogil
cdef void assign_all(State* k, long long room) noexcept nogil
cdef void unseat(State* k, long long track) noexcept nogil
