"""[I/O] What is asked of the gateway while the customer waits: his card, and what became of his payment.

The gateway is asked outside of any transaction, and what it said is entered in one of its own. Who asks is looked at by
the caller's door; whose card or payment it is, here. All raise what the gateway raises (control_plane.gateway.errors).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from control_plane.billing import cards, payments, settling, wallet
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.clock import Clock
from control_plane.errors import Conflict
from control_plane.gateway.errors import Refused
from control_plane.gateway.port import CardAwaited, CardDeclined, Gateway, HostedFields, Unseen
from control_plane.storage.store import Store


@dataclass(frozen=True)
class Entry:
    """A card is being entered under this reference of the gateway's, in these fields."""

    reference: str
    fields: HostedFields


@dataclass(frozen=True)
class Counter:
    """One gateway over one database."""

    store: Store
    clock: Clock
    setup: Setup
    gateway: Gateway

    def begin_card(self, account: str) -> Entry:
        """Have a card entered. One that was begun and not given is gone on with, so an account has one at a time.
        Raises Conflict "country_missing"."""
        payer, begun = self.store.read(lambda connection: _known(connection, account))
        if not payer:
            payer = self.gateway.open_payer(account)
            self.store.write(lambda connection: cards.set_payer(connection, account, payer))
        if begun is not None and (entry := self.entry(account, begun)) is not None:
            return entry
        draw = self.setup.accounts.draw
        reference = self.gateway.begin_card(payer, f"card:{account}:{draw(20)}")
        fields = self.gateway.hosted_fields(reference)
        self.store.write(lambda connection: cards.begin(connection, self.clock.now(), draw, account, reference))
        return Entry(reference, fields)

    def entry(self, account: str, reference: str) -> Entry | None:
        """Go on with one that was begun; None where it is over, as `card_given` says. Raises NotFound likewise."""
        if self.card_given(account, reference) != "awaited":
            return None
        return Entry(reference, self.gateway.hosted_fields(reference))

    def unfinished(self, account: str) -> cards.State | None:
        """What became of the card that was begun last and not told of since; None where there is none."""
        begun = self.store.read(lambda connection: cards.awaited(connection, account))
        return None if begun is None else self.card_given(account, begun)

    def card_given(self, account: str, reference: str) -> cards.State:
        """What became of it. One that was given is charged from now on; one that the gateway does not know any more
        counts as declined. Raises NotFound, also for one of another account."""
        state = self.store.read(lambda connection: cards.state_of(connection, account, reference))
        # Of one that was declined as well: in the same fields he may have given another, which was taken.
        if state not in ("awaited", "declined"):
            return state
        try:
            outcome = self.gateway.card_of(reference)
        except Refused as refused:
            if refused.code != "no_such_setup":
                raise
            outcome = CardDeclined(reference, "declined")
        if isinstance(outcome, CardAwaited):
            return state

        def enter(connection: sa.Connection) -> cards.State:
            wallet.told(connection, self.clock.now(), self.setup, outcome)
            return cards.state_of(connection, account, reference)

        return self.store.write(enter)

    def payment(self, account: str, key: str) -> Payment:
        """How it stands, as the gateway says. Raises NotFound, also for one of another account."""
        known = self.store.read(lambda connection: payments.by_key(connection, key, account))
        if known.over or not known.amount.minor or not known.token:
            return known
        outcome = self.gateway.ask(key, known.payer)
        if isinstance(outcome, Unseen):
            return known  # it has not left us yet

        def enter(connection: sa.Connection) -> Payment:
            settling.told(connection, self.clock.now(), self.setup, key, outcome)
            return payments.by_key(connection, key, account)

        return self.store.write(enter)


def _known(connection: sa.Connection, account: str) -> tuple[str, str | None]:
    payer = cards.payer(connection, account)
    if payer is None:
        raise Conflict("country_missing", "say first in which country you are: the invoice needs it")
    return payer.payer, cards.awaited(connection, account)
