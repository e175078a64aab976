"""Stripe's fields in a real browser: a card is given, declined, authenticated, and a payment's bank is asked.

The script is localstripe's own emulation of Stripe.js, loaded as Stripe's is; its fields stand in our page where those
of Stripe stand in frames. What it does not have is shown with stripe_stand_in.js at the same interface, and said so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Route, expect

from control_plane.billing import cards
from control_plane.gateway.stripe import SCRIPT, SOURCES
from tests.control_plane.gateway.rigs import localstripe
from tests.stripe_desk import ASKS, ASKS_ONCE, DECLINED, PAYS, Desk, desk

pytestmark = pytest.mark.browser

STAND_IN = Path(__file__).with_name("stripe_stand_in.js")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with localstripe() as address:
        yield address


async def test_a_good_card_goes_to_stripe_alone_and_pays_the_plan(tmp_path: Path, address: str) -> None:
    async with desk(tmp_path, address) as at:
        await at.opens("/billing/plan", "Choose a plan")
        await at.page.locator("select[name=plan]").select_option("professional")
        await at.page.locator("select[name=country]").select_option("DE")
        await at.presses("See what it costs")
        await at.reads_heading("Card")
        await at.presses("Give a card")
        await at.reads_heading("Give a card")
        await at.types(PAYS)
        # Back where he was on the way to.
        await at.reads_heading("What it costs")
        assert at.on_file() == "4242"
        await at.presses("Pay 58.31 EUR")
        await at.reads("It is ordered")
        at.site.settles()
        await at.opens("/billing", "Billing")
        await at.reads("Paid until 24 December 2026")
        # The number went out once, to Stripe's address, and to none of ours.
        carries = [request.url for request in at.sent if PAYS in request.url + (request.post_data or "")]
        assert len(carries) == 1 and carries[0].startswith(f"{at.rig.seen}/v1/setup_intents/")
        assert not [request.url for request in at.sent if "_secret_" in request.url]
        assert at.refused == [] and at.complaints() == []


async def test_a_declined_card_is_told_in_stripes_words_and_another_one_can_follow(
    tmp_path: Path, address: str
) -> None:
    async with desk(tmp_path, address) as at:
        setup = await at.to_the_fields()
        await at.types(DECLINED)
        await expect(at.wrong).to_have_text("Your card was declined.")
        await expect(at.page.get_by_role("button", name="Save this card")).to_be_focused()
        assert urlsplit(at.page.url).path == f"/billing/card/fields/{setup}" and at.on_file() == ""
        # The gateway's event comes meanwhile, as it does at Stripe's.
        at.site.store.write(lambda connection: cards.declined(connection, setup))
        await at.types(PAYS)
        await expect(at.page.get_by_role("status").first).to_contain_text("Your card is saved.")
        assert at.on_file() == "4242"
        assert at.refused == [] and at.complaints() == []


async def test_a_card_whose_bank_asks_is_saved_once_it_is_answered(tmp_path: Path, address: str) -> None:
    async with desk(tmp_path, address) as at:
        await at.to_the_fields()
        await at.types(ASKS_ONCE)
        await expect(at.page.get_by_role("status")).to_have_text("Wait: Stripe is asking your bank.")
        await at.presses("Fail authentication")
        await expect(at.wrong).to_contain_text("authentication failed")
        assert at.on_file() == ""
        # Asked anew by a reload, Stripe says that this one is over; the next one is another.
        await at.page.reload()
        await at.reads_heading("Card")
        await expect(at.page.get_by_role("alert")).to_contain_text("No card was saved")
        await at.gives(ASKS_ONCE)
        assert at.on_file() == "3155"


async def test_who_comes_back_without_the_scripts_answer_is_believed_no_more_and_no_less(
    tmp_path: Path, address: str
) -> None:
    async with desk(tmp_path, address) as at:
        setup = await at.to_the_fields()
        fields = urlsplit(at.page.url).path
        await at.opens(f"/billing/card/back/{setup}?setup_intent={setup}&redirect_status=succeeded", "Card")
        await at.reads("There is none on file.")
        await at.opens(fields, "Give a card")
        await at.types(ASKS)
        await expect(at.page.get_by_role("button", name="Complete authentication")).to_be_visible()
        # He answers in his bank's app; the page dies before the script hears of it.
        at.rig.authenticate(setup, True)
        await at.page.reload()
        await expect(at.page.get_by_role("status").first).to_contain_text("Your card is saved.")
        assert at.on_file() == "3184"


async def test_the_bank_is_asked_about_a_payment_and_the_server_asks_stripe(tmp_path: Path, address: str) -> None:
    async with desk(tmp_path, address) as at:
        await at.gives(ASKS)
        link = await at.orders()
        await at.opens(link, "Your bank asks")
        await at.reads("whether it is you who pays 49.00 EUR")
        await at.presses("Show me the question")
        await expect(at.page.get_by_role("status")).to_have_text("Wait for your bank's question, and answer it.")
        # The money is not taken for paid before he has answered, and then by what Stripe says.
        await at.opens("/billing", "Billing")
        await at.reads("Your bank waits for you")
        await at.opens(link, "Your bank asks")
        await at.presses("Show me the question")
        await at.presses("Complete authentication")
        await at.reads_heading("Billing")
        await expect(at.page.get_by_role("status").first).to_contain_text("It is paid.")
        await at.reads("Paid until 24 December 2026")
        assert at.refused == [] and at.complaints() == []


async def test_who_is_not_recognised_by_his_bank_pays_nothing_and_is_told(tmp_path: Path, address: str) -> None:
    async with desk(tmp_path, address) as at:
        await at.gives(ASKS)
        await at.opens(await at.orders(), "Your bank asks")
        await at.presses("Show me the question")
        await at.presses("Fail authentication")
        await at.reads_heading("Billing")
        await at.reads("Your bank was not sure that it was you.")
        await at.reads("Free trial")
        assert at.refused == [] and at.complaints() == []


async def test_the_policy_in_force_lets_the_gateway_in_and_nothing_else(tmp_path: Path, address: str) -> None:
    async with desk(tmp_path, address) as at:
        await at.to_the_fields()
        tried = await at.page.evaluate(
            """async ([stripe, own]) => {
                const blocked = [];
                addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
                const reached = await fetch(`${stripe}/v1/tokens`, { method: "POST" }).then(() => true, () => false);
                const add = (tag, source) => new Promise((done) => {
                    const made = Object.assign(document.createElement(tag), { onload: done, onerror: done });
                    made.src = source;
                    document.body.append(made);
                });
                await fetch(`${own}/prices`).catch(() => 0);
                await add("script", own.replace("localhost", "127.0.0.1") + "/assets/x.js");
                await add("iframe", `${own}/prices`);
                await add("img", `${stripe}/x.png`);
                const inline = document.createElement("script");
                inline.textContent = "window.ran = true";
                document.body.append(inline);
                await new Promise((done) => setTimeout(done));
                return { reached, ran: Boolean(window.ran), blocked: [...new Set(blocked)].sort() };
            }""",
            [at.rig.seen, at.site.base_url],
        )
        assert tried == {
            "reached": True,
            "ran": False,
            "blocked": ["connect-src", "frame-src", "img-src", "script-src-elem"],
        }


async def test_without_scripts_the_page_says_what_to_do(tmp_path: Path, address: str) -> None:
    async with desk(tmp_path, address, scripts=False) as at:
        await at.to_the_fields()
        # Playwright looks for no words in <noscript>; the browser shows it as it should.
        notice = at.page.locator("noscript .notice")
        await expect(notice).to_be_visible()
        assert "Stripe's field needs JavaScript, and your browser runs none here." in await notice.inner_text()
        await expect(at.page.locator("#hosted")).to_be_hidden()
        await notice.locator("a").click()
        await at.reads_heading("Support")


async def test_where_stripes_script_is_blocked_the_page_says_so(tmp_path: Path, address: str) -> None:
    """As an operator has it, with the script at Stripe's; the request is refused before it leaves."""
    async with desk(tmp_path, address, script=SCRIPT, sources=SOURCES) as at:
        await at.to_the_fields()
        await expect(at.page.get_by_role("alert")).to_contain_text("did not load")
        await expect(at.page.locator("#hosted")).to_be_hidden()
        assert at.refused == [SCRIPT]


async def stands_in(at: Desk, answers: list[Any]) -> None:
    """Of here on the script is stripe_stand_in.js, with these answers."""

    async def answer(route: Route) -> None:
        if route.request.resource_type == "script":
            await route.fulfill(path=STAND_IN, content_type="text/javascript")
        else:
            await route.continue_()  # the frame of its field

    await at.page.route(f"{at.rig.seen}/js.stripe.com/v3/", answer)
    await at.page.add_init_script(f"window.answers = {json.dumps(answers)}")


async def calls(at: Desk, name: str) -> list[Any]:
    return [rest for first, *rest in await at.page.evaluate("window.calls") if first == name]


async def test_errors_of_the_field_and_of_the_script_are_told_with_a_stand_in_for_stripes_script(
    tmp_path: Path, address: str
) -> None:
    """What localstripe's script does not do: a field in a frame, its own errors, a call that breaks."""
    async with desk(tmp_path, address) as at:
        said = {"error": {"type": "validation_error", "message": "Your card number is incomplete."}}
        await stands_in(at, [said, "breaks", {"setupIntent": {"status": "succeeded"}}])
        setup = await at.to_the_fields()
        frame = at.page.frame_locator("iframe[title='Secure card payment input frame']")
        await expect(frame.locator("body")).to_contain_text("localstripe")  # the policy lets the frame in
        [[key, options]] = await calls(at, "Stripe")
        assert (key, options) == ("pk_test_12345", {"locale": "en"})
        [[kind, look]] = await calls(at, "create")
        assert kind == "card" and look["hidePostalCode"] and look["disableLink"]
        assert look["style"]["base"]["color"] == "rgb(23, 32, 42)" and look["style"]["base"]["fontSize"] == "16px"
        # While it is typed, and gone again when it is right.
        await at.page.evaluate("changed({ error: { message: 'Your card number is invalid.' } })")
        await expect(at.wrong).to_have_text("Your card number is invalid.")
        await at.page.evaluate("changed({ complete: true })")
        await expect(at.wrong).to_be_hidden()
        await at.presses("Save this card")
        await expect(at.wrong).to_have_text("Your card number is incomplete.")
        await at.presses("Save this card")
        await expect(at.wrong).to_have_text("Stripe did not answer. Nothing is lost: try it again.")
        assert [one[0] for one in await calls(at, "confirmCardSetup")] == [setup, setup]
        # The script says that it is saved, and at Stripe it is not: nobody believes the script.
        await at.presses("Save this card")
        await at.reads_heading("Card")
        await at.reads("There is none on file.")


async def test_a_payment_that_failed_at_the_bank_is_not_asked_about_again_with_a_stand_in_for_stripes_script(
    tmp_path: Path, address: str
) -> None:
    """What localstripe's script does not do: Stripe's answers a failed authentication with the payment in its error."""
    async with desk(tmp_path, address) as at:
        await at.gives(ASKS)
        link = await at.orders()
        away = {"error": {"type": "api_connection_error", "message": "We cannot reach Stripe."}}
        failed = {"error": {"message": "Not authenticated.", "payment_intent": {"status": "requires_payment_method"}}}
        await stands_in(at, [away, failed])
        await at.opens(link, "Your bank asks")
        ask = at.page.get_by_role("button", name="Show me the question")
        await ask.click()
        await expect(at.wrong).to_have_text("We cannot reach Stripe.")
        await ask.click()
        await expect(at.wrong).to_have_text("Not authenticated.")
        await expect(ask).to_be_hidden()
        reference = link.rpartition("/")[2]
        assert await calls(at, "confirmCardPayment") == [[reference, None], [reference, None]]
        at.rig.authenticate(reference, False)
        await at.page.get_by_role("link", name="Go on").click()
        await at.reads_heading("Billing")
        await at.reads("Your bank was not sure that it was you.")


async def test_a_card_that_was_taken_off_is_confirmed_again_with_a_stand_in_for_stripes_script(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What localstripe does not do: an issuer that wants to see the customer declines, and the card has to be named."""
    async with desk(tmp_path, address) as at:
        await at.gives(ASKS)
        link = await at.orders()
        gateway = at.site.charged.gateway
        real = gateway.hosted_fields
        monkeypatch.setattr(gateway, "hosted_fields", lambda reference: replace(real(reference), card="pm_7"))
        await stands_in(at, [{"error": {"message": "The bank did not answer."}}])
        await at.opens(link, "Your bank asks")
        await at.presses("Show me the question")
        await expect(at.wrong).to_have_text("The bank did not answer.")
        [call] = await calls(at, "confirmCardPayment")
        assert call == [link.rpartition("/")[2], {"payment_method": "pm_7"}]
