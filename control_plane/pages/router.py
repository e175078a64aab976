"""[I/O] All pages as one area of the application: `application(..., areas=[pages.router])`."""

from __future__ import annotations

from fastapi import APIRouter

from control_plane.api.doors import Doors
from control_plane.pages import account, entry, front, legal
from control_plane.pages.shell import Pages

_PARTS = (front.router, entry.router, account.router, legal.router)


def router(doors: Doors) -> APIRouter:
    """One router with the routes of all parts. Problems outside of the API are told as pages from now on."""
    pages = Pages(doors)
    doors.problem_page = pages.problem
    whole = doors.pages()
    for part in _PARTS:
        # As they are, so that each keeps its door and its need.
        whole.routes.extend(part(pages).routes)
    return whole
