"""[I/O] Signing in with an outside identity (ACC-14): to the provider and back, linking, unlinking, signing up."""

from __future__ import annotations

import hmac
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from control_plane.accounts import identities, oidc, sessions
from control_plane.api.accounts.entry import MAILED, Mailed, SignUp, device, form_of, with_cookie
from control_plane.api.accounts.hashing import Hashing
from control_plane.api.bodies import Body, Secret
from control_plane.api.doors import Doors, Here, need
from control_plane.errors import ControlPlaneError, Forbidden, NotFound

ProviderName = Annotated[str, Path(max_length=40, pattern=r"^[a-z0-9-]+$")]
# One path of ours: what begins with two slashes, or has a backslash, browsers take for another site's address.
_OURS = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~?=&%+-]*")


class Identity(Body):
    provider: str
    email: str
    created_at: str


class Identities(Body):
    items: list[Identity]


class Providers(Body):
    items: list[dict[str, str]]


class Where(Body):
    url: str


class IdentitySignUp(SignUp):
    """As a sign-up, with `identity` in place of a password."""

    identity: Secret
    password: None = Field(default=None)  # type: ignore[assignment]


def our_path(wish: str) -> str:
    """The wish where it is a path of ours, else the start page: nobody is sent to another site."""
    return wish if _OURS.fullmatch(wish) else "/"


def router(doors: Doors, hashing: Hashing) -> APIRouter:
    """Routes for each provider of the settings."""
    routes = doors.router("identities")
    now, setup = doors.clock.now, doors.setup
    clients = {
        provider.name: oidc.Client(provider, f"{setup.base_url}/api/v1/oidc/{provider.name}/callback")
        for provider in doors.settings.providers
    }
    cookie = f"{doors.cookie}-oidc"

    def client(provider: str) -> oidc.Client:
        if provider not in clients:
            raise NotFound("provider_unknown", "there is no such identity provider")
        return clients[provider]

    def begin(provider: str, kind: identities.Kind, person: str, return_to: str) -> tuple[str, str]:
        """The provider's address, and the state, which the browser keeps in a cookie as well."""
        # The step needs nonce and verifier, and those need the state: so the state is drawn first and kept by hash.
        state = setup.draw(40)
        started = client(provider).start(state)
        payload = {"state": state, "nonce": started.nonce, "verifier": started.verifier, "return_to": return_to}
        secret = doors.write(
            lambda connection: identities.remember(connection, now(), setup, kind, provider, person, payload)
        )
        return started.url, secret

    def keep(response: Response, secret: str) -> Response:
        response.set_cookie(
            cookie,
            secret,
            max_age=int(identities.STEP_LASTS.total_seconds()),
            path="/",
            secure=not doors.settings.dev,
            httponly=True,
            samesite="lax",
        )
        return response

    @routes.get("/oidc", response_model=Providers)
    @need("public")
    def providers(visit: Here) -> dict[str, Any]:
        """Whom one may sign in with."""
        return {"items": [{"name": one.name, "title": one.title or one.name} for one in doors.settings.providers]}

    @routes.get("/oidc/{provider}/start", status_code=303, response_class=RedirectResponse)
    @need("public")
    def start(visit: Here, provider: ProviderName, return_to: Annotated[str, Query(max_length=300)] = "/") -> Response:
        """To the provider. `return_to` is a path of ours to come back to."""
        url, secret = begin(provider, "sign_in", "", our_path(return_to))
        return keep(RedirectResponse(url, 303), secret)

    @routes.post("/oidc/{provider}/link", response_model=Where)
    @need("person")
    def link(visit: Here, provider: ProviderName) -> Response:
        """Begin to link an identity to the person who is signed in; the browser goes to `url`."""
        url, secret = begin(provider, "link", visit.caller.person, "/account")
        return keep(Response(Where(url=url).model_dump_json(), media_type="application/json"), secret)

    @routes.get("/oidc/{provider}/callback", status_code=303, response_class=RedirectResponse)
    @need("public")
    def callback(
        request: Request,
        visit: Here,
        provider: ProviderName,
        code: Annotated[str, Query(max_length=2000)] = "",
        state: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """Back from the provider: signed in, linked, or on the way to a sign-up. Errors go to the sign-in page."""
        secret = request.cookies.get(cookie, "")
        try:
            with doors.measures.signing_in():
                answer = arrive(request, visit, provider, secret, code, state)
        except ControlPlaneError as error:
            answer = RedirectResponse(f"/sign-in?problem={error.code}", 303)
        answer.delete_cookie(cookie, path="/", secure=not doors.settings.dev, httponly=True, samesite="lax")
        return answer

    def arrive(request: Request, visit: Here, provider: str, secret: str, code: str, state: str) -> Response:
        step = doors.write(lambda connection: identities.recall(connection, now(), provider, secret))
        if step.kind == "sign_up" or not hmac.compare_digest(step.payload["state"].encode(), state.encode()):
            raise Forbidden("identity_refused", "the provider's answer is not to our question; begin again")
        payload = step.payload
        identity = client(provider).finish(now().timestamp(), code, payload["nonce"], payload["verifier"])
        if step.kind == "link":
            # The very person who asked for it, and still signed in: else somebody's identity would be planted on him.
            if visit.caller.person != step.person:
                raise Forbidden("identity_refused", "sign in, then link it again")
            doors.write(lambda connection: identities.link(connection, now(), step.person, identity))
            return RedirectResponse(payload["return_to"], 303)
        arrival = doors.write(lambda connection: identities.arrive(connection, now(), setup, identity))
        if arrival.person is None:
            return RedirectResponse(f"/sign-up?provider={provider}#identity={arrival.sign_up}", 303)
        person = arrival.person
        signed_in = doors.write(
            lambda connection: sessions.begin(connection, now(), setup, person, device=device(request))
        )
        return with_cookie(doors, signed_in, RedirectResponse(payload["return_to"], 303))

    @routes.post("/oidc/{provider}/sign-ups", status_code=202, response_model=Mailed)
    @need("public")
    def sign_up_with(request: Request, visit: Here, provider: ProviderName, body: IdentitySignUp) -> Response:
        """Sign up with an identity: declarations and acceptance as always."""
        doors.limits.take("sign_up_address", visit.address, now())
        form = form_of(body, visit.address, {"password", "identity"})
        return doors.act(
            request,
            body.model_dump_json().encode(),
            lambda connection: identities.sign_up_with(connection, now(), setup, provider, body.identity, form),
            lambda outcome: MAILED,
        )

    @routes.get("/me/identities", response_model=Identities)
    @need("person")
    def listed(visit: Here) -> dict[str, Any]:
        """What is linked."""
        rows = doors.store.read(lambda connection: identities.listed(connection, visit.caller.person))
        return {
            "items": [
                {"provider": row.provider, "email": row.email, "created_at": row.created_at.isoformat()} for row in rows
            ]
        }

    @routes.delete("/me/identities/{provider}", status_code=204, response_class=Response)
    @need("person")
    def unlink(visit: Here, provider: ProviderName) -> Response:
        """Unlink one; refused where nothing else would let one in."""
        doors.write(lambda connection: identities.unlink(connection, now(), visit.caller, provider))
        return Response(status_code=204)

    return routes
