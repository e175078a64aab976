"""DTLS 1.2 for SRTP keys (RFC 5764) over memory BIOs. Pure: datagrams in, datagrams and keys out.

OpenSSL keeps a clock of its own for retransmissions, so `now` here only says when to ask it
(`timeout_at`); the limits of this module use `now` alone.
"""

from __future__ import annotations

import contextlib
import datetime
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sfu.channel import Fingerprint
from sfu.wire.dtls import datagrams_of_records

# Works on every path of the internet with IPv6, tunnels and TURN; larger flights may be dropped unseen.
DATAGRAM_BYTES_MAX = 1200
# Largest datagram taken: Firefox sends 1,408 bytes; more can only be jumbo frames on a local network.
RECEIVED_BYTES_MAX = 4096
# A handshake is 4 to 8 datagrams and 3 kB from the peer; with heavy loss each flight comes several times.
# Lower ends honest peers on bad networks, higher lets a peer make us do more work before it is known.
HANDSHAKE_DATAGRAMS_MAX = 128
HANDSHAKE_BYTES_MAX = 64 * 1024
# From the first datagram. OpenSSL repeats after 1, 3, 7 and 15 s, so this also bounds repeated flights to four;
# longer keeps dead sessions (90 KiB each), shorter gives up on peers behind heavy loss.
HANDSHAKE_S_MAX = 30.0
# After the keys, the peer may repeat its last flight when ours was lost; then the SSL object (90 KiB) goes. It goes
# at once when a packet comes under the new keys, so this is for who sends none.
# Shorter strands peers that lost our last flight several times, longer costs memory for every join.
KEPT_AFTER_KEYS_S = 10.0
# Datagrams looked at in that time: repeated last flights and a close_notify. More is only work for nothing.
DATAGRAMS_AFTER_KEYS_MAX = 64
FATAL_REASON_CHARACTERS_MAX = 200  # of OpenSSL's words in `failed`; they go into a log line and to the client
CERTIFICATE_DAYS = 30  # browsers do not look at it (RFC 8827 5.1: the fingerprint counts)
DTLS_1_2 = 0xFEFD  # lower allows DTLS 1.0, which RFC 8827 6.5 forbids

_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764 4.2
# Every WebRTC client must have ECDHE with AES-128-GCM (RFC 8827 6.5); CBC suites are left out.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
# What RFC 8122 5 names and is still safe. A hash that is not here is passed over, like sha-1.
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}


@dataclass(frozen=True, slots=True)
class _Profile:
    name: str
    openssl: bytes
    key_bytes: int
    salt_bytes: int


# Our order decides when we are the server (RFC 5764 4.1.1): the cheapest for the kernel first.
_PROFILES = (
    _Profile("AEAD_AES_128_GCM", b"SRTP_AEAD_AES_128_GCM", 16, 12),
    _Profile("AEAD_AES_256_GCM", b"SRTP_AEAD_AES_256_GCM", 32, 12),
    _Profile("AES_CM_128_HMAC_SHA1_80", b"SRTP_AES128_CM_SHA1_80", 16, 14),
)
PROFILES = tuple(profile.name for profile in _PROFILES)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master keys and salts (RFC 3711 3.2.1); "receive" is what the peer protects with. Not shown by repr."""

    profile: str  # one of PROFILES
    receive_key: bytes
    receive_salt: bytes
    send_key: bytes
    send_salt: bytes

    def __repr__(self) -> str:
        return f"SrtpKeys(profile={self.profile!r}, keys hidden)"


@dataclass(frozen=True, slots=True)
class DtlsStep:
    """What is to be done after one call. A session that failed or closed stays so and does nothing more."""

    send: tuple[bytes, ...] = ()  # one datagram each, to the peer's path
    keys: SrtpKeys | None = None  # exactly once in the life of a session
    failed: str | None = None  # why the session cannot be used; once
    closed: bool = False  # the peer said close_notify or a fatal alert after the keys, or we closed


class Certificate:
    """A self-signed certificate and its key: one for all sessions of a worker."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.key = key
        self.certificate = certificate
        self.fingerprint = Fingerprint("sha-256", certificate.fingerprint(hashes.SHA256()).hex(":").upper())

    @classmethod
    def generate(cls, now: float) -> Certificate:
        """ECDSA P-256, valid for 30 days. `now` is wall-clock time in seconds since 1970, as a certificate needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stentor")])
        begin = datetime.datetime.fromtimestamp(now, datetime.UTC)
        builder = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(begin - datetime.timedelta(days=1))  # clocks of clients are wrong by hours
            .not_valid_after(begin + datetime.timedelta(days=CERTIFICATE_DAYS))
        )
        return cls(key, builder.sign(key, hashes.SHA256()))


def _accept(_connection: SSL.Connection, _certificate: object, _error: int, _depth: int, _ok: int) -> bool:
    """Certificates are self-signed: who the peer is is decided by its fingerprint after the handshake."""
    return True


class DtlsContext:
    """The one SSL.Context that all sessions share (made per peer it costs 0.2 ms each)."""

    def __init__(self, certificate: Certificate, profiles: Sequence[str] = PROFILES) -> None:
        """`profiles`: what to offer, in our order. Raises ValueError for a name that is not in PROFILES."""
        wanted = [profile for name in profiles for profile in _PROFILES if profile.name == name]
        if len(wanted) != len(profiles) or not wanted:
            raise ValueError(f"SRTP profiles are {', '.join(PROFILES)}")
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(DTLS_1_2)
        # Without NO_QUERY_MTU OpenSSL asks the memory BIO for a path MTU and falls back to 256 bytes.
        context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # else every handshake stays in memory for 2 h
        context.set_cipher_list(_CIPHERS)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        context.set_tlsext_use_srtp(b":".join(profile.openssl for profile in wanted))
        self.ssl = context


class DtlsSession:
    """One handshake and the seconds behind it. Methods raise nothing; `failed` says what went wrong."""

    def __init__(self, context: DtlsContext, fingerprints: Sequence[Fingerprint], server: bool) -> None:
        """`fingerprints`: of the peer, from its SDP. `server`: wait for the peer's ClientHello (a=setup:passive)."""
        self.timeout_at: float | None = None  # when `handle_timeout` is due; None = never
        self._fingerprints = tuple(fingerprints)
        self._server = server
        self._deadline_at: float | None = None
        self._keyed = False
        self._datagrams = 0
        self._bytes = 0
        connection = SSL.Connection(context.ssl)
        connection.set_ciphertext_mtu(DATAGRAM_BYTES_MAX)
        if server:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        self._ssl: SSL.Connection | None = connection  # None = over: dropped, failed or closed

    def start(self, now: float) -> DtlsStep:
        """Begin: the client sends its hello, the server waits. A second call does nothing."""
        if self._server or self._ssl is None or self._deadline_at is not None:
            return DtlsStep()
        self._deadline_at = now + HANDSHAKE_S_MAX
        return self._handshake(self._ssl, now)

    def receive(self, datagram: bytes, now: float) -> DtlsStep:
        """Take one datagram from an address that passed a STUN check. Larger than 4,096 bytes = passed over."""
        if self._ssl is None or not 0 < len(datagram) <= RECEIVED_BYTES_MAX:
            return DtlsStep()
        self._datagrams += 1
        self._bytes += len(datagram)
        if self._keyed:
            return self._after_keys(self._ssl, datagram)
        if self._datagrams > HANDSHAKE_DATAGRAMS_MAX or self._bytes > HANDSHAKE_BYTES_MAX:
            return self._fail(self._ssl, "the DTLS handshake took more datagrams or bytes than any honest one does")
        if self._deadline_at is None:
            self._deadline_at = now + HANDSHAKE_S_MAX
        self._ssl.bio_write(datagram)
        return self._handshake(self._ssl, now)

    def handle_timeout(self, now: float) -> DtlsStep:
        """To be called at `timeout_at`: repeats a lost flight, ends what takes too long, frees what is over.

        Called earlier it does nothing.
        """
        if self._ssl is None or self.timeout_at is None or now < self.timeout_at:
            return DtlsStep()
        if self._keyed:
            self._drop()
            return DtlsStep()
        if self._deadline_at is not None and now >= self._deadline_at:
            return self._fail(self._ssl, f"the DTLS handshake was not done after {HANDSHAKE_S_MAX:.0f} s")
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error as error:
            return self._fail(self._ssl, _reason_of(error))
        self._rearm(self._ssl, now)
        return DtlsStep(_flush(self._ssl))

    def confirmed(self) -> None:
        """A packet under the new keys came: the peer has our last flight and needs no other. Frees the SSL object."""
        if self._keyed:
            self._drop()

    def close(self) -> DtlsStep:
        """Say close_notify, if that is still possible, and free everything. A second call does nothing."""
        if self._ssl is None:
            return DtlsStep()
        return DtlsStep(self._end(self._ssl), closed=True)

    def _handshake(self, connection: SSL.Connection, now: float) -> DtlsStep:
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            self._rearm(connection, now)
            return DtlsStep(_flush(connection))
        except SSL.Error as error:
            return self._fail(connection, _reason_of(error))
        if not self._fingerprint_ok(connection):
            return self._fail(connection, "the certificate does not match the fingerprints of the offer")
        keys = self._export(connection)
        if keys is None:
            return self._fail(connection, f"no common SRTP profile; we have {', '.join(PROFILES)}")
        self._keyed = True
        self._datagrams = 0
        self.timeout_at = now + KEPT_AFTER_KEYS_S
        return DtlsStep(_flush(connection), keys)

    def _after_keys(self, connection: SSL.Connection, datagram: bytes) -> DtlsStep:
        """The peer repeats its last flight (OpenSSL then repeats ours), or says that it is leaving."""
        if self._datagrams > DATAGRAMS_AFTER_KEYS_MAX:
            return DtlsStep()
        connection.bio_write(datagram)
        try:
            connection.recv(RECEIVED_BYTES_MAX)  # application data: we negotiated no use for it
        except SSL.WantReadError:
            return DtlsStep(_flush(connection))
        except SSL.Error:  # close_notify (ZeroReturnError) or a fatal alert; both passed the record's integrity check
            return DtlsStep(self._end(connection), closed=True)
        return DtlsStep(_flush(connection))

    def _fingerprint_ok(self, connection: SSL.Connection) -> bool:
        """All fingerprints with a hash that we know must match, and there must be one (RFC 8122 5)."""
        certificate = connection.get_peer_certificate(as_cryptography=True)
        known = [(_HASHES[f.algorithm.lower()], f.value) for f in self._fingerprints if f.algorithm.lower() in _HASHES]
        if certificate is None or not known:
            return False
        matches = [
            hmac.compare_digest(certificate.fingerprint(algorithm()).hex(":").encode(), value.lower().encode())
            for algorithm, value in known
        ]
        return all(matches)

    def _export(self, connection: SSL.Connection) -> SrtpKeys | None:
        """Keys as RFC 5764 4.2 lays them out: client key, server key, client salt, server salt."""
        selected = connection.get_selected_srtp_profile()  # b"" when there is none: the handshake succeeds all the same
        profile = next((profile for profile in _PROFILES if profile.openssl == selected), None)
        if profile is None:
            return None
        key, salt = profile.key_bytes, profile.salt_bytes
        material = connection.export_keying_material(_EXPORTER_LABEL, 2 * (key + salt))
        client = material[:key], material[2 * key : 2 * key + salt]
        server = material[key : 2 * key], material[2 * key + salt :]
        receive, send = (client, server) if self._server else (server, client)
        return SrtpKeys(profile.name, *receive, *send)

    def _rearm(self, connection: SSL.Connection, now: float) -> None:
        left_s = connection.DTLSv1_get_timeout()
        due = [at for at in (self._deadline_at, None if left_s is None else now + left_s) if at is not None]
        self.timeout_at = min(due, default=None)

    def _fail(self, connection: SSL.Connection, reason: str) -> DtlsStep:
        return DtlsStep(self._end(connection), failed=reason)

    def _end(self, connection: SSL.Connection) -> tuple[bytes, ...]:
        """The last datagrams (alert or close_notify) and nothing kept."""
        # In the middle of a handshake OpenSSL refuses to say close_notify; its alert, if any, is flushed below.
        with contextlib.suppress(SSL.Error):
            connection.shutdown()
        last = _flush(connection)
        self._drop()
        return last

    def _drop(self) -> None:
        self._ssl = None
        self.timeout_at = None


def _flush(connection: SSL.Connection) -> tuple[bytes, ...]:
    """All that OpenSSL wants to send, in datagrams."""
    flight = b"".join(iter(_reader(connection), b""))
    return datagrams_of_records(flight, DATAGRAM_BYTES_MAX)


def _reader(connection: SSL.Connection) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return connection.bio_read(65536)
        except SSL.WantReadError:
            return b""

    return read


def _reason_of(error: SSL.Error) -> str:
    """OpenSSL's words for the first error of its queue, such as "ssl/tls alert bad certificate"."""
    queue = error.args[0] if error.args else None
    words = str(queue[0][-1]) if isinstance(queue, list) and queue else type(error).__name__
    return f"DTLS: {words}"[:FATAL_REASON_CHARACTERS_MAX]
