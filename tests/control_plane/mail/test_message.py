"""Mails: the same bytes at every try, in a person's language, and nothing that a person gave becomes a header."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import jinja2
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import Invalid
from control_plane.mail import message
from control_plane.mail.message import Mail, Sender, compose
from tests.control_plane.running.made_up import NOON

SENDER = Sender("no-reply@stentor.example", "Stentor")
LINK = "https://stentor.example/verify?token=a&b=c"


def verification(to: str = "jan@example.org", language: str = "en", name: str = "", **values: str | int) -> Mail:
    return Mail(to, "verification", language, {"link": LINK, **values}, name)


def part(made: EmailMessage, kind: str) -> str:
    found = made.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def test_a_mail_has_text_and_html_and_says_who_it_is() -> None:
    made = compose(verification(name="Zoë Ż."), SENDER, key="verify:per_1:1", at=NOON)
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)
    assert (read["From"], read["To"]) == ("Stentor <no-reply@stentor.example>", '"Zoë Ż." <jan@example.org>')
    assert read["Subject"] == "Please confirm your e-mail address"
    assert read["Date"].datetime == NOON
    assert re.fullmatch(r"<[0-9a-f]{32}@stentor\.example>", read["Message-ID"])
    assert (read["Auto-Submitted"], read["Content-Language"]) == ("auto-generated", "en")
    assert LINK in part(made, "plain")
    assert f'href="{LINK.replace("&", "&amp;")}"' in part(made, "html")
    assert '<html lang="en">' in part(made, "html")


def test_the_same_mail_is_the_same_bytes_and_another_key_another_mail() -> None:
    one, same, other = (compose(verification(), SENDER, key=key, at=NOON).as_bytes() for key in "aab")
    assert one == same and one != other


@pytest.mark.parametrize(
    "address",
    [
        "jan@example.org\r\nBcc: all@example.org",
        "jan@example.org\nX: y",
        "jan@example.org,other@example.org",
        "jan@example.org other@example.org",
        "Jan <jan@example.org>",
        "jan@example.org>",
        '"a b"@example.org',
        "jan",
        "@example.org",
        "jan@",
        "a@b@c",
        "jan..k@example.org",
        ".jan@example.org",
        "jan@-example.org",
        "jan@example..org",
        "jan@exämple.org",
        "jän@example.org",
        "jan@[127.0.0.1]",
        "jan@example.org\x00",
        "x" * 65 + "@example.org",
        "jan@" + "a" * 60 + ("." + "b" * 60) * 4,
        "",
    ],
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        verification(address)
    assert (refused.value.code, refused.value.field) == ("bad_address", "email")
    with pytest.raises(Invalid):
        Sender(address)


def test_addresses_as_people_have_them_are_fine() -> None:
    for address in ("a@b.de", "jan.k+tag@sub.example.org", "o'neil@example.org", "x@localhost", "a@xn--exmple-cua.org"):
        made = compose(verification(address), SENDER, key="k", at=NOON)
        assert email.message_from_bytes(made.as_bytes(), policy=email.policy.default)["To"] == address


@pytest.mark.parametrize("name", ["a\r\nBcc: x@y.z", "a\nb", "a\x00", "a\u2028b", "a\u202eb", "x" * 201])
def test_a_name_that_could_be_more_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="bad_name"):
        verification(name=name)
    with pytest.raises(Invalid, match="bad_name"):
        Sender("a@b.de", name)


@given(st.text(max_size=200))
def test_no_name_makes_a_header_or_another_address(name: str) -> None:
    try:
        made = compose(verification(name=name), SENDER, key="k", at=NOON)
    except Invalid:
        return
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)
    assert [address.addr_spec for address in read["To"].addresses] == ["jan@example.org"]
    assert sorted(read.keys()) == sorted(compose(verification(), SENDER, key="k", at=NOON).keys())


def test_values_are_only_values() -> None:
    for value in ("a\x00b", "a\x1b[31m", "\u202eabc", "x" * 5001):
        with pytest.raises(ValueError, match="control signs"):
            verification(link=value)
    wrong: Any = 1.5
    for values in ({"link": wrong}, {"a b": "c"}):
        with pytest.raises(ValueError, match="neither words"):
            Mail("a@b.de", "verification", "en", values)
    for template, language in (("../../etc/passwd", "en"), ("verification", "../x"), ("", "en"), ("verification", "")):
        with pytest.raises(ValueError, match="plain word"):
            Mail("a@b.de", template, language)


def test_html_in_a_value_stays_words() -> None:
    made = compose(
        Mail("a@b.de", "invitation", "en", {"link": LINK, "account": "<script>x</script>"}), SENDER, key="k", at=NOON
    )
    assert "<script>" not in part(made, "html") and "&lt;script&gt;" in part(made, "html")
    assert "<script>x</script>" in part(made, "plain")


def test_a_value_that_is_missing_or_a_template_that_is_not_there_is_told() -> None:
    with pytest.raises(jinja2.UndefinedError):
        compose(Mail("a@b.de", "verification", "en", {}), SENDER, key="k", at=NOON)
    with pytest.raises(jinja2.TemplateNotFound):
        compose(Mail("a@b.de", "unheard", "en", {}), SENDER, key="k", at=NOON)


def test_a_subject_of_two_lines_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of ours has a value in its subject; one that had could not be used to write headers."""
    (tmp_path / "templates").mkdir()
    for ending in ("txt", "html"):
        words = "{% block subject %}{{ title }}{% endblock %}{% block body %}x{% endblock %}"
        (tmp_path / "templates" / f"odd.{ending}").write_text(words)
    monkeypatch.setattr(message, "FOLDER", tmp_path)
    for title in ("a\r\nBcc: x@y.z", "a\nb", "", "x" * 400):
        with pytest.raises(ValueError, match="one line"):
            compose(Mail("a@b.de", "odd", "en", {"title": title}), SENDER, key="k", at=NOON, area=tmp_path)


def test_a_catalogue_speaks_another_language_and_english_fills_its_gaps(tmp_path: Path) -> None:
    catalogue = Catalog(locale="pl")
    catalogue.add("Please confirm your e-mail address", "Potwierdź swój adres e-mail")
    folder = tmp_path / "locale" / "pl" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.po").open("wb") as file:
        write_po(file, catalogue)
    made = compose(verification(language="pl"), SENDER, key="k", at=NOON, area=tmp_path)
    assert (made["Subject"], made["Content-Language"]) == ("Potwierdź swój adres e-mail", "pl")
    assert "Your account opens with it." in part(made, "plain")
    unknown = compose(verification(language="pt-BR"), SENDER, key="k", at=NOON, area=tmp_path)
    assert unknown["Subject"] == "Please confirm your e-mail address"


VALUES = {
    "link": LINK,
    "url": LINK,
    "error": "answered with status 500",
    "account": "Acme",
    "title": "Terms of service",
    "version": "2026-01-31",
    "begins": "1 Feb 2026, 12:00 UTC",
    "latest": "11 Feb 2026, 12:00 UTC",
    "deadline": "10 Feb 2026, 12:00 UTC",
    "since": "3 Feb 2026, 12:00 UTC",
    "address": "/legal",
    "ticket": "tkt_1",
    "reason": "sound",
    **dict.fromkeys(("period_end", "window_end", "freeze_end", "on"), "22 November 2026"),
    "number": "ST-2026-000001",
    "sum": "12.30 EUR",
    "autopay": "yes",
    "item": "Basic",
    "was": "19.00 EUR",
    "will": "25.00 EUR",
    "limit": "presenters",
    "used": "31",
    "most": "37",
}
TEMPLATES = sorted(path.stem for path in (message.FOLDER / "templates").glob("*.txt"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_can_be_written_in_both_forms_and_says_the_same(template: str) -> None:
    made = compose(Mail("a@b.de", template, "en", VALUES), SENDER, key="k", at=NOON)
    text, html = part(made, "plain"), part(made, "html")
    words = re.sub(r"<[^>]+>", " ", html)
    for value in VALUES.values():
        assert (value in text) == (value in words.replace("&amp;", "&"))
    # One heading, nothing fetched from anywhere, and every template is a pair.
    assert html.count("<h1") == 1 and "<img" not in html and "src=" not in html
    assert "{{" not in text + html and "{%" not in text + html
