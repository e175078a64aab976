"""[I/O] Tells the media server what was ordered, and takes note of the version that it has in force.

A deliverer of the outbox's rows of kind "media". A row only says that something is to be told; what is told is read at
that moment, so an order that waited never brings back what is over.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any, Protocol

import httpx2

from control_plane.clock import Clock
from control_plane.errors import Unavailable
from control_plane.rooms import policies
from control_plane.rooms.setup import Setup
from control_plane.running.outbox import Refused
from control_plane.storage.store import Store

ANSWER_WITHIN_S = 5.0


class Order(Protocol):
    """A row of the outbox (control_plane.running.outbox.Letter)."""

    @property
    def payload(self) -> Mapping[str, Any]: ...


class MediaServer:
    """`carry` is the outbox's deliverer."""

    def __init__(self, store: Store, clock: Clock, setup: Setup, http: httpx2.Client | None = None) -> None:
        self._store, self._clock, self._setup = store, clock, setup
        # No proxy of the environment, no redirects: the bearer is for this address alone.
        self._http = http or httpx2.Client(timeout=ANSWER_WITHIN_S, trust_env=False)

    def carry(self, order: Order) -> None:
        """Returns when the media server has it in force. Raises Refused for what it never will take, Unavailable (or
        what httpx2 raises) to have it tried again."""
        payload = order.payload
        if payload.get("command") == "policy":
            self._policy(str(payload["event"]))
        elif payload.get("command") == "end_rooms":
            # The accounts area has changed what an account may do. Its events' orders stand behind this one.
            account, now = str(payload["account"]), self._clock.now()
            self._store.write(lambda connection: policies.settle_account(connection, now, self._setup, account))
        else:
            raise Refused("media_command_unknown")

    def close(self) -> None:
        self._http.close()

    def _policy(self, event: str) -> None:
        found = self._store.read(lambda connection: policies.body(connection, self._setup, event))
        if found is None:
            return
        room, body = found
        answer = self._ask("PUT", room, body)
        if answer.status_code == 409:
            version = int(self._told(self._ask("GET", room))["version"])
            now = self._clock.now()
            self._store.write(lambda connection: policies.overtake(connection, now, event, version))
            return
        if answer.status_code == 400:
            raise Refused("media_policy_refused")
        version, now = int(self._told(answer)["version"]), self._clock.now()
        self._store.write(lambda connection: policies.acknowledged(connection, now, event, version))

    def _ask(self, method: str, room: str, body: Mapping[str, Any] | None = None) -> httpx2.Response:
        media = self._setup.media
        address = f"{media.api}/v1/rooms/{urllib.parse.quote(room, safe='')}/policy"
        return self._http.request(method, address, json=body, headers={"Authorization": f"Bearer {media.api_token}"})

    def _told(self, answer: httpx2.Response) -> dict[str, Any]:
        if answer.status_code != 200:
            raise Unavailable("media_unavailable", f"the media server answers {answer.status_code}", retry_after_s=1)
        told: dict[str, Any] = answer.json()
        return told
