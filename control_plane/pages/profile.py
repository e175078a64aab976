"""[I/O] The public profile page and its editor (ACC-20): each part can be hidden, and the whole."""

from __future__ import annotations

import urllib.parse
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.accounts import people, profile
from control_plane.accounts.profile import PARTS, WRITTEN, PublicEvents
from control_plane.api.accounts.account import ProfileChange
from control_plane.api.bodies import given
from control_plane.api.doors import Here, Visit, form, need
from control_plane.errors import ControlPlaneError
from control_plane.pages.forms import Form, Refused, errors_of, taken, typed
from control_plane.pages.shell import Pages, see


def router(pages: Pages, public_events: PublicEvents) -> APIRouter:
    """The editor for who has the right `account`, the page for everybody."""
    doors = pages.doors
    routes = doors.pages()
    now = doors.clock.now

    def editor(request: Request, visit: Visit, shown: Form) -> Response:
        settings = doors.store.read(lambda connection: profile.settings(connection, visit.caller.account))
        return pages.show(request, "profile_edit.html", form=shown, settings=settings, base_url=doors.setup.base_url)

    @routes.get("/account/profile")
    @need("account")
    def editor_page(request: Request, visit: Here) -> Response:
        """What strangers see, and the switches."""
        return editor(request, visit, Form())

    @routes.post("/account/profile")
    @need("account")
    def change(request: Request, visit: Here) -> Response:
        """Counts from the next call on."""
        sent = form(request)
        parts: dict[str, dict[str, Any]] = {part: {"visible": sent.one(f"{part}_visible") == "yes"} for part in PARTS}
        for part in WRITTEN:
            parts[part]["text"] = sent.one(part).strip()
        try:
            body = _taken(sent.one("public") == "yes", parts)
            if parts["website"]["text"] and not is_web_address(parts["website"]["text"]):
                raise Refused({"website": "website_malformed"})
            changes = {part: given(one) for part, one in body.parts.items()}
            doors.write(
                lambda connection: profile.change(connection, now(), visit.caller, public=body.public, parts=changes)
            )
        except (Refused, ControlPlaneError) as wrong:
            return editor(request, visit, Form(typed(sent), errors_of(wrong, *WRITTEN)))
        return see("/account/profile?done=saved")

    @routes.get("/p/{slug}")
    @need("public")
    def public_page(request: Request, slug: str) -> Response:
        """What is hidden, suspended or expired looks like what never was."""
        shown = doors.store.read(
            lambda connection: profile.shown(connection, now(), doors.setup, slug[:100], public_events)
        )
        website = shown.parts.get("website", "")
        return pages.show(request, "profile.html", shown=shown, website=website if is_web_address(website) else "")

    @routes.get("/account/profile/preview")
    @need("account")
    def preview(visit: Here) -> Response:
        """To the public page, whatever its address is."""
        row = doors.store.read(lambda connection: people.account(connection, visit.caller.account))
        return see(f"/p/{row.slug}" if row.slug else "/account")

    return routes


def is_web_address(text: str) -> bool:
    """Whether it may stand in a link: http or https with a host, nothing that runs."""
    try:
        parts = urllib.parse.urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False


def _taken(public: bool, parts: dict[str, dict[str, Any]]) -> ProfileChange:
    """Each part by itself, so that an error stands beside its field. Raises Refused."""
    errors: dict[str, str] = {}
    for part, change in parts.items():
        try:
            taken(ProfileChange, {"parts": {part: change}})
        except Refused as wrong:
            errors[part] = next(iter(wrong.errors.values()))
    if errors:
        raise Refused(errors)
    return taken(ProfileChange, {"public": public, "parts": parts})
