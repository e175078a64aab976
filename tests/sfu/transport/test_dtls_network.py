"""sfu.transport.dtls on a bad network and with bad peers: order, loss, garbage, limits, and what is freed when."""

from __future__ import annotations

import datetime
import gc
import itertools
import random
import time
import weakref
from collections.abc import Callable, Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.transport import dtls
from sfu.transport.dtls import Certificate, DtlsContext, DtlsSession, DtlsStep
from sfu.wire.dtls import datagrams_of_records
from tests.sfu.transport.test_dtls import (
    CONTEXT,
    OURS,
    THEIRS,
    PlainPeer,
    assert_same_keys,
    failure_of,
    keys_of,
    run,
    server,
)


@pytest.mark.parametrize("order", ["as sent", "reversed", "doubled", "shuffled"])
def test_a_hello_in_two_datagrams_is_understood_in_any_order(order: str) -> None:
    networks: dict[str, Callable[[tuple[bytes, ...]], Sequence[bytes]]] = {
        "as sent": lambda flight: flight,
        "reversed": lambda flight: flight[::-1],
        "doubled": lambda flight: [datagram for datagram in flight for _ in range(2)],
        "shuffled": lambda flight: random.Random(4).sample(flight * 3, len(flight) * 3),
    }
    peer = PlainPeer(mtu=300, long_hello=True)
    hello = peer.receive()
    assert len(hello) >= 2
    keys = keys_of(run(server(), peer, first=tuple(networks[order](hello))))
    assert_same_keys(keys, peer)


def test_lost_flights_are_repeated_by_timers() -> None:
    """Several losses at once, so that OpenSSL's own second (its clock cannot be set) is waited for once."""
    our_hello_lost = DtlsSession(CONTEXT, [THEIRS.fingerprint], server=False)
    now = time.monotonic()
    assert our_hello_lost.start(now).send
    assert our_hello_lost.start(now).send == ()

    our_answer_lost, its_client = server(), PlainPeer(mtu=300, long_hello=True)
    for datagram in its_client.receive():
        lost = our_answer_lost.receive(datagram, now)
    assert lost.send

    our_last_lost, its_other_client = server(), PlainPeer()
    for answer in our_last_lost.receive(its_other_client.receive()[0], now).send:
        finish = its_other_client.receive(answer)
    first = keys_of([our_last_lost.receive(datagram, now) for datagram in finish])
    assert not its_other_client.done

    half_of_hello_lost, its_third_client = server(), PlainPeer(mtu=300, long_hello=True)
    half_of_hello_lost.receive(its_third_client.receive()[0], now)

    finish_reversed, its_fourth_client = server(), PlainPeer(mtu=300)
    for answer in finish_reversed.receive(its_fourth_client.receive()[0], now).send:
        finish = its_fourth_client.receive(answer)
    for datagram in finish[::-1]:  # ChangeCipherSpec before what it must follow: OpenSSL drops it
        assert finish_reversed.receive(datagram, now).failed is None

    due = our_answer_lost.timeout_at
    assert due is not None
    assert now < due <= now + 1.1
    assert our_answer_lost.handle_timeout(due - 0.5) == DtlsStep()
    time.sleep(max(0.0, max(due, our_hello_lost.timeout_at or 0.0) - time.monotonic()))

    hello = our_hello_lost.handle_timeout(time.monotonic())
    assert hello.send
    peer = PlainPeer(client=False)
    answers = tuple(part for datagram in hello.send for part in peer.receive(datagram))
    assert_same_keys(keys_of(run(our_hello_lost, peer, first=answers)), peer, we_are_server=False)

    again = our_answer_lost.handle_timeout(time.monotonic())
    assert again.send
    assert our_answer_lost.timeout_at is not None
    assert our_answer_lost.timeout_at > time.monotonic() + 1.5  # OpenSSL doubles its timer
    finish = tuple(part for datagram in again.send for part in its_client.receive(datagram))
    assert_same_keys(keys_of(run(our_answer_lost, its_client, first=finish)), its_client)

    repeated = [our_last_lost.receive(datagram, time.monotonic()) for datagram in its_other_client.repeat()]
    assert all(step.keys is None for step in repeated)
    for step in repeated:
        for datagram in step.send:
            its_other_client.receive(datagram)
    assert its_other_client.done
    assert_same_keys(first, its_other_client)

    keys = keys_of(run(finish_reversed, its_fourth_client, first=its_fourth_client.repeat()))
    assert_same_keys(keys, its_fourth_client)

    keys = keys_of(run(half_of_hello_lost, its_third_client, first=its_third_client.repeat()))
    assert_same_keys(keys, its_third_client)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=6), st.integers(20, 63))
def test_garbage_never_raises_and_random_bytes_do_not_end_a_handshake(junk: list[bytes], first: int) -> None:
    session, peer = server(), PlainPeer()
    for datagram in junk:
        step = session.receive(bytes([first]) + b"\xff" + datagram, 0.0)  # version ff..: not DTLS
        assert step.failed is None
        assert step.send == ()
    assert_same_keys(keys_of(run(session, peer)), peer)
    for datagram in junk:
        step = session.receive(bytes([first]) + datagram, 0.0)
        assert step.keys is None
        assert not step.closed


def test_records_that_lie_about_their_length_do_not_swallow_what_comes_after() -> None:
    session, peer = server(), PlainPeer()
    (hello,) = peer.receive()
    for cut in (1, 12, 13, 14, 40, len(hello) - 1):
        step = session.receive(hello[:cut], 0.0)
        assert (step.send, step.failed) == ((), None)
    assert session.receive(b"", 0.0) == DtlsStep()
    assert session.receive(bytes(dtls.RECEIVED_BYTES_MAX + 1), 0.0) == DtlsStep()
    assert_same_keys(keys_of(run(session, peer, first=(hello,))), peer)


def test_a_handshake_is_bounded_in_datagrams_bytes_and_answers() -> None:
    (hello,) = PlainPeer().receive()
    session = server()
    steps = [session.receive(hello, 0.0) for _ in range(300)]
    assert "more datagrams or bytes" in failure_of(steps)
    assert steps[dtls.HANDSHAKE_DATAGRAMS_MAX].failed is not None
    assert sum(len(datagram) for step in steps for datagram in step.send) < 2 * 1200  # one flight and an alert

    session = server()
    steps = [session.receive(b"\x16" + bytes(4000), 0.0) for _ in range(20)]
    assert steps[dtls.HANDSHAKE_BYTES_MAX // 4001].failed is not None
    assert failure_of(steps)


def test_a_handshake_that_is_not_done_in_30_seconds_fails() -> None:
    session = server()
    assert session.timeout_at is None  # before the first datagram there is nothing to wait for
    session.receive(PlainPeer().receive()[0], 100.0)
    due = session.timeout_at
    assert due is not None
    assert due <= 101.1
    early = session.handle_timeout(due)  # OpenSSL's own clock has not moved: nothing is repeated too early
    assert (early.send, early.failed) == ((), None)
    assert "30 s" in failure_of([session.handle_timeout(130.0), session.handle_timeout(131.0)])
    assert session.timeout_at is None


def test_large_flights_are_cut_between_records_at_1200_bytes() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "large")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(f"name-{n}.example.org") for n in range(90)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    large = Certificate(key, builder.add_extension(names, False).sign(key, hashes.SHA256()))
    assert len(large.certificate.fingerprint(hashes.SHA256())) == 32
    session, peer = DtlsSession(DtlsContext(large), [THEIRS.fingerprint], server=True), PlainPeer()
    steps = run(session, peer)
    sizes = [len(datagram) for step in steps for datagram in step.send]
    assert sum(sizes) > 2400
    assert max(sizes) <= dtls.DATAGRAM_BYTES_MAX
    assert_same_keys(keys_of(steps), peer)


def record(length: int) -> bytes:
    return b"\x16\xfe\xfd" + bytes(8) + length.to_bytes(2, "big") + bytes(length)


def first_record_bytes(datagram: bytes) -> int:
    return 13 + datagram[11] * 256 + datagram[12]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1500), max_size=12))
def test_records_are_never_cut_and_fill_datagrams_in_order(lengths: list[int]) -> None:
    flight = b"".join(map(record, lengths))
    datagrams = datagrams_of_records(flight, 1200)
    assert b"".join(datagrams) == flight
    assert all(datagrams)
    assert all(len(datagram) <= 1200 or len(datagram) == first_record_bytes(datagram) for datagram in datagrams)
    assert all(len(a) + first_record_bytes(b) > 1200 for a, b in itertools.pairwise(datagrams))


def test_half_a_record_is_refused() -> None:
    for flight in (record(5)[:-1], record(5) + b"\x16", record(5)[:12]):
        with pytest.raises(ValueError, match="inside a record"):
            datagrams_of_records(flight, 1200)


def openssl_object(session: DtlsSession) -> weakref.ref[SSL.Connection]:
    connection = session._ssl
    assert connection is not None
    return weakref.ref(connection)


def test_the_ssl_object_is_freed_ten_seconds_after_the_keys_at_failure_and_at_close() -> None:
    gc.collect()
    gc.disable()  # freed at once, not when the collector comes by
    try:
        kept, peer = server(), PlainPeer()
        reference = openssl_object(kept)
        run(kept, peer)
        due = kept.timeout_at
        assert due is not None
        assert kept.handle_timeout(due - 0.1) == DtlsStep()
        assert reference() is not None
        assert kept.handle_timeout(due) == DtlsStep()
        assert reference() is None
        assert kept.timeout_at is None
        assert kept.receive(b"\x16" * 30, due) == DtlsStep()
        assert kept.close() == DtlsStep()

        failed = server([OURS.fingerprint])
        reference = openssl_object(failed)
        failure_of(run(failed, PlainPeer()))
        assert reference() is None

        closed = server()
        reference = openssl_object(closed)
        closed.close()
        assert reference() is None
    finally:
        gc.enable()


def test_after_the_keys_only_a_few_datagrams_are_looked_at() -> None:
    session, peer = server(), PlainPeer()
    run(session, peer)
    for _ in range(dtls.DATAGRAMS_AFTER_KEYS_MAX):
        assert not session.receive(b"\x17\xfe\xfd" + bytes(8) + b"\0\x05hello", 0.0).closed
    peer.ssl.shutdown()
    assert session.receive(peer.flush()[0], 0.0) == DtlsStep()
