"""Cards and payments over HTTP: what the gateway alone knows is asked of it, and what it cannot do is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from control_plane.billing.freeze import CardMonth
from control_plane.gateway.errors import KeyReused, Misconfigured, Refused
from control_plane.gateway.fake.faults import AnswerLost, Busy, Lost
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import CardSaved, ChargeOrder
from control_plane.money import Money
from control_plane.storage.columns import metadata
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.shop import ASKS, DECLINED, MONTH, PAYS, Shop, shop


@pytest.fixture
def at(store: Store) -> Iterator[Shop]:
    with shop(store) as made:
        yield made


def test_an_order_needs_country_and_card_and_a_card_a_country(at: Shop) -> None:
    jane = at.buyer()
    order = {**MONTH, "seen": "49.00 EUR"}
    assert jane.refused("POST", "/billing/orders", order) == (409, "country_missing")
    assert jane.refused("POST", "/billing/cards") == (409, "country_missing")
    assert jane.refused("PUT", "/billing/country", {"country": "QQ"}) == (422, "country_unknown")
    assert jane.told("PUT", "/billing/country", {"country": "us"})["country"] == "US"
    with entry("BIL-10.1"):
        assert jane.refused("POST", "/billing/orders", order) == (409, "card_missing")
        jane.gives(country="US")
        jane.orders()
        jane.told("DELETE", "/billing/card")
        add_on = {"add_on": "presenter", "seen": jane.quote(of="add_on", add_on="presenter")["payable"]}
        assert jane.refused("POST", "/billing/add-ons", add_on) == (409, "card_missing")
    assert jane.refused("PUT", "/billing/consent", {"on": True}) == (409, "card_missing")


def test_a_card_that_was_begun_is_gone_on_with_and_one_taken_away_is_forgotten(at: Shop) -> None:
    jane, ben = at.buyer(), at.buyer("ben@example.com")
    for one in (jane, ben):
        one.told("PUT", "/billing/country", {"country": "DE"})
    first, again = (jane.told("POST", "/billing/cards") for _ in range(2))
    assert first == again and first["secret"].startswith(first["setup"])
    assert jane.told("POST", f"/billing/cards/{first['setup']}/check") == {"state": "awaited"}
    assert ben.refused("POST", f"/billing/cards/{first['setup']}/check") == (404, "card_unknown")
    at.gateway.outside.enter_card(first["setup"], "4000000000000002", CardMonth(2030, 12))
    assert jane.told("POST", f"/billing/cards/{first['setup']}/check") == {"state": "declined"}
    assert jane.gives() == "saved"
    second = jane.told("POST", "/billing/cards")["setup"]
    assert second != first["setup"]
    at.gateway.outside.enter_card(second, "4242424242424242", CardMonth(2031, 1))
    assert jane.told("POST", f"/billing/cards/{second}/check") == {"state": "saved"}
    assert jane.standing["card"]["expires"] == "01/2031"
    saved = at.gateway.card_of(second)
    assert isinstance(saved, CardSaved)
    jane.told("DELETE", "/billing/card")
    assert jane.standing["card"] is None
    at.settle()
    payer = at.gateway.open_payer(jane.account)
    with pytest.raises(Refused, match="no_such_card"):
        at.gateway.charge(ChargeOrder("after:1", payer, saved.card.token, Money(100, "EUR"), present=True))
    assert jane.refused("DELETE", "/billing/card") == (404, "card_unknown")


def test_who_comes_back_from_his_bank_has_paid_and_who_does_not_takes_it_back(at: Shop) -> None:
    jane, ben = at.buyer(), at.buyer("ben@example.com")
    jane.gives(ASKS)
    ben.gives(ASKS)
    first, second = jane.orders(), ben.orders()
    with entry("BIL-02.2"):
        assert first["state"] == "needs_action" and first["link"]
        reference = first["link"].rpartition("/")[2]
        assert jane.told("POST", f"/billing/payments/{first['key']}/check")["state"] == "needs_action"
        at.gateway.outside.authenticate(reference, agrees=True)
        assert jane.told("POST", f"/billing/payments/{first['key']}/check")["state"] == "succeeded"
        assert jane.standing["state"] == "active"
    for verb in ("check", "abandon"):
        assert jane.refused("POST", f"/billing/payments/{second['key']}/{verb}") == (404, "payment_unknown")
    assert jane.refused("GET", f"/billing/payments/{second['key']}") == (404, "payment_unknown")
    ben.told("POST", f"/billing/payments/{second['key']}/abandon")
    gone = ben.after(second)
    assert (gone["state"], gone["code"]) == ("failed", "called_off") and ben.standing["state"] == "trial"
    assert jane.told("POST", f"/billing/payments/{first['key']}/abandon")["state"] == "succeeded"
    assert at.gateway.outside.held() == {"EUR": Money(5_831, "EUR")}


def test_a_payment_of_a_suspended_account_is_taken_and_opens_nothing_before_it_is_lifted(at: Shop) -> None:
    jane, desk = at.buyer(), at.desk()
    event = jane.told("POST", "/events", {"title": "Lesson"})
    jane.gives(ASKS)
    made = jane.orders()
    path = f"/staff/accounts/{jane.account}"
    assert desk.call("POST", f"{path}/suspend", {"reason": "abuse", "ticket": "T-1"}).status_code == 200
    at.gateway.outside.authenticate(made["link"].rpartition("/")[2], agrees=True)

    def joins() -> int:
        return at.here.stranger().call("POST", "/join", {"id": event["number"], "name": "Ida"}).status_code

    with entry("ACC-18.3"):
        assert jane.told("POST", f"/billing/payments/{made['key']}/check")["state"] == "succeeded"
        assert jane.standing["state"] == "active"
        assert jane.refused("POST", "/events", {"title": "Lesson"})[0] == 403 and joins() == 404
        assert desk.call("POST", f"{path}/lift", {"ticket": "T-1"}).status_code == 200
        assert jane.told("POST", "/events", {"title": "Lesson"})["seats_max"] == 40 and joins() == 200


def test_the_number_of_a_card_is_in_no_row_no_log_and_no_answer(at: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    jane = at.buyer()
    jane.gives()
    jane.orders()
    jane.gives(DECLINED)
    at.days(31)

    def dump(connection: sa.Connection) -> str:
        return "\n".join(str(row) for table in metadata.sorted_tables for row in connection.execute(table.select()))

    rows = at.here.store.read(dump)
    answers = [jane.call("GET", path).text for path in ("/billing", "/billing/invoices", "/billing/invoices.csv")]
    with entry("ACC-19.1"):
        for said in (rows, caplog.text, *answers):
            assert PAYS not in said and DECLINED not in said
        assert jane.standing["card"]["last4"] == "0341" and "0341" in rows


def test_a_charge_whose_answer_was_lost_is_found_by_asking(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    at.script.then("charge", AnswerLost())
    made = jane.orders()
    assert made["state"] == "processing"
    assert jane.told("POST", f"/billing/payments/{made['key']}/check")["state"] == "succeeded"
    at.days(1)
    assert at.gateway.outside.held() == {"EUR": Money(5_831, "EUR")}


def test_a_gateway_that_is_busy_silent_or_says_no_is_told_at_one_door(
    at: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jane = at.buyer()
    jane.told("PUT", "/billing/country", {"country": "DE"})
    at.script.then("open_payer", Busy(7), Lost())
    busy, silent = (jane.call("POST", "/billing/cards") for _ in range(2))
    assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (503, "gateway_busy", "7")
    assert (silent.status_code, silent.json()["code"]) == (503, "gateway_silent")
    assert int(silent.headers["retry-after"]) > 0

    def fails(error: Exception) -> tuple[int, str]:
        def fail(self: MemoryGateway, key: str) -> str:
            raise error

        monkeypatch.setattr(MemoryGateway, "open_payer", fail)
        return jane.refused("POST", "/billing/cards")

    assert fails(Refused("no_such_payer", "gone")) == (409, "gateway_no_such_payer")
    assert fails(Refused("currency_unsupported", "not here")) == (422, "gateway_currency_unsupported")
    caplog.clear()
    assert fails(Misconfigured("credentials", "sk_live_secret")) == (500, "gateway_failed")
    assert fails(KeyReused("acc_1")) == (500, "gateway_failed")
    assert [record.getMessage() for record in caplog.records].count("gateway failed") == 2
    assert "sk_live_secret" not in caplog.text
    monkeypatch.undo()
    assert jane.gives() == "saved"


def test_a_declined_card_leaves_the_trial_as_it_was(at: Shop) -> None:
    jane = at.buyer()
    jane.gives(DECLINED)
    made = jane.orders()
    assert (made["state"], made["code"]) == ("failed", "declined") and jane.standing["state"] == "trial"
    [row] = jane.told("GET", "/billing/invoices")["items"]
    assert (row["state"], row["number"]) == ("void", "")
    assert len(jane.call("GET", "/billing/invoices.csv").text.splitlines()) == 1


def test_a_bank_that_is_asked_once_more_charges_once(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    at.script.then("charge", Lost()).then("ask", Lost())
    made = jane.orders()
    assert jane.refused("POST", f"/billing/payments/{made['key']}/check") == (503, "gateway_silent")
    at.days(1)
    assert jane.told("GET", f"/billing/payments/{made['key']}")["state"] == "succeeded"
    assert at.gateway.outside.held() == {"EUR": Money(5_831, "EUR")}
