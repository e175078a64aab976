"""[I/O] The staff desk: find an account, suspend and lift, refuse; look into one for a ticket only (ACC-27)."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.accounts import account as machine
from control_plane.accounts import fields, fingerprints, lifecycle, people, staff
from control_plane.api.accounts.staff import AccessWish, Ban, Suspension, Ticket
from control_plane.api.doors import Here, Visit, form, need
from control_plane.billing.catalogue import CATALOGUE
from control_plane.errors import ControlPlaneError, Invalid
from control_plane.pages.forms import Form, Refused, errors_of, taken, typed
from control_plane.pages.shell import Pages, see
from control_plane.running import audit

QUERY_CHARACTERS = range(2, 101)
AUDIT_PAGE = 100


def router(pages: Pages) -> APIRouter:
    """Routes for staff."""
    doors = pages.doors
    routes = doors.pages()
    now, setup = doors.clock.now, doors.setup

    @routes.get("/desk")
    @need("staff")
    def desk(request: Request, q: str = "") -> Response:
        """Accounts by a part of name, address or slug. % and _ are letters like others."""
        shown, rows = Form({"q": q}), None
        if q:
            if len(q) in QUERY_CHARACTERS and q.isprintable():
                rows = doors.store.read(lambda connection: staff.find(connection, q))
            else:
                shown = Form({"q": q}, {"q": "query_malformed"})
        return pages.show(request, "desk.html", form=shown, rows=rows)

    def account_form(request: Request, account: str, shown: Form, which: str = "") -> Response:
        row = doors.store.read(lambda connection: people.account(connection, account))
        return pages.show(request, "desk_account.html", form=shown, which=which, account=row)

    @routes.get("/desk/accounts/{account}")
    @need("staff")
    def account_page(request: Request, account: str) -> Response:
        """What can be done with it. What is in it is seen on a visit only."""
        return account_form(request, account, Form())

    def step(request: Request, visit: Visit, account: str, which: str, done: str) -> Response:
        sent = form(request)
        try:
            event: machine.Event = machine.Lift()
            if which == "suspend":
                wish = taken(Suspension, {name: sent.one(name) for name in ("reason", "ticket")})
                event, ticket = machine.Suspend(wish.reason), wish.ticket
            else:
                ticket = taken(Ticket, {"ticket": sent.one("ticket")}).ticket
            fields.ticket(ticket)
            actor = f"staff:{visit.caller.person}"
            doors.write(
                lambda connection: lifecycle.step(connection, now(), setup, account, event, actor=actor, ticket=ticket)
            )
        except (Refused, ControlPlaneError) as wrong:
            return account_form(request, account, Form(typed(sent), errors_of(wrong, "reason", "ticket")), which)
        return see(f"/desk/accounts/{account}?done={done}")

    @routes.post("/desk/accounts/{account}/suspend")
    @need("staff")
    def suspend(request: Request, visit: Here, account: str) -> Response:
        """Suspend at once: rooms end, keys stop, the page is hidden (ACC-21)."""
        return step(request, visit, account, "suspend", "suspended")

    @routes.post("/desk/accounts/{account}/lift")
    @need("staff")
    def lift(request: Request, visit: Here, account: str) -> Response:
        """Lift a suspension; all is as before."""
        return step(request, visit, account, "lift", "lifted")

    @routes.post("/desk/accounts/{account}/visit")
    @need("staff")
    def open_visit(request: Request, visit: Here, account: str) -> Response:
        """Open the account for a ticket; its owner gets a mail and sees it in his account."""
        sent = form(request)
        try:
            values = {name: sent.one(name) for name in ("ticket", "reason", "minutes")}
            body = taken(AccessWish, {"account": account, **values})
            lasts = datetime.timedelta(minutes=body.minutes)

            def use_case(connection: sa.Connection) -> str:
                people.account(connection, body.account)
                return staff.open_access(
                    connection, now(), setup, visit.caller, body.account, body.ticket, body.reason, lasts
                )

            access = doors.write(use_case)
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "ticket", "reason", "minutes")
            return account_form(request, account, Form(typed(sent), errors), "visit")
        return see(f"/desk/visits/{access}")

    @routes.get("/desk/visits/{access}")
    @need("staff")
    def inside(request: Request, visit: Here, access: str, after: int = 0) -> Response:
        """The account from inside, with its audit trail. Every look is written down (ACC-27)."""

        def use_case(connection: sa.Connection) -> dict[str, Any]:
            caller = staff.enter(connection, now(), visit.caller.person, access, "GET:/desk/visits")
            trail = audit.read(connection, caller.account, after=max(0, after), limit=AUDIT_PAGE)
            plan = setup.allowance(connection, caller.account).plan
            return {
                "account": people.account(connection, caller.account),
                "plan": CATALOGUE.plans[plan].title if plan else "",
                "ticket": caller.ticket,
                "trail": trail,
                "breaks": list(audit.verify(connection, caller.account)),
                "following": trail[-1].id if len(trail) == AUDIT_PAGE else 0,
            }

        return pages.show(request, "desk_visit.html", access=access, **doors.write(use_case))

    @routes.post("/desk/visits/{access}/end")
    @need("staff")
    def end_visit(visit: Here, access: str) -> Response:
        doors.write(lambda connection: staff.end_access(connection, now(), visit.caller, access))
        return see("/desk?done=visit-ended")

    def bans_form(request: Request, shown: Form) -> Response:
        rows = doors.store.read(fingerprints.listed)
        return pages.show(request, "desk_bans.html", form=shown, rows=rows)

    @routes.get("/desk/refusals")
    @need("staff")
    def bans_page(request: Request) -> Response:
        """Who is refused (ACC-12): keyed hashes, which name nobody."""
        return bans_form(request, Form())

    @routes.post("/desk/refusals")
    @need("staff")
    def ban(request: Request, visit: Here) -> Response:
        """Refuse an address or a tax number from now on, or no longer."""
        sent = form(request)
        lifted = sent.one("what") == "lift"
        try:
            named = {name: sent.one(name).strip() or None for name in ("email", "tax_number")}
            body = taken(Ban, {**named, **({} if lifted else {"reason": sent.one("reason")})})
            found = fingerprints.of(setup.fingerprint_key, email=body.email or "", tax_number=body.tax_number or "")
            if not found:
                raise Invalid("field_missing", "an address or a tax number", field="email")
            if lifted:
                doors.write(lambda connection: fingerprints.lift_ban(connection, now(), visit.caller.actor, found))
            else:
                doors.write(
                    lambda connection: fingerprints.ban(connection, now(), visit.caller.actor, found, body.reason)
                )
        except (Refused, ControlPlaneError) as wrong:
            return bans_form(request, Form(typed(sent), errors_of(wrong, "email", "tax_number", "reason")))
        return see(f"/desk/refusals?done={'ban-lifted' if lifted else 'banned'}")

    return routes
