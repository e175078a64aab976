"""The billing history as CSV: RFC 4180, plain amounts, no formulas."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.billing.charges import draft, give_back
from control_plane.billing.document import Party, credit_note
from control_plane.billing.export import COLUMNS, harmless, rows
from control_plane.money import Money
from tests.control_plane.billing.invoices import ON, REVERSE, paid, plan_line, several, unpaid


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_history_has_a_row_for_each_document_in_its_order() -> None:
    one = paid()
    note = credit_note(one, "ref-1", "ST/C/2026/000001", ON, give_back(one.draft, {0: Money(100, "EUR")}))
    text = "".join(rows([unpaid(), one, note]))
    assert text.split("\r\n")[0] == ",".join(COLUMNS) and text.count("\r\n") == 4 and text.endswith("\r\n")
    pro_forma, invoice, credit = table(text)
    assert (pro_forma["kind"], pro_forma["number"], pro_forma["paid_on"]) == ("pro_forma", "", "")
    assert (invoice["number"], invoice["paid_on"], invoice["currency"]) == ("ST/2026/000123", "2026-11-22", "EUR")
    net, tax = Money(4_288 + 13_333 + 2_700 + 5_333, "EUR"), Money(4_874, "EUR")
    assert (invoice["net"], invoice["tax"], invoice["gross"]) == (net.text(), tax.text(), (net + tax).text())
    assert (invoice["from_credit"], invoice["payable"]) == ("12.34", "292.94")
    assert (credit["net"], credit["tax"], credit["gross"], credit["corrects"]) == (
        "-1.00",
        "-0.19",
        "-1.19",
        "ST/2026/000123",
    )


def test_reverse_charge_and_currencies_without_minor_units_are_told() -> None:
    found = table("".join(rows([paid(made=draft([plan_line(REVERSE)])), paid(made=several())])))
    assert [row["reverse_charge"] for row in found] == ["yes", "no"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", '=cmd|"/c"!A1'])
def test_what_a_sheet_would_run_is_made_harmless(text: str) -> None:
    assert harmless(text) == f"'{text}"


def test_names_with_formulas_commas_and_quotes_come_back_as_they_are_shown() -> None:
    name = '=HYPERLINK("http://example.com","pay"), "now"'
    (row,) = table("".join(rows([paid(buyer=Party.of(name, "", "DE"))])))
    assert row["buyer"] == f"'{name}"
    (row,) = table("".join(rows([paid(buyer=Party.of('Smith, "S" & Co', "", "DE"))])))
    assert row["buyer"] == 'Smith, "S" & Co'


def test_an_empty_history_is_its_head() -> None:
    assert "".join(rows([])) == ",".join(COLUMNS) + "\r\n"


@given(st.text(max_size=80), st.text(max_size=30))
def test_whatever_a_customer_is_called_no_cell_begins_a_formula_and_rows_stay_rows(name: str, number: str) -> None:
    text = "".join(rows([paid(buyer=Party.of(name, name, "DE", number))]))
    (row,) = table(text)
    assert set(row) == set(COLUMNS)
    amounts = {"net", "tax", "gross", "from_credit", "payable"}
    for column, cell in row.items():
        if column in amounts:
            assert re.fullmatch(r"-?\d+\.\d\d", cell)
        else:
            assert not re.match(r"[ ]*[=+\-@\t\r\n]", cell)
