"""The job `billing.price_notice`: who has the earlier price is told of the new one, a batch a transaction (BIL-05).

Each is told as of every change of fees (control_plane.legal.notices): on the site, in the account and by mail, with his
own 30 days. They run from when he is really told, so this job looks at the clock where it came late; under a test clock
the two are the same. Who was not reached by mail keeps his price (docs/billing.md, "Readings").
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import sqlalchemy as sa

from control_plane.billing import prices
from control_plane.billing.catalogue import Catalogue, Price
from control_plane.billing.setup import Setup
from control_plane.billing.tables import add_ons, subscriptions
from control_plane.clock import Clock
from control_plane.legal import notices
from control_plane.running import jobs
from control_plane.running.jobs import Handler, Job

# Behind everybody else's jobs of the same instant.
PRIORITY = 200
# One transaction tells so many; a job calls again.
BATCH = 20
# Whose price a renewal asks for.
_RENEWING = ("active", "frozen", "expired")


def handler(clock: Clock, setup: Setup, post: notices.Post) -> Handler:
    """Tells the next accounts and puts itself again behind them, until nobody is left or the change is taken back."""

    def tell(connection: sa.Connection, due_at: datetime.datetime, job: Job) -> None:
        now, known = max(due_at, clock.now()), prices.catalogue(connection, setup)
        price = known.price(job.payload["price"])
        if known.withdrawn(price, now):
            return
        batch = _next(connection, known, price, job.payload["after"])
        for account, was in batch.items():
            if price.amount <= was.amount:
                continue  # what costs no more needs no notice
            notices.announce_fees(
                connection,
                now,
                account=account,
                prices=price.id,
                old_prices=was.id,
                fees={
                    "item": price.item,
                    "cycle": price.cycle,
                    "was": str(was.amount),
                    "will": str(price.amount),
                },
                published_at=price.published_at,
                in_force_at=price.published_at,
                post=post,
            )
        if batch:
            number = job.payload["number"] + 1
            jobs.put(
                connection,
                kind="billing.price_notice",
                # By its number and not by where it begins, as legal.announce does.
                key=f"billing.price_notice:{price.id}:{number}",
                due_at=now,
                account=None,
                payload={"price": price.id, "number": number, "after": max(batch)},
                priority=PRIORITY,
            )

    return tell


def _next(connection: sa.Connection, known: Catalogue, price: Price, after: str) -> Mapping[str, Price]:
    """The next accounts in the order of ids that renew at an earlier version, and that version."""
    earlier = {row.id: row for row in known.prices if row.key == price.key and row.published_at < price.published_at}
    if price.item in known.add_ons:
        has = add_ons.c
        renewing: sa.ColumnElement[bool] = (has.state == "active") & has.recurring & has.cancelled_at.is_(None)
    else:
        has = subscriptions.c
        renewing = has.state.in_(_RENEWING)
    those = renewing & has.price.in_(earlier) & (has.account > after)
    batch = sa.select(has.account).where(those).distinct().order_by(has.account).limit(BATCH)
    found: dict[str, Price] = {}
    # Of several pieces of one add-on the newest version that was paid counts, so an account's rows are read together.
    for row in connection.execute(sa.select(has.account, has.price).where(those, has.account.in_(batch))):
        paid = earlier[row.price]
        if row.account not in found or found[row.account].published_at < paid.published_at:
            found[row.account] = paid
    return found
