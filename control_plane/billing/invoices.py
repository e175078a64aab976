"""Invoices as rows: made out, paid with a number of the gapless series, or void (model 3.3, BIL-15)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.billing import buyers, credit, document
from control_plane.billing.buyers import Buyer
from control_plane.billing.catalogue import Catalogue
from control_plane.billing.charges import Draft
from control_plane.billing.document import Document
from control_plane.billing.prices import catalogue
from control_plane.billing.setup import Setup
from control_plane.billing.tables import invoice_series, invoices, payers
from control_plane.errors import NotFound
from control_plane.money import Money
from control_plane.running import events, inserts
from control_plane.running.canonical import JSON
from control_plane.storage.prepared import Prepared

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
    *,
    buyer: Buyer | None = None,
    known: Catalogue | None = None,
) -> Invoice:
    """An open one, a pro-forma. Names and addresses are copied in as they stand (BIL-15); the credit that it uses is
    set aside. `buyer` and `known`, the price list: of who read them in this transaction already."""
    buyer = buyer or buyers.of(connection, account)
    id_, seq = _id(account, buyer.invoices + 1)
    known = known or catalogue(connection, setup)
    language = buyer.reader.language if buyer.reader else "en"
    open_ = document.pro_forma(id_, language, account, setup.seller, buyer.party, now.date(), draft, known)
    credit.use(connection, draft.used)
    return _insert(connection, now, account, seq, "invoice", "open", open_, purpose, None)


def pay(connection: sa.Connection, now: datetime.datetime, setup: Setup, one: Invoice, paid: Document) -> Invoice:
    """Give it its number: from now on it never changes. `paid` is its document, whose days may have moved to the day of
    payment. In the transaction that posts the payment."""
    number = _draw(connection, f"{setup.series}-{now.year}")
    final = document.invoice(paid, number, now.date())
    values = {"state": "paid", "number": number, "document": document.stored(final), "paid_at": now}
    _PAY.run(connection, {"of": one.id, **values})
    told: dict[str, JSON] = {"invoice": one.id, "number": number, "gross": final.draft.gross.minor}
    told |= {"currency": final.draft.currency}
    events.emit(connection, now, account=one.account, kind="invoice.paid", payload=told)
    return replace(one, state="paid", number=number, document=final, paid_at=now)


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
    note_ = _insert(connection, now, paid.account, seq, "credit_note", "paid", made, {"kind": "credit_note"}, paid.id)
    told: dict[str, JSON] = {"invoice": paid.id, "credit_note": id_, "number": number}
    events.emit(connection, now, account=paid.account, kind="invoice.credited", payload=told)
    return note_


def by_id(connection: sa.Connection, id_: str, account: str | None = None) -> Invoice:
    """Raises NotFound, also for one of another account than `account`."""
    row = _BY_ID.first(connection, {"of": id_})
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
    return str(connection.scalar(_COUNTRY, {"of": account}) or "")


def _insert(
    connection: sa.Connection,
    now: datetime.datetime,
    account: str,
    seq: int,
    kind: Literal["invoice", "credit_note"],
    state: State,
    made: Document,
    purpose: Mapping[str, JSON],
    corrects: str | None,
) -> Invoice:
    draft = made.draft
    values: dict[str, Any] = {"id": made.id, "account": account, "seq": seq, "kind": kind, "state": state}
    values |= {"number": made.number or None, "document": document.stored(made), "purpose": dict(purpose)}
    values |= {"currency": draft.currency, "gross": draft.gross.minor, "payable": draft.payable.minor}
    paid_at = now if state == "paid" else None
    values |= {"corrects": corrects, "made_at": now, "paid_at": paid_at}
    _ADD.run(connection, values)
    return Invoice(made.id, account, kind, state, made.number, made, dict(purpose), corrects or "", now, paid_at)


def _next_id(connection: sa.Connection, account: str) -> tuple[str, int]:
    last = connection.scalar(_LAST, {"of": account}) or 0
    return _id(account, last + 1)


def _id(account: str, seq: int) -> tuple[str, int]:
    """Not by chance: a transaction that is run again names its invoice the same, so its payment has the same key."""
    return f"inv_{account.removeprefix('acc_')}_{seq}", seq


def _draw(connection: sa.Connection, series: str) -> str:
    """The next number. What is rolled back leaves no gap, because the counter is rolled back with it."""
    last = inserts.counted_up(connection, invoice_series, "series", series)
    return f"{series}-{last:0{NUMBER_DIGITS}}"


_COUNTRY = sa.select(payers.c.country).where(payers.c.account == sa.bindparam("of"))
_LAST = sa.select(sa.func.max(invoices.c.seq)).where(invoices.c.account == sa.bindparam("of"))
_MINE = invoices.c.id == sa.bindparam("of")
_BY_ID = Prepared(invoices.select().where(_MINE))
_ADD, _PAY = Prepared(invoices.insert()), Prepared(invoices.update().where(_MINE, invoices.c.state == "open"))


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
