"""The world around the fake gateway, for tests and for the fake's own pages: the customer at the hosted fields, the
issuer who disputes or renews, the network that delivers events. Nothing of it is in the port."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from control_plane.billing.freeze import CardMonth
from control_plane.clock import Clock
from control_plane.gateway.errors import Refused
from control_plane.gateway.fake.books import Books
from control_plane.gateway.fake.cards import behaviour_of, fingerprint
from control_plane.gateway.fake.faults import Plan
from control_plane.gateway.fake.records import Movement, SavedCard, Setup, Undelivered
from control_plane.gateway.port import Dispute
from control_plane.gateway.signed import sign
from control_plane.money import Money
from control_plane.periods import day_of

HEADER = "Gateway-Signature"
# A round of deliveries takes no more events than this.
DELIVERIES_MAX = 1_000


class Outside:
    """What others do to the gateway `books` opens."""

    def __init__(
        self, books: Callable[[], contextlib.AbstractContextManager[Books]], clock: Clock, plan: Plan, secret: str
    ) -> None:
        self._books, self._clock, self._plan, self._secret = books, clock, plan, secret

    def enter_card(self, setup: str, number: str, expires: CardMonth) -> None:
        """The customer fills in the hosted fields. What became of it, the set-up says. Raises Refused for a set-up that
        is over."""
        with self._books() as books:
            one = books.setup(setup)
            if one.state not in ("fields", "declined"):
                raise Refused("refused", "this set-up is over")
            behaviour = behaviour_of(number)
            if expires.last < day_of(books.now):
                one.state, one.code = "declined", "expired_card"
            elif behaviour.saving is not None:
                one.state, one.code = "declined", behaviour.saving
            else:
                card = SavedCard(
                    books.new_id("card"), one.payer, number, expires.year, expires.month, fingerprint(number)
                )
                books.drawer.put(card.id, card, parent=one.payer)
                one.card = card.id
                one.state = "saved" if behaviour.authenticates == "never" else "authentication"
            self._changed(books, one)

    def authenticate(self, reference: str, agrees: bool) -> None:
        """The customer confirms (or not) with his issuer, for a charge or set-up. Raises Refused where nobody waits."""
        with self._books() as books:
            setup = books.drawer.get(Setup, reference)
            if setup is not None:
                if setup.state != "authentication":
                    raise Refused("refused", "nobody waits for this customer")
                setup.state, setup.code = ("saved" if agrees else "declined"), "authentication_failed"
                self._changed(books, setup)
                return
            charge = books.charge(reference)
            if charge.state != "needs_action":
                raise Refused("refused", "nobody waits for this customer")
            if agrees:
                books.collect(charge, behaviour_of(books.card(charge.card).number))
            else:
                books.fail_authentication(charge)

    def open_dispute(self, charge: str, amount: Money | None = None) -> Dispute:
        """All that is left of it, unless told otherwise. Raises Refused."""
        with self._books() as books:
            one = books.charge(charge)
            return books.open_dispute(one, amount or Money(books.left(one), one.currency)).dispute()

    def close_dispute(self, dispute: str, won: bool) -> Dispute:
        """Raises Refused."""
        with self._books() as books:
            return books.close_dispute(dispute, won).dispute()

    def renew_card(self, token: str, expires: CardMonth) -> None:
        """The issuer sends a new one with another date; it goes on under its token. Raises Refused."""
        with self._books() as books:
            card = books.card(token)
            card.year, card.month = expires.year, expires.month
            books.drawer.put(card.id, card, parent=card.payer)
            books.tell("card.renewed", card=card.card(), payer=card.payer)

    def held(self) -> dict[str, Money]:
        """What lies at the gateway for the operator, by currency."""
        held: dict[str, Money] = {}
        with self._books() as books:
            for movement in books.drawer.of(Movement):
                held[movement.currency] = held.get(movement.currency, Money(0, movement.currency)) + Money(
                    movement.minor, movement.currency
                )
        return held

    def deliver(self, post: Callable[[bytes, dict[str, str]], bool]) -> int:
        """Sends every event that nobody took yet, as the plan orders them; how many were sent. `post` tells whether it
        was taken (a status of 2xx); what was not comes again the next time."""
        with self._books() as books:
            waiting = {event.id: event for event in books.drawer.of(Undelivered)[:DELIVERIES_MAX]}
            number = books.drawer.count("delivery")
        sent, taken, refused = 0, set[str](), set[str]()
        for id in self._plan.delivery(list(waiting), number):
            body = waiting[id].body.encode()
            sent += 1
            took = post(body, {HEADER: sign(self._secret, self._clock.now(), body)})
            (taken if took else refused).add(id)
        with self._books() as books:
            for id in taken - refused:
                books.drawer.remove(Undelivered, id)
        return sent

    def _changed(self, books: Books, setup: Setup) -> None:
        books.drawer.put(setup.id, setup, parent=setup.payer)
        card = books.drawer.get(SavedCard, setup.card) if setup.card else None
        books.tell(f"setup.{setup.state}", setup=setup, card=card and card.card())


def collected(outside: Outside) -> list[tuple[bytes, dict[str, str]]]:
    """All that is delivered in one round, taken."""
    posted: list[tuple[bytes, dict[str, str]]] = []

    def post(body: bytes, headers: dict[str, str]) -> bool:
        posted.append((body, headers))
        return True

    outside.deliver(post)
    return posted
