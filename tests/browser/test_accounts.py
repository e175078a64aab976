"""The way to a room in a real browser without scripts, with what goes wrong on it; the policies of the pages in force.

With scripts it is told by test_story.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.chromium import HEADLESS_SHELL
from tests.clients import async_playwright, chromium
from tests.control_plane.pages.browsing import MEDIA
from tests.control_plane.pages.pictures import served
from tests.control_plane.people import PASSWORD

pytestmark = pytest.mark.browser


@contextlib.asynccontextmanager
async def page_of(said: list[str]) -> AsyncIterator[Page]:
    """A page of a browser that runs no scripts; `said` gets what its console says, such as what a policy blocked."""
    async with async_playwright() as playwright, chromium(playwright, HEADLESS_SHELL) as context:
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        await session.send("Emulation.setScriptExecutionDisabled", {"value": True})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page


async def test_from_sign_up_over_the_mail_to_a_room_without_scripts(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'control-plane.sqlite'}")
    migrate.up(store)
    said: list[str] = []
    with served(store) as site:
        async with page_of(said) as page:
            await page.goto(f"{site.base_url}/")
            await page.get_by_role("link", name="Open an account").first.click()
            await page.get_by_label("E-mail address").fill("jane@example.com")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Open the account").click()
            # All that is missing, beside its field; the summary has the focus and leads there.
            await expect(page.get_by_role("alert")).to_be_focused()
            await page.get_by_role("link", name="Name of your business").click()
            await expect(page.get_by_label("Name of your business")).to_be_focused()
            await page.get_by_label("Name of your business").fill("Jane's Lessons")
            await page.get_by_label("Password").fill(PASSWORD)
            for words in ("for my trade", "18 or older", "I have read and accept"):
                await page.get_by_label(words).check()
            await page.get_by_role("button", name="Open the account").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mail")
            site.delivers()
            await page.get_by_role("link", name="development mailbox", exact=True).click()
            link = page.get_by_role("link", name="/verify#token=")
            address = await link.get_attribute("href") or ""
            await link.click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your address")
            await page.get_by_label("Code from the mail").fill(address)
            await page.get_by_role("button", name="Confirm the address").click()
            await page.get_by_label("E-mail address").fill("jane@example.com")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("main").get_by_role("button", name="Sign in").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Rooms")
            await page.get_by_role("link", name="Make the first one").click()
            await page.get_by_label("Title").fill("Piano for beginners")
            await page.get_by_role("button", name="Make the room").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Piano for beginners")
            # The form leads to another origin, which the policy of the page must allow: a redirect is held against it.
            seen: list[str] = []
            page.on("request", lambda request: seen.append(request.url))
            # That there is nobody at the other origin does not matter: the browser has to set out for it.
            async with page.expect_request(lambda request: request.url.startswith(MEDIA)) as asked:
                await page.get_by_role("button", name="Start", exact=True).click()
            led = (await asked.value).redirected_from
            answer = None if led is None else await led.response()
            assert answer is not None and "#token=ey" in (await answer.all_headers())["location"]
            assert all(url.startswith((site.base_url, MEDIA)) for url in seen)
    store.close()
    # Chromium also tells that the form which lacked something was answered by 422; a policy complains otherwise.
    assert [text for text in said if "status of 422" not in text] == []
