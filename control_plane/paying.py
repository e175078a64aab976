"""[I/O] Puts billing together: who sells, the gateway that was chosen, and what it hears of accounts and of mails."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from control_plane import metering
from control_plane.accounts import account as accounts_machine
from control_plane.accounts import setup as accounts
from control_plane.billing import allowance, following, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.allowance import Allowance
from control_plane.billing.collector import Collector
from control_plane.billing.document import Party
from control_plane.billing.setup import Setup, Tell
from control_plane.clock import Clock
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import Gateway
from control_plane.gateway.stripe import StripeGateway, StripeSettings
from control_plane.mail import send
from control_plane.running.outbox import Deliverer, Letter
from control_plane.storage.store import Store
from sfu import control

ACTOR = "system:billing"
# Where a customer answers his bank; {} stands for the gateway's reference.
CONFIRM_PAGE = "/billing/confirm/{}"


class NotSettled(Exception):
    """The settings of [billing] contradict themselves. The text says what to do."""


@dataclass(frozen=True)
class Paying:
    """Billing as it was chosen. `setup.accounts` is what all other areas are given."""

    setup: Setup
    gateway: Gateway
    deliverer: Deliverer

    def mailed(self, connection: sa.Connection, now: datetime.datetime, letter: Letter, answer: Any) -> None:
        """The mail system took a letter: a cancellation takes effect with its confirmation (BIL-34)."""
        mail = send.mail_of(letter.payload)
        if mail.template == "billing_cancel_requested" and letter.account is not None:
            event = machine.ConfirmCancel(now)
            subscriptions.step(connection, now, self.setup, letter.account, event, actor=ACTOR)


def put_together(
    store: Store,
    clock: Clock,
    people: accounts.Setup,
    told: control.Billing,
    tell: Tell,
    folder: Path,
    *,
    dev: bool,
    secret: str,
) -> Paying | None:
    """None where nobody is charged. `secret` signs the test gateway's events. Raises NotSettled."""
    gateway = _gateway(clock, told, people.base_url, folder, dev, secret)
    if gateway is None:
        return None
    seller = Party.of(told.seller_name, told.seller_address, told.seller_country, told.seller_tax_number)
    setup = wired(Setup(people, seller, tell=tell, series=told.invoice_series))
    return Paying(setup, gateway, Collector(store, setup, gateway).deliverer())


def wired(setup: Setup) -> Setup:
    """Billing's setup, with what accounts are told by billing and billing by accounts: its `accounts` is what all other
    areas are given."""

    def allowed(connection: sa.Connection, account: str) -> Allowance:
        return allowance.of_account(connection, setup.catalogue, account)

    def stepped(connection: sa.Connection, now: datetime.datetime, account: str, event: accounts_machine.Event) -> None:
        following.follow(connection, now, made, account, event)

    def grew(connection: sa.Connection, now: datetime.datetime, account: str) -> None:
        metering.look(connection, now, made, account)

    billed = replace(setup.accounts, subscription=subscriptions.state, allowance=allowed, stepped=stepped, grew=grew)
    made = replace(setup, accounts=billed)
    return made


def _gateway(
    clock: Clock, told: control.Billing, base_url: str, folder: Path, dev: bool, secret: str
) -> Gateway | None:
    if told.gateway == "stripe":
        secrets = tuple(one.strip() for one in told.stripe_webhook_secret.split(",") if one.strip())
        page = f"{base_url}{CONFIRM_PAGE}"
        try:
            settings = StripeSettings(told.stripe_secret_key, told.stripe_public_key, secrets, page)
        except ValueError as error:
            raise NotSettled(f"billing.stripe_...: {error}") from error
        return StripeGateway(settings)
    if dev:
        return MemoryGateway(clock, secret, directory=folder, page=CONFIRM_PAGE, name="test")
    if told.gateway == "test":
        raise NotSettled("billing.gateway: test is for --dev alone; choose stripe")
    return None
