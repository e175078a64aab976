"""SRTP and SRTCP as the RFCs write them down, on `cryptography`: the naive judge of the kernel's.

RFC 3711 for AES-CM with HMAC-SHA1, RFC 7714 for GCM. Slow and short; the RFCs' own vectors hold it true
(tests/sfu/routing/kernel/test_srtp.py).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def counter_mode(key: bytes, iv: bytes, octets: bytes) -> bytes:
    """AES-CM (RFC 3711 4.1.1): `iv` has 16 octets, of which the last two count blocks."""
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(octets)


def derived(master: bytes, salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711 4.3.1 with a key derivation rate of 0; a salt of 96 bits stands to the left (RFC 7714 11)."""
    start = xor(salt.ljust(14, b"\0"), bytes(7) + bytes([label]) + bytes(6))
    return counter_mode(master, start + bytes(2), bytes(size))


@dataclass(frozen=True)
class Model:
    """One direction of SRTP and SRTCP, said as the RFCs say it. `tag` is 10 for HMAC-SHA1, 16 for GCM."""

    rtp_key: bytes
    rtp_salt: bytes
    rtcp_key: bytes
    rtcp_salt: bytes
    rtp_auth: bytes = b""
    rtcp_auth: bytes = b""

    def seal_rtp(self, packet: bytes, header: int, index: int) -> bytes:
        clear, payload, ssrc = packet[:header], packet[header:], packet[8:12]
        if not self.rtp_auth:
            iv = xor(bytes(2) + ssrc + index.to_bytes(6, "big"), self.rtp_salt)
            return clear + AESGCM(self.rtp_key).encrypt(iv, payload, clear)
        iv = xor(bytes(4) + ssrc + index.to_bytes(6, "big"), self.rtp_salt)
        sealed = clear + counter_mode(self.rtp_key, iv + bytes(2), payload)
        roc = (index >> 16).to_bytes(4, "big")
        return sealed + hmac.digest(self.rtp_auth, sealed + roc, hashlib.sha1)[:10]

    def seal_rtcp(self, packet: bytes, index: int, encrypted: bool = True) -> bytes:
        clear, payload, ssrc = packet[:8], packet[8:], packet[4:8]
        word = (encrypted << 31 | index).to_bytes(4, "big")
        if not self.rtcp_auth:
            iv = xor(bytes(2) + ssrc + bytes(2) + index.to_bytes(4, "big"), self.rtcp_salt)
            if encrypted:
                return clear + AESGCM(self.rtcp_key).encrypt(iv, payload, clear + word) + word
            return packet + AESGCM(self.rtcp_key).encrypt(iv, b"", packet + word) + word
        iv = xor(bytes(4) + ssrc + index.to_bytes(6, "big"), self.rtcp_salt)
        sealed = clear + (counter_mode(self.rtcp_key, iv + bytes(2), payload) if encrypted else payload) + word
        return sealed + hmac.digest(self.rtcp_auth, sealed, hashlib.sha1)[:10]


def model(master: bytes, salt: bytes) -> Model:
    """The profile follows from the length of the salt."""
    auth = [derived(master, salt, label, 20) for label in (1, 4)] if len(salt) == 14 else [b"", b""]
    rtp_key, rtp_salt = derived(master, salt, 0, len(master)), derived(master, salt, 2, len(salt))
    rtcp_key, rtcp_salt = derived(master, salt, 3, len(master)), derived(master, salt, 5, len(salt))
    return Model(rtp_key, rtp_salt, rtcp_key, rtcp_salt, *auth)
