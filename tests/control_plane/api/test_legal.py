"""The legal texts over HTTP: without signing in, at addresses that stay, for screens, paper and files."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx2
import pytest

from control_plane.legal import feedback, shipped, texts
from control_plane.legal.kinds import LANGUAGES
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.legal.given import DAY, NOW, edition, publish
from tests.control_plane.product import product

TERMS = "/legal/terms/2022-12-15/en"


@pytest.fixture
def site(store: Store) -> Iterator[httpx2.Client]:
    """The product's own pages and API. Nobody is signed in. The texts were published at NOW, a while ago."""
    store.write(lambda connection: texts.publish(connection, NOW, shipped.editions()))
    with product(store) as made:
        client = made.client()
        client.follow_redirects = False
        yield client


class Page(HTMLParser):
    """Ids and links of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.languages: list[str] = []  # of the text, whatever the frame speaks
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")
            if name == "lang" and tag == "article":
                self.languages.append(value or "")


def test_the_terms_are_read_without_signing_in(site: httpx2.Client) -> None:
    with entry("LEG-06.1"):
        page = site.get(TERMS)
        assert page.status_code == 200 and "Terms of service</h1>" in page.text
        assert "set-cookie" not in page.headers
        assert site.get("/legal/terms").headers["location"] == TERMS


def test_every_version_ever_published_has_an_address_that_stays(site: httpx2.Client, store: Store) -> None:
    publish(store, NOW, edition("terms", "2026-11-02", words="A second version."))
    listed = site.get("/api/v1/legal/texts").json()
    with entry("LEG-06.2"):
        assert len(listed) == len(shipped.editions()) + 1
        for text in listed:
            saved, page = site.get(text["plain"]), site.get(text["address"])
            assert hashlib.sha256(saved.content).hexdigest() == text["body_hash"]
            assert (
                saved.headers["content-type"] == "text/plain; charset=utf-8"
                and "immutable" in saved.headers["cache-control"]
            )
            assert page.status_code == 200 and text["body_hash"] in page.text
    with entry("LEG-06.2"):
        assert "A second version." in site.get("/legal/terms/2026-11-02/en.txt").text
        assert "A second version." not in site.get(TERMS + ".txt").text


def test_the_page_prints_well(site: httpx2.Client) -> None:
    with entry("LEG-06.3"):
        (style,) = [link for link in Page(site.get(TERMS).text).links if link.endswith(".css")]
        sheet = site.get(style)
        assert sheet.headers["content-type"].startswith("text/css")
        on_paper = sheet.text.partition("@media print")[2]
        assert "@page" in sheet.text and re.search(r"nav[^{}]*\{[^}]*display: none", on_paper)


def test_the_text_of_a_past_date_is_shown(site: httpx2.Client, store: Store) -> None:
    publish(store, NOW, edition("terms", "2026-11-02"))
    with entry("LEG-01.1"):
        assert site.get("/legal/terms?on=2022-12-15").headers["location"] == TERMS
        assert site.get("/legal/terms?on=2026-11-02").headers["location"] == "/legal/terms/2026-11-02/en"
        assert site.get("/legal/terms?on=2022-12-14").status_code == 404


def test_no_text_of_the_future_is_promised(site: httpx2.Client, store: Store) -> None:
    publish(store, NOW, edition("terms", "2026-12-01"))
    assert site.get("/legal/terms?on=2026-12-24").headers["location"] == TERMS
    assert "in force from December 1, 2026" in site.get("/legal").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_legal_page_has_three_texts_with_chapters_whose_anchors_work(site: httpx2.Client, language: str) -> None:
    def shown(spoken: str) -> list[str]:
        page = site.get("/legal", headers={"accept-language": spoken.replace("_", "-")})
        return [link for link in Page(page.text).links if link.startswith("/legal/")]

    links = shown(language)
    anchors: dict[str, list[str]] = {}
    with entry("LEG-13.1"):
        for address, _, anchor in (link.partition("#") for link in links if "#" in link):
            text = Page(site.get(address).text)
            assert anchor in text.ids and f"#{anchor}" in text.links
            anchors.setdefault(address.split("/")[2], []).append(anchor)
        assert {kind: len(found) for kind, found in anchors.items()} == {
            "privacy": 8,
            "terms": 12,
            "affiliate": 9,
            "processing": 4,
        }
        english = shown("en")
        assert [link.partition("#")[2] for link in links] == [link.partition("#")[2] for link in english]


def test_the_browsers_language_is_taken_unless_another_is_asked_for(site: httpx2.Client) -> None:
    def to(wish: str, accepted: str) -> str:
        answer = site.get(f"/legal/terms{wish}", headers={"accept-language": accepted})
        return str(answer.headers["location"]).rpartition("/")[2]

    assert to("", "de-CH,de;q=0.9,en;q=0.1") == "de"
    assert to("", "zh,pl") == "pl"
    assert to("?language=pl", "de") == "pl"
    assert to("", "," * 10_000 + "pl") == "en"
    assert Page(site.get("/legal/terms/2022-12-15/pl").text).languages == ["pl"]


@pytest.mark.parametrize(
    "address",
    [
        "/legal/recipes",
        "/legal/terms/2022-12-14/en",
        "/legal/terms/2022-12-15/xx",
        "/legal/terms/%27%20OR%201=1/en",
        "/legal/..%2f..%2fetc/passwd/en",
        "/legal/terms/2022-12-15/en.txt.txt",
        "/legal/terms/2022-12-15/" + "a" * 5000,
        "/api/v1/legal/texts/terms/2022-12-15/..",
    ],
)
def test_what_is_not_there_is_not_found(site: httpx2.Client, address: str) -> None:
    assert site.get(address).status_code == 404


def test_a_date_that_does_not_exist_is_refused(site: httpx2.Client) -> None:
    assert site.get("/legal/terms?on=2023-02-30").status_code == 422


def test_nothing_foreign_runs_on_these_pages(site: httpx2.Client, store: Store) -> None:
    publish(store, NOW, edition("beta", "2026-11-02", words="<script>alert(1)</script>"))
    page = site.get("/legal/beta/2026-11-02/en")
    assert "<script" not in page.text and "&lt;script&gt;" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    whole = site.get("/api/v1/legal/texts/beta/2026-11-02/en").json()
    assert "<script" not in whole["html"] and "<script>" in whole["text"]


def test_the_form_for_feedback_says_what_becomes_of_it(site: httpx2.Client, store: Store) -> None:
    form = site.get("/legal/feedback").text
    with entry("LEG-09.1"):
        assert "use what you send here freely" in form and "do not treat it as confidential" in form
        assert form.index("not treat it as confidential") < form.index(">Send</button>"), "before it is sent"
    answer = site.post("/legal/feedback", data={"text": "More colours."})
    assert (answer.status_code, answer.headers["location"]) == (303, "/legal/feedback?done=feedback")
    assert [one.text for one in store.read(feedback.everything)] == ["More colours."]
    assert "it has arrived" in site.get("/legal/feedback?done=feedback").text


@pytest.mark.parametrize("data", [{}, {"text": ""}, {"text": "a" * 4001}, {"text": "a\x00"}, {"text": " "}])
def test_feedback_that_is_none_is_refused(site: httpx2.Client, store: Store, data: dict[str, str]) -> None:
    assert site.post("/legal/feedback", data=data).status_code == 422
    assert store.read(feedback.everything) == []


def test_a_translation_that_comes_later_is_linked(site: httpx2.Client, store: Store) -> None:
    publish(store, NOW, edition("beta", "2026-11-02"))
    publish(store, NOW + DAY, edition("beta", "2026-11-02", "pt_BR"))
    assert "/legal/beta/2026-11-02/pt_BR" in Page(site.get("/legal/beta/2026-11-02/en").text).links
    published = site.get("/api/v1/legal/texts/beta/2026-11-02/pt_BR").json()["published_at"]
    assert datetime.datetime.fromisoformat(published) == NOW + DAY
