"""[I/O] The legal texts as pages (LEG-06, LEG-13): an index, and each version under an address that stays."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from control_plane.api.doors import Here, form, need
from control_plane.errors import ControlPlaneError
from control_plane.legal import feedback, texts
from control_plane.legal.kinds import ON_THE_PAGE, known_language
from control_plane.pages.forms import Form, errors_of, typed
from control_plane.pages.shell import Pages, see

# A published text never changes; the frame around it does, and depends on who looks.
_FOR_EVER = "public, max-age=31536000, immutable"


def router(pages: Pages) -> APIRouter:
    """Routes for everybody."""
    doors = pages.doors
    routes = doors.pages()

    @routes.get("/legal")
    @need("public")
    def index(request: Request) -> Response:
        """The texts in force with their chapters, and all versions."""
        language, now = pages.language(request), doors.clock.now()

        def ask(connection: sa.Connection) -> dict[str, Any]:
            versions = texts.all_versions(connection)
            begun = {text.kind for text in versions if text.in_force_at <= now}
            current = [texts.in_force(connection, kind, language, now) for kind in ON_THE_PAGE if kind in begun]
            return {"current": current, "versions": versions}

        return pages.show(request, "legal.html", now=now, **doors.store.read(ask))

    @routes.get("/legal/feedback")
    @need("public")
    def feedback_page(request: Request) -> Response:
        """The form, which says what becomes of feedback (LEG-09)."""
        return pages.show(request, "feedback.html", most=feedback.CHARACTERS_MAX)

    @routes.post("/legal/feedback")
    @need("public")
    def send_feedback(request: Request, visit: Here) -> Response:
        """Without a name, unless who is signed in wants to sign it."""
        sent = form(request)
        person = visit.caller.person if sent.one("signed") == "yes" and visit.caller.person else None
        try:
            doors.write(
                lambda connection: feedback.send(connection, doors.clock.now(), text=sent.one("text"), person=person)
            )
        except ControlPlaneError as wrong:
            shown = Form(typed(sent), errors_of(wrong, "text"))
            return pages.show(request, "feedback.html", form=shown, most=feedback.CHARACTERS_MAX)
        return see("/legal/feedback?done=feedback")

    @routes.get("/legal/{kind}")
    @need("public")
    def in_force(request: Request, kind: str, on: datetime.date | None = None, language: str = "") -> Response:
        """Leads to the version in force now, or at the end of that day, UTC (LEG-01)."""
        wish, at = known_language(language[:20]) or pages.language(request), doors.clock.now()
        if on is not None:
            at = min(at, datetime.datetime.combine(on, datetime.time.max, datetime.UTC))
        return see(doors.store.read(lambda connection: texts.in_force(connection, kind, wish, at)).address)

    @routes.get("/legal/{kind}/{version}/{language}.txt")
    @need("public")
    def plain(kind: str, version: str, language: str) -> Response:
        """Exactly what was published; its SHA-256 is what acceptances keep."""
        text = doors.store.read(lambda connection: texts.shown(connection, kind, version, language))
        return PlainTextResponse(text.body, headers={"Cache-Control": _FOR_EVER})

    @routes.get("/legal/{kind}/{version}/{language}")
    @need("public")
    def text_page(request: Request, kind: str, version: str, language: str) -> Response:
        """As a page, which prints well."""
        rows = doors.store.read(lambda connection: texts.editions_of(connection, kind, version))
        text = rows.get(language)
        if text is None:
            text = doors.store.read(lambda connection: texts.shown(connection, kind, version, language))
        others = [other for other in rows if other != language]
        return pages.show(request, "legal_text.html", text=text, others=others)

    return routes
