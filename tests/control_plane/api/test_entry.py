"""Coming in over HTTP: from sign-up over the mail to being signed in."""

from __future__ import annotations

from tests.control_plane import seen
from tests.control_plane.people import World


def test_a_customer_signs_up_verifies_signs_in_and_sees_himself(here: World) -> None:
    jane = here.stranger("jane@example.com")
    answer = jane.signs_up()
    assert (answer.status_code, answer.json()) == (202, {"sent": True})
    assert [mail["template"] for mail in seen.mails(here.store, "jane@example.com")] == ["verification"]
    assert jane.verifies().json()["password_needed"] is False
    assert jane.signs_in().status_code == 201
    me = jane.me()
    assert (me["email"], me["role"], me["rights"]) == (
        "jane@example.com",
        "owner",
        ["account", "billing", "content", "events", "members"],
    )
