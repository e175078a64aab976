"""[I/O] The front page, the choice of language, and the files that pages are made of."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import Here, form, need
from control_plane.errors import NotFound
from control_plane.legal.kinds import LANGUAGES
from control_plane.pages import shell
from control_plane.pages.entry import speak
from control_plane.pages.forms import safe_next
from control_plane.pages.shell import Pages, see


def router(pages: Pages) -> APIRouter:
    """Routes for everybody."""
    routes = pages.doors.pages()

    @routes.get("/")
    @need("public")
    def front(request: Request) -> Response:
        return pages.show(request, "front.html")

    @routes.get("/support")
    @need("public")
    def support(request: Request) -> Response:
        """Where mails lead who has a question."""
        return pages.show(request, "support.html")

    @routes.post("/language")
    @need("public")
    def choose_language(request: Request, visit: Here) -> Response:
        """Remember a language, and go back to where one was."""
        sent = form(request)
        response = see(safe_next(sent.one("next"), "/"))
        if sent.one("language") in LANGUAGES:
            speak(pages, response, sent.one("language"))
        return response

    @routes.get("/assets/{hash}/{name}")
    @need("public")
    def asset(hash: str, name: str) -> Response:
        """Style, icon and the one script; kept for ever, because the address has their hash."""
        if name not in shell.ASSETS or hash != shell.asset(name)[1]:
            raise NotFound("asset_unknown", "there is no such file")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(shell.asset(name)[0], media_type=shell.ASSETS[name], headers=headers)

    return routes
