from libc.stdint cimport uint8_t

ctypedef struct Block:
    int kind  # packet type: 200 SR, 201 RR, 202 SDES, 203 BYE, 205 RTPFB, 206 PSFB
    int count  # RC, SC or FMT
    int at  # first byte after the 4-byte head
    int end  # without padding

cdef int next_block(const uint8_t* data, int at, int size, Block* block) noexcept nogil
cdef int put_head(uint8_t* out, int at, int count, int kind, int size) noexcept nogil
cdef int put_sender_report(
    uint8_t* out, int at, long long ssrc, long long ntp_seconds, long long ntp_fraction,
    long long timestamp, long long packets, long long octets) noexcept nogil
cdef int put_receiver_report(
    uint8_t* out, int at, long long sender, long long ssrc, long long fraction, long long lost,
    long long highest, long long jitter, long long last_sr, long long delay) noexcept nogil
cdef int put_nack(
    uint8_t* out, int at, long long sender, long long ssrc, const long long* indexes, int count) noexcept nogil
cdef int put_transport_report(
    uint8_t* out, int at, int room, long long sender, long long ssrc, int report, long long base,
    const long long* arrivals_us, int count) noexcept nogil
