"""[I/O] The legal texts as JSON, for everybody and without signing in (LEG-06, LEG-13). As pages and as plain text they
are control_plane.pages.legal's; `address` and `plain` say where. The application has `state.store`.
"""

from __future__ import annotations

import datetime
from typing import Any, cast

from fastapi import APIRouter, Request
from pydantic import BaseModel

from control_plane.api import problems
from control_plane.legal import texts
from control_plane.legal.texts import Text
from control_plane.storage.store import Store

router = APIRouter(tags=["legal"], responses=problems.documented(400, 404, 422, 429, 503))


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


def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)
