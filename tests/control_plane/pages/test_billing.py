"""Billing at the pages, as stories: a plan is chosen and paid, add-ons, freeze, cancellation, expiry."""

from __future__ import annotations

import datetime
import functools
import re

import pytest

from control_plane.billing import orders, prices, subscriptions
from control_plane.billing.subscription import CYCLE_DAYS, Terms
from control_plane.billing.words import Words
from control_plane.money import Money
from control_plane.running import tasks
from control_plane.running.outbox import Letter, Refused
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Page, Site
from tests.control_plane.pages.payer import ASKS, DECLINED, PAYS, UNSAVED, Payer, csrf_of, payable, payer
from tests.control_plane.pages.town import suspend
from tests.control_plane.product import product


def test_a_trial_becomes_a_paid_plan_by_a_card_whose_bank_asks(here: Site, jane: Payer) -> None:
    page = jane.sees()
    assert "Free trial" in page.tree.text and "until 24 December 2026" in page.tree.text
    page = jane.chooses()
    assert page.heading == "Card" and page.response.url.params["next"].startswith("/billing/plan/quote")
    page = jane.on(page, "/billing/card")
    assert page.heading == "Test gateway" and "No money moves" in page.tree.text
    page = jane.types(page, ASKS)
    assert page.heading == "Your bank asks" and "Is it you who gives this card?" in page.tree.text
    page = jane.on(page, page.response.url.path)
    # The quote is where he was on the way to: 49.00 and the 19 % of Germany.
    assert page.heading == "What it costs" and payable(page) == "58.31 EUR" and "9.31 EUR" in page.tree.text
    page = jane.on(page, "/billing/plan/pay", autopay="yes")
    assert page.done.startswith("It is ordered") and "A payment is on its way" in page.tree.text
    here.settles()
    page = jane.sees()
    [link] = [node for node in page.tree.all("a") if node.text == "To your bank's question"]
    assert "agree to pay 58.31 EUR" in page.tree.text
    page = jane.sees(link.attrs["href"])
    assert "Is it you who pays 58.31 EUR?" in page.tree.text
    page = jane.on(page, link.attrs["href"])
    assert page.done == "It is paid. The invoice is in your billing history."
    assert "Paid until 24 December 2026" in page.tree.text
    assert "On 25 December 2026 it renews for 58.31 EUR, tax included." in page.tree.text
    [paper] = jane.papers()
    text = jane.reads(paper)
    assert "ST-2026-000001" in text and "58.31" in text and "Jane's Lessons" in text


def test_who_says_no_to_his_bank_has_paid_nothing(here: Site, jane: Payer) -> None:
    jane.gives(ASKS, country="US")
    jane.on(jane.chooses(country="US"), "/billing/plan/pay")
    here.settles()
    path = next(node.attrs["href"] for node in jane.sees().tree.all("a") if "/confirm/" in node.attrs["href"])
    page = jane.on(jane.sees(path), path, agrees="no")
    assert "The last payment did not succeed" in page.tree.text and "was not sure that it was you" in page.tree.text
    assert "Free trial" in page.tree.text and jane.papers() == []
    # Answered once more, from another window: nothing happens, and nothing breaks.
    assert jane.sees(path).heading == "Billing"


def test_a_payment_that_waits_for_the_bank_can_be_taken_back(here: Site, jane: Payer) -> None:
    jane.gives(ASKS, country="US")
    jane.on(jane.chooses(country="US"), "/billing/plan/pay")
    here.settles()
    page = jane.sends("/billing", "/billing/abandon")
    assert page.done == "The payment is being taken back."
    here.settles()
    page = jane.sees()
    assert "Your bank waits" not in page.tree.text and "taken back before it was paid" in page.tree.text


def test_a_declined_card_is_told_in_words_and_the_trial_stays(here: Site, jane: Payer) -> None:
    jane.gives(DECLINED, country="US")
    jane.on(jane.chooses(country="US"), "/billing/plan/pay")
    here.settles()
    page = jane.sees()
    assert "did not succeed" in page.tree.text and "The bank declined it" in page.tree.text
    assert "Free trial" in page.tree.text


def test_a_card_that_is_not_saved_is_told_and_another_one_can_be_given(here: Site, jane: Payer) -> None:
    page = jane.gives(UNSAVED, country="US")
    assert page.heading == "Card" and "No card was saved" in page.tree.text
    page = jane.gives(PAYS)
    assert page.done == "Your card is saved." and "Fake, ends in 4242, good until 12/2030" in page.tree.text
    page = jane.sends("/billing/card", "/billing/card/remove")
    assert page.done == "Your card is charged no more." and "There is none on file." in page.tree.text


@pytest.mark.parametrize(
    ("number", "month", "field"),
    [("4242", "12/2030", "number"), ("x" * 16, "12/2030", "number"), (PAYS, "13/2030", "month"), (PAYS, "", "month")],
)
def test_what_is_no_card_is_told_beside_its_field(jane: Payer, number: str, month: str, field: str) -> None:
    page = jane.types(jane.sends("/billing/card", country="US"), number, month)
    assert page.status == 422 and set(page.errors) == {field}
    assert page.form(page.response.url.path)["number"] == ""  # a number is never sent back


def test_an_add_on_is_paid_for_the_days_left_and_then_in_full(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    jane.days(10)
    page = jane.sees("/billing/add-ons/quote?add_on=recording_storage&quantity=1")
    # BIL-12: 1000 a month with 20 days left is 667.
    assert payable(page) == "6.67 EUR" and "today among them: 20 of 30" in page.tree.text
    assert "renews with your plan, in full: 10.00 EUR" in page.tree.text
    page = jane.on(page, "/billing/add-ons/pay")
    assert page.done.startswith("It is ordered")
    here.settles()
    page = jane.sees()
    assert "Extra recording storage, 50 GB" in page.tree.text and "renews for 59.00 EUR" in page.tree.text
    assert "6.67" in jane.reads(jane.papers()[0])
    page = jane.sees("/billing/add-ons")
    [cancel] = [node.attrs["action"] for node in page.tree.all("form") if "/cancel" in node.attrs["action"]]
    with entry("BIL-11.4"):
        page = jane.on(page, cancel)
        assert "it works until 24 December 2026 and is not charged again" in page.tree.text
        assert "renews for 49.00 EUR" in jane.sees().tree.text
        jane.days(20)
        assert "Extra recording storage" not in jane.sees().tree.text


@pytest.mark.parametrize(
    ("add_on", "quantity", "field"),
    [
        ("presenter", "0", "quantity"),
        ("presenter", "-1", "quantity"),
        ("presenter", "1.5", "quantity"),
        ("presenter", "16", "quantity"),
        ("presenter", "9" * 50, "quantity"),
        ("gold", "1", "add_on"),
    ],
)
def test_a_wrong_add_on_is_told_beside_its_field(jane: Payer, add_on: str, quantity: str, field: str) -> None:
    jane.orders(country="US")
    page = jane.sees(f"/billing/add-ons/quote?add_on={add_on}&quantity={quantity}")
    assert page.status == 422 and set(page.errors) == {field}


def test_add_ons_need_a_paid_plan_and_a_card(here: Site, jane: Payer) -> None:
    with entry("BIL-10.2"):
        page = jane.sees("/billing/add-ons/quote?add_on=presenter&quantity=1")
        assert page.errors == {"": "This needs a plan that is paid and in force."}
    jane.orders(country="US")
    jane.sends("/billing/card", "/billing/card/remove")
    with entry("BIL-10.1"):
        page = jane.sees("/billing/add-ons/quote?add_on=presenter&quantity=1")
        assert "Add-ons need a card on file." in page.tree.text
        csrf = page.form("/sign-out")["csrf"]
        sent = {"csrf": csrf, "add_on": "presenter", "quantity": "1", "seen": payable(page)}
        page = jane.visitor.post("/billing/add-ons/pay", sent)
        assert page.errors == {"": "Give a card first."}


def test_a_dearer_plan_begins_now_and_a_cheaper_one_with_the_next_period(here: Site, jane: Payer) -> None:
    jane.orders(country="US", plan="basic")
    jane.days(15)
    page = jane.sends("/billing/plan", plan="professional")
    # The difference of 30.00 for 15 days of 30.
    assert payable(page) == "15.00 EUR" and "It begins today." in page.tree.text
    jane.on(page, "/billing/plan/pay")
    here.settles()
    assert "Professional" in jane.sees().tree.text and "renews for 49.00 EUR" in jane.sees().tree.text
    page = jane.sends("/billing/plan", plan="basic")
    assert "Nothing is charged today" in page.tree.text and payable(page) == "19.00 EUR"
    page = jane.on(page, "/billing/plan/pay")
    assert page.done == "The plan changes with the next period."
    assert "renews for 19.00 EUR" in page.tree.text and "your plan is Basic, by the month" in page.tree.text
    page = jane.on(jane.sends("/billing/plan", plan="professional"), "/billing/plan/pay")
    assert page.done == "Your plan stays as it is." and "renews for 49.00 EUR" in page.tree.text
    page = jane.sends("/billing/plan", plan="professional")
    assert page.errors == {"": "This is the plan that you have."}


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"plan": "gold"}, "plan"),
        ({"plan": ""}, "plan"),
        ({"cycle": "week"}, "cycle"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "JPY"}, "currency"),
        ({"country": "EU"}, "country"),
        ({"country": ""}, "country"),
    ],
)
def test_a_wrong_choice_is_told_beside_its_field(jane: Payer, wish: dict[str, str], field: str) -> None:
    page = jane.chooses(**wish)
    assert page.status == 422 and set(page.errors) == {field}


def test_a_price_that_changed_since_it_was_seen_is_shown_anew_and_not_charged(here: Site, jane: Payer) -> None:
    jane.gives(PAYS, country="US")
    page = jane.chooses(country="US")
    assert payable(page) == "49.00 EUR"
    setup = here.charged.setup
    here.store.write(
        lambda connection: prices.publish(
            connection,
            here.clock.now(),
            setup,
            item="professional",
            cycle="month",
            amount=Money(5_500, "EUR"),
            actor="staff:per_a",
        )
    )
    page = jane.on(page, "/billing/plan/pay")
    assert page.status == 422 and "The price has changed" in page.errors[""] and payable(page) == "55.00 EUR"
    here.settles()
    assert jane.papers() == [] and "55.00" in here.visitor().get("/prices").tree.text


def test_a_plan_is_frozen_and_gone_on_with(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    page = jane.sees("/billing/freeze?days=40")
    assert "From 25 December 2026 to 2 February 2027 your plan is frozen, and nothing is charged." in page.tree.text
    assert "On 3 February 2027 it goes on by itself" in page.tree.text and "49.00 EUR" in page.tree.text
    page = jane.on(page, "/billing/freeze")
    assert page.done == "The freeze is noted." and "begins on 25 December 2026" in page.tree.text
    page = jane.sends("/billing", "/billing/freeze/withdraw")
    assert page.done == "The freeze is withdrawn." and "it renews for 49.00 EUR" in page.tree.text
    jane.on(jane.sees("/billing/freeze?days=40"), "/billing/freeze")
    jane.days(31)
    page = jane.sees()
    assert "Frozen from 25 December 2026 to 2 February 2027" in page.tree.text and len(jane.papers()) == 1
    page = jane.sees("/billing/unfreeze")
    assert payable(page) == "49.00 EUR" and "a new period begins on the day that you pay" in page.tree.text
    jane.on(page, "/billing/unfreeze")
    here.settles()
    assert "Paid until 24 January 2027" in jane.sees().tree.text and len(jane.papers()) == 2


def test_who_is_suspended_while_frozen_is_told_why_he_cannot_go_on(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    jane.on(jane.sees("/billing/freeze?days=40"), "/billing/freeze")
    jane.days(31)
    sent = jane.sees("/billing/unfreeze").form("/billing/unfreeze")
    suspend(here, jane.account)
    for path in ("/billing", "/billing/unfreeze"):
        page = jane.sees(path)
        assert "until that is lifted you cannot go on" in page.tree.text and faults(page.tree) == []
        assert not [node for node in page.tree.all("form") if node.attrs.get("action") == "/billing/unfreeze"]
        assert "/billing/unfreeze" not in [node.attrs["href"] for node in page.tree.all("a")]
    page = jane.visitor.post("/billing/unfreeze", sent)
    assert page.errors == {"": "The account is not in a state in which this can be done."}
    here.settles()
    assert len(jane.papers()) == 1 and "Frozen from" in jane.sees().tree.text


@pytest.mark.parametrize("days", ["0", "91", "-1", "ten", "1e1", "9" * 40])
def test_a_wrong_number_of_days_is_told_beside_its_field(jane: Payer, days: str) -> None:
    jane.orders(country="US")
    assert set(jane.sees(f"/billing/freeze?days={days}").errors) == {"days"}
    assert set(jane.visitor.post("/billing/freeze", {**csrf_of(jane), "days": days}).errors) == {"days"}


def test_a_frozen_plan_is_cancelled_by_support(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    jane.on(jane.sees("/billing/freeze?days=40"), "/billing/freeze")
    jane.days(31)
    page = jane.sees("/billing/cancel")
    assert "our support cancels it for you" in page.tree.text
    assert [node for node in page.tree.all("form") if node.attrs["action"] == "/billing/cancel"] == []
    page = jane.visitor.post("/billing/cancel", csrf_of(jane))
    assert page.errors == {"": "This can be cancelled by our support only."}


def test_a_plan_is_cancelled_undone_and_cancelled_to_its_end(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    page = jane.sees("/billing/cancel")
    assert "Until 24 December 2026 all works as now" in page.tree.text
    assert "On 25 December 2026 your account is closed" in page.tree.text
    page = jane.on(page, "/billing/cancel")
    assert page.done == "You have cancelled. We confirm it by mail."
    assert len(seen.mails(here.store, "jane@example.com", "billing_cancel_requested")) == 1
    here.settles()
    assert "all works until then, on 25 December 2026 your account is closed" in jane.sees().tree.text
    page = jane.sends("/billing", "/billing/cancel/undo")
    assert page.done == "The cancellation is undone." and "it renews for 49.00 EUR" in page.tree.text
    jane.sends("/billing/cancel")
    here.days(30)
    assert jane.visitor.signs_in().errors == {"": "This account is closed. Support can tell you more."}


def test_a_confirmation_that_comes_back_is_a_task_of_the_staff_and_never_causes_a_charge(
    here: Site, jane: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane.orders(country="US")

    def gone(message: object, letter: Letter) -> None:
        raise Refused("mailbox_unknown")

    monkeypatch.setattr(here.app.state.mailbox, "post", gone)
    jane.sends("/billing/cancel")
    here.settles()
    here.days(31)
    with entry("BIL-34.2"):
        open_ = here.store.read(lambda connection: tasks.all_open(connection))
        [task] = [task for task in open_ if task.ref.startswith("billing_cancel_requested")]
        assert (task.kind, task.account) == ("outbox_refused", jane.account)
        one = here.store.read(lambda connection: subscriptions.of(connection, jane.account)).one
        assert one.cancel_requested_at is not None and one.cancel_confirmed_at is None
        assert one.state == "ended" and here.gateway.outside.held() == {"EUR": Money(4_900, "EUR")}


def test_the_stamp_of_a_cancellation_is_the_same_instant_wherever_the_customer_is(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    assert jane.person.call("PATCH", "/account", {"time_zone": "Pacific/Auckland"}).status_code == 204
    jane.sends("/billing/cancel")
    here.settles()
    desk = here.at_pages(here.staff())
    with entry("BIL-34.5"):
        one = here.store.read(lambda connection: subscriptions.of(connection, jane.account)).one
        assert one.cancel_requested_at == one.cancel_confirmed_at == here.clock.now()
        assert one.cancel_confirmed_at is not None and one.cancel_confirmed_at.utcoffset() == datetime.timedelta()
        # There it is the 26th already.
        assert "25 Nov 2026, 12:00 UTC" in desk.get(f"/desk/accounts/{jane.account}/billing").tree.text
        assert "on 25 December 2026 your account is closed" in jane.sees().tree.text


def test_who_cancels_after_the_plan_has_expired_is_told_that_it_ends_at_once(here: Site, jane: Payer) -> None:
    jane.days(30)
    page = jane.sees("/billing/cancel")
    assert "Your account is closed at once." in page.tree.text and "Until 24 March 2027 support can" in page.tree.text
    page = jane.on(page, "/billing/cancel")
    assert page.heading == "Sign in" and page.done.startswith("You have cancelled, and your account is closed.")


def test_an_expired_account_is_told_at_its_rooms_and_pays_by_itself(here: Site, jane: Payer) -> None:
    jane.orders(autopay=False, country="US")
    assert "on 25 December 2026 it expires, unless you let us charge your card" in jane.sees().tree.text
    room = jane.person.call("POST", "/events", {"title": "Piano"}).json()["id"]
    assert jane.sees(f"/rooms/{room}").form(f"/rooms/{room}/start")
    jane.days(30)
    page = jane.visitor.post(f"/rooms/{room}/start", csrf_of(jane))
    assert page.status == 422 and page.errors == {"": "This account cannot hold rooms at the moment."}
    assert "Your plan has expired" in page.tree.text and "until it is paid" in page.tree.text
    assert "Your plan has expired" in jane.sees("/rooms").tree.text
    assert faults(page.tree) == []
    page = jane.sees()
    assert "Expired since 25 December 2026" in page.tree.text and "kept until 24 March 2027" in page.tree.text
    with entry("BIL-15.4"):
        assert "49.00" in jane.reads(jane.papers()[0])
    with entry("BIL-37.1"):
        page = jane.orders(country="US")
        assert "Paid until 23 January 2027" in page.tree.text
        assert f"/rooms/{room}/start" in [node.attrs["action"] for node in jane.sees("/rooms").tree.all("form")]


def test_a_guest_is_told_nothing_of_the_hosts_plan(here: Site, jane: Payer) -> None:
    jane.orders(autopay=False, country="US")
    number = jane.person.call("POST", "/events", {"title": "Piano"}).json()["number"]
    jane.days(30)
    page = here.visitor().sends(f"/join/{number}", f"/join/{number}", name="Ida")
    assert page.status == 422 and not re.search("plan|expired|paid", page.errors[""])


def test_recurring_charges_are_begun_and_stopped(jane: Payer) -> None:
    page = jane.orders(country="US")
    page = jane.on(page, "/billing/autopay")
    assert page.done == "Your card is charged no more by itself." and "it expires, unless" in page.tree.text
    page = jane.on(page, "/billing/autopay")
    assert "it renews for 49.00 EUR" in page.tree.text


def test_who_has_not_the_right_sees_nothing_of_it(here: Site, jane: Payer) -> None:
    member = here.at_pages(here.member(jane.person, "max@example.com", ["events"]))
    csrf = {"csrf": member.get("/account").form("/sign-out")["csrf"]}
    with entry("BIL-32.2"):
        assert member.get("/billing/cancel").status == 403 and member.post("/billing/cancel", csrf).status == 403
        assert "Free trial" in jane.sees().tree.text and "You have cancelled" not in jane.sees().tree.text
    assert "/billing" not in [node.attrs["href"] for node in member.get("/account").tree.all("a")]


def test_a_member_with_the_right_pays(here: Site, jane: Payer) -> None:
    member = here.member(jane.person, "ida@example.com", ["billing"])
    paying = Payer(here, here.at_pages(member), member, jane.account)
    assert "/billing" in [node.attrs["href"] for node in paying.sees("/account").tree.all("a")]
    assert "it renews for 49.00 EUR" in paying.orders(country="US").tree.text
    assert jane.papers()


def test_papers_cards_and_payments_of_others_are_not_there(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    paper = jane.papers()[0].attrs["href"]
    olga = payer(here, "olga@example.com", business_name="Olga Translates")
    assert olga.visitor.get(paper).status == 404
    olga.gives(ASKS, country="US")
    olga.on(olga.chooses(country="US"), "/billing/plan/pay")
    here.settles()
    path = next(node.attrs["href"] for node in olga.sees().tree.all("a") if "/confirm/" in node.attrs["href"])
    for other in (path, path.replace("confirm", "paid")):
        assert jane.visitor.get(other).status == 404
    assert jane.visitor.post(path, {**csrf_of(jane), "agrees": "yes"}).status == 404
    assert "Your bank waits" in olga.sees().tree.text
    begun = olga.sends("/billing/card").response.url.path.rpartition("/")[2]
    assert jane.visitor.get(f"/billing/card/back/{begun}").status == 404
    assert jane.visitor.get("/gateway/card/setup_nothing").status == 404


@pytest.mark.parametrize("address", ["//evil.test", "https://evil.test", "/account", "/billing\\..", "/\t/evil.test"])
def test_the_way_on_after_a_card_leads_to_billing_alone(jane: Payer, address: str) -> None:
    page = jane.sends("/billing/card", country="US", next=address)
    page = jane.types(page, PAYS)
    assert page.response.url.path == "/billing/card" and page.done == "Your card is saved."


def test_the_history_is_given_out_as_a_table(here: Site, jane: Payer) -> None:
    assert "There is none yet." in jane.sees("/billing/history").tree.text
    jane.orders(country="US")
    answer = jane.visitor.get("/billing/history.csv").response
    assert (
        answer.headers["content-type"].startswith("text/csv") and "attachment" in answer.headers["content-disposition"]
    )
    head, row = answer.text.splitlines()
    assert head.startswith("kind,number") and row.startswith("invoice,ST-2026-000001") and ",49.00," in row


def test_the_price_list_is_what_is_charged(here: Site) -> None:
    page, said = here.visitor().get("/prices"), Words("en")
    known, now, setup = here.charged.setup.catalogue, here.clock.now(), here.charged.setup
    jane = payer(here)
    jane.gives(PAYS, country="US")
    for plan in known.plans_for_sale(now):
        [card] = [node for node in page.tree.all("section") if node.attrs["aria-labelledby"] == f"plan-{plan.name}"]
        rows = {row.all("th")[0].text: [cell.text for cell in row.all("td")] for row in card.all("tr")[1:]}
        assert set(rows) == {"EUR", "PLN", "USD"}
        for currency, cells in rows.items():
            quoted = [
                here.store.read(
                    functools.partial(
                        orders.quote,
                        now=now,
                        setup=setup,
                        account=jane.account,
                        terms=Terms(plan.name, cycle),
                        currency=currency,
                    )
                ).net
                for cycle in CYCLE_DAYS
            ]
            assert cells == [said.amount(amount) for amount in quoted], (plan.name, currency)
    assert "/prices" in [node.attrs["href"] for node in here.visitor().get("/").tree.all("a")]


def test_every_page_of_billing_is_accessible_in_every_state(here: Site, jane: Payer) -> None:
    paths = ("", "/plan", "/card", "/add-ons", "/freeze", "/freeze?days=9", "/unfreeze", "/cancel", "/history")

    def look() -> None:
        for path in paths:
            page = jane.sees(f"/billing{path}")
            assert faults(page.tree) == [], (path, page.tree.text)

    look()
    jane.orders(country="US")
    look()
    jane.on(jane.sees("/billing/add-ons/quote?add_on=presenter&quantity=2"), "/billing/add-ons/pay")
    look()
    here.settles()
    jane.on(jane.sees("/billing/freeze?days=9"), "/billing/freeze")
    look()
    jane.days(31)
    look()
    jane.sends("/billing/card", "/billing/card/remove")
    jane.days(31)
    look()
    assert "Expired since" in jane.sees().tree.text


def test_where_nobody_is_charged_there_is_nothing_of_billing(store: Store) -> None:
    with product(store) as here:
        jane = here.customer("jane@example.com")
        for path in ("/", "/account"):
            links = [node.attrs["href"] for node in Page(jane.client.get(path)).tree.all("a")]
            assert not {"/prices", "/billing"} & set(links), path
        for path in ("/prices", "/billing", "/billing/plan", "/gateway/card/setup_000001"):
            assert jane.client.get(path).status_code == 404, path
