"""sfu.routing.kernel.srtp, judged by libsrtp and by a model on `cryptography` that the RFCs' own vectors hold true."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pylibsrtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy

from sfu.routing.kernel.srtp import Session
from sfu.routing.tables import PACKET_BYTES, Profile
from tests.srtp_model import Model, model

few = settings(max_examples=60, deadline=None)
LIBSRTP = {
    Profile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Profile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    Profile.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
each_profile = pytest.mark.parametrize("profile", LIBSRTP, ids=lambda profile: profile.name)
SENDERS = 32  # SSRCs whose SRTCP a peer may send
WINDOW = 64  # SRTCP packets that may overtake one another
TAGS = {Profile.AEAD_AES_128_GCM: 16, Profile.AEAD_AES_256_GCM: 16, Profile.AES_CM_128_HMAC_SHA1_80: 10}
PACKET = bytes.fromhex("80 60 1234 00000001 deadbeef") + b"the payload"


class Judge:
    """libsrtp as one peer: it takes one policy for any SSRC in a session, so each direction has its own."""

    def __init__(self, outbound: pylibsrtp.Session, inbound: pylibsrtp.Session) -> None:
        self.protect, self.protect_rtcp = outbound.protect, outbound.protect_rtcp
        self.unprotect, self.unprotect_rtcp = inbound.unprotect, inbound.unprotect_rtcp


@dataclass(frozen=True)
class Keys:
    """Master keys and salts of both directions, as a DTLS handshake gives them."""

    profile: Profile
    ours: tuple[bytes, bytes]
    theirs: tuple[bytes, bytes]

    def session(self) -> Session:
        return Session(int(self.profile), *self.theirs, *self.ours)

    def other_session(self) -> Session:
        return Session(int(self.profile), *self.ours, *self.theirs)

    def judge(self) -> Judge:
        """libsrtp at the other end."""
        return Judge(
            *(
                self._judge(kind, keys)
                for kind, keys in ((Policy.SSRC_ANY_OUTBOUND, self.theirs), (Policy.SSRC_ANY_INBOUND, self.ours))
            )
        )

    def _judge(self, kind: int, keys: tuple[bytes, bytes]) -> pylibsrtp.Session:
        return pylibsrtp.Session(Policy(b"".join(keys), kind, srtp_profile=LIBSRTP[self.profile]))


def keys_of(profile: Profile, seed: int = 1) -> Keys:
    source = random.Random(seed)
    sizes = (
        32 if profile == Profile.AEAD_AES_256_GCM else 16,
        14 if profile == Profile.AES_CM_128_HMAC_SHA1_80 else 12,
    )
    made = [source.randbytes(size) for size in sizes * 2]
    return Keys(profile, (made[0], made[1]), (made[2], made[3]))


def packet(index: int, ssrc: int = 0xDEADBEEF, payload: bytes = b"payload") -> bytes:
    head = bytes.fromhex("8060") + (index & 0xFFFF).to_bytes(2, "big") + (index % 2**32).to_bytes(4, "big")
    return head + ssrc.to_bytes(4, "big") + payload


def report(ssrc: int, number: int = 0) -> bytes:
    """A picture loss indication, told apart by its media SSRC."""
    return bytes.fromhex("81ce0002") + ssrc.to_bytes(4, "big") + number.to_bytes(4, "big")


@st.composite
def rtp_packets(draw: st.DrawFn) -> tuple[bytes, int]:
    """Any packet, with CSRCs and an extension or without, and the size of its header."""
    csrcs, words = draw(st.integers(0, 15)), draw(st.none() | st.integers(0, 10))
    first = 0x80 | csrcs | (0 if words is None else 16)
    extension = 0 if words is None else 4 + 4 * words
    head = bytearray(draw(st.binary(min_size=12 + 4 * csrcs + extension, max_size=12 + 4 * csrcs + extension)))
    head[0] = first
    if words is not None:
        head[14 + 4 * csrcs : 16 + 4 * csrcs] = words.to_bytes(2, "big")
    return bytes(head) + draw(st.binary(max_size=200)), len(head)


def test_the_model_derives_the_keys_of_rfc_3711_b_3() -> None:
    master, salt = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
    made = model(master, salt)
    assert made.rtp_key.hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert made.rtp_salt.hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert made.rtp_auth.hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


def test_the_model_has_the_key_stream_of_rfc_3711_b_2() -> None:
    made = Model(bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"), bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
                 b"", b"", rtp_auth=bytes(20))  # fmt: skip
    sealed = made.seal_rtp(bytes(12) + bytes(32), 12, 0)  # SSRC and index 0, and a payload of zeros
    assert sealed[12:44].hex().upper() == "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB"


@pytest.mark.parametrize(
    ("key_bytes", "sealed"),
    [
        (16, "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b"
             "36de3adf8833899d7f27beb16a9152cf765ee4390cce"),
        (32, "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f"
             "1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13"),
    ],
)  # fmt: skip
def test_the_model_seals_as_rfc_7714_16(key_bytes: int, sealed: str) -> None:
    head = bytes.fromhex("8040f17b8041f8d35501a0b2")
    made = Model(bytes(range(key_bytes)), b"Quid pro quo", b"", b"")
    clear = head + b"Gallia est omnis divisa in partes tres"
    assert made.seal_rtp(clear, 12, 0xF17B) == head + bytes.fromhex(sealed)


def test_the_model_seals_as_rfc_7714_17() -> None:
    clear = bytes.fromhex(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
    )
    made = Model(b"", b"", bytes(range(16)), b"Quid pro quo")
    assert made.seal_rtcp(clear, 0x5D4).hex() == (
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda"
        "4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4"
    )


@each_profile
@given(made=rtp_packets(), index=st.integers(0, 2**48 - 1), seed=st.integers(0, 999))
@few
def test_a_packet_is_sealed_as_the_rfc_says_and_opened(
    profile: Profile, made: tuple[bytes, int], index: int, seed: int
) -> None:
    clear, header = made
    keys = keys_of(profile, seed)
    sealed = keys.session().seal_rtp(clear, index)
    assert sealed == model(*keys.ours).seal_rtp(clear, header, index)
    assert keys.other_session().open_rtp(sealed, index) == clear


@each_profile
@given(bodies=st.lists(st.binary(max_size=120), min_size=1, max_size=5), seed=st.integers(0, 999))
@few
def test_reports_are_sealed_as_the_rfc_says_under_rising_indexes_and_opened(
    profile: Profile, bodies: list[bytes], seed: int
) -> None:
    keys = keys_of(profile, seed)
    ours, theirs = keys.session(), keys.other_session()
    for index, body in enumerate(bodies, 1):
        clear = report(7)[:8] + body
        sealed = ours.seal_rtcp(clear)
        assert sealed == model(*keys.ours).seal_rtcp(clear, index)
        assert theirs.open_rtcp(sealed) == clear


@each_profile
def test_a_report_without_the_e_flag_is_checked_and_read(profile: Profile) -> None:
    keys = keys_of(profile)
    session, clear = keys.session(), report(7, 8)
    sealed = model(*keys.theirs).seal_rtcp(clear, 5, encrypted=False)
    assert sealed.startswith(clear)
    assert session.open_rtcp(flipped(sealed, 9)) is None
    assert session.open_rtcp(sealed) == clear


# Over two wraps of the sequence number: libsrtp must find each index by itself.
OVER_TWO_WRAPS = [0xFFFC, 0xFFFD, 0xFFFF, 0x10000, 0x10001, 0xFFFE, 0x17000, 0x1E000, 0x1FFFF, 0x20000, 0x20001]


@each_profile
def test_libsrtp_opens_what_we_seal_over_the_wraps(profile: Profile) -> None:
    keys = keys_of(profile)
    ours, judge = keys.session(), keys.judge()
    for index in OVER_TWO_WRAPS:
        sealed = ours.seal_rtp(packet(index), index)
        assert sealed is not None and judge.unprotect(sealed) == packet(index)


@each_profile
def test_we_open_what_libsrtp_seals_over_the_wraps(profile: Profile) -> None:
    keys = keys_of(profile)
    ours, judge = keys.session(), keys.judge()
    for index in OVER_TWO_WRAPS:
        assert ours.open_rtp(judge.protect(packet(index)), index) == packet(index)


@each_profile
@given(made=rtp_packets())
@few
def test_libsrtp_and_we_seal_any_packet_alike(profile: Profile, made: tuple[bytes, int]) -> None:
    clear, _ = made
    keys = keys_of(profile)
    index = int.from_bytes(clear[2:4], "big")
    assert keys.other_session().seal_rtp(clear, index) == keys.judge().protect(clear)


@each_profile
def test_reports_of_several_ssrcs_pass_between_libsrtp_and_us(profile: Profile) -> None:
    keys = keys_of(profile)
    ours, judge = keys.session(), keys.judge()
    for number in range(3):
        for ssrc in (1, 0xFFFFFFFF, 0x80000000):
            sealed = ours.seal_rtcp(report(ssrc, number))
            assert sealed is not None and judge.unprotect_rtcp(sealed) == report(ssrc, number)
            # libsrtp counts for each SSRC by itself: the same index comes three times, and none is a replay.
            assert ours.open_rtcp(judge.protect_rtcp(report(ssrc, number))) == report(ssrc, number)


def flipped(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


@each_profile
def test_a_packet_changed_anywhere_is_refused(profile: Profile) -> None:
    keys = keys_of(profile)
    sealed = keys.other_session().seal_rtp(PACKET, 0x1234)
    session = keys.session()
    assert sealed is not None and len(sealed) == len(PACKET) + TAGS[profile]
    # From the second octet on: with other bits in the first it may be no RTP at all.
    assert [session.open_rtp(flipped(sealed, at), 0x1234) for at in range(1, len(sealed))] == [None] * (len(sealed) - 1)
    assert session.open_rtp(sealed, 0x1234) == PACKET


@each_profile
def test_a_packet_under_another_rollover_count_is_refused(profile: Profile) -> None:
    keys = keys_of(profile)
    sealed = keys.other_session().seal_rtp(PACKET, 0x51234)
    assert sealed is not None
    session = keys.session()
    assert [session.open_rtp(sealed, roc << 16 | 0x1234) for roc in (0, 4, 6, 0xFFFFFFFF)] == [None] * 4
    assert session.open_rtp(sealed, 0x51234) == PACKET


@each_profile
def test_a_report_changed_anywhere_is_refused_and_the_true_one_still_read(profile: Profile) -> None:
    keys = keys_of(profile)
    sealed = keys.other_session().seal_rtcp(report(7))
    session = keys.session()
    assert sealed is not None and len(sealed) == len(report(7)) + 4 + TAGS[profile]
    assert [session.open_rtcp(flipped(sealed, at)) for at in range(len(sealed))] == [None] * len(sealed)
    assert session.open_rtcp(sealed) == report(7)


@each_profile
def test_the_keys_of_one_direction_do_not_open_the_other(profile: Profile) -> None:
    session = keys_of(profile).session()
    sealed, sealed_report = session.seal_rtp(PACKET, 0x1234), session.seal_rtcp(report(7))
    assert sealed is not None and sealed_report is not None
    assert session.open_rtp(sealed, 0x1234) is None
    assert session.open_rtcp(sealed_report) is None


@each_profile
def test_a_report_is_read_once(profile: Profile) -> None:
    keys = keys_of(profile)
    judge, session = keys.judge(), keys.session()
    sealed = [judge.protect_rtcp(report(7, number)) for number in range(3)]
    assert [session.open_rtcp(one) for one in sealed] == [report(7, number) for number in range(3)]
    assert [session.open_rtcp(one) for one in sealed] == [None] * 3


@each_profile
@given(order=st.lists(st.integers(1, 3 * WINDOW), max_size=60))
@few
def test_a_late_report_is_read_within_the_window_and_once(profile: Profile, order: list[int]) -> None:
    keys = keys_of(profile)
    session, sender = keys.session(), model(*keys.theirs)
    highest, read = 0, set[int]()
    for index in order:
        fresh = index not in read and index > highest - WINDOW
        opened = session.open_rtcp(sender.seal_rtcp(report(7, index), index))
        assert opened == (report(7, index) if fresh else None)
        if fresh:
            read.add(index)
            highest = max(highest, index)


@each_profile
def test_the_window_ends_after_64_reports(profile: Profile) -> None:
    keys = keys_of(profile)
    session, sender = keys.session(), model(*keys.theirs)
    assert session.open_rtcp(sender.seal_rtcp(report(7), 1000)) == report(7)
    assert session.open_rtcp(sender.seal_rtcp(report(7), 1000 - WINDOW)) is None
    assert session.open_rtcp(sender.seal_rtcp(report(7), 1001 - WINDOW)) == report(7)


@each_profile
def test_reports_of_32_ssrcs_are_read_and_no_more(profile: Profile) -> None:
    keys = keys_of(profile)
    session, sender = keys.session(), model(*keys.theirs)
    for ssrc in range(SENDERS):
        assert session.open_rtcp(sender.seal_rtcp(report(ssrc), 1)) == report(ssrc)
    assert session.open_rtcp(sender.seal_rtcp(report(SENDERS), 1)) is None
    # The others go on.
    for ssrc in range(SENDERS):
        assert session.open_rtcp(sender.seal_rtcp(report(ssrc), 2)) == report(ssrc)


@each_profile
def test_forged_reports_take_no_place_among_the_senders(profile: Profile) -> None:
    keys = keys_of(profile)
    session, sender, stranger = keys.session(), model(*keys.theirs), model(*keys.ours)
    for ssrc in range(2 * SENDERS):
        assert session.open_rtcp(stranger.seal_rtcp(report(ssrc), 2**31 - 1)) is None
    for ssrc in range(SENDERS):
        assert session.open_rtcp(sender.seal_rtcp(report(ssrc), 1)) == report(ssrc)


def opened(session: Session, octets: bytes, index: int) -> bytes | None:
    """What is not even RTP is refused by the parser, before any key is touched."""
    try:
        return session.open_rtp(octets, index)
    except ValueError as error:
        assert str(error) == "not an RTP packet"
        return None


@pytest.mark.asan
@each_profile
@given(octets=st.binary(max_size=300), index=st.integers(0, 2**48 - 1))
@few
def test_random_packets_open_to_nothing(profile: Profile, octets: bytes, index: int) -> None:
    session = keys_of(profile).session()
    assert opened(session, octets, index) is None
    assert opened(session, b"\x80" + octets, index) is None
    assert session.open_rtcp(octets) is None


@pytest.mark.asan
@each_profile
def test_truncated_packets_open_to_nothing(profile: Profile) -> None:
    keys = keys_of(profile)
    session, other = keys.session(), keys.other_session()
    sealed, sealed_report = other.seal_rtp(PACKET, 0x1234), other.seal_rtcp(report(7))
    assert sealed is not None and sealed_report is not None
    assert [opened(session, sealed[:size], 0x1234) for size in range(len(sealed))] == [None] * len(sealed)
    assert [session.open_rtcp(sealed_report[:size]) for size in range(len(sealed_report))] == [None] * len(
        sealed_report
    )
    assert opened(session, sealed, 0x1234) == PACKET
    assert session.open_rtcp(sealed_report) == report(7)


@pytest.mark.asan
@each_profile
def test_the_longest_packet_passes_and_a_longer_one_is_an_error(profile: Profile) -> None:
    keys = keys_of(profile)
    longest = PACKET.ljust(PACKET_BYTES - TAGS[profile], b"\0")
    sealed = keys.other_session().seal_rtp(longest, 0x1234)
    assert sealed is not None and keys.session().open_rtp(sealed, 0x1234) == longest
    with pytest.raises(ValueError, match="over the limit"):
        keys.session().seal_rtp(bytes(PACKET_BYTES + 1), 0)


@pytest.mark.parametrize("size", range(8))
@each_profile
def test_less_than_a_head_and_an_ssrc_is_no_report_to_seal(profile: Profile, size: int) -> None:
    with pytest.raises(ValueError, match="too short"):
        keys_of(profile).session().seal_rtcp(report(7)[:size])


@pytest.mark.parametrize("profile", [0, 4, -1])
def test_another_profile_is_refused(profile: int) -> None:
    with pytest.raises(ValueError, match="is not known"):
        Session(profile, bytes(16), bytes(12), bytes(16), bytes(12))


@each_profile
@pytest.mark.parametrize("wrong", range(4))
@pytest.mark.parametrize("change", [-1, 1])
def test_keys_and_salts_of_another_length_are_refused(profile: Profile, wrong: int, change: int) -> None:
    keys = keys_of(profile)
    parts = [*keys.theirs, *keys.ours]
    parts[wrong] = parts[wrong] + b"x" if change > 0 else parts[wrong][:-1]
    with pytest.raises(ValueError, match="wrong length"):
        Session(int(profile), *parts)
