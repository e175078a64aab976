"""What leaves the house: put in the transaction that decides it, carried out after the commit, at least once.

A deliverer of each kind carries it; `key` is the same at every try, so that the other side can tell a repetition. Each
account's rows of one kind go in order: while one waits to be tried again, the later ones wait. Of different accounts
those go first that are `awaited`: ten thousand mails of a night are not in the way of one that lets somebody in. A
claim puts the next try off before the attempt begins: who dies in the middle loses nothing, the row comes up again.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.running import canonical, inserts, tasks
from control_plane.running.canonical import JSON
from control_plane.running.delays import HOUR, MINUTE, Delays
from control_plane.running.faults import told
from control_plane.running.tables import outbox
from control_plane.storage.columns import Instant, Serial
from control_plane.storage.prepared import Prepared

Kind = Literal["mail", "media", "gateway"]
# For ever, at last four times a day: a row is sent, refused for good, or waits.
RETRIES: Mapping[str, Delays] = {
    "mail": Delays((10, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR)),
    "media": Delays((1, 2, 5, 10, 30, MINUTE, 5 * MINUTE)),
    # What was charged and not answered is asked for soon: a customer may sit before the page.
    "gateway": Delays((2, 10, 30, 2 * MINUTE, 10 * MINUTE, HOUR, 3 * HOUR)),
}
# Then the staff is told, once a kind: it is rather the server than the row.
TASK_AFTER = 6
STUCK, REFUSED = "outbox_stuck", "outbox_refused"


@dataclass(frozen=True)
class Letter:
    """A row as its deliverer sees it. `put_at` is the business time at which it was put."""

    id: int
    key: str
    kind: str
    account: str | None
    payload: Mapping[str, Any]
    put_at: datetime.datetime
    attempts: int


class Refused(Exception):
    """Raised by a deliverer when the other side will never take it. `code` is a word without personal values."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


WhenRefused = Callable[[sa.Connection, datetime.datetime, Letter], None]
WhenArrived = Callable[[sa.Connection, datetime.datetime, Letter, Any], None]


def nothing(connection: sa.Connection, now: datetime.datetime, letter: Letter) -> None:
    """Nobody else wants to know."""


def unread(connection: sa.Connection, now: datetime.datetime, letter: Letter, answer: Any) -> None:
    """That it arrived is all that counts."""


@dataclass(frozen=True)
class Deliverer:
    """Carries rows of one kind. `carry` returns when the other side has it, raises Refused, or anything else to have it
    tried again; it must end within `lease_s`, less a second. `refused` runs in the transaction that writes a refusal
    down (a bounced address raises its flag there), `arrived` in the one that writes down that it was sent; it is given
    what `carry` returned (a gateway's answer).

    `idempotent`: what comes there again under its key changes nothing, however many answers a crash loses. Then several
    answers are written down in one transaction, and `at_once` letters are carried at one time, each in a thread."""

    carry: Callable[[Letter], Any]
    refused: WhenRefused = nothing
    lease_s: int = 60
    arrived: WhenArrived = unread
    idempotent: bool = False
    at_once: int = 1

    def __post_init__(self) -> None:
        if self.at_once < 1 or (self.at_once > 1 and not self.idempotent):
            raise ValueError("several at once need a side that knows a letter by its key")


def put(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    kind: Kind,
    key: str,
    account: str | None,
    payload: Mapping[str, JSON],
    awaited: bool = False,
) -> bool:
    """Send this after the commit; before what nobody waits for if it is `awaited`. A key that was put before changes
    nothing and gives False. Raises ValueError for a key that is more than ids and codes."""
    canonical.plain(key)
    values: dict[str, Any] = {"key": key, "kind": kind, "account": account, "payload": payload, "awaited": awaited}
    values |= {"put_at": now, "try_at": now, "state": "waiting", "attempts": 0}
    return inserts.once(connection, outbox, values, index_elements=["key"])


def claim(connection: sa.Connection, now: datetime.datetime, kind: str, lease_s: int) -> Letter | None:
    """The first row of this kind that may be tried now; for `lease_s` nobody else gets it."""
    claimed = claim_some(connection, now, kind, lease_s, 1)
    return claimed[0] if claimed else None


def claim_some(connection: sa.Connection, now: datetime.datetime, kind: str, lease_s: int, most: int) -> list[Letter]:
    """As `claim`, the first so many: those that are awaited, or if there are none, the others. More than one only of
    those that were never tried. They are of different accounts (or of none): each account's go in order."""
    rows: Sequence[Any] = ()
    for awaited in (True, False):
        rows = rows or _FIRST.all(connection, {"of_kind": kind, "awaited": awaited, "now": now, "most": most})
    chosen = list(itertools.takewhile(lambda row: not row.attempts, rows)) or rows[:1]
    put_off = now + datetime.timedelta(seconds=lease_s)
    if chosen:
        _CLAIM.run_each(connection, [{"of": row.id, "put_off": put_off} for row in chosen])
    return [Letter(row.id, row.key, row.kind, row.account, row.payload, row.put_at, row.attempts + 1) for row in chosen]


def give_back(connection: sa.Connection, now: datetime.datetime, letters: Sequence[Letter]) -> None:
    """They were claimed and not tried: their attempts do not count, and anybody may claim them."""
    for one in letters:
        connection.execute(
            outbox.update()
            .where(outbox.c.id == one.id, outbox.c.state == "waiting", outbox.c.attempts == one.attempts)
            .values(attempts=one.attempts - 1, try_at=now)
        )


def sent(connection: sa.Connection, now: datetime.datetime, *letters: Letter) -> None:
    """They have arrived. Their contents go (they name people, and may hold a link that opens something); their keys
    stay."""
    if letters:
        _SENT.run_each(connection, [{"of": one.id, "now": now} for one in letters])
    for kind in sorted({one.kind for one in letters if one.attempts > 1}):
        tasks.settle(connection, now, kind=STUCK, ref=kind, actor="system:outbox")


def refused(connection: sa.Connection, now: datetime.datetime, letter: Letter, code: str) -> None:
    """It will never arrive. It is kept with its contents, the staff is told, and later ones go on."""
    connection.execute(
        outbox.update().where(outbox.c.id == letter.id, outbox.c.state == "waiting").values(state="refused", error=code)
    )
    words: dict[str, JSON] = {"kind": letter.kind, "code": code}
    tasks.raise_task(connection, now, kind=REFUSED, ref=letter.key, account=letter.account, payload=words)


def failed(connection: sa.Connection, now: datetime.datetime, letter: Letter, fault: Exception) -> None:
    """It has not arrived, or we do not know: again later."""
    again = now + RETRIES[letter.kind].after(letter.attempts)
    connection.execute(
        outbox.update()
        .where(outbox.c.id == letter.id, outbox.c.state == "waiting", outbox.c.attempts == letter.attempts)
        .values(try_at=again, error=told(fault))
    )
    if letter.attempts >= TASK_AFTER:
        words: dict[str, JSON] = {"error": told(fault)}
        tasks.raise_task(connection, now, kind=STUCK, ref=letter.kind, account=None, payload=words)


def again(connection: sa.Connection, now: datetime.datetime, *, key: str, actor: str) -> bool:
    """Try a refused or waiting row now. False when there is none such."""
    woken = connection.execute(
        outbox.update()
        .where(outbox.c.key == key, outbox.c.state.in_(("waiting", "refused")))
        .values(state="waiting", attempts=0, try_at=now)
    )
    tasks.settle(connection, now, kind=REFUSED, ref=key, actor=actor)
    return woken.rowcount == 1


def next_at(connection: sa.Connection, kind: str) -> datetime.datetime | None:
    """When the next row of this kind may be tried; None when none waits."""
    ats = (_NEXT_AT.value(connection, {"of_kind": kind, "awaited": awaited}) for awaited in (True, False))
    return min((at for at in ats if at is not None), default=None)


def _may_go() -> tuple[sa.ColumnElement[bool], ...]:
    """It waits, and nothing of its account and kind comes before it."""
    other = outbox.alias("other")
    before = sa.and_(
        other.c.account == outbox.c.account,
        other.c.kind == outbox.c.kind,
        other.c.state == "waiting",
        other.c.id < outbox.c.id,
    )
    return (outbox.c.state == _WAITING, ~sa.exists().where(before))


# Written out, not bound: an index of the waiting rows alone is used by who says so in the statement itself.
_WAITING: sa.ColumnElement[str] = sa.literal_column("'waiting'")
_KIND = (outbox.c.kind == sa.bindparam("of_kind")) & (outbox.c.awaited == sa.bindparam("awaited", type_=sa.Boolean))
_NOW = sa.bindparam("now", type_=Instant)
_FIRST = Prepared(
    sa.select(outbox)
    .where(_KIND, outbox.c.try_at <= _NOW, *_may_go())
    .order_by(outbox.c.try_at, outbox.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_NEXT_AT = Prepared(sa.select(outbox.c.try_at).where(_KIND, *_may_go()).order_by(outbox.c.try_at).limit(1))
_MINE = outbox.c.id == sa.bindparam("of", type_=Serial)
_CLAIM = Prepared(
    outbox.update().where(_MINE).values(attempts=outbox.c.attempts + 1, try_at=sa.bindparam("put_off", type_=Instant))
)
_SENT = Prepared(outbox.update().where(_MINE).values(state="sent", payload={}, error=None, try_at=_NOW))
