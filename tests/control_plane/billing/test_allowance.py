"""What an account may have: its plan's limits and its add-ons', from their payment on to their end."""

from __future__ import annotations

import datetime

from control_plane.billing import add_ons, allowance
from control_plane.billing import subscription as machine
from control_plane.billing.allowance import Allowance, of_plan
from control_plane.billing.catalogue import CATALOGUE, GB
from control_plane.gateway.fake.faults import Decline
from control_plane.storage.store import Store
from tests.control_plane.billing.till import MONTHLY, Customer, Till, till

DAY = datetime.date(2026, 11, 22)


def allowed(at: Till, jane: Customer) -> Allowance:
    return at.store.read(lambda connection: allowance.of_account(connection, at.setup.catalogue, jane.id))


def orders_to_rooms(at: Till, jane: Customer) -> list[str]:
    """Why rooms were told to look again, in order."""
    mine = [one.payload for one in at.carried if one.kind == "media" and one.account == jane.id]
    return [str(one["reason"]) for one in mine]


def test_a_plan_and_what_was_bought_beside_it_count_from_the_payment_on(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        assert allowed(at, jane) == of_plan(CATALOGUE, "")
        jane.orders(MONTHLY)
        assert allowed(at, jane) == of_plan(CATALOGUE, "professional")
        before = len(orders_to_rooms(at, jane))
        at.script.then("charge", Decline(), None)
        jane.buys("presenter", 3)
        assert allowed(at, jane) == of_plan(CATALOGUE, "professional")  # it was not paid
        jane.buys("presenter", 2)
        jane.buys("presenter")
        jane.buys("storage", 2)
        jane.buys("recording_storage")
        jane.buys("streaming")
        found = allowed(at, jane)
        assert (found.presenters, found.storage_bytes, found.recording_bytes) == (13, 70 * GB, 250 * GB)
        assert (found.seats, found.members) == (CATALOGUE.plans["professional"].seats, 25)
        assert orders_to_rooms(at, jane)[before:] == ["add_on"] * 5


def test_what_was_cancelled_counts_until_the_next_period_is_paid_and_rooms_are_told_of_its_end(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.buys("presenter", 2)
        jane.buys("presenter", once=True)
        (bought,) = store.read(lambda connection: add_ons.going_on(connection, jane.id))
        store.write(lambda connection: add_ons.cancel(connection, at.clock.now(), jane.id, bought.id))
        told = len(orders_to_rooms(at, jane))
        at.until(DAY + datetime.timedelta(days=29))
        assert allowed(at, jane).presenters == 13 and len(orders_to_rooms(at, jane)) == told
        at.until(DAY + datetime.timedelta(days=31))
        assert allowed(at, jane).presenters == 10 and orders_to_rooms(at, jane)[told:] == ["add_on"]


def test_nothing_that_was_bought_outlives_the_plan(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()
        jane.orders(MONTHLY)
        jane.buys("presenter", 2)
        jane.freezes(30)
        at.until(DAY + datetime.timedelta(days=40))
        assert jane.state == "frozen" and allowed(at, jane) == of_plan(CATALOGUE, "professional")  # nothing is paid
        assert jane.unfreezes().state == "succeeded" and allowed(at, jane).presenters == 12
        jane.does(machine.Terminate(cause=True), "staff:desk")
        assert allowed(at, jane) == of_plan(CATALOGUE, "")


def test_a_limit_is_noted_once_in_a_period_and_reached_is_near_as_well(store: Store) -> None:
    with till(store) as at:
        jane = at.customer()

        def noted(level: str, period: datetime.date = DAY, name: str = "meeting") -> bool:
            return store.write(
                lambda connection: allowance.notice(connection, at.clock.now(), jane.id, name, level, period)
            )

        assert noted("near") and not noted("near") and noted("reached") and not noted("reached")
        assert noted("reached", name="webinar") and not noted("near", name="webinar")
        assert noted("near", DAY + datetime.timedelta(days=30))
