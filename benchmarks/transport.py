"""[I/O] ICE, DTLS and SRTP of one light client over one UDP socket: aioice's STUN, OpenSSL, libsrtp.

The server is ICE-lite, so one check with USE-CANDIDATE settles the path (RFC 8445 section 2.5); the same check is
repeated as consent (RFC 7675).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import random
import secrets
import socket
from collections.abc import Callable

import pylibsrtp
from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy

from benchmarks.impairment import Impairment, Link

# With the system's 200 kB a process that stalls for 300 ms loses packets that had come.
RECEIVE_BYTES = 1 << 20
# RFC 7675 wants 5 s; the server calls a path silent after more.
CONSENT_EVERY_S = 4.0
CHECK_EVERY_S = 0.1
CONNECT_WITHIN_S = 20.0
# Datagrams read before the other clients of the process have their turn. More: a burst for all makes their sound late.
READS = 4
_EXPORTER = b"EXTRACTOR-dtls_srtp"
_KEY, _SALT = 16, 12  # AEAD_AES_128_GCM (RFC 7714 section 12)
_PRIORITY = 1845501695  # a peer-reflexive candidate's


@functools.cache
def certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, str]:
    """One for all clients of the process (a browser would have one each), and its SHA-256 fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "light client")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .sign(key, hashes.SHA256())
    )
    return made, key, made.fingerprint(hashes.SHA256()).hex(":").upper()


@functools.cache
def _context() -> SSL.Context:
    made, key, _ = certificate()
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)  # by fingerprint, below
    context.use_certificate(made)
    context.use_privatekey(key)
    context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
    return context


class NotConnected(Exception):
    """ICE or DTLS did not come about; the text says which."""


class Transport:
    """`heard(octets, rtcp)` gets every packet as it came, still sealed: who hears opens what he wants to look into."""

    def __init__(
        self, heard: Callable[[bytes, bool], None], uplink: Link, downlink: Link, chance: random.Random
    ) -> None:
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(12)
        self._heard = heard
        self._up, self._down = Impairment(uplink, chance), Impairment(downlink, chance)
        self._loop = asyncio.get_running_loop()
        self._udp: socket.socket | None = None
        self._remote: tuple[str, int] = ("", 0)
        self._credentials = ("", "")
        self._checked: asyncio.Future[None] = self._loop.create_future()
        self._dtls = SSL.Connection(_context())
        self._secured: asyncio.Future[None] = self._loop.create_future()
        self._fingerprint = ""
        self._in: pylibsrtp.Session | None = None
        self._out: pylibsrtp.Session | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, remote: tuple[str, int], ufrag: str, pwd: str, fingerprint: str) -> None:
        """Raises NotConnected."""
        self._remote, self._credentials, self._fingerprint = remote, (ufrag, pwd), fingerprint
        self._udp = socket.socket(socket.AF_INET6 if ":" in remote[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._udp.setblocking(False)
        self._udp.connect(remote)
        self._loop.add_reader(self._udp, self._read)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                self._tasks.append(self._loop.create_task(self._check()))
                await asyncio.shield(self._checked)
                self._dtls.set_connect_state()
                self._tasks.append(self._loop.create_task(self._handshake_timer()))
                self._handshake()
                await asyncio.shield(self._secured)
        except TimeoutError:
            what = "DTLS" if self._checked.done() else "ICE"
            raise NotConnected(f"{what} did not come about within {CONNECT_WITHIN_S:g} s") from None

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._udp is not None:
            self._loop.remove_reader(self._udp)
            self._udp.close()
            self._udp = None

    def stop_listening(self) -> None:
        """Read no further datagram: the system drops them where they arrive. Sending goes on, consent too."""
        if self._udp is not None:
            self._loop.remove_reader(self._udp)
            self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    # -- out --
    def send_rtp(self, packet: bytes) -> None:
        if self._out is not None:
            self._send(self._out.protect(packet))

    def send_rtcp(self, compound: bytes) -> None:
        if self._out is not None:
            self._send(self._out.protect_rtcp(compound))

    def _send(self, octets: bytes) -> None:
        delay_s = 0.0 if self._up.link.perfect else self._up.delay_s()
        if delay_s == 0.0:
            self._write(octets)
        elif delay_s is not None:
            self._loop.call_later(delay_s, self._write, octets)

    def _write(self, octets: bytes) -> None:
        if self._udp is not None:
            # A full buffer or a port that is gone: lost on the way, as anywhere in a network.
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                self._udp.send(octets)

    # -- in --
    def _read(self) -> None:
        for _ in range(READS):
            try:
                data = self._udp.recv(2048) if self._udp is not None else b""
            except (BlockingIOError, ConnectionRefusedError):
                return
            if data:
                self._arrived(data)

    def _arrived(self, data: bytes) -> None:
        delay_s = 0.0 if self._down.link.perfect else self._down.delay_s()
        if delay_s == 0.0:
            self._take(data)
        elif delay_s is not None:
            self._loop.call_later(delay_s, self._take, data)

    def _take(self, data: bytes) -> None:
        first = data[0] if data else 255
        if first > 127:
            self._heard(data, 192 <= data[1] <= 223)
        elif first < 4:
            self._take_stun(data)
        elif 20 <= first <= 63:
            self._dtls.bio_write(data)
            self._handshake()

    def open_rtp(self, packet: bytes) -> bytes:
        """Raises pylibsrtp.Error for a wrong tag or a replay."""
        if self._in is None:
            raise NotConnected("no keys yet")
        return self._in.unprotect(packet)

    def open_rtcp(self, compound: bytes) -> bytes:
        """Raises pylibsrtp.Error for a wrong tag or a replay."""
        if self._in is None:
            raise NotConnected("no keys yet")
        return self._in.unprotect_rtcp(compound)

    # -- ICE --
    async def _check(self) -> None:
        while True:
            request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
            request.attributes["USERNAME"] = f"{self._credentials[0]}:{self.ufrag}"
            request.attributes["PRIORITY"] = _PRIORITY
            request.attributes["ICE-CONTROLLING"] = 1
            request.attributes["USE-CANDIDATE"] = None
            request.add_message_integrity(self._credentials[1].encode())
            self._send(bytes(request))
            await asyncio.sleep(CONSENT_EVERY_S if self._checked.done() else CHECK_EVERY_S)

    def _take_stun(self, data: bytes) -> None:
        try:
            answer = stun.parse_message(data)
        except ValueError:
            return  # not for us, or damaged: the check is repeated
        if not answer.check_message_integrity(self._credentials[1].encode()):
            return
        if answer.message_class is stun.Class.RESPONSE and not self._checked.done():
            self._checked.set_result(None)

    # -- DTLS --
    async def _handshake_timer(self) -> None:
        while not self._secured.done():
            wait_s = self._dtls.DTLSv1_get_timeout()
            await asyncio.sleep(1.0 if wait_s is None else wait_s)
            if not self._secured.done():
                self._dtls.DTLSv1_handle_timeout()
                self._flush()

    def _handshake(self) -> None:
        try:
            self._dtls.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            if not self._secured.done():
                self._secured.set_exception(NotConnected(f"DTLS: {error}"))
            return
        self._flush()
        if not self._secured.done():
            self._keys()

    def _flush(self) -> None:
        while True:
            try:
                self._send(self._dtls.bio_read(1500))
            except SSL.WantReadError:
                return

    def _keys(self) -> None:
        peer = self._dtls.get_peer_certificate()
        seen = peer.digest("sha256").decode() if peer is not None else ""
        if seen != self._fingerprint:
            self._secured.set_exception(NotConnected("the server's certificate is not the one of its answer"))
            return
        material = self._dtls.export_keying_material(_EXPORTER, 2 * (_KEY + _SALT))
        client = material[:_KEY] + material[2 * _KEY : 2 * _KEY + _SALT]
        server = material[_KEY : 2 * _KEY] + material[2 * _KEY + _SALT :]
        profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
        out = Policy(key=client, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        out.allow_repeat_tx = False
        self._out = pylibsrtp.Session(out)
        into = Policy(key=server, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        into.window_size = 1024
        self._in = pylibsrtp.Session(into)
        self._secured.set_result(None)
