"""SRTP and SRTCP over libcrypto (kernel.h), as the kernel uses them; `Session` is their door for Python's tests."""

from libc.string cimport memcpy

from sfu.routing.kernel.tables cimport PACKET_BYTES
from sfu.wire cimport rtp

KEY_BYTES = {1: 16, 2: 32, 3: 16}
SALT_BYTES = {1: 12, 2: 12, 3: 14}


cdef class Session:
    """One peer's keys. Not for the product: there the kernel makes, uses and frees them on its own thread."""

    cdef st_srtp srtp
    cdef bint live
    cdef uint8_t buffer[2048]

    def __cinit__(self, int profile, bytes receive_key, bytes receive_salt, bytes send_key, bytes send_salt):
        if profile not in KEY_BYTES:
            raise ValueError(f"SRTP profile {profile} is not known")
        for key, salt in ((receive_key, receive_salt), (send_key, send_salt)):
            if len(key) != KEY_BYTES[profile] or len(salt) != SALT_BYTES[profile]:
                raise ValueError("a key or salt has the wrong length for its profile")
        if st_srtp_open(&self.srtp, profile, receive_key, receive_salt, send_key, send_salt):
            raise MemoryError("libcrypto refused the keys")
        self.live = True

    def __dealloc__(self):
        if self.live:
            st_srtp_close(&self.srtp)

    cdef int load(self, bytes packet) except -1:
        if len(packet) > PACKET_BYTES:
            raise ValueError(f"{len(packet)} bytes are over the limit of {PACKET_BYTES}")
        memcpy(self.buffer, <const uint8_t*> packet, len(packet))
        return len(packet)

    cdef int rtp_header(self, int size) except -1:
        cdef rtp.RtpHeader header
        if rtp.parse(self.buffer, size, &header) < 0:
            raise ValueError("not an RTP packet")
        return header.size

    def seal_rtp(self, bytes packet, uint64_t index):
        """The packet protected under this 48-bit index."""
        cdef int n = self.load(packet)
        n = st_seal_rtp(&self.srtp.rtp_out, self.buffer, self.rtp_header(n), n, index)
        if n < 0:
            raise ValueError("libcrypto did not seal the packet")
        return self.buffer[:n]

    def open_rtp(self, bytes packet, uint64_t index):
        """The packet in clear, None when its tag is wrong."""
        cdef int n = self.load(packet)
        n = st_open_rtp(&self.srtp.rtp_in, self.buffer, self.rtp_header(n), n, index)
        return None if n < 0 else self.buffer[:n]

    def seal_rtcp(self, bytes packet):
        """The compound packet protected under the next SRTCP index."""
        cdef int n = st_seal_rtcp(&self.srtp, self.buffer, self.load(packet))
        if n < 0:
            raise ValueError("too short for RTCP, or the 2^31 indexes of this key are used up")
        return self.buffer[:n]

    def open_rtcp(self, bytes packet):
        """The compound packet in clear; None when its tag is wrong or it was seen before."""
        cdef int n = st_open_rtcp(&self.srtp, self.buffer, self.load(packet))
        return None if n < 0 else self.buffer[:n]
