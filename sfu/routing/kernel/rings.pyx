"""Single-producer single-consumer rings: the counters only; the rows stand in numpy arrays beside them."""


cdef uint64_t waiting(Ring* ring) noexcept nogil:
    """How many rows the reader may read (acquire: their bytes are there)."""
    return st_load(&ring.tail) - ring.head


cdef uint64_t room(Ring* ring) noexcept nogil:
    """How many rows the writer may write (acquire: the reader is done with them)."""
    return ring.size - (ring.tail - st_load(&ring.head))
