from libc.stdint cimport uint8_t

ctypedef struct Picture:
    int key_frame  # first packet of a key frame
    int width  # of a key frame, 0 = not given
    int height
    int bit  # where the next bit stands, counted from the first byte of the packet
    int start  # first byte of what is read bit by bit
    int end  # behind its last byte
    int escaped  # 1 = 00 00 03 stands for 00 00 (H.264 7.4.1)
    int cut  # a bit was asked for that is not there

cdef void clear(Picture* picture) noexcept nogil
cdef void begin(Picture* picture, int start, int end, int escaped) noexcept nogil
cdef long long bits(const uint8_t* data, Picture* picture, int count) noexcept nogil
cdef long long golomb(const uint8_t* data, Picture* picture) noexcept nogil
cdef void sized(Picture* picture, long long width, long long height) noexcept nogil
