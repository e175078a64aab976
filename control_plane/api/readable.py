"""[I/O] Addresses that nobody can mean: one with NUL in its path or its query is refused before anything looks at it.

No text of a database can hold NUL: PostgreSQL fails at it, and a library written in C may read only what stands before.
"""

from __future__ import annotations

import urllib.parse

from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.api import problems


class Readable:
    """Bodies have checks of their own (control_plane.api.bodies)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "\x00" in scope["path"]:
            await problems.told(scope, 404, "not_found", "Not Found")(scope, receive, send)
        elif scope["type"] == "http" and b"%00" in scope["query_string"]:
            words = "control characters are not taken"
            refusal = problems.told(scope, 422, "field_malformed", words, field=_field(scope["query_string"]))
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _field(query: bytes) -> str | None:
    """The name of the parameter that holds it; None where it is the name itself."""
    pairs = urllib.parse.parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return next((name for name, value in pairs if "\x00" in value and name.isidentifier()), None)
