"""What stands beside the plan: what is used up counts down to nothing, and is never given back; what comes again."""

from __future__ import annotations

import datetime

import pytest
import sqlalchemy as sa

from control_plane.billing import add_ons, refunds, tables
from control_plane.billing import subscription as machine
from control_plane.errors import Conflict
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.billing.till import MONTHLY, Customer, Till, till
from tests.control_plane.entries import entry

DAY = datetime.date(2026, 11, 22)
MINUTES = "toll_free_minutes"


def after(days: int) -> datetime.date:
    return DAY + datetime.timedelta(days=days)


def talks(at: Till, jane: Customer, minutes: int) -> int:
    """So many minutes of what she bought are used; what is left."""
    return at.store.write(
        lambda connection: add_ons.use(connection, at.clock.now(), at.setup, jane.id, "toll_free_minutes", minutes)
    )


def a_customer(at: Till, packs: int = 1) -> Customer:
    jane = at.customer()
    jane.orders(MONTHLY)
    assert jane.buys(MINUTES, packs).amount == Money(1_200 * packs, "EUR")
    return jane


def test_minutes_are_used_up_from_the_oldest_on_and_never_beyond_what_there_is(store: Store) -> None:
    with till(store) as at:
        jane = a_customer(at, 2)
        at.days(3)
        jane.buys(MINUTES)
        assert jane.amounts == {MINUTES: 300}
        assert talks(at, jane, 230) == 70
        old, new = all_of(at, jane)
        assert (old.state, old.left, new.state, new.left) == ("over", 0, "active", 70)
        assert [row.payload for row in seen.events(store, jane.id) if row.kind == "add_on.used_up"] == [
            {"add_on": MINUTES}
        ]
        with entry("BIL-09.1"):
            with pytest.raises(Conflict, match="used_up"):
                talks(at, jane, 71)
            assert jane.amounts == {MINUTES: 70}
            below = tables.add_ons.update().where(tables.add_ons.c.id == new.id).values(left=-1)
            with pytest.raises(sa.exc.IntegrityError):
                store.write(lambda connection: connection.execute(below))
            assert talks(at, jane, 70) == 0 and jane.amounts == {}
            with pytest.raises(Conflict, match="used_up"):
                talks(at, jane, 1)
        for none in (0, -1):
            with pytest.raises(ValueError):
                talks(at, jane, none)
        at.until(after(31))
        assert [line.item for line in jane.paid[-1].draft.lines] == ["professional"]


def all_of(at: Till, jane: Customer) -> list[sa.Row[tuple[object, ...]]]:
    """Also those that are over, the oldest first."""
    rows = tables.add_ons.select().where(tables.add_ons.c.account == jane.id).order_by(tables.add_ons.c.bought_at)
    return at.store.read(lambda connection: list(connection.execute(rows)))


def test_minutes_do_not_pay_for_a_streamed_event(store: Store) -> None:
    with till(store) as at:
        jane = a_customer(at)
        jane.buys("streamed_event", 2)
        assert jane.amounts == {MINUTES: 100, "streamed_events": 2}
        assert talks(at, jane, 100) == 0 and jane.amounts == {"streamed_events": 2}


def test_minutes_are_not_given_back_neither_by_staff_nor_with_the_agreement(store: Store) -> None:
    with till(store) as at:
        jane = a_customer(at)
        invoice = jane.paid[-1]
        with entry("BIL-09.2"):
            with pytest.raises(Conflict, match="not_returnable"):
                store.write(
                    lambda connection: refunds.goodwill(
                        connection, at.clock.now(), at.setup, invoice.id, {0: Money(1, "EUR")}, "staff:desk"
                    )
                )
            jane.does(machine.Terminate(cause=False), "staff:desk")
            [note] = [one for one in jane.invoices if one.kind == "credit_note"]
            assert [line.item for line in note.draft.lines] == ["professional"]
            assert at.balances()["revenue:addon"] == 1_200 and jane.amounts == {}


def test_minutes_stay_as_they_are_through_a_freeze(store: Store) -> None:
    with till(store) as at:
        jane = a_customer(at)
        talks(at, jane, 30)
        jane.freezes(60)
        at.until(after(45))
        with entry("BIL-24.3"):
            assert jane.state == "frozen" and jane.amounts == {MINUTES: 70}
            at.until(after(91))
            assert jane.state == "active" and jane.amounts == {MINUTES: 70}
            assert [line.item for line in jane.paid[-1].draft.lines] == ["professional"]


def test_who_comes_back_from_expired_has_his_add_ons_again_and_who_was_closed_begins_without(store: Store) -> None:
    with till(store) as at:
        jane, ben = at.customer(), at.customer("ben")
        jane.orders(MONTHLY, autopay=False)
        ben.orders(MONTHLY)
        for one in (jane, ben):
            one.buys("storage", 2)
        ben.cancels()
        at.until(after(40))
        assert (jane.state, jane.amounts) == ("expired", {}) and (ben.status, ben.amounts) == ("closed", {})
        jane.orders(MONTHLY)
        ben.returns()
        with entry("BIL-37.5"):
            assert [(line.item, line.net.minor) for line in jane.paid[-1].draft.lines] == [
                ("professional", 4_900),
                ("storage", 1_000),
            ]
            assert jane.amounts == {"storage_bytes": 20 * 10**9}
            assert [line.item for line in ben.paid[-1].draft.lines] == ["professional"] and ben.amounts == {}
