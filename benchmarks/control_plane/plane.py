"""[I/O] The real thing: `stentor serve` with its control plane in a temporary folder, and people who have signed up.

Nothing is set that a service would not have, but for `--dev`: mails are read in the development mailbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx2
import msgspec
import psutil

from benchmarks.control_plane.asking import Ask
from tests.servers import Server, eventually, free_port

PASSWORD = "a long enough pass phrase"
MAILED_WITHIN_S = PAID_WITHIN_S = 60.0
STARTED_WITHIN_S = 60.0
ROOM_SEATS = 40
PLAN = "business"
CARD = "4242424242424242"  # of the development's gateway: it always pays


def source(number: int) -> str:
    """An address of its own for everybody, as people have: the server's limits are as they are in service."""
    return f"127.7.{number // 250}.{1 + number % 250}"


@dataclass(frozen=True)
class Person:
    """Somebody who has signed up and read his mail."""

    email: str
    source: str

    def sign_in(self) -> Ask:
        body = {"email": self.email, "password": PASSWORD}
        return Ask(name="POST /api/v1/sessions", method="POST", path="/api/v1/sessions", body=body, source=self.source)


@dataclass(frozen=True)
class Host:
    """Somebody who is signed in and has planned rooms, with what he shows at the door."""

    cookie: str
    csrf: str
    key: str
    events: tuple[tuple[str, str], ...]  # id and number


@dataclass(frozen=True)
class Spent:
    """CPU seconds of each process since it began."""

    control_plane: float
    node: float
    worker: float


class Plane:
    """Made by `at`; ended with its block."""

    def __init__(self, server: Server, port: int) -> None:
        self.port = port
        self._server = server
        # Those of another run may be in the same PostgreSQL.
        self._run = secrets.token_hex(4)
        self._drawn = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, database: str = "") -> AsyncIterator[Plane]:
        port = free_port(socket.SOCK_STREAM)
        with tempfile.TemporaryDirectory(prefix="stentor-benchmark-") as folder:
            arguments = ["--control-enabled", "true", "--control-port", str(port), "--control-folder", folder]
            arguments += ["--control-database", database] if database else []
            async with Server(*arguments) as server:
                plane = cls(server, port)
                await eventually(plane._answers, within_s=STARTED_WITHIN_S, what="the control plane answers")
                yield plane
            server.log.unlink(missing_ok=True)

    @property
    def media(self) -> str:
        return f"ws://127.0.0.1:{self._server.http_port}/ws"

    async def _answers(self) -> bool:
        try:
            async with self._visitor("127.0.0.1") as visitor:
                return (await visitor.get("/api/v1/openapi.json")).status_code == 200
        except httpx2.TransportError:
            return False

    def spent(self) -> Spent:
        """Raises RuntimeError where a process is missing."""
        node = psutil.Process(self._server.pid)
        found = {"node": _cpu_s(node)}
        for child in node.children():
            for name, module in (("worker", "sfu.worker"), ("control_plane", "control_plane")):
                if module in child.cmdline():
                    found[name] = _cpu_s(child)
        if len(found) != 3:
            raise RuntimeError(f"of the server's processes only {sorted(found)} run")
        return Spent(found["control_plane"], found["node"], found["worker"])

    async def people(self, count: int) -> list[Person]:
        """So many sign up, four at a time."""
        async with self._visitor("127.0.0.1") as visitor:
            texts = (await visitor.get("/api/v1/legal/texts")).json()
        accepted = {one["kind"]: one["version"] for one in texts if one["kind"] in ("terms", "privacy")}
        abreast = asyncio.Semaphore(4)

        async def one(number: int) -> Person:
            async with abreast:
                return await self._sign_up(number, accepted)

        first, self._drawn = self._drawn, self._drawn + count
        return list(await asyncio.gather(*(one(number) for number in range(first, first + count))))

    async def host(self, person: Person, rooms: int) -> Host:
        """He signs in, pays for the largest plan, plans rooms of 40 and makes an API key."""
        async with self._visitor(person.source) as visitor:
            signed_in = _good(await visitor.post("/api/v1/sessions", json=person.sign_in().body))
            csrf = signed_in.json()["csrf"]
            visitor.headers["X-CSRF-Token"] = csrf
            await self._pays(visitor)
            events = []
            for number in range(rooms):
                made = _good(await visitor.post("/api/v1/events", json={"kind": "meeting", "title": f"Room {number}"}))
                events.append((made.json()["id"], made.json()["number"]))
            wish = {"name": "benchmark", "scopes": ["events", "account"]}
            key = _good(await visitor.post("/api/v1/keys", json=wish)).json()["secret"]
            cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        return Host(cookie, csrf, key, tuple(events))

    async def _pays(self, visitor: httpx2.AsyncClient) -> None:
        """A trial has the free version's places; the development's gateway has a card that always pays."""
        terms = {"plan": PLAN, "cycle": "month", "currency": "EUR"}
        _good(await visitor.put("/api/v1/billing/country", json={"country": "US"}))
        setup = _good(await visitor.post("/api/v1/billing/cards")).json()["setup"]
        typed = await visitor.post(f"/gateway/card/{setup}", data={"number": CARD, "month": "12/2030", "next": ""})
        assert typed.status_code == 303, typed.status_code
        _good(await visitor.post(f"/api/v1/billing/cards/{setup}/check"))
        seen = _good(await visitor.post("/api/v1/billing/quotes", json={"of": "plan", **terms})).json()["payable"]
        wish = {**terms, "seen": seen, "consent": True}
        ordered = _good(await visitor.post("/api/v1/billing/orders", json=wish)).json()["key"]

        async def paid() -> bool:
            return bool(_good(await visitor.get(f"/api/v1/billing/payments/{ordered}")).json()["state"] == "succeeded")

        await eventually(paid, within_s=PAID_WITHIN_S, what="the plan is paid")

    async def _sign_up(self, number: int, accepted: dict[str, str]) -> Person:
        person = Person(f"p{number}-{self._run}@example.com", source(number))
        form = {
            "email": person.email,
            "password": PASSWORD,
            "business": True,
            "adult": True,
            "accepted": accepted,
            "business_name": f"Lessons {number}",
            "plan": PLAN,
        }
        async with self._visitor(person.source) as visitor:
            _good(await visitor.post("/api/v1/sign-ups", json=form))

            async def mailed() -> str | None:
                page = _good(await visitor.get("/dev/mail", params={"to": person.email})).text
                found = re.search(r"/verify#token=([A-Za-z0-9_-]+)", page)
                return None if found is None else found[1]

            token = await eventually(mailed, within_s=MAILED_WITHIN_S, what="the verification mail has come")
            _good(await visitor.post("/api/v1/verifications", json={"token": token}))
        return person

    def _visitor(self, address: str) -> httpx2.AsyncClient:
        transport = httpx2.AsyncHTTPTransport(local_address=address)
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", transport=transport, timeout=60)


def endpoints(host: Host, addresses: Sequence[str]) -> list[Ask]:
    """One of each kind: what reads and what writes, by session, by key and by nobody, of the API and of the pages."""
    event, number = host.events[0]
    session = {"Cookie": host.cookie}
    changing = {**session, "X-CSRF-Token": host.csrf}
    key = {"Authorization": f"Bearer {host.key}"}
    guest = {"id": number, "name": "Somebody"}
    asks = [
        Ask(name="GET /api/v1/me", method="GET", path="/api/v1/me", headers=session),
        Ask(name="GET /api/v1/account", method="GET", path="/api/v1/account", headers=session),
        Ask(name="GET /api/v1/events", method="GET", path="/api/v1/events", headers=session),
        Ask(name="GET /api/v1/events by key", method="GET", path="/api/v1/events", headers=key),
        Ask(
            name="PATCH /api/v1/events/{event}",
            method="PATCH",
            path=f"/api/v1/events/{event}",
            headers=changing,
            body={"title": "Lesson"},
        ),
        Ask(name="POST /api/v1/join", method="POST", path="/api/v1/join", body=guest),
        Ask(name="GET /", method="GET", path="/"),
        Ask(name="GET /sign-in", method="GET", path="/sign-in"),
        Ask(name="GET /join/{number}", method="GET", path=f"/join/{number}"),
        Ask(name="GET /rooms", method="GET", path="/rooms", headers=session),
        Ask(name="GET /legal/terms/{version}/en", method="GET", path="/legal/terms/2022-12-15/en"),
        Ask(name="GET /api/v1/legal/texts", method="GET", path="/api/v1/legal/texts"),
    ]
    return [msgspec.structs.replace(ask, source=addresses[turn % len(addresses)]) for turn, ask in enumerate(asks)]


def join(number: str, address: str, name: str = "POST /api/v1/join") -> Ask:
    """A guest asks for a grant."""
    body = {"id": number, "name": "Somebody"}
    return Ask(name=name, method="POST", path="/api/v1/join", body=body, source=address)


def _good(answer: httpx2.Response) -> httpx2.Response:
    if not answer.is_success:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
