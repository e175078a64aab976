"""Posting: balanced, once, never below zero where that is flagged; balances and replay tell the same."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Sequence
from fractions import Fraction

import pytest
import sqlalchemy as sa

from control_plane.errors import Conflict, ControlPlaneError
from control_plane.ledger import journal
from control_plane.ledger.chart import Account, Line, credit, debit
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane.ledger.postings import (
    BANK,
    NOW,
    balances,
    credit_of,
    euro,
    held,
    journal_of,
    post,
    rows,
    taken,
    topped_up,
)

DAY = datetime.timedelta(days=1)


def test_a_paid_invoice_is_worked_off_by_the_day_and_leaves_nothing_deferred(store: Store) -> None:
    price, vat, owner = euro(1000), euro(230), "acc_a"
    paid = [
        debit("gateway_clearing", price + vat),
        credit("deferred:subscription", price, owner),
        credit("vat", vat, "PL"),
    ]
    post(store, "invoice:1", paid)
    for day in range(30):
        earned = price.step(day, day + 1, 30)
        lines = [debit("deferred:subscription", earned, owner), credit("revenue:plan", earned)]
        post(store, f"used:{day}", lines, at=NOW + day * DAY)
    deferred, revenue = Account("deferred:subscription", "EUR", owner), Account("revenue:plan", "EUR")
    assert (held(store, deferred), held(store, revenue)) == (0, 1000)
    # On the way, each day had its rounded running total.
    assert held(store, revenue, NOW + 10 * DAY) == 333
    assert held(store, Account("gateway_clearing", "EUR")) == 1230
    assert held(store, Account("vat", "EUR", "PL")) == 230


def test_a_commission_in_another_currency_is_one_transaction_balanced_in_each(store: Store) -> None:
    earned = Money(300, "PLN")
    owed = earned.converted(Fraction("0.2531"), "USD")
    lines = [
        debit("commission_cost", earned),
        credit("fx_clearing", earned),
        debit("fx_clearing", owed),
        credit("affiliate:payable", owed, "aff_a"),
    ]
    post(store, "commission:1", lines)
    assert balances(store) == {line.account: line.amount for line in lines}
    assert held(store, Account("affiliate:payable", "USD", "aff_a")) == 76


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [debit("bank", euro(5))],
        [debit("bank", euro(5)), credit("revenue:plan", euro(4))],
        [debit("bank", euro(5)), credit("revenue:plan", Money(5, "USD"))],
        [debit("bank", euro(5)), credit("bank", euro(5)), debit("bank", Money(1, "JPY"))],
    ],
)
def test_what_is_not_balanced_in_each_currency_is_refused(store: Store, lines: list[Line]) -> None:
    before = rows(store)
    with pytest.raises(journal.Unbalanced, match="key-1"):
        post(store, "key-1", lines)
    assert rows(store) == before


def test_the_same_again_changes_nothing(store: Store) -> None:
    first = post(store, "key-1", topped_up(500), now=NOW)
    before = rows(store)
    again = post(store, "key-1", list(reversed(topped_up(500))), now=NOW + DAY)
    assert again == first
    assert rows(store) == before
    assert post(store, "key-2", topped_up(500)) != first


def test_a_key_stands_for_one_transaction_only(store: Store) -> None:
    post(store, "key-1", topped_up(500))
    before = rows(store)
    others: list[tuple[Sequence[Line], datetime.datetime, str, str]] = [
        (topped_up(501), NOW, "test", "inv_1"),
        (topped_up(500, "acc_b"), NOW, "test", "inv_1"),
        ([*topped_up(500), *topped_up(500)], NOW, "test", "inv_1"),
        (topped_up(500), NOW + DAY, "test", "inv_1"),
        (topped_up(500), NOW, "other", "inv_1"),
        (topped_up(500), NOW, "test", "inv_2"),
    ]
    for lines, at, reason, ref in others:
        with pytest.raises(Conflict) as conflict:
            post(store, "key-1", lines, at=at, reason=reason, ref=ref)
        assert conflict.value.code == "key_used"
    assert rows(store) == before


def test_credit_is_used_to_the_last_cent_and_not_further(store: Store) -> None:
    post(store, "top-up", topped_up(500))
    with pytest.raises(Conflict) as conflict:
        post(store, "too-much", taken(501))
    assert conflict.value.code == "below_zero"
    assert held(store, credit_of("acc_a")) == 500
    post(store, "all", taken(500))
    assert held(store, credit_of("acc_a")) == 0
    with pytest.raises(Conflict):
        post(store, "one-more", taken(1))
    # The credit of somebody else does not help.
    post(store, "other", topped_up(500, "acc_b"))
    with pytest.raises(Conflict):
        post(store, "one-more", taken(1))
    # And what may, may: an affiliate whose sale is refunded after the payout.
    post(store, "refund", [debit("affiliate:payable", euro(25), "aff_a"), credit("commission_cost", euro(25))])
    assert held(store, Account("affiliate:payable", "EUR", "aff_a")) == -25


def test_within_one_transaction_only_its_end_counts(store: Store) -> None:
    post(store, "through", [*taken(300), *topped_up(300)])
    assert held(store, credit_of("acc_a")) == 0


def test_after_a_refusal_the_use_case_may_go_on_and_nothing_of_it_stays(store: Store) -> None:
    before = rows(store)

    def tries_then_posts(connection: sa.Connection) -> None:
        for lines in (taken(5), [debit("bank", euro(5))]):
            with pytest.raises((Conflict, journal.Unbalanced)):
                journal.post(connection, NOW, idem_key="key-1", effective_at=NOW, reason="test", ref="", lines=lines)
        assert connection.exec_driver_sql("SELECT count(*) FROM ledger_account").scalar() == 0

    store.write(tries_then_posts)
    assert rows(store) == before
    post(store, "key-1", topped_up(5))
    assert held(store, BANK) == 5


def test_a_transaction_comes_back_as_it_was_posted(store: Store) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    at = datetime.datetime(2026, 3, 29, 1, 59, 59, 999_999, zone)
    lines = (*topped_up(3), *topped_up(4, "acc_b"), *topped_up(3))
    number = post(store, "key-1", lines, now=NOW + DAY, at=at, reason="top_up", ref="pay_1")
    (posted,) = journal_of(store)
    assert posted == journal.Transaction(number, "key-1", at, NOW + DAY, "top_up", "pay_1", lines)
    assert [row[1] for row in rows(store)["journal_line"]] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(AttributeError):
        posted.reason = "other"  # type: ignore[misc]


def test_an_instant_without_a_zone_is_refused(store: Store) -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        post(store, "key-1", topped_up(1), at=naive)
    with pytest.raises((ValueError, sa.exc.StatementError), match="zone"):
        post(store, "key-1", topped_up(1), now=naive)
    assert journal_of(store) == []


def test_a_balance_until_an_instant_leaves_out_what_is_effective_from_then_on(store: Store) -> None:
    for day in range(3):
        post(store, f"day-{day}", topped_up(10**day), at=NOW + day * DAY)
    assert [held(store, credit_of("acc_a"), NOW + day * DAY) for day in range(4)] == [0, 1, 11, 111]
    assert held(store, credit_of("acc_a")) == 111
    until = store.read(lambda connection: journal.balances(connection, NOW + 2 * DAY))
    assert until == {BANK: 11, credit_of("acc_a"): -11}


def test_nothing_was_posted_to_an_account_that_is_not_there(store: Store) -> None:
    post(store, "key-1", topped_up(5, "acc_a"))
    post(store, "key-2", [debit("bank", Money(7, "USD")), credit("customer_credit", Money(7, "USD"), "acc_a")])
    assert held(store, credit_of("acc_b")) == 0
    assert held(store, credit_of("acc_a")) == 5
    assert held(store, Account("customer_credit", "USD", "acc_a")) == 7


def test_a_long_journal_is_replayed_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE", 3)
    numbers = [post(store, f"key-{number}", topped_up(number + 1)) for number in range(8)]
    assert [transaction.id for transaction in journal_of(store)] == numbers
    assert journal.replay(journal_of(store)) == balances(store) == {BANK: 36, credit_of("acc_a"): -36}
    later = store.read(lambda connection: list(journal.transactions(connection, numbers[5])))
    assert [transaction.id for transaction in later] == numbers[6:]


def test_a_line_is_as_large_as_the_database_takes_and_sums_stay_exact(store: Store) -> None:
    for number in range(12):
        post(store, f"key-{number}", topped_up(10**15))
    assert held(store, BANK) == 12 * 10**15
    with pytest.raises(sa.exc.IntegrityError, match="amount_size"):
        post(store, "too-large", topped_up(10**15 + 1))


def at_once(store: Store, keys: Sequence[str], lines: list[Line]) -> list[object]:
    """Each key from a thread of its own; what each of them came to."""
    results: list[object] = []
    together = threading.Barrier(len(keys))

    def one(key: str) -> None:
        together.wait()
        try:
            results.append(post(store, key, lines))
        except ControlPlaneError as error:
            results.append(error.code)

    threads = [threading.Thread(target=one, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_those_who_take_the_last_credit_at_once_one_gets_it(store: Store) -> None:
    post(store, "top-up", topped_up(500))
    results = at_once(store, [f"take-{number}" for number in range(6)], taken(500))
    assert sorted(type(result) is int for result in results) == [False] * 5 + [True]
    assert {result for result in results if type(result) is not int} == {"below_zero"}
    assert held(store, credit_of("acc_a")) == 0


def test_the_same_posted_at_once_is_posted_once(store: Store) -> None:
    results = at_once(store, ["key-1"] * 6, topped_up(500))
    assert len(set(results)) == 1 and len(journal_of(store)) == 1
    assert results == [journal_of(store)[0].id] * 6


def test_accounts_opened_at_once_are_one(store: Store) -> None:
    results = at_once(store, [f"key-{number}" for number in range(6)], topped_up(500))
    assert len(set(results)) == 6
    assert balances(store) == {BANK: 3000, credit_of("acc_a"): -3000}
    assert len(rows(store)["ledger_account"]) == 2
