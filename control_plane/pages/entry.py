"""[I/O] Pages for who comes in: sign-up, the mail's codes, signing in and out, passwords forgotten.

What a page answers never depends on who is a customer (ACC-12). Limits are those of the API's own routes.
"""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from control_plane.accounts import addresses, members, people, resets, sessions, sign_up
from control_plane.accounts.members import Newcomer
from control_plane.api.accounts.entry import (
    MAILED,
    Address,
    NewPassword,
    SignIn,
    SignUp,
    Token,
    afterwards,
    device,
    form_of,
    with_cookie,
)
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.accounts.members import Acceptance
from control_plane.api.bodies import Fields
from control_plane.api.caller import Caller
from control_plane.api.doors import Here, form, need
from control_plane.errors import ControlPlaneError
from control_plane.legal import texts
from control_plane.legal.texts import Text
from control_plane.pages import languages
from control_plane.pages.forms import Form, Refused, code, errors_of, safe_next, taken, typed
from control_plane.pages.shell import Pages, see

_SIGN_UP = ("email", "password", "business_name", "tax_number", "first_name", "last_name", "business", "adult")
_TEXTS = ("terms", "privacy")


def home(caller: Caller) -> str:
    """The page that somebody comes to who signs in: his rooms, because that is what people come for."""
    return "/rooms" if "events" in caller.rights else "/account"


def router(pages: Pages) -> APIRouter:
    """Routes for everybody."""
    doors = pages.doors
    routes = doors.pages()
    now = doors.clock.now

    def limit(name: str, key: str) -> None:
        doors.limits.take(name, key, now())

    def in_force(request: Request) -> dict[str, Text]:
        language, at = pages.language(request), now()
        return doors.store.read(
            lambda connection: {kind: texts.in_force(connection, kind, language, at) for kind in _TEXTS}
        )

    def hashing(request: Request) -> Hashing:
        found: Hashing = request.app.state.hashing
        return found

    def sign_up_form(request: Request, shown: Form) -> Response:
        return pages.show(request, "sign_up.html", form=shown, texts=in_force(request), once=secrets.token_urlsafe(24))

    @routes.get("/sign-up")
    @need("public")
    def sign_up_page(request: Request) -> Response:
        return sign_up_form(request, Form())

    @routes.post("/sign-up")
    @need("public")
    async def begin_account(request: Request, visit: Here) -> Response:
        """Begin an account (ACC-04, ACC-08, ACC-09); sent twice, it is begun once."""
        sent = form(request)
        try:
            limit("sign_up_address", visit.address)
            body = taken(SignUp, _sign_up_values(sent, pages.language(request)))
            if missing := _missing(sent):
                raise Refused(missing)
            limit("mail_account", addresses.sign_in_key(body.email))
            password_hash = await hashing(request).make(body.password)
            filled_in = form_of(body, visit.address, {"password"})
            await run_in_threadpool(
                doors.act,
                request,
                repr(sorted(sent.values.items())).encode(),
                lambda connection: sign_up.sign_up(connection, now(), doors.setup, filled_in, password_hash),
                lambda outcome: MAILED,
                sent.one("once") or None,
            )
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, *_SIGN_UP, "accepted")
            return await run_in_threadpool(sign_up_form, request, Form(typed(sent), errors))
        return see("/sign-up/sent")

    @routes.get("/sign-up/sent")
    @need("public")
    def look_into_your_mail(request: Request) -> Response:
        return pages.show(request, "sent.html", purpose="verify")

    @routes.post("/sign-up/mail")
    @need("public")
    def mail_again(request: Request, visit: Here) -> Response:
        """Send the verification again."""
        sent = form(request)
        try:
            limit("sign_up_address", visit.address)
            body = taken(Address, {"email": sent.one("email")})
            limit("mail_account", addresses.sign_in_key(body.email))
        except (Refused, ControlPlaneError) as wrong:
            return pages.show(request, "sent.html", purpose="verify", form=Form(typed(sent), errors_of(wrong, "email")))
        return afterwards(
            doors,
            see("/sign-up/sent"),
            lambda connection: sign_up.resend(connection, now(), doors.setup, body.email),
        )

    @routes.get("/verify")
    @need("public")
    def verify_page(request: Request) -> Response:
        return pages.show(request, "verify.html", script="token.js")

    @routes.post("/verify")
    @need("public")
    def verify(request: Request, visit: Here) -> Response:
        """Open the account that a mailed code belongs to. By a button: mail programs open links by themselves."""
        try:
            limit("token_address", visit.address)
            body = taken(Token, {"token": code(form(request).one("token"))})
            done = doors.write(lambda connection: sign_up.verify(connection, now(), doors.setup, body.token))
        except (Refused, ControlPlaneError) as wrong:
            return pages.show(request, "verify.html", script="token.js", form=Form({}, errors_of(wrong, "token")))
        return see("/sign-in?done=verified-reset" if done.password_needed else "/sign-in?done=verified")

    @routes.get("/sign-in")
    @need("public")
    def sign_in_page(request: Request, visit: Here, next: str = "") -> Response:
        onward = safe_next(next, "")
        if visit.session:
            return see(onward or home(visit.caller))
        return pages.show(request, "sign_in.html", onward=onward)

    @routes.post("/sign-in")
    @need("public")
    async def sign_in(request: Request, visit: Here) -> Response:
        """Sign in. A wrong password and an unknown address get one answer, in one time."""
        sent = form(request)
        onward = safe_next(sent.one("next"), "")
        try:
            limit("sign_in_address", visit.address)
            body = taken(SignIn, {name: sent.one(name) for name in ("email", "password")})
            with doors.measures.signing_in():
                limit("sign_in_account", addresses.sign_in_key(body.email))
                found = await run_in_threadpool(
                    doors.store.read, lambda connection: sessions.credentials(connection, body.email)
                )
                right, newer = await hashing(request).compare(found.password_hash if found else None, body.password)
                if not right or found is None:
                    raise sessions.wrong_credentials()
                compared = found
                signed_in = await run_in_threadpool(
                    doors.write,
                    lambda connection: sessions.sign_in(
                        connection, now(), doors.setup, compared, newer_hash=newer, device=device(request)
                    ),
                )
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "email", "password")
            return pages.show(request, "sign_in.html", onward=onward, form=Form(typed(sent), errors))
        row, present = await run_in_threadpool(
            doors.store.read,
            lambda connection: (
                people.person(connection, signed_in.person),
                sessions.present(connection, now(), signed_in.secret),
            ),
        )
        response = with_cookie(doors, signed_in, see(onward or home(present.caller)))
        if languages.COOKIE not in request.cookies:
            speak(pages, response, row.language)
        return response

    @routes.post("/sign-out")
    @need("person")
    def sign_out(visit: Here) -> Response:
        doors.write(lambda connection: sessions.revoke(connection, now(), visit.caller.person, visit.session))
        response = see("/sign-in?done=signed-out")
        response.delete_cookie(doors.cookie, path="/", secure=not doors.settings.dev, httponly=True, samesite="lax")
        return response

    @routes.get("/forgot")
    @need("public")
    def forgot_page(request: Request) -> Response:
        return pages.show(request, "forgot.html")

    @routes.post("/forgot")
    @need("public")
    def forgot(request: Request, visit: Here) -> Response:
        """Mail a link to set a new password; nobody is told whether there is such a person."""
        sent = form(request)
        try:
            limit("sign_up_address", visit.address)
            body = taken(Address, {"email": sent.one("email")})
            limit("mail_account", addresses.sign_in_key(body.email))
        except (Refused, ControlPlaneError) as wrong:
            return pages.show(request, "forgot.html", form=Form(typed(sent), errors_of(wrong, "email")))
        return afterwards(
            doors, see("/forgot/sent"), lambda connection: resets.ask(connection, now(), doors.setup, body.email)
        )

    @routes.get("/forgot/sent")
    @need("public")
    def forgot_sent(request: Request) -> Response:
        return pages.show(request, "sent.html", purpose="reset")

    @routes.get("/reset")
    @need("public")
    def reset_page(request: Request) -> Response:
        return pages.show(request, "reset.html", script="token.js")

    @routes.post("/reset")
    @need("public")
    async def reset(request: Request, visit: Here) -> Response:
        """Set a new password by a mailed code; all sessions end."""
        sent = form(request)
        try:
            limit("token_address", visit.address)
            values = {"token": code(sent.one("token")), "password": sent.one("password")}
            body = taken(NewPassword, values)
            made = await hashing(request).make(body.password)
            await run_in_threadpool(
                doors.write, lambda connection: resets.complete(connection, now(), doors.setup, body.token, made)
            )
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "token", "password")
            # The code goes back: it was right, and only the password has to be typed again.
            kept = {"code": sent.one("token")} if "token" not in errors else {}
            return pages.show(request, "reset.html", script="token.js", form=Form(kept, errors))
        return see("/sign-in?done=password")

    def invitation_form(request: Request, shown: Form) -> Response:
        return pages.show(request, "invitation.html", script="token.js", form=shown, texts=in_force(request))

    @routes.get("/invitation")
    @need("public")
    def invitation_page(request: Request) -> Response:
        return invitation_form(request, Form())

    @routes.post("/invitation")
    @need("public")
    async def accept_invitation(request: Request, visit: Here) -> Response:
        """Become a member by a mailed code (ACC-06). Who is here already must be signed in as himself."""
        sent = form(request)
        try:
            limit("token_address", visit.address)
            body = taken(Acceptance, _acceptance_values(sent, pages.language(request)))
            made = await hashing(request).make(body.password) if body.password else None
            if not visit.caller.person and not body.accepted:
                raise Refused({"accepted": "acceptance_missing"})
            newcomer = Newcomer(
                made,
                body.adult,
                body.accepted,
                body.first_name,
                body.last_name,
                body.language,
                visit.caller.address_hash,
            )
            await run_in_threadpool(
                doors.write,
                lambda connection: members.accept(
                    connection, now(), doors.setup, body.token, newcomer, visit.caller.person
                ),
            )
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "token", "password", "adult", "accepted", "first_name", "last_name")
            kept = {"code": sent.one("token")} if "token" not in errors else {}
            return await run_in_threadpool(invitation_form, request, Form(typed(sent, **kept), errors))
        return see("/account?done=saved" if visit.caller.person else "/sign-in?done=joined")

    return routes


def speak(pages: Pages, response: Response, language: str) -> None:
    """Remember the language that somebody chose."""
    response.set_cookie(
        languages.COOKIE,
        language,
        max_age=365 * 86400,
        path="/",
        secure=not pages.doors.settings.dev,
        httponly=True,
        samesite="lax",
    )


def _sign_up_values(sent: Fields, language: str) -> dict[str, Any]:
    """The fields of the form as the API's own body has them."""
    named = ("email", "password", "business_name", "tax_number", "first_name", "last_name", "phone")
    return {
        **{name: sent.one(name) for name in named},
        "time_zone": sent.one("time_zone") or "UTC",
        "business": sent.one("business") == "yes",
        "adult": sent.one("adult") == "yes",
        "accepted": _accepted(sent),
        "commercial_mail": sent.one("commercial_mail") == "yes",
        "language": language,
    }


def _acceptance_values(sent: Fields, language: str) -> dict[str, Any]:
    return {
        "token": code(sent.one("token")),
        "password": sent.one("password") or None,
        "adult": sent.one("adult") == "yes",
        "accepted": _accepted(sent),
        "first_name": sent.one("first_name"),
        "last_name": sent.one("last_name"),
        "language": language,
    }


def _accepted(sent: Fields) -> dict[str, str]:
    """The versions that stood on the page, if the box beside them is ticked."""
    ticked = sent.one("accepted") == "yes"
    return {kind: sent.one(f"{kind}_version") for kind in _TEXTS} if ticked else {}


def _missing(sent: Fields) -> dict[str, str]:
    """All that a sign-up lacks, so that nobody is told of one thing after the other."""
    errors = {}
    if not sent.one("business_name").strip() and not sent.one("tax_number").strip():
        errors["business_name"] = "business_unnamed"
    for name in ("business", "adult"):
        if sent.one(name) != "yes":
            errors[name] = "declaration_missing"
    if sent.one("accepted") != "yes":
        errors["accepted"] = "acceptance_missing"
    return errors
