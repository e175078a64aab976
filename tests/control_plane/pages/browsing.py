"""People who use the pages in tests, with a browser that has no scripts: it fills in the forms that it finds."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import httpx2
import sqlalchemy as sa
from fastapi import FastAPI

from control_plane import clockwork, pages, paying
from control_plane.accounts import lifecycle, uses
from control_plane.accounts.setup import Setup as AccountsSetup
from control_plane.api import rooms as api_rooms
from control_plane.api.app import application
from control_plane.api.settings import Settings
from control_plane.billing.collector import Collector
from control_plane.billing.document import Party
from control_plane.billing.setup import Setup as BillingSetup
from control_plane.clock import Clock
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import Gateway
from control_plane.handlers import handlers
from control_plane.letters import Letters
from control_plane.mail import send
from control_plane.mail.mailbox import Mailbox
from control_plane.mail.message import Sender
from control_plane.paying import Paying
from control_plane.rooms import events
from control_plane.rooms.guesses import Guesses
from control_plane.rooms.setup import Media
from control_plane.rooms.setup import Setup as RoomsSetup
from control_plane.running.outbox import Deliverer, Letter
from control_plane.running.work import Work
from control_plane.storage.store import Store
from sfu.contract import generate_pem, load_key
from tests.control_plane import seen
from tests.control_plane.people import PASSWORD, Person, World, world

# What ends by itself (HTML 13.1.2).
VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"))


@dataclass
class Node:
    """An element, or the document."""

    tag: str
    attrs: dict[str, str]
    parent: Node | None = None
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(child.text if isinstance(child, Node) else child for child in self.children).split())

    def all(self, *tags: str) -> list[Node]:
        """Descendants with these tags, in the order of the page."""
        found: list[Node] = []
        for child in self.children:
            if isinstance(child, Node):
                found += [child] if child.tag in tags or not tags else []
                found += child.all(*tags)
        return found

    def ids(self) -> dict[str, Node]:
        return {node.attrs["id"]: node for node in self.all() if "id" in node.attrs}


class _Builder(HTMLParser):
    """Builds the tree and refuses what does not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Node("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self.at)
        assert len(node.attrs) == len(attrs), f"an attribute twice: {attrs}"
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def parsed(html: str) -> Node:
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.at is builder.root, f"<{builder.at.tag}> stays open"
    return builder.root


@dataclass
class Page:
    """What the browser shows."""

    response: httpx2.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def tree(self) -> Node:
        return parsed(self.response.text)

    @property
    def heading(self) -> str:
        return self.tree.all("h1")[0].text

    @property
    def done(self) -> str:
        """What stands in the green box."""
        return " ".join(node.text for node in self.tree.all("p") if node.attrs.get("class") == "done")

    @property
    def errors(self) -> dict[str, str]:
        """By field; what belongs to none stands in the summary alone, under "" ."""
        ids, found = self.tree.ids(), {}
        for node in self.tree.all("input", "select", "textarea"):
            for name in node.attrs.get("aria-describedby", "").split():
                if name.endswith("-error"):
                    found[node.attrs["name"]] = ids[name].text
        rows = [node for box in self.tree.all("div") if box.attrs.get("class") == "summary" for node in box.all("li")]
        general = [row.text for row in rows if not row.all("a")]
        return found | ({"": " ".join(general)} if general else {})

    def form(self, action: str) -> dict[str, str]:
        """What the form to `action` would send as it stands; of two, the one that changes something."""
        found = [form for form in self.tree.all("form") if form.attrs.get("action") == action]
        for form in sorted(found, key=lambda form: form.attrs.get("method") != "post"):
            return _fields(form)
        raise AssertionError(f"no form to {action} on {self.response.url}")


def _fields(form: Node) -> dict[str, str]:
    sent: dict[str, str] = {}
    for node in form.all("input", "select", "textarea"):
        name = node.attrs.get("name", "")
        if node.tag == "select":
            options = node.all("option")
            chosen = [option for option in options if "selected" in option.attrs] or options[:1]
            sent[name] = chosen[0].attrs.get("value", "") if chosen else ""
        elif node.tag == "textarea":
            sent[name] = "".join(child for child in node.children if isinstance(child, str)).removeprefix("\n")
        elif node.attrs.get("type") not in ("checkbox", "radio") or "checked" in node.attrs:
            sent[name] = node.attrs.get("value", "")
    return sent


@dataclass
class Visitor:
    """Somebody at the pages. Redirects are followed, as a browser does."""

    site: Site
    email: str = ""
    client: httpx2.Client = field(init=False)
    headers: dict[str, str] = field(default_factory=lambda: {"accept": "text/html,*/*;q=0.8"})

    def __post_init__(self) -> None:
        self.client = self.site.client()

    def get(self, path: str, **headers: str) -> Page:
        return Page(self.client.get(path, headers={**self.headers, **headers}))

    def post(self, path: str, fields: Mapping[str, Any], follow: bool = True, **headers: str) -> Page:
        """Send fields as they are, without looking at a form."""
        sent = {name: value for name, value in fields.items() if value is not None}
        return Page(self.client.post(path, data=sent, headers={**self.headers, **headers}, follow_redirects=follow))

    def sends(self, page: str, action: str, **fields: Any) -> Page:
        """Open a page, fill in its form to `action`, and send it. None leaves a field out; `follow` is as of `post`."""
        follow = bool(fields.pop("follow", True))
        form: dict[str, Any] = dict(self.get(page).form(action))
        return self.post(action, {**form, **fields}, follow)

    def signs_up(self, **fields: Any) -> Page:
        filled_in = {
            "email": self.email,
            "password": PASSWORD,
            "business_name": "Jane's Lessons",
            "business": "yes",
            "adult": "yes",
            "accepted": "yes",
        }
        return self.sends("/sign-up", "/sign-up", **{**filled_in, **fields})

    def mailed(self, template: str) -> str:
        """The code of the newest such mail to him."""
        return str(seen.mails(self.site.store, self.email, template)[-1]["values"]["token"])

    def visitor_again(self) -> Visitor:
        """The same person with another browser."""
        return Visitor(self.site, self.email)

    def signs_in(self, **fields: Any) -> Page:
        return self.sends("/sign-in", "/sign-in", **{"email": self.email, "password": PASSWORD, **fields})


class Site(World):
    """A running control plane with its pages, and who looks at them."""

    @property
    def dev(self) -> bool:
        return bool(self.app.state.doors.settings.dev)

    def visitor(self, email: str = "", **headers: str) -> Visitor:
        visitor = Visitor(self, email)
        visitor.headers |= headers
        return visitor

    def at_pages(self, person: Person) -> Visitor:
        """Somebody who came by the API, at the pages: signed in there as well."""
        visitor = self.visitor(person.email)
        assert visitor.signs_in().heading
        return visitor

    def delivers(self) -> None:
        """Carry the mails that wait to the development mailbox."""
        work = Work(self.store, deliverers={"mail": self._mail()})
        while work.letter("mail", self.clock.now()):
            pass

    @property
    def charged(self) -> Paying:
        found: Paying = self.app.state.charged
        return found

    @property
    def gateway(self) -> MemoryGateway:
        assert isinstance(self.charged.gateway, MemoryGateway)
        return self.charged.gateway

    def settles(self) -> None:
        """All that is due now: jobs, mails, and what goes to the gateway."""
        clockwork.settle(self.clock, self._work())

    def days(self, count: int) -> None:
        """All that falls due on the way is done."""
        clockwork.advance_to(self.clock, self._work(), self.clock.now() + datetime.timedelta(days=count))

    def _work(self) -> Work:
        setup, carried = self.charged.setup, list[Letter]()
        deliverers = {"gateway": self.charged.deliverer, "mail": self._mail(), "media": Deliverer(carried.append)}
        jobs = handlers(setup.accounts, self.clock, Letters(self.base_url).legal, setup)
        return Work(self.store, jobs, deliverers)

    def _mail(self) -> Deliverer:
        post, letters = self.app.state.mailbox.post, Letters(self.base_url)
        return send.deliverer(Sender("post@stentor.test"), post, letters.bounced, self.charged.mailed)

    def owner(self, email: str = "jane@example.com", **form: Any) -> Visitor:
        """A customer, signed in at the pages."""
        return self.at_pages(self.customer(email, **form))


SELLER = Party.of("Stentor Ltd", "1 Main Street\nDublin", "IE", "IE6388047V")
GATEWAY_SECRET = "whsec_of_the_tests"
API_TOKEN, UPLINK_TOKEN = "a" * 40, "u" * 40
MEDIA = "https://media.test"


def charging(store: Store, clock: Clock, people: AccountsSetup, other: Gateway | None = None) -> Paying:
    """Billing as the command line puts it together, with a fake gateway that keeps nothing, or an `other` one."""
    setup = paying.wired(BillingSetup(people, SELLER, tell=Letters(people.base_url).billing))
    gateway = other or MemoryGateway(clock, GATEWAY_SECRET, page=paying.CONFIRM_PAGE)
    return Paying(setup, gateway, Collector(store, setup, gateway).deliverer())


def rooms_setup(setup: AccountsSetup, media: str = MEDIA) -> RoomsSetup:
    """Rooms as the command line sets them up, with a media server that no test of these calls."""
    key = load_key(generate_pem(), key_id="stentor-1", issuer="stentor", audience="stentor-sfu")
    return RoomsSetup(
        Media(media, media, API_TOKEN, UPLINK_TOKEN, key),
        may_host=lambda connection, account: bool(account) and lifecycle.access(connection, setup, account).host,
        allowance=setup.allowance,
        base_url=setup.base_url,
        draw=setup.draw,
        used=lambda connection, now, caller, act: uses.note(connection, now, setup, caller, act),
        use_awaited=uses.awaited,
        grew=setup.grew,
    )


def make(store: Store, clock: Clock, settings: Settings, gateway: Gateway | None = None, **more: Any) -> FastAPI:
    charged = charging(store, clock, settings.setup, gateway)
    settings = replace(settings, setup=charged.setup.accounts)
    rooms, guesses, mailbox = rooms_setup(settings.setup), Guesses(), Mailbox()

    def public_events(connection: sa.Connection, now: datetime.datetime, account: str) -> list[dict[str, Any]]:
        return events.public(connection, now, rooms, account)

    areas = [
        pages.area(rooms, guesses, public_events, mailbox, charged),
        lambda doors: api_rooms.router(doors, rooms, guesses),
    ]
    app = application(store, clock, settings, areas=areas, public_events=public_events, **more)
    app.state.mailbox = mailbox
    app.state.charged = charged
    fresh = functools.partial(MemoryGateway, clock, GATEWAY_SECRET, page=paying.CONFIRM_PAGE)
    # tests.control_plane.standing
    app.state.kept = ((guesses, Guesses), (mailbox, Mailbox), *([] if gateway else [(charged.gateway, fresh)]))
    return app


@contextmanager
def site(store: Store, gateway: Gateway | None = None, **changes: Any) -> Iterator[Site]:
    """Changes as of `people.world`; `gateway`: another one than the fake."""
    build = functools.partial(make, gateway=gateway) if gateway else make
    with world(store, build, own=gateway is not None, **changes) as made:
        yield Site(made.store, made.clock, made.app, made.portal, made.base_url)
