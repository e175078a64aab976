"""[I/O] One POST to an address that a stranger has chosen: guarded, bounded, without redirects.

The name is resolved once, every address that comes out must be public, and the connection goes to the very address
that was checked: a name that answers differently a moment later gains nothing. The whole call has one deadline,
whatever trickles in.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import h11

from control_plane.errors import Invalid
from control_plane.running import addresses

# From first to last. A receiver that does real work does it after its answer.
WITHIN_S = 10.0
HEAD_MAX = 16_384
BODY_MAX = 65_536
_Found = tuple[socket.AddressFamily, str]
Resolve = Callable[[str, int], list[_Found]]


@dataclass(frozen=True)
class Answer:
    """`error` is "" for a 2xx; else a word or two for the endpoint's owner. `status` is None when there was no
    answer."""

    status: int | None
    error: str


class _Failed(Exception):
    pass


def resolve(host: str, port: int) -> list[_Found]:
    """What the system's resolver says, in its order. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]


@dataclass(frozen=True)
class Poster:
    """`private` allows any address (development only); `trusted` are certificates beside the system's (tests)."""

    private: bool = False
    within_s: float = WITHIN_S
    resolve: Resolve = resolve
    trusted: str | None = None

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST this. Never raises for anything that the other side does; ends within `within_s`, names included."""
        deadline = time.monotonic() + self.within_s
        try:
            target = addresses.parse(url, private=self.private)
            with self._connect(target, deadline) as line:
                return _ask(line, target, headers, body, deadline)
        except Invalid as error:
            return Answer(None, error.reason)
        except _Failed as error:
            return Answer(None, str(error))
        except ssl.SSLCertVerificationError:
            return Answer(None, "the certificate does not hold")
        except TimeoutError:
            return Answer(None, f"no answer within {self.within_s:g} seconds")
        except ConnectionRefusedError:
            return Answer(None, "connection refused")
        except ssl.SSLError:
            return Answer(None, "no TLS connection")
        except OSError:
            return Answer(None, "connection lost")

    def _connect(self, target: addresses.Target, deadline: float) -> socket.socket:
        family, address = self._resolved(target, deadline)[0]
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(_left(deadline))
            line.connect((address, target.port))
            if target.scheme == "https":
                line.settimeout(_left(deadline))
                context = ssl.create_default_context(cafile=self.trusted)
                line = context.wrap_socket(line, server_hostname=target.host)
        except BaseException:
            line.close()
            raise
        return line

    def _resolved(self, target: addresses.Target, deadline: float) -> list[_Found]:
        # The resolver knows no time-out; it gets a thread that may come too late.
        answers: queue.SimpleQueue[list[_Found]] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self.resolve(target.host, target.port))
            except (OSError, UnicodeError):
                answers.put([])

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            found = answers.get(timeout=_left(deadline))
        except queue.Empty:
            raise TimeoutError from None
        if not found:
            raise _Failed("the host's name is not known")
        if not self.private and not all(addresses.public(ipaddress.ip_address(address)) for _, address in found):
            raise _Failed("the address is not a public one")
        return found


def _ask(
    line: socket.socket, target: addresses.Target, headers: Mapping[str, str], body: bytes, deadline: float
) -> Answer:
    peer = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_MAX)
    own = {"host": target.authority, "content-length": str(len(body)), "connection": "close"}
    request = h11.Request(method="POST", target=target.path, headers=list({**own, **headers}.items()))
    out = b"".join(peer.send(part) or b"" for part in (request, h11.Data(data=body), h11.EndOfMessage()))
    line.settimeout(_left(deadline))
    # It may have answered before it had read all.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        line.sendall(out)
    status = _status(line, peer, deadline)
    if 200 <= status < 300:
        return Answer(status, "")
    return Answer(status, "redirects are not followed" if 300 <= status < 400 else f"answered with status {status}")


def _status(line: socket.socket, peer: h11.Connection, deadline: float) -> int:
    """The answer's status. Its body is read as far as it is small and in time, so that its sender sees no broken line,
    and thrown away."""
    status: int | None = None
    taken = 0
    try:
        while taken <= BODY_MAX:
            part = peer.next_event()
            if part is h11.NEED_DATA:
                line.settimeout(_left(deadline))
                more = line.recv(HEAD_MAX)
                taken += len(more)
                if not more and status is None:
                    raise _Failed("the connection was closed without an answer")
                peer.receive_data(more)
            elif isinstance(part, h11.Response):
                status = part.status_code
            elif isinstance(part, h11.EndOfMessage | h11.ConnectionClosed) or part is h11.PAUSED:
                break
    except h11.RemoteProtocolError:
        if status is None:
            raise _Failed("the answer is not HTTP") from None
    except OSError:
        if status is None:
            raise
    if status is None:
        raise _Failed("the answer has no end")
    return status


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
