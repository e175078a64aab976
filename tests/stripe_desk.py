"""Somebody at a real browser before pages whose gateway is Stripe, which localstripe stands in for on loopback.

Nothing here reaches a network: who is not on loopback is not found, and is refused before.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, Request, Route, expect

from control_plane.billing import cards
from control_plane.gateway.stripe import StripeGateway
from control_plane.paying import CONFIRM_PAGE
from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.accounts_story import PATIENCE_MS, USUAL_MS
from tests.chromium import HEADLESS_SHELL
from tests.clients import async_playwright, chromium
from tests.control_plane.gateway.rigs import StripeRig
from tests.control_plane.pages.browsing import Site
from tests.control_plane.pages.pictures import served

PAYS, DECLINED, ASKS, ASKS_ONCE = "4242424242424242", "4000000000000002", "4000002760003184", "4000002500003155"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Besides the routes below: no name but localhost is found.
NOBODY = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",)


@dataclass
class Desk:
    """Jane at a browser, before pages whose gateway is localstripe."""

    site: Site
    rig: StripeRig
    account: str
    page: Page
    said: list[str] = field(default_factory=list)  # by the console
    sent: list[Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # what was not on loopback

    async def opens(self, path: str, heading: str) -> None:
        await self.page.goto(f"{self.site.base_url}{path}")
        await self.reads_heading(heading)

    async def reads_heading(self, words: str) -> None:
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(words)

    async def reads(self, words: str) -> None:
        await expect(self.page.get_by_role("main")).to_contain_text(words)

    async def presses(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def to_the_fields(self, country: str = "US") -> str:
        """Over the page of the card: Stripe's reference of the set-up."""
        await self.opens("/billing/card", "Card")
        choice = self.page.get_by_role("main").locator("form[action='/billing/card'] select[name=country]")
        if await choice.count():
            await choice.select_option(country)
        await self.page.locator("form[action='/billing/card'] button").click()
        await self.reads_heading("Give a card")
        return urlsplit(self.page.url).path.rpartition("/")[2]

    async def types(self, number: str) -> None:
        """Into localstripe's fields, and saves it."""
        typed = {"number": number, "exp_month": "12", "exp_year": "30", "cvc": "123"}
        for name, value in typed.items():
            await self.page.get_by_placeholder(name, exact=True).fill(value)
        await self.presses("Save this card")

    async def orders(self) -> str:
        """By the card on file; the address of the bank's question."""
        await self.opens("/billing/plan/quote?plan=professional&cycle=month&currency=EUR", "What it costs")
        await self.presses("Pay 49.00 EUR")
        await self.reads("It is ordered")
        self.site.settles()
        await self.opens("/billing", "Billing")
        link = self.page.get_by_role("link", name="To your bank's question")
        return str(await link.get_attribute("href"))

    async def gives(self, number: str) -> None:
        """As `types`, to the end; a bank that asks is answered yes."""
        await self.to_the_fields()
        await self.types(number)
        if number in (ASKS, ASKS_ONCE):
            await self.presses("Complete authentication")
        await expect(self.page.get_by_role("status").first).to_contain_text("Your card is saved.")

    def on_file(self) -> str:
        """The last four digits of the card that is charged."""
        found = self.site.store.read(lambda connection: cards.on_file(connection, self.account))
        return found.last4 if found else ""

    @property
    def wrong(self) -> Locator:
        """The place of errors; it is read out as soon as something stands there."""
        return self.page.locator("#hosted-error[role=alert]")

    def complaints(self) -> list[str]:
        """What the console said beyond localstripe's own talk and answers that are no 200."""
        return [text for text in self.said if "localstripe" not in text and "Failed to load resource" not in text]


@contextlib.asynccontextmanager
async def desk(folder: Path, address: str, *, scripts: bool = True, **settings: Any) -> AsyncIterator[Desk]:
    """`settings`: changes of the gateway's."""
    store = Store(f"sqlite:///{folder / 'control-plane.sqlite'}")
    migrate.up(store)
    rig = StripeRig(address, CONFIRM_PAGE)
    gateway = StripeGateway(replace(rig.settings, **settings), transport=rig.front)
    try:
        expect.set_options(timeout=PATIENCE_MS)
        with served(store, gateway) as site:
            person = site.customer("jane@example.com")
            jane, account = site.at_pages(person), str(person.me()["account"])
            async with (
                async_playwright() as playwright,
                chromium(playwright, HEADLESS_SHELL, flags=NOBODY) as context,
            ):
                value = jane.client.cookies["stentor"]
                await context.add_cookies([{"name": "stentor", "value": value, "url": site.base_url}])
                page = await context.new_page()
                made = Desk(site, rig, account, page)

                async def door(route: Route) -> None:
                    made.sent.append(route.request)
                    if urlsplit(route.request.url).hostname in LOOPBACK:
                        await route.continue_()
                    else:
                        made.refused.append(route.request.url)
                        await route.abort()

                await context.route("**/*", door)
                page.on("console", lambda message: made.said.append(message.text))
                page.on("pageerror", lambda error: made.said.append(str(error)))
                if not scripts:
                    session = await context.new_cdp_session(page)
                    await session.send("Emulation.setScriptExecutionDisabled", {"value": True})
                yield made
    finally:
        expect.set_options(timeout=USUAL_MS)
        gateway.close()
        store.close()
