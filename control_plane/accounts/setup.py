"""What the services of this area are told once at start: randomness, the fingerprints' key, addresses, plans. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from control_plane.accounts.account import Event, Subscription
from control_plane.accounts.tables import accounts
from control_plane.accounts.tokens import Draw, random_token
from control_plane.billing.allowance import Allowance, of_plan
from control_plane.billing.catalogue import CATALOGUE, FREE
from control_plane.errors import Invalid


@dataclass(frozen=True)
class Plan:
    """What the accounts area must know of a plan. The rest of it is the catalogue's (billing).

    `currencies`: those it is sold in. A retired plan goes on for who has it.
    """

    name: str
    currencies: frozenset[str] = frozenset()
    on_sale: bool = True


PLANS: Mapping[str, Plan] = {
    name: Plan(name, CATALOGUE.currencies(name), on_sale=plan.retired_at is None)
    for name, plan in CATALOGUE.plans.items()
}


def unbilled(connection: sa.Connection, account: str) -> Subscription:
    """The subscription of an account as long as there is no billing: everybody is on trial."""
    return "trial"


def unbilled_allowance(connection: sa.Connection, account: str) -> Allowance:
    """What an account may have as long as there is no billing: what the plan gives that it chose when it signed up. For
    an id that nobody has, what the free version gives."""
    plan = connection.scalar(sa.select(accounts.c.plan).where(accounts.c.id == account))
    return of_plan(CATALOGUE, plan or FREE)


def ungrown(connection: sa.Connection, now: datetime.datetime, account: str) -> None:
    """Nobody looks how near an account is to its limits."""


def unwatched(connection: sa.Connection, now: datetime.datetime, account: str, event: Event) -> None:
    """Nobody follows what accounts do."""


@dataclass(frozen=True)
class Setup:
    """`fingerprint_key` must stay the same for ever: the one free account and bans are found by it. `stepped`
    is told of each step of an account's machine, in its transaction; `grew` of an account that has more people."""

    fingerprint_key: bytes
    base_url: str = "http://localhost:8080"
    draw: Draw = random_token
    plans: Mapping[str, Plan] = field(default_factory=lambda: PLANS)
    subscription: Callable[[sa.Connection, str], Subscription] = unbilled
    allowance: Callable[[sa.Connection, str], Allowance] = unbilled_allowance
    stepped: Callable[[sa.Connection, datetime.datetime, str, Event], None] = unwatched
    grew: Callable[[sa.Connection, datetime.datetime, str], None] = ungrown

    def link(self, path: str, token: str) -> str:
        """A page of ours with a token. It stands after #, so that it reaches no log and no Referer."""
        return f"{self.base_url}{path}#token={token}"

    def plan_for_sale(self, name: str, currency: str) -> None:
        """Raises Invalid with field `plan` or `currency` for what cannot be bought now (ACC-10)."""
        plan = self.plans.get(name)
        if name == FREE:
            return
        if plan is None or not plan.on_sale:
            raise Invalid("plan_unknown", "this plan is not on sale", field="plan")
        if currency not in plan.currencies:
            raise Invalid("plan_currency", "this plan is not sold in that currency", field="currency")
