"""Who is billed and the card that is charged: rows with the gateway's tokens, never a number (BIL-02, BIL-23)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, cast

import sqlalchemy as sa

from control_plane.accounts.tokens import Draw, new_id
from control_plane.billing import tax
from control_plane.billing.charges import Discount
from control_plane.billing.freeze import CardMonth
from control_plane.billing.tables import cards, payers
from control_plane.errors import NotFound
from control_plane.gateway.port import Card
from control_plane.running import audit, inserts

_UNKNOWN = "no card is being entered under this reference"
# Of a card that was begun: not given yet, charged from now on, not taken, taken away or replaced.
State = Literal["awaited", "saved", "declined", "removed"]


@dataclass(frozen=True)
class OnFile:
    """The card that is charged. `expires`: it is good to the last day of this month."""

    id: str
    token: str
    brand: str
    last4: str
    expires: CardMonth


@dataclass(frozen=True)
class Payer:
    """`payer` is the gateway's name for the account; "" before it gave one."""

    payer: str
    country: str
    discount: Discount | None


@dataclass(frozen=True)
class Given:
    """A card of `account` was given; `replaced`: the token of the one that was charged before, "" for none."""

    account: str
    replaced: str


def payer(connection: sa.Connection, account: str) -> Payer | None:
    """None before the account said where it is."""
    row = connection.execute(_PAYER, {"of": account}).one_or_none()
    return None if row is None else payer_of(row)


def payer_of(row: sa.Row[Any]) -> Payer:
    """Out of a row with the columns of `payers`."""
    return Payer(row.payer, row.country, _discount(row))


def set_country(connection: sa.Connection, account: str, country: str) -> None:
    """It counts from the next invoice on. Raises Invalid with field `country`."""
    code = tax.country(country)
    row = {"account": account, "payer": "", "country": code, "discount": ""}
    if not inserts.once(connection, payers, row, index_elements=["account"]):
        connection.execute(payers.update().where(payers.c.account == account).values(country=code))


def set_payer(connection: sa.Connection, account: str, reference: str) -> None:
    """The gateway's name for it. Raises NotFound before `set_country`."""
    if not connection.execute(payers.update().where(payers.c.account == account).values(payer=reference)).rowcount:
        raise NotFound("payer_unknown", "say first in which country you are")


def set_discount(
    connection: sa.Connection,
    now: datetime.datetime,
    account: str,
    discount: Discount | None,
    actor: str,
    ticket: str = "",
) -> None:
    """From the next period on (BIL-46); by staff. Raises NotFound before `set_country`."""
    part, until = ("", None) if discount is None else (str(discount.part), discount.until)
    changed = payers.update().where(payers.c.account == account).values(discount=part, discount_until=until)
    if not connection.execute(changed).rowcount:
        raise NotFound("payer_unknown", "this account has not said yet in which country it is")
    ids = {"discount": part.replace("/", "_of_") or "none", **({"ticket": ticket} if ticket else {})}
    audit.record(connection, now, actor=actor, account=account, code="discount_set", ids=ids)


def begin(connection: sa.Connection, now: datetime.datetime, draw: Draw, account: str, reference: str) -> str:
    """A card is being entered at the gateway; its row. Again: the same row."""
    known = connection.scalar(sa.select(cards.c.id).where(cards.c.setup == reference))
    if known is not None:
        return str(known)
    id_ = new_id("crd", draw)
    values: dict[str, Any] = {"id": id_, "account": account, "setup": reference, "state": "awaited", "token": ""}
    connection.execute(
        cards.insert().values(values | {"brand": "", "last4": "", "year": 0, "month": 0, "given_at": now})
    )
    return id_


def saved(connection: sa.Connection, now: datetime.datetime, setup: str, card: Card) -> Given | None:
    """It was given: from now on it is the one that is charged, and the one before it is not. None where it was known
    already. One that was declined may still be given: in the gateway's fields he types in another."""
    row = _of_setup(connection, setup)
    if row.state not in ("awaited", "declined"):
        return None
    before = on_file(connection, row.account)
    connection.execute(
        cards.update()
        .where(cards.c.account == row.account, cards.c.state == "saved")
        .values(state="removed", removed_at=now)
    )
    values = {"state": "saved", "token": card.token, "brand": card.brand, "last4": card.last4, "given_at": now}
    values |= {"year": card.expires.year, "month": card.expires.month}
    connection.execute(cards.update().where(cards.c.id == row.id).values(values))
    return Given(str(row.account), before.token if before else "")


def declined(connection: sa.Connection, setup: str) -> None:
    """It cannot be used; he may give another."""
    row = _of_setup(connection, setup)
    if row.state == "awaited":
        connection.execute(cards.update().where(cards.c.id == row.id).values(state="declined"))


def renewed(connection: sa.Connection, card: Card) -> str | None:
    """The issuer gave it another month. Returns whose it is; None for one that is not on file."""
    on = (cards.c.token == card.token) & (cards.c.state == "saved")
    row = connection.execute(cards.select().where(on)).one_or_none()
    if row is None:
        return None
    values = {"year": card.expires.year, "month": card.expires.month, "last4": card.last4, "brand": card.brand}
    connection.execute(cards.update().where(cards.c.id == row.id).values(values))
    return str(row.account)


def remove(connection: sa.Connection, now: datetime.datetime, account: str) -> str:
    """The card on file is charged no more; its token, for the gateway to forget it. Raises NotFound."""
    card = on_file(connection, account)
    if card is None:
        raise NotFound("card_unknown", "there is no card on file")
    connection.execute(cards.update().where(cards.c.id == card.id).values(state="removed", removed_at=now))
    return card.token


def on_file(connection: sa.Connection, account: str) -> OnFile | None:
    """The one that is charged."""
    row = connection.execute(_ON_FILE, {"of": account}).one_or_none()
    return None if row is None else on_file_of(row)


def on_file_of(row: sa.Row[Any]) -> OnFile:
    """Out of a row with the columns of `cards`."""
    return OnFile(row.id, row.token, row.brand, row.last4, CardMonth(row.year, row.month))


def awaited(connection: sa.Connection, account: str) -> str | None:
    """The gateway's reference of the newest one that is being entered."""
    wanted = sa.select(cards.c.setup).where(cards.c.account == account, cards.c.state == "awaited")
    found = connection.scalar(wanted.order_by(cards.c.given_at.desc()).limit(1))
    return None if found is None else str(found)


def state_of(connection: sa.Connection, account: str, setup: str) -> State:
    """How the account's set-up stands. Raises NotFound, also for one of another account."""
    row = _of_setup(connection, setup)
    if row.account != account:
        raise NotFound("card_unknown", _UNKNOWN)
    return cast(State, row.state)


def _of_setup(connection: sa.Connection, setup: str) -> sa.Row[Any]:
    row = connection.execute(cards.select().where(cards.c.setup == setup)).one_or_none()
    if row is None:
        raise NotFound("card_unknown", _UNKNOWN)
    return row


_PAYER = payers.select().where(payers.c.account == sa.bindparam("of"))
_ON_FILE = cards.select().where(cards.c.account == sa.bindparam("of"), cards.c.state == sa.literal_column("'saved'"))


def _discount(row: sa.Row[Any]) -> Discount | None:
    return Discount(Fraction(row.discount), row.discount_until) if row.discount else None
