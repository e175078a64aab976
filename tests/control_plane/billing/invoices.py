"""Invoices of made-up customers, for the tests of documents."""

from __future__ import annotations

import datetime
from fractions import Fraction

from control_plane.billing.catalogue import CATALOGUE
from control_plane.billing.charges import Credit, Discount, Draft, Line, draft, first_add_on, full_period, upgrade
from control_plane.billing.document import Document, Party, invoice, pro_forma
from control_plane.billing.tax import EU_TABLE, Treatment
from control_plane.money import Money
from control_plane.periods import Period

ON = datetime.date(2026, 11, 22)
AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PERIOD = Period.month(ON)
SELLER = Party.of(
    "Example Meetings sp. z o.o.", "ul. Przykładowa 1\n00-001 Warszawa", "PL", "PL5260001246", "billing@example.com"
)
BUYER = Party.of("Müller & Söhne GmbH", "Beispielstraße 12\n10115 Berlin", "DE", "DE136695976")
REVERSE = EU_TABLE.treatment("PL", "DE", "DE136695976", ON)
GERMAN = EU_TABLE.treatment("PL", "DE", "", ON)


def plan_line(tax: Treatment = GERMAN, discount: Discount | None = None, currency: str = "EUR") -> Line:
    price = CATALOGUE.for_newcomer("professional", "month", currency, AT)
    return full_period("plan", price, PERIOD, tax, discount=discount)


def several(tax: Treatment = GERMAN) -> Draft:
    """A plan with a discount, an add-on for a part of the period, an upgrade, one thing paid once, and some credit."""
    storage = CATALOGUE.for_newcomer("recording_storage", "month", "EUR", AT)
    event = CATALOGUE.for_newcomer("streamed_event", "once", "EUR", AT)
    wanted = CATALOGUE.for_newcomer("business", "month", "EUR", AT)
    half = PERIOD.end - datetime.timedelta(days=16)
    lines = [
        plan_line(tax, Discount(Fraction(1, 8))),
        first_add_on(storage, PERIOD, half, tax, quantity=25),
        first_add_on(event, PERIOD, half, tax, quantity=3),
        upgrade(CATALOGUE.price("professional.month.EUR.1"), wanted, PERIOD, half, tax),
    ]
    return draft(lines, [Credit("c1", AT, Money(1_234, "EUR"))])


def unpaid(language: str = "en", made: Draft | None = None, buyer: Party = BUYER) -> Document:
    return pro_forma("ord-1f3a", language, "muller-sohne", SELLER, buyer, ON, made or several(), CATALOGUE)


def paid(language: str = "en", made: Draft | None = None, buyer: Party = BUYER) -> Document:
    return invoice(unpaid(language, made, buyer), "ST/2026/000123", ON)
