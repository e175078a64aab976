"""Prepaid service becomes revenue by the day (model section 4).

A line's running total is rounded and the difference posted (C4), so all days together are exactly the line. Posted is
what was used before a day, whenever somebody asks: at the end of a period, on the first of a month, before money goes
back, before a report. Asking twice, late, or day by day comes to the same sums.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from control_plane.billing import postings
from control_plane.billing.charges import Line
from control_plane.billing.tables import deferrals
from control_plane.ledger import journal
from control_plane.money import Money
from control_plane.periods import Span
from control_plane.running import jobs
from control_plane.storage.columns import Serial
from control_plane.storage.prepared import Prepared

_MIDNIGHT = datetime.time(tzinfo=datetime.UTC)
# After what happens to subscriptions at the same instant (C7).
PRIORITY = 80


def defer(connection: sa.Connection, account: str, invoice: str, lines: Iterable[Line]) -> None:
    """Take up the lines of a paid invoice that have days, and see to their end."""
    rows, days = [], set[datetime.date]()
    for number, line in enumerate(lines):
        if line.span is None or not line.net.minor:
            continue
        values = {"account": account, "invoice": invoice, "line": number, "revenue": postings.revenue_of(line)}
        values |= {"currency": line.net.currency, "net": line.net.minor, "first": line.span.first}
        rows.append(values | {"days": line.span.days, "earned_days": 0, "over": False})
        days |= _looked_at(line.span)
    if rows:
        _DEFER.run_each(connection, rows)
        jobs.put_all(connection, [_later(account, day) for day in sorted(days)])


def earn(connection: sa.Connection, now: datetime.datetime, account: str, until: datetime.date) -> None:
    """Post what the account has used on days before `until`, at that midnight."""
    at = datetime.datetime.combine(until, _MIDNIGHT)
    for row in _OPEN.all(connection, {"of": account}):
        used = min(max((until - row.first).days, 0), row.days)
        if used <= row.earned_days:
            continue
        step = Money(row.net, row.currency).step(row.earned_days, used, row.days)
        if step.minor:
            journal.post(
                connection,
                now,
                idem_key=f"revenue:{row.invoice}:{row.line}:{row.id}:{used}",
                effective_at=at,
                reason="revenue",
                ref=row.invoice,
                lines=postings.earned(account, row.revenue, step),
            )
        _EARN.run(connection, {"of": row.id, "earned_days": used, "over": used == row.days})


def take_back(
    connection: sa.Connection, now: datetime.datetime, account: str, invoice: str, line: int, net: Money
) -> tuple[Money, tuple[tuple[str, Money], ...]]:
    """Give up `net` of a line that is given back: out of what is still prepaid as far as that goes, the rest out of its
    revenue. Returns both; the caller posts them with the rest of the credit note.

    What stays prepaid is earned on the days that are left. Today's use is posted first: a begun day is used (C1).
    """
    tomorrow = now.date() + datetime.timedelta(days=1)
    earn(connection, now, account, tomorrow)
    open_ = (deferrals.c.invoice == invoice) & (deferrals.c.line == line) & ~deferrals.c.over
    row = connection.execute(deferrals.select().where(open_)).one_or_none()
    if row is None:
        return Money(0, net.currency), ((_revenue_of(connection, invoice, line), net),)
    earned = Money(row.net, row.currency).share(row.earned_days, row.days)
    prepaid = min(Money(row.net, row.currency) - earned, net)
    connection.execute(deferrals.update().where(deferrals.c.id == row.id).values(over=True))
    stays, days = Money(row.net, row.currency) - earned - prepaid, row.days - row.earned_days
    if stays.minor:
        again = {**row._mapping, "net": stays.minor, "days": days, "earned_days": 0}
        again["first"] = row.first + datetime.timedelta(days=row.earned_days)
        connection.execute(deferrals.insert().values({name: again[name] for name in again if name != "id"}))
    rest = net - prepaid
    return prepaid, ((row.revenue, rest),) if rest.minor else ()


def stop(connection: sa.Connection, now: datetime.datetime, account: str) -> None:
    """The service ends today and nothing more is given back (BIL-06, BIL-40): what is prepaid has been earned."""
    earn(connection, now, account, now.date() + datetime.timedelta(days=1))
    for row in _OPEN.all(connection, {"of": account}):
        whole = Money(row.net, row.currency)
        rest = whole - whole.share(row.earned_days, row.days)
        if rest.minor:
            journal.post(
                connection,
                now,
                idem_key=f"revenue:{row.invoice}:{row.line}:{row.id}:kept",
                effective_at=now,
                reason="revenue_kept",
                ref=row.invoice,
                lines=postings.earned(account, row.revenue, rest),
            )
        connection.execute(deferrals.update().where(deferrals.c.id == row.id).values(over=True))


def job(connection: sa.Connection, due_at: datetime.datetime, taken: jobs.Job) -> None:
    """The handler of `billing.earn`."""
    assert taken.account is not None
    earn(connection, due_at, taken.account, due_at.date())


def _looked_at(span: Span) -> set[datetime.date]:
    """Its end, and the first of each month on the way, so that the books of a month close with what was used."""
    days, day = {span.end}, _first_of_next_month(span.first)
    while day < span.end:
        days.add(day)
        day = _first_of_next_month(day)
    return days


def _later(account: str, day: datetime.date) -> Mapping[str, Any]:
    due_at = datetime.datetime.combine(day, _MIDNIGHT)
    key = f"billing.earn:{account}:{day}"
    return jobs.later(kind="billing.earn", key=key, due_at=due_at, account=account, priority=PRIORITY)


def _first_of_next_month(day: datetime.date) -> datetime.date:
    return (day.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)


def _revenue_of(connection: sa.Connection, invoice: str, line: int) -> str:
    found: Any = connection.scalar(
        sa.select(deferrals.c.revenue).where(deferrals.c.invoice == invoice, deferrals.c.line == line).limit(1)
    )
    return str(found or "revenue:addon")  # what has no days is an add-on that is paid once


_NOT_OVER = deferrals.select().where(deferrals.c.account == sa.bindparam("of"), ~deferrals.c.over)
_OPEN = Prepared(_NOT_OVER.order_by(deferrals.c.id))
_DEFER = Prepared(deferrals.insert())
_EARN = Prepared(deferrals.update().where(deferrals.c.id == sa.bindparam("of", type_=Serial)))
