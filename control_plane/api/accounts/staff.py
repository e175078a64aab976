"""[I/O] The staff desk: find accounts, open one for a ticket, suspend, lift, close, bring back, refuse, hand over."""

from __future__ import annotations

import base64
import binascii
import datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from control_plane.accounts import account as machine
from control_plane.accounts import fields, fingerprints, lifecycle, people, sign_up, staff
from control_plane.api.accounts.entry import json_answer
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.bodies import Body, Email, Id, Line, Text, Word
from control_plane.api.doors import Doors, Here, need
from control_plane.errors import Invalid


class Found(Body):
    account: str
    name: str
    slug: str | None
    status: str
    email: str


class FoundMany(Body):
    items: list[Found]


class Suspension(Body):
    reason: machine.Reason
    ticket: Line


class Ticket(Body):
    ticket: Line


class Closing(Ticket):
    cause: machine.Cause
    abuse: bool = False


class Reactivation(Ticket):
    paid: bool = Field(description="the first payment is there")


class Status(Body):
    account: str
    status: str


class AccessWish(Ticket):
    account: Id
    reason: Line = Field(min_length=1)
    minutes: int = Field(ge=1, le=240)


class Made(Body):
    id: str


class Owner(Ticket):
    person: Id


class Ban(Body):
    """At least one of them. `card` is the payment gateway's fingerprint of a card."""

    email: Email | None = None
    tax_number: Line | None = None
    card: Word | None = None
    reason: machine.Reason = "terms_breach"


class Banned(Body):
    kinds: list[str]


class Order(Body):
    """An account by an order on paper: the form as somebody would fill it in himself, and the signed document."""

    email: Email
    business: Literal[True]
    adult: Literal[True]
    accepted: dict[Literal["terms", "privacy"], Word]
    document_name: Line = Field(min_length=1)
    document: str = Field(min_length=1, max_length=7 * 1024 * 1024, description="base64")
    business_name: Line = ""
    tax_number: Line = ""
    first_name: Line = ""
    last_name: Line = ""
    address: Text = ""
    phone: Line = ""
    time_zone: Word = "UTC"
    language: Word = "en"
    plan: Word = ""
    currency: Word = "USD"


def router(doors: Doors, hashing: Hashing) -> APIRouter:
    """Routes for staff."""
    routes = doors.router("staff")
    now, setup = doors.clock.now, doors.setup

    def step(request: Request, visit: Here, body: Body, account: str, event: machine.Event, ticket: str) -> Response:
        fields.ticket(ticket)
        actor = f"staff:{visit.caller.person}"

        def use_case(connection: sa.Connection) -> machine.Account:
            return lifecycle.step(connection, now(), setup, account, event, actor=actor, ticket=ticket)

        return doors.act(
            request,
            body.model_dump_json().encode(),
            use_case,
            lambda after: json_answer(200, {"account": account, "status": after.status}),
        )

    @routes.get("/staff/accounts", response_model=FoundMany)
    @need("staff")
    def find(
        visit: Here, query: Annotated[str, Query(min_length=2, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
    ) -> dict[str, Any]:
        """Accounts by a part of name, address or slug. % and _ are letters like others."""
        rows = doors.store.read(lambda connection: staff.find(connection, query))
        return {
            "items": [
                {
                    "account": row.id,
                    "name": row.business_name,
                    "slug": row.slug,
                    "status": row.status,
                    "email": row.email,
                }
                for row in rows
            ]
        }

    @routes.post("/staff/accounts", status_code=201, response_model=Made)
    @need("staff")
    def order(request: Request, visit: Here, body: Order) -> Response:
        """Make an account out of an order form (ACC-24)."""
        try:
            document = base64.b64decode(body.document, validate=True)
        except (binascii.Error, ValueError):
            raise Invalid("document_malformed", "the document is not base64", field="document") from None
        form = sign_up.Form(**body.model_dump(exclude={"document", "document_name"}), means="document")
        paper = staff.Order(body.document_name, document)
        return doors.act(
            request,
            body.model_dump_json().encode(),
            lambda connection: staff.sign_up_offline(connection, now(), setup, visit.caller, form, paper),
            lambda account: json_answer(201, {"id": account}),
        )

    @routes.post("/staff/accounts/{account}/suspend", response_model=Status)
    @need("staff")
    def suspend(request: Request, visit: Here, account: Id, body: Suspension) -> Response:
        """Suspend at once: rooms end, keys stop, the page is hidden (ACC-21)."""
        return step(request, visit, body, account, machine.Suspend(body.reason), body.ticket)

    @routes.post("/staff/accounts/{account}/lift", response_model=Status)
    @need("staff")
    def lift(request: Request, visit: Here, account: Id, body: Ticket) -> Response:
        """Lift a suspension; all is as before."""
        return step(request, visit, body, account, machine.Lift(), body.ticket)

    @routes.post("/staff/accounts/{account}/close", response_model=Status)
    @need("staff")
    def close(request: Request, visit: Here, account: Id, body: Closing) -> Response:
        """End the agreement (ACC-22)."""
        expired = doors.store.read(lambda connection: setup.subscription(connection, account)) == "expired"
        return step(request, visit, body, account, machine.Close(body.cause, body.abuse, expired), body.ticket)

    @routes.post("/staff/accounts/{account}/reactivate", response_model=Status)
    @need("staff")
    def reactivate(request: Request, visit: Here, account: Id, body: Reactivation) -> Response:
        """Bring a closed account back inside of its window."""
        return step(request, visit, body, account, machine.Reactivate(approved=True, paid=body.paid), body.ticket)

    @routes.put("/staff/accounts/{account}/owner", status_code=204, response_class=Response)
    @need("staff")
    def hand_over(visit: Here, account: Id, body: Owner) -> Response:
        """Make a member the owner (ACC-26)."""
        doors.write(
            lambda connection: staff.hand_over(
                connection, now(), setup, visit.caller, account, body.person, body.ticket
            )
        )
        return Response(status_code=204)

    @routes.post("/staff/bans", response_model=Banned)
    @need("staff")
    def ban(visit: Here, body: Ban) -> dict[str, Any]:
        """Refuse these from now on (ACC-12)."""
        found = named(body)
        return {
            "kinds": list(
                doors.write(
                    lambda connection: fingerprints.ban(connection, now(), visit.caller.actor, found, body.reason)
                )
            )
        }

    @routes.post("/staff/bans/lift", response_model=Banned)
    @need("staff")
    def lift_ban(visit: Here, body: Ban) -> dict[str, Any]:
        """Refuse them no longer."""
        found = named(body)
        doors.write(lambda connection: fingerprints.lift_ban(connection, now(), visit.caller.actor, found))
        return {"kinds": [kind for kind, _ in found]}

    def named(body: Ban) -> tuple[fingerprints.Found, ...]:
        found = fingerprints.of(
            setup.fingerprint_key, email=body.email or "", tax_number=body.tax_number or "", card=body.card or ""
        )
        if not found:
            raise Invalid("field_missing", "an address, a tax number or a card", field="email")
        return found

    @routes.post("/staff/accesses", status_code=201, response_model=Made)
    @need("staff")
    def open_access(request: Request, visit: Here, body: AccessWish) -> Response:
        """Open an account for a ticket, for some minutes; its owner is told. The id goes into `Stentor-Access`."""
        lasts = datetime.timedelta(minutes=body.minutes)

        def use_case(connection: sa.Connection) -> str:
            people.account(connection, body.account)
            return staff.open_access(
                connection, now(), setup, visit.caller, body.account, body.ticket, body.reason, lasts
            )

        return doors.act(
            request, body.model_dump_json().encode(), use_case, lambda access: json_answer(201, {"id": access})
        )

    @routes.delete("/staff/accesses/{access}", status_code=204, response_class=Response)
    @need("staff")
    def end_access(visit: Here, access: Id) -> Response:
        """End an access before its time."""
        doors.write(lambda connection: staff.end_access(connection, now(), visit.caller, access))
        return Response(status_code=204)

    return routes
