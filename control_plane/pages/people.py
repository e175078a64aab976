"""[I/O] Pages of an account's people and of its API keys."""

from __future__ import annotations

import json
import secrets

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.accounts import keys, members
from control_plane.api.accounts.entry import json_answer
from control_plane.api.accounts.members import Invite, KeyWish, Rights
from control_plane.api.doors import Here, Visit, form, need
from control_plane.errors import ControlPlaneError, Invalid
from control_plane.pages.account import zone_of
from control_plane.pages.forms import Form, Refused, errors_of, taken, typed
from control_plane.pages.shell import Pages, see


def router(pages: Pages) -> APIRouter:
    """Routes for who has the right `members`, and for keys the right `account`."""
    doors = pages.doors
    routes = doors.pages()
    now = doors.clock.now

    def people_form(request: Request, visit: Visit, shown: Form) -> Response:
        account = visit.caller.account
        rows, waiting = doors.store.read(
            lambda connection: (members.listed(connection, account), members.invited(connection, now(), account))
        )
        zone = zone_of(pages, visit)
        return pages.show(request, "people.html", form=shown, rows=rows, waiting=waiting, zone=zone)

    @routes.get("/account/people")
    @need("members")
    def people_page(request: Request, visit: Here) -> Response:
        """Owner, members, and who is invited (ACC-03)."""
        return people_form(request, visit, Form())

    @routes.post("/account/people")
    @need("members")
    def invite(request: Request, visit: Here) -> Response:
        """Mail an invitation. Rights that are not ticked are not given (ACC-07)."""
        sent = form(request)
        rights = sent.many("rights")
        try:
            doors.limits.take("sign_up_address", visit.caller.account, now())
            body = taken(Invite, {"email": sent.one("email"), "rights": list(rights)})
            doors.write(
                lambda connection: members.invite(connection, now(), doors.setup, visit.caller, body.email, body.rights)
            )
        except (Refused, ControlPlaneError) as wrong:
            shown = Form(typed(sent, rights=rights), errors_of(wrong, "email"))
            return people_form(request, visit, shown)
        return see("/account/people?done=invited")

    @routes.post("/account/people/{person}/rights")
    @need("members")
    def set_rights(request: Request, visit: Here, person: str) -> Response:
        """Give a member these rights and no others."""
        try:
            body = taken(Rights, {"rights": list(form(request).many("rights"))})
            doors.write(lambda connection: members.set_rights(connection, now(), visit.caller, person, body.rights))
        except (Refused, ControlPlaneError) as wrong:
            return people_form(request, visit, Form({}, errors_of(wrong)))
        return see("/account/people?done=saved")

    @routes.post("/account/people/{person}/remove")
    @need("members")
    def remove(visit: Here, person: str) -> Response:
        """Put a member out; his sessions and keys die at once."""
        doors.write(lambda connection: members.remove(connection, now(), visit.caller, person))
        return see("/account/people?done=removed" if person != visit.caller.person else "/account?done=left")

    @routes.post("/account/invitations/{invitation}/take-back")
    @need("members")
    def take_back(visit: Here, invitation: str) -> Response:
        doors.write(lambda connection: members.take_back(connection, now(), visit.caller, invitation))
        return see("/account/people?done=taken-back")

    @routes.post("/account/leave")
    @need("member")
    def leave(visit: Here) -> Response:
        """Leave the account that one is in."""
        if not visit.caller.person:
            raise Invalid("person_only", "a key is no member")
        doors.write(lambda connection: members.remove(connection, now(), visit.caller, visit.caller.person))
        return see("/sign-in?done=left")

    def keys_form(request: Request, visit: Visit, shown: Form, secret: str = "") -> Response:
        rows = doors.store.read(lambda connection: keys.listed(connection, now(), visit.caller.account))
        return pages.show(
            request,
            "keys.html",
            script="copy.js",
            form=shown,
            rows=rows,
            secret=secret,
            scopes=keys.SCOPES,
            once=secrets.token_urlsafe(24),
            zone=zone_of(pages, visit),
        )

    @routes.get("/account/keys")
    @need("account")
    def keys_page(request: Request, visit: Here) -> Response:
        """The keys that hold, without their secrets."""
        return keys_form(request, visit, Form())

    @routes.post("/account/keys")
    @need("account")
    def make_key(request: Request, visit: Here) -> Response:
        """Make a key and show its secret, this once: the answer to the form itself, because no address may lead to it.
        Sent again by reloading, the form makes no second key."""
        sent = form(request)
        scopes = sent.many("scopes")
        try:
            if not visit.caller.person or visit.caller.ticket:
                raise Invalid("person_only", "a member of the account makes its keys")
            body = taken(KeyWish, {"name": sent.one("name").strip(), "scopes": list(scopes)})
            answer = doors.act(
                request,
                body.model_dump_json().encode(),
                lambda connection: keys.make(connection, now(), doors.setup, visit.caller, body.name, body.scopes),
                lambda made: json_answer(201, {"id": made[0], "secret": made[1]}),
                sent.one("once") or None,
            )
        except (Refused, ControlPlaneError) as wrong:
            shown = Form(typed(sent, scopes=scopes), errors_of(wrong, "name", "scopes"))
            return keys_form(request, visit, shown)
        return keys_form(request, visit, Form(), json.loads(bytes(answer.body))["secret"])

    @routes.post("/account/keys/{key}/revoke")
    @need("account")
    def revoke_key(visit: Here, key: str) -> Response:
        """Revoke a key from the next call on."""
        doors.write(lambda connection: keys.revoke(connection, now(), visit.caller, key))
        return see("/account/keys?done=revoked")

    return routes
