"""How many a room holds: by the kind of event, by the plan, and by what its host wished. Pure (PROD-01 to PROD-03).

Everybody counts, hosts and presenters too: the text's "participant" includes the presenter (reading of PROD-01, taken
for all three kinds). `senders` are those of the seats who may send sound and pictures at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from control_plane.billing.catalogue import CATALOGUE, FREE, EventKind

Kind = EventKind
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Limits:
    """0 seats: this cannot be held at all."""

    seats: int
    senders: int


# What the product gives at most, whoever pays what. 40 presenters of a webinar are as many as see each other well.
PRODUCT: Mapping[Kind, Limits] = {
    "meeting": Limits(40, 40),
    "webinar": Limits(1_000, 40),
    "large": Limits(10_000, 40),
}


@dataclass(frozen=True)
class Plan:
    """What one plan gives, by kind of event; a kind that is not named is not in it."""

    name: str
    seats: Mapping[Kind, int]


PLANS: Mapping[str, Plan] = {name: Plan(name, plan.seats) for name, plan in CATALOGUE.plans.items()}


def of(kind: Kind, plan: str, wished: int | None = None, plans: Mapping[str, Plan] = PLANS) -> Limits:
    """The smallest of what product, plan and host allow. A plan that left the catalogue counts as the free one."""
    product = PRODUCT[kind]
    seats = min(product.seats, (plans.get(plan) or plans[FREE]).seats.get(kind, 0))
    if wished is not None:
        seats = min(seats, wished)
    return Limits(seats, min(product.senders, seats))
