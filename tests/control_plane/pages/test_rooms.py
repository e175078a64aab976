"""Rooms by the pages: made, changed, shared, started, joined by number and by link, closed for good."""

from __future__ import annotations

import datetime
import re

import pytest
import sqlalchemy as sa

from control_plane.accounts.tables import accounts
from control_plane.pages.forms import Refused
from control_plane.pages.rooms import local_instant
from control_plane.rooms.tables import room_events
from tests.control_plane.entries import entry
from tests.control_plane.pages.browsing import MEDIA, Page, Site, Visitor
from tests.control_plane.pages.town import room_titles


def makes(visitor: Visitor, **fields: str) -> tuple[str, str]:
    """(address of the room's page, number) of a fresh room."""
    page = visitor.sends("/rooms/new", "/rooms", **{"title": "Piano", **fields})
    assert page.done.startswith("The room is there"), page.errors
    number = re.search(r"\d{3} \d{3} \d{3}", page.tree.text)
    assert number is not None
    return page.response.url.path, number[0]


def goes(page: Page) -> str:
    """Where a form led."""
    assert page.status == 303, page.errors or page.heading
    return str(page.response.headers["location"])


def test_a_room_is_made_found_in_the_list_and_started_by_its_host(here: Site) -> None:
    jane = here.owner()
    room, number = makes(jane)
    assert number in jane.get("/rooms").tree.text
    address = goes(jane.sends(room, f"{room}/start", follow=False))
    assert address.startswith(f"{MEDIA}/?join=1#token=ey")
    # Browsers hold where a form may lead, over redirects too, against this.
    assert f"form-action 'self' {MEDIA}" in jane.get(room).response.headers["content-security-policy"]


def test_a_guest_joins_by_number_in_any_spelling_with_a_name_to_be_shown(here: Site) -> None:
    _, number = makes(here.owner())
    guest = here.visitor()
    with entry("PROD-17.2"):
        for spelling in (number, number.replace(" ", "-"), number.replace(" ", "")):
            page = guest.sends("/", "/join", room=spelling)
            assert page.heading == "Join a room" and number in page.tree.text
    address = f"/join/{number.replace(' ', '')}"
    nameless = guest.sends(address, address, name=" ")
    assert set(nameless.errors) == {"name"}
    assert goes(guest.sends(address, address, follow=False, name="Ada")).startswith(f"{MEDIA}/?join=1#token=")


@pytest.mark.parametrize(
    ("tried", "typed", "words"),
    [
        (1, "12345678", "exactly nine digits"),
        (1, "1234567890", "exactly nine digits"),
        (3, "12345678a", "digits only"),
        (3, "' or 1=1 --", "digits only"),
        (4, "012345678", "never begins with 0"),
        (3, "", "digits only"),
    ],
)
def test_a_number_that_is_none_is_told_beside_the_field(here: Site, tried: int, typed: str, words: str) -> None:
    page = here.visitor().sends("/", "/join", room=typed)
    with entry(f"PROD-17.{tried}"):
        assert words in page.errors["room"]


def test_a_number_that_nobody_has_looks_like_a_private_cancelled_or_suspended_one(here: Site) -> None:
    jane, guest = here.owner(), here.visitor()
    _, private = makes(jane, access="invited")
    gone, cancelled = makes(jane)
    jane.sends(gone, f"{gone}/cancel")
    answers = set()
    for number in ("999999999", private.replace(" ", ""), cancelled.replace(" ", "")):
        address = f"/join/{number}"
        shown = guest.get(address).response.text
        tried = guest.sends(address, address, name="Ada")
        assert tried.status == 422
        for html in (shown, tried.response.text):
            spoken = f"{number[:3]} {number[3:6]} {number[6:]}"
            answers.add(html.replace(number, "N").replace(spoken, "N"))
    with entry("PROD-17.9"):
        assert len(answers) == 2  # before and after trying, the same for all


def test_guessing_at_pages_and_api_is_counted_together(here: Site) -> None:
    makes(here.owner())
    guest = here.visitor()
    for number in range(10):
        guest.post(f"/join/99999999{number}", {"name": "Ada"})
        body = {"id": f"88888888{number}", "name": "Ada"}
        guest.client.post("/api/v1/join", json=body)
    page = guest.post("/join/999999998", {"name": "Ada"})
    with entry("PROD-17.8"):
        assert (page.status, page.heading) == (429, "Too often, too fast")


def test_a_link_opens_a_private_room_until_it_is_taken_back(here: Site) -> None:
    jane, guest = here.owner(), here.visitor()
    room, number = makes(jane, access="invited")
    page = jane.sends(room, f"{room}/links", role="attendee", label="the class")
    [link] = [node.text for node in page.tree.all("code") if "#token=" in node.text]
    assert link not in jane.get(room).response.text
    address = f"/join/{number.replace(' ', '')}"
    assert link.startswith(f"{here.base_url}{address}#token=")
    for sent in (link, link.partition("token=")[2]):  # as the script fills it in, and as people copy it
        assert goes(guest.sends(address, address, follow=False, name="Ada", token=sent)).startswith(MEDIA)
    [action] = [
        form.attrs["action"] for form in jane.get(room).tree.all("form") if form.attrs["action"].endswith("/revoke")
    ]
    assert jane.sends(room, action).done.startswith("The link opens nothing")
    assert guest.sends(address, address, name="Ada", token=link).status == 422


def test_a_room_is_changed_and_closed_for_good(here: Site) -> None:
    jane = here.owner()
    room, number = makes(jane, starts_at="2026-12-24T18:30", seats="3")
    page = jane.sends(room, room, title="Piano for all", access="invited")
    assert (page.heading, page.form(room)["access"], page.form(room)["seats"]) == ("Piano for all", "invited", "3")
    assert page.form(room)["starts_at"] == "2026-12-24T18:30"
    assert jane.sends(room, f"{room}/end").done.startswith("The room is over")
    assert number in jane.get(room).tree.text and "Change the room" not in jane.get(room).tree.text
    csrf = jane.get(room).form("/sign-out")["csrf"]
    assert jane.post(f"{room}/start", {"csrf": csrf}).status in (404, 410)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", " "),
        ("title", "x" * 201),
        ("title", "a\r\nb"),
        ("kind", "party"),
        ("kind", "large"),
        ("access", "all"),
        ("seats", "0"),
        ("seats", "ten"),
        ("seats", "1e3"),
        ("starts_at", "2026-02-30T10:00"),
        ("starts_at", "tomorrow"),
        ("starts_at", "2026-12-24T18:30+01:00"),
        ("starts_at", "0001-01-01T00:00"),
    ],
)
def test_what_no_room_can_be_is_told_and_nothing_is_made(here: Site, field: str, value: str) -> None:
    page = here.owner().sends("/rooms/new", "/rooms", **{"title": "Piano", field: value})
    assert page.status == 422 and page.errors and room_titles(here) == []
    assert field == "kind" or set(page.errors) == {field}


def test_a_time_is_that_of_the_account_and_one_that_is_skipped_is_told() -> None:
    utc = datetime.UTC
    assert local_instant("2026-07-01T10:00", "Europe/London") == datetime.datetime(2026, 7, 1, 9, tzinfo=utc)
    assert local_instant("2026-12-01T10:00", "Europe/London") == datetime.datetime(2026, 12, 1, 10, tzinfo=utc)
    assert local_instant(" ", "UTC") is None
    with pytest.raises(Refused, match="starts_at"):
        local_instant("2026-03-29T01:30", "Europe/London")


def test_another_time_zone_moves_no_room_and_one_that_is_gone_is_utc(here: Site) -> None:
    jane = here.owner()

    def lives_in(zone: str) -> None:
        here.store.write(lambda connection: connection.execute(accounts.update().values(time_zone=zone)))

    lives_in("Europe/Warsaw")
    room, _ = makes(jane, starts_at="2027-07-01T10:00")
    before = here.store.read(lambda connection: connection.scalar(sa.select(room_events.c.starts_at)))
    assert before == datetime.datetime(2027, 7, 1, 8, tzinfo=datetime.UTC)
    for zone, shown in (("America/New_York", "2027-07-01T04:00"), ("Europe/Atlantis", "2027-07-01T08:00")):
        lives_in(zone)
        page = jane.get(room)
        assert (page.status, page.form(room)["starts_at"]) == (200, shown)
    assert here.store.read(lambda connection: connection.scalar(sa.select(room_events.c.starts_at))) == before
    for path in ("/account", "/account/sessions", "/rooms", "/account/keys", "/account/staff-visits"):
        assert jane.get(path).status == 200, path


def test_another_accounts_room_is_not_there(here: Site) -> None:
    room, _ = makes(here.owner())
    other = here.owner("max@example.com", business_name="Max")
    csrf = other.get("/account").form("/sign-out")["csrf"]
    assert other.get(room).status == 404
    for action in ("", "/start", "/end", "/cancel", "/links"):
        assert other.post(f"{room}{action}", {"csrf": csrf, "title": "mine", "role": "host"}).status == 404, action
    assert room_titles(here) == ["Piano"]
