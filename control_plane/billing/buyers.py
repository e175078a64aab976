"""Whom an invoice is made out to and how he pays: all that a charge needs to know of an account, by one look."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from control_plane.accounts.people import Reader
from control_plane.accounts.tables import accounts, memberships, people
from control_plane.billing import cards
from control_plane.billing.cards import OnFile, Payer
from control_plane.billing.document import Party
from control_plane.billing.tables import add_ons, credits, invoices, payers
from control_plane.billing.tables import cards as card_rows
from control_plane.errors import NotFound
from control_plane.storage.prepared import Prepared


@dataclass(frozen=True)
class Buyer:
    """As he stands now. `payer` is None before the account said where it is; `reader` while nobody reads its mail.
    `invoices`: how many were made out to him; `adds`: whether he has add-ons; `has_credit`: whether any is left. Most
    have neither, and then nobody asks for them."""

    account: str
    status: str
    business_name: str
    address: str
    tax_number: str
    payer: Payer | None
    card: OnFile | None
    reader: Reader | None
    invoices: int
    adds: bool
    has_credit: bool

    @property
    def country(self) -> str:
        """Whose taxes are on what he buys; "" before he was asked."""
        return self.payer.country if self.payer else ""

    @property
    def party(self) -> Party:
        """As he stands on an invoice (BIL-15)."""
        email = self.reader.email if self.reader else ""
        return Party.of(self.business_name or email, self.address, self.country, self.tax_number, email)


def of(connection: sa.Connection, account: str) -> Buyer:
    """Raises NotFound, also for an account that was deleted."""
    row = _BUYER.first(connection, {"id": account})
    if row is None:
        raise NotFound("account_unknown", "there is no such account")
    reads = row.email is not None and row.status in ("open", "suspended")
    return Buyer(
        account,
        row.status,
        row.business_name,
        row.address,
        row.tax_number,
        cards.payer_of(row) if row.payer is not None else None,
        cards.on_file_of(row) if row.token is not None else None,
        Reader(row.email, row.language, row.time_zone) if reads else None,
        row.invoices or 0,
        bool(row.adds),
        bool(row.has_credit),
    )


_HIS: sa.BindParameter[str] = sa.bindparam("id")
_BUYER = Prepared(
    sa.select(
        *(accounts.c[name] for name in ("status", "business_name", "address", "tax_number", "time_zone")),
        *(payers.c[name] for name in ("payer", "country", "discount", "discount_until")),
        *(card_rows.c[name] for name in ("id", "token", "brand", "last4", "year", "month")),
        people.c.email,
        people.c.language,
        sa.select(sa.func.max(invoices.c.seq)).where(invoices.c.account == _HIS).scalar_subquery().label("invoices"),
        sa.exists().where(add_ons.c.account == _HIS, add_ons.c.state == "active").label("adds"),
        sa.exists().where(credits.c.account == _HIS, credits.c.left > 0).label("has_credit"),
    )
    .select_from(accounts)
    .outerjoin(payers, payers.c.account == accounts.c.id)
    .outerjoin(card_rows, (card_rows.c.account == accounts.c.id) & (card_rows.c.state == sa.literal_column("'saved'")))
    .outerjoin(memberships, (memberships.c.account == accounts.c.id) & (memberships.c.role == "owner"))
    .outerjoin(people, people.c.id == memberships.c.person)
    .where(accounts.c.id == _HIS, accounts.c.status != "deleted")
)
