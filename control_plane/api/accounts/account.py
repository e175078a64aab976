"""[I/O] An account: its details, its public page, and who of the staff was in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from control_plane.accounts import people, profile, staff
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.accounts.me import Cursor, Limit
from control_plane.api.bodies import Body, Line, Text, Word, given
from control_plane.api.doors import Doors, Here, need
from control_plane.api.pagination import LIMIT, listed, page

Slug = Annotated[str, Path(max_length=40, pattern=r"^[a-z0-9-]+$")]


class Account(Body):
    account: str
    status: str
    kind: str
    plan: str = Field(
        description='whose limits hold today; "" for the free version, which a trial has whatever was chosen at sign-up'
    )
    slug: str | None
    business_name: str
    tax_number: str
    address: str
    time_zone: str
    reason: str
    created_at: str


class AccountCorrection(Body):
    business_name: Line | None = None
    tax_number: Line | None = None
    address: Text | None = None
    time_zone: Word | None = None
    slug: Word | None = None


class PartChange(Body):
    text: Text | None = None
    visible: bool | None = None


class ProfileChange(Body):
    public: bool | None = None
    parts: dict[profile.Part, PartChange] = Field(default_factory=dict)


class Part(Body):
    text: str
    visible: bool


class Profile(Body):
    slug: str | None
    public: bool
    parts: dict[profile.Part, Part]


class PublicProfile(Body):
    """Parts that are hidden are not there at all. `events` can be joined by everybody: `number`, `title`, `kind`,
    `starts_at`. `notice`: the account is frozen at present."""

    slug: str
    name: str
    parts: dict[str, Any]
    notice: bool


class StaffAccess(Body):
    id: str
    ticket: str
    reason: str
    opened_at: str
    expires_at: str
    ended_at: str | None


class StaffAccesses(Body):
    items: list[StaffAccess]
    next: str | None


def _public_event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {**event, "starts_at": event["starts_at"] and event["starts_at"].isoformat()}


def routes_for(public_events: profile.PublicEvents) -> Callable[[Doors, Hashing], APIRouter]:
    """The router, with the rooms area's answer to which events a profile shows."""

    def router(doors: Doors, hashing: Hashing) -> APIRouter:
        routes = doors.router("account")
        now, setup = doors.clock.now, doors.setup

        @routes.get("/account", response_model=Account)
        @need("member")
        def read_account(visit: Here) -> dict[str, Any]:
            """The account that the caller is in."""

            def ask(connection: sa.Connection) -> dict[str, Any]:
                row = people.account(connection, visit.caller.account)
                names = ("status", "kind", "slug", "business_name", "tax_number", "address", "time_zone", "reason")
                found = {name: getattr(row, name) for name in names}
                # The row's own plan is what was chosen at sign-up.
                plan = setup.allowance(connection, row.id).plan
                return {"account": row.id, "created_at": row.created_at.isoformat(), "plan": plan, **found}

            return doors.store.read(ask)

        @routes.patch("/account", status_code=204, response_class=Response)
        @need("account")
        def correct_account(visit: Here, body: AccountCorrection) -> Response:
            """Correct the account's details; what is left out stays."""
            changes = {name: value for name, value in given(body).items() if value is not None}
            doors.write(lambda connection: people.correct_account(connection, now(), visit.caller, changes))
            return Response(status_code=204)

        @routes.get("/account/profile", response_model=Profile)
        @need("account")
        def read_profile(visit: Here) -> dict[str, Any]:
            """The public page as its owner sees it."""
            return doors.store.read(lambda connection: profile.settings(connection, visit.caller.account))

        @routes.patch("/account/profile", status_code=204, response_class=Response)
        @need("account")
        def change_profile(visit: Here, body: ProfileChange) -> Response:
            """Hide or show the public page or parts of it."""
            parts = {
                part: {name: value for name, value in given(change).items() if value is not None}
                for part, change in body.parts.items()
            }
            doors.write(
                lambda connection: profile.change(connection, now(), visit.caller, public=body.public, parts=parts)
            )
            return Response(status_code=204)

        @routes.get("/account/staff-accesses", response_model=StaffAccesses)
        @need("account")
        def staff_accesses(visit: Here, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
            """When staff opened this account, for which ticket and why (ACC-27)."""
            rows = doors.store.read(lambda connection: staff.accesses(connection, visit.caller.account))
            cut, following = page(rows, lambda row: str(row.id), cursor, limit)
            items = [
                {
                    "id": row.id,
                    "ticket": row.ticket,
                    "reason": row.reason,
                    "opened_at": row.opened_at.isoformat(),
                    "expires_at": row.expires_at.isoformat(),
                    "ended_at": row.ended_at and row.ended_at.isoformat(),
                }
                for row in cut
            ]
            return listed(items, following)

        @routes.get("/profiles/{slug}", response_model=PublicProfile)
        @need("public")
        def public_profile(request: Request, visit: Here, slug: Slug) -> Response:
            """The public page. Caches must ask again each time: what is hidden is gone at once."""
            page_ = doors.store.read(
                lambda connection: profile.shown(connection, now(), doors.setup, slug, public_events)
            )
            headers = {"ETag": f'"{page_.tag}"', "Cache-Control": "no-cache"}
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
            parts = {**page_.parts}
            if "events" in parts:
                parts["events"] = [_public_event(event) for event in parts["events"]]
            body = {"slug": page_.slug, "name": page_.name, "parts": parts, "notice": page_.notice}
            return JSONResponse(body, headers=headers)

        return routes

    return router
