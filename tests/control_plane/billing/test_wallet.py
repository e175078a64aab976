"""Cards that come and go: the one that was given last is charged, and the gateway forgets the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from control_plane.billing import cards, orders, wallet
from control_plane.errors import NotFound
from control_plane.gateway.errors import Refused
from control_plane.gateway.port import CardDeclined, CardSaved, ChargeOrder, SetupOutcome
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane.billing.till import GOOD, MONTHLY, PAYS, Customer, Till, till


def token(at: Till, jane: Customer) -> str:
    card = at.store.read(lambda connection: cards.on_file(connection, jane.id))
    return card.token if card else ""


def is_known(at: Till, jane: Customer, card: str) -> bool:
    """Whether the gateway would charge it."""
    payer = at.gateway.open_payer(jane.id)
    order = ChargeOrder(f"inv_{at.setup.accounts.draw(6)}_9:1", payer, card, Money(100, "EUR"), True)
    try:
        at.gateway.charge(order)
    except Refused:
        return False
    return True


def gives(at: Till, jane: Customer, number: str = PAYS) -> CardSaved:
    """By the way on which a customer gives it; what the gateway said."""
    payer = at.gateway.open_payer(jane.id)
    setup = at.gateway.begin_card(payer, f"card:{jane.id}:{at.setup.accounts.draw(6)}")

    def begun(connection: sa.Connection) -> None:
        cards.set_payer(connection, jane.id, payer)
        cards.begin(connection, at.clock.now(), at.setup.accounts.draw, jane.id, setup)

    at.store.write(begun)
    at.gateway.outside.enter_card(setup, number, GOOD)
    outcome = at.gateway.card_of(setup)
    assert isinstance(outcome, CardSaved)
    for _ in range(2):  # told by the browser that came back, and by an event
        at.store.write(lambda connection: wallet.told(connection, at.clock.now(), at.setup, outcome))
    return outcome


def test_a_card_that_is_replaced_is_forgotten_at_the_gateway_after_the_commit(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        old = token(at, jane)
        gives(at, jane)
        new = token(at, jane)
        assert new not in ("", old)
        assert is_known(at, jane, old)  # nothing is asked inside of the transaction
        at.settle()
        assert not is_known(at, jane, old) and is_known(at, jane, new)
        at.days(31)
        assert len(jane.paid) == 2  # the renewal was charged to the new one


def test_a_card_that_is_taken_away_is_forgotten_and_once_more_does_nothing(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        old = token(at, jane)
        store.write(lambda connection: wallet.remove(connection, at.clock.now(), at.setup, jane.id, actor=jane.actor))
        at.settle()
        assert token(at, jane) == "" and not is_known(at, jane, old)
        with pytest.raises(NotFound, match="card_unknown"):
            store.write(
                lambda connection: wallet.remove(connection, at.clock.now(), at.setup, jane.id, actor=jane.actor)
            )
        gives(at, jane)
        at.settle()
        assert is_known(at, jane, token(at, jane))


def test_a_declined_entry_may_still_give_a_card_and_one_that_was_replaced_may_not(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        first = gives(at, jane)

        def hears(outcome: SetupOutcome) -> str:
            store.write(lambda connection: wallet.told(connection, at.clock.now(), at.setup, outcome))
            return token(at, jane)

        def entered(connection: sa.Connection) -> None:
            cards.begin(connection, at.clock.now(), at.setup.accounts.draw, jane.id, "seti_two")

        store.write(entered)
        assert hears(CardDeclined("seti_two", "declined")) == first.card.token
        # In the same fields he typed in another, and the bank took that.
        second = CardSaved("seti_two", replace(first.card, token="pm_two"))
        assert hears(second) == "pm_two"
        for late in (second, CardDeclined("seti_two", "declined"), first):
            assert hears(late) == "pm_two"


def test_a_charge_that_was_ordered_before_goes_to_the_card_of_then(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        made = store.write(
            lambda connection: orders.order(
                connection, at.clock.now(), at.setup, jane.id, MONTHLY, "EUR", actor=jane.actor
            )
        )
        gives(at, jane)
        at.settle()
        assert jane.payment(made.key).state == "succeeded" and jane.state == "active"
