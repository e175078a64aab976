"""What billing's routes take and tell. Sums are told as "12.30 EUR", the very text that `seen` gives back; days are
dates in UTC. Reads only."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import Path
from pydantic import AfterValidator, Field

from control_plane import metering
from control_plane.accounts import people
from control_plane.api.bodies import Body, one_line
from control_plane.api.idempotency import Answer
from control_plane.billing import add_ons, cards, invoices, payments, subscriptions
from control_plane.billing.charges import Draft
from control_plane.billing.credit import open_ as open_credit
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.words import Words
from control_plane.metering import Use
from control_plane.money import Money, total

Cycle = Literal["month", "year"]
Sum = Annotated[str, Field(max_length=40, pattern=r"^-?[0-9]+(\.[0-9]+)? [A-Z]{3}$", examples=["12.30 EUR"])]
# "" where nothing was shown, because nothing is to be paid now.
Seen = Annotated[str, Field(max_length=40, pattern=r"^(-?[0-9]+(\.[0-9]+)? [A-Z]{3})?$", examples=["12.30 EUR"])]
# What it may look like is control_plane.money's to say, with a code for each way of being wrong.
Amount = Annotated[str, Field(max_length=30, examples=["12.30"]), AfterValidator(one_line)]
Currency = Annotated[str, Field(max_length=3, pattern=r"^[A-Z]*$", examples=["EUR"])]
Day = Annotated[str, Field(max_length=10, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2027-01-31"])]
# Names of plans, add-ons, and what prices are for.
Item = Annotated[str, Field(max_length=64, pattern=r"^[a-z_]*$", examples=["basic"])]
PaymentKey = Annotated[str, Path(max_length=120, pattern=r"^inv_[a-z2-7]+_[0-9]+:[0-9]+$", examples=["inv_aaaa_1:1"])]
InvoiceId = Annotated[str, Path(max_length=100, pattern=r"^inv_[a-z2-7]+_[0-9]+$", examples=["inv_aaaa_1"])]


class LineView(Body):
    """`line` counts from 0; a refund names it. `words` and `detail` are in the customer's language."""

    line: int
    words: str
    detail: str
    quantity: int
    net: Sum


class TaxView(Body):
    words: str
    net: Sum
    tax: Sum


class Totals(Body):
    """`payable` is what the card is charged: the sum with tax, less what credit pays."""

    net: Sum
    tax: Sum
    gross: Sum
    from_credit: Sum
    payable: Sum


class Quote(Totals):
    """What would be charged now. Give `payable` back as `seen` when it is ordered."""

    lines: list[LineView]
    taxes: list[TaxView]


class PaymentView(Body):
    """`processing` and `needs_action` are under way; for the latter the customer goes to `link`. `code` says why one
    has failed."""

    key: str
    invoice: str
    state: Literal["processing", "needs_action", "succeeded", "failed"]
    amount: Sum
    link: str
    code: str


class CardView(Body):
    """`expires`: it is good to the last day of this month, such as 07/2029."""

    brand: str
    last4: str
    expires: str


class AddOnView(Body):
    """`paid_until`: the first day that is not paid for; none for what has no days. `renews`: it is charged again.
    `left`: of what is used up, how much of it."""

    id: str
    add_on: str
    quantity: int
    paid_until: str | None
    renews: bool
    left: int | None


class NextCharge(Body):
    """`automatic`: it is charged by itself; else the subscription expires on that day unless it is paid."""

    on: str
    payable: Sum
    automatic: bool


class LimitView(Body):
    """`used` of `most`. Of rooms (`meeting`, `webinar`, `large`): the most people who were in one at once;
    `presenters`: of those in webinars and large events; `members`: people beside the owner, invited ones among them;
    `storage_bytes` and `recording_bytes`: what is kept now. `level`: "near" from 80 % on."""

    limit: Literal["meeting", "webinar", "large", "presenters", "members", "storage_bytes", "recording_bytes"]
    used: int
    most: int
    level: Literal["", "near", "reached"]


class UseView(Body):
    """Of the paid period, or of the calendar month where none is paid: from `first` on, before `end`."""

    first: str
    end: str
    participant_minutes: int
    recorded_minutes: int
    limits: list[LimitView]


class Standing(Body):
    """How the subscription stands. Days: `period_end`, `freeze_end` and `window_end` are the first that no longer
    belong."""

    state: Literal["none", "trial", "active", "frozen", "expired", "ended"]
    plan: str
    cycle: str
    next_plan: str
    next_cycle: str
    currency: str
    period_first: str | None
    period_end: str | None
    trial_end: str | None
    autopay: bool
    cancel_requested_at: str | None
    cancel_confirmed_at: str | None
    freeze_days: int | None
    freeze_first: str | None
    freeze_end: str | None
    window_end: str | None
    country: str
    card: CardView | None
    credit: list[Sum]
    payment: PaymentView | None
    add_ons: list[AddOnView]
    next_charge: NextCharge | None
    use: UseView


def answer(status: int, body: Body) -> Answer:
    return Answer(status, body.model_dump_json())


def said(body: Body) -> bytes:
    """What an Idempotency-Key stands for."""
    return body.model_dump_json().encode()


def iso(at: datetime.date | None) -> str | None:
    """Also of an instant, which is a date for Python."""
    return None if at is None else at.isoformat()


def language_of(connection: sa.Connection, account: str) -> str:
    """In which the account's invoices are."""
    reader = people.reader(connection, account)
    return reader.language if reader else "en"


def totals(draft: Draft) -> dict[str, str]:
    """The fields of Totals."""
    return {
        "net": str(draft.net),
        "tax": str(draft.tax),
        "gross": str(draft.gross),
        "from_credit": str(draft.from_credit),
        "payable": str(draft.payable),
    }


def lines(draft: Draft, texts: Sequence[str], words: Words) -> list[LineView]:
    """`texts`: what each line is for."""
    return [
        LineView(line=number, words=text, detail=words.detail(line), quantity=line.quantity, net=str(line.net))
        for number, (line, text) in enumerate(zip(draft.lines, texts, strict=True))
    ]


def taxes(draft: Draft, words: Words) -> list[TaxView]:
    return [TaxView(words=words.vat(tax.treatment), net=str(tax.net), tax=str(tax.amount)) for tax in draft.taxes]


def payment(one: Payment) -> PaymentView:
    return PaymentView(
        key=one.key, invoice=one.invoice, state=one.state, amount=str(one.amount), link=one.link, code=one.code
    )


def standing(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> Standing:
    """All of it, as of now."""
    held = subscriptions.of(connection, account)
    one, running = held.one, payments.running(connection, account)
    terms, following = one.terms, one.next_terms
    return Standing(
        state=one.state,
        plan=terms.plan if terms else "",
        cycle=terms.cycle if terms else "",
        next_plan=following.plan if following else "",
        next_cycle=following.cycle if following else "",
        currency=held.currency,
        period_first=iso(one.period.first) if one.period else None,
        period_end=iso(one.period.end) if one.period else None,
        trial_end=iso(one.trial_ends_on),
        autopay=one.autopay,
        cancel_requested_at=iso(one.cancel_requested_at),
        cancel_confirmed_at=iso(one.cancel_confirmed_at),
        freeze_days=one.freeze_days,
        freeze_first=iso(one.frozen.first) if one.frozen else None,
        freeze_end=iso(one.frozen.end) if one.frozen else None,
        window_end=iso(one.window_ends_on),
        country=invoices.country_of(connection, account),
        card=_card(connection, account),
        credit=_credit(connection, account),
        payment=payment(running) if running else None,
        add_ons=[_add_on(bought) for bought in add_ons.active(connection, account)],
        next_charge=_next_charge(connection, setup, account, one.autopay),
        use=_use(metering.of_account(connection, now, setup, account)),
    )


def _use(one: Use) -> UseView:
    return UseView(
        first=one.first.isoformat(),
        end=one.end.isoformat(),
        participant_minutes=int(one.participant_seconds // 60),
        recorded_minutes=int(one.recorded_seconds // 60),
        limits=[LimitView(limit=row.name, used=row.used, most=row.most, level=row.level) for row in one.limits],
    )


def _card(connection: sa.Connection, account: str) -> CardView | None:
    card = cards.on_file(connection, account)
    return None if card is None else CardView(brand=card.brand, last4=card.last4, expires=str(card.expires))


def _credit(connection: sa.Connection, account: str) -> list[str]:
    """One sum for each currency."""
    left = [one.left for one in open_credit(connection, account)]
    by_currency: dict[str, list[Money]] = {}
    for part in left:
        by_currency.setdefault(part.currency, []).append(part)
    return [str(total(parts, currency)) for currency, parts in sorted(by_currency.items())]


def _add_on(one: add_ons.Bought) -> AddOnView:
    renews = one.recurring and one.cancelled_at is None
    return AddOnView(
        id=one.id,
        add_on=one.add_on,
        quantity=one.quantity,
        paid_until=iso(one.paid_until),
        renews=renews,
        left=one.left,
    )


def _next_charge(connection: sa.Connection, setup: Setup, account: str, autopay: bool) -> NextCharge | None:
    found = subscriptions.coming(connection, setup, account)
    if found is None:
        return None
    payable = found.draft.payable
    return NextCharge(on=found.on.isoformat(), payable=str(payable), automatic=autopay or not payable.minor)
