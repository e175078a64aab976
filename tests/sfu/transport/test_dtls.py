"""sfu.transport.dtls against a client made of plain pyOpenSSL, against itself and against aiortc."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, RTCIceTransport
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sfu.channel import Fingerprint
from sfu.transport import dtls
from sfu.transport.dtls import Certificate, DtlsContext, DtlsSession, DtlsStep, SrtpKeys
from sfu.wire.dtls import datagrams_of_records

OURS = Certificate.generate(time.time())
THEIRS = Certificate.generate(time.time())
CONTEXT = DtlsContext(OURS)
OPENSSL_NAMES = {
    "AEAD_AES_128_GCM": b"SRTP_AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM": b"SRTP_AEAD_AES_256_GCM",
    "AES_CM_128_HMAC_SHA1_80": b"SRTP_AES128_CM_SHA1_80",
}
SIZES = {"AEAD_AES_128_GCM": (16, 12), "AEAD_AES_256_GCM": (32, 12), "AES_CM_128_HMAC_SHA1_80": (16, 14)}


class PlainPeer:
    """The other end: pyOpenSSL as its manual shows it, with none of our code but the record splitter."""

    def __init__(
        self,
        *,
        client: bool = True,
        profiles: bytes | None = b":".join(OPENSSL_NAMES.values()),
        mtu: int = 1200,
        certificate: Certificate | None = THEIRS,
        long_hello: bool = False,
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        if certificate is not None:
            context.use_certificate(certificate.certificate)
            context.use_privatekey(certificate.key)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        if profiles is not None:
            context.set_tlsext_use_srtp(profiles)
        if long_hello:  # to make the hello need two datagrams, as those of browsers do
            context.set_alpn_protos([b"x" * 200, b"y" * 200])
        self.ssl = SSL.Connection(context)
        self.ssl.set_ciphertext_mtu(mtu)
        self.mtu = mtu
        self.done = False
        self.closed = False
        self.error: str | None = None
        (self.ssl.set_connect_state if client else self.ssl.set_accept_state)()

    def receive(self, datagram: bytes | None = None) -> tuple[bytes, ...]:
        """Take a datagram (None = begin) and give what is to be sent."""
        if datagram is not None:
            self.ssl.bio_write(datagram)
        try:
            if not self.done:
                self.ssl.do_handshake()
                self.done = True
            self.ssl.recv(100)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error as error:
            self.error = str(error)
        return self.flush()

    def repeat(self) -> tuple[bytes, ...]:
        self.ssl.DTLSv1_handle_timeout()
        return self.flush()

    def flush(self) -> tuple[bytes, ...]:
        flight = b""
        while True:
            try:
                flight += self.ssl.bio_read(65536)
            except SSL.WantReadError:
                return datagrams_of_records(flight, self.mtu)

    def keys(self, profile: str) -> tuple[bytes, bytes]:
        """(client key + salt, server key + salt)."""
        key, salt = SIZES[profile]
        all_ = self.ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        return all_[:key] + all_[2 * key : 2 * key + salt], all_[key : 2 * key] + all_[2 * key + salt :]


def server(fingerprints: Sequence[Fingerprint] = (THEIRS.fingerprint,)) -> DtlsSession:
    return DtlsSession(CONTEXT, fingerprints, server=True)


def run(
    session: DtlsSession,
    peer: PlainPeer,
    towards_us: Callable[[tuple[bytes, ...]], Sequence[bytes]] = lambda flight: flight,
    first: tuple[bytes, ...] = (),
) -> list[DtlsStep]:
    """Carry datagrams until nobody says anything; `towards_us` is the network from the peer to us."""
    steps: list[DtlsStep] = []
    flight = first or peer.receive()
    while flight:
        answers: list[bytes] = []
        for datagram in towards_us(flight):
            step = session.receive(datagram, time.monotonic())
            steps.append(step)
            answers += step.send
        flight = tuple(part for answer in answers for part in peer.receive(answer))
    return steps


def keys_of(steps: Sequence[DtlsStep]) -> SrtpKeys:
    (keys,) = [step.keys for step in steps if step.keys is not None]
    return keys


def failure_of(steps: Sequence[DtlsStep]) -> str:
    (reason,) = [step.failed for step in steps if step.failed is not None]
    assert not [step for step in steps if step.keys is not None]
    return reason


def assert_same_keys(keys: SrtpKeys, peer: PlainPeer, *, we_are_server: bool = True) -> None:
    of_client, of_server = peer.keys(keys.profile)
    receive, send = (of_client, of_server) if we_are_server else (of_server, of_client)
    assert keys.receive_key + keys.receive_salt == receive
    assert keys.send_key + keys.send_salt == send
    assert (len(keys.send_key), len(keys.send_salt)) == SIZES[keys.profile]
    assert receive != send


@pytest.mark.parametrize("profile", dtls.PROFILES)
@pytest.mark.parametrize("we_are_server", [True, False])
def test_both_ends_have_the_same_keys_for_each_profile_in_both_roles(profile: str, we_are_server: bool) -> None:
    peer = PlainPeer(client=we_are_server, profiles=OPENSSL_NAMES[profile])
    session = DtlsSession(CONTEXT, [THEIRS.fingerprint], server=we_are_server)
    begin = session.start(0.0)
    assert bool(begin.send) is not we_are_server
    first = tuple(part for datagram in begin.send for part in peer.receive(datagram))
    keys = keys_of(run(session, peer, first=first))
    assert keys.profile == profile
    assert_same_keys(keys, peer, we_are_server=we_are_server)
    assert peer.done


def test_as_the_server_our_order_of_profiles_decides() -> None:
    backwards = b":".join(reversed(list(OPENSSL_NAMES.values())))
    assert keys_of(run(server(), PlainPeer(profiles=backwards))).profile == "AEAD_AES_128_GCM"
    context = DtlsContext(OURS, ["AES_CM_128_HMAC_SHA1_80"])
    session = DtlsSession(context, [THEIRS.fingerprint], server=True)
    assert keys_of(run(session, PlainPeer())).profile == "AES_CM_128_HMAC_SHA1_80"
    with pytest.raises(ValueError, match="SRTP profiles are"):
        DtlsContext(OURS, ["AES_CM_128_HMAC_SHA1_32"])


def digest(certificate: Certificate, algorithm: hashes.HashAlgorithm) -> str:
    return certificate.certificate.fingerprint(algorithm).hex(":").upper()


RIGHT = THEIRS.fingerprint
RIGHT_384 = Fingerprint("sha-384", digest(THEIRS, hashes.SHA384()))
RIGHT_512 = Fingerprint("SHA-512", digest(THEIRS, hashes.SHA512()).lower())
UNKNOWN = Fingerprint("sha-1", "AA:BB")


@pytest.mark.parametrize(
    ("fingerprints", "good"),
    [
        ([RIGHT], True),
        ([RIGHT_384], True),
        ([RIGHT, RIGHT_384, RIGHT_512, UNKNOWN], True),
        ([], False),
        ([UNKNOWN], False),
        ([OURS.fingerprint], False),
        ([RIGHT, Fingerprint("sha-384", RIGHT.value)], False),
        ([Fingerprint("sha-256", RIGHT.value[:-3])], False),
        ([Fingerprint("sha-256", "é" * 95)], False),
    ],
)
def test_all_fingerprints_of_known_hashes_must_match_and_there_must_be_one(
    fingerprints: list[Fingerprint], good: bool
) -> None:
    session, peer = server(fingerprints), PlainPeer()
    steps = run(session, peer)
    if good:
        assert_same_keys(keys_of(steps), peer)
        return
    assert "fingerprint" in failure_of(steps)
    assert peer.closed  # it was told
    assert session.timeout_at is None
    assert session.receive(b"\x16" * 20, 0.0) == DtlsStep()


@pytest.mark.parametrize("profiles", [None, b"SRTP_AES128_CM_SHA1_32"])
def test_without_a_common_profile_the_session_fails_in_words(profiles: bytes | None) -> None:
    assert "no common SRTP profile" in failure_of(run(server(), PlainPeer(profiles=profiles)))


def test_a_client_without_certificate_is_refused_and_told_so() -> None:
    peer = PlainPeer(certificate=None)
    assert "certificate" in failure_of(run(server(), peer))
    assert peer.error is not None
    assert "alert" in peer.error


def test_an_alert_of_the_peer_ends_the_handshake_with_its_name() -> None:
    session = server()
    session.receive(PlainPeer().receive()[0], 0.0)
    step = session.receive(bytes.fromhex("15fefd000000000000000900020228"), 0.0)
    assert step.failed is not None
    assert "alert handshake failure" in step.failed
    assert session.timeout_at is None


def test_close_says_close_notify_and_the_peers_close_notify_closes() -> None:
    session, peer = server(), PlainPeer()
    run(session, peer)
    step = session.close()
    assert step.closed
    peer.receive(step.send[0])
    assert peer.closed
    assert session.close() == DtlsStep()

    session, peer = server(), PlainPeer()
    run(session, peer)
    peer.ssl.shutdown()
    (goodbye,) = peer.flush()
    assert session.receive(goodbye, 0.0).closed
    assert session.receive(goodbye, 0.0) == DtlsStep()
    assert server().close() == DtlsStep(closed=True)  # before any handshake: nothing to say, nothing kept


def test_a_packet_under_the_new_keys_frees_the_ssl_object_and_before_the_keys_it_frees_nothing() -> None:
    session, peer = server(), PlainPeer()
    session.confirmed()
    run(session, peer)  # the handshake was not disturbed
    assert peer.done and session.timeout_at is not None
    session.confirmed()
    assert session.timeout_at is None
    peer.ssl.shutdown()
    assert session.receive(peer.flush()[0], 0.0) == DtlsStep()
    assert session.close() == DtlsStep()


def test_no_session_is_kept_for_resumption() -> None:
    """OpenSSL's server keeps each for two hours unless told not to: a leak, since no client may resume here."""
    assert CONTEXT.ssl.get_session_cache_mode() == SSL.SESS_CACHE_OFF


def test_keys_are_not_shown_by_repr() -> None:
    keys = keys_of(run(server(), PlainPeer()))
    assert repr(keys) == "SrtpKeys(profile='AEAD_AES_128_GCM', keys hidden)"


def test_a_certificate_is_p256_for_30_days_and_its_fingerprint_is_sha_256() -> None:
    made = Certificate.generate(1_800_000_000.0)
    assert isinstance(made.key.curve, ec.SECP256R1)
    assert made.certificate.not_valid_after_utc.timestamp() == 1_800_000_000 + 30 * 86400
    assert made.certificate.not_valid_before_utc.timestamp() < 1_800_000_000
    assert made.fingerprint == Fingerprint("sha-256", digest(made, hashes.SHA256()))
    assert made.fingerprint.value != OURS.fingerprint.value


class InMemoryIce:
    """What RTCDtlsTransport needs of an ICE transport."""

    role = "controlling"
    state = "completed"

    def __init__(self, session: DtlsSession) -> None:
        self.session = session
        self.steps: list[DtlsStep] = []
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()

    def take(self, step: DtlsStep) -> None:
        self.steps.append(step)
        for datagram in step.send:
            self.inbox.put_nowait(datagram)

    async def _recv(self) -> bytes:
        return await self.inbox.get()

    async def _send(self, datagram: bytes) -> None:
        self.take(self.session.receive(datagram, time.monotonic()))


@pytest.mark.parametrize("we_are_server", [True, False])
def test_aiortc_connects_in_both_roles(we_are_server: bool) -> None:
    async def connect() -> None:
        certificate = RTCCertificate.generateCertificate()
        fingerprints = [Fingerprint(f.algorithm, f.value) for f in certificate.getFingerprints()]
        session = DtlsSession(CONTEXT, fingerprints, server=we_are_server)
        ice = InMemoryIce(session)
        transport = RTCDtlsTransport(cast(RTCIceTransport, ice), [certificate])
        transport._set_role("client" if we_are_server else "server")
        ice.take(session.start(time.monotonic()))
        ours = RTCDtlsFingerprint(algorithm=OURS.fingerprint.algorithm, value=OURS.fingerprint.value)
        await asyncio.wait_for(transport.start(RTCDtlsParameters(fingerprints=[ours])), 10)
        assert transport.state == "connected"
        keys = keys_of(ice.steps)
        # as the server our order decides, as the client aiortc's
        assert keys.profile == ("AEAD_AES_128_GCM" if we_are_server else "AEAD_AES_256_GCM")
        size = sum(SIZES[keys.profile])
        assert transport._ssl is not None
        exported = transport._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * size)
        assert keys.receive_key in exported
        assert keys.send_salt in exported
        await transport.stop()
        assert ice.steps[-1].closed

    asyncio.run(connect())
