"""[I/O] An OpenID Connect provider for tests, as a process of its own: Authlib's server side on Flask, on loopback.

Who is signed in there is what the test says at `/be` (subject, e-mail, verified); it agrees to everything. `/be` also
lets it lie: another issuer, another audience, another nonce, an ID token from the past, one without a signature.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parents[2]
CLIENT, SECRET = "stentor", "the client's secret"


def serve(port: int) -> None:
    """Serve until killed."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    from authlib.integrations.flask_oauth2 import AuthorizationServer
    from authlib.oauth2.rfc6749 import ClientMixin, grants
    from authlib.oauth2.rfc7636 import CodeChallenge
    from flask import Flask, jsonify, request
    from joserfc import jwt
    from joserfc.jwk import ECKey
    from werkzeug.serving import make_server

    issuer = f"http://127.0.0.1:{port}"
    app = Flask("provider")
    keys = [ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})]
    codes: dict[str, Any] = {}
    told: dict[str, Any] = {"sub": "1", "email": "", "email_verified": False, "lie": ""}

    class Client(ClientMixin):  # type: ignore[misc]
        def get_client_id(self) -> str:
            return CLIENT

        def get_default_redirect_uri(self) -> str:
            return ""

        def get_allowed_scope(self, scope: str) -> str:
            return scope

        def check_redirect_uri(self, redirect_uri: str) -> bool:
            return redirect_uri.startswith("https://stentor.test/api/v1/oidc/")

        def check_client_secret(self, client_secret: str) -> bool:
            return client_secret == SECRET

        def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
            return method == "client_secret_basic"

        def check_response_type(self, response_type: str) -> bool:
            return response_type == "code"

        def check_grant_type(self, grant_type: str) -> bool:
            return grant_type == "authorization_code"

    class Code(SimpleNamespace):
        def get_redirect_uri(self) -> str:
            return str(self.redirect_uri)

        def get_scope(self) -> str:
            return "openid email"

    class Grant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012 - Authlib's own way

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            codes[code] = Code(
                code=code,
                redirect_uri=request.payload.redirect_uri,
                nonce=data.get("nonce"),
                code_challenge=data.get("code_challenge"),
                code_challenge_method=data.get("code_challenge_method"),
                user=dict(told),
            )

        def query_authorization_code(self, code: str, client: Any) -> Any:
            return codes.get(code)

        def delete_authorization_code(self, authorization_code: Any) -> None:
            codes.pop(authorization_code.code, None)

        def authenticate_user(self, authorization_code: Any) -> Any:
            return {**authorization_code.user, "nonce": authorization_code.nonce}

    def token(grant_type: str, client: Any, user: Any = None, scope: str = "", **_: Any) -> dict[str, Any]:
        now, lie = int(user["now"]), user["lie"]
        claims = {
            "iss": "http://evil.test" if lie == "issuer" else issuer,
            "aud": "somebody else" if lie == "audience" else CLIENT,
            "nonce": "another" if lie == "nonce" else user["nonce"],
            "iat": now,
            "exp": now - 3600 if lie == "expired" else now + 300,
            "sub": user["sub"],
            "email": user["email"],
            "email_verified": user["email_verified"],
        }
        key = ECKey.generate_key("P-256", {"kid": "one"}) if lie == "key" else keys[-1]
        id_token = jwt.encode({"alg": "ES256", "kid": key.kid or "one"}, claims, key)
        if lie == "none":
            id_token = jwt.encode({"alg": "none"}, claims, key, algorithms=["none"])
        return {"token_type": "Bearer", "access_token": "x" * 40, "expires_in": 300, "id_token": id_token}

    server = AuthorizationServer(app, query_client=lambda id_: Client() if id_ == CLIENT else None, save_token=_nothing)
    server.register_grant(Grant, [CodeChallenge(required=True)])
    server.register_token_generator("default", token)

    @app.get("/.well-known/openid-configuration")
    def described() -> Any:
        return jsonify(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            jwks_uri=f"{issuer}/keys",
        )

    @app.get("/keys")
    def public_keys() -> Any:
        return jsonify(keys=[key.as_dict(private=False) for key in keys])

    @app.get("/authorize")
    def authorize() -> Any:
        grant = server.get_consent_grant(end_user=told)
        return server.create_authorization_response(grant=grant, grant_user=told)

    @app.post("/token")
    def exchange() -> Any:
        return server.create_token_response()

    @app.post("/be")
    def be() -> Any:
        told.update(request.get_json())
        return ""

    @app.post("/turn-keys")
    def turn_keys() -> Any:
        keys[:] = [ECKey.generate_key("P-256", {"kid": f"k{time.monotonic_ns()}", "use": "sig"})]
        return ""

    threading.Thread(target=_end_with_parent, daemon=True).start()
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


def _nothing(token: Any, request: Any) -> None:
    """Tokens are not used here."""


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


@contextmanager
def running() -> Iterator[str]:
    """The issuer of a provider that runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "tests.control_plane.provider", str(port)]
    process = subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        with httpx2.Client(transport=httpx2.HTTPTransport(retries=8)) as client:
            client.get(f"{issuer}/keys", timeout=60).raise_for_status()
        yield issuer
    finally:
        process.kill()
        process.wait()


def be(issuer: str, **who: Any) -> None:
    """Whoever is sent to the provider from now on is this one."""
    httpx2.post(f"{issuer}/be", json=who).raise_for_status()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
