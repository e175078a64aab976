"""What may be done in each state of an account (model, table 3.2): every act against every state, by real routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from control_plane.rooms import policies
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.people import Person
from tests.control_plane.shop import Buyer, Shop, shop

# The states in which an act succeeds; in all others it is refused.
RUNNING = {"trial", "active"}
OPEN = RUNNING | {"frozen", "expired"}
SUSPENDED = {"suspended", "suspended while frozen"}
ALLOWED: dict[str, set[str]] = {
    "plan a room": RUNNING,
    "join by the number": RUNNING,
    "join by a link": RUNNING,
    "join one's own room": RUNNING,
    "sign in": OPEN | SUSPENDED,
    "look at one's rooms": OPEN,
    "read one's account": OPEN | SUSPENDED,
    "invite people": OPEN,
    "use a key": OPEN,
    "see the billing page": OPEN | SUSPENDED,
    "ask how billing stands": OPEN | SUSPENDED,
    "export the billing history": OPEN | SUSPENDED,
    "order a plan": {"trial", "expired"},
    "buy an add-on": {"active"},
    "ask for a freeze": {"active"},
    "end a freeze by hand": {"frozen"},
    "be shown on a public page": RUNNING | {"frozen"},
    "write to support": OPEN | SUSPENDED | {"closed", "deleted"},
    "read the legal texts": OPEN | SUSPENDED | {"closed", "deleted"},
}
STATES = ("trial", "active", "frozen", "expired", "suspended", "suspended while frozen", "closed", "deleted")


@dataclass
class Case:
    """An account that has been in use: a room with a link, a key, a public page, a place for one more person."""

    at: Shop
    jane: Buyer
    desk: Person
    account: str
    number: str
    link: str
    key: str

    @property
    def guest(self) -> Person:
        return self.at.here.stranger()

    def joins(self, person: Person, link: str = "") -> int:
        return person.call("POST", "/join", {"id": self.number, "name": "Ada", "link": link}).status_code

    def buys(self) -> int:
        quote = self.jane.call("POST", "/billing/quotes", {"of": "add_on", "add_on": "presenter"})
        wish = {"add_on": "presenter", "seen": quote.json().get("payable", "1.00 EUR")}
        return self.jane.call("POST", "/billing/add-ons", wish).status_code

    def orders(self) -> int:
        terms = {"plan": "basic", "cycle": "month", "currency": "EUR"}
        quote = self.jane.call("POST", "/billing/quotes", {"of": "plan", **terms})
        wish = {**terms, "seen": quote.json().get("payable", "1.00 EUR")}
        return self.jane.call("POST", "/billing/orders", wish).status_code

    def unfreezes(self) -> int:
        quote = self.jane.call("POST", "/billing/quotes", {"of": "unfreeze"})
        wish = {"seen": quote.json().get("payable", "1.00 EUR")}
        return self.jane.call("POST", "/billing/unfreeze", wish).status_code

    def uses_key(self) -> int:
        program = self.guest
        program.headers["Authorization"] = f"Bearer {self.key}"
        return program.call("GET", "/events").status_code

    def page(self, path: str) -> int:
        headers = {"accept": "text/html", **self.jane.person.headers}
        return self.jane.person.client.get(path, headers=headers, follow_redirects=False).status_code


# What changes the account comes last.
ACTS: dict[str, Callable[[Case], int]] = {
    "sign in": lambda case: case.jane.person.signs_in().status_code,
    "plan a room": lambda case: case.jane.call("POST", "/events", {"title": "More"}).status_code,
    "join by the number": lambda case: case.joins(case.guest),
    "join by a link": lambda case: case.joins(case.guest, case.link),
    "join one's own room": lambda case: case.joins(case.jane.person),
    "look at one's rooms": lambda case: case.jane.call("GET", "/events").status_code,
    "read one's account": lambda case: case.jane.call("GET", "/account").status_code,
    "use a key": lambda case: case.uses_key(),
    "see the billing page": lambda case: case.page("/billing"),
    "ask how billing stands": lambda case: case.jane.call("GET", "/billing").status_code,
    "export the billing history": lambda case: case.jane.call("GET", "/billing/invoices.csv").status_code,
    "be shown on a public page": lambda case: case.guest.call("GET", "/profiles/janes-lessons").status_code,
    "write to support": lambda case: case.page("/support"),
    "read the legal texts": lambda case: case.page("/legal"),
    "invite people": lambda case: case.jane.call("POST", "/invitations", {"email": "one@example.com"}).status_code,
    "ask for a freeze": lambda case: case.jane.call("POST", "/billing/freeze", {"days": 9}).status_code,
    "buy an add-on": lambda case: case.buys(),
    "order a plan": lambda case: case.orders(),
    "end a freeze by hand": lambda case: case.unfreezes(),
}


def in_use(at: Shop) -> Case:
    jane, desk = at.buyer(), at.desk()
    event = jane.told("POST", "/events", {"title": "Lesson"})
    made = jane.told("POST", f"/events/{event['id']}/invitations", {"role": "presenter"})
    key = jane.told("POST", "/keys", {"name": "k", "scopes": ["events"]})["secret"]
    jane.told("PATCH", "/account", {"slug": "janes-lessons"})
    jane.told("PATCH", "/account/profile", {"public": True})
    jane.gives()
    return Case(at, jane, desk, jane.account, event["number"], made["link"].partition("#token=")[2], key)


def bring(case: Case, state: str) -> None:
    """Into this state, by what customers and staff do and by days that pass."""
    if state == "trial":
        return
    assert case.jane.orders()["state"] == "succeeded"
    if state in ("frozen", "suspended while frozen"):
        case.jane.told("POST", "/billing/freeze", {"days": 60})
        case.at.days(31)
    elif state == "expired":
        case.jane.told("PUT", "/billing/consent", {"on": False})
        case.at.days(31)
    if state in SUSPENDED:
        body = {"reason": "abuse", "ticket": "T-1"}
        assert case.desk.call("POST", f"/staff/accounts/{case.account}/suspend", body).status_code == 200
    elif state in ("closed", "deleted"):
        ended = {"cause": True, "ground": "prohibited_practice", "ticket": "T-1"}
        assert case.desk.call("POST", f"/staff/accounts/{case.account}/termination", ended).status_code == 200
        case.at.days(31 if state == "deleted" else 1)


@pytest.mark.parametrize("state", STATES)
def test_each_act_is_open_in_its_states_and_refused_in_all_others(store: Store, state: str) -> None:
    assert ACTS.keys() == ALLOWED.keys()
    with shop(store) as at:
        case = in_use(at)
        bring(case, state)
        answers = {act: does(case) for act, does in ACTS.items()}
        assert {act for act, status in answers.items() if status < 300} == {
            act for act in ALLOWED if state in ALLOWED[act]
        }, answers
        assert all(status < 500 for status in answers.values()), answers


def test_an_event_that_is_live_when_the_account_expires_ends_and_goes_on_when_it_is_paid(store: Store) -> None:
    with shop(store) as at:
        case = in_use(at)
        bring(case, "active")
        case.jane.told("PUT", "/billing/consent", {"on": False})
        event = case.jane.told("GET", "/events")["items"][0]
        opened = {"type": "room_opened", "room": case.number, "number": 1, "at_ms": 1_700_000_000_000}
        at.told_by_media(opened)
        assert case.jane.told("GET", f"/events/{event['id']}/usage")["running"]

        def in_force() -> policies.InForce:
            found = at.here.store.read(lambda connection: policies.in_force(connection, event["id"]))
            assert found is not None
            return found

        before = in_force()
        at.carried.clear()
        at.days(31)
        with entry("BIL-18.1"):
            assert case.jane.standing["state"] == "expired" and in_force().closed
            orders = [one.payload for one in at.carried if one.payload.get("command") == "policy"]
            assert orders[-1]["event"] == event["id"] and orders[-1]["version"] == in_force().version > before.version
            assert case.joins(case.guest, case.link) == 404
            assert case.jane.told("GET", f"/events/{event['id']}")["state"] == "planned"  # it is kept
        case.jane.orders()
        assert not in_force().closed and in_force().limits == before.limits
        assert case.joins(case.guest, case.link) == 200


def test_an_expired_account_keeps_its_pages_of_billing_and_what_it_made_and_holds_nothing(store: Store) -> None:
    with shop(store) as at:
        case = in_use(at)
        bring(case, "expired")
        jane = case.jane
        with entry("BIL-18.3"):
            assert case.joins(case.guest, case.link) == 404 and case.uses_key() == 200
            assert jane.refused("POST", "/events", {"title": "More"}) == (403, "may_not_host")
            assert case.page("/billing") == 200 and "Expired since" in jane.person.client.get("/billing").text
            (row,) = jane.told("GET", "/billing/invoices")["items"]
            assert jane.call("GET", f"/billing/invoices/{row['id']}/pdf").content.startswith(b"%PDF")
            assert row["number"] in jane.call("GET", "/billing/invoices.csv").text
            assert len(jane.told("GET", "/events")["items"]) == 1


def test_who_is_suspended_while_frozen_cannot_pay_for_days_on_which_nothing_is_open_to_him(store: Store) -> None:
    with shop(store) as at:
        case = in_use(at)
        bring(case, "suspended while frozen")
        quote = case.jane.told("POST", "/billing/quotes", {"of": "unfreeze"})
        for wish in ({"seen": quote["payable"]}, {}):
            assert case.jane.refused("POST", "/billing/unfreeze", wish) == (409, "account_state")
        assert case.jane.standing["state"] == "frozen" and len(case.jane.told("GET", "/billing/invoices")["items"]) == 1
        lifted = case.desk.call("POST", f"/staff/accounts/{case.account}/lift", {"ticket": "T-1"})
        assert lifted.status_code == 200
        case.jane.told("POST", "/billing/unfreeze", {"seen": quote["payable"]})
        at.settle()
        assert case.jane.standing["state"] == "active"
