"""[I/O] A person's own things: data, password, sessions, which account he looks at."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from control_plane.accounts import people, resets, sessions
from control_plane.accounts.tokens import csrf_of
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.bodies import Body, Id, Line, Password, Word, given
from control_plane.api.doors import Doors, Here, need
from control_plane.api.pagination import LIMIT, LIMIT_MAX, listed, page
from control_plane.errors import Invalid

Cursor = Annotated[str, Query(max_length=200, pattern=r"^[A-Za-z0-9_\-]*$")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]


class Membership(Body):
    account: str
    name: str
    status: str
    role: str
    rights: list[str]


class Me(Body):
    """Never a password, nor its hash."""

    person: str
    email: str
    first_name: str
    last_name: str
    phone: str
    picture: str
    language: str
    commercial_mail: bool
    password_set: bool
    mail_bounces: bool
    account: str | None
    role: str
    rights: list[str]
    staff: bool
    csrf: str | None
    accounts: list[Membership]


class Correction(Body):
    first_name: Line | None = None
    last_name: Line | None = None
    phone: Line | None = None
    picture: Word | None = None
    language: Word | None = None
    commercial_mail: bool | None = None


class PasswordChange(Body):
    old: Password | None = None
    password: Password


class Session(Body):
    id: str
    device: str
    created_at: str
    seen_at: str
    expires_at: str
    current: bool


class Sessions(Body):
    items: list[Session]
    next: str | None


class Choice(Body):
    account: Id


def router(doors: Doors, hashing: Hashing) -> APIRouter:
    """Routes for who is signed in, with whatever rights."""
    routes = doors.router("me")
    now = doors.clock.now

    @routes.get("/me", response_model=Me)
    @need("person")
    def me(request: Request, visit: Here) -> dict[str, Any]:
        """Who is signed in, what he may do now, and the CSRF token of his session."""
        caller = visit.caller

        def ask(connection: Any) -> dict[str, Any]:
            row = people.person(connection, caller.person)
            fields = ("email", *people.PERSON_FIELDS)
            return {
                **{name: getattr(row, name) for name in fields},
                "person": row.id,
                "password_set": row.password_hash is not None,
                "mail_bounces": row.bounced_at is not None,
                "account": caller.account or None,
                "role": caller.role,
                "rights": sorted(caller.rights),
                "staff": sessions.is_staff(connection, caller.person),
                "csrf": csrf_of(request.cookies.get(doors.cookie, "")),
                "accounts": [
                    {
                        "account": one.id,
                        "name": one.business_name,
                        "status": one.status,
                        "role": one.role,
                        "rights": one.rights.split(),
                    }
                    for one in people.accounts_of(connection, caller.person)
                ],
            }

        return doors.store.read(ask)

    @routes.patch("/me", status_code=204, response_class=Response)
    @need("person")
    def correct(visit: Here, body: Correction) -> Response:
        """Correct one's own data; what is left out stays."""
        changes = {name: value for name, value in given(body).items() if value is not None}
        doors.write(lambda connection: people.correct_person(connection, now(), visit.caller.person, changes))
        return Response(status_code=204)

    @routes.put("/me/password", status_code=204, response_class=Response)
    @need("person")
    async def change_password(visit: Here, body: PasswordChange) -> Response:
        """Set a new password; every other session ends. Who came by an identity provider alone has no old one."""
        doors.limits.take("sign_in_account", visit.caller.person, now())
        row = await run_in_threadpool(
            doors.store.read, lambda connection: people.person(connection, visit.caller.person)
        )
        if row.password_hash is not None:
            right, _ = await hashing.compare(row.password_hash, body.old or "")
            if not right:
                raise Invalid("password_wrong", "the old password is wrong", field="old")
        made = await hashing.make(body.password)
        person, session = visit.caller.person, visit.session
        await run_in_threadpool(
            doors.write,
            lambda connection: resets.change(connection, now(), doors.setup, person, row.password_hash, made, session),
        )
        return Response(status_code=204)

    @routes.get("/sessions", response_model=Sessions)
    @need("person")
    def list_sessions(visit: Here, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
        """Where one is signed in."""
        rows = doors.store.read(lambda connection: sessions.listed(connection, now(), visit.caller.person))
        cut, following = page(rows, lambda row: str(row.id), cursor, limit)
        items = [
            {
                "id": row.id,
                "device": row.device,
                "created_at": row.created_at.isoformat(),
                "seen_at": row.seen_at.isoformat(),
                "expires_at": row.expires_at.isoformat(),
                "current": row.id == visit.session,
            }
            for row in cut
        ]
        return listed(items, following)

    @routes.delete("/sessions/{session}", status_code=204, response_class=Response)
    @need("person")
    def sign_out(visit: Here, session: Id) -> Response:
        """End a session; one's own (`ses_current`) is signing out."""
        ended = visit.session if session == "ses_current" else session
        doors.write(lambda connection: sessions.revoke(connection, now(), visit.caller.person, ended))
        response = Response(status_code=204)
        if ended == visit.session:
            response.delete_cookie(doors.cookie, path="/", secure=not doors.settings.dev, httponly=True, samesite="lax")
        return response

    @routes.put("/me/account", status_code=204, response_class=Response)
    @need("person")
    def choose(visit: Here, body: Choice) -> Response:
        """Look at another account that one belongs to."""
        doors.write(
            lambda connection: sessions.choose_account(connection, visit.caller.person, visit.session, body.account)
        )
        return Response(status_code=204)

    return routes
