"""What the gateway posts: believed by its signature, applied once, and never to somebody else's payment."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from control_plane.api.limits import LIMITS
from control_plane.billing import inbound
from control_plane.billing.tables import gateway_events, payments
from control_plane.errors import Unavailable
from control_plane.gateway.fake.outside import HEADER, collected
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import EVENT_BYTES_MAX
from control_plane.gateway.signed import sign
from control_plane.money import Money
from control_plane.running import backlog, tasks
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.shop import ASKS, GOOD, Buyer, Shop, shop

SECRET = "whsec_of_the_tests"


@pytest.fixture
def at(store: Store) -> Iterator[Shop]:
    with shop(store) as made:
        yield made


def post(at: Shop, body: bytes, headers: dict[str, str]) -> httpx2.Response:
    return at.here.client().post("/api/v1/gateway/events", content=body, headers=headers)


def kept(at: Shop) -> int:
    asked = sa.select(sa.func.count()).select_from(gateway_events)
    return at.here.store.read(lambda connection: connection.scalar(asked)) or 0


def asked(at: Shop, email: str = "jane@example.com") -> tuple[Buyer, dict[str, Any]]:
    """Somebody whose bank asks him before he has paid, and that payment."""
    buyer = at.buyer(email)
    buyer.gives(ASKS)
    made = buyer.orders()
    assert made["state"] == "needs_action"
    return buyer, made


def test_an_event_pays_an_order_once_however_often_it_comes(at: Shop) -> None:
    jane, made = asked(at)
    collected(at.gateway.outside)
    at.gateway.outside.authenticate(made["link"].rpartition("/")[2], agrees=True)
    events = collected(at.gateway.outside)
    with entry("BIL-15.1"):
        for body, headers in (*events, *events[::-1]):
            answer = post(at, body, headers)
            assert (answer.status_code, answer.content) == (204, b"")
        assert kept(at) == len(events)
        assert [row["state"] for row in jane.told("GET", "/billing/invoices")["items"]] == ["paid"]
    with entry("ACC-18.2"):
        assert jane.standing["state"] == "active", "she is not back from her bank yet"
        assert jane.told("POST", f"/billing/payments/{made['key']}/check")["state"] == "succeeded"
        assert at.gateway.outside.held() == {"EUR": Money(5_831, "EUR")}


def test_what_is_forged_stale_or_nonsense_is_refused_and_not_kept(at: Shop) -> None:
    jane, made = asked(at)
    at.gateway.outside.authenticate(made["link"].rpartition("/")[2], agrees=True)
    body, headers = collected(at.gateway.outside)[-1]
    now = at.here.clock.now()
    old = now - datetime.timedelta(seconds=301)
    for sent, header, code in (
        (body, {}, "event_forged"),
        (body, {HEADER: sign("another secret", now, body)}, "event_forged"),
        (body + b" ", headers, "event_forged"),
        (body, {HEADER: "t=1,v1="}, "event_forged"),
        (body, {HEADER: sign(SECRET, old, body)}, "event_stale"),
        (b"{", {HEADER: sign(SECRET, now, b"{")}, "event_unreadable"),
        (b"", {HEADER: sign(SECRET, now, b"")}, "event_unreadable"),
    ):
        answer = post(at, sent, header)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert kept(at) == 0 and jane.standing["state"] == "trial"
    replayed = post(at, body, headers)
    assert replayed.status_code == 204 and jane.standing["state"] == "active"


def test_an_event_of_another_gateway_or_about_anothers_payment_is_foreign(at: Shop, store: Store) -> None:
    jane, made = asked(at)
    other = MemoryGateway(at.here.clock, SECRET, name="another")
    other.open_payer("x")
    setup = other.begin_card(other.open_payer("x"), "card:x")
    other.outside.enter_card(setup, ASKS, GOOD)
    body, headers = collected(other.outside)[0]
    other.close()
    assert post(at, body, headers).json()["code"] == "event_foreign"
    # The same attempt, told of a payer who is not its own.
    at.gateway.outside.authenticate(made["link"].rpartition("/")[2], agrees=True)
    events = collected(at.gateway.outside)
    theirs = payments.update().where(payments.c.key == made["key"]).values(payer="payer_of_somebody_else")
    at.here.store.write(lambda connection: connection.execute(theirs))
    found = [post(at, one, header) for one, header in events if made["key"].encode() in one]
    assert found and {(one.status_code, one.json()["code"]) for one in found} == {(400, "event_foreign")}
    assert jane.standing["state"] == "trial" and jane.standing["payment"]["state"] == "needs_action"


def test_an_event_about_nothing_of_ours_is_taken_and_changes_nothing(at: Shop) -> None:
    payer = at.gateway.open_payer("another-program")
    setup = at.gateway.begin_card(payer, "card:elsewhere")
    at.gateway.outside.enter_card(setup, "4242424242424242", GOOD)
    for body, headers in collected(at.gateway.outside):
        assert post(at, body, headers).status_code == 204
    assert kept(at) > 0


def test_what_cannot_be_kept_now_is_asked_for_again(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    jane, made = asked(at)
    collected(at.gateway.outside)
    at.gateway.outside.authenticate(made["link"].rpartition("/")[2], agrees=True)

    def busy(*told: Any) -> bool:
        raise Unavailable("busy", "too much at once; try again", retry_after_s=1)

    statuses: list[int] = []

    def deliver(body: bytes, headers: dict[str, str]) -> bool:
        statuses.append(post(at, body, headers).status_code)
        return statuses[-1] < 300

    with monkeypatch.context() as patch:
        patch.setattr(inbound, "apply", busy)
        at.gateway.outside.deliver(deliver)
    assert set(statuses) == {503} and jane.standing["state"] == "trial"
    at.gateway.outside.deliver(deliver)
    assert statuses[-1] == 204 and jane.standing["state"] == "active"
    assert at.gateway.outside.held() == {"EUR": Money(5_831, "EUR")}


def test_a_body_without_end_is_not_read(at: Shop) -> None:
    answer = post(at, b"x" * (EVENT_BYTES_MAX + 1), {})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert post(at, b"x" * EVENT_BYTES_MAX, {}).json()["code"] == "event_forged"


def test_who_tries_signatures_is_told_to_wait(store: Store) -> None:
    with shop(store, limits=LIMITS) as at:
        statuses = [post(at, b"{}", {}).status_code for _ in range(LIMITS["token_address"].burst + 1)]
        assert set(statuses[:-1]) == {400} and statuses[-1] == 429


def test_more_than_was_paid_is_taken_note_of_and_the_gateway_need_not_say_it_again(at: Shop) -> None:
    jane = at.buyer()
    jane.gives()
    jane.orders()
    reference = at.here.store.read(lambda connection: connection.scalar(sa.select(payments.c.reference)))
    assert reference
    collected(at.gateway.outside)
    dispute = at.gateway.outside.open_dispute(reference)
    [(body, headers)] = collected(at.gateway.outside)
    assert b"5831" in body
    more = body.replace(b"5831", b"583100")
    assert post(at, more, headers).json()["code"] == "event_forged"
    signed = {HEADER: sign(SECRET, at.here.clock.now(), more)}
    for _ in range(2):
        assert post(at, more, signed).status_code == 204
    found = at.here.store.read(tasks.all_open)
    assert [
        (one.ref, one.payload["told"], one.payload["booked"]) for one in found if one.kind == "dispute_exceeds"
    ] == [(dispute.reference, "5831.00 EUR", "58.31 EUR")]
    counted = at.here.store.read(lambda connection: backlog.read(connection, at.here.clock.now()))
    assert counted.tasks["dispute_exceeds"] == 1
    assert jane.person.call("POST", "/events", {"title": "Lesson"}).status_code == 403
    at.gateway.outside.close_dispute(dispute.reference, won=True)  # the stream goes on
    assert [post(at, *event).status_code for event in collected(at.gateway.outside)] == [204]
    assert jane.person.call("POST", "/events", {"title": "Lesson"}).status_code == 201


def test_a_dispute_shuts_out_until_it_is_won_and_the_desk_sees_it(at: Shop) -> None:
    jane, desk = at.buyer(), at.desk()
    jane.gives()
    jane.orders()
    account = jane.account
    reference = at.here.store.read(lambda connection: connection.scalar(sa.select(payments.c.reference)))
    assert reference
    dispute = at.gateway.outside.open_dispute(reference)
    for body, headers in collected(at.gateway.outside):
        assert post(at, body, headers).status_code == 204
    [row] = desk.call("GET", f"/staff/accounts/{account}/disputes").json()["items"]
    assert (row["reference"], row["state"], row["amount"]) == (dispute.reference, "open", "58.31 EUR")
    assert jane.person.call("POST", "/events", {"title": "Lesson"}).status_code == 403
    assert jane.told("GET", "/billing")["state"] == "active"
    [paid] = jane.told("GET", "/billing/invoices")["items"]
    refund = {"lines": [{"line": 0, "amount": "1.00"}], "ticket": "T-1", "reason": "asked"}
    refused = desk.call("POST", f"/staff/invoices/{paid['id']}/refunds", refund)
    assert (refused.status_code, refused.json()["code"]) == (409, "disputed")
    at.gateway.outside.close_dispute(dispute.reference, won=True)
    for body, headers in collected(at.gateway.outside):
        post(at, body, headers)
    [row] = desk.call("GET", f"/staff/accounts/{account}/disputes").json()["items"]
    assert row["state"] == "won" and row["ended_at"]
    assert jane.person.call("POST", "/events", {"title": "Lesson"}).status_code == 201
    assert desk.call("GET", "/staff/accounts/acc_aaaa/disputes").status_code == 404
