"""[I/O] The client of OpenID Connect providers (ACC-14): authorization code with PKCE, state and nonce, by Authlib.

What a provider answers is a stranger's input: it has a size, a time, one issuer, and algorithms that are named here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import httpx2
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from control_plane.accounts.identities import Identity, Provider
from control_plane.errors import Forbidden, Unavailable

TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 256 * 1024
ALGORITHMS = ["RS256", "ES256", "EdDSA"]  # no HS256: the client secret is no signing key, and never "none"
LEEWAY_S = 60
SUBJECT_CHARACTERS_MAX = 255  # OpenID Connect Core 2


@dataclass(frozen=True)
class Start:
    """Where to send the browser, and what must be remembered until it comes back."""

    url: str
    nonce: str
    verifier: str


class Client:
    """One provider. Its description and keys are fetched when first needed; keys again when an unknown one signs."""

    def __init__(self, provider: Provider, redirect_uri: str) -> None:
        self._provider, self._redirect_uri = provider, redirect_uri
        self._lock = threading.Lock()
        self._described: dict[str, Any] | None = None
        self._keys: KeySet | None = None

    def start(self, state: str) -> Start:
        """Raises Unavailable where the provider cannot be reached."""
        nonce, verifier = generate_token(32), generate_token(48)
        with self._session() as session:
            url, _ = session.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier
            )
        return Start(url, nonce, verifier)

    def finish(self, now_s: float, code: str, nonce: str, verifier: str) -> Identity:
        """Who has come back with this code. Raises Forbidden for an answer that does not hold, Unavailable."""
        try:
            with self._session() as session:
                token = session.fetch_token(
                    self._endpoint("token_endpoint"),
                    code=code,
                    code_verifier=verifier,
                    grant_type="authorization_code",
                )
        except OAuthError:
            raise _refused() from None
        except httpx2.HTTPError:
            raise _away() from None
        claims = self._claims(now_s, str(token.get("id_token", "")), nonce)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARACTERS_MAX:
            raise _refused()
        email = claims.get("email")
        return Identity(
            self._provider.name,
            subject,
            email if isinstance(email, str) else "",
            claims.get("email_verified") is True,  # not the word "true": what is not clear is not verified
        )

    def _session(self) -> OAuth2Client:
        return OAuth2Client(
            self._provider.client_id,
            self._provider.client_secret,
            scope="openid email",
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            follow_redirects=False,
        )

    def _claims(self, now_s: float, id_token: str, nonce: str) -> dict[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(now_s),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._provider.client_id},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
        )
        for fresh in (False, True):
            try:
                token = jwt.decode(id_token, self._key_set(fresh), algorithms=ALGORITHMS)
                registry.validate(token.claims)
            except (JoseError, ValueError):
                if fresh:
                    raise _refused() from None
                continue
            audience = token.claims["aud"]
            if isinstance(audience, list) and len(audience) > 1 and token.claims.get("azp") != self._provider.client_id:
                raise _refused()
            return dict(token.claims)
        raise _refused()

    @property
    def _issuer(self) -> str:
        return self._provider.issuer

    def _endpoint(self, name: str) -> str:
        with self._lock:
            if self._described is None:
                found = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self._issuer:
                    raise _refused()
                self._described = found
            return str(self._described.get(name, ""))

    def _key_set(self, fresh: bool) -> KeySet:
        address = self._endpoint("jwks_uri")
        with self._lock:
            if fresh or self._keys is None:
                self._keys = KeySet.import_key_set(self._get(address))  # type: ignore[arg-type]
            return self._keys

    def _get(self, url: str) -> dict[str, Any]:
        try:
            with (
                httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False) as client,
                client.stream("GET", url) as answer,
            ):
                if answer.status_code != 200:
                    raise _away()
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise _away()
            found = httpx2.Response(200, content=body).json()
        except (httpx2.HTTPError, ValueError):
            raise _away() from None
        if not isinstance(found, dict):
            raise _away()
        return found


def _refused() -> Forbidden:
    return Forbidden("identity_refused", "the provider's answer does not hold; begin again")


def _away() -> Unavailable:
    return Unavailable("provider_away", "the identity provider cannot be reached", retry_after_s=30)
