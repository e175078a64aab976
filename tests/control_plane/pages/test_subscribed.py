"""What is used of limits and left of what was bought, at the pages of billing: bars, and the words beside them."""

from __future__ import annotations

import datetime

from control_plane.billing import add_ons
from control_plane.rooms import stored, usage
from tests.control_plane.entries import entry
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Page, Site
from tests.control_plane.pages.payer import Payer


def bars(page: Page) -> dict[str, str]:
    """What each limit's bar says in words."""
    box = next(node for node in page.tree.all("ul") if node.attrs.get("class") == "bars")
    return {row.all("span")[0].text: row.all("strong")[0].text for row in box.all("li")}


def holds(here: Site, jane: Payer, kind: str, people: int) -> None:
    """So many are in one of her rooms at once, as the media server tells it."""
    event = jane.person.call("POST", "/events", {"title": "Lesson", "kind": kind}).json()
    now = here.clock.now()
    stays = [
        usage.Used(event["number"], f"p{n}", f"gst_{n}", n < 2, now, now + datetime.timedelta(minutes=90), 1, 1)
        for n in range(people)
    ]
    here.store.write(lambda connection: usage.take(connection, now, "boot1", stays))


def test_what_is_used_of_each_limit_is_shown_in_bars_and_in_words(here: Site, jane: Payer) -> None:
    assert bars(jane.sees())["People in one meeting"] == "0 of 5"
    jane.orders(country="US")
    holds(here, jane, "meeting", 31)
    holds(here, jane, "webinar", 800)
    here.member(jane.person, "max@example.com", ["events"])
    page = jane.sees()
    assert bars(page) == {
        "People in one meeting": "31 of 40",
        "People in one webinar": "800 of 1000 nearly reached",
        "Presenters in one webinar or large event": "2 of 10",
        "People beside the owner": "1 of 25",
        "Files that are kept": "0 MB of 50 GB",
        "Recordings that are kept": "0 MB of 200 GB",
    }
    widths = [node.attrs["width"] for node in page.tree.all("rect") if node.attrs["class"] == "used"]
    assert widths == ["77", "80", "20", "4", "0", "0"]
    # A bar is nothing to whoever hears the page; the words say it all.
    assert all(node.attrs["aria-hidden"] == "true" for node in page.tree.all("svg") if node.all("rect"))
    assert (
        "74790 minutes in rooms" in page.tree.text
        and "People in rooms: the most at one time from 25 November 2026 to 24 December 2026." in page.tree.text
    )
    assert "/billing/plan" in [node.attrs["href"] for node in page.tree.all("a") if node.text == "Get a larger plan"]
    assert "recorded" not in page.tree.text and not faults(page.tree)


def test_what_is_kept_is_shown_by_its_size_and_what_was_recorded_in_minutes(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    event = jane.person.call("POST", "/events", {"title": "Lesson", "kind": "meeting"}).json()
    now = here.clock.now()
    hour = stored.Stored(event["number"], "r1", "recording", now, now + datetime.timedelta(hours=1), 170_590_000_000)
    slides = stored.Stored(event["number"], "slides", "file", now, now, 999_990_000)
    here.store.write(lambda connection: usage.take(connection, now, "boot1", [hour, slides]))
    page = jane.sees()
    assert bars(page)["Recordings that are kept"] == "170.5 GB of 200 GB nearly reached"
    assert bars(page)["Files that are kept"] == "999.9 MB of 50 GB"
    assert "60 minutes were recorded." in page.tree.text and not faults(page.tree)
    told = jane.sends("/billing/plan", plan="basic").tree.ids()["beyond"].text
    assert "Recordings that are kept: 170.5 GB now, 20 GB in the new plan." in told and "Files" not in told


def test_what_is_left_of_toll_free_minutes_and_until_when_stands_beside_the_bars(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    assert "What is left of what you bought" not in jane.sees().tree.text
    jane.on(jane.sees("/billing/add-ons/quote?add_on=toll_free_minutes&quantity=2"), "/billing/add-ons/pay")
    assert "What is left of what you bought" not in jane.sees().tree.text, "they are not paid yet"
    here.settles()

    def left() -> tuple[str, str]:
        page = jane.sees()
        assert faults(page.tree) == []
        (box,) = (node for node in page.tree.all("ul") if node.attrs.get("aria-labelledby") == "left")
        (row,) = box.all("li")
        assert box.parent is not None
        width = next(node.attrs["width"] for node in row.all("rect") if node.attrs["class"] == "used")
        assert row.all("span")[0].text == "Toll-free minutes"
        return f"{row.all('strong')[0].text} {width}", box.parent.text

    def used(minutes: int) -> None:
        now, setup = here.clock.now(), here.charged.setup
        here.store.write(
            lambda connection: add_ons.use(connection, now, setup, jane.account, "toll_free_minutes", minutes)
        )

    told, words = left()
    assert told == "0 of 200 used, 200 left 0" and "It has no last day: it is there until it is used" in words
    used(63)
    assert left()[0] == "63 of 200 used, 137 left 31"
    used(97)
    assert left()[0] == "160 of 200 used, 40 left nearly used up 80"
    assert "Get a larger plan" not in jane.sees().tree.text, "no plan gives more of them"
    jane.on(jane.sees("/billing/freeze?days=40"), "/billing/freeze")
    jane.days(31)
    assert "It stays as it is while your plan is frozen." in left()[1]
    jane.on(jane.sees("/billing/unfreeze"), "/billing/unfreeze")
    here.settles()
    jane.sends("/billing/cancel")
    assert "It can be used until 24 January 2027, the whole of it, when your agreement ends" in left()[1]
    jane.sends("/billing", "/billing/cancel/undo")
    jane.sends("/billing/card", "/billing/card/remove")
    jane.days(31)
    told, words = left()
    assert told.startswith("160 of 200 used, 40 left") and "It is kept until 24 April 2027, the whole of it" in words
    used(40)
    assert "What is left of what you bought" not in jane.sees().tree.text


def test_before_a_smaller_plan_is_confirmed_it_is_said_what_is_used_beyond_it(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    for n in range(4):
        here.member(jane.person, f"m{n}@example.com", ["events"])
    holds(here, jane, "meeting", 31)
    with entry("BIL-48.2"):
        page = jane.sends("/billing/plan", plan="basic")
        told = page.tree.ids()["beyond"].text
        assert "People in one meeting: 31 now, 25 in the new plan." in told
        assert "People beside the owner: 4 now, 3 in the new plan." in told
        assert "webinar" not in told and "nothing is deleted" in told
    assert "beyond" not in jane.sends("/billing/plan", plan="business").tree.ids()
