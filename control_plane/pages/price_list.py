"""[I/O] The public price list: read from the very rows that are charged (BIL-45)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import need
from control_plane.billing import prices
from control_plane.billing.catalogue import FREE, AddOn, Catalogue, Plan, PriceCycle
from control_plane.billing.words import Words
from control_plane.money import Money
from control_plane.pages.shell import Pages
from control_plane.paying import Paying


@dataclass(frozen=True)
class Offer:
    """One thing that is sold, with what it costs by currency and cycle; None where it is not sold so."""

    item: Plan | AddOn
    title: str
    by_currency: dict[str, dict[PriceCycle, Money | None]]


def router(pages: Pages, paying: Paying) -> APIRouter:
    """For everybody."""
    doors = pages.doors
    routes = doors.pages()

    @routes.get("/prices")
    @need("public")
    def price_page(request: Request) -> Response:
        """Plans and add-ons, at what who buys now pays."""
        known = doors.store.read(lambda connection: prices.catalogue(connection, paying.setup))
        now, said = doors.clock.now(), Words(pages.language(request))
        return pages.show(
            request,
            "prices.html",
            free=known.plans[FREE],
            trial_days=paying.setup.trial_days,
            **offers(known, now, said),
        )

    return routes


def offers(known: Catalogue, now: datetime.datetime, said: Words) -> dict[str, Any]:
    """What is on sale at this instant, as values of a page: `plans` and `add_ons`, lists of Offer."""
    return {
        "plans": [_offer(known, now, plan, plan.title, ("month", "year")) for plan in known.plans_for_sale(now)],
        "add_ons": [
            _offer(known, now, one, said(one.title), ("month", "year") if one.recurring else ("once",))
            for one in known.add_ons.values()
            if one.on_sale(now)
        ],
    }


def _offer(
    known: Catalogue, now: datetime.datetime, item: Plan | AddOn, title: str, cycles: tuple[PriceCycle, ...]
) -> Offer:
    found: dict[str, dict[PriceCycle, Money | None]] = {}
    for currency in sorted(known.currencies(item.name)):
        rows = {cycle: known.listed(item.name, cycle, currency, now) for cycle in cycles}
        if any(rows.values()):
            found[currency] = {cycle: row.amount if row else None for cycle, row in rows.items()}
    return Offer(item, title, found)
