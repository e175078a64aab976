"""What a page is told so that it can show Stripe's fields; answers in the form that Stripe documents."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from control_plane.gateway.port import HostedFields
from control_plane.gateway.stripe import SOURCES
from tests.control_plane.gateway.test_stripe import intent, stripe


def test_a_page_with_the_fields_is_told_stripes_script_and_what_it_needs_of_elsewhere() -> None:
    setup = {"id": "seti_1", "status": "requires_payment_method", "client_secret": "seti_1_secret_x"}
    fields = stripe(httpx2.Response(200, json=setup)).hosted_fields("seti_1")
    assert fields == HostedFields("https://js.stripe.com/v3/", "pk_test_1", "seti_1_secret_x", SOURCES)
    assert "seti_1_secret_x" not in repr(fields)


@pytest.mark.parametrize(
    ("status", "fault_", "card"),
    [
        ("requires_payment_method", {"code": "authentication_required", "payment_method": {"id": "pm_7"}}, "pm_7"),
        ("requires_payment_method", {"decline_code": "authentication_required"}, ""),
        ("requires_payment_method", {"code": "card_declined", "payment_method": {"id": "pm_7"}}, ""),
        ("requires_action", None, ""),
        ("succeeded", {"code": "authentication_required", "payment_method": {"id": "pm_7"}}, ""),
    ],
)
def test_a_card_that_was_taken_off_its_charge_is_named_so_that_it_can_be_confirmed(
    status: str, fault_: Any, card: str
) -> None:
    answer = intent(status=status, last_payment_error=fault_, client_secret="pi_1_secret_x")
    assert stripe(answer).hosted_fields("pi_1").card == card
