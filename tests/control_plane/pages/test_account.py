"""A person's and an account's own pages: details, password, sessions, people, keys, the public profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from control_plane.accounts import people
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Page, Site, Visitor
from tests.control_plane.pages.town import suspend, town
from tests.control_plane.people import PASSWORD
from tests.control_plane.plane import DAY, plane

MARKUP = "<script>alert(1)</script>"


def account_of(site: Site, visitor: Visitor) -> str:
    return str(visitor.client.get("/api/v1/me").json()["account"])


def test_details_are_corrected_and_shown(here: Site) -> None:
    jane = here.owner()
    page = jane.sends("/account", "/account/person", first_name="Jane", last_name="O'Neill", phone="+44 1865 1")
    assert page.done == "Saved." and page.form("/account/person")["last_name"] == "O'Neill"
    page = jane.sends("/account", "/account/business", business_name="Lessons & Co", tax_number="GB 123 456")
    assert (page.heading, page.form("/account/business")["tax_number"]) == ("Lessons & Co", "GB123456")


def test_commercial_mail_is_taken_back_by_one_tick(here: Site) -> None:
    jane = here.owner(commercial_mail=True)
    assert jane.get("/account").form("/account/person")["commercial_mail"] == "yes"
    page = jane.sends("/account", "/account/person", commercial_mail=None)
    assert "commercial_mail" not in page.form("/account/person")


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("/account/person", "first_name", "x" * 150),
        ("/account/person", "language", "xx"),
        ("/account/business", "business_name", "Stentor"),
        ("/account/business", "time_zone", "Mars/Olympus"),
        ("/account/business", "slug", "admin"),
        ("/account/business", "slug", "a--b"),
        ("/account/business", "address", "x" * 2001),
    ],
)
def test_a_wrong_detail_is_told_beside_its_field_of_its_own_form(
    here: Site, action: str, field: str, value: str
) -> None:
    page = here.owner().sends("/account", action, **{field: value})
    assert page.status == 422 and set(page.errors) == {field}
    [wrong] = [node for node in page.tree.all() if node.attrs.get("aria-invalid") == "true"]
    assert wrong.attrs["id"] == f"{action.rpartition('/')[2]}-{field}"


def test_what_people_type_is_text_wherever_it_is_shown(here: Site) -> None:
    there = town(here)
    jane = there.people["jane"]
    jane.sends("/account", "/account/person", first_name=MARKUP)
    jane.sends("/account", "/account/business", business_name=MARKUP, address=MARKUP)
    jane.sends("/account/profile", "/account/profile", about=MARKUP, contact=MARKUP)
    jane.sends("/account/keys", "/account/keys", name=MARKUP)
    jane.sends(f"/rooms/{there.room}", f"/rooms/{there.room}", title=MARKUP)
    jane.sends(f"/rooms/{there.room}", f"/rooms/{there.room}/links", label=MARKUP)
    shown = 0
    for name, who, path in there.pages():
        html = there.sees(who, path).response.text
        assert MARKUP not in html, name
        shown += "&lt;script&gt;alert(1)" in html
    assert shown >= 8


def test_the_password_is_changed_with_the_old_one_and_other_sessions_end(here: Site) -> None:
    jane, elsewhere = here.owner(), here.visitor("jane@example.com")
    elsewhere.signs_in()
    wrong = jane.sends("/account", "/account/password", old="not it at all", password="a new pass phrase")
    assert wrong.errors == {"old": "The present password is wrong."} and "not it at all" not in wrong.response.text
    assert jane.sends("/account", "/account/password", old=PASSWORD, password="a new pass phrase").status == 200
    assert elsewhere.get("/account").heading == "Sign in" and jane.get("/account").heading == "Jane's Lessons"


def test_a_session_is_ended_from_the_list_and_only_ones_own(here: Site) -> None:
    jane, elsewhere, desk = here.owner(), here.visitor("jane@example.com"), here.at_pages(here.staff())
    elsewhere.signs_in()
    rows = elsewhere.client.get("/api/v1/sessions").json()["items"]
    mine = next(row["id"] for row in rows if row["current"])
    csrf = desk.get("/account").form("/sign-out")["csrf"]
    assert desk.post(f"/account/sessions/{mine}/end", {"csrf": csrf}).status == 404
    assert elsewhere.get("/account").heading == "Jane's Lessons"
    assert jane.sends("/account/sessions", f"/account/sessions/{mine}/end").done == "The session has ended."
    assert elsewhere.get("/account").heading == "Sign in"


def test_a_key_is_shown_once_and_reloading_makes_no_second(here: Site) -> None:
    jane = here.owner()
    fields = {**jane.get("/account/keys").form("/account/keys"), "name": "Calendar", "scopes": "events"}
    first, again = jane.post("/account/keys", fields), jane.post("/account/keys", fields)
    [secret] = [node.text for node in first.tree.all("code") if node.text.startswith("sk_")]
    assert secret in again.response.text and secret not in jane.get("/account/keys").response.text
    assert first.response.headers["cache-control"] == "no-store"
    rows = jane.client.get("/api/v1/keys").json()["items"]
    assert [row["name"] for row in rows] == ["Calendar"] and rows[0]["scopes"] == ["events"]
    used = here.visitor().client.get("/api/v1/events", headers={"authorization": f"Bearer {secret}"})
    assert used.status_code == 200
    assert jane.sends("/account/keys", f"/account/keys/{rows[0]['id']}/revoke").done.startswith("The key is revoked")
    used = here.visitor().client.get("/api/v1/events", headers={"authorization": f"Bearer {secret}"})
    assert used.status_code == 401


def test_a_key_without_a_name_or_with_a_strange_right_is_not_made(here: Site) -> None:
    jane = here.owner()
    assert set(jane.sends("/account/keys", "/account/keys", name="").errors) == {"name"}
    assert jane.sends("/account/keys", "/account/keys", name="x", scopes="everything").status == 422
    assert jane.sends("/account/keys", "/account/keys", name="x", scopes="members").status == 422
    assert jane.client.get("/api/v1/keys").json()["items"] == []


def test_rights_are_given_taken_and_count_from_the_next_page_on(here: Site) -> None:
    owner = here.customer("jane@example.com")
    max_, jane = here.at_pages(here.member(owner, "max@example.com", [])), here.at_pages(owner)
    person = max_.client.get("/api/v1/me").json()["person"]
    action = f"/account/people/{person}/rights"
    assert max_.get("/rooms").status == 403
    assert jane.sends("/account/people", action, rights="events").done == "Saved."
    with entry("ACC-07.3"):
        assert max_.get("/rooms").status == 200
    jane.sends("/account/people", action, rights=None)
    assert max_.get("/rooms").status == 403
    csrf = max_.get("/account").form("/sign-out")["csrf"]
    assert max_.post(action, {"csrf": csrf, "rights": "billing"}).status == 403
    jane.sends("/account/people", f"/account/people/{person}/remove")
    assert max_.get("/account").heading in ("Sign in", "Account")


def test_an_invitation_is_taken_back_and_nobody_is_invited_twice(here: Site) -> None:
    jane = here.owner()
    assert set(jane.sends("/account/people", "/account/people", email="nonsense").errors) == {"email"}
    jane.sends("/account/people", "/account/people", email="max@example.com")
    [row] = jane.client.get("/api/v1/invitations").json()["items"]
    page = jane.sends("/account/people", f"/account/invitations/{row['id']}/take-back")
    assert page.done == "The invitation is taken back." and "max@example.com" not in page.response.text
    assert "already" in jane.sends("/account/people", "/account/people", email="jane@example.com").errors["email"]


def test_the_public_page_shows_what_is_visible_and_a_hidden_one_looks_like_none(here: Site) -> None:
    there = town(here)
    jane, stranger = there.people["jane"], there.people["stranger"]
    assert "Piano lessons" in stranger.get("/p/janes-lessons").response.text
    page = jane.sends("/account/profile", "/account/profile", contact_visible=None)
    assert page.done == "Saved."
    shown = stranger.get("/p/janes-lessons").response.text
    with entry("ACC-20.3"):
        assert "jane@example.com" not in shown and "Piano lessons" in shown
    jane.sends("/account/profile", "/account/profile", public=None)
    hidden, unknown = stranger.get("/p/janes-lessons"), stranger.get("/p/nobody-at-all")
    with entry("ACC-20.1"):
        assert (hidden.status, hidden.tree.all("main")[0].text.split("req_")[0]) == (
            404,
            unknown.tree.all("main")[0].text.split("req_")[0],
        )
        assert 'content="noindex"' in hidden.response.text


@pytest.mark.parametrize(
    "website", ["javascript:alert(1)", "data:text/html,x", "//evil.test", "https://", "ftp://x.test"]
)
def test_a_website_that_is_none_is_refused_and_never_becomes_a_link(here: Site, website: str) -> None:
    there = town(here)
    page = there.people["jane"].sends("/account/profile", "/account/profile", website=website)
    assert set(page.errors) == {"website"}
    body = {"parts": {"website": {"text": website, "visible": True}}}
    token = there.people["jane"].get("/account").form("/sign-out")["csrf"]
    answer = there.people["jane"].client.patch("/api/v1/account/profile", json=body, headers={"x-csrf-token": token})
    assert answer.status_code == 204
    shown = there.people["stranger"].get("/p/janes-lessons")
    assert website not in [node.attrs["href"] for node in shown.tree.all("a")]


def test_a_suspended_owner_signs_in_and_reads_why_and_reaches_nothing_else(here: Site) -> None:
    owner = here.customer("olga@example.com")
    suspend(here, str(owner.me()["account"]))
    olga = here.visitor("olga@example.com")
    page = olga.signs_in()
    assert "This account is suspended" in page.tree.text and "Abuse" in page.tree.text
    assert olga.get("/rooms").status == olga.get("/account/keys").status == olga.get("/account/profile").status == 403
    assert olga.get("/account/sessions").status == 200


def test_the_owner_sees_who_of_the_staff_was_in_and_for_which_ticket(here: Site) -> None:
    there = town(here)
    page = there.sees("jane", "/account/staff-visits")
    assert (
        "T-1042" in page.tree.text and "The owner asked us to look" in page.tree.text and "open now" in page.tree.text
    )


def test_a_slug_is_kept_when_the_field_is_left_empty(here: Site) -> None:
    there = town(here)
    there.people["jane"].sends("/account", "/account/business", slug="")
    row = here.store.read(lambda connection: people.account(connection, there.account))
    assert row.slug == "janes-lessons"


def test_nothing_of_the_pages_is_kept_in_the_audit_but_ids(here: Site) -> None:
    jane = here.owner()
    jane.sends("/account", "/account/person", first_name="Janet")
    [row] = seen.audit(here.store, "person_corrected")
    assert row["ids"]["fields"] == "first_name" and "Janet" not in str(row["ids"])


def test_the_account_says_what_changes_until_when_one_may_end_and_asks_for_nothing(store: Store, folder: Path) -> None:
    with plane(store, folder) as here:
        jane = here.customer("jane@example.com")
        assert jane.call("PATCH", "/account", {"time_zone": "Europe/Warsaw"}).status_code == 204
        new = here.publish(fees=True)
        here.settle()
        before = here.notices(str(jane.me()["account"]))
        page = Page(jane.client.get("/account"))
        (section,) = [node for node in page.tree.all("section") if node.attrs.get("aria-labelledby") == "changes"]
        with entry("LEG-03.1"):
            assert "You were told on 25 Nov 2026, 13:00 CET." in section.text
            assert "without any use from 5 Dec 2026, 13:00 CET" in section.text
            assert "end the agreement until 5 Dec 2026, 13:00 CET: then the version of 2022-12-15" in section.text
        with entry("LEG-05.1"):
            assert "The new fees hold for you from 25 Dec 2026, 13:00 CET" in section.text
            assert "end the agreement until 25 Dec 2026, 13:00 CET: then the earlier fees" in section.text
        links = [node.attrs["href"] for node in section.all("a")]
        assert links.count(f"/legal/terms/{new}/en") == 2 and section.all("form", "button", "input") == []
        assert faults(page.tree) == []
        assert here.notices(str(jane.me()["account"])) == before, "nobody accepts by reading"
        jane.call("POST", "/events", {"title": "Lesson"})
        used = Page(jane.client.get("/account")).tree.text
        assert "holds for you since 25 Nov 2026, 13:00 CET, when the service was used" in used
        here.go_to(here.clock.now() + 40 * DAY)
        jane.signs_in()
        over = Page(jane.client.get("/account"))
        assert "The new fees hold for you since 25 Dec 2026, 13:00 CET." in over.tree.text
        (details,) = over.tree.all("details")
        assert len(details.all("li")) == 2 and "you may end the agreement" not in over.tree.text
        assert faults(over.tree) == []


def test_who_was_told_of_nothing_sees_nothing_of_it(here: Site) -> None:
    assert "Changes of our texts" not in here.owner().get("/account").tree.text
