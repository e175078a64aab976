"""[I/O] The development mailbox as a page: mails that did not leave the machine, to be read by whoever develops."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import need
from control_plane.mail.mailbox import Mailbox
from control_plane.pages.shell import Pages

_ADDRESS = re.compile(r"https?://[^\s<>\"']+")


def router(pages: Pages, mailbox: Mailbox) -> APIRouter:
    """Only there on a server for development."""
    routes = pages.doors.pages()

    @routes.get("/dev/mail")
    @need("public")
    def mails(request: Request, to: str = "") -> Response:
        """The newest first; those to one address alone, if told."""
        rows = [(mail, pieces(mail.text)) for mail in mailbox.newest(to or None)]
        return pages.show(request, "mailbox.html", rows=rows, to=to)

    return routes


def pieces(text: str) -> list[tuple[str, bool]]:
    """A text cut into words and addresses of pages; True for the latter."""
    found: list[tuple[str, bool]] = []
    at = 0
    for address in _ADDRESS.finditer(text):
        found += [(text[at : address.start()], False), (address[0], True)]
        at = address.end()
    return [*found, (text[at:], False)]
