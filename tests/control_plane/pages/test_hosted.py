"""Stripe's fields on our pages, as far as no script runs: what the pages hold, their policy, who gets in, and that only
Stripe itself is believed. localstripe stands in for it; what scripts do is in tests/browser/test_stripe_fields.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest

from control_plane.billing import cards
from control_plane.gateway.stripe import SCRIPT, SOURCES, StripeGateway
from control_plane.legal.kinds import LANGUAGES, ORIGINAL
from control_plane.storage.store import Store
from tests.control_plane.gateway.rigs import FAR, StripeRig, localstripe
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Node, Page, Site, site
from tests.control_plane.pages.payer import PAYS, Payer, csrf_of, payer

ASKS = "4000002760003184"
QUOTE = "/billing/plan/quote?plan=professional&cycle=month&currency=EUR"
STRIPES_OWN = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "script-src": "'self' https://js.stripe.com https://*.js.stripe.com",
    "frame-src": "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
    "connect-src": "https://api.stripe.com",
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with localstripe() as address:
        yield address


@pytest.fixture
def rig(address: str) -> Iterator[StripeRig]:
    made = StripeRig(address)
    yield made
    made.gateway.close()


@pytest.fixture
def here(store: Store, rig: StripeRig) -> Iterator[Site]:
    with site(store, rig.gateway) as made:
        yield made


def begins(jane: Payer, **fields: str) -> tuple[str, Page]:
    """She goes to the fields of a card: Stripe's reference, and the page."""
    page = jane.sends("/billing/card", **fields)
    assert page.heading == "Give a card"
    return page.response.url.path.rpartition("/")[2], page


def is_asked(here: Site, jane: Payer, rig: StripeRig) -> str:
    """Her plan is ordered by a card whose bank asks each time: the address of the question."""
    setup, _ = begins(jane, country="US")
    rig.enter_card(setup, ASKS, FAR)
    rig.authenticate(setup, True)
    page = jane.on(jane.sees(QUOTE if jane.sees(f"/billing/card/back/{setup}").done else ""), "/billing/plan/pay")
    assert page.done.startswith("It is ordered")
    here.settles()
    [link] = [node.attrs["href"] for node in jane.sees().tree.all("a") if node.text == "To your bank's question"]
    return link.removeprefix("https://stentor.test")


def rules_of(page: Page) -> dict[str, str]:
    rules = page.response.headers["content-security-policy"].split("; ")
    return {name: sources for name, _, sources in (rule.partition(" ") for rule in rules)}


def hosted(page: Page) -> Node:
    return page.tree.ids()["hosted"]


def test_the_pages_with_stripes_fields_let_in_what_stripe_documents_and_all_others_nothing(
    store: Store, rig: StripeRig
) -> None:
    # As an operator has it: the script and its sources are Stripe's own. Nothing here loads them.
    settings = replace(rig.settings, script=SCRIPT, sources=SOURCES)
    with site(store, StripeGateway(settings, transport=rig.front)) as here:
        jane = payer(here)
        setup, page = begins(jane, country="US")
        assert rules_of(page) == STRIPES_OWN
        rig.enter_card(setup, ASKS, FAR)
        rig.authenticate(setup, True)
        assert jane.sees(f"/billing/card/back/{setup}").done
        jane.on(jane.sees(QUOTE), "/billing/plan/pay")
        here.settles()
        link = next(node.attrs["href"] for node in jane.sees().tree.all("a") if "/confirm/" in node.attrs["href"])
        bank = jane.sees(link)
        assert bank.heading == "Your bank asks" and rules_of(bank) == STRIPES_OWN
        for shown in (page, bank):
            outside, own = [node.attrs["src"] for node in shown.tree.all("script")]
            assert outside == SCRIPT == "https://js.stripe.com/v3/" and re.fullmatch(r"/assets/\w+/stripe\.js", own)
            assert not [node for node in shown.tree.all("script") if node.text or "defer" not in node.attrs]
            headers = shown.response.headers
            assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
        paths = ("/billing", "/billing/card", "/billing/plan", "/billing/history", "/account", "/prices", "/support")
        for path in (*paths, "/nowhere", f"/billing/card/fields/{setup}x"):
            other = jane.visitor.get(path)
            assert "stripe.com" not in other.response.headers["content-security-policy"], path
            assert "js.stripe.com" not in other.response.text, path


def test_the_page_of_a_card_holds_what_the_script_needs_and_says_what_to_do_without_scripts(
    jane: Payer, rig: StripeRig
) -> None:
    setup, page = begins(jane, country="US")
    told = hosted(page).attrs
    assert (told["data-key"], told["data-card"], told["data-language"]) == ("pk_test_12345", "", "en")
    assert told["data-secret"] == rig.gateway.hosted_fields(setup).secret
    assert told["action"] == f"/billing/card/back/{setup}" and "hidden" in told
    assert "sk_test" not in page.response.text and rig.gateway.hosted_fields(setup).secret not in str(page.response.url)
    [without] = page.tree.all("noscript")
    assert "needs JavaScript" in without.text and "/support" in [node.attrs["href"] for node in without.all("a")]
    field = page.tree.ids()["hosted-field"].attrs
    assert field["role"] == "group" and field["aria-describedby"] == "hosted-error"
    assert page.tree.ids()["hosted-error"].attrs["role"] == "alert"
    assert faults(page.tree) == []
    # Asked for again, it is the same one; another page of the fake's is not there at all.
    assert begins(jane)[0] == setup
    assert jane.visitor.get(f"/gateway/card/{setup}").status == 404
    assert jane.visitor.post(f"/billing/confirm/{setup}", {**csrf_of(jane), "agrees": "yes"}).status == 405


def test_both_pages_speak_every_language_and_tell_stripe_which(here: Site, jane: Payer, rig: StripeRig) -> None:
    link = is_asked(here, jane, rig)
    paths = (begins(jane)[1].response.url.path, link)

    def said(page: Page) -> set[str]:
        """Every sentence of its own, in the page and for its script."""
        [main] = page.tree.all("main")
        words = {node.text for node in main.all("h1", "p", "button") if node.text}
        return words | {hosted(page).attrs[name] for name in ("data-waits", "data-failed")}

    english = [said(jane.sees(path)) for path in paths]
    for language in LANGUAGES:
        jane.visitor.post("/language", {"language": language, "next": "/"})
        for path, known in zip(paths, english, strict=True):
            page = jane.sees(path)
            assert hosted(page).attrs["data-language"] == language.replace("_", "-")
            assert (said(page) & known) == (known if language == ORIGINAL else set()), language
            assert faults(page.tree) == []


def test_a_reload_after_the_card_was_given_leads_on_and_a_forged_answer_is_not_believed(
    jane: Payer, rig: StripeRig
) -> None:
    jane.sends("/billing/plan", plan="professional", cycle="month", country="DE")
    setup, page = begins(jane, next=QUOTE)
    path = page.response.url.raw_path.decode()
    # What Stripe appends when it sends a browser back; anybody can write it.
    forged = f"/billing/card/back/{setup}?setup_intent={setup}&redirect_status=succeeded"
    assert jane.sees(forged).heading == "Card" and "There is none on file." in jane.sees("/billing/card").tree.text
    assert jane.sees(path).heading == "Give a card"
    rig.enter_card(setup, PAYS, FAR)
    page = jane.sees(path)
    assert page.heading == "What it costs" and "58.31 EUR" in page.tree.text
    assert "ends in 4242" in jane.sees("/billing/card").tree.text
    assert jane.sees(path).heading == "What it costs"


def test_who_gave_a_card_and_never_came_back_has_given_it(jane: Payer, rig: StripeRig) -> None:
    setup, _ = begins(jane, country="US")
    rig.enter_card(setup, PAYS, FAR)
    page = jane.sends("/billing/card")
    assert page.done == "Your card is saved." and "ends in 4242" in page.tree.text
    assert begins(jane)[0] != setup


def test_after_a_declined_card_another_one_in_the_same_fields_counts(jane: Payer, rig: StripeRig) -> None:
    setup, page = begins(jane, country="US")
    fields = page.response.url.path
    rig.enter_card(setup, "4000000000000002", FAR)
    page = jane.sees(fields)
    assert page.heading == "Card" and "No card was saved" in page.tree.text
    rig.enter_card(setup, PAYS, FAR)  # in the tab that stayed open
    assert jane.sees(f"/billing/card/back/{setup}").done == "Your card is saved."


def test_the_bank_is_asked_by_stripe_and_what_stripe_says_counts(here: Site, jane: Payer, rig: StripeRig) -> None:
    link = is_asked(here, jane, rig)
    page = jane.sees(link)
    told, reference = hosted(page).attrs, link.rpartition("/")[2]
    assert page.heading == "Your bank asks" and "58.31" not in page.tree.text and "49.00 EUR" in page.tree.text
    assert told["data-secret"] == rig.gateway.hosted_fields(reference).secret and told["data-card"] == ""
    assert told["action"] == f"/billing/paid/{reference}" and "hosted-field" not in page.tree.ids()
    assert "needs JavaScript" in page.tree.all("noscript")[0].text and faults(page.tree) == []
    # A browser that says it was paid, and has not asked the bank.
    page = jane.sees(f"/billing/paid/{reference}?redirect_status=succeeded&payment_intent={reference}")
    assert "Your bank waits for you" in page.tree.text
    rig.authenticate(reference, True)
    page = jane.sees(link)
    assert page.done == "It is paid. The invoice is in your billing history."
    assert jane.sees(link).heading == "Billing"


def test_who_is_not_recognised_by_his_bank_has_paid_nothing(here: Site, jane: Payer, rig: StripeRig) -> None:
    link = is_asked(here, jane, rig)
    rig.authenticate(link.rpartition("/")[2], False)
    page = jane.sees(link)
    assert page.heading == "Billing" and "was not sure that it was you" in page.tree.text and jane.papers() == []


def test_a_payment_that_was_called_off_meanwhile_shows_no_question(here: Site, jane: Payer, rig: StripeRig) -> None:
    link = is_asked(here, jane, rig)
    rig.gateway.call_off(link.rpartition("/")[2])
    page = jane.sees(link)
    assert page.heading == "Billing" and "taken back before it was paid" in page.tree.text


def test_cards_and_payments_of_others_and_made_up_ones_are_not_there(here: Site, jane: Payer, rig: StripeRig) -> None:
    link = is_asked(here, jane, rig)
    setup, page = begins(jane)
    olga = payer(here, "olga@example.com", business_name="Olga Translates")
    foreign = (page.response.url.path, f"/billing/card/back/{setup}", link, link.replace("/confirm/", "/paid/"))
    forged = [f"/billing/{place}/seti_madeup1" for place in ("card/fields", "card/back", "confirm", "paid")]
    forged += ["/billing/card/fields/..%2Fcustomers", "/billing/card/fields/seti_%00", "/billing/confirm/pi_madeup1"]
    for path in (*foreign, *forged):
        page = olga.visitor.get(path)
        assert page.status == 404 and page.heading == "There is nothing here", path
        assert "_secret_" not in page.response.text and "pk_test" not in page.response.text
    rig.enter_card(setup, PAYS, FAR)
    assert "There is none on file." in olga.sees("/billing/card").tree.text
    stranger = here.visitor()
    for path in (*foreign, *forged):
        assert stranger.get(path).heading == "Sign in" or stranger.get(path).status == 404, path


def test_an_entry_that_is_over_at_stripe_saves_nothing_and_a_new_one_begins(
    here: Site, jane: Payer, rig: StripeRig
) -> None:
    setup, page = begins(jane, country="US")
    key = {"Authorization": f"Bearer {rig.settings.secret_key}"}
    httpx2.post(f"{rig.address}/v1/setup_intents/{setup}/cancel", headers=key, trust_env=False).raise_for_status()
    page = jane.sees(page.response.url.path)
    assert page.heading == "Card" and "No card was saved" in page.tree.text
    second, page = begins(jane)
    assert second != setup
    # The same where Stripe knows nothing of it any more, such as after a change of keys.
    httpx2.request("DELETE", f"{rig.address}/_config/data", trust_env=False).raise_for_status()
    page = jane.sees(page.response.url.path)
    assert page.heading == "Card" and "No card was saved" in page.tree.text
    assert here.store.read(lambda connection: cards.awaited(connection, jane.account)) is None


def test_where_stripe_does_not_answer_the_page_says_so_and_nothing_is_lost(
    store: Store, rig: StripeRig, jane: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, page = begins(jane, country="US")
    path = page.response.url.path

    def silent(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with monkeypatch.context() as patched:
        patched.setattr(rig.front, "handle_request", silent)
        page = jane.visitor.get(path)
        assert (page.status, page.heading) == (503, "Too busy at the moment") and "retry-after" in page.response.headers
    assert jane.sees(path).heading == "Give a card"
