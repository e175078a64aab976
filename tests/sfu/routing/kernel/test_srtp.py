"""SRTP and SRTCP against two independent judges: pylibsrtp, and the RFCs written down naively with `cryptography`."""

from __future__ import annotations

import hmac
import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error, Policy
from pylibsrtp import Session as Judge

from sfu.routing.kernel.srtp import Session

PROFILES = {
    1: (16, 12, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    2: (32, 12, Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
    3: (16, 14, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
}


def keys(profile: int, seed: int = 1) -> tuple[bytes, bytes, bytes, bytes]:
    """Receive key and salt, send key and salt."""
    draw = random.Random(seed)
    key, salt, _ = PROFILES[profile]
    return draw.randbytes(key), draw.randbytes(salt), draw.randbytes(key), draw.randbytes(salt)


def judge(profile: int, key: bytes, salt: bytes, *, inbound: bool) -> Judge:
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    return Judge(policy=Policy(key=key + salt, ssrc_type=kind, srtp_profile=PROFILES[profile][2]))


def rtp(
    sequence: int, ssrc: int = 0xCAFEBABE, payload: bytes = b"speech and pictures", *, extension: bool = True
) -> bytes:
    head = bytes([0x90 if extension else 0x80, 96]) + (sequence & 0xFFFF).to_bytes(2, "big") + bytes(4)
    block = b"\xbe\xde\x00\x01\x40\x31\x00\x00"
    return head + ssrc.to_bytes(4, "big") + block + payload


def rtcp(ssrc: int, words: int = 6) -> bytes:
    return bytes([0x80, 200]) + words.to_bytes(2, "big") + ssrc.to_bytes(4, "big") + bytes(range(4 * words - 4))


def derive(key: bytes, salt: bytes, label: int, length: int) -> bytes:
    """RFC 3711 4.3.1 with a key derivation rate of 0, as it is written there."""
    x = int.from_bytes(salt.ljust(14, b"\x00"), "big") ^ label << 48
    stream = Cipher(algorithms.AES(key), modes.CTR((x << 16).to_bytes(16, "big"))).encryptor()
    return stream.update(bytes(length))


def test_the_key_derivation_of_our_judge_is_the_one_of_rfc_3711_b3() -> None:
    key, salt = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
    assert derive(key, salt, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(key, salt, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert derive(key, salt, 1, 20).hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


@pytest.mark.parametrize("profile", [1, 2])
@pytest.mark.parametrize("index", [0, 1, 65535, 65536, (1 << 47) + 12345])
def test_gcm_packets_are_as_rfc_7714_section_8_says(profile: int, index: int) -> None:
    receive_key, receive_salt, key, salt = keys(profile)
    packet = rtp(index)
    session_key, session_salt = derive(key, salt, 0, len(key)), derive(key, salt, 2, 12)
    nonce = bytes(2) + packet[8:12] + index.to_bytes(6, "big")
    nonce = bytes(a ^ b for a, b in zip(nonce, session_salt, strict=True))
    expected = packet[:20] + AESGCM(session_key).encrypt(nonce, packet[20:], packet[:20])
    assert Session(profile, receive_key, receive_salt, key, salt).seal_rtp(packet, index) == expected


@pytest.mark.parametrize("index", [0, 65535, 65536, (1 << 47) + 12345])
def test_counter_mode_packets_are_as_rfc_3711_section_4_says(index: int) -> None:
    receive_key, receive_salt, key, salt = keys(3)
    packet = rtp(index)
    session_salt = int.from_bytes(derive(key, salt, 2, 14), "big") << 16
    counter = session_salt ^ int.from_bytes(packet[8:12], "big") << 64 ^ index << 16
    stream = Cipher(algorithms.AES(derive(key, salt, 0, 16)), modes.CTR(counter.to_bytes(16, "big"))).encryptor()
    sealed = packet[:20] + stream.update(packet[20:])
    tag = hmac.digest(derive(key, salt, 1, 20), sealed + (index >> 16).to_bytes(4, "big"), "sha1")[:10]
    assert Session(3, receive_key, receive_salt, key, salt).seal_rtp(packet, index) == sealed + tag


@pytest.mark.parametrize("profile", PROFILES)
def test_media_goes_both_ways_with_pylibsrtp_across_the_roll_over(profile: int) -> None:
    receive_key, receive_salt, send_key, send_salt = keys(profile)
    ours = Session(profile, receive_key, receive_salt, send_key, send_salt)
    theirs_in = judge(profile, send_key, send_salt, inbound=True)
    theirs_out = judge(profile, receive_key, receive_salt, inbound=False)
    for index in range(65500, 65600):
        packet = rtp(index)
        assert theirs_in.unprotect(ours.seal_rtp(packet, index)) == packet
        assert ours.open_rtp(theirs_out.protect(packet), index) == packet


@pytest.mark.parametrize("profile", PROFILES)
def test_rtcp_goes_both_ways_with_pylibsrtp_for_several_senders(profile: int) -> None:
    receive_key, receive_salt, send_key, send_salt = keys(profile)
    ours = Session(profile, receive_key, receive_salt, send_key, send_salt)
    theirs_in = judge(profile, send_key, send_salt, inbound=True)
    theirs_out = judge(profile, receive_key, receive_salt, inbound=False)
    for ssrc in (1, 2, 1, 3, 2, 1):
        packet = rtcp(ssrc)
        assert theirs_in.unprotect_rtcp(ours.seal_rtcp(packet)) == packet
        sealed = theirs_out.protect_rtcp(packet)
        assert ours.open_rtcp(sealed) == packet
        assert ours.open_rtcp(sealed) is None, "a replay was taken"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_wrong_tag_a_wrong_index_and_a_cut_packet_do_not_open(profile: int) -> None:
    receive_key, receive_salt, send_key, send_salt = keys(profile)
    ours = Session(profile, receive_key, receive_salt, send_key, send_salt)
    sender = Session(profile, send_key, send_salt, receive_key, receive_salt)
    sealed = sender.seal_rtp(rtp(5), 5)
    assert ours.open_rtp(sealed, 5) == rtp(5)
    assert ours.open_rtp(sealed, 5 + (1 << 16)) is None
    for at in range(len(sealed) - 1, 19, -7):
        assert ours.open_rtp(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], 5) is None
    for size in range(20, len(sealed)):
        assert ours.open_rtp(sealed[:size], 5) is None
    report = sender.seal_rtcp(rtcp(9))
    for at in range(8, len(report)):
        assert ours.open_rtcp(report[:at] + bytes([report[at] ^ 1]) + report[at + 1 :]) is None
    for size in range(len(report)):
        assert ours.open_rtcp(report[:size]) is None
    assert ours.open_rtcp(report) == rtcp(9), "what was refused must not have moved the window"


def test_no_more_than_32_senders_of_rtcp_are_remembered() -> None:
    receive_key, receive_salt, send_key, send_salt = keys(1)
    ours = Session(1, receive_key, receive_salt, send_key, send_salt)
    sender = Session(1, send_key, send_salt, receive_key, receive_salt)
    opened = [ours.open_rtcp(sender.seal_rtcp(rtcp(ssrc))) for ssrc in range(1, 41)]
    assert [packet is not None for packet in opened] == [True] * 32 + [False] * 8


@settings(max_examples=200, deadline=None)
@given(profile=st.sampled_from(sorted(PROFILES)), junk=st.binary(min_size=0, max_size=1504))
def test_random_bytes_never_open_and_never_crash(profile: int, junk: bytes) -> None:
    ours = Session(profile, *keys(profile))
    assert ours.open_rtcp(junk) is None
    try:
        assert ours.open_rtp(junk, 7) is None
    except ValueError as error:
        assert "not an RTP packet" in str(error)


def test_what_pylibsrtp_sealed_for_another_does_not_open() -> None:
    ours = Session(1, *keys(1))
    other = judge(1, *keys(1, seed=2)[:2], inbound=False)
    assert ours.open_rtp(other.protect(rtp(1)), 1) is None
    with pytest.raises(Error):
        judge(1, *keys(1, seed=2)[2:], inbound=True).unprotect(ours.seal_rtp(rtp(1), 1))
