"""A site with everything on it, and the list of all its pages: who looks, and where."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from control_plane import clockwork
from control_plane.accounts import lifecycle
from control_plane.accounts.account import Suspend
from control_plane.accounts.tables import accounts
from control_plane.billing import cards, orders
from control_plane.billing.counter import Counter
from control_plane.billing.freeze import CardMonth
from control_plane.billing.subscription import Terms
from control_plane.handlers import handlers
from control_plane.letters import Letters
from control_plane.rooms.tables import room_events
from control_plane.running.work import Work
from tests.control_plane import seen
from tests.control_plane.pages.browsing import Page, Site, Visitor


@dataclass
class Town:
    """Jane owns an account with rooms, people and keys, has a paid plan and is giving another card, and was told of a
    new legal text; Max is a member without
    rights; Olga's account is suspended; Desk is staff and at present in Jane's account for a ticket."""

    site: Site
    people: dict[str, Visitor] = field(default_factory=dict)
    account: str = ""
    room: str = ""
    number: str = ""
    access: str = ""
    invoice: str = ""
    card: str = ""

    def sees(self, who: str, path: str) -> Page:
        return self.people[who].get(path)

    def pages(self) -> list[tuple[str, str, str]]:
        """(name, who looks, path) of every page that is shown to somebody."""
        room, terms = f"/rooms/{self.room}", "/legal/terms/2022-12-15/en"
        return [
            ("front", "stranger", "/"),
            ("sign-up", "stranger", "/sign-up"),
            ("sign-up-sent", "stranger", "/sign-up/sent"),
            ("verify", "stranger", "/verify"),
            ("sign-in", "stranger", "/sign-in?done=verified"),
            ("forgot", "stranger", "/forgot"),
            ("forgot-sent", "stranger", "/forgot/sent"),
            ("reset", "stranger", "/reset"),
            ("invitation", "stranger", "/invitation"),
            ("join", "stranger", f"/join/{self.number}"),
            ("support", "stranger", "/support"),
            *([("mailbox", "stranger", "/dev/mail?to=jane@example.com")] if self.site.dev else []),
            ("legal", "stranger", "/legal"),
            ("legal-text", "stranger", terms),
            ("feedback", "stranger", "/legal/feedback"),
            ("prices", "stranger", "/prices"),
            ("gateway-card", "stranger", f"/gateway/card/{self.card}"),
            ("profile", "stranger", "/p/janes-lessons"),
            ("not-found", "stranger", "/nowhere"),
            ("account", "jane", "/account"),
            ("profile-editor", "jane", "/account/profile"),
            ("people", "jane", "/account/people"),
            ("keys", "jane", "/account/keys"),
            ("sessions", "jane", "/account/sessions"),
            ("staff-visits", "jane", "/account/staff-visits"),
            ("billing", "jane", "/billing"),
            ("billing-plan", "jane", "/billing/plan"),
            ("billing-quote", "jane", "/billing/plan/quote?plan=business&cycle=month&currency=EUR"),
            ("billing-card", "jane", "/billing/card"),
            ("billing-confirm", "jane", f"/billing/confirm/{self.card}"),
            ("billing-add-ons", "jane", "/billing/add-ons"),
            ("billing-add-on-quote", "jane", "/billing/add-ons/quote?add_on=presenter&quantity=2"),
            ("billing-freeze", "jane", "/billing/freeze?days=60"),
            ("billing-unfreeze", "jane", "/billing/unfreeze"),
            ("billing-cancel", "jane", "/billing/cancel"),
            ("billing-history", "jane", "/billing/history"),
            ("rooms", "jane", "/rooms"),
            ("room", "jane", room),
            ("room-new", "jane", "/rooms/new"),
            ("account-of-a-member", "max", "/account"),
            ("account-suspended", "olga", "/account"),
            ("forbidden", "max", "/rooms"),
            ("desk", "desk", "/desk?q=jane"),
            ("desk-account", "desk", f"/desk/accounts/{self.account}"),
            ("desk-billing", "desk", f"/desk/accounts/{self.account}/billing"),
            ("desk-return", "desk", f"/desk/accounts/{self.account}/billing/return"),
            ("desk-visit", "desk", f"/desk/visits/{self.access}"),
            ("desk-refusals", "desk", "/desk/refusals"),
        ]


def town(site: Site) -> Town:
    made = Town(site)
    jane = site.customer("jane@example.com", first_name="Jane", last_name="Miller")
    for body in ({"slug": "janes-lessons", "address": "4 Mill Lane\nOxford", "time_zone": "Europe/London"},):
        assert jane.call("PATCH", "/account", body).status_code == 204
    parts = {
        "about": {"text": "Piano lessons for grown-ups, one to one and in small groups.\nSince 1998."},
        "website": {"text": "https://example.com/lessons"},
        "contact": {"text": "jane@example.com"},
    }
    assert jane.call("PATCH", "/account/profile", {"parts": parts}).status_code == 204
    assert jane.call("POST", "/keys", {"name": "Calendar", "scopes": ["events"]}).status_code == 201
    open_to_all = {"title": "Piano for beginners", "listed": True, "starts_at": "2026-12-24T17:00:00Z"}
    events = [open_to_all, {"kind": "webinar", "title": "How to practise", "access": "invited"}]
    for event in events:
        answer = jane.call("POST", "/events", event)
        assert answer.status_code == 201, answer.text
    made.room, made.number = answer.json()["id"], answer.json()["number"]
    assert jane.call("POST", f"/events/{made.room}/invitations", {"label": "the class"}).status_code == 201
    made.account = str(jane.me()["account"])
    member = site.member(jane, "max@example.com", [])
    olga = site.customer("olga@example.com", business_name="Olga Translates")
    staff = site.staff()
    answer = staff.call(
        "POST",
        "/staff/accesses",
        {"account": made.account, "ticket": "T-1042", "reason": "The owner asked us to look", "minutes": 60},
    )
    assert answer.status_code == 201, answer.text
    made.access = answer.json()["id"]
    suspend(site, str(olga.me()["account"]))
    seen.publish_newer(site.store, site.clock.now(), "processing")
    announcing = handlers(site.app.state.doors.setup, site.clock, Letters(site.base_url).legal)
    clockwork.settle(site.clock, Work(site.store, announcing))
    site.delivers()
    made.invoice, made.card = pays(site, made.account)
    people = {"jane": jane, "max": member, "olga": olga, "desk": staff}
    made.people = {name: site.at_pages(person) for name, person in people.items()} | {"stranger": site.visitor()}
    return made


def pays(site: Site, account: str) -> tuple[str, str]:
    """The account has a plan and an add-on, paid by a card: the plan's invoice. And another card, for which its bank
    waits: the gateway's reference."""
    setup, store, now = site.charged.setup, site.store, site.clock.now()
    counter = Counter(store, site.clock, setup, site.gateway)

    def order(connection: sa.Connection) -> str:
        terms = Terms("professional", "month")
        made = orders.order(connection, now, setup, account, terms, "EUR", actor="person:per_a")
        orders.consent(connection, now, setup, account, True, actor="person:per_a")
        return made.invoice

    store.write(lambda connection: cards.set_country(connection, account, "GB"))
    given = counter.begin_card(account).reference
    site.gateway.outside.enter_card(given, "4242424242424242", CardMonth(2030, 12))
    assert counter.card_given(account, given) == "saved"
    invoice = store.write(order)
    site.settles()
    store.write(lambda connection: orders.buy_add_on(connection, now, setup, account, "presenter", 2))
    site.settles()
    waits = counter.begin_card(account).reference
    site.gateway.outside.enter_card(waits, "4000002500003155", CardMonth(2030, 12))
    return invoice, waits


def suspend(site: Site, account: str) -> None:
    """By staff, for a reason."""
    now, setup = site.clock.now(), site.app.state.doors.setup
    site.store.write(
        lambda connection: lifecycle.step(connection, now, setup, account, Suspend("abuse"), actor="staff:per_a")
    )


def room_titles(site: Site) -> list[str]:
    """What is stored, in order."""
    asked = sa.select(room_events.c.title).order_by(room_events.c.created_at, room_events.c.id)
    return site.store.read(lambda connection: list(connection.scalars(asked)))


def count_of_accounts(site: Site) -> int:
    return site.store.read(lambda connection: connection.scalar(sa.select(sa.func.count()).select_from(accounts)) or 0)
