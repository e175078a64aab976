"""The desk lets a closed account come back, or refuses that: words and sum first, then the deed (BIL-36 to 38)."""

from __future__ import annotations

import datetime

import pytest

from control_plane.billing import invoices
from control_plane.money import Money
from tests.control_plane import seen
from tests.control_plane.billing.till import DECLINED
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Page, Site
from tests.control_plane.pages.payer import Payer, payable

CHOSEN = "?plan=professional&cycle=month&currency=EUR"


class Desk:
    """Somebody of the staff at one account."""

    def __init__(self, here: Site, jane: Payer) -> None:
        self.here, self.visitor = here, here.at_pages(here.staff())
        self.billing = f"/desk/accounts/{jane.account}/billing"
        self.path, self.refusal = f"{self.billing}/return", f"{self.billing}/return-refusal"

    def days(self, count: int) -> None:
        """All that falls due on the way is done; the session is over by then."""
        self.here.days(count)
        assert self.visitor.signs_in().heading

    def sees(self, more: str = "") -> Page:
        page = self.visitor.get(f"{self.path}{more}")
        assert faults(page.tree) == [], page.tree.text
        return page

    def ends(self, ground: str = "none") -> None:
        page = self.visitor.sends(self.billing, f"{self.billing}/end", ground=ground, ticket="T-1")
        assert page.done == "The agreement is ended."
        self.here.settles()

    def sends(self, page: Page, action: str, **fields: str) -> Page:
        return self.visitor.post(action, {**page.form(action), **fields})


def paid(here: Site, jane: Payer) -> int:
    """How many invoices are; a closed account cannot look itself."""
    rows = here.store.read(lambda connection: invoices.history(connection, jane.account))
    return len([row for row in rows if (row.kind, row.state) == ("invoice", "paid")])


def forms_of(page: Page) -> set[str]:
    return {node.attrs.get("action", "") for node in page.tree.all("form") if "/desk/" in node.attrs.get("action", "")}


def test_a_closed_account_comes_back_when_its_card_has_paid_the_sum_that_was_shown(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    desk = Desk(here, jane)
    assert desk.path not in [node.attrs["href"] for node in desk.visitor.get(desk.billing).tree.all("a")]
    page = desk.sees()
    assert "The agreement has not ended" in page.tree.text and forms_of(page) == set()
    desk.ends()
    desk.days(2)
    assert desk.path in [node.attrs["href"] for node in desk.visitor.get(desk.billing).tree.all("a")]
    page = desk.sees()
    assert "It can come back until 25 Dec 2026, 12:00 UTC; after that it is deleted." in page.tree.text
    assert forms_of(page) == {desk.path, desk.refusal} and "What will happen" not in page.tree.text
    assert page.form(desk.path) == {"plan": "professional", "cycle": "month", "currency": "EUR"}
    page = desk.sees(CHOSEN)
    assert payable(page) == "49.00 EUR"
    for words in (
        "Its card that ends in 4242 is charged 49.00 EUR now.",
        "With the payment the account is open again. The period of Professional begins on the day that it is paid:"
        " 27 Nov 2026 – 26 Dec 2026.",
        "It has no add-ons any more, and its card is not charged by itself for the next period",
        "If the card is declined, or the bank wants to ask the owner, nothing is paid",
    ):
        assert words in page.tree.text
    wrong = desk.sends(page, desk.path, ticket="no ticket at all")
    assert set(wrong.errors) == {"ticket"} and payable(wrong) == "49.00 EUR" and faults(wrong.tree) == []
    before = here.gateway.outside.held()
    done = desk.sends(page, desk.path, ticket="T-5")
    assert done.done.startswith("The card is being charged") and "Payment on its way" in done.tree.text
    waits = desk.sees()
    assert "Its return is being paid: 49.00 EUR." in waits.tree.text and forms_of(waits) == set()
    here.settles()
    assert here.gateway.outside.held()["EUR"] == before["EUR"] + Money(4_900, "EUR")
    assert jane.visitor.signs_in().heading == "Rooms" and "Paid until 26 December 2026" in jane.sees().tree.text
    assert [row["ids"] for row in seen.audit(here.store, "return_approved")] == [
        {"plan": "professional", "overrules": "no", "ticket": "T-5"}
    ]
    late = desk.sends(page, desk.path, ticket="T-5")
    assert late.status == 422 and "The agreement has not ended" in late.errors[""]


def test_a_return_is_refused_told_and_overruled_by_a_tick_alone(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    desk = Desk(here, jane)
    desk.ends()
    page = desk.sees()
    assert "It may not come back, at no door" in page.tree.text
    assert "Its time runs on: after 25 Dec 2026, 12:00 UTC it is deleted." in page.tree.text
    assert set(desk.sends(page, desk.refusal, ticket="").errors) == {"ticket"}
    assert seen.audit(here.store, "return_refused") == []
    done = desk.sends(page, desk.refusal, ticket="T-6")
    assert done.done == "The return is refused." and "return refused" in done.tree.text
    assert [row["ids"] for row in seen.audit(here.store, "return_refused")] == [{"ticket": "T-6"}]
    page = desk.sees(CHOSEN)
    assert "Its return was refused." in page.tree.text and forms_of(page) == {desk.path}
    assert "overrules" not in page.form(desk.path), "it is not ticked before somebody does"
    wrong = desk.sends(page, desk.path, ticket="T-7")
    assert wrong.errors == {"": "Its return was refused. Tick that it may come back all the same."}
    here.settles()
    assert paid(here, jane) == 1
    assert desk.sends(page, desk.path, ticket="T-7", overrules="yes").done.startswith("The card is being charged")
    here.settles()
    assert jane.visitor.signs_in().heading == "Rooms"


def test_a_ground_refuses_the_return_by_itself(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    desk = Desk(here, jane)
    desk.ends("prohibited_practice")
    page = desk.sees()
    assert "Its return was refused." in page.tree.text and forms_of(page) == {desk.path}


def test_a_card_that_is_declined_leaves_all_as_it_is_and_the_desk_is_told(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    jane.gives(DECLINED)
    desk = Desk(here, jane)
    desk.ends()
    desk.sends(desk.sees(CHOSEN), desk.path, ticket="T-5")
    here.settles()
    page = desk.visitor.get(desk.billing)
    assert "The last payment did not succeed" in page.tree.text and "closed" in desk.sees().heading
    assert forms_of(desk.sees()) == {desk.path, desk.refusal}, "another try is possible"


def test_a_sum_that_has_changed_is_shown_anew_and_not_charged(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    desk = Desk(here, jane)
    desk.ends()
    page = desk.sees(CHOSEN)
    given = desk.visitor.sends(desk.billing, f"{desk.billing}/credit", amount="5", ticket="T-2", reason="Thanks")
    assert given.done == "The credit is given."
    again = desk.sends(page, desk.path, ticket="T-5")
    assert "The price has changed" in again.errors[""] and payable(again) == "44.00 EUR"
    here.settles()
    assert paid(here, jane) == 1
    assert desk.sends(again, desk.path, ticket="T-5").done.startswith("The card is being charged")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?plan=gold&cycle=month&currency=EUR", "plan"),
        ("?plan=professional&cycle=week&currency=EUR", "cycle"),
        ("?plan=professional&cycle=month&currency=CHF", "currency"),
        ("?plan=&cycle=month&currency=EUR", "plan"),
    ],
)
def test_a_plan_that_is_not_sold_is_told_beside_its_field(here: Site, jane: Payer, query: str, field: str) -> None:
    jane.orders(country="US")
    desk = Desk(here, jane)
    desk.ends()
    page = desk.sees(query)
    assert page.status == 422 and set(page.errors) == {field} and "What will happen" not in page.tree.text


def test_without_a_card_nothing_can_be_charged_and_after_its_time_nothing_is_there(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    jane.sends("/billing/card", "/billing/card/remove")
    desk = Desk(here, jane)
    desk.ends()
    page = desk.sees(CHOSEN)
    assert "There is no card on file" in page.tree.text and forms_of(page) == {desk.refusal}
    desk.days(31)
    assert desk.visitor.get(desk.path).status == 404, "it is deleted"


def test_in_the_moment_before_it_is_deleted_the_time_is_over(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    desk = Desk(here, jane)
    desk.ends()
    page = desk.sees(CHOSEN)
    here.clock.advance_to(here.clock.now() + datetime.timedelta(days=30, seconds=1))  # nothing that is due is done
    assert desk.visitor.signs_in().heading
    sent = {**page.form(desk.path), **csrf(desk), "ticket": "T-5"}
    assert desk.visitor.post(desk.path, sent).errors == {"": "The time to come back is over."}


def csrf(desk: Desk) -> dict[str, str]:
    return {"csrf": desk.visitor.get("/account").form("/sign-out")["csrf"]}


def test_nobody_but_staff_and_no_account_that_is_none(here: Site, jane: Payer) -> None:
    desk = Desk(here, jane)
    assert jane.visitor.get(desk.path).status == 403
    assert desk.visitor.get("/desk/accounts/acc_aaaa/billing/return").status == 404
