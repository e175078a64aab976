"""ICE and DTLS of all peers of a worker together: which path leads to whom, and whose handshake is due. Pure."""

from __future__ import annotations

from collections.abc import Callable

from sfu import channel
from sfu.transport.dtls import DtlsContext, DtlsSession, DtlsStep
from sfu.transport.ice import IceLite, Path


class Handshakes:
    """ICE and DTLS of all peers: datagrams and time in, steps out; `send` carries a step's datagrams out."""

    def __init__(self, context: DtlsContext, send: Callable[[Path, bytes], None]) -> None:
        self._context = context
        self._send = send
        self.ice = IceLite()
        self._sessions: dict[int, DtlsSession] = {}
        self._paths: dict[int, Path] = {}
        self.verdicts: dict[str, int] = {}

    def count(self, verdict: str) -> None:
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1

    def open(self, description: channel.Describe, now: float) -> None:
        """A new peer, or new ICE parameters of a known one. Raises Internal; then nothing has changed."""
        if self.ice.open(description.peer, description.ice):
            self.count("ice_restarted")
        if description.peer not in self._sessions:
            session = DtlsSession(self._context, description.fingerprints, description.dtls_server)
            self._sessions[description.peer] = session

    def close(self, peer: int) -> None:
        self.ice.close(peer)
        session, path = self._sessions.pop(peer, None), self._paths.pop(peer, None)
        if session is not None and path is not None:
            for datagram in session.close().send:
                self._send(path, datagram)

    def path_known(self, peer: int, path: Path, now: float) -> DtlsStep | None:
        """The peer's datagrams come by this path; as DTLS client we say hello on the first one."""
        first = peer not in self._paths
        self._paths[peer] = path
        session = self._sessions.get(peer)
        return session.start(now) if first and session is not None else None

    def receive(self, peer: int, path: Path, datagram: bytes, now: float) -> DtlsStep | None:
        """A DTLS datagram from a path that passed a STUN check."""
        session = self._sessions.get(peer)
        if session is None:
            return None
        self._paths[peer] = path
        return session.receive(datagram, now)

    def confirmed(self, peer: int) -> None:
        """A packet under the new keys came from the peer."""
        session = self._sessions.get(peer)
        if session is not None:
            session.confirmed()

    def due(self, now: float) -> list[tuple[int, DtlsStep]]:
        """Retransmissions and time-outs that are due."""
        steps = []
        for peer, session in list(self._sessions.items()):
            if session.timeout_at is not None and session.timeout_at <= now:
                steps.append((peer, session.handle_timeout(now)))
        return steps

    def send(self, peer: int, step: DtlsStep) -> None:
        """The datagrams of a step, by the peer's newest path; the keys of the step must be at work before."""
        path = self._paths.get(peer)
        if path is not None:
            for datagram in step.send:
                self._send(path, datagram)
