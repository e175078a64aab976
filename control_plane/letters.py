"""Mails of areas that know nothing of people: to whom, in which language and words; and what becomes of bounces."""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from control_plane import dates, money
from control_plane.accounts import people
from control_plane.accounts.people import Reader
from control_plane.billing.catalogue import CATALOGUE, FREE
from control_plane.billing.setup import BYTES
from control_plane.billing.words import Words
from control_plane.errors import Invalid
from control_plane.legal import notices, texts
from control_plane.mail import send
from control_plane.mail.message import Mail
from control_plane.running.outbox import Letter
from control_plane.running.webhooks import Endpoint


@dataclass(frozen=True)
class Letters:
    """`base_url`: how people reach us, without a slash at the end."""

    base_url: str

    def legal(
        self,
        connection: sa.Connection,
        now: datetime.datetime,
        *,
        account: str,
        template: str,
        key: str,
        values: Mapping[str, str],
    ) -> bool:
        """notices.Post: to the account's owner, in his language, with the times in the account's zone."""
        reader = people.reader(connection, account)
        if reader is None:
            return False
        found = texts.headings(connection, [values["version"]], reader.language)
        text = next((one for one in found if one.kind == values["text"]), None)
        instants = {name: datetime.datetime.fromisoformat(values[name]) for name in ("begins", "latest", "deadline")}
        words = {name: _written(reader, at) for name, at in instants.items()}
        words |= {"title": text.title if text else "", "version": values["version"]}
        words |= {name: _in_words(reader.language, values.get(name, "")) for name in ("was", "will")}
        words["item"] = _item(reader.language, values.get("item", ""))
        of_prices = "/prices" if words["item"] else "/legal"
        words["address"] = f"{self.base_url}{text.address if text else of_prices}"
        send.put(connection, now, Mail(reader.email, template, reader.language, words), key, account)
        return True

    def billing(
        self,
        connection: sa.Connection,
        now: datetime.datetime,
        *,
        account: str,
        template: str,
        key: str,
        values: Mapping[str, str],
    ) -> bool:
        """billing.setup.Tell: to the account's owner, with days and sums in the words of his language."""
        reader = people.reader(connection, account)
        if reader is None:
            return False
        words = {name: _in_words(reader.language, value) for name, value in values.items()}
        words["link"] = f"{self.base_url}/billing"
        send.put(connection, now, Mail(reader.email, template, reader.language, words), key, account)
        return True

    def webhook_failing(self, connection: sa.Connection, now: datetime.datetime, endpoint: Endpoint) -> None:
        """webhooks.Hooks.failing: to the account's owner, once in a row of failures."""
        reader = people.reader(connection, endpoint.account)
        if reader is None:
            return
        since = endpoint.failing_since or now
        words = {
            "url": endpoint.url,
            "error": endpoint.error,
            "since": _written(reader, since),
        }
        key = f"webhook_failing:{endpoint.id}:{since.isoformat()}"
        send.put(connection, now, Mail(reader.email, "webhook_failing", reader.language, words), key, endpoint.account)

    def bounced(self, connection: sa.Connection, now: datetime.datetime, letter: Letter) -> None:
        """outbox.WhenRefused: the person's flag (ACC-11), and the notice that was in it (LEG-03)."""
        mail = send.mail_of(letter.payload)
        people.bounced(connection, now, mail.to)
        if mail.template in notices.TEMPLATES:
            notices.bounced(connection, now, letter.key)


def _item(language: str, name: str) -> str:
    """A plan or an add-on as it is called; "" for none."""
    if name in CATALOGUE.add_ons:
        return Words(language)(CATALOGUE.add_ons[name].title)
    return CATALOGUE.plans[name].title if name in CATALOGUE.plans and name != FREE else name


@functools.lru_cache(1024)
def _in_words(language: str, value: str) -> str:
    """A day (2026-11-22), a sum ("12.30 EUR") or a size ("1000 bytes") as people write them; anything else as it is.
    Kept: many mails of a day say the same, and it is a twentieth of the work of a renewal."""
    with contextlib.suppress(ValueError):
        return dates.day(language, datetime.date.fromisoformat(value))
    amount, _, currency = value.partition(" ")
    if currency == BYTES and amount.isdecimal():
        return Words(language).size(int(amount))
    with contextlib.suppress(Invalid):
        return Words(language).sum(money.parse(amount, currency))
    return value


def _written(reader: Reader, at: datetime.datetime) -> str:
    return dates.instant(reader.language, at, reader.time_zone)
