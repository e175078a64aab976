"""ICE-lite (RFC 8445 2.5): it only answers. Pure: datagrams in, answers and facts out.

The kernel answers checks on paths it knows; this class sees the first check of every new path and
whatever else the kernel handed up. What a stranger gets:

* unknown user name: no answer at all. A check that comes before its Describe is sent again by the
  browser within 50 ms, and silence can neither be reflected to a third party nor tell whether a ufrag lives.
* known user name, wrong integrity: 401 (RFC 8489 9.1.3), at most `REFUSALS_PER_S_MAX` a second in
  total, so that a client whose password is old learns it. It is never larger than what it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sfu.channel import IceParameters
from sfu.errors import Internal
from sfu.wire import stun

# A browser with 3 interfaces against 2 server addresses makes 6 paths. Fewer would forget live ones,
# more let one peer hold more of the path table.
PATHS_PER_PEER_MAX = 16
# Wrong passwords that are answered. More gives a flood more of our CPU and uplink, fewer may leave a
# client with an old password without its 401 while others misbehave.
REFUSALS_PER_S_MAX = 100

ANSWERED = "answered"
UNKNOWN_UFRAG = "unknown_ufrag"
BAD_INTEGRITY = "bad_integrity"
MALFORMED = "malformed"
UNKNOWN_ATTRIBUTE = "unknown_attribute"
ROLE_CONFLICT = "role_conflict"
NOT_A_REQUEST = "not_a_request"
RATE_LIMITED = "rate_limited"
VERDICTS = (
    ANSWERED,
    UNKNOWN_UFRAG,
    BAD_INTEGRITY,
    MALFORMED,
    UNKNOWN_ATTRIBUTE,
    ROLE_CONFLICT,
    NOT_A_REQUEST,
    RATE_LIMITED,
)


@dataclass(frozen=True, slots=True)
class Path:
    """Where a peer's datagrams come from and go to."""

    socket: int  # index into the worker's list of sockets
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one datagram. `peer` is set only when its integrity was right."""

    verdict: str  # one of VERDICTS
    send: tuple[bytes, ...] = ()  # to be sent back on the path it came from
    peer: int | None = None
    new_path: bool = False  # this path was not known for this peer; it is now
    nominated: bool = False  # the check carried USE-CANDIDATE: media moves to this path


@dataclass(slots=True)
class _Agent:
    parameters: IceParameters
    paths: dict[Path, None] = field(default_factory=dict)  # oldest first
    nominated: Path | None = None


class IceLite:
    """The controlled agent of all peers of a worker."""

    def __init__(self) -> None:
        self._agents: dict[int, _Agent] = {}
        self._by_ufrag: dict[str, int] = {}
        self._by_path: dict[Path, int] = {}
        self._refusals = float(REFUSALS_PER_S_MAX)
        self._refilled_at = 0.0

    def open(self, peer: int, parameters: IceParameters) -> bool:
        """Answer checks for this peer from now on. Again with other parameters = an ICE restart
        (RFC 8445 2.4): the old user name stops at once, known paths stay. True where this was one.

        Raises Internal when another peer holds the ufrag: the node must draw them apart.
        """
        if self._by_ufrag.get(parameters.local_ufrag, peer) != peer:
            raise Internal("two peers were given the same ICE ufrag")
        agent = self._agents.get(peer)
        restarted = agent is not None and agent.parameters.local_ufrag != parameters.local_ufrag
        if agent is None:
            self._agents[peer] = _Agent(parameters)
        else:
            del self._by_ufrag[agent.parameters.local_ufrag]
            agent.parameters = parameters
        self._by_ufrag[parameters.local_ufrag] = peer
        return restarted

    def close(self, peer: int) -> None:
        """Forget the peer and its paths. A second close is harmless."""
        agent = self._agents.pop(peer, None)
        if agent is None:
            return
        del self._by_ufrag[agent.parameters.local_ufrag]
        for path in agent.paths:
            self._forget(path, peer)

    def peer_at(self, path: Path) -> int | None:
        """The peer whose check last passed on this path: the only one whose DTLS is taken from there."""
        return self._by_path.get(path)

    def receive(self, datagram: bytes, path: Path, now: float) -> Checked:
        """Judge one datagram that looked like STUN (first byte 0 to 3, RFC 7983). Raises nothing.

        The order is that of RFC 8489 6.3 and 9.1.3: form, user name, integrity, attributes, then the
        role (RFC 8445 7.3.1.1).
        """
        try:
            message = stun.parse(datagram)
        except stun.StunError:
            return Checked(MALFORMED)
        if message.method != stun.BINDING or message.class_ != stun.REQUEST:
            return Checked(NOT_A_REQUEST)
        if message.fingerprint_ok is False or message.username is None:
            return Checked(MALFORMED)
        # Only our half is compared: theirs changes with a restart that we may not have been told of yet.
        peer = self._by_ufrag.get(message.username.partition(":")[0])
        if peer is None:
            return Checked(UNKNOWN_UFRAG)
        password = self._agents[peer].parameters.local_pwd.encode()
        if not stun.integrity_ok(datagram, password):
            return self._refuse(datagram, message, now)
        for verdict, answer in _REFUSALS:
            response = answer(message, password)
            if response is not None:
                return Checked(verdict, _if_not_larger(response, datagram), peer)
        response = stun.binding_success(message.transaction_id, (path.address, path.port), password)
        new_path = self._learn(peer, path, message.use_candidate)
        return Checked(ANSWERED, (response,), peer, new_path, message.use_candidate)

    def _refuse(self, datagram: bytes, message: stun.Message, now: float) -> Checked:
        gained = max(0.0, now - self._refilled_at) * REFUSALS_PER_S_MAX
        self._refusals = min(float(REFUSALS_PER_S_MAX), self._refusals + gained)
        self._refilled_at = now
        if self._refusals < 1.0:
            return Checked(RATE_LIMITED)
        self._refusals -= 1.0
        response = stun.binding_error(message.transaction_id, 401, "Unauthorized", None)
        return Checked(BAD_INTEGRITY, _if_not_larger(response, datagram))

    def _learn(self, peer: int, path: Path, nominated: bool) -> bool:
        """Make the path this peer's; True when it was not. The oldest makes room, the nominated one stays."""
        agent = self._agents[peer]
        new = path not in agent.paths
        agent.paths.pop(path, None)
        if len(agent.paths) >= PATHS_PER_PEER_MAX:
            oldest = next(known for known in agent.paths if known != agent.nominated)
            del agent.paths[oldest]
            self._forget(oldest, peer)
        agent.paths[path] = None
        before = self._by_path.get(path)
        if before is not None and before != peer:  # the same browser socket, used again for another connection
            self._agents[before].paths.pop(path, None)
        self._by_path[path] = peer
        if nominated:
            agent.nominated = path
        return new

    def _forget(self, path: Path, peer: int) -> None:
        if self._by_path.get(path) == peer:
            del self._by_path[path]


def _unknown_attribute(message: stun.Message, password: bytes) -> bytes | None:
    """420 for a comprehension-required attribute that we do not know (RFC 8489 6.3.1)."""
    if not message.unknown:
        return None
    return stun.binding_error(message.transaction_id, 420, "", password, message.unknown)


def _role_conflict(message: stun.Message, password: bytes) -> bytes | None:
    """487 for a peer that thinks it is controlled: towards a lite agent it controls (RFC 8445 6.1.1)."""
    if message.ice_controlled is None:
        return None
    return stun.binding_error(message.transaction_id, 487, "", password)


# In this order. The reasons are empty so that the answers stay below the size of what they answer.
_REFUSALS: tuple[tuple[str, Callable[[stun.Message, bytes], bytes | None]], ...] = (
    (UNKNOWN_ATTRIBUTE, _unknown_attribute),
    (ROLE_CONFLICT, _role_conflict),
)


def _if_not_larger(response: bytes, request: bytes) -> tuple[bytes, ...]:
    """No error answer is larger than what it answers, so that a false sender address gains nothing."""
    return (response,) if len(response) <= len(request) else ()
