"""What a host lives through with her plan, in a real browser: trial, checkout, add-on, freeze, a card that fails,
expiry, the way back, cancellation and the end; then the ledger, against sums worked out by hand.

Shared by tests/browser/test_billing_story.py and `make accept-billing`. STEPS are told in order; each returns what it
found and raises AssertionError when it does not hold. The control plane's clock stands and is set forward (test mode).
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import sqlalchemy as sa
from playwright.async_api import Playwright, expect

from control_plane.billing.tables import payments
from control_plane.ledger import journal
from control_plane.ledger.chart import Account
from tests.accounts_story import (
    HOST,
    PATIENCE_MS,
    ROOM,
    USUAL_MS,
    Look,
    heading,
    no_look,
    opens_an_account,
    signs_in,
    somebody,
)
from tests.billing_host import Host
from tests.clients import CHROMIUM, HEADLESS_SHELL, chromium
from tests.control_plane.whole import answers, serving
from tests.media import fake_media

PAYS, ASKS, FAILS = "4242424242424242", "4000002760003184", "4000000000000341"
# Professional at 49.00 a month, 50 GB for recordings at 10.00, and the 19 % of Germany on both.
PLAN, ADD_ON_REST, BOTH = "58.31 EUR", "7.94 EUR", "70.21 EUR"
ADD_ON_DAY, FREEZE_DAYS, PERIOD_DAYS = 10, 40, 30
# The card is tried on the day, and 1, 3, 5 and 7 days after it (BIL-18).
TRIES = 5
# What all this comes to in minor units, by account of the journal; debits above zero. By hand:
#   plan      4900 + 4900 + 4900                                             = 14700
#   add-on    1000 x 20 days of 30, half up = 667; then 1000 + 1000          =  2667
#   VAT 19 %  931 + 127 (of 667: 126.73) + 1121 + 1121 (of 5900)             =  3300
#   card      5831 + 794 + 7021 + 7021                                       = 20667
BOOKS = {"gateway_clearing": 20_667, "revenue:plan": -14_700, "revenue:addon": -2_667, "vat": -3_300}


class Story(Host):
    """The steps, in their order."""

    async def trial(self) -> str:
        """Signed up, with a trial that the page tells the end of."""
        self.began = (await self.now()).date()
        await opens_an_account(self.page, self.origin, HOST, "Jane's Lessons")
        await signs_in(self.page, HOST, "Rooms")
        await self.opens("/billing", "Billing")
        last = self.day(PERIOD_DAYS - 1)
        await self.reads("Free trial", f"You try everything for free until {last}", "Nothing is charged by itself.")
        await self.look(self.page, "billing-trial")
        return f"until {last}"

    async def room_on_trial(self) -> str:
        """A room is made, and the call opens for the host."""
        await self.opens("/rooms/new", "Make a room")
        await self.page.get_by_label("Title").fill(ROOM)
        await self.presses("Make the room")
        await heading(self.page, ROOM)
        self.room = self.page.url.partition("?")[0]
        self.digits = (await self.page.locator(".id9").first.inner_text()).replace(" ", "")
        # A grant is for a minute of the media server's clock, which does not stand.
        real = datetime.datetime.now(datetime.UTC)
        assert (await self.operator.post("/test/clock", json={"to": real.isoformat()})).status_code == 200
        await self.presses("Start")
        await self.page.wait_for_url(f"{self.server.origin}/**")
        await self.host.connected(within_s=20)
        await self.page.get_by_role("button", name="Leave").click()
        await expect(self.page.get_by_role("heading", name="You left the call")).to_be_visible()
        return "made, started, in the call, left"

    async def checkout(self) -> str:
        """A plan by a card whose bank asks, once for the card and once for the payment."""
        await self.opens("/billing", "Billing")
        await self.follows("Choose a plan")
        await heading(self.page, "Choose a plan")
        await self.look(self.page, "billing-plan")
        await self.page.locator("select[name=plan]").select_option("professional")
        await self.page.locator("select[name=country]").select_option("DE")
        await self.presses("See what it costs")
        await heading(self.page, "Card")
        await self.look(self.page, "billing-card")
        await self.presses("Give a card")
        await self.gives_a_card(ASKS)
        await heading(self.page, "Your bank asks")
        await self.reads("Is it you who gives this card?")
        await self.presses("Yes, it is me")
        await heading(self.page, "What it costs")
        await self.reads("49.00 EUR", "9.31 EUR")
        await self.page.get_by_label("Charge my card for every period").check()
        await self.look(self.page, "billing-quote")
        await self.pays(PLAN)
        await self.agrees_with_the_bank(PLAN)
        last, renews = self.day(PERIOD_DAYS - 1), self.day(PERIOD_DAYS)
        await self.reads(f"Paid until {last}", f"On {renews} it renews for {PLAN}, tax included.")
        await self.look(self.page, "billing-active")
        return f"{PLAN}, paid until {last}"

    async def invoice(self) -> str:
        """Its PDF holds number, buyer, sums and days."""
        [paper] = await self.papers()
        await self.look(self.page, "billing-history")
        text = await self.reads_paper(paper)
        number = f"ST-{self.began.year}-000001"
        for words in (number, "Jane's Lessons", "49.00", "9.31", "58.31", "19"):
            assert words in text, (words, text)
        return number

    async def add_on(self) -> str:
        """On day 10: 20 of 30 days are left, today among them (BIL-12)."""
        await self.goes_to_day(ADD_ON_DAY)
        await self.opens("/billing/add-ons", "Add-ons")
        await self.page.locator("select[name=add_on]").select_option("recording_storage")
        await self.look(self.page, "billing-add-ons")
        await self.presses("See what it costs")
        await self.reads("today among them: 20 of 30", "6.67 EUR", "1.27 EUR", "in full: 10.00 EUR")
        await self.look(self.page, "billing-add-on-quote")
        await self.pays(ADD_ON_REST)
        await self.agrees_with_the_bank(ADD_ON_REST)
        await self.reads("Extra recording storage, 50 GB", f"renews for {BOTH}")
        text = await self.reads_paper((await self.papers())[0])
        assert "6.67" in text and "7.94" in text, text
        return f"{ADD_ON_REST} of 10.00 and its tax"

    async def other_card(self) -> str:
        """One that pays without a question, for charges that nobody sits before."""
        await self._replaces_card(PAYS)
        await self.reads("Your card is saved.", "ends in 4242")
        return "ends in 4242"

    async def _replaces_card(self, number: str) -> None:
        await self.opens("/billing/card", "Card")
        await self.presses("Replace it by another card")
        await self.gives_a_card(number)
        await heading(self.page, "Card")

    async def freeze(self) -> str:
        """Asked for, with its days and the sum afterwards told before; begun; no room while it lasts."""
        await self.opens("/billing/freeze", "Freeze your plan")
        await self.page.get_by_label("For how many days").fill(str(FREEZE_DAYS))
        await self.presses("Show the days")
        first, last = self.day(PERIOD_DAYS), self.day(PERIOD_DAYS + FREEZE_DAYS - 1)
        await self.reads(f"From {first} to {last} your plan is frozen, and nothing is charged.", BOTH)
        await self.look(self.page, "billing-freeze")
        await self.presses(f"Freeze it for {FREEZE_DAYS} days")
        await expect(self.page.get_by_role("status").first).to_contain_text("The freeze is noted.")
        await self.goes_to_day(PERIOD_DAYS + 1)
        await self.opens("/billing", "Billing")
        await self.reads(f"Frozen from {first} to {last}")
        await self.look(self.page, "billing-frozen")
        await self.opens(self.room.removeprefix(self.origin), ROOM)
        await self.reads("Your plan is frozen", "Nobody can start or join your rooms until you go on.")
        await self.guest_is_refused()
        assert len(await self.papers()) == 2
        return f"from {first} to {last}, no room, nothing charged"

    async def unfreeze(self) -> str:
        """By itself, on its day, with plan and add-on in full."""
        ends = PERIOD_DAYS + FREEZE_DAYS
        await self.goes_to_day(ends)
        await self.opens("/billing", "Billing")
        last = self.day(ends + PERIOD_DAYS - 1)
        await self.reads(f"Paid until {last}")
        assert "70.21" in await self.reads_paper((await self.papers())[0])
        await self.opens(self.room.removeprefix(self.origin), ROOM)
        await expect(self.page.get_by_role("button", name="Start", exact=True)).to_be_visible()
        return f"{BOTH}, paid until {last}"

    async def renewal_fails(self) -> str:
        """A card that is saved and then pays nothing: expired at the boundary, tried again on its days."""
        await self._replaces_card(FAILS)
        ends = PERIOD_DAYS + FREEZE_DAYS + PERIOD_DAYS
        await self.goes_to_day(ends)
        await self.opens("/billing", "Billing")
        kept = self.day(ends + 89)
        await self.reads("The last payment did not succeed", f"Expired since {self.day(ends)}", f"kept until {kept}")
        await self.look(self.page, "billing-expired")
        await self.goes_to_day(ends + 8)
        tried = await self._declined()
        assert tried == TRIES, tried
        assert len(await self.papers()) == 3, "nothing was invoiced"
        return f"tried {tried} times, kept until {kept}"

    async def _declined(self) -> int:
        """How many attempts failed, by the database."""
        store = self.store()
        try:
            failed = sa.select(sa.func.count()).select_from(payments).where(payments.c.state == "failed")
            return int(store.read(lambda connection: connection.execute(failed).scalar_one()))
        finally:
            store.close()

    async def room_refused(self) -> str:
        """The host is told why, the guest nothing of it."""
        await self.opens(self.room.removeprefix(self.origin), ROOM)
        await self.reads("Your plan has expired", "Nobody can start or join your rooms until it is paid.")
        assert await self.page.get_by_role("button", name="Start", exact=True).count() == 0
        await self.look(self.page, "room-of-an-expired-plan")
        await self.guest_is_refused()
        return "in words, to both"

    async def reactivation(self) -> str:
        """Another card and a payment, and all is as before, the add-on too; the period begins on the day of payment."""
        await self._replaces_card(PAYS)
        await self.opens("/billing", "Billing")
        await self.follows("Choose a plan and pay")
        await heading(self.page, "Choose a plan")
        await self.presses("See what it costs")
        await self.pays(BOTH)
        paid_on = PERIOD_DAYS + FREEZE_DAYS + PERIOD_DAYS + 8
        last = self.day(paid_on + PERIOD_DAYS - 1)
        await self.until_it_says(f"Paid until {last}")
        await self.opens(self.room.removeprefix(self.origin), ROOM)
        await expect(self.page.get_by_role("button", name="Start", exact=True)).to_be_visible()
        return f"{BOTH}, paid until {last}"

    async def cancellation(self) -> str:
        """What will happen is told before; a mail confirms it."""
        await self.opens("/billing/cancel", "Cancel")
        ends = PERIOD_DAYS + FREEZE_DAYS + PERIOD_DAYS + 8 + PERIOD_DAYS
        last, closed = self.day(ends - 1), self.day(ends)
        await self.reads(f"Until {last} all works as now.", f"On {closed} your account is closed")
        await self.look(self.page, "billing-cancel")
        await self.presses("Cancel my plan")
        await expect(self.page.get_by_role("status").first).to_contain_text("You have cancelled.")
        await self.until_it_says(f"all works until then, on {closed} your account is closed")
        await self.reads(f"Paid until {last}; it does not renew.")  # the add-on
        await self.look(self.page, "billing-cancelled")
        return f"works until {last}"

    async def closing(self) -> str:
        """At the end of what is paid."""
        await self.goes_to_day(PERIOD_DAYS + FREEZE_DAYS + PERIOD_DAYS + 8 + PERIOD_DAYS)
        await self.page.goto(f"{self.origin}/sign-in")
        await self.page.get_by_label("E-mail address").fill(HOST)
        await signs_in(self.page, HOST, "Sign in")
        await expect(self.page.get_by_role("alert")).to_contain_text("This account is closed.")
        await self.look(self.page, "sign-in-closed")
        await self.guest_is_refused()
        return "nobody signs in, nobody joins"

    async def books(self) -> str:
        """The journal sums to zero, its replay is its balances, and each is what was worked out by hand."""
        store = self.store()
        try:
            sums = store.read(journal.balances)
            replayed = store.read(lambda connection: journal.replay(journal.transactions(connection)))
        finally:
            store.close()
        self.printed = [f"{_named(account):<32} {minor / 100:>10.2f}" for account, minor in sorted(sums.items())]
        assert {account: minor for account, minor in replayed.items() if minor} == {
            account: minor for account, minor in sums.items() if minor
        }
        assert sum(sums.values()) == 0, sums
        found: dict[str, int] = {}
        for account, minor in sums.items():
            assert account.currency == "EUR", account
            found[account.kind] = found.get(account.kind, 0) + minor
        assert {kind: minor for kind, minor in found.items() if minor} == BOOKS, found
        return "sums to zero, as worked out by hand"

    def faults(self) -> list[str]:
        """What browsers complained of, but for refusals that the story provokes."""
        people = {"host": self.host, "guest": self.guest}
        found = [(name, problem) for name, one in people.items() for problem in one.problems]
        return [
            f"{name}: {problem}" for name, problem in found if "the server responded with a status of 4" not in problem
        ]


STEPS: tuple[tuple[str, Callable[[Story], Awaitable[str]]], ...] = (
    ("a new account is on trial", Story.trial),
    ("its room opens", Story.room_on_trial),
    ("checkout with a card whose bank asks", Story.checkout),
    ("the invoice's PDF is read back", Story.invoice),
    ("an add-on on day 10 costs the days left", Story.add_on),
    ("another card", Story.other_card),
    ("a freeze, and no room while it lasts", Story.freeze),
    ("it goes on by itself", Story.unfreeze),
    ("a renewal fails, and the plan expires", Story.renewal_fails),
    ("a room is refused in words", Story.room_refused),
    ("the way back by paying", Story.reactivation),
    ("cancellation", Story.cancellation),
    ("the account is closed", Story.closing),
    ("the ledger is as worked out by hand", Story.books),
)


def _named(account: Account) -> str:
    """Without the owner, who is nobody's business."""
    return f"{account.kind} {account.currency}{' of one customer' if account.kind.startswith(('cust', 'def')) else ''}"


@contextlib.asynccontextmanager
async def begun(playwright: Playwright, folder: Path, database: str = "", look: Look = no_look) -> AsyncIterator[Story]:
    """A server with its control plane in this folder, its clock standing, and two browsers that have been nowhere."""
    server, origin = serving(folder, database, test_mode=True)
    async with server, contextlib.AsyncExitStack() as stack:
        people = []
        for program, media in ((CHROMIUM, fake_media(0, 500, source=1)), (HEADLESS_SHELL, None)):
            context = await stack.enter_async_context(chromium(playwright, program, media))
            people.append(await somebody(context, origin))
        operator = await stack.enter_async_context(httpx2.AsyncClient(base_url=origin, trust_env=False, timeout=120))
        await answers(origin)
        expect.set_options(timeout=PATIENCE_MS)
        stack.callback(expect.set_options, timeout=USUAL_MS)
        host, guest = people
        yield Story(server, origin, folder, database, host, guest, operator, look)
