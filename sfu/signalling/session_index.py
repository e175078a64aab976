"""Which session belongs to whom: client, resume key, participant, peer. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from sfu.signalling.backend import Client
from sfu.signalling.session import Session


class SessionIndex:
    """All sessions of a node. A session may be without a client for a while, a client never without a session."""

    def __init__(self) -> None:
        self._client: dict[Session, Client | None] = {}
        self._by_client: dict[Client, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._by_participant: dict[str, Session] = {}
        self._by_peer: dict[int, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        """A copy: sessions may end meanwhile."""
        return iter(tuple(self._client))

    def __len__(self) -> int:
        return len(self._client)

    def __contains__(self, session: Session) -> bool:
        return session in self._client

    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._by_client)

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

    def note(self, session: Session) -> None:
        """Learn the names that a session has got by now."""
        if session in self._client:
            if session.participant:
                self._by_participant[session.participant] = session
                self._by_key[session.resume_key] = session
            if session.peer:
                self._by_peer[session.peer] = session

    def forget(self, session: Session) -> Client | None:
        """The session has ended; returns its client."""
        client = self._client.pop(session, None)
        if client is not None:
            self._by_client.pop(client, None)
        if session.participant:
            self._by_key.pop(session.resume_key, None)
            self._by_participant.pop(session.participant, None)
        return client

    def forget_peer(self, peer: int) -> None:
        self._by_peer.pop(peer, None)

    def client(self, session: Session | None) -> Client | None:
        return self._client.get(session) if session is not None else None

    def of_client(self, client: Client) -> Session | None:
        return self._by_client.get(client)

    def by_key(self, key: str) -> Session | None:
        return self._by_key.get(key)

    def by_participant(self, participant: str) -> Session | None:
        return self._by_participant.get(participant)

    def by_peer(self, peer: int) -> Session | None:
        return self._by_peer.get(peer)
