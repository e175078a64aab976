from libc.stdint cimport uint64_t

cdef extern from "kernel.h" nogil:
    uint64_t st_load(const uint64_t* p)
    void st_store(uint64_t* p, uint64_t v)
    long long st_monotonic_us()
    long long st_realtime_us()
    long long st_thread_cpu_ns()

ctypedef struct Ring:
    uint64_t head  # read so far; written by the reader only
    uint64_t pad0[7]  # the two counters on cache lines of their own
    uint64_t tail  # written so far; written by the writer only
    uint64_t pad1[7]
    uint64_t size

cdef uint64_t waiting(Ring* ring) noexcept nogil
cdef uint64_t room(Ring* ring) noexcept nogil
