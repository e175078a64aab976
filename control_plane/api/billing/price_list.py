"""[I/O] The public price list: the very prices that somebody is charged who buys now (BIL-45)."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from control_plane.accounts import fields
from control_plane.api.billing.views import Sum
from control_plane.api.bodies import Body
from control_plane.api.doors import Doors, need
from control_plane.billing import prices
from control_plane.billing.catalogue import Catalogue, PriceCycle
from control_plane.billing.setup import Setup
from control_plane.billing.words import Words

_PLAN_CYCLES: tuple[PriceCycle, ...] = ("month", "year")


class PriceView(Body):
    """Net: taxes are added by the customer's country. `once`: paid one time."""

    id: str
    cycle: Literal["month", "year", "once"]
    currency: str
    net: Sum


class PlanView(Body):
    """`seats` by kind of event; `members` are people beside the owner."""

    name: str
    title: str
    members: int
    seats: dict[str, int]
    presenters: int
    storage_bytes: int
    recording_bytes: int
    prices: list[PriceView]


class AddOnOffer(Body):
    """One piece gives `amount` more of `adds`."""

    name: str
    title: str
    adds: str
    amount: int
    quantity_max: int
    recurring: bool
    prices: list[PriceView]


class PriceList(Body):
    at: str
    plans: list[PlanView]
    add_ons: list[AddOnOffer]


def router(doors: Doors, setup: Setup) -> APIRouter:
    """For everybody."""
    routes = doors.router("billing")

    @routes.get("/price-list", response_model=PriceList)
    @need("public")
    def price_list(
        language: Annotated[str, Query(max_length=5, pattern=r"^[A-Za-z_\-]*$", examples=["en"])] = "en",
    ) -> PriceList:
        """What is on sale now, with its limits and its prices in every currency that it is sold in."""
        at = doors.clock.now()
        words = Words(fields.language(language))
        known = doors.store.read(lambda connection: prices.catalogue(connection, setup))
        return PriceList(
            at=at.isoformat(),
            plans=[
                PlanView(
                    name=plan.name,
                    title=plan.title,
                    members=plan.members,
                    seats=dict(plan.seats),
                    presenters=plan.presenters,
                    storage_bytes=plan.storage_bytes,
                    recording_bytes=plan.recording_bytes,
                    prices=_prices(known, plan.name, _PLAN_CYCLES, at),
                )
                for plan in known.plans_for_sale(at)
            ],
            add_ons=[
                AddOnOffer(
                    name=one.name,
                    title=words(one.title),
                    adds=one.adds,
                    amount=one.amount,
                    quantity_max=one.quantity_max,
                    recurring=one.recurring,
                    prices=_prices(known, one.name, _PLAN_CYCLES if one.recurring else ("once",), at),
                )
                for one in known.add_ons.values()
                if one.on_sale(at)
            ],
        )

    return routes


def _prices(known: Catalogue, item: str, cycles: tuple[PriceCycle, ...], at: datetime.datetime) -> list[PriceView]:
    rows = [known.listed(item, cycle, currency, at) for currency in sorted(known.currencies(item)) for cycle in cycles]
    return [
        PriceView(id=row.id, cycle=row.cycle, currency=row.amount.currency, net=str(row.amount))
        for row in rows
        if row is not None
    ]
