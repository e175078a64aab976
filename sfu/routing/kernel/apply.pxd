from sfu.routing.kernel.core cimport Core

cdef int apply_commands(Core* core) noexcept nogil
