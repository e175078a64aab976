"""Billing at the staff desk: refunds, credit, an agreement that is ended, and what somebody has to look at."""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.billing import disputes, subscriptions
from control_plane.billing.tables import payments as payment_rows
from control_plane.gateway.port import Dispute
from control_plane.money import Money
from tests.control_plane import seen
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Site
from tests.control_plane.pages.payer import Payer


def test_staff_gives_back_gives_credit_and_ends_an_agreement(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    desk = here.at_pages(here.staff())
    path = f"/desk/accounts/{jane.account}/billing"
    page = desk.get(path)
    assert faults(page.tree) == [] and "Professional" in page.tree.text and "jane@example.com" not in page.tree.text
    for fields, wrong in (
        ({"amount": "60", "ticket": "T-1", "reason": "x"}, ""),
        ({"amount": "1.234", "ticket": "T-1", "reason": "x"}, "amount"),
        ({"amount": "-1", "ticket": "T-1", "reason": "x"}, "amount"),
        ({"amount": "1", "ticket": "", "reason": "x"}, "ticket"),
        ({"amount": "1", "ticket": "T-1", "reason": ""}, "reason"),
    ):
        page = desk.sends(path, f"{path}/refund", **fields)
        assert page.status == 422 and set(page.errors) == {wrong}, fields
    page = desk.sends(path, f"{path}/refund", amount="9.00", ticket="T-1", reason="A bad day")
    assert page.done.startswith("The credit note is made") and "-9.00 EUR" in page.tree.text.replace("−", "-")
    here.settles()
    assert here.gateway.outside.held()["EUR"] == Money(4_000, "EUR")
    assert set(desk.sends(path, f"{path}/credit", amount="0", ticket="T-2", reason="x").errors) == {"amount"}
    page = desk.sends(path, f"{path}/credit", amount="5", ticket="T-2", reason="Thanks")
    assert page.done == "The credit is given." and "5.00 EUR" in jane.sees().tree.text
    for fields, wrong in (({"ground": "", "ticket": "T-3"}, "ground"), ({"ground": "none", "ticket": ""}, "ticket")):
        assert set(desk.sends(path, f"{path}/end", **fields).errors) == {wrong}
    page = desk.sends(path, f"{path}/end", ground="prohibited_practice", ticket="T-3")
    assert page.done == "The agreement is ended." and "ended" in page.heading
    assert here.store.read(lambda connection: subscriptions.state(connection, jane.account)) == "ended"
    assert seen.audit(here.store, "agreement_terminated")[-1]["ids"] == {
        "ground": "prohibited_practice",
        "ticket": "T-3",
    }


def test_what_has_to_be_looked_at_is_told_in_words_and_taken_off_the_list(here: Site, jane: Payer) -> None:
    jane.orders(country="US")
    desk, path = here.at_pages(here.staff()), f"/desk/accounts/{jane.account}/billing"
    assert "To be looked at" not in desk.get(path).tree.text
    setup = here.charged.setup

    def told(connection: sa.Connection) -> None:
        paid = connection.scalar(sa.select(payment_rows.c.reference))
        disputes.told(connection, here.clock.now(), setup, Dispute("dp_1", str(paid), Money(5_000, "EUR"), "open"))

    here.store.write(told)
    page = desk.get(path)
    rows = [node.text for node in page.tree.ids()["tasks"].parent.all("li")]  # type: ignore[union-attr]
    assert len(rows) == 2 and faults(page.tree) == []
    assert "More is disputed than there is of the payment" in rows[0]
    assert "told 50.00 EUR, in the books 49.00 EUR" in rows[0] and "has taken a payment back" in rows[1]
    sent = {**page.form(f"{path}/tasks"), "task": "999"}
    assert desk.post(f"{path}/tasks", sent).errors == {"": "Somebody was done with it before you."}
    [first, _] = [node.attrs["value"] for node in page.tree.all("button") if node.attrs.get("name") == "task"]
    other = here.customer("other@example.com").me()["account"]
    foreign = f"/desk/accounts/{other}/billing/tasks"
    assert desk.post(foreign, {**sent, "task": first}).status == 422, "it is not of that account"
    page = desk.post(f"{path}/tasks", {**sent, "task": first})
    assert page.done == "It is taken off the list." and "More is disputed" not in page.tree.text
    again = desk.post(f"{path}/tasks", {**sent, "task": first})
    assert again.status == 422 and "has taken a payment back" in again.tree.text
