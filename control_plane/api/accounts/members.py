"""[I/O] People of an account and its API keys."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from control_plane.accounts import keys, members
from control_plane.accounts.members import Newcomer
from control_plane.api.accounts.entry import json_answer
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.accounts.me import Cursor, Limit
from control_plane.api.bodies import Body, Email, Id, Line, Password, Secret, Word, utc
from control_plane.api.caller import Right
from control_plane.api.doors import Doors, Here, need
from control_plane.api.pagination import LIMIT, listed, page
from control_plane.errors import Invalid


class Member(Body):
    person: str
    email: str
    first_name: str
    last_name: str
    role: str
    rights: list[str]


class Members(Body):
    items: list[Member]
    next: str | None


class Rights(Body):
    rights: list[Right] = Field(max_length=10)


class Invite(Rights):
    email: Email
    rights: list[Right] = Field(default_factory=list, max_length=10)


class Invitation(Body):
    id: str
    email: str
    rights: list[str]
    expires_at: str


class Invitations(Body):
    items: list[Invitation]
    next: str | None


class Made(Body):
    id: str


class Acceptance(Body):
    """Who is here already only needs the token, and to be signed in."""

    token: Secret
    password: Password | None = None
    adult: bool = False
    accepted: dict[str, Word] = Field(default_factory=dict, max_length=10)
    first_name: Line = ""
    last_name: Line = ""
    language: Word = "en"


class Joined(Body):
    account: str
    person: str


class KeyWish(Body):
    name: Line = Field(min_length=1)
    scopes: list[Right] = Field(max_length=10)
    expires_at: AwareDatetime | None = None


class KeyMade(Body):
    """`secret` is told this once."""

    id: str
    secret: str


class Key(Body):
    id: str
    name: str
    scopes: list[str]
    person: str
    created_at: str
    expires_at: str | None


class Keys(Body):
    items: list[Key]
    next: str | None


def router(doors: Doors, hashing: Hashing) -> APIRouter:
    """Routes for who has the right `members`, and for keys the right `account`."""
    routes = doors.router("members")
    now = doors.clock.now

    @routes.get("/members", response_model=Members)
    @need("members")
    def list_members(visit: Here, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
        """Owner and members."""
        rows = doors.store.read(lambda connection: members.listed(connection, visit.caller.account))
        cut, following = page(rows, lambda row: str(row.id), cursor, limit)
        items = [
            {
                "person": row.id,
                "email": row.email,
                "first_name": row.first_name,
                "last_name": row.last_name,
                "role": row.role,
                "rights": row.rights.split(),
            }
            for row in cut
        ]
        return listed(items, following)

    @routes.put("/members/{person}/rights", status_code=204, response_class=Response)
    @need("members")
    def set_rights(visit: Here, person: Id, body: Rights) -> Response:
        """Give a member these rights and no others."""
        doors.write(lambda connection: members.set_rights(connection, now(), visit.caller, person, body.rights))
        return Response(status_code=204)

    @routes.delete("/members/{person}", status_code=204, response_class=Response)
    @need("members")
    def remove(visit: Here, person: Id) -> Response:
        """Put a member out; his sessions and keys die at once."""
        doors.write(lambda connection: members.remove(connection, now(), visit.caller, person))
        return Response(status_code=204)

    @routes.delete("/me/membership", status_code=204, response_class=Response)
    @need("member")
    def leave(visit: Here) -> Response:
        """Leave the account that one is in."""
        if not visit.caller.person:
            raise Invalid("person_only", "a key is no member")
        doors.write(lambda connection: members.remove(connection, now(), visit.caller, visit.caller.person))
        return Response(status_code=204)

    @routes.get("/invitations", response_model=Invitations)
    @need("members")
    def list_invitations(visit: Here, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
        """Those that can still be accepted."""
        rows = doors.store.read(lambda connection: members.invited(connection, now(), visit.caller.account))
        cut, following = page(rows, lambda row: str(row.id), cursor, limit)
        items = [
            {
                "id": row.id,
                "email": row.email,
                "rights": row.rights.split(),
                "expires_at": row.expires_at.isoformat(),
            }
            for row in cut
        ]
        return listed(items, following)

    @routes.post("/invitations", status_code=201, response_model=Made)
    @need("members")
    def invite(request: Request, visit: Here, body: Invite) -> Response:
        """Mail an invitation. Rights that are not named are not given."""
        doors.limits.take("sign_up_address", visit.caller.account, now())
        return doors.act(
            request,
            body.model_dump_json().encode(),
            lambda connection: members.invite(connection, now(), doors.setup, visit.caller, body.email, body.rights),
            lambda invitation: json_answer(201, {"id": invitation}),
        )

    @routes.delete("/invitations/{invitation}", status_code=204, response_class=Response)
    @need("members")
    def take_back(visit: Here, invitation: Id) -> Response:
        """Take an invitation back."""
        doors.write(lambda connection: members.take_back(connection, now(), visit.caller, invitation))
        return Response(status_code=204)

    @routes.post("/invitations/accept", response_model=Joined)
    @need("public")
    async def accept(request: Request, visit: Here, body: Acceptance) -> Response:
        """Become a member by a mailed token."""
        doors.limits.take("token_address", visit.address, now())
        made = None if body.password is None else await hashing.make(body.password)
        newcomer = Newcomer(
            made,
            body.adult,
            body.accepted,
            body.first_name,
            body.last_name,
            body.language,
            visit.caller.address_hash,
        )
        raw = await request.body()
        return await run_in_threadpool(
            doors.act,
            request,
            raw,
            lambda connection: members.accept(
                connection, now(), doors.setup, body.token, newcomer, visit.caller.person
            ),
            lambda joined: json_answer(200, {"account": joined[0], "person": joined[1]}),
        )

    @routes.get("/keys", response_model=Keys)
    @need("account")
    def list_keys(visit: Here, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
        """The keys that hold, without their secrets, which nobody has but who made them."""
        rows = doors.store.read(lambda connection: keys.listed(connection, now(), visit.caller.account))
        cut, following = page(rows, lambda row: str(row.id), cursor, limit)
        items = [
            {
                "id": row.id,
                "name": row.name,
                "scopes": row.scopes.split(),
                "person": row.person,
                "created_at": row.created_at.isoformat(),
                "expires_at": row.expires_at and row.expires_at.isoformat(),
            }
            for row in cut
        ]
        return listed(items, following)

    @routes.post("/keys", status_code=201, response_model=KeyMade)
    @need("account")
    def make_key(request: Request, visit: Here, body: KeyWish) -> Response:
        """Make a key. Only a person can: a key makes no keys."""
        if not visit.caller.person or visit.caller.ticket:
            raise Invalid("person_only", "a member of the account makes its keys")
        expires_at = body.expires_at and utc(body.expires_at, "expires_at")
        return doors.act(
            request,
            body.model_dump_json().encode(),
            lambda connection: keys.make(
                connection, now(), doors.setup, visit.caller, body.name, body.scopes, expires_at
            ),
            lambda made: json_answer(201, {"id": made[0], "secret": made[1]}),
        )

    @routes.delete("/keys/{key}", status_code=204, response_class=Response)
    @need("account")
    def revoke_key(visit: Here, key: Id) -> Response:
        """Revoke a key from the next call on."""
        doors.write(lambda connection: keys.revoke(connection, now(), visit.caller, key))
        return Response(status_code=204)

    return routes
