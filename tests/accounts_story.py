"""What a host, a guest and the staff go through in real browsers, from the front page to a suspension and its lift.

Shared by tests/browser/test_story.py and `make accept-accounts`. STEPS are told in order; each returns what it found
and raises AssertionError when it does not hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import BrowserContext, Page, Playwright, expect

from tests.clients import CHROMIUM, HEADLESS_SHELL, SCRIPTS, BrowserClient, chromium
from tests.control_plane.people import PASSWORD
from tests.control_plane.whole import ENDED_WITHIN_S, answers, appoint, serving
from tests.media import FakeMedia, fake_media
from tests.servers import Server, eventually

HOST, GUEST, DESK = "jane@example.com", "Grace", "desk@example.com"
ROOM = "Piano for beginners"
# Chromium's own line about an answer that says what a form lacks or that somebody may not come in.
EXPECTED_OF_THE_CONSOLE = "the server responded with a status of 4"

# A page may take so long; on a busy machine one password alone takes seconds.
PATIENCE_MS, USUAL_MS = 20_000, 5_000

# What is told of a page that is shown: (page, name).
Look = Callable[[Page, str], Awaitable[None]]


async def no_look(page: Page, name: str) -> None:
    """Nobody looks."""


@dataclass
class Story:
    """Three people, each with a browser, at a server and its control plane."""

    server: Server
    origin: str  # of the control plane
    folder: Path
    database: str  # as control.database
    host: BrowserClient
    guest: BrowserClient
    desk: BrowserClient
    host_media: FakeMedia
    guest_media: FakeMedia
    look: Look = no_look
    room: str = ""  # the address of the room's page
    number: str = ""  # as people read it out
    link: str = ""
    first_way_in: str = ""  # a grant's address of the guest, soon too old

    async def in_the_room(self, one: BrowserClient) -> None:
        """Returns once this browser has come to the media server's page and its call stands."""
        await one.page.wait_for_url(f"{self.server.origin}/**")
        await one.connected(within_s=20)

    async def host_opens_an_account(self) -> str:
        page = self.host.page
        await opens_an_account(page, self.origin, HOST, "Jane's Lessons", self.look)
        await signs_in(page, HOST, "Rooms")
        await self.look(page, "rooms-none")
        return "front page, sign-up, mail, sign-in"

    async def host_makes_a_room(self) -> str:
        page = self.host.page
        await page.get_by_role("link", name="Make the first one").click()
        await self.look(page, "room-new")
        await page.get_by_label("Title").fill(ROOM)
        await page.get_by_role("button", name="Make the room").click()
        await heading(page, ROOM)
        self.room = page.url.partition("?")[0]
        self.number = await page.locator(".id9").first.inner_text()
        assert re.fullmatch(r"[1-9]\d\d \d{3} \d{3}", self.number), self.number
        await self.look(page, "room-made")
        await page.get_by_role("button", name="Copy the address").click()
        await expect(page.get_by_text("Copied.")).to_be_visible()
        copied = await page.evaluate("() => navigator.clipboard.readText()")
        assert copied == f"{self.origin}/join/{self.digits}", copied
        return self.number

    @property
    def digits(self) -> str:
        return self.number.replace(" ", "")

    async def host_starts(self) -> str:
        await self.host.page.get_by_role("button", name="Start", exact=True).click()
        await self.in_the_room(self.host)
        await expect(self.host.page.locator("#room-name")).to_have_text(self.number)
        sent = "() => window.stentor.pc.getSenders().filter(({track}) => track?.readyState === 'live').length"

        async def both() -> bool:
            return bool(await self.host.page.evaluate(sent) >= 2)

        await eventually(both, within_s=10, what="the host sends camera and microphone")
        await self.look(self.host.page, "call-alone")
        return "camera and microphone are on"

    async def guest_comes_by_number(self) -> str:
        page = self.guest.page
        await page.goto(f"{self.origin}/")
        await page.get_by_label("Number of the room").fill(self.number)
        await page.get_by_role("button", name="Join", exact=True).click()
        await heading(page, "Join a room")
        await self.look(page, "join")
        await says_a_name(page, GUEST)
        await self.in_the_room(self.guest)
        self.first_way_in = page.url
        return "by front page and name"

    async def they_meet(self) -> str:
        """Both see moving pictures of each other, hear each other, and read the other's name."""
        pairs = ((self.host, self.guest_media), (self.guest, self.host_media))
        for one, other in pairs:
            await one.sees([other.hue_deg], within_s=20)
        await asyncio.gather(*(one.hears([other.tone_hz], within_s=20) for one, other in pairs))
        moved = [await moves(one, other.hue_deg) for one, other in pairs]
        names = await self.host.page.evaluate("() => window.stentor.participants.map(({name}) => name)")
        assert names == [GUEST], names
        await self.look(self.host.page, "call-host")
        await self.look(self.guest.page, "call-guest")
        heard = " and ".join(f"{other.tone_hz:g}" for _, other in pairs)
        return f"{moved[0]} and {moved[1]} new frames seen, {heard} Hz heard"

    async def guest_comes_by_link(self) -> str:
        """The host closes the room to who has no link; the guest leaves, is refused by number, and comes by link."""
        page = self.guest.page
        await page.get_by_role("button", name="Leave").click()
        await expect(page.get_by_role("heading", name="You left the call")).to_be_visible()
        await self.look(page, "call-left")
        desk = await self.host.page.context.new_page()
        await desk.goto(self.room)
        await desk.get_by_label("Who may come in").select_option("invited")
        await desk.get_by_role("button", name="Save").click()
        await expect(desk.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
        await desk.get_by_label("Note for yourself").fill("the class")
        await desk.get_by_role("button", name="Make a link").click()
        self.link = await desk.locator("#made-link").inner_text()
        await desk.get_by_role("button", name="Copy the link").click()
        assert await desk.evaluate("() => navigator.clipboard.readText()") == self.link
        await self.look(desk, "room-link")
        await desk.close()
        await page.get_by_role("link", name="Back to the door of the room").click()
        await says_a_name(page, GUEST)
        await expect(page.get_by_role("alert")).to_contain_text("some rooms need a link")
        await self.look(page, "join-refused")
        await self.guest_follows_the_link()
        return "refused by number, let in by link"

    async def guest_follows_the_link(self) -> None:
        page = self.guest.page
        # Another address first: of the same one only the part behind # would change, and nothing be loaded.
        await page.goto("about:blank")
        await page.goto(self.link)
        await expect(page.get_by_label("Code of your link")).not_to_have_value("")
        await says_a_name(page, GUEST)
        await self.in_the_room(self.guest)

    async def desk_is_appointed(self) -> str:
        page = self.desk.page
        await opens_an_account(page, self.origin, DESK, "The Desk")
        await appoint(DESK, self.folder, self.database)
        await signs_in(page, DESK, "Rooms")
        await page.get_by_role("link", name="Staff desk").click()
        await page.get_by_label("Find an account").fill("jane")
        await page.get_by_role("button", name="Search").click()
        await self.look(page, "desk")
        await page.get_by_role("link", name="Jane's Lessons").click()
        await heading(page, "Jane's Lessons open")
        return "stentor appoint, signed in, found the account"

    async def desk_suspends(self) -> str:
        """Both are out within 5 s, and their pages say why."""
        page = self.desk.page
        await page.get_by_label("Reason").last.select_option("abuse")
        await page.get_by_label("Ticket").last.fill("T-1042")
        await self.look(page, "desk-account")
        ends = [one.page.locator("#ended") for one in (self.host, self.guest)]
        began = time.monotonic()
        await page.get_by_role("button", name="Suspend").click()
        await asyncio.gather(*(expect(end).to_be_visible(timeout=ENDED_WITHIN_S * 1000) for end in ends))
        took = time.monotonic() - began
        assert took <= ENDED_WITHIN_S, f"{took:.1f} s"
        for end in ends:
            await expect(end).to_contain_text("The call is over")
            await expect(end).to_contain_text("ended for everyone, by its host or by whoever runs this server")
        assert await self.server.metric("stentor_participants") == 0
        await self.look(self.guest.page, "call-ended")
        await heading(page, "Jane's Lessons suspended")
        await self.look(page, "desk-suspended")
        return f"out after {took:.1f} s"

    async def nobody_new_comes_in(self) -> str:
        page = self.guest.page
        await page.goto("about:blank")
        await page.goto(self.link)
        await says_a_name(page, GUEST)
        refusal = page.get_by_role("alert")
        await expect(refusal).to_contain_text("With this number you can join no room")
        return "refused in words, also with a link"

    async def owner_sees_why(self) -> str:
        """By the way back from the call, and after a new sign-in."""
        page = self.host.page
        await page.get_by_role("link", name="Back to the door of the room").click()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("navigation", name="Main menu").get_by_role("link", name="Sign in").click()
        await signs_in(page, HOST, "Jane's Lessons")
        await expect(page.get_by_role("heading", name="This account is suspended")).to_be_visible()
        await expect(page.get_by_role("main")).to_contain_text("Reason: Abuse")
        await self.look(page, "account-suspended")
        assert await page.get_by_role("link", name="Rooms").count() == 0
        await page.goto(self.room)
        await heading(page, "Your account is suspended")
        await self.look(page, "room-of-a-suspended-owner")
        await page.get_by_role("link", name="To your account").click()
        await heading(page, "Jane's Lessons")
        return "the reason, and the way to support"

    async def trail_shows_it(self) -> str:
        page = self.desk.page
        await page.get_by_label("Ticket").first.fill("T-1042")
        await page.get_by_label("Reason").first.fill("The owner asks what happened")
        await page.get_by_role("button", name="Open the account").click()
        await expect(page.get_by_role("heading", name="Audit trail")).to_be_visible()
        await expect(page.get_by_text("The chain holds")).to_be_visible()
        codes = await page.locator("ol.trail strong").all_inner_texts()
        wanted = ["signed_up", "verified", "signed_in", "event.created", "invitation.made", "suspended"]
        told = [code for code in codes if code in wanted]
        assert list(dict.fromkeys(told)) == wanted, codes
        await self.look(page, "desk-visit")
        await page.get_by_role("button", name="End the visit").click()
        return f"{len(codes)} rows in order, the chain holds"

    async def desk_lifts(self) -> str:
        page = self.desk.page
        await page.goto(f"{self.origin}/desk?q=jane")
        await page.get_by_role("link", name="Jane's Lessons").click()
        await page.get_by_label("Ticket").last.fill("T-1042")
        await page.get_by_role("button", name="Lift").click()
        await heading(page, "Jane's Lessons open")
        host = self.host.page
        await host.goto(f"{self.origin}/rooms")
        await self.look(host, "rooms")
        await host.get_by_role("button", name=f"Start {ROOM}").click()
        await self.in_the_room(self.host)
        await self.guest_follows_the_link()
        return f"and both are in again; {await self.they_meet()}"

    async def host_finds_the_visit(self) -> str:
        """What staff did in the account is told to its owner."""
        page = await self.host.page.context.new_page()
        await page.goto(f"{self.origin}/account")
        await page.get_by_role("link", name="Staff visits").click()
        await expect(page.get_by_text("The owner asks what happened")).to_be_visible()
        await self.look(page, "staff-visits")
        await page.close()
        return "ticket and reason"

    def faults(self) -> list[str]:
        """What browsers complained of, but for what the story provokes."""
        people = {"host": self.host, "guest": self.guest, "desk": self.desk}
        found = [(name, problem) for name, one in people.items() for problem in one.problems]
        return [f"{name}: {problem}" for name, problem in found if EXPECTED_OF_THE_CONSOLE not in problem]


STEPS: tuple[tuple[str, Callable[[Story], Awaitable[str]]], ...] = (
    ("the host opens an account", Story.host_opens_an_account),
    ("makes a room with a number of nine digits", Story.host_makes_a_room),
    ("Start leads into the call", Story.host_starts),
    ("a guest comes by the number", Story.guest_comes_by_number),
    ("they see and hear each other", Story.they_meet),
    ("a guest comes by an invitation link", Story.guest_comes_by_link),
    ("they see and hear each other again", Story.they_meet),
    ("staff are appointed and find the account", Story.desk_is_appointed),
    ("a suspension ends the call within 5 s, and the page says so", Story.desk_suspends),
    ("nobody new comes in", Story.nobody_new_comes_in),
    ("the owner sees why", Story.owner_sees_why),
    ("the audit trail shows it", Story.trail_shows_it),
    ("a lift restores all", Story.desk_lifts),
    ("the owner finds the visit of the staff", Story.host_finds_the_visit),
)


@contextlib.asynccontextmanager
async def begun(playwright: Playwright, folder: Path, database: str = "", look: Look = no_look) -> AsyncIterator[Story]:
    """A server with its control plane in this folder, and three browsers that have been nowhere yet."""
    server, origin = serving(folder, database)
    media = fake_media(0, 500, source=1), fake_media(120, 700, source=2)
    async with server, contextlib.AsyncExitStack() as stack:
        people = []
        for program, own in ((CHROMIUM, media[0]), (CHROMIUM, media[1]), (HEADLESS_SHELL, None)):
            context = await stack.enter_async_context(chromium(playwright, program, own))
            people.append(await somebody(context, origin))
        await answers(origin)
        expect.set_options(timeout=PATIENCE_MS)
        stack.callback(expect.set_options, timeout=USUAL_MS)
        host, guest, desk = people
        yield Story(server, origin, folder, database, host, guest, desk, *media, look)


async def somebody(context: BrowserContext, origin: str) -> BrowserClient:
    """A person at a browser that has been nowhere yet."""
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    client = BrowserClient(context.pages[0] if context.pages else await context.new_page(), "")
    # By a door of the debugger, so no page's policy sees it.
    await client.page.add_init_script(path=SCRIPTS / "painter.js")
    return client


async def heading(page: Page, words: str) -> None:
    """Returns once the page says this in its first heading."""
    await expect(page.locator("h1:visible").first).to_have_text(words)


async def opens_an_account(page: Page, origin: str, email: str, business: str, look: Look = no_look) -> None:
    """From the front page to the sign-in, over the mail."""
    await page.goto(f"{origin}/")
    await look(page, "front")
    await page.get_by_role("link", name="Open an account").first.click()
    await look(page, "sign-up")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("Name of your business").fill(business)
    for words in ("for my trade", "18 or older", "I have read and accept"):
        await page.get_by_label(words).check()
    await page.get_by_role("button", name="Open the account").click()
    await heading(page, "Look into your mail")
    await look(page, "sign-up-sent")
    await page.get_by_role("link", name="development mailbox", exact=True).click()
    mail = page.get_by_role("article").filter(has_text=f"To {email}")

    async def arrived() -> bool:
        if await mail.count():
            return True
        await page.reload()
        return False

    await eventually(arrived, within_s=15, what=f"a mail to {email} is in the development mailbox", every_s=0.3)
    await look(page, "mailbox")
    await mail.get_by_role("link", name="/verify#token=").click()
    await heading(page, "Confirm your address")
    await expect(page.get_by_label("Code from the mail")).not_to_have_value("")
    await expect(page).not_to_have_url(re.compile("#"))  # the code stays in no history
    await look(page, "verify")
    await page.get_by_role("button", name="Confirm the address").click()
    await heading(page, "Sign in")
    await look(page, "sign-in")


async def signs_in(page: Page, email: str, then: str) -> None:
    """`then`: the heading of the page that he comes to."""
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await heading(page, then)


async def says_a_name(page: Page, name: str) -> None:
    """At the door of a room."""
    await heading(page, "Join a room")
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name="Join", exact=True).click()


async def moves(viewer: BrowserClient, hue_deg: float) -> int:
    """How many new frames of this picture were read until ten were. Raises NotInTime."""
    seen: set[int] = set()

    async def ten() -> bool:
        painted = [tile.painted for tile in await viewer.tiles() if tile.shows(hue_deg)]
        seen.update(one.number for one in painted if one is not None)
        return len(seen) >= 10

    await eventually(ten, within_s=15, what=f"the picture with hue {hue_deg:g} moves")
    return len(seen)
