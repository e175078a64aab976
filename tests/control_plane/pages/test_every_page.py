"""What holds for every page: who sees it, how it is built, what its headers say, and that nothing in it runs."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute

from control_plane.api import probes
from control_plane.api.doors import routes
from control_plane.api.limits import Limits
from control_plane.legal.kinds import LANGUAGES
from tests.control_plane import standing
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Page, Site, parsed
from tests.control_plane.pages.town import Town, town
from tests.control_plane.product import UNLIMITED


@pytest.fixture
def there(here: Site) -> Town:
    return town(here)


def page_routes(site: Site) -> list[APIRoute]:
    others = [route.path for route in routes(site.app) if route.path.startswith("/api/")] + list(probes.PATHS)
    return [route for route in routes(site.app) if route.path not in others]


def need_of(route: APIRoute) -> str:
    return str(route.endpoint.need)  # type: ignore[attr-defined]


def address(town: Town, path: str) -> str:
    """The path with ids of the town in it."""
    values = {
        "event": town.room,
        "account": town.account,
        "access": town.access,
        "invoice": town.invoice,
        "reference": town.card,
        "number": town.number,
        "slug": "janes-lessons",
        "kind": "terms",
        "version": "2022-12-15",
        "language": "en",
    }
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "xxx_aaaa"), path)


def test_every_page_is_accessible_and_well_formed(there: Town) -> None:
    wrong = {}
    for name, who, path in there.pages():
        found = faults(there.sees(who, path).tree)
        if found:
            wrong[name] = found
    assert not wrong


def test_the_list_of_pages_is_whole(there: Town, here: Site) -> None:
    shown = {re.sub(r"\?.*", "", path) for _, _, path in there.pages()}
    # Not pages to look at: files, redirects, plain text.
    others = {"/assets/{hash}/{name}", "/account/profile/preview", "/legal/{kind}"}
    others |= {"/legal/{kind}/{version}/{language}.txt", "/dev/mail", "/dev/mail/{letter}", "/billing/history.csv"}
    others |= {"/billing/documents/{invoice}.pdf", "/billing/card/back/{reference}", "/billing/paid/{reference}"}
    for route in page_routes(here):
        if route.methods == {"GET"} and route.path not in others:
            assert address(there, route.path) in shown, route.path


def test_every_page_has_strict_headers_and_nothing_from_elsewhere(there: Town) -> None:
    for name, who, path in there.pages():
        page = there.sees(who, path)
        headers, html = page.response.headers, page.response.text
        rules = headers["content-security-policy"]
        assert "default-src 'none'" in rules and "frame-ancestors 'none'" in rules and "unsafe" not in rules, name
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store", name
        assert headers["referrer-policy"] == "same-origin" and "strict-transport-security" in headers, name
        assert " style=" not in html and "<style" not in html and not re.search(r"\son\w+=", html), name
        for node in page.tree.all("script", "link", "img"):
            source = node.attrs.get("src") or node.attrs["href"]
            assert source.startswith("/assets/"), (name, source)
            assert not node.text
        assert bool(page.tree.all("script")) == ("script-src" in rules), name


def test_assets_are_kept_for_ever_and_nothing_else_is_served_beside_them(there: Town) -> None:
    stranger = there.people["stranger"]
    page = stranger.get("/")
    [style] = [node.attrs["href"] for node in page.tree.all("link") if node.attrs["rel"] == "stylesheet"]
    answer = stranger.get(style).response
    assert (
        answer.headers["content-type"] == "text/css; charset=utf-8" and "immutable" in answer.headers["cache-control"]
    )
    place, name = style.rsplit("/", 1)
    for path in (f"/assets/0/{name}", f"{place}/shell.py", f"{place}/..%2Fshell.py", f"{place}/%2e%2e/words.py"):
        assert stranger.get(path).status == 404, path


def expected(who: str, need: str) -> str:
    """ "in", "sign in" or "no". Max is a member without rights; Olga's account is suspended; Desk owns one himself."""
    if need == "public":
        return "in"
    if who == "stranger":
        return "sign in"
    if need in ("person", "member"):
        return "in"
    if need == "staff":
        return "in" if who == "desk" else "no"
    if need == "billing" and who == "olga":  # who is suspended still sees and pays bills
        return "in"
    return "in" if who in ("jane", "desk") else "no"


def test_who_gets_in_where(there: Town, here: Site) -> None:
    """Every role at every route, as pages and as forms; more than anybody asks for in a minute."""
    standing.renew(here.app.state.doors.limits, Limits(UNLIMITED))
    seen = 0
    for route in page_routes(here):
        path = address(there, route.path)
        for who, visitor in there.people.items():
            [method] = route.methods or set()
            if method == "POST":
                if need_of(route) == "public" or route.path in ("/sign-out", "/account/leave"):
                    continue
                csrf = visitor.get("/account").tree
                token = [node.attrs["value"] for node in csrf.all("input") if node.attrs.get("name") == "csrf"]
                fields = {"csrf": token[0]} if token and who != "stranger" else {}
                page = visitor.post(path, fields, follow=False)
            else:
                page = Page(visitor.client.get(path, headers=visitor.headers, follow_redirects=False))
            to_sign_in = page.status == 303 and page.response.headers["location"].startswith("/sign-in?next")
            to_sign_in = to_sign_in or page.response.headers.get("location") == "/sign-in"
            got = "sign in" if to_sign_in else "no" if page.status == 403 else "in"
            assert got == expected(who, need_of(route)), (who, method, path, page.status)
            seen += 1
    assert seen > 200


def test_a_form_without_its_token_or_with_that_of_another_changes_nothing(there: Town, here: Site) -> None:
    jane, desk = there.people["jane"], there.people["desk"]
    foreign = desk.get("/account").form("/sign-out")["csrf"]
    for route in page_routes(here):
        if route.methods != {"POST"} or need_of(route) == "public":
            continue
        for fields in ({}, {"csrf": ""}, {"csrf": foreign}, {"csrf": "é"}):
            page = jane.post(address(there, route.path), {"email": "x@example.com", **fields}, follow=False)
            assert (page.status, page.heading) == (403, "This form is out of date"), route.path
    assert jane.get("/account").heading == "Jane's Lessons"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://sub.stentor.test"},
    ],
)
def test_a_form_of_another_site_is_refused_also_where_nobody_is_signed_in(there: Town, headers: dict[str, str]) -> None:
    for path in ("/sign-in", "/sign-up", "/forgot", "/language", "/join"):
        page = there.people["stranger"].post(path, {"email": "jane@example.com"}, follow=False, **headers)
        assert page.status == 403, path
    assert there.people["stranger"].post("/join", {"room": there.number}, origin="https://stentor.test").status == 200


def test_what_is_no_form_is_refused_in_words(there: Town) -> None:
    jane = there.people["jane"]
    for body, kind in (
        (b"{}", "application/json"),
        (b"a=%FF%FE", "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _ in range(500)), "application/x-www-form-urlencoded"),
    ):
        answer = jane.client.post("/account/person", content=body, headers={**jane.headers, "content-type": kind})
        assert answer.status_code == 422 and parsed(answer.text).all("h1")[0].text == "This cannot be done"
    large = jane.client.post("/account/person", content=b"a=" + b"b" * 70_000, headers=jane.headers)
    assert large.status_code == 413 and "too much" in parsed(large.text).all("h1")[0].text


@pytest.mark.parametrize("path", ["/nowhere", "/p/nobody", "/rooms/evt_aaaa", "/join/12", "/legal/terms/x/en", "/%00"])
def test_what_is_not_there_is_told_kindly(there: Town, path: str) -> None:
    page = there.sees("jane", path)
    assert page.status == 404 and page.heading == "There is nothing here"
    assert faults(page.tree) == []


def test_programs_are_told_as_ever(there: Town) -> None:
    stranger = there.people["stranger"]
    assert stranger.get("/api/v1/nowhere").response.headers["content-type"] == "application/problem+json"
    answer = stranger.client.get("/nowhere", headers={"accept": "*/*"})
    assert answer.json()["code"] == "not_found"


def test_a_fault_of_ours_says_so_and_no_more(there: Town, here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here.app.state.doors.store, "read", lambda question: 1 / 0)
    page = there.people["stranger"].get("/legal")
    assert (page.status, page.heading) == (500, "A fault of ours")
    assert "ZeroDivision" not in page.response.text and faults(page.tree) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_speak_every_language_and_say_which(there: Town, language: str) -> None:
    stranger = there.people["stranger"]
    stranger.client.cookies.set("language", language)
    page = stranger.get("/sign-up")
    assert page.tree.all("html")[0].attrs["lang"] == language.replace("_", "-")
    assert page.form("/language")["language"] == language
