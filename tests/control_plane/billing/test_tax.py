"""Whose tax is on a sale and how much: countries, numbers, dates, rounding (BIL-14)."""

from __future__ import annotations

import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.billing.tax import EU, EU_RATES, EU_TABLE, NO_TAX, Rate, TaxTable, Treatment, country, tax_number
from control_plane.errors import Invalid
from control_plane.money import Money
from tests.control_plane.entries import entry

ON = datetime.date(2026, 11, 22)
MEMBERS = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
GERMAN, POLISH = "DE136695976", "PL5260001246"


def test_a_number_spares_the_tax_between_two_countries_only_where_it_holds() -> None:
    with entry("BIL-14.1"):
        assert EU_TABLE.treatment("PL", "DE", GERMAN, ON).kind == "reverse_charge"
        for number in ("", "DE136695977", "DE1", POLISH, "136695976"):
            assert EU_TABLE.treatment("PL", "DE", number, ON) == Treatment("taxed", "DE", Fraction(19, 100)), number
    with entry("BIL-14.2"):
        assert EU_TABLE.treatment("PL", "DE", GERMAN, ON) == Treatment("reverse_charge", "DE", Fraction(0))
        assert EU_TABLE.treatment("PL", "PL", POLISH, ON) == Treatment("taxed", "PL", Fraction(23, 100))
        assert EU_TABLE.treatment("PL", "GR", "EL094259216", ON).kind == "reverse_charge"


def test_outside_of_the_union_there_is_none() -> None:
    for elsewhere in ("US", "GB", "CH", "NO", "UA", "BR"):
        assert EU_TABLE.treatment("PL", elsewhere, "", ON) == NO_TAX
        assert EU_TABLE.treatment("PL", elsewhere, "123456789", ON) == NO_TAX
    assert Treatment("none", "", Fraction(0)) == NO_TAX
    assert EU_TABLE.treatment("US", "FR", "", ON).rate == Fraction(20, 100)


@pytest.mark.parametrize(
    ("land", "on", "percent"),
    [
        ("FI", "2024-08-31", "24"),
        ("FI", "2024-09-01", "25.5"),
        ("EE", "2025-06-30", "22"),
        ("EE", "2025-07-01", "24"),
        ("SK", "2024-12-31", "20"),
        ("SK", "2025-01-01", "23"),
        ("RO", "2025-07-31", "19"),
        ("RO", "2025-08-01", "21"),
        ("LU", "2026-01-01", "17"),
        ("HU", "2026-01-01", "27"),
    ],
)
def test_the_rate_is_that_of_the_day(land: str, on: str, percent: str) -> None:
    treatment = EU_TABLE.treatment("PL", land, "", datetime.date.fromisoformat(on))
    assert treatment == Treatment("taxed", land, Fraction(percent) / 100)


def test_the_table_has_all_27_and_knows_nothing_of_days_before_its_first_row() -> None:
    assert " ".join(sorted(EU)) == MEMBERS
    for land in EU:
        assert Fraction(15, 100) <= EU_TABLE.treatment("PL", land, "", ON).rate <= Fraction(27, 100)
    with pytest.raises(ValueError, match="2023-12-31"):
        EU_TABLE.treatment("PL", "DE", "", datetime.date(2023, 12, 31))
    with pytest.raises(ValueError, match="one day"):
        TaxTable((EU_RATES[0], Rate(EU_RATES[0].country, EU_RATES[0].since, Fraction(1))))


def test_two_rows_of_one_day_are_found_wherever_they_stand() -> None:
    first = EU_RATES[0]
    with pytest.raises(ValueError, match="one day"):
        TaxTable((first, Rate("ZZ", first.since, Fraction(1)), Rate("A", first.since, Fraction(1)), first))


def test_rows_may_stand_in_any_order() -> None:
    table = TaxTable(tuple(reversed(EU_RATES)))
    assert table.treatment("PL", "FI", "", ON).rate == Fraction("25.5") / 100


@pytest.mark.parametrize(
    ("land", "typed", "number"),
    [
        ("PL", "526-000-12-46", "PL5260001246"),
        ("PL", "pl 5260001246", "PL5260001246"),
        ("DE", "136695976", "DE136695976"),
        ("GR", "EL 094259216", "EL094259216"),
        ("GR", "094259216", "EL094259216"),
        ("ES", "ESB58378431", "ESB58378431"),
        ("US", "12-3456789", "123456789"),
        ("DE", "", ""),
        ("DE", "  ", ""),
    ],
)
def test_a_number_is_brought_into_one_form(land: str, typed: str, number: str) -> None:
    assert tax_number(land, typed) == number


@pytest.mark.parametrize(
    ("land", "typed"),
    [
        ("PL", "5260001247"),
        ("DE", POLISH),
        ("DE", "12345"),
        ("FR", "FR00000000001"),
        ("GR", "GR094259216"),
        ("DE", "DE136695976'; --"),
        ("US", "?"),
    ],
)
def test_a_number_that_cannot_be_one_is_refused(land: str, typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        tax_number(land, typed)
    assert (refused.value.code, refused.value.field) == ("tax_number_malformed", "tax_number")


@given(st.sampled_from(sorted(EU)), st.text(max_size=40))
def test_whatever_is_typed_is_a_number_that_holds_or_refused(land: str, typed: str) -> None:
    try:
        number = tax_number(land, typed)
    except Invalid:
        return
    assert not number or tax_number(land, number) == number


def test_countries_are_two_letters_of_the_list() -> None:
    assert country(" pl ") == "PL" and country("XK") == "XK"
    # Of the last two, capital letters are IT and SE.
    for wrong in ("", "P", "POL", "XX", "EU", "UN", "EZ", "QO", "XA", "XB", "ZZ", "419", "ß", "Ａ1", "ıt", "ſe"):
        with pytest.raises(Invalid) as refused:
            country(wrong)
        assert (refused.value.code, refused.value.field) == ("country_unknown", "country")


def test_a_rate_is_a_fraction_below_one_and_only_what_is_taxed_has_one() -> None:
    with pytest.raises(TypeError):
        Treatment("taxed", "PL", 0.23)  # type: ignore[arg-type]
    for kind, rate in (("taxed", Fraction(1)), ("taxed", Fraction(-1, 100)), ("reverse_charge", Fraction(1, 100))):
        with pytest.raises(ValueError):
            Treatment(kind, "PL", rate)  # type: ignore[arg-type]
    assert Treatment("taxed", "FI", Fraction(255, 1000)).on(Money(1_000, "EUR")) == Money(255, "EUR")
    assert Treatment("taxed", "DE", Fraction(19, 100)).on(Money(50, "EUR")) == Money(10, "EUR"), "9.5 goes up"
    assert Treatment("taxed", "DE", Fraction(19, 100)).on(Money(-50, "EUR")) == Money(-10, "EUR")
