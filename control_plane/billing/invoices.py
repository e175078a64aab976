"""Invoices as rows: made out, paid with a number of the gapless series, or void (model 3.3, BIL-15)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.accounts import people
from control_plane.billing import credit, document
from control_plane.billing.charges import Draft
from control_plane.billing.document import Document, Party
from control_plane.billing.prices import catalogue
from control_plane.billing.setup import Setup
from control_plane.billing.tables import invoice_series, invoices, payers
from control_plane.errors import NotFound
from control_plane.money import Money
from control_plane.running import events, inserts
from control_plane.running.canonical import JSON

State = Literal["open", "paid", "void", "uncollectible"]
# Of an invoice's number: longer years than this do not come, and it sorts as text.
NUMBER_DIGITS = 6


@dataclass(frozen=True)
class Invoice:
    """A row. `purpose` says what follows when it is paid (control_plane.billing.settling)."""

    id: str
    account: str
    kind: Literal["invoice", "credit_note"]
    state: State
    number: str
    document: Document
    purpose: Mapping[str, Any]
    corrects: str
    made_at: datetime.datetime
    paid_at: datetime.datetime | None

    @property
    def draft(self) -> Draft:
        return self.document.draft

    @property
    def payable(self) -> Money:
        return self.document.draft.payable


def make_out(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    draft: Draft,
    purpose: Mapping[str, JSON],
) -> Invoice:
    """An open one, a pro-forma. Names and addresses are copied in as they stand (BIL-15); the credit that it uses is
    set aside."""
    id_, seq = _next_id(connection, account)
    row = people.account(connection, account)
    reader = people.reader(connection, account)
    name = row.business_name or (reader.email if reader else "")
    buyer = Party.of(name, row.address, country_of(connection, account), row.tax_number, reader.email if reader else "")
    language = reader.language if reader else "en"
    known = catalogue(connection, setup)
    open_ = document.pro_forma(id_, language, account, setup.seller, buyer, now.date(), draft, known)
    credit.use(connection, draft.used)
    _insert(connection, now, account, seq, "invoice", "open", open_, purpose, None)
    return by_id(connection, id_)


def pay(connection: sa.Connection, now: datetime.datetime, setup: Setup, one: Invoice, paid: Document) -> Invoice:
    """Give it its number: from now on it never changes. `paid` is its document, whose days may have moved to the day of
    payment. In the transaction that posts the payment."""
    number = _draw(connection, f"{setup.series}-{now.year}")
    final = document.invoice(paid, number, now.date())
    values = {"state": "paid", "number": number, "document": document.stored(final), "paid_at": now}
    connection.execute(invoices.update().where(invoices.c.id == one.id, invoices.c.state == "open").values(values))
    told: dict[str, JSON] = {"invoice": one.id, "number": number, "gross": final.draft.gross.minor}
    told |= {"currency": final.draft.currency}
    events.emit(connection, now, account=one.account, kind="invoice.paid", payload=told)
    return by_id(connection, one.id)


def void(connection: sa.Connection, now: datetime.datetime, one: Invoice) -> None:
    """It is not asked for any longer. A paid one stays."""
    changed = connection.execute(
        invoices.update().where(invoices.c.id == one.id, invoices.c.state == "open").values(state="void")
    )
    if changed.rowcount:
        credit.give_back(connection, one.draft.used)
        events.emit(connection, now, account=one.account, kind="invoice.void", payload={"invoice": one.id})


def credit_note(connection: sa.Connection, now: datetime.datetime, setup: Setup, paid: Invoice, note: Draft) -> Invoice:
    """What of a paid one is given back, with a number of the same series."""
    id_, seq = _next_id(connection, paid.account)
    number = _draw(connection, f"{setup.series}-{now.year}")
    made = document.credit_note(paid.document, id_, number, now.date(), note)
    _insert(connection, now, paid.account, seq, "credit_note", "paid", made, {"kind": "credit_note"}, paid.id)
    told: dict[str, JSON] = {"invoice": paid.id, "credit_note": id_, "number": number}
    events.emit(connection, now, account=paid.account, kind="invoice.credited", payload=told)
    return by_id(connection, id_)


def by_id(connection: sa.Connection, id_: str, account: str | None = None) -> Invoice:
    """Raises NotFound, also for one of another account than `account`."""
    row = connection.execute(invoices.select().where(invoices.c.id == id_)).one_or_none()
    if row is None or (account is not None and row.account != account):
        raise NotFound("invoice_unknown", "there is no such invoice")
    return _invoice(row)


def history(connection: sa.Connection, account: str, *, after: int = 0, limit: int = 100) -> list[Invoice]:
    """The account's, from the first on (BIL-15); also after it has expired."""
    wanted = invoices.select().where(invoices.c.account == account, invoices.c.seq > after)
    return [_invoice(row) for row in connection.execute(wanted.order_by(invoices.c.seq).limit(limit))]


def newest(connection: sa.Connection, account: str, *, before: str = "", limit: int = 50) -> list[Invoice]:
    """The account's, the last one first; `before`: those that are older than this one."""
    wanted = invoices.select().where(invoices.c.account == account)
    if before:
        mark = sa.select(invoices.c.seq).where(invoices.c.id == before, invoices.c.account == account)
        wanted = wanted.where(invoices.c.seq < mark.scalar_subquery())
    return [_invoice(row) for row in connection.execute(wanted.order_by(invoices.c.seq.desc()).limit(limit))]


def notes_of(connection: sa.Connection, paid: str) -> list[Invoice]:
    """The credit notes of an invoice, in their order."""
    wanted = invoices.select().where(invoices.c.corrects == paid).order_by(invoices.c.seq)
    return [_invoice(row) for row in connection.execute(wanted)]


def country_of(connection: sa.Connection, account: str) -> str:
    """Whose taxes are on it; "" before he was asked."""
    return str(connection.scalar(sa.select(payers.c.country).where(payers.c.account == account)) or "")


def _insert(
    connection: sa.Connection,
    now: datetime.datetime,
    account: str,
    seq: int,
    kind: str,
    state: State,
    made: Document,
    purpose: Mapping[str, JSON],
    corrects: str | None,
) -> None:
    draft = made.draft
    values: dict[str, Any] = {"id": made.id, "account": account, "seq": seq, "kind": kind, "state": state}
    values |= {"number": made.number or None, "document": document.stored(made), "purpose": dict(purpose)}
    values |= {"currency": draft.currency, "gross": draft.gross.minor, "payable": draft.payable.minor}
    values |= {"corrects": corrects, "made_at": now, "paid_at": now if state == "paid" else None}
    connection.execute(invoices.insert().values(values))


def _next_id(connection: sa.Connection, account: str) -> tuple[str, int]:
    """Not by chance: a transaction that is run again names its invoice the same, so its payment has the same key."""
    last = connection.scalar(sa.select(sa.func.max(invoices.c.seq)).where(invoices.c.account == account)) or 0
    return f"inv_{account.removeprefix('acc_')}_{last + 1}", last + 1


def _draw(connection: sa.Connection, series: str) -> str:
    """The next number. What is rolled back leaves no gap, because the counter is rolled back with it."""
    first = inserts.insert(connection, invoice_series).values(series=series, last=1)
    drawn = first.on_conflict_do_update(index_elements=["series"], set_={"last": invoice_series.c.last + 1})
    last = connection.execute(drawn.returning(invoice_series.c.last)).scalar_one()
    return f"{series}-{last:0{NUMBER_DIGITS}}"


def _invoice(row: sa.Row[Any]) -> Invoice:
    return Invoice(
        row.id,
        row.account,
        row.kind,
        row.state,
        row.number or "",
        document.read(row.document),
        row.purpose,
        row.corrects or "",
        row.made_at,
        row.paid_at,
    )
