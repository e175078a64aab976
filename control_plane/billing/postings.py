"""What each movement of money is in the journal (model section 4). Pure: lines, no ledger."""

from __future__ import annotations

from control_plane.billing.charges import Draft, Line, LineKind, Returned
from control_plane.ledger.chart import Line as Posting
from control_plane.ledger.chart import credit, debit
from control_plane.money import Money, total

REVENUE: dict[LineKind, str] = {"plan": "revenue:plan", "upgrade": "revenue:plan", "add_on": "revenue:addon"}


def paid(account: str, draft: Draft, received: Money) -> tuple[Posting, ...]:
    """An invoice that this much money, and the credit that stands on it, paid. What is too much is the customer's."""
    excess = received - draft.payable
    if excess.minor < 0:
        raise ValueError("an invoice is paid in full or not at all (BIL-16)")
    money, gift = _used(draft)
    return _lines(
        debit_or_none("gateway_clearing", received),
        debit_or_none("customer_credit", money, account),
        debit_or_none("promotions", gift),
        credit_or_none("customer_credit", excess, account),
        *(credit_or_none("vat", tax.amount, tax.treatment.country) for tax in draft.taxes),
        credit_or_none("deferred:subscription", deferred(draft), account),
        *(credit_or_none(REVENUE[line.kind], line.net) for line in draft.lines if line.span is None),
    )


def short(account: str, received: Money) -> tuple[Posting, ...]:
    """Money that does not pay its invoice: it is the customer's until there is more (BIL-16)."""
    return _lines(debit_or_none("gateway_clearing", received), credit_or_none("customer_credit", received, account))


def earned(account: str, revenue: str, amount: Money) -> tuple[Posting, ...]:
    """Prepaid service that was used."""
    return _lines(debit_or_none("deferred:subscription", amount, account), credit_or_none(revenue, amount))


def returned(
    account: str, note: Draft, prepaid: Money, taken: tuple[tuple[str, Money], ...], to: Returned
) -> tuple[Posting, ...]:
    """A credit note: what of it was still `prepaid`, what is `taken` back out of which revenue, and where it goes."""
    return _lines(
        debit_or_none("deferred:subscription", prepaid, account),
        *(debit_or_none(revenue, amount) for revenue, amount in taken),
        *(debit_or_none("vat", -tax.amount, tax.treatment.country) for tax in note.taxes),
        credit_or_none("gateway_clearing", to.card),
        credit_or_none("customer_credit", to.credit, account),
        credit_or_none("promotions", to.lapsed),
    )


def deferred(draft: Draft) -> Money:
    """What of an invoice is service of days to come, without tax."""
    return total((line.net for line in draft.lines if line.span is not None), draft.currency)


def revenue_of(line: Line) -> str:
    return REVENUE[line.kind]


def _used(draft: Draft) -> tuple[Money, Money]:
    """Credit that was money, and credit that was given."""
    money = total((used.amount for used in draft.used if not used.promotional), draft.currency)
    return money, draft.from_credit - money


def debit_or_none(kind: str, amount: Money, owner: str = "") -> Posting | None:
    return debit(kind, amount, owner) if amount.minor else None


def credit_or_none(kind: str, amount: Money, owner: str = "") -> Posting | None:
    return credit(kind, amount, owner) if amount.minor else None


def _lines(*lines: Posting | None) -> tuple[Posting, ...]:
    return tuple(line for line in lines if line is not None)
