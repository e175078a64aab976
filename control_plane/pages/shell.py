"""[I/O] What every page has: templates in the visitor's language, headers, the visitor's place in the menu.

Nothing on a page comes from elsewhere but the payment gateway's own fields on those that show them, no style or script
stands in it, and nobody may frame it.
"""

from __future__ import annotations

import functools
import hashlib
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from control_plane import dates
from control_plane.accounts.tokens import csrf_of
from control_plane.api.caller import Caller
from control_plane.api.doors import Doors, Visit
from control_plane.billing.words import Words
from control_plane.gateway.port import HostedFields, Sources
from control_plane.mail.mailbox import Mailbox
from control_plane.pages import languages, words
from control_plane.pages.forms import Form

HERE = Path(__file__).parent
ASSETS = {
    "style.css": "text/css; charset=utf-8",
    "token.js": "text/javascript; charset=utf-8",
    "copy.js": "text/javascript; charset=utf-8",
    "stripe.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
NOBODY = Visit(Caller("visitor", ""), "", "")


def policy(*, script: bool = False, form_to: str = "", sources: Sources | None = None) -> dict[str, str]:
    """The headers of a page. `form_to`: another origin that an answer to its form leads to. `sources`: what the
    gateway's fields on it need."""
    targets = f"'self' {form_to}".strip()
    rules = ["default-src 'none'", "style-src 'self'", "img-src 'self'", f"form-action {targets}"]
    rules += ["base-uri 'none'", "frame-ancestors 'none'"]
    sources = sources or Sources()
    if script:
        rules.append(" ".join(("script-src 'self'", *sources.scripts)))
    if sources.frames:
        rules.append(" ".join(("frame-src", *sources.frames)))
    if sources.connections:
        rules.append(" ".join(("connect-src", *sources.connections)))
    return {
        "Content-Security-Policy": "; ".join(rules),
        # With "no-referrer" browsers send "Origin: null" with a form, and the door could not tell our own from others'.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Language, Cookie",
    }


@functools.cache
def asset(name: str) -> tuple[bytes, str]:
    """A file of ASSETS and a part of its hash, which its address carries: it may be kept for ever."""
    content = (HERE / "assets" / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]


def asset_address(name: str) -> str:
    return f"/assets/{asset(name)[1]}/{name}"


@functools.cache
def environment(language: str) -> jinja2.Environment:
    """The templates in one language."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        auto_reload=False,  # or each page asks the disk for the time of each of its templates
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(  # type: ignore[attr-defined]
        languages.translations(language), newstyle=True
    )
    made.globals.update(
        asset=asset_address,
        language=language,
        tag=languages.tag,
        language_names=languages.names(),
        rights=words.RIGHTS,
        reasons=words.REASONS,
        statuses=words.STATUSES,
        kinds=words.KINDS,
        roles=words.ROLES,
        states=words.STATES,
        declines=words.DECLINES,
        subscription_states=words.SUBSCRIPTIONS,
        invoice_words=words.INVOICES,
        dispute_words=words.DISPUTES,
        task_words=words.TASKS,
        blank=Form(),
    )
    for name, table in (
        *(("kind_words", words.KINDS), ("role_words", words.ROLES)),
        *(("reason_words", words.REASONS), ("ground_words", words.GROUNDS)),
    ):
        made.globals[name] = [(code, words.say(language, sentence)) for code, sentence in table.items()]
    made.filters["day"] = functools.partial(dates.day, language)
    made.filters["instant"] = functools.partial(dates.instant, language)
    made.filters["money"] = Words(language).sum
    made.filters["size"] = Words(language).size
    made.filters["amount"] = Words(language).amount
    made.filters["say"] = functools.partial(words.say, language)
    return made


@dataclass(frozen=True)
class Pages:
    """Answers with pages. `billed`: accounts are charged, and there are pages of billing."""

    doors: Doors
    mailbox: Mailbox | None = None
    billed: bool = False

    def language(self, connection: HTTPConnection) -> str:
        """Of this visitor."""
        return languages.wanted(
            connection.cookies.get(languages.COOKIE, ""), connection.headers.get("accept-language", "")
        )

    def show(
        self,
        request: HTTPConnection,
        template: str,
        *,
        status: int = 200,
        script: str = "",
        form_to: str = "",
        form: Form | None = None,
        fields: HostedFields | None = None,
        **values: Any,
    ) -> Response:
        """A page. `script`: the one of ASSETS that it runs; `fields`: those of the gateway that are on it. A form with
        errors in it makes it a 422."""
        here = getattr(request.state, "visit", NOBODY)
        form = form or Form()
        html = (
            environment(self.language(request))
            .get_template(template)
            .render(
                who=here.caller,
                signed_in=here.caller.actor != "visitor",
                csrf=csrf_of(request.cookies.get(self.doors.cookie, "")) if here.session else "",
                path=request.url.path,
                form=form,
                done=words.done(request.query_params.get("done", "")),
                dev=self.mailbox is not None,
                billed=self.billed,
                # A problem before the door: who has a session is shown the way to his account.
                unasked=here is NOBODY and self.doors.cookie in request.cookies,
                script=script,
                fields=fields,
                **values,
            )
        )
        headers = policy(script=bool(script), form_to=form_to, sources=fields.sources if fields else None)
        return HTMLResponse(html, status if status != 200 or not form.errors else 422, headers)

    def problem(self, scope: Scope, status: int, code: str, plain: Response) -> Response:
        """A problem as a page: `Doors.problem_page`. Who is not signed in is led there and comes back."""
        request = Request(scope)
        if status == 401:
            back = request.url.path if request.method == "GET" else ""
            response = see(f"/sign-in?next={urllib.parse.quote(back)}" if back and back != "/" else "/sign-in")
            if request.cookies.get(self.doors.cookie):
                response.delete_cookie(
                    self.doors.cookie, path="/", secure=not self.doors.settings.dev, httponly=True, samesite="lax"
                )
            return response
        owner = getattr(request.state, "visit", NOBODY).caller.role == "owner"
        page = self.show(
            request,
            "problem.html",
            status=status,
            problem=words.problem(status, code, owner=owner),
            number=status,
            request_id=request.state._state.get("request_id", ""),
        )
        for name in ("retry-after", "connection", "allow"):
            if name in plain.headers:
                page.headers[name] = plain.headers[name]
        return page


def see(address: str) -> Response:
    """Post/Redirect/Get: the answer to a form that was taken."""
    return RedirectResponse(address, 303)
