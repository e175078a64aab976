from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "kernel.h" nogil:
    ctypedef struct st_half:
        int profile
    ctypedef struct st_srtp:
        st_half rtp_in
        st_half rtcp_in
        st_half rtp_out
        st_half rtcp_out
    int st_srtp_open(st_srtp* s, int profile, const uint8_t* rx_key, const uint8_t* rx_salt,
                     const uint8_t* tx_key, const uint8_t* tx_salt)
    void st_srtp_close(st_srtp* s)
    int st_seal_rtp(st_half* h, uint8_t* p, int header, int n, uint64_t index)
    int st_open_rtp(st_half* h, uint8_t* p, int header, int n, uint64_t index)
    int st_seal_rtcp(st_srtp* s, uint8_t* p, int n)
    int st_open_rtcp(st_srtp* s, uint8_t* p, int n)
