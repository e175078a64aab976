"""People who use the API in tests: each has a client of his own and speaks in words of the product."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from fastapi.testclient import TestClient

from control_plane.accounts import addresses, staff
from control_plane.accounts.passwords import Cost
from control_plane.accounts.setup import Setup
from control_plane.accounts.tokens import Draw
from control_plane.api.app import application
from control_plane.api.settings import Settings
from control_plane.clock import TestClock
from control_plane.storage.store import Store
from tests.control_plane import seen, standing

START = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
PASSWORD = "a long enough pass phrase"
# Argon2's least: a test is about who may come in, not about how long it takes.
CHEAP = Cost(passes=1, memory_kib=8, lanes=1)
FINGERPRINT_KEY = b"k" * 32
TEXTS = {"terms": "2022-12-15", "privacy": "2022-12-15"}


class Drawn:
    """Randomness that repeats (control_plane.accounts.tokens.Draw)."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)

    def __call__(self, characters: int) -> str:
        return "".join(self._source.choices("abcdefghijklmnopqrstuvwxyz234567", k=characters))


def drawn(seed: int) -> Draw:
    """Randomness that repeats."""
    return Drawn(seed)


def settings(**changes: Any) -> Settings:
    setup = changes.pop("setup", None) or Setup(FINGERPRINT_KEY, "https://stentor.test", drawn(1))
    return Settings(**{"setup": setup, "cost": CHEAP, **changes})


@dataclass
class Person:
    """Somebody with a browser. Every request that changes something carries his session's CSRF token."""

    world: World
    email: str = ""
    password: str = PASSWORD
    client: httpx2.Client = field(init=False)
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = self.world.client()

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return self.ask(method, f"/api/v1{path}", body, **more)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        """Outside of the API as well."""
        headers = {"X-CSRF-Token": self.csrf, **self.headers, **more.pop("headers", {})}
        extra = {} if body is None else {"json": body}
        return self.client.request(method, path, headers=headers, **extra, **more)

    def form(self, **changes: Any) -> dict[str, Any]:
        return {
            "email": self.email,
            "password": self.password,
            "business": True,
            "adult": True,
            "accepted": TEXTS,
            "business_name": "Jane's Lessons",
            **changes,
        }

    def signs_up(self, **changes: Any) -> httpx2.Response:
        return self.call("POST", "/sign-ups", self.form(**changes))

    def verifies(self) -> httpx2.Response:
        return self.call("POST", "/verifications", {"token": self.mailed("verification")})

    def mailed(self, template: str) -> str:
        """The token of the newest such mail to him."""
        return str(seen.mails(self.world.store, addresses.email(self.email), template)[-1]["values"]["token"])

    def signs_in(self) -> httpx2.Response:
        answer = self.call("POST", "/sessions", {"email": self.email, "password": self.password})
        if answer.status_code == 201:
            self.csrf = answer.json()["csrf"]
        return answer

    def accepts_invitation(self, **changes: Any) -> httpx2.Response:
        body = {"token": self.mailed("invitation"), "password": self.password, "adult": True, "accepted": TEXTS}
        return self.call("POST", "/invitations/accept", {**body, **changes})

    def me(self) -> dict[str, Any]:
        answer = self.call("GET", "/me")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@dataclass
class World:
    """A running control plane (in process) and its people."""

    store: Store
    clock: TestClock
    app: FastAPI
    portal: BlockingPortal  # one loop for all requests, as at a server; else each request would start its own
    base_url: str = "https://stentor.test"

    def client(self, address: str = "testclient") -> httpx2.Client:
        client = TestClient(self.app, base_url=self.base_url, raise_server_exceptions=False, client=(address, 50_000))
        client.portal = self.portal
        return client

    def operator(self) -> Person:
        """Somebody on the machine itself."""
        person = self.stranger()
        person.client = self.client("127.0.0.1")
        return person

    def stranger(self, email: str = "") -> Person:
        return Person(self, email)

    def customer(self, email: str, **form: Any) -> Person:
        """Signed up, verified and signed in."""
        person = self.stranger(email)
        assert person.signs_up(**form).status_code == 202
        answer = person.verifies()
        assert answer.status_code == 200, answer.text
        assert person.signs_in().status_code == 201
        return person

    def staff(self, email: str = "desk@stentor.test") -> Person:
        person = self.customer(email)
        id_ = person.me()["person"]
        self.store.write(lambda connection: staff.appoint(connection, self.clock.now(), id_, "command_line"))
        return person

    def member(self, owner: Person, email: str, rights: list[str]) -> Person:
        """Invited by the owner with these rights, and signed in."""
        answer = owner.call("POST", "/invitations", {"email": email, "rights": rights})
        assert answer.status_code == 201, answer.text
        person = self.stranger(email)
        taken = person.accepts_invitation()
        assert taken.status_code == 200, taken.text
        assert person.signs_in().status_code == 201
        return person


@contextmanager
def world(
    store: Store, make: Callable[..., FastAPI] = application, *, own: bool = False, **changes: Any
) -> Iterator[World]:
    """Changes are those of the settings. `own`: with an application that is built for this one (else see standing)."""
    seen.publish_texts(store, START)
    with _built(store, make, own, changes) as (app, clock), start_blocking_portal() as portal:
        yield World(store, clock, app, portal)


@contextmanager
def _built(
    store: Store, make: Callable[..., FastAPI], own: bool, changes: dict[str, Any]
) -> Iterator[tuple[FastAPI, TestClock]]:
    if not own and not changes:
        with standing.lent(make, store, START, settings) as lent:
            yield lent
        return
    clock = TestClock(START)
    app = make(store, clock, settings(**changes))
    yield app, clock
    app.state.hashing.pool.close()
