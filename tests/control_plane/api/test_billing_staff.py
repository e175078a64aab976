"""The staff desk's money over HTTP: for a ticket, with its reason in the audit, and no more than there is."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import pytest

from control_plane.billing.desk import Ground
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.people import Person
from tests.control_plane.shop import MONTH, Buyer, Shop, shop

GIFT = {"amount": "10.00", "currency": "EUR", "ticket": "T-9", "reason": "a bad day"}


@pytest.fixture
def at(store: Store) -> Iterator[Shop]:
    with shop(store) as made:
        yield made


@pytest.fixture
def desk(at: Shop) -> Person:
    return at.desk()


@pytest.fixture
def jane(at: Shop) -> Buyer:
    """She has paid for a month."""
    found = at.buyer()
    found.gives()
    assert found.orders()["state"] == "succeeded"
    return found


def code(desk: Person, method: str, path: str, body: Any = None) -> tuple[int, str, str | None]:
    answer = desk.call(method, path, body)
    return answer.status_code, answer.json().get("code", ""), answer.json().get("field")


def test_an_agreement_ended_without_cause_gives_the_unused_days_back(at: Shop, desk: Person, jane: Buyer) -> None:
    at.days(14)
    account = jane.account
    body = {"cause": False, "ticket": "T-1"}
    for wrong in ({**body, "cause": True}, {**body, "ground": "payment_default"}):
        found = code(desk, "POST", f"/staff/accounts/{account}/termination", wrong)
        assert found == (422, "ground_missing", "ground")
    assert code(desk, "POST", f"/staff/accounts/{account}/termination", {**body, "ticket": " "})[1] == "ticket_missing"
    made = desk.call("POST", f"/staff/accounts/{account}/termination", body)
    assert made.json() == {"account": account, "state": "ended"}
    at.settle()
    assert at.gateway.outside.held() == {"EUR": Money(2_915, "EUR")}
    assert code(desk, "POST", f"/staff/accounts/{account}/termination", body)[:2] == (409, "not_subscribed")
    assert code(desk, "POST", "/staff/accounts/acc_aaaa/termination", body)[:2] == (404, "account_unknown")


@pytest.mark.parametrize("ground", typing.get_args(Ground))
def test_each_ground_of_a_termination_is_a_code_in_the_audit(at: Shop, desk: Person, jane: Buyer, ground: str) -> None:
    account = jane.account
    body = {"cause": True, "ground": ground, "ticket": "T-2"}
    assert desk.call("POST", f"/staff/accounts/{account}/termination", body).status_code == 200
    at.settle()
    with entry("BIL-40.1"):
        [row] = seen.audit(at.here.store, "agreement_terminated")
        assert (row["account"], row["ids"]) == (account, {"ground": ground, "ticket": "T-2"})
        assert row["actor"] == f"staff:{desk.me()['person']}"
    assert at.gateway.outside.held() == {"EUR": Money(5_831, "EUR")}


def test_goodwill_goes_back_to_the_card_line_by_line(at: Shop, desk: Person, jane: Buyer) -> None:
    [paid] = jane.told("GET", "/billing/invoices")["items"]
    path = f"/staff/invoices/{paid['id']}/refunds"
    body = {"lines": [{"line": 0, "amount": "10.00"}], "ticket": "T-3", "reason": "the sound was bad"}
    for lines, refusal in (
        ([], (422, "refund_malformed")),
        ([{"line": 5, "amount": "1.00"}], (422, "refund_malformed")),
        ([{"line": 0, "amount": "1.00"}, {"line": 0, "amount": "2.00"}], (422, "refund_malformed")),
        ([{"line": 0, "amount": "0"}], (422, "amount_not_positive")),
        ([{"line": 0, "amount": "-1.00"}], (422, "amount_not_positive")),
        ([{"line": 0, "amount": "1.001"}], (422, "amount_too_fine")),
        ([{"line": 0, "amount": "1,00"}], (422, "amount_unreadable")),
        ([{"line": 0, "amount": 1.0}], (422, "field_malformed")),
        ([{"line": -1, "amount": "1.00"}], (422, "field_malformed")),
        ([{"line": 0, "amount": "49.01"}], (409, "refund_max")),
    ):
        assert code(desk, "POST", path, {**body, "lines": lines})[:2] == refusal
    key = {"Idempotency-Key": "refund-of-ticket-T-3"}
    first, again = (desk.call("POST", path, body, headers=key) for _ in range(2))
    assert first.status_code == 201 and first.json() == again.json()
    assert first.json()["gross"] == "-11.90 EUR" and first.json()["number"] == "ST-2026-000002"
    at.settle()
    assert at.gateway.outside.held() == {"EUR": Money(5_831 - 1_190, "EUR")}
    [row] = seen.audit(at.here.store, "refund_decided")
    assert row["ids"]["ticket"] == "T-3" and row["personal"] == {"reason": "the sound was bad"}
    note = jane.told("GET", "/billing/invoices")["items"][1]
    assert (note["kind"], note["corrects"]) == ("credit_note", "ST-2026-000001")
    assert code(desk, "POST", f"/staff/invoices/{note['id']}/refunds", body)[:2] == (409, "not_paid")
    assert code(desk, "POST", "/staff/invoices/inv_aaaa_1/refunds", body)[:2] == (404, "invoice_unknown")


def test_a_closed_account_comes_back_by_the_desk_and_is_refused_by_it(at: Shop, desk: Person, jane: Buyer) -> None:
    account = jane.account
    path, wish = f"/staff/accounts/{account}", {**MONTH, "ticket": "T-5"}
    assert code(desk, "POST", f"{path}/return", wish)[:2] == (409, "not_ended")
    assert code(desk, "POST", f"{path}/return-refusal", {"ticket": "T-5"})[:2] == (409, "not_ended")
    body = {"cause": True, "ground": "false_registration", "ticket": "T-2"}
    assert desk.call("POST", f"{path}/termination", body).status_code == 200
    at.days(2)
    for wrong, refusal in (
        ({}, (409, "return_refused", None)),
        ({"plan": "gold", "overrule": True}, (422, "plan_unknown", "plan")),
        ({"currency": "JPY", "overrule": True}, (422, "plan_currency", "currency")),
        ({"ticket": " "}, (422, "ticket_missing", "ticket")),
    ):
        assert code(desk, "POST", f"{path}/return", {**wish, **wrong}) == refusal
    assert code(desk, "POST", f"{path}/reactivate", {"paid": True, "ticket": "T-5"})[:2] == (409, "return_refused")
    key = {"Idempotency-Key": "return-of-ticket-T-5"}
    first, again = (desk.call("POST", f"{path}/return", {**wish, "overrule": True}, headers=key) for _ in range(2))
    assert (first.status_code, first.json()["state"]) == (202, "processing") and first.json() == again.json()
    assert code(desk, "POST", f"{path}/return-refusal", {"ticket": "T-6"})[:2] == (409, "payment_running")
    at.settle()
    assert jane.person.signs_in().status_code == 201 and jane.standing["state"] == "active"
    assert desk.call("POST", f"{path}/termination", {"cause": False, "ticket": "T-7"}).status_code == 200
    refused = desk.call("POST", f"{path}/return-refusal", {"ticket": "T-8"})
    assert (refused.status_code, refused.json()) == (200, {"account": account, "state": "ended"})
    assert code(desk, "POST", f"{path}/return", wish)[:2] == (409, "return_refused")
    assert [row["ids"] for row in seen.audit(at.here.store, "return_refused")] == [{"ticket": "T-8"}]
    for verb in ("return", "return-refusal"):
        assert code(desk, "POST", f"/staff/accounts/acc_aaaa/{verb}", wish if verb == "return" else {"ticket": "T"})[
            :2
        ] == (404, "account_unknown")


def test_the_desk_is_told_how_far_the_operator_is_liable_on_a_day(at: Shop, desk: Person, jane: Buyer) -> None:
    ben = at.buyer("ben@example.com")
    path = f"/staff/accounts/{jane.account}/liability"
    assert desk.call("GET", path, params={"on": "2026-11-26"}).json() == {
        "basis": "paid",
        "start": "2025-11-26",
        "end": "2026-11-26",
        "amounts": ["58.31 EUR"],
    }
    free = desk.call("GET", f"/staff/accounts/{ben.account}/liability", params={"on": "2026-11-26"}).json()
    assert (free["basis"], free["amounts"]) == ("free", ["228.00 EUR", "948.00 PLN", "228.00 USD"])
    for on, wrong in (("2026-02-30", "day_unknown"), ("soon", "field_malformed"), ("0001-01-01", "field_malformed")):
        answer = desk.call("GET", path, params={"on": on})
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, wrong, "on")
    assert desk.call("GET", "/staff/accounts/acc_aaaa/liability", params={"on": "2026-11-26"}).status_code == 404


def test_a_gift_pays_the_next_invoice(at: Shop, desk: Person, jane: Buyer) -> None:
    path = f"/staff/accounts/{jane.account}/credits"
    for wrong, refusal in (
        ({"amount": "0"}, (422, "amount_not_positive", "amount")),
        ({"amount": "-5"}, (422, "amount_not_positive", "amount")),
        ({"amount": "5.001"}, (422, "amount_too_fine", "amount")),
        ({"amount": "5.5", "currency": "JPY"}, (422, "amount_too_fine", "amount")),
        ({"amount": 5.0}, (422, "field_malformed", "amount")),
        ({"amount": "9" * 13}, (422, "amount_too_large", "amount")),
        ({"amount": "1e2"}, (422, "amount_unreadable", "amount")),
        ({"currency": "XXX"}, (422, "currency_unknown", "currency")),
        ({"currency": ""}, (422, "currency_unknown", "currency")),
        ({"ticket": "no ticket"}, (422, "ticket_missing", "ticket")),
        ({"reason": ""}, (422, "field_malformed", "reason")),
    ):
        assert code(desk, "POST", path, {**GIFT, **wrong}) == refusal
    assert code(desk, "POST", "/staff/accounts/acc_aaaa/credits", GIFT)[:2] == (404, "account_unknown")
    assert desk.call("POST", path, GIFT).status_code == 201
    after = jane.standing
    assert after["credit"] == ["10.00 EUR"] and after["next_charge"]["payable"] == "48.31 EUR"
    [row] = seen.audit(at.here.store, "credit_given")
    assert row["ids"]["ticket"] == "T-9" and row["personal"] == {"reason": "a bad day"}


def test_a_discount_is_on_the_next_period(at: Shop, desk: Person, jane: Buyer) -> None:
    path = f"/staff/accounts/{jane.account}/discount"
    body = {"percent": 50, "until": "2027-01-31", "ticket": "T-4"}
    for wrong in ({"percent": 101}, {"percent": -1}, {"percent": 1.5}, {"until": "2027-02-30"}, {"until": "soon"}):
        assert code(desk, "PUT", path, {**body, **wrong})[0] == 422
    assert desk.call("PUT", path, body).status_code == 204
    assert jane.standing["next_charge"]["payable"] == "29.16 EUR"
    assert desk.call("PUT", path, {**body, "until": "2026-12-25"}).status_code == 204
    assert jane.standing["next_charge"]["payable"] == "58.31 EUR"
    assert desk.call("PUT", path, {"percent": 0, "ticket": "T-4"}).status_code == 204
    assert [row["ids"] for row in seen.audit(at.here.store, "discount_set")][-1] == {
        "discount": "none",
        "ticket": "T-4",
    }
    ben = at.buyer("ben@example.com")
    assert code(desk, "PUT", f"/staff/accounts/{ben.account}/discount", body)[:2] == (404, "payer_unknown")


def test_a_new_price_is_told_before_it_counts_and_can_be_taken_back(at: Shop, desk: Person, jane: Buyer) -> None:
    body = {"item": "professional", "cycle": "month", "amount": "59.00", "currency": "EUR"}
    for wrong, refusal in (
        ({"item": "gold"}, (422, "price_malformed")),
        ({"cycle": "once"}, (422, "price_malformed")),
        ({"amount": "-1"}, (422, "amount_negative")),
        ({"amount": 59.0}, (422, "field_malformed")),
        ({"amount": "59.001"}, (422, "amount_too_fine")),
        ({"currency": "ZZZ"}, (422, "currency_unknown")),
    ):
        assert code(desk, "POST", "/staff/prices", {**body, **wrong})[:2] == refusal
    id_ = desk.call("POST", "/staff/prices", body).json()["id"]
    at.days(1)
    assert jane.standing["next_charge"]["payable"] == "58.31 EUR"
    assert desk.call("POST", f"/staff/prices/{id_}/notice").status_code == 204
    at.days(30)
    assert (jane.standing["period_first"], jane.standing["next_charge"]["payable"]) == ("2026-12-25", "70.21 EUR")
    assert desk.call("POST", f"/staff/prices/{id_}/withdrawal").status_code == 204
    assert jane.standing["next_charge"]["payable"] == "58.31 EUR"
    for path, refusal in (("basic.month.EUR.1", (409, "price_shipped")), ("basic.month.EUR.9", (404, "price_unknown"))):
        assert code(desk, "POST", f"/staff/prices/{path}/notice")[:2] == refusal
    assert code(desk, "POST", "/staff/prices/x/withdrawal")[:2] == (422, "field_malformed")


def test_customers_do_none_of_this(at: Shop, jane: Buyer) -> None:
    account = jane.account
    for method, path in (
        ("POST", f"/staff/accounts/{account}/credits"),
        ("PUT", f"/staff/accounts/{account}/discount"),
        ("GET", f"/staff/accounts/{account}/disputes"),
        ("POST", "/staff/prices"),
    ):
        assert jane.refused(method, path, GIFT if method != "GET" else None) == (403, "staff_only")
    assert jane.standing["credit"] == []
