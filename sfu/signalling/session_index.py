"""Which session belongs to whom: client, resume key, location, participant, peer. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sfu.errors import RateLimited
from sfu.signalling.backend import Client
from sfu.signalling.session import Session
from sfu.signalling.whip_session import WhipSession

AnySession = Session | WhipSession

# Until one of those that never connected is forgotten. Shorter: whoever is refused asks in vain.
RETRY_AFTER_S = 20.0


class SessionIndex:
    """All sessions of a node. A client is never without a session; a session may be without a client for a while.

    A session of WHIP or WHEP never has one.
    """

    def __init__(self, per_address_max: int) -> None:
        """`per_address_max` sessions of WHIP and WHEP may be of one address; WebSockets are counted where they open."""
        self._per_address_max = per_address_max
        self._of_address: Counter[str] = Counter()
        self._client: dict[AnySession, Client | None] = {}
        self._by_client: dict[Client, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._by_location: dict[str, WhipSession] = {}
        self._by_participant: dict[str, AnySession] = {}
        self._by_peer: dict[int, AnySession] = {}

    def __iter__(self) -> Iterator[AnySession]:
        """A copy: sessions may end meanwhile."""
        return iter(tuple(self._client))

    def __len__(self) -> int:
        return len(self._client)

    def __contains__(self, session: AnySession) -> bool:
        return session in self._client

    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._by_client)

    def without_clients(self) -> dict[str, int]:
        """How many sessions of WHIP and WHEP there are, by protocol."""
        return dict(Counter(one.protocol.value for one in self._by_location.values()))

    def add(self, session: WhipSession) -> None:
        """A session without a client. Raises RateLimited when its address has as many as it may."""
        if self._of_address[session.address] >= self._per_address_max:
            raise RateLimited("too many sessions of this address", retry_after_s=RETRY_AFTER_S)
        self._of_address[session.address] += 1
        self._client[session] = None
        self._by_location[session.location] = session

    def attach(self, session: Session, client: Client) -> Client | None:
        """The session's client from now on; returns the one it had before."""
        before = self._client.get(session)
        if before is not None:
            self._by_client.pop(before, None)
        self._client[session] = client
        self._by_client[client] = session
        return before

    def detach(self, client: Client) -> Session | None:
        """The client has gone; its session stays, without one. None when it had none any more."""
        session = self._by_client.pop(client, None)
        if session is None or self._client.get(session) is not client:
            return None
        self._client[session] = None
        return session

    def note(self, session: AnySession) -> None:
        """Learn the names that a session has got by now."""
        if session in self._client:
            if session.participant:
                self._by_participant[session.participant] = session
            if isinstance(session, Session) and session.resume_key:
                self._by_key[session.resume_key] = session
            if session.peer:
                self._by_peer[session.peer] = session

    def forget(self, session: AnySession) -> Client | None:
        """The session has ended; returns its client."""
        client = self._client.pop(session, None)
        if client is not None:
            self._by_client.pop(client, None)
        if isinstance(session, Session):
            self._by_key.pop(session.resume_key, None)
        elif self._by_location.pop(session.location, None) is not None:
            self._of_address[session.address] -= 1
            if not self._of_address[session.address]:
                del self._of_address[session.address]
        self._by_participant.pop(session.participant, None)
        return client

    def forget_peer(self, peer: int) -> None:
        self._by_peer.pop(peer, None)

    def client(self, session: AnySession | None) -> Client | None:
        return self._client.get(session) if session is not None else None

    def reached(self, session: AnySession) -> str:
        """The host by which the session's client reached us; "" = unknown."""
        if isinstance(session, WhipSession):
            return session.reached
        client = self._client.get(session)
        return client.reached if client is not None else ""

    def of_client(self, client: Client) -> Session | None:
        return self._by_client.get(client)

    def by_key(self, key: str) -> Session | None:
        return self._by_key.get(key)

    def by_location(self, location: str) -> WhipSession | None:
        """A location holds 192 bits of chance; how long it takes to look one up gives none of them away."""
        return self._by_location.get(location)

    def by_participant(self, participant: str) -> AnySession | None:
        return self._by_participant.get(participant)

    def by_peer(self, peer: int) -> AnySession | None:
        return self._by_peer.get(peer)
