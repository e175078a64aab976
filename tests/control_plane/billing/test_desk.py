"""What staff decide of who wants to come back; refused, he is charged nothing and his time runs out (BIL-36 to 38)."""

from __future__ import annotations

import datetime

import pytest

from control_plane.accounts import account as accounts
from control_plane.accounts import lifecycle
from control_plane.billing import desk
from control_plane.billing import subscription as machine
from control_plane.billing.desk import Ground
from control_plane.errors import Conflict, NotFound
from control_plane.gateway.fake.faults import Slow
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.billing.till import DECLINED, MONTHLY, PAYS, START, Customer, Till, till
from tests.control_plane.entries import entry

# So that the first period of the vectors ends on 2026-12-07.
EARLY = START - datetime.timedelta(days=15)
MINUTE = datetime.timedelta(minutes=1)


def midnight(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f"{text}T00:00:00+00:00")


def a_closed_one(at: Till, name: str = "jane") -> Customer:
    """She cancelled, and her account was closed with the end of her days, on 2026-12-07."""
    jane = at.customer(name)
    jane.orders(MONTHLY)
    jane.cancels()
    return jane


def refuses(at: Till, jane: Customer) -> None:
    at.store.write(
        lambda connection: desk.refuse_return(
            connection, at.clock.now(), at.setup, jane.id, ticket="T-7", actor="staff:per_a"
        )
    )


def ends(at: Till, jane: Customer, ground: Ground | None) -> None:
    at.store.write(
        lambda connection: desk.terminate(
            connection, at.clock.now(), at.setup, jane.id, ground, ticket="T-8", actor="staff:per_a"
        )
    )


def test_until_the_last_minute_of_day_30_or_90_one_comes_back_and_then_never(store: Store) -> None:
    with till(store, EARLY) as at:
        jane, ben = a_closed_one(at), a_closed_one(at, "ben")
        ida, eve = at.customer("ida"), at.customer("eve")
        for one in (ida, eve):
            one.orders(MONTHLY, autopay=False)
        at.until(midnight("2027-01-06") - MINUTE)
        with entry("BIL-36.1"):
            assert jane.status == ben.status == "closed"
            assert jane.returns().state == "succeeded" and (jane.status, jane.state) == ("open", "active")
            at.until(midnight("2027-01-06") + MINUTE)
            assert ben.status == "deleted"
            with pytest.raises(NotFound):
                ben.returns()
            at.until(midnight("2027-03-07") - MINUTE)
            assert ida.orders(MONTHLY).state == "succeeded" and ida.state == "active"
            at.until(midnight("2027-03-07") + MINUTE)
            assert (eve.state, eve.status) == ("ended", "deleted")


def test_who_is_refused_is_charged_nothing_and_deleted_when_his_time_is_over(store: Store) -> None:
    with till(store, EARLY) as at:
        jane = a_closed_one(at)
        at.until(midnight("2026-12-20"))
        before = at.balances()
        refuses(at, jane)
        with entry("BIL-38.2"):
            [row] = seen.audit(store, "return_refused")
            assert (row["account"], row["actor"], row["ids"]) == (jane.id, "staff:per_a", {"ticket": "T-7"})
        with entry("BIL-38.3"):
            with pytest.raises(Conflict, match="return_refused"):
                jane.returns()
            assert len(jane.invoices) == 1 and at.balances() == before
            assert at.gateway.outside.held() == {"EUR": Money(4_900, "EUR")}
        with pytest.raises(Conflict, match="return_refused"):  # nor by the other door
            store.write(
                lambda connection: lifecycle.step(
                    connection,
                    at.clock.now(),
                    at.setup.accounts,
                    jane.id,
                    accounts.Reactivate(approved=True, paid=True),
                    actor="staff:per_a",
                )
            )
        with entry("BIL-38.1"):
            at.until(midnight("2027-01-05"))
            assert jane.status == "closed"
            at.until(midnight("2027-01-06") + MINUTE)
            assert jane.status == "deleted" and at.balances() == before


def test_who_is_being_charged_is_refused_when_that_has_ended_and_not_before(store: Store) -> None:
    with till(store, EARLY) as at:
        jane = a_closed_one(at)
        at.until(midnight("2026-12-20"))
        with pytest.raises(Conflict, match="not_ended"):
            refuses(at, at.customer("ben"))
        at.script.then("charge", Slow(datetime.timedelta(hours=1)))
        jane.returns()
        with pytest.raises(Conflict, match="payment_running"):
            refuses(at, jane)
        at.days(1)
        assert (jane.status, jane.state) == ("open", "active")


def test_after_a_termination_for_cause_coming_back_is_refused_unless_staff_overrules_that(store: Store) -> None:
    with till(store, EARLY) as at:
        jane, ben = at.customer(), at.customer("ben")
        for one in (jane, ben):
            one.orders(MONTHLY)
        ends(at, jane, "prohibited_practice")
        ends(at, ben, None)
        at.days(2)
        with entry("BIL-40.4"):
            with pytest.raises(Conflict, match="return_refused"):
                jane.returns()
            assert jane.status == "closed" and len(jane.invoices) == 1
            assert ben.returns().state == "succeeded" and ben.status == "open", "without a cause it is not"
        assert jane.returns(overrules=True).state == "succeeded" and jane.status == "open"
        assert [row["ids"]["overrules"] for row in seen.audit(store, "return_approved")] == ["no", "yes"]
        ends(at, jane, None)
        assert jane.returns().state == "succeeded", "what was overruled is over"


def test_one_who_came_back_renews_as_everybody_does_although_he_had_cancelled(store: Store) -> None:
    with till(store, EARLY) as at:
        jane = a_closed_one(at)
        at.until(midnight("2026-12-20"))
        jane.returns()
        jane.does(machine.SetAutopay(True))
        at.days(30)
        assert (jane.state, len(jane.paid)) == ("active", 3) and jane.one.cancel_requested_at is None


def test_what_cannot_come_back_is_refused_before_anything_is_charged(store: Store) -> None:
    with till(store, EARLY) as at:
        jane, ben = a_closed_one(at), at.customer("ben", card=None)
        ben.cancels()
        at.until(midnight("2026-12-20"))
        assert ben.status == "closed"
        with pytest.raises(Conflict, match="country_missing"):
            ben.returns()
        jane.gives(DECLINED)
        assert jane.returns().state == "failed" and jane.status == "closed"
        jane.gives(PAYS)
        at.clock.advance_to(midnight("2027-01-06") + MINUTE)  # nobody has deleted it yet
        with pytest.raises(Conflict, match="window_over"):
            jane.returns()
        at.settle()
        assert jane.status == "deleted" and len(jane.paid) == 1
