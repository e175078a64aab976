"""sfu.wire.stun, judged by the vectors of RFC 5769 and by aioice's own STUN code."""

from __future__ import annotations

import binascii
import ipaddress

import pytest
from aioice import stun as judge
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.wire import stun

PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RESPONSE_IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
RESPONSE_IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)

few = settings(max_examples=100, deadline=None)
transactions = st.binary(min_size=12, max_size=12)
passwords = st.text("abcXYZ019+/", min_size=22, max_size=40).map(str.encode)
ufrags = st.text("abcXYZ019+/", min_size=4, max_size=32)
addresses = st.tuples(st.ip_addresses().map(str), st.integers(0, 65535))


def attribute(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


def message(*attributes: bytes, type_: int = 0x0001) -> bytes:
    body = b"".join(attributes)
    return type_.to_bytes(2, "big") + len(body).to_bytes(2, "big") + bytes.fromhex("2112a442") + TRANSACTION + body


def test_the_sample_request_of_rfc_5769_is_read() -> None:
    parsed = stun.parse(REQUEST)
    assert (parsed.method, parsed.class_, parsed.transaction_id) == (stun.BINDING, stun.REQUEST, TRANSACTION)
    assert parsed.username == "evtj:h6vY"
    assert parsed.priority == 0x6E0001FF
    assert parsed.ice_controlled == 0x932FF9B151263B36
    assert parsed.ice_controlling is None
    assert parsed.fingerprint_ok is True
    assert parsed.unknown == ()
    assert stun.integrity_ok(REQUEST, PASSWORD)
    assert not stun.integrity_ok(REQUEST, PASSWORD + b"x")


@pytest.mark.parametrize(
    ("datagram", "mapped"),
    [
        (RESPONSE_IPV4, ("192.0.2.1", 32853)),
        (RESPONSE_IPV6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
)
def test_the_sample_responses_of_rfc_5769_are_read(datagram: bytes, mapped: tuple[str, int]) -> None:
    parsed = stun.parse(datagram)
    assert parsed.class_ == stun.SUCCESS
    assert parsed.mapped == mapped
    assert parsed.fingerprint_ok is True
    assert stun.integrity_ok(datagram, PASSWORD)


def test_one_flipped_bit_anywhere_is_never_accepted() -> None:
    for at in range(len(REQUEST) * 8):
        flipped = bytearray(REQUEST)
        flipped[at // 8] ^= 1 << at % 8
        try:
            fingerprint_ok = stun.parse(bytes(flipped)).fingerprint_ok
        except stun.StunError:
            continue
        assert fingerprint_ok is not True
        covered = at // 8 < len(REQUEST) - 8
        assert stun.integrity_ok(bytes(flipped), PASSWORD) is not covered


@few
@given(transactions, addresses, passwords)
def test_success_responses_are_read_by_aioice(transaction: bytes, address: tuple[str, int], password: bytes) -> None:
    datagram = stun.binding_success(transaction, address, password)
    parsed = judge.parse_message(datagram)
    assert parsed.check_message_integrity(password)
    assert parsed.message_method == judge.Method.BINDING
    assert parsed.message_class == judge.Class.RESPONSE
    assert parsed.transaction_id == transaction
    ip, port = parsed.attributes["XOR-MAPPED-ADDRESS"]
    assert (ipaddress.ip_address(ip), port) == (ipaddress.ip_address(address[0]), address[1])
    assert "FINGERPRINT" in parsed.attributes
    assert stun.parse(datagram).mapped == (str(ipaddress.ip_address(address[0])), address[1])


@few
@given(transactions, st.integers(300, 699), st.text(max_size=40), passwords)
def test_error_responses_are_read_by_aioice(transaction: bytes, code: int, reason: str, password: bytes) -> None:
    datagram = stun.binding_error(transaction, code, reason, password)
    parsed = judge.parse_message(datagram)
    assert parsed.check_message_integrity(password)
    assert parsed.message_class == judge.Class.ERROR
    assert parsed.attributes["ERROR-CODE"] == (code, reason)
    assert stun.parse(datagram).error == (code, reason)


def test_an_error_without_password_carries_no_integrity_and_420_names_the_types() -> None:
    datagram = stun.binding_error(TRANSACTION, 420, "", None, (0x7001, 0x7002, 0x7003))
    assert "MESSAGE-INTEGRITY" not in judge.parse_message(datagram).attributes
    assert bytes.fromhex("000a0006700170027003") in datagram
    assert not stun.integrity_ok(datagram, b"")


@few
@given(transactions, ufrags, ufrags, passwords, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.booleans())
def test_checks_of_aioice_and_ours_say_the_same(
    transaction: bytes, local: str, remote: str, password: bytes, priority: int, tie: int, use: bool
) -> None:
    theirs = judge.Message(judge.Method.BINDING, judge.Class.REQUEST, transaction)
    theirs.attributes["USERNAME"] = f"{local}:{remote}"
    theirs.attributes["PRIORITY"] = priority
    theirs.attributes["ICE-CONTROLLING"] = tie
    if use:
        theirs.attributes["USE-CANDIDATE"] = None
    theirs.add_message_integrity(password)
    ours = stun.binding_request(
        transaction, f"{local}:{remote}", password, use_candidate=use, priority=priority, controlling=tie
    )
    assert ours == bytes(theirs)
    parsed = stun.parse(bytes(theirs))
    assert parsed == stun.Message(
        stun.BINDING, stun.REQUEST, transaction, f"{local}:{remote}", use, priority, tie, None, True
    )
    assert stun.integrity_ok(bytes(theirs), password)
    assert not stun.integrity_ok(bytes(theirs), password[:-1])


@few
@given(st.binary(max_size=200))
def test_random_bytes_raise_stun_error_and_nothing_else(datagram: bytes) -> None:
    with pytest.raises(stun.StunError):
        stun.parse(datagram)
    assert stun.integrity_ok(datagram, PASSWORD) is False


@few
@given(st.lists(st.tuples(st.sampled_from((0x0006, 0x0020, 0x0024, 0x0025, 0x802A, 0x0008)), st.binary(max_size=30))))
def test_attributes_of_any_content_are_read_or_refused(attributes: list[tuple[int, bytes]]) -> None:
    datagram = message(*(attribute(kind, value) for kind, value in attributes))
    try:
        parsed = stun.parse(datagram)
    except stun.StunError:
        return
    assert parsed.transaction_id == TRANSACTION
    assert all(len(value) == 20 for kind, value in attributes[:1] if kind == 0x0008)


@pytest.mark.parametrize("cut", range(1, len(REQUEST)))
def test_a_cut_message_is_refused_also_when_its_header_lies(cut: int) -> None:
    short = REQUEST[:cut]
    with pytest.raises(stun.StunError):
        stun.parse(short)
    if cut >= stun.HEADER_BYTES and (cut - stun.HEADER_BYTES) % 4 == 0:
        lying = short[:2] + (cut - stun.HEADER_BYTES).to_bytes(2, "big") + short[4:]
        assert not stun.integrity_ok(lying, PASSWORD) or cut >= len(REQUEST) - 8


@pytest.mark.parametrize(
    ("fault", "datagram"),
    [
        ("nothing", b""),
        ("no cookie", REQUEST[:4] + b"\0\0\0\0" + REQUEST[8:]),
        ("first bits", b"\x80" + REQUEST[1:]),
        ("one byte more", REQUEST + b"\0"),
        ("two bytes at the end, counted in the header", message(b"\0\x06")),
        ("too long", message(attribute(0x8022, bytes(1600)))),
        ("too many attributes", message(*[attribute(0x8022, b"")] * 33)),
        ("attribute past the end", message(bytes.fromhex("00060009"))),
        ("user name not UTF-8", message(attribute(0x0006, b"\xff\xfe"))),
        ("user name too long", message(attribute(0x0006, b"a" * 514))),
        ("short priority", message(attribute(0x0024, b"\0\0\0"))),
        ("use-candidate with a value", message(attribute(0x0025, b"\0"))),
        ("short tie-breaker", message(attribute(0x802A, bytes(7)))),
        ("short integrity", message(attribute(0x0008, bytes(19)))),
        ("short fingerprint", message(attribute(0x8028, bytes(3)))),
        ("behind the fingerprint", message(attribute(0x8028, bytes(4)), attribute(0x8022, b""))),
        ("address family 3", message(attribute(0x0020, b"\0\x03" + bytes(6)))),
        ("IPv6 of 4 bytes", message(attribute(0x0020, b"\0\x02" + bytes(6)))),
        ("address without port", message(attribute(0x0020, b"\0\x01"))),
        ("error code 799", message(attribute(0x0009, bytes((0, 0, 7, 99))))),
        ("short error code", message(attribute(0x0009, bytes(3)))),
    ],
)
def test_each_kind_of_malformed_message_is_refused(fault: str, datagram: bytes) -> None:
    with pytest.raises(stun.StunError):
        stun.parse(datagram)


def test_unknown_types_below_8000_are_listed_once_and_others_passed_over() -> None:
    parsed = stun.parse(
        message(attribute(0x7001, b"x"), attribute(0xC057, b"abcd"), attribute(0x7001, b""), attribute(0x7002, b""))
    )
    assert parsed.unknown == (0x7001, 0x7002)


def test_what_stands_behind_the_integrity_is_passed_over_and_the_first_of_two_counts() -> None:
    body = attribute(0x0006, b"a:b") + attribute(0x0006, b"c:d")
    sealed = judge.message_integrity(message(body), b"secret")
    datagram = message(body, attribute(0x0008, sealed), attribute(0x0025, b""), attribute(0x7001, b""))
    parsed = stun.parse(datagram)
    assert (parsed.username, parsed.use_candidate, parsed.unknown) == ("a:b", False, ())
    assert parsed.fingerprint_ok is None
    assert stun.integrity_ok(datagram, b"secret")
    crc = binascii.crc32(datagram[:2] + (len(datagram) - 12).to_bytes(2, "big") + datagram[4:]) ^ 0x5354554E
    with_fingerprint = message(datagram[20:], attribute(0x8028, crc.to_bytes(4, "big")))
    assert stun.parse(with_fingerprint).fingerprint_ok is True
    assert stun.integrity_ok(with_fingerprint, b"secret")


def test_class_and_method_bits_are_taken_apart() -> None:
    parsed = stun.parse(message(type_=0x3FFF))
    assert (parsed.method, parsed.class_) == (0xFFF, stun.ERROR)
    assert stun.parse(message(type_=0x0011)).class_ == stun.INDICATION


def test_the_writers_refuse_what_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        stun.binding_success(b"short", ("127.0.0.1", 1), b"")
    with pytest.raises(ValueError, match="UDP port"):
        stun.binding_success(TRANSACTION, ("127.0.0.1", 65536), b"")
    with pytest.raises(ValueError, match="300 to 699"):
        stun.binding_error(TRANSACTION, 200, "", None)
