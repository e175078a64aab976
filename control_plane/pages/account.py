"""[I/O] A person's and an account's own pages: details, password, sessions, staff visits, the account looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from control_plane.accounts import fields, people, resets, sessions, staff
from control_plane.api.accounts.account import AccountCorrection
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.accounts.me import Choice, Correction, PasswordChange
from control_plane.api.bodies import given
from control_plane.api.doors import Here, Visit, form, need
from control_plane.errors import ControlPlaneError, Invalid
from control_plane.pages import notices
from control_plane.pages.entry import speak
from control_plane.pages.forms import Form, Refused, errors_of, taken, typed
from control_plane.pages.shell import Pages, see

_PERSON = ("first_name", "last_name", "phone", "language")
_BUSINESS = ("business_name", "tax_number", "address", "time_zone", "slug")


def router(pages: Pages) -> APIRouter:
    """Routes for who is signed in."""
    doors = pages.doors
    routes = doors.pages()
    now = doors.clock.now

    def overview(request: Request, visit: Visit, shown: Form, which: str = "") -> Response:
        """The page with all forms; `which` of them was sent and is shown again."""

        def ask(connection: sa.Connection) -> dict[str, Any]:
            return {
                "person": people.person(connection, visit.caller.person),
                "accounts": people.accounts_of(connection, visit.caller.person),
                "account": people.account(connection, visit.caller.account) if visit.caller.account else None,
                "notices": notices.told(connection, now(), visit.caller.account, pages.language(request)),
                "subscription": doors.setup.subscription(connection, visit.caller.account)
                if visit.caller.account
                else "none",
            }

        return pages.show(
            request,
            "account.html",
            form=shown,
            which=which,
            zones=[(zone, zone) for zone in sorted(fields.time_zones())],
            base_url=doors.setup.base_url,
            **doors.store.read(ask),
        )

    def change(
        request: Request, visit: Visit, which: str, names: tuple[str, ...], use_case: Callable[[], None]
    ) -> Response:
        try:
            use_case()
        except (Refused, ControlPlaneError) as wrong:
            return overview(request, visit, Form(typed(form(request)), errors_of(wrong, *names)), which)
        return see("/account?done=saved")

    @routes.get("/account")
    @need("person")
    def account_page(request: Request, visit: Here) -> Response:
        return overview(request, visit, Form())

    @routes.post("/account/person")
    @need("person")
    def correct_person(request: Request, visit: Here) -> Response:
        """Correct one's own data (ACC-19)."""
        sent = form(request)

        def use_case() -> None:
            values = {name: sent.one(name) for name in _PERSON}
            body = taken(Correction, {**values, "commercial_mail": sent.one("commercial_mail") == "yes"})
            doors.write(lambda connection: people.correct_person(connection, now(), visit.caller.person, given(body)))

        response = change(request, visit, "person", _PERSON, use_case)
        if response.status_code == 303:
            speak(pages, response, fields.language(sent.one("language")))
        return response

    @routes.post("/account/business")
    @need("account")
    def correct_business(request: Request, visit: Here) -> Response:
        """Correct the account's details."""
        sent = form(request)

        def use_case() -> None:
            # A name that was never chosen stays so.
            values = {name: sent.one(name) for name in _BUSINESS if name != "slug" or sent.one("slug").strip()}
            body = taken(AccountCorrection, values)
            doors.write(lambda connection: people.correct_account(connection, now(), visit.caller, given(body)))

        return change(request, visit, "business", _BUSINESS, use_case)

    @routes.post("/account/password")
    @need("person")
    async def change_password(request: Request, visit: Here) -> Response:
        """Set a new password; every other session ends."""
        sent, hashing = form(request), _hashing(request)
        try:
            doors.limits.take("sign_in_account", visit.caller.person, now())
            body = taken(PasswordChange, {"old": sent.one("old") or None, "password": sent.one("password")})
            row = await run_in_threadpool(
                doors.store.read, lambda connection: people.person(connection, visit.caller.person)
            )
            if row.password_hash is not None:
                right, _ = await hashing.compare(row.password_hash, body.old or "")
                if not right:
                    raise Invalid("password_wrong", "the old password is wrong", field="old")
            made = await hashing.make(body.password)
            person, session, kept = visit.caller.person, visit.session, row.password_hash
            await run_in_threadpool(
                doors.write,
                lambda connection: resets.change(connection, now(), doors.setup, person, kept, made, session),
            )
        except (Refused, ControlPlaneError) as wrong:
            shown = Form({}, errors_of(wrong, "old", "password"))
            return await run_in_threadpool(overview, request, visit, shown, "password")
        return see("/account?done=password-changed")

    @routes.post("/account/choose")
    @need("person")
    def choose(request: Request, visit: Here) -> Response:
        """Look at another account that one belongs to."""
        try:
            body = taken(Choice, {"account": form(request).one("account")})
            doors.write(
                lambda connection: sessions.choose_account(connection, visit.caller.person, visit.session, body.account)
            )
        except (Refused, ControlPlaneError) as wrong:
            return overview(request, visit, Form({}, errors_of(wrong, "account")), "choose")
        return see("/account?done=account-chosen")

    @routes.get("/account/sessions")
    @need("person")
    def sessions_page(request: Request, visit: Here) -> Response:
        """Where one is signed in."""
        rows = doors.store.read(lambda connection: sessions.listed(connection, now(), visit.caller.person))
        return pages.show(request, "sessions.html", rows=rows, current=visit.session, zone=zone_of(pages, visit))

    @routes.post("/account/sessions/{session}/end")
    @need("person")
    def end_session(visit: Here, session: str) -> Response:
        doors.write(lambda connection: sessions.revoke(connection, now(), visit.caller.person, session))
        return see("/sign-in?done=signed-out" if session == visit.session else "/account/sessions?done=session-ended")

    @routes.get("/account/staff-visits")
    @need("account")
    def staff_visits(request: Request, visit: Here) -> Response:
        """When staff opened this account, for which ticket and why (ACC-27)."""
        rows = doors.store.read(lambda connection: staff.accesses(connection, visit.caller.account))
        return pages.show(request, "visits.html", rows=rows, now=now(), zone=zone_of(pages, visit))

    return routes


def _hashing(request: Request) -> Hashing:
    found: Hashing = request.app.state.hashing
    return found


def zone_of(pages: Pages, visit: Visit) -> str:
    """The time zone in which instants are shown: the account's, or UTC where its name has left the zone database."""
    if not visit.caller.account:
        return "UTC"
    row = pages.doors.store.read(lambda connection: people.account(connection, visit.caller.account))
    return str(row.time_zone) if row.time_zone in fields.time_zones() else "UTC"
