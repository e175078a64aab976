"""DTLS records (RFC 6347 4.1), as far as datagrams must be cut between them."""

from __future__ import annotations

DTLS_RECORD_HEADER_BYTES = 13  # RFC 6347 4.1: type, version, epoch, sequence number, length; fixed by the RFC


def datagrams_of_records(flight: bytes, limit: int) -> tuple[bytes, ...]:
    """Whole DTLS records (RFC 6347 4.1) put into datagrams of at most `limit` bytes, in order; none is cut.

    A memory BIO keeps no datagram borders, so a flight comes out of OpenSSL as one run of records.
    A single record over the limit stands alone. Raises ValueError when the run does not end with a record.
    """
    datagrams: list[bytes] = []
    begin = at = 0
    while at < len(flight):
        length_end = at + DTLS_RECORD_HEADER_BYTES
        record_end = length_end + int.from_bytes(flight[length_end - 2 : length_end], "big")
        if record_end > len(flight):
            raise ValueError("the run of DTLS records ends inside a record")
        if at > begin and record_end - begin > limit:
            datagrams.append(flight[begin:at])
            begin = at
        at = record_end
    if at > begin:
        datagrams.append(flight[begin:at])
    return tuple(datagrams)
