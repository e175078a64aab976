"""[I/O] All pages as one area of the application."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from control_plane.accounts.profile import PublicEvents, no_events
from control_plane.api.doors import Doors
from control_plane.gateway.memory import MemoryGateway
from control_plane.mail.mailbox import Mailbox
from control_plane.pages import (
    account,
    billing,
    cards,
    checkout,
    desk,
    desk_billing,
    desk_return,
    entry,
    front,
    gateway,
    hosted,
    legal,
    mail,
    people,
    price_list,
    profile,
    rooms,
)
from control_plane.pages.shell import Pages
from control_plane.paying import Paying
from control_plane.rooms.guesses import Guesses
from control_plane.rooms.setup import Setup as RoomsSetup


def area(
    rooms_setup: RoomsSetup,
    guesses: Guesses,
    public_events: PublicEvents = no_events,
    mailbox: Mailbox | None = None,
    charged: Paying | None = None,
) -> Callable[[Doors], APIRouter]:
    """For `application(..., areas=[pages.area(...), ...])`. `guesses` is the API's own: who tries numbers at both
    doors has one count. `mailbox`: of a server for development, which shows its mails to everybody; it is left out
    unless the doors are those of such a server. `charged`: None where nobody is charged; then nothing tells of it."""

    def router(doors: Doors) -> APIRouter:
        pages = Pages(doors, mailbox if doors.settings.dev else None, billed=charged is not None)
        # Problems outside of the API are told as pages from now on.
        doors.problem_page = pages.problem
        parts = [part(pages) for part in (front.router, entry.router, account.router, people.router, legal.router)]
        parts += [desk.router(pages), profile.router(pages, public_events), rooms.router(pages, rooms_setup, guesses)]
        if pages.mailbox is not None:
            parts.append(mail.router(pages, pages.mailbox))
        if charged is not None:
            paid_for = (price_list, billing, checkout, cards, desk_billing, desk_return)
            parts += [part.router(pages, charged) for part in paid_for]
            if isinstance(charged.gateway, MemoryGateway):
                parts.append(gateway.router(pages, charged, charged.gateway))
            else:
                parts.append(hosted.router(pages, charged))
        whole = doors.pages()
        for part in parts:
            # As they are, so that each keeps its door and its need.
            whole.routes.extend(part.routes)
        return whole

    return router
