"""The frozen document: pro-forma, invoice, credit note; nothing that changes later changes it (BIL-15)."""

from __future__ import annotations

import datetime
from dataclasses import FrozenInstanceError, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.billing.catalogue import CATALOGUE
from control_plane.billing.charges import give_back
from control_plane.billing.document import (
    LINE_MAX,
    LINES_MAX,
    NAME_MAX,
    Document,
    Party,
    clean,
    credit_note,
    invoice,
    pro_forma,
    read,
    stored,
)
from control_plane.billing.tax import EU_TABLE
from control_plane.legal.kinds import LANGUAGES
from control_plane.money import Money
from tests.control_plane.billing.invoices import BUYER, ON, SELLER, paid, plan_line, several, unpaid
from tests.control_plane.entries import entry


def given_back(one: Document) -> Document:
    note = give_back(one.draft, {0: Money(100, "EUR"), 3: Money(5_000, "EUR")})
    return credit_note(one, "ref-1", "ST/C/2026/000001", ON, note)


def test_a_pro_forma_becomes_an_invoice_by_its_number_and_nothing_else_changes() -> None:
    open_ = unpaid()
    assert (open_.kind, open_.number, open_.paid_on, open_.due_on) == ("pro_forma", "", None, ON)
    later = ON + datetime.timedelta(days=3)
    done = invoice(open_, "ST/2026/000001", later)
    assert (done.kind, done.number, done.issued_on, done.paid_on) == ("invoice", "ST/2026/000001", later, later)
    assert (done.draft, done.words, done.buyer, done.seller, done.id) == (
        open_.draft,
        open_.words,
        open_.buyer,
        open_.seller,
        open_.id,
    )


def test_a_customer_who_changes_his_name_or_number_changes_no_invoice() -> None:
    made = several(EU_TABLE.treatment("PL", "DE", "", ON))
    nameless = Party.of("Müller GmbH", "Beispielstraße 12", "DE")
    one = paid(made=made, buyer=nameless)
    kept = stored(one)
    with entry("BIL-15.3"):
        with pytest.raises(FrozenInstanceError):
            one.buyer.name = "Other"  # type: ignore[misc]
        assert read(kept) == one and read(kept).buyer.name == "Müller GmbH"
        assert paid(made=made, buyer=BUYER) != one, "the next one has the new name"
    with entry("BIL-14.3"):
        # With his number the next sale would be without tax; this one keeps what it was made out with.
        assert EU_TABLE.treatment("PL", "DE", BUYER.tax_number, ON).kind == "reverse_charge"
        assert read(kept).draft.taxes[0].treatment.kind == "taxed" and read(kept).buyer.tax_number == ""


def test_a_credit_note_names_its_invoice_and_speaks_its_words() -> None:
    one = paid("de")
    note = given_back(one)
    assert (note.kind, note.corrects, note.corrects_on) == ("credit_note", one.number, one.issued_on)
    assert note.words == (one.words[0], one.words[3]) and note.draft.net == Money(-5_100, "EUR")
    assert (note.seller, note.buyer, note.language) == (one.seller, one.buyer, "de")


def test_what_is_stored_is_read_back_the_same_and_is_the_same_text() -> None:
    for one in (unpaid("ru"), paid("pl"), given_back(paid())):
        assert read(stored(one)) == one
        assert stored(read(stored(one))) == stored(one)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind":"invoice"}', "null"])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
        read(text)


def test_a_document_that_contradicts_itself_cannot_be_made() -> None:
    one, note = paid(), given_back(paid())
    wrong: list[tuple[Document, dict[str, object]]] = [
        (one, {"number": ""}),
        (one, {"paid_on": None}),
        (one, {"words": ()}),
        (one, {"language": "xx"}),
        (one, {"corrects": "ST/2026/000001"}),
        (one, {"corrects_on": ON}),
        (one, {"kind": "credit_note"}),
        (one, {"draft": note.draft, "words": note.words}),
        (unpaid(), {"number": "ST/2026/000001"}),
        (unpaid(), {"paid_on": ON}),
        (note, {"corrects": ""}),
        (note, {"kind": "invoice", "corrects": "", "corrects_on": None}),
    ]
    for document, change in wrong:
        with pytest.raises(ValueError):
            replace(document, **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="languages"):
        pro_forma("x", "tlh", "a", SELLER, BUYER, ON, several(), CATALOGUE)


def test_a_party_is_cleaned_and_cut_and_never_refused() -> None:
    party = Party.of("A\x00B\u202eC\n" + "x" * 500, "\n".join(["1\t\tMain\x1b[31m St"] + ["y" * 500] * 50), "DE")
    assert party.name.startswith("A BC x") and len(party.name) == NAME_MAX
    assert party.address[0] == "1 Main [31m St"
    assert len(party.address) == LINES_MAX and max(map(len, party.address)) == LINE_MAX
    assert Party("", (), "").address == ()
    # Cut after a space, or with a mark between letter and accent: reading it back cleans it again, and finds it clean.
    for name in ("a" * (NAME_MAX - 1) + " b", "a\u200d\u0301"):
        one = paid(buyer=Party.of(name, name, "DE"))
        assert read(stored(one)) == one


@given(st.text(max_size=300))
def test_cleaned_text_is_one_line_and_cleaning_it_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    assert cleaned == clean(cleaned) and cleaned == cleaned.strip()
    assert all(sign.isprintable() for sign in cleaned.replace("\u3000", " ")), "nothing hidden is left"


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_say_what_they_are_for_in_the_language_of_the_document(language: str) -> None:
    words = unpaid(language).words
    assert all(words) and len(set(words)) == 4
    assert "Professional" in words[0] and "Business" in words[3]
    assert language == "en" or words[1] != unpaid("en").words[1]


def test_the_description_of_a_year_and_of_a_month() -> None:
    assert unpaid(made=None).words == (
        "Plan Professional, monthly",
        "Extra recording storage, 50 GB",
        "One streamed event",
        "Change from plan Professional to plan Business",
    )
    assert plan_line().item == "professional"
