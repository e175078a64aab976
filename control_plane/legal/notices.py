"""Telling customers of changes, and what became of it: the rows behind control_plane.legal.changes (LEG-03 to LEG-05).

Every notice is given in all three ways at once: on the site (the text is published), in the account (this row is what
the account page shows) and by mail to the last known address. A mail that bounces takes nothing back: the other two
stand, and the bounce is kept for staff (ACC-11).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import sqlalchemy as sa

from control_plane.errors import NotFound
from control_plane.legal import acceptance, changes
from control_plane.legal import texts as published
from control_plane.legal.changes import Act, Change
from control_plane.legal.kinds import ORIGINAL, Kind
from control_plane.legal.tables import acceptances, notices
from control_plane.storage.columns import Instant

FEES = "fees"
TEMPLATES = ("legal_change", "legal_fees")
# One transaction looks at so many accounts, each some 20 ms of the one writer on a busy machine; a job calls again.
BATCH = 5


class Post(Protocol):
    """Puts a mail to the account's last known address into the outbox. False when none is known.

    `values`: `text`, the kind of the text that says what changes ("" when a price list does), and its `version`; the
    instants `begins` (in force at the earliest), `latest` (in force in any case) and `deadline` (ending until then
    keeps the old version), as ISO 8601 in UTC. Of a price list also what its lines are: `item`, `cycle`, `was`, `will`.
    """

    def __call__(
        self,
        connection: sa.Connection,
        now: datetime.datetime,
        *,
        account: str,
        template: str,
        key: str,
        values: Mapping[str, str],
    ) -> bool: ...


@dataclass(frozen=True)
class Notice:
    """What one account was told, by which ways, and what it did."""

    account: str
    kind: str
    version: str
    old_version: str
    change: Change
    fees: Mapping[str, Any] | None
    on_site_at: datetime.datetime
    in_account_at: datetime.datetime
    mail_key: str | None
    mailed_at: datetime.datetime | None
    bounced_at: datetime.datetime | None


@dataclass(frozen=True)
class Batch:
    """`told` of the accounts that were looked at; `last` is the last of those, "" when nobody was left."""

    told: int
    last: str


def announce(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    kind: Kind,
    version: str,
    post: Post,
    after: str = "",
    until: datetime.datetime | None = None,
    limit: int = BATCH,
) -> Batch:
    """Tell the accounts behind `after`, in the order of ids, of a published version; the same call again does nothing.

    Told are accounts that accepted an earlier version of it by `until` (else by now), but for those that ended their
    agreement over a change of it (the old version is theirs to the end). If the version names fees, they are announced
    with it, with 30 days.
    """
    text = published.shown(connection, kind, version, ORIGINAL)
    next_ = _accepted_any(connection, kind, until or now, after, limit)
    untold = _untold(connection, kind, version, next_)
    for account in untold:
        old = binding(connection, account, kind, now)
        _tell(
            connection, now, account, kind, version, old, Change(now, text.in_force_at), text.published_at, post, kind
        )
        if text.names_fees:
            change = changes.fees(now, text.in_force_at)
            _tell(connection, now, account, FEES, version, old, change, text.published_at, post, kind)
    return Batch(len(untold), next_[-1] if next_ else "")


def announce_fees(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    account: str,
    prices: str,
    old_prices: str,
    fees: Mapping[str, Any],
    published_at: datetime.datetime,
    in_force_at: datetime.datetime,
    post: Post,
) -> None:
    """Tell one account of fees, which bind it after 30 days at the earliest. `prices` names the price list; `fees` are
    its lines for this account, as the catalogue has them. Twice the same does nothing."""
    change = changes.fees(now, in_force_at)
    _tell(connection, now, account, FEES, prices, old_prices, change, published_at, post, "", fees)


def bounced(connection: sa.Connection, now: datetime.datetime, mail_key: str) -> None:
    """The mail of this notice came back. Raises NotFound for a mail that was none of ours."""
    first = sa.func.coalesce(notices.c.bounced_at, sa.literal(now, Instant))
    asked = notices.update().where(notices.c.mail_key == mail_key).values(bounced_at=first)
    if connection.execute(asked).rowcount == 0:
        raise NotFound("no_notice", "no notice was sent with this key")


def awaits_use(connection: sa.Connection, now: datetime.datetime, account: str) -> bool:
    """Whether a use of the service would accept a change now. One look into an index: it is asked at every use."""
    return bool(_open(connection, now, account))


def used(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    account: str,
    person: str,
    act: Act,
    access: str,
    language: str,
    address_hash: str,
) -> list[str]:
    """The account did something; the kinds of texts whose new version it accepts by it (LEG-04), recorded (LEG-02)."""
    if not changes.is_use(act, access):
        return []
    open_ = _open(connection, now, account)
    for notice in open_:
        connection.execute(notices.update().where(*_is(notice)).values(used_at=now))
    if open_:
        acceptance.record_use(
            connection,
            now,
            person=person,
            versions={notice.kind: notice.version for notice in open_},
            language=language,
            address_hash=address_hash,
            account=account,
        )
    return [notice.kind for notice in open_]


def ended(connection: sa.Connection, now: datetime.datetime, account: str) -> list[Notice]:
    """The customer ends the agreement: the changes that never bind him, because he did so in time.

    There is no refund for it (BIL-06); billing decides what happens at the end of the paid period.
    """
    kept = [
        notice
        for notice in of_account(connection, account)
        if notice.change.ended_at is None and now <= notice.change.deadline
    ]
    for notice in kept:
        connection.execute(notices.update().where(*_is(notice)).values(ended_at=now))
    return [replace(notice, change=replace(notice.change, ended_at=now)) for notice in kept]


def stays(connection: sa.Connection, account: str, ended_at: datetime.datetime) -> None:
    """He takes the end back that he declared at this instant: the changes bind him as if he never had."""
    mine = (notices.c.account == account) & (notices.c.ended_at == ended_at)
    connection.execute(notices.update().where(mine).values(ended_at=None))


def binding(connection: sa.Connection, account: str, kind: str, at: datetime.datetime) -> str:
    """The version that binds this account at that instant, as is known now; "" for none.

    It is the newest one that was accepted outright, or whose change came into force.
    """
    asked = sa.select(acceptances.c.at, acceptances.c.version).where(
        acceptances.c.account == account,
        acceptances.c.kind == kind,
        acceptances.c.means != "use",  # what use accepted is in the notices, where an end takes it back
        acceptances.c.at <= at,
    )
    since = [(row.at, row.version) for row in connection.execute(asked)]
    for notice in _rows(connection, notices.c.account == account, notices.c.kind == kind):
        began = changes.in_force_from(notice.change)
        if began is not None and began <= at:
            since.append((began, notice.version))
        elif notice.change.noticed_at <= at:
            since.append((datetime.datetime.min.replace(tzinfo=datetime.UTC), notice.old_version))
    return max(since)[1] if since else ""


def of_account(connection: sa.Connection, account: str) -> list[Notice]:
    """All that the account was told, the newest first: for its page."""
    return _rows(connection, notices.c.account == account)


def _open(connection: sa.Connection, now: datetime.datetime, account: str) -> list[Notice]:
    """What a use accepts at this instant."""
    unused = (notices.c.by_use, notices.c.used_at.is_(None), notices.c.ended_at.is_(None), notices.c.not_before <= now)
    found = _rows(connection, notices.c.account == account, *unused)
    return [notice for notice in found if now <= notice.change.deadline]


def _accepted_any(connection: sa.Connection, kind: str, until: datetime.datetime, after: str, limit: int) -> list[str]:
    """The next accounts that accepted any version of it by that instant."""
    column = acceptances.c.account
    which = (acceptances.c.kind == kind, acceptances.c.at <= until, column > after)
    asked = sa.select(column).where(*which).distinct().order_by(column).limit(limit)
    return [str(account) for account in connection.scalars(asked)]


def _untold(connection: sa.Connection, kind: str, version: str, among: Sequence[str]) -> list[str]:
    told = sa.select(notices.c.account).where(notices.c.kind == kind, notices.c.version == version)
    newer = sa.select(acceptances.c.account).where(
        acceptances.c.kind == kind, acceptances.c.version >= version, acceptances.c.account.is_not(None)
    )
    again = acceptances.alias()
    left = sa.select(notices.c.account).where(
        notices.c.kind == kind,
        notices.c.ended_at.is_not(None),
        ~sa.exists().where(again.c.account == notices.c.account, again.c.kind == kind, again.c.at > notices.c.ended_at),
    )
    # Each asks for these accounts alone, so that a batch costs the same however many customers there are.
    columns = ((told, notices.c.account), (newer, acceptances.c.account), (left, notices.c.account))
    done = {found for asked, column in columns for found in connection.scalars(asked.where(column.in_(among)))}
    return [account for account in among if account not in done]


def _tell(
    connection: sa.Connection,
    now: datetime.datetime,
    account: str,
    kind: str,
    version: str,
    old_version: str,
    change: Change,
    on_site_at: datetime.datetime,
    post: Post,
    text: str,
    fees: Mapping[str, Any] | None = None,
) -> None:
    """Does nothing if the account was told already."""
    same = (notices.c.account == account, notices.c.kind == kind, notices.c.version == version)
    if _rows(connection, *same):
        return
    key = f"legal:{kind}:{version}:{account}"
    latest = max(change.deadline, change.not_before)
    begins = max(now, change.not_before) if change.by_use else latest
    instants = {"begins": begins, "latest": latest, "deadline": change.deadline}
    values = {"text": text, "version": version, **{name: at.isoformat() for name, at in instants.items()}}
    values |= {name: str(value) for name, value in (fees or {}).items()}
    sent = post(
        connection,
        now,
        account=account,
        template="legal_fees" if kind == FEES else "legal_change",
        key=key,
        values=values,
    )
    connection.execute(
        notices.insert().values(
            account=account,
            kind=kind,
            version=version,
            old_version=old_version,
            noticed_at=now,
            not_before=change.not_before,
            days=change.days,
            by_use=change.by_use,
            fees=fees,
            on_site_at=on_site_at,
            in_account_at=now,
            mail_key=key if sent else None,
            mailed_at=now if sent else None,
        )
    )


def _is(notice: Notice) -> tuple[sa.ColumnElement[bool], ...]:
    return (notices.c.account == notice.account, notices.c.kind == notice.kind, notices.c.version == notice.version)


def _rows(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> list[Notice]:
    """The newest first."""
    asked = sa.select(notices).where(*which).order_by(notices.c.noticed_at.desc(), notices.c.kind)
    return [
        Notice(
            account=row.account,
            kind=row.kind,
            version=row.version,
            old_version=row.old_version,
            change=Change(row.noticed_at, row.not_before, row.days, row.by_use, row.used_at, row.ended_at),
            fees=row.fees,
            on_site_at=row.on_site_at,
            in_account_at=row.in_account_at,
            mail_key=row.mail_key,
            mailed_at=row.mailed_at,
            bounced_at=row.bounced_at,
        )
        for row in connection.execute(asked)
    ]
