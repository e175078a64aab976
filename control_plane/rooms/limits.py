"""How many a room holds: by the kind of event, by what its account may have, and by what its host wished. Pure (PROD-01
to PROD-03).

Everybody counts, hosts and presenters too: the text's "participant" includes the presenter (reading of PROD-01, taken
for all three kinds). `senders` are those of the seats who may send sound and pictures at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from control_plane.billing.allowance import Allowance
from control_plane.billing.catalogue import EventKind

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


def of(kind: Kind, allowance: Allowance, wished: int | None = None) -> Limits:
    """The smallest of what product, account and host allow. In a meeting everybody sends (PROD-01); elsewhere only as
    many as the account has presenters."""
    product = PRODUCT[kind]
    seats = min(product.seats, allowance.seats.get(kind, 0))
    if wished is not None:
        seats = min(seats, wished)
    senders = min(product.senders, seats)
    return Limits(seats, senders if kind == "meeting" else min(senders, allowance.presenters))
