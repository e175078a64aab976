"""Where an account wants its events, and how each gets there: in order, signed, again and again until it is taken.

The event log itself is the queue: an endpoint has a mark up to which it was told (`told`), and is told the next event
when it answered the last one with 2xx. Nothing is dropped and nothing switched off: an endpoint that fails is tried at
last once a day for ever, shows its last error, and its owner is told by an event and a mail. A claim puts the next try
off before the attempt begins, so that who dies in the middle loses nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.errors import Conflict, Invalid, NotFound
from control_plane.running import addresses, canonical, events, signatures
from control_plane.running.canonical import JSON
from control_plane.running.delays import HOUR, MINUTE, Delays
from control_plane.running.outbound import Answer
from control_plane.running.tables import event_counter, webhook, webhook_attempt
from control_plane.storage.prepared import Prepared

RETRIES = Delays((5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR))
# Failures in a row after which the owner is told: about a quarter of an hour.
TELL_AFTER = 5
# Longer than an attempt may take (outbound.WITHIN_S).
LEASE = datetime.timedelta(seconds=30)
ENDPOINTS_MAX = 10
# So long an old secret signs beside the new one.
OLD_SECRET_FOR = datetime.timedelta(days=1)
FAILING, RECOVERED = "webhook.failing", "webhook.recovered"


@dataclass(frozen=True)
class Endpoint:
    """As its owner sees it. `told`: the last event that arrived. `error` is "" while all is well."""

    id: str
    account: str
    url: str
    secret_number: int
    rotated_at: datetime.datetime | None
    told: int
    try_at: datetime.datetime
    failures: int
    failing_since: datetime.datetime | None
    error: str


@dataclass(frozen=True)
class Attempt:
    """One try. `outcome` "begun": we were stopped in the middle and do not know."""

    seq: int
    at: datetime.datetime
    outcome: str
    status: int | None
    error: str


@dataclass(frozen=True)
class Delivery:
    """An event on its way to an endpoint."""

    endpoint: Endpoint
    event: events.Event
    attempt: int
    at: datetime.datetime


def _nothing(connection: sa.Connection, now: datetime.datetime, endpoint: Endpoint) -> None:
    """Nobody else wants to know."""


@dataclass(frozen=True)
class Hooks:
    """What webhooks need from outside: the operator's key (32 bytes), the way out, and who puts the mail to the owner
    of a failing endpoint into the outbox (in the transaction that writes the failure down)."""

    key: bytes
    post: Callable[[str, dict[str, str], bytes], Answer]
    failing: Callable[[sa.Connection, datetime.datetime, Endpoint], None] = _nothing


def add(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    account: str,
    url: str,
    random_token: Callable[[int], str],
    private: bool = False,
) -> Endpoint:
    """A new endpoint, told what happens from now on. `random_token(n)` gives n characters; `private` as in
    addresses.parse. Raises Invalid (bad_url) and Conflict (too_many_webhooks, webhook_exists)."""
    addresses.parse(url, private=private)
    known = all_of(connection, account)
    if any(other.url == url for other in known):
        raise Conflict("webhook_exists", "this address is told already", field="url")
    if len(known) >= ENDPOINTS_MAX:
        raise Conflict("too_many_webhooks", f"an account has at most {ENDPOINTS_MAX} webhooks")
    row: dict[str, Any] = {"id": f"whk_{random_token(20)}", "account": account, "url": url, "created_at": now}
    row |= {"secret_number": 1, "told": events.last(connection, account), "try_at": now, "failures": 0}
    connection.execute(webhook.insert().values(row))
    return one(connection, account, row["id"])


def one(connection: sa.Connection, account: str, endpoint: str) -> Endpoint:
    """Raises NotFound, for another account's as well."""
    wanted = sa.select(webhook).where(webhook.c.id == endpoint, webhook.c.account == account)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise NotFound("no_such_webhook", "there is no such webhook")
    return _endpoint(row)


def all_of(connection: sa.Connection, account: str) -> list[Endpoint]:
    """An account's endpoints, the oldest first."""
    wanted = sa.select(webhook).where(webhook.c.account == account).order_by(webhook.c.created_at, webhook.c.id)
    return [_endpoint(row) for row in connection.execute(wanted)]


def remove(connection: sa.Connection, account: str, endpoint: str) -> None:
    """Stop telling it; the record of its attempts goes, too. Raises NotFound."""
    one(connection, account, endpoint)
    connection.execute(webhook.delete().where(webhook.c.id == endpoint))


def rotate(connection: sa.Connection, now: datetime.datetime, account: str, endpoint: str) -> Endpoint:
    """A new secret; the old one signs beside it for a day. Raises NotFound."""
    number = one(connection, account, endpoint).secret_number + 1
    connection.execute(webhook.update().where(webhook.c.id == endpoint).values(secret_number=number, rotated_at=now))
    return one(connection, account, endpoint)


def replay(connection: sa.Connection, now: datetime.datetime, account: str, endpoint: str, *, after: int) -> Endpoint:
    """Tell it again all behind number `after`, beginning now. Raises NotFound, and Invalid for a number that was
    not."""
    one(connection, account, endpoint)
    if not 0 <= after <= events.last(connection, account):
        raise Invalid("no_such_event", "no event has this number yet", field="after")
    connection.execute(webhook.update().where(webhook.c.id == endpoint).values(told=after, try_at=now))
    return one(connection, account, endpoint)


def attempts(
    connection: sa.Connection, account: str, endpoint: str, *, before: int | None = None, limit: int = 100
) -> list[Attempt]:
    """What was tried, the newest first. Raises NotFound."""
    one(connection, account, endpoint)
    wanted = sa.select(webhook_attempt).where(webhook_attempt.c.webhook == endpoint)
    if before is not None:
        wanted = wanted.where(webhook_attempt.c.id < before)
    rows = connection.execute(wanted.order_by(webhook_attempt.c.id.desc()).limit(limit))
    return [Attempt(row.seq, row.at, row.outcome, row.status, row.error or "") for row in rows]


def secrets(endpoint: Endpoint, key: bytes, now: datetime.datetime) -> list[str]:
    """What signs now, the newest first. The first is what the owner is shown."""
    numbers = [endpoint.secret_number]
    if endpoint.rotated_at is not None and now < endpoint.rotated_at + OLD_SECRET_FOR:
        numbers.append(endpoint.secret_number - 1)
    return [signatures.secret_of(key, endpoint.id, number) for number in numbers]


# -- telling --


def claim(connection: sa.Connection, now: datetime.datetime) -> Delivery | None:
    """The next event for an endpoint that may be tried now; for LEASE nobody else gets it."""
    first = _behind(sa.select(webhook)).where(webhook.c.try_at <= now).order_by(webhook.c.try_at, webhook.c.id).limit(1)
    row = connection.execute(first.with_for_update(skip_locked=True, of=webhook)).one_or_none()
    if row is None:
        return None
    (next_event,) = events.read(connection, row.account, after=row.told, limit=1)
    connection.execute(webhook.update().where(webhook.c.id == row.id).values(try_at=now + LEASE))
    begun = {"webhook": row.id, "seq": next_event.seq, "at": now, "outcome": "begun"}
    added = connection.execute(webhook_attempt.insert().values(begun).returning(webhook_attempt.c.id))
    return Delivery(_endpoint(row), next_event, int(added.scalar_one()), now)


def request(delivery: Delivery, key: bytes) -> tuple[str, dict[str, str], bytes]:
    """URL, headers and body. The body is the same at every try."""
    told = delivery.event
    words: dict[str, JSON] = {"id": told.id, "type": told.kind, "account": told.account, "seq": told.seq}
    words |= {"timestamp": told.at.isoformat(), "data": told.payload}
    body = canonical.text(words).encode()
    now_s = int(delivery.at.timestamp())
    signed = signatures.sign(secrets(delivery.endpoint, key, delivery.at), told.id, now_s, body)
    return (
        delivery.endpoint.url,
        {"content-type": "application/json", "user-agent": "Stentor-Webhooks/1", **signed},
        body,
    )


def settle(connection: sa.Connection, now: datetime.datetime, delivery: Delivery, answer: Answer, hooks: Hooks) -> None:
    """Write down how it went. An endpoint that was removed, or sent back by `replay`, in the meantime keeps what it was
    given then."""
    outcome = {"outcome": "failed" if answer.error else "delivered", "status": answer.status}
    connection.execute(
        webhook_attempt.update()
        .where(webhook_attempt.c.id == delivery.attempt)
        .values(outcome | {"error": answer.error or None})
    )
    wanted = sa.select(webhook).where(webhook.c.id == delivery.endpoint.id).with_for_update()
    row = connection.execute(wanted).one_or_none()
    if row is None or row.told != delivery.endpoint.told:
        return
    if answer.error:
        _failed(connection, now, row, answer, hooks)
        return
    mine = webhook.update().where(webhook.c.id == row.id)
    well = {"told": delivery.event.seq, "try_at": now, "failures": 0, "failing_since": None, "error": None}
    connection.execute(mine.values(well))
    if row.failures >= TELL_AFTER:
        events.emit(connection, now, account=row.account, kind=RECOVERED, payload={"webhook": row.id})


def next_at(connection: sa.Connection) -> datetime.datetime | None:
    """When the next endpoint with something to tell may be tried."""
    at: datetime.datetime | None = _NEXT_AT.value(connection, {})
    return at


def _failed(connection: sa.Connection, now: datetime.datetime, row: Any, answer: Answer, hooks: Hooks) -> None:
    failures = row.failures + 1
    values: dict[str, Any] = {"failures": failures, "error": answer.error, "try_at": now + RETRIES.after(failures)}
    values["failing_since"] = row.failing_since or now
    connection.execute(webhook.update().where(webhook.c.id == row.id).values(values))
    if failures == TELL_AFTER:
        words: dict[str, JSON] = {"webhook": row.id, "error": answer.error}
        events.emit(connection, now, account=row.account, kind=FAILING, payload=words)
        hooks.failing(connection, now, one(connection, row.account, row.id))


def _behind(wanted: sa.Select[Any]) -> sa.Select[Any]:
    """Endpoints that have not been told everything."""
    return wanted.join(event_counter, event_counter.c.account == webhook.c.account).where(
        webhook.c.told < event_counter.c.last
    )


_NEXT_AT = Prepared(_behind(sa.select(webhook.c.try_at)).order_by(webhook.c.try_at).limit(1))


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        row.id,
        row.account,
        row.url,
        row.secret_number,
        row.rotated_at,
        row.told,
        row.try_at,
        row.failures,
        row.failing_since,
        row.error or "",
    )
