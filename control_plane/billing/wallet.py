"""A card is given, renewed or taken away, and what follows from it for a freeze (BIL-23) and for consent (BIL-03)."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.accounts import fingerprints
from control_plane.billing import cards, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.setup import Setup
from control_plane.gateway.port import Card, CardAwaited, CardDeclined, SetupOutcome
from control_plane.running import outbox

ACTOR = "system:billing"


def told(connection: sa.Connection, now: datetime.datetime, setup: Setup, outcome: SetupOutcome) -> None:
    """What became of a card that was being entered. A card that is refused (ACC-12) is declined. Raises NotFound for a
    reference that is not ours. Again: nothing happens."""
    if isinstance(outcome, CardAwaited):
        return
    if isinstance(outcome, CardDeclined):
        cards.declined(connection, outcome.reference)
        return
    found = fingerprints.of(setup.accounts.fingerprint_key, card=outcome.card.fingerprint)
    if fingerprints.refused(connection, found):
        cards.declined(connection, outcome.reference)
        return
    given = cards.saved(connection, now, outcome.reference, outcome.card)
    if given is not None:
        if given.replaced not in ("", outcome.card.token):
            _forget(connection, now, given.account, given.replaced)
        _changed(connection, now, setup, given.account)


def renewed(connection: sa.Connection, now: datetime.datetime, setup: Setup, card: Card) -> None:
    """The issuer gave a saved card another month or number. One that is not on file changes nothing."""
    account = cards.renewed(connection, card)
    if account is not None:
        _changed(connection, now, setup, account)


def remove(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, *, actor: str) -> str:
    """Charge it no more; the gateway is told to forget it after the commit. Recurring charges end with it. Returns its
    token. Raises NotFound without a card."""
    token = cards.remove(connection, now, account)
    _forget(connection, now, account, token)
    if subscriptions.of(connection, account).version:
        subscriptions.step(connection, now, setup, account, machine.SetAutopay(False), actor=actor)
        _changed(connection, now, setup, account)
    return token


def _forget(connection: sa.Connection, now: datetime.datetime, account: str, token: str) -> None:
    """Behind the account's charges that are on their way: those are carried in order."""
    order = {"what": "forget", "token": token}
    outbox.put(connection, now, kind="gateway", key=f"forget:{token}", account=account, payload=order)


def _changed(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> None:
    card = cards.on_file(connection, account)
    event = machine.ChangeCard(card.expires if card else None)
    subscriptions.step(connection, now, setup, account, event, actor=ACTOR)
