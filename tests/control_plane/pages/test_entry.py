"""Coming in by the pages, without a script: from sign-up over the mail to being signed in and out again."""

from __future__ import annotations

import re

import pytest

from control_plane.pages.forms import code, safe_next
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.pages.browsing import Page, Site
from tests.control_plane.pages.town import count_of_accounts
from tests.control_plane.people import PASSWORD, START

LONG_PASSWORD = "another long enough pass phrase"
# Where a page might be made to lead; a browser takes every one of them for another site, or for something that runs.
ELSEWHERE = [
    "//evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "https://evil.test",
    "/\t/evil.test",
    "/%0d%0aset-cookie:a=b\r\nx",
    "javascript:alert(1)",
    "/ok\r\nlocation: https://evil.test",
    " /account",
    "account",
    "/" + "a" * 600,
]


def bare(page: Page) -> str:
    """The page without what differs from one opening to the next."""
    return re.sub(r'name="once" value="[^"]*"', "", page.response.text)


def test_a_customer_signs_up_confirms_signs_in_and_comes_to_his_rooms(here: Site) -> None:
    jane = here.visitor("jane@example.com")
    sent = jane.signs_up()
    assert (sent.status, sent.heading) == (200, "Look into your mail")
    signed_in = jane.sends("/verify", "/verify", token=jane.mailed("verification"))
    assert signed_in.heading == "Sign in" and "Your address is confirmed" in signed_in.done
    rooms = jane.signs_in()
    assert (rooms.response.url.path, rooms.heading) == ("/rooms", "Rooms")
    assert jane.get("/").tree.text.count("Your rooms") == 1 and "Sign in" not in jane.get("/").tree.text
    assert jane.get("/account").heading == "Jane's Lessons"
    bye = jane.sends("/account", "/sign-out")
    assert bye.done == "You are signed out."
    assert jane.get("/account").response.url.path == "/sign-in"


def test_the_form_asks_for_declarations_links_the_exact_texts_and_ticks_nothing_by_itself(here: Site) -> None:
    page = here.visitor().get("/sign-up")
    form = page.form("/sign-up")
    assert not {"business", "adult", "accepted", "commercial_mail"} & form.keys()
    assert form["terms_version"] == form["privacy_version"] == "2022-12-15"
    links = {node.attrs["href"] for node in page.tree.all("a")}
    assert {"/legal/terms/2022-12-15/en", "/legal/privacy/2022-12-15/en"} <= links
    required = {node.attrs["name"] for node in page.tree.all("input") if "required" in node.attrs}
    assert required == {"email", "password", "business", "adult", "accepted"}


def test_all_that_is_missing_is_said_at_once_beside_its_field(here: Site) -> None:
    jane = here.visitor("jane@example.com")
    page = jane.signs_up(business_name="", business=None, adult=None, accepted=None, first_name="<b>Jane</b>")
    assert page.status == 422 and set(page.errors) == {"business_name", "business", "adult", "accepted"}
    form = page.form("/sign-up")
    assert (form["email"], form["first_name"], form.get("password")) == ("jane@example.com", "<b>Jane</b>", "")
    assert "<b>Jane" not in page.response.text and PASSWORD not in page.response.text
    assert count_of_accounts(here) == 0 and seen.mails(here.store) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "jane"),
        ("email", "jane@example.com\r\nBcc: all@example.com"),
        ("email", "a" * 300 + "@example.com"),
        ("password", "short"),
        ("password", "aaaaaaaaaaaaaa"),
        ("business_name", "Stentor Support"),
        ("business_name", "x" * 150),
        ("tax_number", "12"),
        ("first_name", "J\u200bane"),
        ("last_name", "M\u0456ller"),
        ("last_name", "a\x00b"),
    ],
)
def test_a_field_that_cannot_be_taken_is_told_and_nothing_is_stored(here: Site, field: str, value: str) -> None:
    page = here.visitor("jane@example.com").signs_up(**{field: value})
    assert page.status == 422 and set(page.errors) == {field}
    assert page.errors[field] != page.errors.get("") and count_of_accounts(here) == 0


def test_a_form_that_is_sent_twice_begins_one_account_whose_password_holds(here: Site) -> None:
    jane = here.visitor("jane@example.com")
    form = jane.get("/sign-up").form("/sign-up")
    fields = {**form, "email": jane.email, "password": PASSWORD, "business_name": "Jane's Lessons"}
    fields |= {"business": "yes", "adult": "yes", "accepted": "yes"}
    assert [jane.post("/sign-up", fields).heading for _ in range(2)] == ["Look into your mail"] * 2
    assert count_of_accounts(here) == 1 and len(seen.mails(here.store, jane.email)) == 1
    jane.sends("/verify", "/verify", token=jane.mailed("verification"))
    assert jane.signs_in().response.url.path == "/rooms"


def test_texts_that_changed_meanwhile_are_shown_before_they_are_accepted(here: Site) -> None:
    jane = here.visitor("jane@example.com")
    form = jane.get("/sign-up").form("/sign-up")
    newer = seen.publish_newer(here.store, START, "terms")
    fields = {**form, "email": jane.email, "password": PASSWORD, "business_name": "Jane's Lessons"}
    page = jane.post("/sign-up", {**fields, "business": "yes", "adult": "yes", "accepted": "yes"})
    assert "newer version" in page.errors["accepted"]
    again = page.form("/sign-up")
    assert again["terms_version"] == newer and "accepted" not in again and again["business"] == "yes"


def test_no_page_tells_whether_an_address_is_known(here: Site) -> None:
    here.owner("jane@example.com")
    known, unknown = here.visitor("jane@example.com"), here.visitor("nobody@example.com")

    def both(page: str, action: str, **fields: str) -> tuple[tuple[int, str], tuple[int, str]]:
        shown = [one.sends(page, action, **{"email": one.email, **fields}) for one in (known, unknown)]
        texts = [(one.status, bare(one).replace("nobody@", "jane@")) for one in shown]
        return texts[0], texts[1]

    first, second = known.signs_up(), unknown.signs_up()
    assert (first.status, bare(first)) == (second.status, bare(second))
    for page, action, fields in (
        ("/sign-in", "/sign-in", {"password": "a wrong pass phrase"}),
        ("/forgot", "/forgot", {}),
        ("/sign-up/sent", "/sign-up/mail", {}),
    ):
        one, other = both(page, action, **fields)
        assert one == other, action
    assert [mail["template"] for mail in seen.mails(here.store, "jane@example.com")][-2:] == [
        "already_customer",
        "password_reset",
    ]


def test_a_wrong_password_keeps_the_address_and_not_the_password(here: Site) -> None:
    here.owner("jane@example.com")
    page = here.visitor("jane@example.com").signs_in(password="a wrong pass phrase")
    assert page.errors == {"": "E-mail address or password is wrong."}
    assert page.form("/sign-in") | {"csrf": ""} == {"next": "", "email": "jane@example.com", "password": "", "csrf": ""}


def test_who_was_led_to_signing_in_comes_back_to_where_he_wanted_to_go(here: Site) -> None:
    here.owner("jane@example.com")
    jane = here.visitor("jane@example.com")
    page = jane.get("/account/sessions")
    assert page.heading == "Sign in" and page.form("/sign-in")["next"] == "/account/sessions"
    fields = {**page.form("/sign-in"), "email": jane.email, "password": PASSWORD}
    assert jane.post("/sign-in", fields).response.url.path == "/account/sessions"


@pytest.mark.parametrize("wished", ELSEWHERE)
def test_signing_in_never_leads_to_another_site(here: Site, wished: str) -> None:
    assert safe_next(wished, "/account") == "/account"


def test_where_to_go_on_is_checked_when_shown_and_when_taken(here: Site) -> None:
    here.owner("jane@example.com")
    jane = here.visitor("jane@example.com")
    for wished in ("//evil.test", "https://evil.test", "/\\evil.test"):
        shown = Page(jane.client.get("/sign-in", params={"next": wished}, headers=jane.headers))
        assert shown.form("/sign-in")["next"] == ""
        fields = {"email": jane.email, "password": PASSWORD, "next": wished}
        answer = jane.post("/sign-in", fields, follow=False)
        assert answer.response.headers["location"] == "/rooms"
        signed_in = jane.client.get("/sign-in", params={"next": wished}, headers=jane.headers, follow_redirects=False)
        assert signed_in.headers["location"] == "/rooms"
        jane.sends("/account", "/sign-out")


@pytest.mark.parametrize("good", ["/account", "/rooms/evt_a", "/desk?q=a&after=2", "/"])
def test_a_path_of_ours_is_taken(good: str) -> None:
    assert safe_next(good, "/x") == good


def test_a_code_is_taken_alone_or_in_its_whole_link() -> None:
    assert code(" mt_a2 \n") == code("https://stentor.test/verify#token=mt_a2") == "mt_a2"


def test_a_forgotten_password_is_set_anew_and_ends_every_session(here: Site) -> None:
    there = here.owner("jane@example.com")
    jane = here.visitor("jane@example.com")
    assert jane.sends("/forgot", "/forgot", email=jane.email).heading == "Look into your mail"
    token = jane.mailed("password_reset")
    short = jane.sends("/reset", "/reset", token=token, password="short")
    assert set(short.errors) == {"password"} and short.form("/reset")["token"] == token
    done = jane.sends("/reset", "/reset", token=token, password=LONG_PASSWORD)
    assert done.done == "Your new password is set. Sign in with it."
    assert there.get("/account").heading == "Sign in"
    assert jane.signs_in().errors and jane.signs_in(password=LONG_PASSWORD).heading == "Rooms"
    used = jane.visitor_again().sends("/reset", "/reset", token=token, password=LONG_PASSWORD)
    assert "used before" in used.errors["token"]


@pytest.mark.parametrize("token", ["", "x y", "mt_aaaa", "<script>", "mt_" + "a" * 600, "é"])
def test_a_code_that_is_none_is_told_and_opens_nothing(here: Site, token: str) -> None:
    page = here.visitor().post("/verify", {"token": token})
    assert page.status == 422 and set(page.errors) == {"token"} and "<script>" not in page.response.text


def test_opening_the_link_alone_confirms_nothing(here: Site) -> None:
    jane = here.visitor("jane@example.com")
    jane.signs_up()
    for _ in range(2):  # a mail program that looks into links
        assert jane.get("/verify").heading == "Confirm your address"
    assert "Open the link" in jane.signs_in().errors[""]
    assert jane.sends("/verify", "/verify", token=jane.mailed("verification")).heading == "Sign in"


def test_too_many_tries_are_told_as_a_page_with_the_time_to_wait(here: Site) -> None:
    here.owner("jane@example.com")
    jane = here.visitor("jane@example.com")
    pages = [jane.signs_in(password="a wrong pass phrase") for _ in range(11)]
    assert (pages[-1].status, pages[-1].heading) == (429, "Too often, too fast")
    assert int(pages[-1].response.headers["retry-after"]) >= 1


def test_a_session_that_is_over_leads_to_signing_in_and_forgets_its_cookie(here: Site) -> None:
    answer = here.visitor().client.get(
        "/account", headers={"accept": "text/html", "cookie": "__Host-stentor=ss_aaaa"}, follow_redirects=False
    )
    assert answer.headers["location"] == "/sign-in?next=/account" and "Max-Age=0" in answer.headers["set-cookie"]


def test_an_invited_person_becomes_a_member_by_the_page(here: Site) -> None:
    jane = here.owner()
    assert jane.sends("/account/people", "/account/people", email="max@example.com").done.startswith("The invitation")
    max_ = here.visitor("max@example.com")
    token = max_.mailed("invitation")
    lacking = max_.sends("/invitation", "/invitation", token=token, password=PASSWORD)
    assert "accepted" in lacking.errors and lacking.form("/invitation")["token"] == token
    fields = {"token": token, "password": PASSWORD, "adult": "yes", "accepted": "yes"}
    assert max_.sends("/invitation", "/invitation", **fields).done.startswith("You are a member now")
    page = max_.signs_in()
    assert page.heading == "Jane's Lessons" and "Leave this account" in page.response.text
    with entry("ACC-07.1"):
        assert max_.get("/rooms").status == max_.get("/account/keys").status == 403


def test_the_cookie_of_a_session_cannot_be_read_by_scripts_nor_sent_in_the_clear(here: Site) -> None:
    here.owner("jane@example.com")
    jane = here.visitor("jane@example.com")
    form = jane.get("/sign-in").form("/sign-in")
    answer = jane.post("/sign-in", {**form, "email": jane.email, "password": PASSWORD}, follow=False).response
    cookie = next(one for one in answer.headers.get_list("set-cookie") if "stentor" in one)
    for word in ("__Host-stentor=", "HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in cookie
