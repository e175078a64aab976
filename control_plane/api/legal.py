"""[I/O] The legal texts over HTTP, for everybody and without signing in (LEG-06, LEG-09, LEG-13).

Every version in every language has an address that stays: /legal/<kind>/<date>/<language>, as a page, and with .txt as
exactly what was published (its SHA-256 is what acceptances keep). The application has `state.store` and `state.clock`.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any, cast

import jinja2
from fastapi import APIRouter, Form, Header, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import BaseModel

from control_plane.api import problems
from control_plane.clock import Clock
from control_plane.legal import feedback, texts
from control_plane.legal.kinds import ON_THE_PAGE, ORIGINAL, known_language, language_of
from control_plane.legal.texts import Text
from control_plane.storage.store import Store

PAGES = Path(texts.__file__).parent / "pages"
# Nothing on these pages comes from elsewhere or runs.
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# A published text never changes.
_FOR_EVER = {**_SAFE, "Cache-Control": "public, max-age=31536000, immutable"}
# Ours are shorter; a longer header is no browser's.
_ACCEPT_CHARACTERS_MAX = 500

router = APIRouter(tags=["legal"], responses=problems.documented(400, 404, 422, 429, 503))
_jinja = jinja2.Environment(
    loader=jinja2.FileSystemLoader(PAGES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    extensions=["jinja2.ext.i18n"],
)
_jinja.install_null_translations(newstyle=True)  # type: ignore[attr-defined]


class Chapter(BaseModel):
    anchor: str
    title: str


class Listed(BaseModel):
    """One version in one language; `address` and `plain` stay."""

    kind: str
    version: str
    language: str
    title: str
    in_force_at: datetime.datetime
    published_at: datetime.datetime
    body_hash: str
    address: str
    plain: str
    chapters: list[Chapter]


class Whole(Listed):
    """With the text itself: a fragment of HTML, and as it was written."""

    html: str
    text: str


@router.get("/api/v1/legal/texts")
def list_texts(request: Request) -> list[Listed]:
    """All versions that were ever published."""
    return [Listed(**_listed(text)) for text in _store(request).read(texts.all_versions)]


@router.get("/api/v1/legal/texts/{kind}/{version}/{language}")
def one_text(request: Request, kind: str, version: str, language: str) -> Whole:
    """One of them. 404 `no_text`."""
    text = _shown(request, kind, version, language)
    return Whole(**_listed(text), html=text.html, text=text.body)


@router.get("/legal", response_class=HTMLResponse)
def legal_page(
    request: Request,
    language: Annotated[str, Query(max_length=20)] = "",
    accept_language: Annotated[str, Header()] = "",
) -> Response:
    """The texts in force with their chapters, and all versions."""
    wish, now = _wish(language, accept_language), _clock(request).now()

    def question(connection: Any) -> tuple[list[Text], list[Text]]:
        versions = texts.all_versions(connection)
        begun = {text.kind for text in versions if text.in_force_at <= now}
        return [texts.in_force(connection, kind, wish, now) for kind in ON_THE_PAGE if kind in begun], versions

    current, versions = _store(request).read(question)
    return _page("list.html", wish, texts=current, versions=versions, asked=wish, now=now)


@router.get("/legal/page.css")
def stylesheet() -> Response:
    """For screens and for paper."""
    return Response((PAGES / "page.css").read_bytes(), media_type="text/css", headers=_SAFE)


@router.get("/legal/feedback", response_class=HTMLResponse)
def feedback_form(sent: bool = False) -> Response:
    """The form, which says what becomes of feedback (LEG-09)."""
    return _page("feedback.html", ORIGINAL, sent=sent, notice=feedback.NOTICE, most=feedback.CHARACTERS_MAX)


@router.post("/legal/feedback")
def send_feedback(request: Request, text: Annotated[str, Form(max_length=feedback.CHARACTERS_MAX)]) -> Response:
    """Without a name: whoever wants to sign sends it from the account."""
    now = _clock(request).now()
    _store(request).write(lambda connection: feedback.send(connection, now, text=text, person=None))
    return RedirectResponse("/legal/feedback?sent=true", status_code=303)


@router.get("/legal/{kind}")
def text_in_force(
    request: Request,
    kind: str,
    on: datetime.date | None = None,
    language: Annotated[str, Query(max_length=20)] = "",
    accept_language: Annotated[str, Header()] = "",
) -> Response:
    """To the address of the text in force now, or at the end of that day, UTC (LEG-01)."""
    at = _clock(request).now()
    if on is not None:
        at = min(at, datetime.datetime.combine(on, datetime.time.max, datetime.UTC))
    wish = _wish(language, accept_language)
    text = _store(request).read(lambda connection: texts.in_force(connection, kind, wish, at))
    return RedirectResponse(text.address, status_code=307)


@router.get("/legal/{kind}/{version}/{language}.txt", response_class=PlainTextResponse)
def plain_text(request: Request, kind: str, version: str, language: str) -> Response:
    """Exactly what was published."""
    return PlainTextResponse(_shown(request, kind, version, language).body, headers=_FOR_EVER)


@router.get("/legal/{kind}/{version}/{language}", response_class=HTMLResponse)
def text_page(request: Request, kind: str, version: str, language: str) -> Response:
    """As a page, which prints well."""
    rows = _store(request).read(lambda connection: texts.editions_of(connection, kind, version))
    text = rows.get(language) or _shown(request, kind, version, language)
    others = [other for other in rows if other != text.language]
    return _page("text.html", text.language, text=text, languages=others)


def _page(name: str, language: str, **values: object) -> Response:
    body = _jinja.get_template(name).render(language=_tag(language), tag=_tag, **values)
    return HTMLResponse(body, headers=_SAFE)


def _listed(text: Text) -> dict[str, Any]:
    return {
        "kind": text.kind,
        "version": text.version,
        "language": text.language,
        "title": text.title,
        "in_force_at": text.in_force_at,
        "published_at": text.published_at,
        "body_hash": text.body_hash,
        "address": text.address,
        "plain": f"{text.address}.txt",
        "chapters": [Chapter(anchor=chapter.anchor, title=chapter.title) for chapter in text.chapters],
    }


def _shown(request: Request, kind: str, version: str, language: str) -> Text:
    return _store(request).read(lambda connection: texts.shown(connection, kind, version, language))


def _wish(asked: str, accepted: str) -> str:
    """The language asked for, or else the first known one of the browser's."""
    if asked:
        return language_of(asked)
    tags = (part.partition(";")[0].strip() for part in accepted[:_ACCEPT_CHARACTERS_MAX].split(","))
    return next((found for found in map(known_language, tags) if found), ORIGINAL)


def _tag(language: str) -> str:
    """As HTML and HTTP write it (BCP 47)."""
    return language.replace("_", "-")


def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


def _clock(request: Request) -> Clock:
    return cast(Clock, request.app.state.clock)
