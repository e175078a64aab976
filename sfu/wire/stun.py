"""STUN messages (RFC 8489) as ICE uses them (RFC 8445 7.1): parser, writer and the two checks.

The parser takes what a stranger sends: it raises StunError and nothing else, and it never reads
past a length that it has not checked. It does not judge integrity, because the password is found
by the user name that it returns.
"""

from __future__ import annotations

import binascii
import hmac
import ipaddress
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEADER_BYTES = 20
MAGIC_COOKIE = 0x2112A442
MESSAGE_BYTES_MAX = 1500  # a check is about 110 bytes; a larger limit only lets a stranger make us walk more
ATTRIBUTES_MAX = 32  # browsers send 8; a larger limit lengthens the answer 420 and the walk
USERNAME_BYTES_MAX = 513  # RFC 5389 15.3; RFC 8489 says 508, older clients may use the rest
REASON_BYTES_MAX = 763  # RFC 8489 14.8

BINDING = 0x001
REQUEST, INDICATION, SUCCESS, ERROR = 0, 1, 2, 3

MAPPED_ADDRESS = 0x0001
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
REALM = 0x0014
NONCE = 0x0015
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A

COMPREHENSION_OPTIONAL = 0x8000  # RFC 8489 14: types from here on may be passed over
UNDERSTOOD = frozenset(
    {MAPPED_ADDRESS, USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES, REALM, NONCE}
    | {XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE}
)
INTEGRITY_BYTES = 20
FINGERPRINT_XOR = 0x5354554E
FAMILY_IPV4, FAMILY_IPV6 = 1, 2

_header = struct.Struct("!HHI12s")
_attribute = struct.Struct("!HH")
_u32 = struct.Struct("!I")
_u64 = struct.Struct("!Q")


class StunError(ValueError):
    """The datagram is not a STUN message that RFC 8489 allows, or one over our limits."""


@dataclass(frozen=True, slots=True)
class Message:
    """One parsed message. `None` = the attribute is missing; of a repeated attribute the first counts."""

    method: int
    class_: int  # REQUEST, INDICATION, SUCCESS or ERROR
    transaction_id: bytes  # 12 bytes
    username: str | None = None
    use_candidate: bool = False
    priority: int | None = None
    ice_controlling: int | None = None  # the tie-breaker
    ice_controlled: int | None = None
    fingerprint_ok: bool | None = None
    unknown: tuple[int, ...] = ()  # comprehension-required types that we do not know: answer 420
    mapped: tuple[str, int] | None = None  # XOR-MAPPED-ADDRESS of a success response
    error: tuple[int, str] | None = None  # code and reason of an error response


def _attributes(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, offset, value) of each attribute after a checked header. Raises StunError."""
    at, count = HEADER_BYTES, 0
    while at < len(datagram):
        count += 1
        if count > ATTRIBUTES_MAX:
            raise StunError(f"more than {ATTRIBUTES_MAX} attributes")
        type_, length = _attribute.unpack_from(datagram, at)  # lengths are multiples of 4, so 4 bytes are there
        end = at + 4 + length
        if end > len(datagram):
            raise StunError("an attribute runs past the end of the message")
        yield type_, at, datagram[at + 4 : end]
        at = end + -length % 4


def _check_header(datagram: bytes) -> tuple[int, bytes]:
    """Message type and transaction id (RFC 8489 5, 6.3). Raises StunError."""
    if not HEADER_BYTES <= len(datagram) <= MESSAGE_BYTES_MAX:
        raise StunError("not the size of a STUN message")
    type_, length, cookie, transaction_id = _header.unpack_from(datagram)
    if type_ & 0xC000:
        raise StunError("the first two bits are not zero")
    if cookie != MAGIC_COOKIE:
        raise StunError("no magic cookie")
    if length % 4 or length != len(datagram) - HEADER_BYTES:
        raise StunError("the length in the header is not the length of the datagram")
    return type_, transaction_id


def _exactly(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise StunError("an attribute of fixed size has another size")
    return value


def _read_username(value: bytes, _: bytes) -> str:
    if len(value) > USERNAME_BYTES_MAX:
        raise StunError("USERNAME is too long")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise StunError("USERNAME is not UTF-8") from error


def _read_u32(value: bytes, _: bytes) -> int:
    return int(_u32.unpack(_exactly(value, 4))[0])


def _read_u64(value: bytes, _: bytes) -> int:
    return int(_u64.unpack(_exactly(value, 8))[0])


def _read_flag(value: bytes, _: bytes) -> bool:
    _exactly(value, 0)
    return True


def _address_pad(transaction_id: bytes) -> bytes:
    return _u32.pack(MAGIC_COOKIE) + transaction_id


def _xor(data: bytes, pad: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, pad, strict=False))


def _read_xor_address(value: bytes, transaction_id: bytes) -> tuple[str, int]:
    if len(value) < 4:
        raise StunError("XOR-MAPPED-ADDRESS is too short")
    _, family, port = struct.unpack_from("!BBH", value)
    size = {FAMILY_IPV4: 4, FAMILY_IPV6: 16}.get(family)
    if size is None:
        raise StunError("XOR-MAPPED-ADDRESS has an unknown family")
    packed = _xor(_exactly(value[4:], size), _address_pad(transaction_id))
    return str(ipaddress.ip_address(packed)), port ^ MAGIC_COOKIE >> 16


def _read_error(value: bytes, _: bytes) -> tuple[int, str]:
    if not 4 <= len(value) <= 4 + REASON_BYTES_MAX:
        raise StunError("ERROR-CODE is not of a possible size")
    hundreds, rest = value[2] & 7, value[3]
    if not 3 <= hundreds <= 6 or rest > 99:
        raise StunError("ERROR-CODE is not from 300 to 699")
    return hundreds * 100 + rest, value[4:].decode("utf-8", "replace")


# Attribute -> the field of Message that it fills and how it is read.
_READERS: dict[int, tuple[str, Callable[[bytes, bytes], object]]] = {
    USERNAME: ("username", _read_username),
    PRIORITY: ("priority", _read_u32),
    USE_CANDIDATE: ("use_candidate", _read_flag),
    ICE_CONTROLLING: ("ice_controlling", _read_u64),
    ICE_CONTROLLED: ("ice_controlled", _read_u64),
    XOR_MAPPED_ADDRESS: ("mapped", _read_xor_address),
    ERROR_CODE: ("error", _read_error),
}


def parse(datagram: bytes) -> Message:
    """One STUN message. Raises StunError; says nothing of integrity (see `integrity_ok`).

    Attributes behind MESSAGE-INTEGRITY other than FINGERPRINT are passed over (RFC 8489 14.5),
    nothing may follow FINGERPRINT (14.7).
    """
    type_, transaction_id = _check_header(datagram)
    fields: dict[str, object] = {}
    unknown: list[int] = []
    sealed = False
    for kind, at, value in _attributes(datagram):
        if "fingerprint_ok" in fields:
            raise StunError("an attribute follows FINGERPRINT")
        if kind == FINGERPRINT:
            crc = binascii.crc32(datagram[:at]) ^ FINGERPRINT_XOR
            fields["fingerprint_ok"] = _read_u32(value, b"") == crc
        elif sealed:
            continue
        elif kind == MESSAGE_INTEGRITY:
            _exactly(value, INTEGRITY_BYTES)
            sealed = True
        elif kind in _READERS:
            name, read = _READERS[kind]
            if name not in fields:
                fields[name] = read(value, transaction_id)
        elif kind < COMPREHENSION_OPTIONAL and kind not in UNDERSTOOD and kind not in unknown:
            unknown.append(kind)
    # RFC 8489 5: the two class bits stand among the bits of the method
    class_ = type_ >> 7 & 2 | type_ >> 4 & 1
    method = type_ >> 2 & 0xF80 | type_ >> 1 & 0x70 | type_ & 0xF
    return Message(method, class_, transaction_id, unknown=tuple(unknown), **fields)  # type: ignore[arg-type]


def _digest(covered: bytes, password: bytes) -> bytes:
    """HMAC-SHA1 over the message before MESSAGE-INTEGRITY, its length counted up to the end of that attribute."""
    length = len(covered) - HEADER_BYTES + 4 + INTEGRITY_BYTES
    return hmac.digest(password, covered[:2] + length.to_bytes(2, "big") + covered[4:], "sha1")


def integrity_ok(datagram: bytes, password: bytes) -> bool:
    """Whether the message carries the right MESSAGE-INTEGRITY (RFC 8489 14.5), compared in constant time.

    False where it is missing and where the datagram is not a STUN message; raises nothing.
    """
    try:
        _check_header(datagram)
        for kind, at, value in _attributes(datagram):
            if kind == MESSAGE_INTEGRITY:
                return hmac.compare_digest(_digest(datagram[:at], password), value)
    except StunError:
        return False
    return False


def _write(class_: int, transaction_id: bytes, attributes: list[tuple[int, bytes]], password: bytes | None) -> bytes:
    """A Binding message with MESSAGE-INTEGRITY (where there is a password) and FINGERPRINT."""
    if len(transaction_id) != 12:
        raise ValueError("a transaction id has 12 bytes")
    type_ = BINDING | (class_ & 2) << 7 | (class_ & 1) << 4
    body = b"".join(_attribute.pack(kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in attributes)
    message = _header.pack(type_, len(body), MAGIC_COOKIE, transaction_id) + body
    if password is not None:
        message += _attribute.pack(MESSAGE_INTEGRITY, INTEGRITY_BYTES) + _digest(message, password)
    # both checks are made over a header that already counts them
    length = len(message) - HEADER_BYTES + 8
    message = message[:2] + length.to_bytes(2, "big") + message[4:]
    crc = binascii.crc32(message) ^ FINGERPRINT_XOR
    return message + _attribute.pack(FINGERPRINT, 4) + _u32.pack(crc)


def binding_success(transaction_id: bytes, address: tuple[str, int], password: bytes) -> bytes:
    """A success response with XOR-MAPPED-ADDRESS (IPv4: 64 bytes, IPv6: 76). `address` is (ip, port).

    Raises ValueError when the ip is not one or the port is out of range.
    """
    ip = ipaddress.ip_address(address[0])
    if not 0 <= address[1] <= 0xFFFF:
        raise ValueError("not a UDP port")
    family = FAMILY_IPV4 if ip.version == 4 else FAMILY_IPV6
    head = struct.pack("!BBH", 0, family, address[1] ^ MAGIC_COOKIE >> 16)
    value = head + _xor(ip.packed, _address_pad(transaction_id))
    return _write(SUCCESS, transaction_id, [(XOR_MAPPED_ADDRESS, value)], password)


def binding_error(
    transaction_id: bytes, code: int, reason: str, password: bytes | None, unknown: tuple[int, ...] = ()
) -> bytes:
    """An error response (RFC 8489 14.8); without a password it carries no MESSAGE-INTEGRITY.

    `unknown` are the types for UNKNOWN-ATTRIBUTES, which code 420 must name. Raises ValueError for
    a code outside 300-699.
    """
    if not 300 <= code <= 699:
        raise ValueError("STUN error codes are 300 to 699")
    attributes = [(ERROR_CODE, bytes((0, 0, code // 100, code % 100)) + reason.encode())]
    if unknown:
        attributes.append((UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(unknown)}H", *unknown)))
    return _write(ERROR, transaction_id, attributes, password)


def binding_request(
    transaction_id: bytes,
    username: str,
    password: bytes,
    *,
    use_candidate: bool = False,
    priority: int = 0,
    controlling: int | None = None,
    controlled: int | None = None,
) -> bytes:
    """A connectivity check (RFC 8445 7.1) as a full agent sends it: for clients and tests.

    `username` is "their ufrag:our ufrag", `password` is theirs; `controlling` or `controlled` is our
    tie-breaker of 64 bits.
    """
    attributes = [(USERNAME, username.encode()), (PRIORITY, _u32.pack(priority))]
    if controlling is not None:
        attributes.append((ICE_CONTROLLING, _u64.pack(controlling)))
    if controlled is not None:
        attributes.append((ICE_CONTROLLED, _u64.pack(controlled)))
    if use_candidate:
        attributes.append((USE_CANDIDATE, b""))
    return _write(REQUEST, transaction_id, attributes, password)
