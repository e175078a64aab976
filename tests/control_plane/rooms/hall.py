"""The rooms area over HTTP, in process: accounts that hold events, guests who join, and an outbox that is carried by
hand. Who calls is said by a header; the real doors have tests of their own."""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from control_plane.accounts.setup import Setup as AccountsSetup
from control_plane.accounts.tokens import Draw
from control_plane.api import media as media_door
from control_plane.api import problems, rooms
from control_plane.api.caller import RIGHTS, Caller
from control_plane.api.doors import Doors, Visit, allow
from control_plane.api.settings import Settings
from control_plane.billing.allowance import of_plan
from control_plane.billing.catalogue import CATALOGUE, Adds, Plan
from control_plane.clock import TestClock
from control_plane.rooms.media import MediaServer
from control_plane.rooms.setup import Media, Setup
from control_plane.running.outbox import Deliverer
from control_plane.running.work import Work
from control_plane.storage.store import Store
from sfu.contract import Grant, TokenKey, generate_pem, load_key, verify

START = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
PEM = generate_pem()
API_TOKEN, UPLINK_TOKEN = "a" * 40, "u" * 40
# With a plan in which nothing can be held.
SOLD = replace(CATALOGUE, plans={**CATALOGUE.plans, "none of it": Plan("none of it", "None of it", 0, {}, 0, 0, 0)})


def signing_key(pem: str = PEM) -> TokenKey:
    return load_key(pem, key_id="stentor-1", issuer="stentor", audience="stentor-sfu")


def drawn(seed: int) -> Draw:
    """Randomness that repeats."""
    source = random.Random(seed)
    return lambda characters: "".join(source.choices("abcdefghijklmnopqrstuvwxyz234567", k=characters))


class OpenDoors(Doors):
    """Lets in whoever says who he is: `X-Caller: owner acc_x`, `person per_x` or `staff per_x`."""

    async def admit(self, request: Request) -> None:
        role, _, name = request.headers.get("x-caller", "").partition(" ")
        caller = Caller("visitor", "")
        if role == "owner":
            caller = Caller(f"person:per_{name[4:]}", name, f"per_{name[4:]}", "owner", frozenset(RIGHTS))
        elif role == "person":
            caller = Caller(f"person:{name}", "", name)
        elif role == "staff":
            caller = Caller(f"staff:{name}", "", name, "staff")
        allow(caller, request.scope["route"].endpoint.need)
        address = request.headers.get("x-address", "192.0.2.1")
        request.state.visit = Visit(caller, "", address)


@dataclass
class Hall:
    """`plans`, `more` (by add-ons) and `barred` stand for what other areas know of accounts; `grew` are those of which
    it was told that more people were in a room than before."""

    store: Store
    clock: TestClock
    setup: Setup
    app: FastAPI
    client: TestClient
    plans: dict[str, str]
    more: dict[str, dict[Adds, int]]
    barred: set[str]
    grew: list[str]
    work: Work

    # -- people --
    def call(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        sent = {"x-caller": who, **{name.replace("_", "-"): value for name, value in headers.items()}}
        extra = {} if body is None else {"json": body}
        answer: httpx2.Response = self.client.request(method, path, headers=sent, **extra)
        return answer

    def plan_event(self, account: str = "acc_a", **changes: Any) -> dict[str, Any]:
        body = {"kind": "meeting", "title": "Stand-up", **changes}
        answer = self.call(f"owner {account}", "POST", "/api/v1/events", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def change(self, event: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        answer = self.call("owner acc_a", "PATCH", f"/api/v1/events/{event['id']}", changes)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def do(self, event: Mapping[str, Any], action: str, account: str = "acc_a") -> httpx2.Response:
        return self.call(f"owner {account}", "POST", f"/api/v1/events/{event['id']}/{action}")

    def invite(self, event: Mapping[str, Any], role: str = "attendee") -> tuple[str, str]:
        """(id, token) of a link."""
        answer = self.call("owner acc_a", "POST", f"/api/v1/events/{event['id']}/invitations", {"role": role})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["link"].partition("#token=")[2]

    def join(self, number: str, who: str = "", link: str = "", name: str = "Ada", **headers: str) -> httpx2.Response:
        return self.call(who, "POST", "/api/v1/join", {"id": number, "name": name, "link": link}, **headers)

    def token(self, event: Mapping[str, Any], who: str = "", link: str = "", name: str = "Ada") -> str:
        """A grant's token; he must be let in."""
        answer = self.join(event["number"], who, link, name)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def grant(self, event: Mapping[str, Any], who: str = "", link: str = "") -> Grant:
        token = self.token(event, who, link)
        return verify(token, self.setup.media.key, self.clock.now().timestamp())

    def report(self, records: list[dict[str, Any]], boot: str = "boot1", token: str = UPLINK_TOKEN) -> httpx2.Response:
        """As the media server's uplink sends it."""
        headers = {"authorization": f"Bearer {token}"}
        answer: httpx2.Response = self.client.post(
            "/internal/usage", json={"boot": boot, "records": records}, headers=headers
        )
        return answer

    # -- what leaves the house --
    def carry(self) -> int:
        """Carry what waits for the media server; how many rows that was."""
        return sum(1 for _ in iter(lambda: self.work.letter("media", self.clock.now()), False))

    def rows(self, table: sa.Table) -> list[Any]:
        return list(self.store.read(lambda connection: connection.execute(table.select()).all()))


def hall(
    store: Store, *, page: str = "https://meet.test", api: str = "http://127.0.0.1:9",
    http: httpx2.Client | None = None, start: datetime.datetime = START, draw: Draw | None = None, pem: str = PEM,
) -> Hall:  # fmt: skip
    plans: dict[str, str] = {}
    more: dict[str, dict[Adds, int]] = {}
    barred: set[str] = set()
    grew: list[str] = []
    clock = TestClock(start)
    setup = Setup(
        Media(page, api, API_TOKEN, UPLINK_TOKEN, signing_key(pem)),
        may_host=lambda connection, account: account not in barred,
        allowance=lambda connection, account: of_plan(SOLD, plans.get(account, "professional"), more.get(account)),
        base_url="https://stentor.test",
        draw=draw or drawn(7),
        grew=lambda connection, now, account: grew.append(account),
    )
    doors = OpenDoors(store, clock, Settings(AccountsSetup(b"k" * 32)))
    app = FastAPI()
    problems.install(app)
    for router in (rooms.router(doors, setup), media_door.router(store, clock, setup, doors.measures)):
        app.router.routes.extend(router.routes)
    server = MediaServer(store, clock, setup, http)
    work = Work(store, deliverers={"media": Deliverer(server.carry)})
    return Hall(store, clock, setup, app, TestClient(app), plans, more, barred, grew, work)
