"""[I/O] Coming in: sign-up, verification, signing in and out, passwords forgotten. Open to strangers: every answer
is the same for a known and an unknown address, and every route has a limit of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from control_plane.accounts import addresses, resets, sessions, sign_up
from control_plane.accounts.sessions import Credentials, SignedIn
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.bodies import Body, Email, Line, Password, Secret, Text, Word
from control_plane.api.caller import address_hash
from control_plane.api.doors import Doors, Here, need
from control_plane.api.idempotency import Answer


class SignUp(Body):
    """Mandatory: e-mail, password, a business name or a tax number, both declarations, the texts' versions."""

    email: Email
    password: Password
    business: bool = Field(description="I buy for my trade, business or profession")
    adult: bool = Field(description="I am 18 or older")
    accepted: dict[Literal["terms", "privacy"], Word] = Field(description="version shown of each text")
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
    commercial_mail: bool = False
    partner: Word = Field(default="", description="through whom the trial is made (ACC-13)")


class Mailed(Body):
    """What a stranger is told: look into your mailbox. The same for everybody."""

    sent: Literal[True] = True


class Token(Body):
    token: Secret


class VerifiedAnswer(Body):
    account: str
    password_needed: bool


class Address(Body):
    email: Email


class SignIn(Body):
    email: Email
    password: Password


class SessionAnswer(Body):
    """The session itself is in the cookie; `csrf` goes with every request that changes something."""

    session: str
    person: str
    account: str | None
    csrf: str
    expires_at: str


class NewPassword(Body):
    token: Secret
    password: Password


MAILED = Answer(202, '{"sent":true}')


def router(doors: Doors, hashing: Hashing) -> APIRouter:
    """Routes for who is not signed in."""
    routes = doors.router("entry")
    now = doors.clock.now

    def limit(name: str, key: str) -> None:
        doors.limits.take(name, key, now())

    def answered(mail: Callable[[sa.Connection], None]) -> Response:
        return afterwards(doors, Response(MAILED.body, MAILED.status, media_type="application/json"), mail)

    @routes.post("/sign-ups", status_code=202, response_model=Mailed)
    @need("public")
    async def begin_account(request: Request, visit: Here, body: SignUp) -> Response:
        """Begin an account. What comes of it is told by mail (ACC-04, ACC-12)."""
        limit("sign_up_address", visit.address)
        key = addresses.sign_in_key(body.email)
        limit("mail_account", key)
        form = form_of(body, visit.address, {"password"})
        password_hash = await hashing.make(body.password)
        raw = await request.body()
        return await run_in_threadpool(
            doors.act,
            request,
            raw,
            lambda connection: sign_up.sign_up(connection, now(), doors.setup, form, password_hash),
            lambda outcome: MAILED,
        )

    @routes.post("/sign-ups/mail", status_code=202, response_model=Mailed)
    @need("public")
    def mail_again(request: Request, visit: Here, body: Address) -> Response:
        """Send the verification again."""
        limit("sign_up_address", visit.address)
        limit("mail_account", addresses.sign_in_key(body.email))
        return answered(lambda connection: sign_up.resend(connection, now(), doors.setup, body.email))

    @routes.post("/verifications", response_model=VerifiedAnswer)
    @need("public")
    def verify(request: Request, visit: Here, body: Token) -> Response:
        """Open the account that a mailed token belongs to."""
        limit("token_address", visit.address)
        return doors.act(
            request,
            body.model_dump_json().encode(),
            lambda connection: sign_up.verify(connection, now(), doors.setup, body.token),
            lambda done: json_answer(200, {"account": done.account, "password_needed": done.password_needed}),
        )

    @routes.post("/sessions", status_code=201, response_model=SessionAnswer)
    @need("public")
    async def sign_in(request: Request, visit: Here, body: SignIn) -> Response:
        """Sign in. A wrong password and an unknown address get one answer, in one time."""
        limit("sign_in_address", visit.address)
        with doors.measures.signing_in():
            limit("sign_in_account", addresses.sign_in_key(body.email))
            found = await run_in_threadpool(
                doors.store.read, lambda connection: sessions.credentials(connection, body.email)
            )
            right, newer = await hashing.compare(found.password_hash if found else None, body.password)
            if not right or found is None:
                raise sessions.wrong_credentials()
            compared: Credentials = found
            signed_in = await run_in_threadpool(
                doors.write,
                lambda connection: sessions.sign_in(
                    connection, now(), doors.setup, compared, newer_hash=newer, device=device(request)
                ),
            )
        return with_cookie(doors, signed_in)

    @routes.post("/password-resets", status_code=202, response_model=Mailed)
    @need("public")
    def forgot(request: Request, visit: Here, body: Address) -> Response:
        """Mail a link to set a new password."""
        limit("sign_up_address", visit.address)
        limit("mail_account", addresses.sign_in_key(body.email))
        return answered(lambda connection: resets.ask(connection, now(), doors.setup, body.email))

    @routes.post("/password-resets/complete", status_code=204, response_class=Response)
    @need("public")
    async def reset(request: Request, visit: Here, body: NewPassword) -> Response:
        """Set a new password by a mailed token; all sessions end."""
        limit("token_address", visit.address)
        made = await hashing.make(body.password)
        await run_in_threadpool(
            doors.write, lambda connection: resets.complete(connection, now(), doors.setup, body.token, made)
        )
        return Response(status_code=204)

    return routes


def afterwards(doors: Doors, response: Response, use_case: Callable[[sa.Connection], None]) -> Response:
    """Answer first and mail then: how long it takes to find somebody and write to him tells nobody whether he is here.
    Lost in a crash between the two: the mail, for which he asks again."""
    response.background = BackgroundTask(doors.write, use_case)
    return response


def with_cookie(doors: Doors, signed_in: SignedIn, response: Response | None = None) -> Response:
    """The answer to a sign-in: the session's secret in a cookie, the rest in the body."""
    if response is None:
        response = JSONResponse(
            {
                "session": signed_in.session,
                "person": signed_in.person,
                "account": signed_in.account,
                "csrf": signed_in.csrf,
                "expires_at": signed_in.expires_at.isoformat(),
            },
            201,
        )
    response.set_cookie(
        doors.cookie,
        signed_in.secret,
        max_age=int(sessions.LASTS.total_seconds()),
        path="/",
        secure=not doors.settings.dev,
        httponly=True,
        samesite="lax",  # a link in a mail must find him signed in; what changes something needs the CSRF token
    )
    return response


def form_of(body: SignUp, address: str, without: set[str]) -> sign_up.Form:
    """The service's form out of a request's body."""
    fields = body.model_dump(exclude={*without, "partner"})
    means = "partner" if body.partner else "sign_up"
    return sign_up.Form(**fields, through=body.partner, means=means, address_hash=address_hash(address))


def device(request: Request) -> str:
    """What his browser calls itself, for the list of his sessions."""
    agent = request.headers.get("user-agent", "")
    return "".join(character for character in agent if character.isprintable())[: sessions.DEVICE_CHARACTERS_MAX]


def json_answer(status: int, body: object) -> Answer:
    return Answer(status, json.dumps(body, ensure_ascii=False, separators=(",", ":")))
