"""The routes of billing, in one list; they are served only where somebody is charged."""

from __future__ import annotations

from control_plane.api.app import Area
from control_plane.api.billing import buying, events, invoices, price_list, staff, subscription
from control_plane.billing.counter import Counter


def areas(counter: Counter) -> list[Area]:
    """For `control_plane.api.app.application`."""
    return [
        lambda doors: price_list.router(doors, counter.setup),
        lambda doors: subscription.router(doors, counter),
        lambda doors: buying.router(doors, counter),
        lambda doors: invoices.router(doors),
        lambda doors: events.router(doors, counter),
        lambda doors: staff.router(doors, counter.setup),
    ]
