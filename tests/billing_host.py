"""A host who pays, at a browser, and what she does there again and again; a guest, and a clock that is set forward."""

from __future__ import annotations

import datetime
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pypdf
from playwright.async_api import Page, expect

from control_plane.storage.store import Store
from tests.accounts_story import (
    HOST,
    Look,
    heading,
    no_look,
    says_a_name,
    signs_in,
)
from tests.clients import BrowserClient
from tests.servers import Server, eventually

# A day at which it is told, from 1: "24 December 2026".
_DAY = "{0.day} {0:%B} {0.year}"


@dataclass
class Host:
    """A host with a browser, and a guest with another, at a server whose control plane has a clock that stands."""

    server: Server
    origin: str  # of the control plane
    folder: Path
    database: str  # as control.database
    host: BrowserClient
    guest: BrowserClient
    operator: httpx2.AsyncClient
    look: Look = no_look
    began: datetime.date = datetime.date.min
    digits: str = ""  # of the room
    room: str = ""  # the address of its page
    printed: list[str] = field(default_factory=list)  # the ledger, line by line

    @property
    def page(self) -> Page:
        return self.host.page

    def day(self, number: int) -> str:
        """Day 0 is the one on which all begins."""
        return _DAY.format(self.began + datetime.timedelta(days=number))

    async def now(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat((await self.operator.get("/test/clock")).json()["now"])

    async def goes_to_day(self, number: int) -> None:
        """All that falls due on the way is done."""
        now = await self.now()
        to = datetime.datetime.combine(self.began + datetime.timedelta(days=number), now.timetz())
        answer = await self.operator.post("/test/clock", json={"to": to.isoformat()})
        assert answer.status_code == 200, answer.text

    async def opens(self, path: str, then: str) -> None:
        """A page of the host's, after a new sign-in where the last one is over. `then`: its heading."""
        await self.page.goto(f"{self.origin}{path}")
        first = self.page.locator("h1:visible").first
        await expect(first).to_have_text(re.compile(f"^({re.escape(then)}|Sign in)$"))
        if await first.inner_text() == "Sign in":
            await signs_in(self.page, HOST, then)

    async def reads(self, *words: str) -> None:
        for one in words:
            await expect(self.page.get_by_role("main")).to_contain_text(one)

    async def presses(self, name: str) -> None:
        await self.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()

    async def follows(self, name: str) -> None:
        await self.page.get_by_role("main").get_by_role("link", name=name, exact=True).click()

    async def gives_a_card(self, number: str) -> None:
        """From a page that has the button: over the gateway's own fields."""
        await heading(self.page, "Test gateway")
        await self.page.get_by_label("Card number").fill(number)
        await self.look(self.page, "gateway-card")
        await self.presses("Save this card")

    async def pays(self, sum_: str) -> None:
        """The quote is open and shows this sum; it is ordered."""
        await heading(self.page, "What it costs")
        await expect(self.page.locator("#payable")).to_have_text(sum_)
        await self.presses(f"Pay {sum_}")
        await expect(self.page.get_by_role("status").first).to_contain_text("It is ordered")

    async def until_it_says(self, words: str) -> None:
        """The page of billing, once what was ordered has gone its way."""
        main = self.page.get_by_role("main")

        async def told() -> bool:
            await self.page.goto(f"{self.origin}/billing")
            return words in " ".join((await main.inner_text()).split())  # sums have spaces that do not break

        await eventually(told, within_s=20, what=f"the page of billing says {words!r}", every_s=0.3)

    async def agrees_with_the_bank(self, sum_: str) -> None:
        await self.until_it_says(f"agree to pay {sum_}")
        await self.look(self.page, "billing-bank-waits")
        await self.follows("To your bank's question")
        await self.reads(f"Is it you who pays {sum_}?")
        await self.look(self.page, "billing-bank-asks")
        await self.presses("Yes, it is me")
        await expect(self.page.get_by_role("status").first).to_contain_text("It is paid.")

    async def papers(self) -> list[str]:
        """The addresses of all documents, the newest first."""
        await self.opens("/billing/history", "Billing history")
        links = await self.page.locator("a[href$='.pdf']").all()
        return [str(await link.get_attribute("href")) for link in links]

    async def reads_paper(self, href: str) -> str:
        """The text of a PDF, as it was given out to the host's browser."""
        answer = await self.page.context.request.get(f"{self.origin}{href}")
        assert answer.status == 200 and answer.headers["content-type"] == "application/pdf"
        pages = pypdf.PdfReader(io.BytesIO(await answer.body())).pages
        return " ".join(" ".join(page.extract_text() for page in pages).split())

    async def guest_is_refused(self) -> None:
        page = self.guest.page
        await page.goto(f"{self.origin}/join/{self.digits}")
        await says_a_name(page, "Grace")
        await expect(page.get_by_role("alert")).to_contain_text("With this number you can join no room")

    def store(self) -> Store:
        """The database itself, beside the running control plane."""
        return Store(self.database or f"sqlite:///{self.folder / 'control-plane.sqlite'}")
