"""A dearer price: who has the earlier one is told, once, in batches; his 30 days run from then (BIL-05)."""

from __future__ import annotations

import datetime

import pytest
import sqlalchemy as sa

from control_plane.billing import price_notices, prices
from control_plane.billing import subscription as machine
from control_plane.billing.catalogue import Price, PriceCycle
from control_plane.legal import notices
from control_plane.legal.notices import Notice
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.billing.till import MONTHLY, YEARLY, Customer, Till, till
from tests.control_plane.entries import entry

DAY = datetime.date(2026, 11, 22)
BASIC = machine.Terms("basic", "month")


def after(days: int) -> datetime.date:
    return DAY + datetime.timedelta(days=days)


def publishes(
    at: Till, minor: int, item: str = "professional", cycle: PriceCycle = "month", *, notice: bool = True
) -> Price:
    def act(connection: sa.Connection) -> Price:
        now, amount = at.clock.now(), Money(minor, "EUR")
        made = prices.publish(connection, now, at.setup, item=item, cycle=cycle, amount=amount, actor="staff:a")
        if notice:
            prices.notify(connection, now, at.setup, made.id, "staff:a")
        return made

    return at.store.write(act)


def told(at: Till, jane: Customer) -> list[Notice]:
    return at.store.read(lambda connection: notices.of_account(connection, jane.id))


def test_everybody_who_has_the_earlier_price_is_told_once_and_nobody_else(store: Store) -> None:
    with till(store) as at:
        names = [f"jane{number}" for number in range(price_notices.BATCH + 3)]
        have = [at.customer(name) for name in names]
        for one in have:
            one.orders(MONTHLY)
        others = [at.customer("yearly"), at.customer("basic"), at.customer("euros_not"), at.customer("trial")]
        for one, terms, currency in zip(others, (YEARLY, BASIC, MONTHLY), ("EUR", "EUR", "USD"), strict=False):
            one.orders(terms, currency)
        price = publishes(at, 5_900)
        assert not have[0].mails("legal_fees")  # not in the transaction of the notice
        for _ in range(2):
            at.store.write(lambda connection: prices.notify(connection, at.clock.now(), at.setup, price.id, "staff:a"))
            at.settle()
        assert [len(one.mails("legal_fees")) for one in have] == [1] * len(have)
        assert not any(one.mails("legal_fees") for one in others)
        (mail,) = have[0].mails("legal_fees")
        assert (mail.values["item"], mail.values["was"], mail.values["will"]) == (
            "professional", "49.00 EUR", "59.00 EUR",
        )  # fmt: skip
        assert mail.values["deadline"].startswith("2026-12-22T09:30")
        assert seen.jobs(store, "billing.price_notice") == []


def test_who_paid_two_versions_is_told_of_the_newer_one_also_where_a_batch_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price_notices, "BATCH", 1)
    with till(store) as at:
        jane, ben = at.customer("jane"), at.customer("ben")
        for one in (jane, ben):
            one.orders(MONTHLY)
            one.buys("storage")
        publishes(at, 600, "storage", notice=False)
        for one in (jane, ben):
            one.buys("storage")
        at.days(1)
        publishes(at, 700, "storage")
        at.settle()
        for one in (jane, ben):
            assert [mail.values["was"] for mail in one.mails("legal_fees")] == ["6.00 EUR"]


def test_who_buys_after_the_price_is_out_pays_it_and_is_not_told(store: Store) -> None:
    with till(store) as at:
        ann = at.customer("ann")
        ann.orders(MONTHLY)
        at.days(1)
        price = publishes(at, 5_900, notice=False)
        ben = at.customer("ben")
        ben.orders(MONTHLY)
        at.store.write(lambda connection: prices.notify(connection, at.clock.now(), at.setup, price.id, "staff:a"))
        at.settle()
        assert told(at, ann) and not told(at, ben)
        assert [one.payable.minor for one in ben.paid] == [5_900]
        at.until(after(91))
        assert [one.payable.minor for one in ann.paid] == [4_900, 4_900, 5_900, 5_900]


def test_whose_mail_comes_back_keeps_his_price(store: Store) -> None:
    with till(store) as at:
        ann, ben = at.customer("ann"), at.customer("ben")
        for one in (ann, ben):
            one.orders(MONTHLY)
        at.days(10)
        price = publishes(at, 5_900)
        at.settle()
        (notice,) = told(at, ben)
        assert notice.version == price.id and notice.mail_key
        key = notice.mail_key
        store.write(lambda connection: notices.bounced(connection, at.clock.now(), key))
        at.until(after(61))
        with entry("BIL-05.2"):
            assert [one.payable.minor for one in ann.paid] == [4_900, 4_900, 5_900]
            assert [one.payable.minor for one in ben.paid] == [4_900, 4_900, 4_900]


def test_the_price_of_an_add_on_is_told_to_who_has_it(store: Store) -> None:
    with till(store) as at:
        ann, ben = at.customer("ann"), at.customer("ben")
        for one in (ann, ben):
            one.orders(MONTHLY)
        for _ in range(2):
            ann.buys("storage")
        publishes(at, 800, "storage")
        at.settle()
        assert len(ann.mails("legal_fees")) == 1 and not ben.mails("legal_fees")
        at.until(after(61))
        assert [one.payable.minor for one in ann.paid if len(one.draft.lines) == 3] == [5_900, 6_500]


def test_a_change_that_is_taken_back_or_costs_less_is_told_to_nobody(store: Store) -> None:
    with till(store) as at:
        ann = at.customer("ann")
        ann.orders(MONTHLY)
        price = publishes(at, 5_900)
        at.store.write(lambda connection: prices.withdraw(connection, at.clock.now(), at.setup, price.id, "staff:a"))
        at.settle()
        at.days(1)
        publishes(at, 3_900)
        at.settle()
        assert told(at, ann) == [] and seen.jobs(store, "billing.price_notice") == []
        at.until(after(31))
        with entry("BIL-05.6"):
            assert [one.payable.minor for one in ann.paid] == [4_900, 3_900]
