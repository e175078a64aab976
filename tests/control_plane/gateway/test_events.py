"""Events from strangers: whatever is posted is an event or a named rejection, never anything else."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.clock import TestClock
from control_plane.gateway.errors import EventForeign, EventForged, EventRejected, EventUnreadable
from control_plane.gateway.fake.outside import HEADER, collected
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import ChargeTold, GatewayEvent
from control_plane.gateway.signed import sign
from control_plane.gateway.stripe import StripeGateway, StripeSettings
from tests.control_plane.gateway.rigs import FAR, NOW, PAGE, SECRET, FakeRig

Read = Callable[[bytes], GatewayEvent]


def _readers() -> list[tuple[str, Read]]:
    fake = MemoryGateway(TestClock(NOW), SECRET)
    stripe = StripeGateway(StripeSettings("sk_test_1", "pk_test_1", (SECRET,), PAGE))
    return [
        ("fake", lambda body: fake.read_event(body, {HEADER: sign(SECRET, NOW, body)}, NOW)),
        ("stripe", lambda body: stripe.read_event(body, {"stripe-signature": sign(SECRET, NOW, body)}, NOW)),
    ]


READERS = dict(_readers())
both = pytest.mark.parametrize("reader", READERS)


def event(kind: str, object: Any, **changes: Any) -> bytes:
    whole = {"id": "evt_1", "type": kind, "created": 1_796_115_600, "livemode": False, "data": {"object": object}}
    return json.dumps({**whole, **changes}).encode()


INTENT = {
    "id": "pi_1",
    "amount": 1230,
    "currency": "eur",
    "status": "succeeded",
    "customer": "cus_1",
    "metadata": {"stentor_key": "inv-1:1"},
}


@both
@given(body=st.binary(max_size=300))
def test_any_bytes_are_an_event_or_a_rejection(reader: str, body: bytes) -> None:
    with pytest.raises(EventUnreadable):
        READERS[reader](body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
NAMES = ["id", "type", "created", "livemode", "account", "data", "at", "gateway", "kind", "charge", "setup", "card"]


WHOLE = {
    "fake": {
        "id": "ev_1",
        "at": "2026-12-01T09:00:00Z",
        "gateway": "fake",
        "kind": "charge.succeeded",
        "charge": {
            "id": "ch_1",
            "key": "inv-1:1",
            "payer": "payer_1",
            "card": "card_1",
            "minor": 1230,
            "currency": "EUR",
            "state": "succeeded",
        },
    },
    "stripe": json.loads(event("payment_intent.succeeded", INTENT)),
}


@both
def test_the_untouched_objects_are_events(reader: str) -> None:
    told = READERS[reader](json.dumps(WHOLE[reader]).encode()).told
    assert isinstance(told, ChargeTold) and told.key == "inv-1:1"


@both
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    values=st.dictionaries(st.sampled_from(NAMES), json_values, max_size=2),
    inner=st.dictionaries(st.sampled_from(["minor", "currency", "state", "key", "amount"]), json_values, max_size=2),
)
def test_any_object_is_an_event_or_a_rejection(reader: str, values: dict[str, Any], inner: dict[str, Any]) -> None:
    whole = json.loads(json.dumps(WHOLE[reader]))
    (whole["charge"] if reader == "fake" else whole["data"]["object"]).update(inner)
    whole.update(values)
    try:
        read = READERS[reader](json.dumps(whole).encode())
    except EventRejected as rejected:
        assert rejected.code in ("unreadable", "foreign")
    else:
        assert isinstance(read, GatewayEvent)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(
        ["payment_intent.x", "refund.x", "charge.dispute.x", "setup_intent.x", "payment_method.updated"]
    ),
    values=st.dictionaries(st.sampled_from([*INTENT, "payment_intent", "card", "last_payment_error"]), json_values),
)
def test_any_object_within_an_event_of_stripe_is_an_event_or_a_rejection(kind: str, values: dict[str, Any]) -> None:
    try:
        read = READERS["stripe"](event(kind, {**INTENT, **values}))
    except EventRejected as rejected:
        assert rejected.code == "unreadable"
    else:
        assert isinstance(read, GatewayEvent)


@both
def test_a_deeply_nested_body_is_unreadable(reader: str) -> None:
    with pytest.raises(EventUnreadable):
        READERS[reader](b"[" * 500_000)


@given(header=st.text(max_size=80) | st.from_regex(r"(t|v1)=[0-9a-fé]{0,12},(t|v1)=[0-9a-f]{0,70}", fullmatch=True))
def test_any_header_but_the_right_one_is_forged(header: str) -> None:
    fake = MemoryGateway(TestClock(NOW), SECRET)
    with pytest.raises(EventForged):
        fake.read_event(b"{}", {HEADER: header}, NOW)
    fake.close()


def test_while_a_secret_is_turned_both_hold_and_no_third() -> None:
    body = event("payment_intent.succeeded", INTENT)
    stripe = StripeGateway(StripeSettings("sk_test_1", "pk_test_1", ("whsec_new", "whsec_old"), PAGE))
    for secret in ("whsec_new", "whsec_old"):
        assert stripe.read_event(body, {"Stripe-Signature": sign(secret, NOW, body)}, NOW).id == "evt_1"
    with pytest.raises(EventForged):
        stripe.read_event(body, {"Stripe-Signature": sign("whsec_third", NOW, body)}, NOW)


def test_the_signature_is_stripes_published_scheme() -> None:
    """t, a point and the body, by HMAC-SHA256 under the whole secret, in hex. Reckoned by openssl dgst."""
    at = datetime.datetime.fromtimestamp(1492774577, datetime.UTC)
    assert sign("whsec_test_secret", at, b'{"id":"evt_1"}') == (
        "t=1492774577,v1=799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f"
    )


def test_an_event_of_another_fake_is_foreign() -> None:
    rig = FakeRig()
    rig.gateway.begin_card(rig.gateway.open_payer("account-7"), "setup-1")
    rig.gateway.outside.enter_card("setup_000001", "4242424242424242", FAR)
    other = MemoryGateway(rig.clock, SECRET, name="another")
    for body, headers in collected(rig.gateway.outside):
        with pytest.raises(EventForeign):
            other.read_event(body, headers, NOW)
    rig.gateway.close()
    other.close()


@pytest.mark.parametrize("changes", [{"livemode": True}, {"account": "acct_1"}], ids=["other mode", "other account"])
def test_an_event_of_another_mode_or_account_of_stripe_is_foreign(changes: dict[str, Any]) -> None:
    with pytest.raises(EventForeign):
        READERS["stripe"](event("payment_intent.succeeded", INTENT, **changes))
