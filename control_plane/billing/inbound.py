"""What the gateway says by itself: kept by its id, applied and committed in one transaction (model 3.3).

An event comes more than once and out of order. Known ids are dropped; what is older than the last one applied to the
same object is kept and not applied. All that is applied is repeatable besides: an attempt ends once, whoever tells.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.billing import disputes, payments, refunds, settling, wallet
from control_plane.billing.setup import Setup
from control_plane.billing.tables import gateway_events
from control_plane.errors import NotFound
from control_plane.gateway.port import (
    CardTold,
    ChargeTold,
    DisputeTold,
    GatewayEvent,
    Refunded,
    RefundFailed,
    RefundTold,
    SetupTold,
    Told,
)
from control_plane.running import inserts


def apply(connection: sa.Connection, now: datetime.datetime, setup: Setup, event: GatewayEvent) -> bool:
    """Whether it changed something. Raises EventForeign for one about somebody else's payment, and then it is not kept.
    What happened is dated by the event, not by when it came."""
    about = _about(event.told)
    row = {"id": event.id, "about": about, "at": event.at, "received_at": now, "applied": False}
    if not inserts.once(connection, gateway_events, row, index_elements=["id"]):
        return False
    newest = sa.select(sa.func.max(gateway_events.c.at)).where(
        gateway_events.c.about == about, gateway_events.c.applied
    )
    last = connection.scalar(newest)
    if last is not None and event.at < last:
        return False
    try:
        _apply(connection, min(event.at, now), setup, event.told)
    except NotFound:
        return False  # of another installation that shares the gateway's account, or of before a restored backup
    connection.execute(gateway_events.update().where(gateway_events.c.id == event.id).values(applied=True))
    return True


def _apply(connection: sa.Connection, at: datetime.datetime, setup: Setup, told: Told) -> None:
    if isinstance(told, ChargeTold):
        payment = payments.by_key(connection, told.key)
        told.belongs(payment.key, payment.payer)
        settling.told(connection, at, setup, told.key, told.outcome)
    elif isinstance(told, RefundTold):
        if isinstance(told.outcome, Refunded | RefundFailed):
            arrived = isinstance(told.outcome, Refunded)
            refunds.ended(connection, at, told.key, told.outcome.reference, arrived=arrived)
    elif isinstance(told, DisputeTold):
        disputes.told(connection, at, setup, told.dispute)
    elif isinstance(told, SetupTold):
        wallet.told(connection, at, setup, told.outcome)
    elif isinstance(told, CardTold):
        wallet.renewed(connection, at, setup, told.card)


def _about(told: Told) -> str:
    if isinstance(told, ChargeTold | RefundTold):
        return told.key
    if isinstance(told, DisputeTold):
        return told.dispute.reference
    if isinstance(told, SetupTold):
        return told.outcome.reference
    return told.card.token if isinstance(told, CardTold) else told.kind
