"""Coming in by the pages, without a script: from sign-up over the mail to being signed in and out again."""

from __future__ import annotations

from tests.control_plane.pages.browsing import Site


def test_a_customer_signs_up_confirms_signs_in_and_sees_his_account(here: Site) -> None:
    jane = here.visitor("jane@example.com")
    sent = jane.signs_up()
    assert (sent.status, sent.heading) == (200, "Look into your mail")
    signed_in = jane.sends("/verify", "/verify", token=jane.mailed("verification"))
    assert signed_in.heading == "Sign in" and "Your address is confirmed" in signed_in.done
    account = jane.signs_in()
    assert (account.response.url.path, account.heading) == ("/account", "Jane's Lessons")
    bye = jane.sends("/account", "/sign-out")
    assert bye.done == "You are signed out."
    assert jane.get("/account").response.url.path == "/sign-in"
