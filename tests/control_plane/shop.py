"""The product with billing on, over HTTP: its customers pay through the faithful gateway in memory, and nothing is
carried before a test says so (`settle`, `until`)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import httpx2

from control_plane import clockwork, paying
from control_plane.billing.freeze import CardMonth
from control_plane.clock import TestClock
from control_plane.gateway.fake.faults import Script
from control_plane.gateway.memory import MemoryGateway
from control_plane.running.outbox import Deliverer, Letter
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.people import START, Person, World
from tests.control_plane.product import whole

PAYS = "4242424242424242"
DECLINED = "4000000000000341"
ASKS = "4000002760003184"
GOOD = CardMonth(2030, 12)
MONTH = {"plan": "professional", "cycle": "month", "currency": "EUR"}


@dataclass
class Shop:
    """`script` says what goes wrong at the gateway."""

    here: World
    work: Work
    gateway: MemoryGateway
    script: Script
    carried: list[Letter] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)

    def settle(self) -> None:
        clockwork.settle(self.here.clock, self.work)

    def days(self, count: int) -> None:
        """Do all that is due up to then. No session lasts so long: everybody signs in again, if he may."""
        clockwork.advance_to(self.here.clock, self.work, self.here.clock.now() + datetime.timedelta(days=count))
        for person in self.people:
            person.signs_in()

    def buyer(self, email: str = "jane@example.com", **form: Any) -> Buyer:
        self.people.append(self.here.customer(email, **form))
        return Buyer(self, self.people[-1])

    def told_by_media(self, *records: dict[str, Any], boot: str = "boot1") -> dict[str, Any]:
        """What the media server reports, at its own door."""
        answer = self.here.stranger().ask(
            "POST",
            "/internal/usage",
            {"boot": boot, "records": list(records)},
            headers={"Authorization": f"Bearer {'u' * 40}"},
        )
        assert answer.is_success, answer.text
        return dict(answer.json())

    def desk(self) -> Person:
        """Somebody of the staff."""
        self.people.append(self.here.staff())
        return self.people[-1]


@dataclass
class Buyer:
    """Who has the right to pay for an account, in words of the product."""

    shop: Shop
    person: Person

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return self.person.call(method, path, body, **more)

    def told(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """What a request that succeeds answers."""
        answer = self.call(method, path, body, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and code of one that does not."""
        answer = self.call(method, path, body)
        assert not answer.is_success, answer.text
        return answer.status_code, str(answer.json()["code"])

    @property
    def account(self) -> str:
        return str(self.person.me()["account"])

    @property
    def standing(self) -> dict[str, Any]:
        return dict(self.told("GET", "/billing"))

    def gives(self, number: str = PAYS, expires: CardMonth = GOOD, country: str = "DE") -> str:
        """His country and a card, at the gateway's own fields; what became of it."""
        self.told("PUT", "/billing/country", {"country": country})
        setup = self.told("POST", "/billing/cards")["setup"]
        outside = self.shop.gateway.outside
        outside.enter_card(setup, number, expires)
        if number == ASKS:
            outside.authenticate(setup, agrees=True)
        return str(self.told("POST", f"/billing/cards/{setup}/check")["state"])

    def quote(self, **wish: Any) -> dict[str, Any]:
        return dict(self.told("POST", "/billing/quotes", wish))

    def orders(self, plan: str = "professional", cycle: str = "month", currency: str = "EUR") -> dict[str, Any]:
        """With consent to recurring charges; the payment, after the gateway was asked."""
        terms = {"plan": plan, "cycle": cycle, "currency": currency}
        seen = self.quote(of="plan", **terms)["payable"]
        made = self.told("POST", "/billing/orders", {**terms, "seen": seen, "consent": True})
        return self.after(made)

    def after(self, made: dict[str, Any]) -> dict[str, Any]:
        """The payment, once all was carried that waits."""
        self.shop.settle()
        return dict(self.told("GET", f"/billing/payments/{made['key']}"))


@contextmanager
def shop(store: Store, **changes: Any) -> Iterator[Shop]:
    """`changes` as of `tests.control_plane.product.product`."""
    clock, script = TestClock(START), Script()
    gateway = MemoryGateway(clock, "whsec_of_the_tests", plan=script)
    chosen = mock.patch.object(paying, "_gateway", lambda *told: gateway)
    with chosen, whole(store, clock, **changes) as (here, built):
        carried: list[Letter] = []

        def to_media(letter: Letter) -> None:
            carried.append(letter)
            if letter.payload["command"] == "end_rooms":  # what it comes to is in our rows; no media server is asked
                built.orders.carry(letter)

        quiet = {"media": Deliverer(to_media), "mail": Deliverer(carried.append)}
        work = replace(built.work, deliverers={**built.work.deliverers, **quiet})
        yield Shop(here, work, gateway, script, carried)
    gateway.close()
