from libc.stdint cimport uint8_t

ctypedef struct RtpHeader:
    long long sequence
    long long timestamp
    long long ssrc
    int payload_type
    int marker
    int padding
    int size  # of the header with CSRCs and extension: where the payload begins
    int extension_at  # first byte of the extension's elements
    int extension_size
    int extension_profile  # 0 = no extension

ctypedef struct Element:
    int id
    int at
    int length

cdef int parse(const uint8_t* data, int size, RtpHeader* header) noexcept nogil
cdef int payload_end(const uint8_t* data, int size, RtpHeader* header) noexcept nogil
cdef int next_element(const uint8_t* data, int at, int end, int profile, Element* element) noexcept nogil
cdef int put_element(uint8_t* data, int at, int two_bytes, int id, int length) noexcept nogil
cdef long long unwrap(long long newest, long long sequence) noexcept nogil
