"""A visitor gets the language he asked for."""

from __future__ import annotations

import pytest

from control_plane import catalogues
from control_plane.pages import words
from control_plane.pages.languages import wanted
from tests.control_plane.entries import entry
from tests.control_plane.pages.browsing import Site


def test_every_code_of_the_words_is_in_the_template() -> None:
    known = {message.id for message in catalogues.found(catalogues.AREAS[0])}
    for table in (words.ERRORS, words.DONE, words.RIGHTS, words.REASONS, words.STATUSES, words.KINDS, words.ROLES):
        assert set(table.values()) <= known
    assert {words.problem(status, "").title for status in (403, 404, 413, 429, 500, 503, 418)} <= known


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "pl", "pl"),
        ("", "de-AT,de;q=0.9,en;q=0.5", "de"),
        ("", "en;q=0.2, fr;q=0.8", "fr"),
        ("", "pt-BR", "pt_BR"),
        ("", "pt", "pt_BR"),
        ("", "ja, zh;q=0.5", "en"),
        ("", "de;q=0, it;q=0.1", "it"),
        ("", "de;q=nan,es;q=x", "en"),
        ("", "," * 5000 + "pl", "en"),
        ("ru", "pl", "ru"),
        ("xx", "pl", "pl"),
        ("../../etc", "pl", "pl"),
    ],
)
def test_which_language_a_page_has(cookie: str, accepted: str, language: str) -> None:
    assert wanted(cookie, accepted) == language


def test_a_choice_stays_over_signing_in_and_an_unknown_language_falls_back(here: Site) -> None:
    jane = here.visitor("jane@example.com", **{"accept-language": "ja"})
    with entry("PROD-20.1"):
        assert jane.get("/sign-up").tree.all("html")[0].attrs["lang"] == "en"
    jane.sends("/sign-up", "/language", language="de")
    jane.signs_up()
    jane.sends("/verify", "/verify", token=jane.mailed("verification"))
    with entry("PROD-20.2"):
        assert jane.signs_in().tree.all("html")[0].attrs["lang"] == "de"
    assert jane.get("/account").form("/account/person")["language"] == "de"


def test_a_choice_leads_back_to_the_page_and_nowhere_else(here: Site) -> None:
    jane = here.visitor()
    assert jane.post("/language", {"language": "pl", "next": "/legal"}).response.url.path == "/legal"
    foreign = jane.post("/language", {"language": "pl", "next": "//evil.test"}, follow=False)
    assert foreign.response.headers["location"] == "/"
    odd = jane.post("/language", {"language": "pl\r\nset-cookie: a=b", "next": "/"}, follow=False)
    assert odd.status == 303 and "set-cookie" not in odd.response.headers


def test_no_code_of_an_error_is_a_word_of_ours() -> None:
    """`say` takes both: the badge "suspended" once told why a freeze was refused."""
    assert not words.ERRORS.keys() & words._SENTENCES
