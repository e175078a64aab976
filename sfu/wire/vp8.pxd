from libc.stdint cimport uint8_t

ctypedef struct Vp8Descriptor:
    int size
    int frame_start
    int key_frame  # first packet of a key frame
    int picture_bits  # 0, 7 or 15
    int picture_id
    int has_tl0
    int tl0
    int has_temporal
    int temporal
    int sync
    int width  # of a key frame, 0 = not given
    int height

cdef int parse(const uint8_t* data, int size, Vp8Descriptor* descriptor) noexcept nogil
cdef int rewrite(const uint8_t* data, int size, uint8_t* out, int picture_id, int tl0) noexcept nogil
