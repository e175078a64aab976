"""What is the same address, name or slug, and what only looks the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.accounts import addresses
from control_plane.errors import Invalid


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Jane@Example.COM", "jane@example.com"),
        ("  jane@example.com ", "jane@example.com"),
        ("ｊａｎｅ@example.com", "jane@example.com"),  # full width
        ("jane@bücher.example", "jane@xn--bcher-kva.example"),
        ("jane@XN--BCHER-KVA.example", "jane@xn--bcher-kva.example"),
        ("jane@example。com", "jane@example.com"),  # the ideographic full stop is a dot in a domain
        ("Jörg@example.com", "jörg@example.com"),
    ],
)
def test_one_address_has_one_key_however_it_is_typed(typed: str, key: str) -> None:
    assert addresses.sign_in_key(typed) == key


def test_tags_and_dots_matter_for_signing_in_and_not_for_the_free_account() -> None:
    assert addresses.sign_in_key("jane+a@example.com") != addresses.sign_in_key("jane@example.com")
    assert addresses.sign_in_key("j.ane@example.com") != addresses.sign_in_key("jane@example.com")
    same = {
        addresses.free_account_key(one) for one in ("j.a.n.e+x@googlemail.com", "JANE@gmail.com", "jane+y@gmail.com")
    }
    assert same == {"jane@gmail.com"}
    assert addresses.free_account_key("+tag@example.com") == "+tag@example.com"


@pytest.mark.parametrize(
    "typed",
    [
        "", "@", "jane", "jane@", "@example.com", "jane@localhost", "ja ne@example.com", "jane@exa mple.com",
        "jane@example.com\r\nBcc: all@example.com", "jane\n@example.com", "jane@example.com,joe@example.com",
        "<jane@example.com>", "jane@[127.0.0.1]", "jane@127.0.0.1", ".jane@example.com", "jane.@example.com",
        "ja..ne@example.com", "jane@-example.com", "jane@example..com", "jane@example.com.", "a" * 65 + "@example.com",
        "jane@" + "a" * 250 + ".com", "jane\u202e@example.com", "ja\x00ne@example.com", "\ud800@example.com",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        addresses.email(typed)
    assert refused.value.field == "email"


LETTERS = st.text(alphabet="aAzZ.+-_'ßİıéÉｅ\u0301Ω\u200d\r\n ", max_size=12)


@given(
    st.tuples(LETTERS, st.sampled_from(["@", "@@", "＠", ""]), LETTERS, st.sampled_from([".com", "。pl", "."])).map(
        "".join
    )
)
def test_any_text_is_an_address_or_refused_and_a_key_is_its_own_key(typed: str) -> None:
    try:
        key = addresses.sign_in_key(typed)
    except Invalid:
        return
    assert addresses.sign_in_key(key) == key
    assert addresses.free_account_key(key) == addresses.free_account_key(typed)
    assert "\r" not in key and "\n" not in key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "paypa1"),
        ("modern", "rnodern"),
        ("google", "g00gle"),
        ("admin", "аdmin"),  # a Cyrillic a
        ("scope", "ѕсоре"),  # all but one Cyrillic
        ("acme-inc", "acmeinc"),
        ("muller", "müller"),
        ("weird", "vveird"),
    ],
)
def test_what_looks_alike_has_one_skeleton(one: str, other: str) -> None:
    assert addresses.skeleton(one) == addresses.skeleton(other)


def test_what_looks_different_has_different_skeletons() -> None:
    words = ["jane", "joan", "acme", "acne", "nord", "word"]
    assert len({addresses.skeleton(word) for word in words}) == len(words)


@pytest.mark.parametrize(
    "typed",
    ["ab", "a" * 41, "-jane", "jane-", "ja--ne", "ja_ne", "ja.ne", "jané", "jаne", "../etc", "ja/ne", "ja%2fne", ""],
)
def test_a_slug_has_few_characters_and_none_that_only_look_like_them(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        addresses.slug(typed)
    assert refused.value.code == "slug_malformed"


@pytest.mark.parametrize("typed", ["admin", "API", "supp0rt", "st4tus", "sign-in", "stentor", "adm1n"])
def test_a_slug_may_not_speak_for_the_operator(typed: str) -> None:
    if typed == "st4tus":  # a 4 looks like no letter
        assert addresses.slug(typed) == typed
        return
    with pytest.raises(Invalid) as refused:
        addresses.slug(typed)
    assert refused.value.code == "slug_reserved"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("Jаne", "mixed_scripts"),  # Latin with a Cyrillic a
        ("Jane\u200bDoe", "invisible_characters"),
        ("Jane\u202eeoD", "invisible_characters"),
        ("Jane\nDoe", "invisible_characters"),
        ("Stentor", "name_reserved"),
        ("Ѕtentor Support", "mixed_scripts"),
        ("St\u0435ntor", "mixed_scripts"),
        ("STENT0R", "name_reserved"),
        ("x" * 101, "too_long"),
    ],
)
def test_a_name_hides_nothing_and_plays_nobody(typed: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        addresses.name(typed, "business_name")
    assert (refused.value.code, refused.value.field) == (code, "business_name")


@pytest.mark.parametrize(
    "typed", ["Zoë", "Anna-Łucja Wójcik", "Иван Петров", "Ωμέγα", "李小龍", "O'Neil & Söhne", "Иван & Co", ""]
)
def test_names_of_the_world_are_taken(typed: str) -> None:
    assert addresses.name(typed, "first_name") == typed


@pytest.mark.parametrize(
    ("typed", "kept"), [("PL 123-456-78-90", "PL1234567890"), ("de 12.34/5678", "DE12345678"), ("", "")]
)
def test_one_tax_number_has_one_form(typed: str, kept: str) -> None:
    assert addresses.tax_number(typed) == kept


@pytest.mark.parametrize("typed", ["123", "ÄÖÜ12345", "1" * 31, "12;34567"])
def test_what_is_no_tax_number_is_refused(typed: str) -> None:
    with pytest.raises(Invalid):
        addresses.tax_number(typed)
