"""Paying over HTTP: what is shown is what is charged, what is not known yet is asked for, and what is wrong is told."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterator
from typing import Any

import pypdfium2
import pytest

from control_plane.billing import invoices
from control_plane.billing.catalogue import CATALOGUE
from control_plane.billing.freeze import CardMonth
from control_plane.gateway.fake.faults import Authenticate
from control_plane.legal import notices, texts
from control_plane.legal.texts import Edition
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.people import TEXTS
from tests.control_plane.product import product
from tests.control_plane.shop import MONTH, Buyer, Shop, shop


@pytest.fixture
def at(store: Store) -> Iterator[Shop]:
    with shop(store) as made:
        yield made


def test_where_nobody_is_charged_there_are_no_such_routes(store: Store) -> None:
    with product(store) as here:
        assert here.customer("jane@example.com").call("GET", "/billing").status_code == 404
        assert here.stranger().call("POST", "/gateway/events", {}).status_code == 404


def test_the_public_price_list_is_what_newcomers_are_charged(at: Shop) -> None:
    told = at.here.stranger().call("GET", "/price-list").json()
    assert [plan["name"] for plan in told["plans"]] == ["basic", "professional", "business"]
    rows = {row["id"]: row["net"] for one in (*told["plans"], *told["add_ons"]) for row in one["prices"]}
    assert len(rows) == len(CATALOGUE.prices)
    jane = at.buyer()
    jane.gives(country="US")
    with entry("BIL-02.5"):
        for id_, net in rows.items():
            row = CATALOGUE.price(id_)
            if row.item in CATALOGUE.plans:
                terms = {"plan": row.item, "cycle": row.cycle, "currency": row.amount.currency}
                assert jane.quote(of="plan", **terms)["payable"] == net == str(row.amount)
        assert jane.orders()["amount"] == rows["professional.month.EUR.1"] == "49.00 EUR"
    assert at.gateway.outside.held() == {"EUR": Money(4_900, "EUR")}
    polish = at.here.stranger().call("GET", "/price-list", params={"language": "pl"}).json()
    assert polish["add_ons"][0]["name"] == "storage" and polish["plans"] == told["plans"]
    unknown = at.here.stranger().call("GET", "/price-list", params={"language": "xx"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "language_unknown")


def test_from_trial_to_a_paid_plan_with_an_invoice_that_can_be_read(at: Shop) -> None:
    jane = at.buyer()
    before = jane.standing
    assert (before["state"], before["plan"], before["card"], before["next_charge"]) == ("trial", "", None, None)
    assert jane.gives() == "saved"
    quote = jane.quote(of="plan", **MONTH)
    assert (quote["net"], quote["tax"], quote["payable"]) == ("49.00 EUR", "9.31 EUR", "58.31 EUR")
    assert quote["lines"][0]["words"] == "Plan Professional, monthly" and quote["taxes"][0]["tax"] == "9.31 EUR"
    made = jane.told("POST", "/billing/orders", {**MONTH, "seen": quote["payable"], "consent": True})
    assert made["state"] == "processing" and made["amount"] == "58.31 EUR"
    with entry("BIL-01.1"):
        assert jane.standing["state"] == "trial" and jane.standing["payment"] == made
        wish = {"add_on": "storage", "seen": "5.95 EUR"}
        assert jane.refused("POST", "/billing/add-ons", wish) == (409, "plan_state")
    assert jane.after(made)["state"] == "succeeded"
    after = jane.standing
    assert after["state"] == "active" and {name: after[name] for name in MONTH} == MONTH
    assert (after["period_first"], after["period_end"], after["autopay"]) == ("2026-11-25", "2026-12-25", True)
    assert after["card"] == {"brand": "fake", "last4": "4242", "expires": "12/2030"}
    assert after["next_charge"] == {"on": "2026-12-25", "payable": "58.31 EUR", "automatic": True}
    assert after["payment"] is None
    [row] = jane.told("GET", "/billing/invoices")["items"]
    assert (row["kind"], row["state"], row["number"], row["gross"]) == (
        "invoice",
        "paid",
        "ST-2026-000001",
        "58.31 EUR",
    )
    whole = jane.told("GET", f"/billing/invoices/{row['id']}")
    assert whole["buyer"]["name"] == "Jane's Lessons" and whole["lines"][0]["net"] == "49.00 EUR"
    with entry("ACC-17.1"):
        pdf = jane.call("GET", f"/billing/invoices/{row['id']}/pdf")
        assert pdf.headers["content-type"] == "application/pdf"
        assert pdf.headers["content-disposition"] == 'attachment; filename="invoice-ST-2026-000001.pdf"'
        text = pypdfium2.PdfDocument(pdf.content)[0].get_textpage().get_text_range()
        assert "ST-2026-000001" in text and "58.31" in text
    table = list(csv.DictReader(io.StringIO(jane.call("GET", "/billing/invoices.csv").text)))
    assert [(one["number"], one["gross"]) for one in table] == [("ST-2026-000001", "58.31")]


def test_a_price_that_changed_between_page_and_click_is_not_charged(at: Shop) -> None:
    jane, desk = at.buyer(), at.desk()
    jane.gives()
    seen_sum = jane.quote(of="plan", **MONTH)["payable"]
    body = {"item": "professional", "cycle": "month", "amount": "59.00", "currency": "EUR"}
    made = desk.call("POST", "/staff/prices", body)
    assert (made.status_code, made.json()) == (201, {"id": "professional.month.EUR.2"})
    assert jane.refused("POST", "/billing/orders", {**MONTH, "seen": seen_sum}) == (409, "price_changed")
    assert jane.standing["payment"] is None and jane.told("GET", "/billing/invoices")["items"] == []
    assert jane.orders()["amount"] == "70.21 EUR"


def test_the_same_order_under_one_key_is_one_order(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    body = {**MONTH, "seen": "58.31 EUR"}
    key = {"Idempotency-Key": "order-of-jane-0001"}
    first, again = (jane.told("POST", "/billing/orders", body, headers=key) for _ in range(2))
    assert first == again
    assert jane.refused("POST", "/billing/orders", body) == (409, "payment_running")
    assert jane.after(first)["state"] == "succeeded"
    assert len(jane.told("GET", "/billing/invoices")["items"]) == 1


def test_add_ons_are_bought_for_the_days_left_and_end_with_them(at: Shop) -> None:
    jane = at.buyer()
    with entry("BIL-10.2"):
        free = {"add_on": "storage", "quantity": 1, "seen": "5.00 EUR"}
        assert jane.refused("POST", "/billing/add-ons", free) == (409, "plan_state")
        assert jane.refused("POST", "/billing/quotes", {"of": "add_on", "add_on": "storage"}) == (409, "plan_state")
    jane.gives()
    jane.orders()
    at.days(10)
    quote = jane.quote(of="add_on", add_on="storage", quantity=3)
    assert (quote["net"], quote["payable"]) == ("10.00 EUR", "11.90 EUR")
    assert quote["lines"][0]["detail"].endswith("20 of 30 days")
    wish = {"add_on": "storage", "quantity": 3, "seen": "11.90 EUR"}
    assert jane.after(jane.told("POST", "/billing/add-ons", wish))["state"] == "succeeded"
    [has] = jane.standing["add_ons"]
    assert (has["add_on"], has["quantity"], has["paid_until"], has["renews"]) == ("storage", 3, "2026-12-25", True)
    assert jane.standing["next_charge"]["payable"] == "76.16 EUR"
    ben = at.buyer("ben@example.com")
    assert ben.refused("DELETE", f"/billing/add-ons/{has['id']}") == (404, "add_on_unknown")
    jane.told("DELETE", f"/billing/add-ons/{has['id']}")
    assert jane.standing["add_ons"][0]["renews"] is False
    assert jane.standing["next_charge"]["payable"] == "58.31 EUR"
    at.days(20)
    assert jane.standing["add_ons"] == [] and at.gateway.outside.held() == {"EUR": Money(2 * 5_831 + 1_190, "EUR")}


@pytest.mark.parametrize(
    ("quantity", "code"),
    [(0, "field_malformed"), (-1, "field_malformed"), (1.5, "field_malformed"), (51, "quantity_max")],
)
def test_quantities_that_nobody_can_buy_are_refused(at: Shop, quantity: Any, code: str) -> None:
    jane = at.buyer()
    jane.gives()
    jane.orders()
    for path, body in (
        ("/billing/quotes", {"of": "add_on"}),
        ("/billing/add-ons", {"seen": "5.95 EUR"}),
    ):
        answer = jane.call("POST", path, {**body, "add_on": "storage", "quantity": quantity})
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, "quantity")
    assert jane.standing["add_ons"] == []


@pytest.mark.parametrize(
    ("wish", "code", "field"),
    [
        ({"currency": "XXX"}, "plan_currency", "currency"),
        ({"currency": "eur"}, "field_malformed", "currency"),
        ({"plan": "gold"}, "plan_unknown", "plan"),
        ({"plan": ""}, "plan_unknown", "plan"),
        ({"cycle": "once"}, "field_malformed", "cycle"),
        ({"seen": 58.31}, "field_malformed", "seen"),
        ({"seen": "58,31 EUR"}, "field_malformed", "seen"),
    ],
)
def test_what_is_not_sold_cannot_be_ordered(at: Shop, wish: dict[str, Any], code: str, field: str) -> None:
    jane = at.buyer()
    jane.gives()
    answer = jane.call("POST", "/billing/orders", {**MONTH, "seen": "58.31 EUR", **wish})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)
    assert jane.standing["payment"] is None


def test_a_dearer_plan_begins_now_and_a_cheaper_one_with_the_next_period(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    jane.orders()
    at.days(15)
    up = {"plan": "business", "cycle": "month"}
    assert jane.quote(of="upgrade", **up)["payable"] == "59.50 EUR"
    for other in ({}, {"seen": "59.49 EUR"}):
        assert jane.refused("POST", "/billing/plan", {**up, **other}) == (409, "price_changed")
    made = jane.told("POST", "/billing/plan", {**up, "seen": "59.50 EUR"})["payment"]
    assert jane.after(made)["state"] == "succeeded" and jane.standing["plan"] == "business"
    down = {"plan": "basic", "cycle": "month"}
    assert jane.refused("POST", "/billing/quotes", {"of": "upgrade", **down}) == (409, "no_upgrade")
    assert jane.refused("POST", "/billing/plan", {**down, "seen": "1.00 EUR"}) == (409, "price_changed")
    assert jane.told("POST", "/billing/plan", down) == {"payment": None}
    after = jane.standing
    assert (after["plan"], after["next_plan"], after["next_charge"]["payable"]) == ("business", "basic", "22.61 EUR")


def test_a_freeze_says_from_when_and_what_comes_after_it_and_ends_by_hand(at: Shop) -> None:
    jane = at.buyer()
    assert jane.refused("POST", "/billing/freeze", {"days": 30}) == (409, "freeze_state")
    jane.gives()
    jane.orders()
    for days in (0, 91, 1.5, "a month"):
        answer = jane.call("POST", "/billing/freeze", {"days": days})
        assert (answer.status_code, answer.json()["field"]) == (422, "days")
    after = jane.told("POST", "/billing/freeze", {"days": 40})
    assert after["freeze_days"] == 40 and after["next_charge"]["on"] == "2027-02-03"
    assert jane.refused("POST", "/billing/cancellation") == (409, "freeze_pending")
    assert jane.told("DELETE", "/billing/freeze")["next_charge"]["on"] == "2026-12-25"
    jane.told("POST", "/billing/freeze", {"days": 40})
    at.days(35)
    frozen = jane.standing
    assert (frozen["state"], frozen["freeze_first"], frozen["freeze_end"]) == ("frozen", "2026-12-25", "2027-02-03")
    assert frozen["next_charge"] == {"on": "2027-02-03", "payable": "58.31 EUR", "automatic": True}
    assert jane.refused("POST", "/billing/cancellation") == (409, "through_support")
    shown = jane.quote(of="unfreeze")["payable"]
    assert shown == "58.31 EUR"
    assert jane.refused("POST", "/billing/unfreeze", {"seen": "58.30 EUR"}) == (409, "price_changed")
    assert jane.call("POST", "/billing/unfreeze", {"seen": "a lot"}).status_code == 422
    assert jane.standing["state"] == "frozen" and jane.standing["payment"] is None
    assert jane.after(jane.told("POST", "/billing/unfreeze", {"seen": shown}))["state"] == "succeeded"
    again = jane.standing
    assert (again["state"], again["period_first"], again["freeze_first"]) == ("active", "2026-12-30", None)
    assert jane.refused("POST", "/billing/unfreeze") == (409, "not_frozen")  # without a word of what was seen
    assert jane.refused("POST", "/billing/quotes", {"of": "unfreeze"}) == (409, "not_frozen")


def test_a_card_that_ends_sooner_keeps_a_freeze_from_being_asked_for(at: Shop) -> None:
    jane = at.buyer()
    jane.gives(expires=CardMonth(2026, 12))
    jane.orders()
    after = jane.told("POST", "/billing/freeze", {"days": 90})
    assert after["next_charge"]["on"] == "2026-12-31"
    ben = at.buyer("ben@example.com")
    ben.gives(expires=CardMonth(2026, 11))
    ben.orders()
    assert ben.refused("POST", "/billing/freeze", {"days": 90}) == (409, "card_ends")


def test_nobody_who_is_suspended_freezes(at: Shop) -> None:
    jane, desk = at.buyer(), at.desk()
    jane.gives()
    jane.orders()
    body = {"reason": "abuse", "ticket": "T-1"}
    assert desk.call("POST", f"/staff/accounts/{jane.account}/suspend", body).status_code == 200
    with entry("BIL-21.10"):
        assert jane.refused("POST", "/billing/freeze", {"days": 30}) == (409, "freeze_suspended")
        assert jane.standing["freeze_days"] is None and jane.standing["period_end"] == "2026-12-25"


def test_the_account_tells_the_plan_that_holds_today_and_not_that_of_the_sign_up(at: Shop) -> None:
    jane = at.buyer(plan="business", currency="EUR")

    def plan() -> str:
        return str(jane.told("GET", "/account")["plan"])

    assert (jane.standing["state"], plan()) == ("trial", ""), "a trial is the free version, whatever was chosen"
    jane.gives()
    jane.orders("basic")
    assert plan() == jane.standing["plan"] == "basic"
    quote = jane.quote(of="upgrade", plan="professional", cycle="month")
    made = jane.told("POST", "/billing/plan", {"plan": "professional", "cycle": "month", "seen": quote["payable"]})
    assert plan() == "basic", "it is not paid yet"
    jane.after(made["payment"])
    assert plan() == jane.standing["plan"] == "professional"
    jane.told("POST", "/billing/plan", {"plan": "basic", "cycle": "month"})
    assert plan() == "professional", "the smaller one begins with the next period"
    at.days(31)
    assert plan() == jane.standing["plan"] == "basic"
    jane.told("PUT", "/billing/consent", {"on": False})
    at.days(31)
    assert (jane.standing["state"], plan()) == ("expired", "basic"), "it is what comes back when it is paid"
    described = at.here.app.openapi()["components"]["schemas"]["Account"]["properties"]["plan"]["description"]
    assert "hold today" in described


def joins(at: Shop, number: str) -> tuple[int, str]:
    """Somebody types the number; status, and what he is told if he may not come in."""
    answer = at.here.stranger().call("POST", "/join", {"id": number, "name": "Ida"})
    return answer.status_code, answer.json().get("detail", "")


def details(jane: Buyer) -> tuple[str, str, str]:
    """What is hers whatever she pays."""
    account = jane.told("GET", "/account")
    return account["slug"], account["business_name"], account["created_at"]


def test_what_was_made_in_the_trial_is_there_when_it_is_paid(at: Shop) -> None:
    jane = at.buyer()
    jane.told("PATCH", "/account", {"slug": "jane"})
    event = jane.told("POST", "/events", {"title": "Lesson"})
    jane.told("PATCH", "/account/profile", {"parts": {"about": {"text": "Piano, for adults.", "visible": True}}})
    before = details(jane)
    jane.gives()
    jane.orders()
    with entry("BIL-47.1"):
        assert jane.standing["state"] == "active" and details(jane) == before
        after = jane.told("GET", f"/events/{event['id']}")
        assert (after["number"], after["title"]) == (event["number"], "Lesson")
        assert (event["seats_max"], after["seats_max"]) == (5, 40), "it is as large as what is paid"
        assert at.here.stranger().call("GET", "/profiles/jane").json()["parts"]["about"] == "Piano, for adults."


def test_an_event_that_runs_when_the_trial_ends_is_ended_and_nobody_comes_in(at: Shop) -> None:
    jane = at.buyer()
    event = jane.told("POST", "/events", {"title": "Lesson"})
    at.days(29)
    assert joins(at, event["number"])[0] == 200
    at.carried.clear()
    at.days(1)
    with entry("ACC-05.2"):
        assert jane.standing["state"] == "expired"
        ordered = [letter.payload for letter in at.carried if letter.kind == "media"]
        assert {"command": "end_rooms", "account": jane.account, "reason": "expired"} in ordered
        assert joins(at, event["number"])[0] == 404


def test_the_address_of_a_frozen_account_is_kept_for_it_and_its_visitors_are_told_nothing_more(at: Shop) -> None:
    jane, joe = at.buyer(), at.buyer("joe@example.com")
    jane.told("PATCH", "/account", {"slug": "jane"})
    event = jane.told("POST", "/events", {"title": "Open lesson", "listed": True})
    jane.gives()
    jane.orders()
    jane.told("POST", "/billing/freeze", {"days": 40})
    at.days(35)
    assert jane.standing["state"] == "frozen"
    with entry("BIL-26.1"):
        for alike in ("jane", "jan-e"):
            assert joe.refused("PATCH", "/account", {"slug": alike}) == (409, "slug_taken")
    with entry("BIL-26.2"):
        page = at.here.stranger().client.get("/p/jane")
        assert page.status_code == 200 and "This account is taking a break." in page.text
        assert "Open lesson" not in page.text and not re.search("frozen|billing|paid|plan|expired", visible(page.text))
        nobody = joins(at, "999999999")
        assert (nobody[0], joins(at, event["number"])) == (404, nobody), "as of a number that nobody has"
    assert jane.after(jane.told("POST", "/billing/unfreeze"))["state"] == "succeeded"
    assert joins(at, event["number"])[0] == 200 and "Open lesson" in at.here.stranger().client.get("/p/jane").text


def visible(html: str) -> str:
    """What stands in the main part of a page, without its marks."""
    return re.sub("<[^>]*>", " ", html.partition("<main")[2].partition("</main>")[0]).lower()


def test_an_event_planned_behind_the_end_waits_for_who_comes_back_with_all_that_was_his(at: Shop) -> None:
    jane, joe, desk = at.buyer(), at.buyer("joe@example.com"), at.desk()
    jane.told("PATCH", "/account", {"slug": "jane"})
    jane.gives()
    jane.orders()
    account, before = jane.account, details(jane)
    starts_at = (at.here.clock.now() + datetime.timedelta(days=45)).isoformat()
    event = jane.told("POST", "/events", {"title": "Lesson", "starts_at": starts_at, "listed": True})
    jane.told("POST", "/billing/cancellation")
    assert joins(at, event["number"])[0] == 200, "she has paid for these days"
    at.days(40)
    with entry("BIL-31.6"):
        assert jane.person.signs_in().json()["code"] == "account_closed"
        assert joins(at, event["number"]) == joins(at, "999999999")
        assert at.here.stranger().client.get("/p/jane").status_code == 404
    assert joe.refused("PATCH", "/account", {"slug": "jane"}) == (409, "slug_taken")
    wish = {**MONTH, "ticket": "T-5"}
    path = f"/staff/accounts/{account}/return"
    made = desk.call("POST", path, wish)
    assert (made.status_code, made.json()["amount"]) == (202, "58.31 EUR")
    at.settle()
    jane.person.signs_in()
    with entry("BIL-37.6"):
        assert details(jane) == before
        after = jane.told("GET", f"/events/{event['id']}")
        assert (after["number"], after["state"], after["starts_at"]) == (event["number"], "planned", starts_at)
        assert joins(at, event["number"])[0] == 200
        assert "Lesson" in at.here.stranger().client.get("/p/jane").text
        assert [row["number"] for row in jane.told("GET", "/billing/invoices")["items"]] == [
            "ST-2026-000001",
            "ST-2027-000001",
        ]


def test_another_tax_number_is_on_the_next_invoice_and_another_time_zone_moves_no_day(at: Shop) -> None:
    jane = at.buyer()
    jane.gives(country="DE")
    jane.orders()
    [first] = jane.told("GET", "/billing/invoices")["items"]
    before, paper = jane.standing, jane.told("GET", f"/billing/invoices/{first['id']}")
    assert paper["buyer"]["tax_number"] == "" and first["gross"] == "58.31 EUR"
    jane.told("PATCH", "/account", {"time_zone": "Pacific/Kiritimati"})
    with entry("ACC-19.2"):
        assert jane.standing == before
        at.days(29)
        assert jane.standing["period_end"] == "2026-12-25", "there it is the 25th for long"
    jane.told("PATCH", "/account", {"tax_number": "DE136695976"})
    at.days(1)
    with entry("ACC-11.2"):
        again, second = jane.told("GET", "/billing/invoices")["items"]
        assert jane.told("GET", f"/billing/invoices/{again['id']}") == paper, "the first is as it was"
        assert second["gross"] == "49.00 EUR", "reverse charge"
        assert jane.told("GET", f"/billing/invoices/{second['id']}")["buyer"]["tax_number"] == "DE136695976"
    assert jane.standing["period_first"] == "2026-12-25"


def test_who_ends_over_new_terms_keeps_the_old_ones_in_his_paid_days_and_gets_nothing_back(at: Shop) -> None:
    jane, ben = at.buyer(), at.buyer("ben@example.com")
    for one in (jane, ben):
        one.gives()
        one.orders()
    accounts = [one.account for one in (jane, ben)]
    at.days(1)
    store, now = at.here.store, at.here.clock.now()
    new = now.date().isoformat()
    edition = Edition("terms", new, "en", "# Our terms\n\n## Rules\n\nBe kind.\n", ("rules",))
    store.write(lambda connection: texts.publish(connection, now, [edition]))
    at.settle()

    def binding() -> list[str]:
        at_ = at.here.clock.now()
        return [store.read(lambda c, a=account: notices.binding(c, a, "terms", at_)) for account in accounts]  # type: ignore[misc]

    at.days(9)
    for one in (jane, ben):
        one.told("POST", "/billing/cancellation")
    at.days(1)
    ben.told("DELETE", "/billing/cancellation")
    at.days(5)
    with entry("LEG-04.4"):
        assert binding() == [TEXTS["terms"], new], "who takes it back stays, and is bound"
        assert jane.told("POST", "/events", {"title": "Lesson"})["state"] == "planned", "her days are paid"
        at.days(20)
        assert jane.person.signs_in().json()["code"] == "account_closed"
        assert binding() == [TEXTS["terms"], new]
        rows = store.read(lambda connection: invoices.history(connection, accounts[0]))
        assert [row.kind for row in rows] == ["invoice"]
        assert at.gateway.outside.held() == {"EUR": Money(3 * 5_831, "EUR")}, "hers, and two of his"


def test_a_cancellation_is_taken_back_or_goes_on_to_the_end_of_the_days(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    jane.orders()
    after = jane.told("POST", "/billing/cancellation")
    assert after["cancel_requested_at"].startswith("2026-11-25T12:00") and after["next_charge"] is None
    with entry("BIL-31.4"):
        wish = {"add_on": "presenter", "seen": jane.quote(of="add_on", add_on="presenter")["payable"]}
        assert jane.after(jane.told("POST", "/billing/add-ons", wish))["state"] == "succeeded"
        assert jane.standing["next_charge"] is None and jane.standing["add_ons"][0]["paid_until"] == "2026-12-25"
    back = jane.told("DELETE", "/billing/cancellation")
    assert back["cancel_requested_at"] is None and back["next_charge"]["on"] == "2026-12-25"


def test_who_lacks_the_right_changes_nothing(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    jane.orders()
    member = at.here.member(jane.person, "ida@example.com", ["events"])
    with entry("BIL-32.2"):
        for method, path in (("POST", "/billing/cancellation"), ("DELETE", "/billing/card"), ("GET", "/billing")):
            answer = member.call(method, path)
            assert (answer.status_code, answer.json()["code"]) == (403, "right_missing")
        assert jane.standing["cancel_requested_at"] is None and jane.standing["card"]


def test_an_expired_account_reads_its_bills_buys_nothing_more_and_comes_back(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    jane.orders()
    assert jane.told("PUT", "/billing/consent", {"on": False})["next_charge"]["automatic"] is False
    at.days(31)
    expired = jane.standing
    assert (expired["state"], expired["window_end"], expired["next_charge"]) == ("expired", "2027-03-25", None)
    with entry("BIL-15.4"):
        [row] = jane.told("GET", "/billing/invoices")["items"]
        assert jane.call("GET", f"/billing/invoices/{row['id']}/pdf").content.startswith(b"%PDF")
    with entry("BIL-18.4"):
        wish = {"add_on": "presenter", "seen": "8.33 EUR"}
        assert jane.refused("POST", "/billing/add-ons", wish) == (409, "plan_state")
        assert jane.standing["add_ons"] == []
    with entry("BIL-37.1"):
        assert jane.orders()["state"] == "succeeded"
        back = jane.standing
        assert (back["state"], back["period_first"]) == ("active", "2026-12-26")


def test_the_history_comes_in_pages_and_only_its_own(at: Shop) -> None:
    jane, ben = at.buyer(), at.buyer("ben@example.com")
    jane.gives()
    for _ in range(3):
        at.script.then("charge", Authenticate())
        made = jane.orders()
        jane.told("POST", f"/billing/payments/{made['key']}/abandon")
        assert jane.after(made)["state"] == "failed"
    first = jane.told("GET", "/billing/invoices", params={"limit": 2})
    rest = jane.told("GET", "/billing/invoices", params={"limit": 2, "cursor": first["next"]})
    ids = [row["id"] for row in (*first["items"], *rest["items"])]
    assert len(set(ids)) == 3 and len(first["items"]) == 2 and rest["next"] is None
    for path in (ids[0], f"{ids[0]}/pdf"):
        assert ben.refused("GET", f"/billing/invoices/{path}") == (404, "invoice_unknown")
    assert ben.refused("GET", "/billing/invoices?cursor=x!") == (422, "field_malformed")
    assert ben.refused("GET", "/billing/invoices?cursor=xxxx") == (422, "cursor_malformed")


def test_names_with_formulas_are_harmless_in_the_table(at: Shop) -> None:
    jane = at.buyer(business_name="=HYPERLINK(1)")
    jane.gives()
    jane.orders()
    [row] = csv.DictReader(io.StringIO(jane.call("GET", "/billing/invoices.csv").text))
    assert row["buyer"] == "'=HYPERLINK(1)" and row["net"] == "49.00"
