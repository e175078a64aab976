"""The chart of accounts: sides, owners, lines; and that the database judges by the same chart."""

from __future__ import annotations

from typing import Any

import pytest

from control_plane.ledger.chart import CREDIT, DEBIT, KINDS, Account, Line, credit, debit
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane.ledger.postings import euro, rows


def test_the_database_judges_by_the_chart(store: Store) -> None:
    stored = {(name, side, bool(may)) for name, side, may in rows(store)["ledger_kind"]}
    assert stored == {(kind.name, kind.side, kind.may_go_negative) for kind in KINDS.values()}
    assert all(name == kind.name for name, kind in KINDS.items())


def test_the_chart_is_the_one_that_was_decided() -> None:
    assert {name for name, kind in KINDS.items() if kind.side == DEBIT} == {
        *("gateway_clearing", "bank", "dispute_pending", "receivable:customer", "receivable:affiliate"),
        *("fx_clearing", "commission_cost", "gateway_fees", "dispute_losses", "fx_difference", "promotions"),
    }
    assert {name for name, kind in KINDS.items() if kind.side == CREDIT} == {
        *("customer_credit", "deferred:subscription", "vat", "affiliate:payable", "payout_in_transit"),
        *("revenue:plan", "revenue:addon", "forfeits", "breakage"),
    }
    never_below = {name for name, kind in KINDS.items() if not kind.may_go_negative}
    assert never_below == {"customer_credit", "deferred:subscription"}
    assert {name: kind.owner for name, kind in KINDS.items() if kind.owner} == {
        "receivable:customer": "account",
        "receivable:affiliate": "affiliate",
        "customer_credit": "account",
        "deferred:subscription": "account",
        "vat": "country",
        "affiliate:payable": "affiliate",
        "payout_in_transit": "affiliate",
    }


def test_an_account_has_the_owner_that_its_kind_asks_for() -> None:
    with pytest.raises(ValueError, match="customer_credit has one account as owner"):
        Account("customer_credit", "EUR")
    with pytest.raises(ValueError, match="bank has no owner"):
        Account("bank", "EUR", "acc_a")
    with pytest.raises(ValueError, match="no such account in the chart: 'banc'"):
        Account("banc", "EUR")


def test_debits_are_above_zero_and_credits_below() -> None:
    assert debit("bank", euro(5)) == Line(Account("bank", "EUR"), 5)
    assert credit("vat", Money(5, "PLN"), "PL") == Line(Account("vat", "PLN", "PL"), -5)
    assert debit("vat", euro(5), "PL") == credit("vat", euro(-5), "PL")


def test_what_an_account_holds_is_counted_on_its_own_side() -> None:
    assert Account("bank", "EUR").held(5) == euro(5)
    assert Account("customer_credit", "EUR", "acc_a").held(-5) == euro(5)


@pytest.mark.parametrize("amount", [1.0, 0.0, True, "1", None])
def test_a_line_is_a_whole_number(amount: Any) -> None:
    with pytest.raises(TypeError):
        Line(Account("bank", "EUR"), amount)


def test_what_is_in_the_chart_cannot_be_changed() -> None:
    line, kind = debit("bank", euro(5)), KINDS["bank"]
    for thing, name, value in ((line, "amount", 6), (line.account, "currency", "USD"), (kind, "side", CREDIT)):
        with pytest.raises(AttributeError):
            setattr(thing, name, value)


def test_a_line_says_something_in_a_currency_that_exists() -> None:
    with pytest.raises(ValueError, match="a line of 0"):
        Line(Account("bank", "EUR"), 0)
    with pytest.raises(ValueError, match="ISO 4217"):
        Line(Account("bank", "XXX"), 1)
