"""Odd input at every form of every page, and at every address: taken or told, and never a fault of ours."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator

import pytest

from control_plane.storage.store import Store
from tests.control_plane.pages.browsing import Page, Site, Visitor, site
from tests.control_plane.pages.test_every_page import address, need_of, page_routes
from tests.control_plane.pages.town import Town, town
from tests.control_plane.product import UNLIMITED

ODD = (
    "a\x00b",
    "\u202eevil",
    "a\r\nBcc: all@example.com",
    "' OR 1=1; DROP TABLE people; --",
    "%_\\",
    "../../etc/passwd",
    "//evil.test",
    "{{ 7 * 7 }}<script>alert(1)</script>",
    "\u0301\u200d\U0001f600" * 50,
    "9" * 400,
    "0001-01-01T00:00",
    "9999-12-31T23:59",
    "2027-02-30T10:00",
    "x" * 5_000,
)
# What would end the session of who tries, or the account that all others look at.
LEFT_OUT = ("/sign-out", "/account/leave", "/account/password")


@pytest.fixture
def here(store: Store) -> Iterator[Site]:
    """Without limits, so that each try is looked at."""
    with site(store, limits=UNLIMITED) as made:
        yield made


@pytest.fixture
def there(here: Site) -> Town:
    return town(here)


def forms(page: Page) -> Iterator[tuple[str, dict[str, str]]]:
    """(where it leads, what it would send) for each that changes something."""
    for node in page.tree.all("form"):
        action = node.attrs.get("action", "")
        if node.attrs.get("method") == "post" and action not in LEFT_OUT:
            yield action, page.form(action)


def tried(visitor: Visitor, action: str, fields: dict[str, str]) -> Page:
    page = visitor.post(action, fields, follow=False)
    assert page.status < 500, (action, fields, page.response.text[:300])
    location = page.response.headers.get("location", "/")
    assert re.match(r"/(?![/\\])|https://media\.test/", location), (action, fields, location)
    assert "<script>alert" not in page.response.text
    return page


@pytest.mark.slow
def test_no_form_of_any_page_breaks_at_odd_input_or_leads_elsewhere(there: Town) -> None:
    asked = 0
    for _, who, path in there.pages():
        visitor = there.people[who]
        for action, fields in forms(there.sees(who, path)):
            if there.account in action and action.endswith(("/suspend", "/lift")):
                continue
            for name in fields:
                for odd in ODD if name != "csrf" else ():
                    tried(visitor, action, {**fields, name: odd})
                    asked += 1
    assert asked > 500
    assert there.sees("jane", "/account").status == 200


def test_no_address_breaks_at_odd_words_in_it(there: Town, here: Site) -> None:
    odd = [urllib.parse.quote(one, safe="") for one in (*ODD[:8], "%00", "..", "\u2603")]
    visitors = [there.people[who] for who in ("stranger", "jane", "desk")]
    for route in page_routes(here):
        if route.methods != {"GET"} or "{" not in route.path:
            continue
        for word in odd:
            path = re.sub(r"\{\w+\}", word, route.path)
            for visitor in visitors:
                page = Page(visitor.client.get(path, headers=visitor.headers, follow_redirects=False))
                assert page.status < 500, (path, need_of(route))
    for query in ("a=%00", "next=%00", "%00=1", "next=//evil.test", "q=%25%00"):
        for path in ("/", "/sign-in", "/legal/terms", "/desk"):
            page = Page(visitors[2].client.get(f"{path}?{query}", headers=visitors[2].headers, follow_redirects=False))
            assert page.status < 500, (path, query)
            assert "evil.test" not in page.response.headers.get("location", "")
    assert address(there, "/rooms/{event}") == f"/rooms/{there.room}"
