"""How an invoice says things in each of our languages: its sentences, days, sums, rates. Pure but for reading the
catalogues once (control_plane.translations)."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from babel import Locale
from babel.numbers import format_currency, format_percent
from babel.units import format_unit

from control_plane import dates, translations
from control_plane.billing.catalogue import Catalogue
from control_plane.billing.charges import Line
from control_plane.billing.subscription import CYCLE_DAYS
from control_plane.billing.tax import Treatment
from control_plane.money import Money, half_up
from control_plane.periods import Span
from control_plane.translations import N_

# The largest unit first: as many bytes as 10 to that.
_SIZES = ((9, "gigabyte"), (6, "megabyte"))
AREA = Path(__file__).parent
REVERSE_CHARGE = N_("Reverse charge: VAT is to be accounted for by the recipient (Article 196, Directive 2006/112/EC).")
NO_VAT = N_("No VAT is charged: the place of supply is outside the European Union.")


class Words:
    """One language of control_plane.legal.kinds.LANGUAGES."""

    def __init__(self, language: str) -> None:
        self._gettext = translations.of(AREA, language).gettext
        self._language, self._locale = language, Locale.parse(language)

    def __call__(self, sentence: str, **values: str | int) -> str:
        """A sentence, with {named} gaps filled."""
        return self._gettext(sentence).format(**values)

    def day(self, day: datetime.date) -> str:
        return dates.day(self._language, day)

    def days(self, span: Span) -> str:
        """The first and the last day that belong to it."""
        first, last = (dates.short(self._language, day) for day in (span.first, span.last))
        return f"{first} – {last}"

    def amount(self, money: Money) -> str:
        """With as many digits as the currency has, without its name."""
        return self._written(money, "").strip()

    def sum(self, money: Money) -> str:
        """With the currency's letters, which say more than a sign that several currencies share."""
        return self._written(money, "\N{NO-BREAK SPACE}¤¤")

    def _written(self, money: Money, name: str) -> str:
        # The digits are those of the standard. Babel's own leave out coins that are in no purse any more: 1.27 HUF of
        # tax would be 1.
        form = f"#,##0.{'0' * money.digits}" if money.digits else "#,##0"
        return format_currency(money.decimal(), money.currency, form + name, self._locale, currency_digits=False)

    def percent(self, part: Fraction) -> str:
        """Exact to a hundredth of a percent."""
        exact = Decimal(half_up(part.numerator * 10_000, part.denominator)).scaleb(-4).normalize()
        return format_percent(exact, locale=self._locale, decimal_quantization=False)

    def size(self, size_bytes: int) -> str:
        """In units of a thousand, as storage is sold, with one digit behind the point; what is not nothing never looks
        like it."""
        exponent, unit = next((one for one in _SIZES if size_bytes >= 10 ** one[0]), _SIZES[-1])
        # Rounded down: what is nearly full does not look full.
        tenths = max(size_bytes * 10 // 10**exponent, min(size_bytes, 1))
        value = Decimal(tenths).scaleb(-1).normalize()
        return format_unit(value, f"digital-{unit}", length="short", format="#,##0.#", locale=self._locale)

    def country(self, code: str) -> str:
        return str(self._locale.territories.get(code, code))

    def vat(self, treatment: Treatment) -> str:
        """As it stands in a line of the totals."""
        if treatment.kind == "taxed":
            country, percent = self.country(treatment.country), self.percent(treatment.rate)
            return self(N_("VAT {percent} ({country})"), percent=percent, country=country)
        return self(N_("VAT, reverse charge")) if treatment.kind == "reverse_charge" else self(N_("No VAT"))

    def item(self, line: Line, catalogue: Catalogue) -> str:
        """What a line is for."""
        add_on = catalogue.add_ons.get(line.item)
        if add_on is not None:
            return self._gettext(add_on.title)
        title = catalogue.plans[line.item].title
        if line.kind == "upgrade":
            old = catalogue.plans[catalogue.price(line.was).item].title
            return self(N_("Change from plan {old} to plan {new}"), old=old, new=title)
        yearly = line.basis == CYCLE_DAYS["year"]
        return self(N_("Plan {title}, yearly") if yearly else N_("Plan {title}, monthly"), title=title)

    def detail(self, line: Line) -> str:
        """Its days and its discount, as far as it has them."""
        parts = []
        if line.span is not None:
            parts.append(self.days(line.span))
            if line.span.days != line.basis:
                parts.append(self(N_("{days} of {basis} days"), days=line.span.days, basis=line.basis))
        if line.discount:
            parts.append(self(N_("discount {percent}"), percent=self.percent(line.discount)))
        return ", ".join(parts)
