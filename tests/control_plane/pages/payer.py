"""Somebody who pays for an account at the pages of billing, and what is read off those pages."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pypdf

from tests.control_plane.pages.browsing import Node, Page, Site, Visitor
from tests.control_plane.people import Person

PAYS, ASKS, DECLINED, UNSAVED = "4242424242424242", "4000002760003184", "4000000000000341", "4000000000000002"


@dataclass
class Payer:
    """Somebody who has the right to pay for an account, at the pages."""

    site: Site
    visitor: Visitor
    person: Person
    account: str

    def days(self, count: int) -> None:
        """All that falls due on the way is done; sessions are over by then."""
        self.site.days(count)
        assert self.visitor.signs_in().heading and self.person.signs_in().status_code == 201

    def sees(self, path: str = "/billing") -> Page:
        page = self.visitor.get(path)
        assert page.status in (200, 404, 422), (path, page.status)
        return page

    def on(self, page: Page, action: str, **fields: Any) -> Page:
        """Fill in the form of a page that is open, and send it."""
        return self.visitor.post(action, {**page.form(action), **fields})

    def sends(self, page: str, action: str = "", **fields: Any) -> Page:
        return self.visitor.sends(page, action or page, **fields)

    def types(self, page: Page, number: str, month: str = "12/2030") -> Page:
        """A card, at the gateway's fields."""
        return self.on(page, page.response.url.path, number=number, month=month)

    def gives(self, number: str, **country: str) -> Page:
        page = self.sends("/billing/card", **country)
        page = self.types(page, number)
        return self.on(page, page.response.url.path) if "Is it you" in page.tree.text else page

    def chooses(self, plan: str = "professional", cycle: str = "month", country: str = "DE", **more: str) -> Page:
        return self.sends("/billing/plan", plan=plan, cycle=cycle, country=country, **more)

    def orders(self, *, autopay: bool = True, **wish: str) -> Page:
        """With a card that pays, and all that follows done."""
        page = self.chooses(**wish)
        if page.heading == "Card":
            page = self.types(self.on(page, "/billing/card"), PAYS)
        page = self.on(page, "/billing/plan/pay", **({"autopay": "yes"} if autopay else {}))
        assert page.done.startswith("It is ordered"), page.tree.text
        self.site.settles()
        return self.sees()

    def papers(self) -> list[Node]:
        """Links to documents, the newest first."""
        links = self.sees("/billing/history").tree.all("a")
        return [link for link in links if link.attrs["href"].endswith(".pdf")]

    def reads(self, paper: Node) -> str:
        """The text of a PDF."""
        answer = self.visitor.client.get(paper.attrs["href"], headers=self.visitor.headers)
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/pdf"
        pages = pypdf.PdfReader(io.BytesIO(answer.content)).pages
        return " ".join(" ".join(page.extract_text() for page in pages).split())


def payer(site: Site, email: str = "jane@example.com", **form: Any) -> Payer:
    person = site.customer(email, **form)
    return Payer(site, site.at_pages(person), person, str(person.me()["account"]))


def payable(page: Page) -> str:
    return page.tree.ids()["payable"].text


def csrf_of(jane: Payer) -> dict[str, str]:
    return {"csrf": jane.sees("/account").form("/sign-out")["csrf"]}
