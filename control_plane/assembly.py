"""[I/O] Puts the parts of the control plane together over one database, as it was told to."""

from __future__ import annotations

import datetime
import logging
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
from alembic.util import CommandError
from fastapi import FastAPI

from control_plane import keys, pages, paying, standing
from control_plane.accounts import account as machine
from control_plane.accounts import lifecycle, uses
from control_plane.accounts.setup import Setup
from control_plane.api import billing as billing_api
from control_plane.api import clock as clock_api
from control_plane.api import legal, media, rooms
from control_plane.api.app import Area, application
from control_plane.api.caller import Caller
from control_plane.api.settings import Settings
from control_plane.appoint import url_of
from control_plane.billing import subscriptions
from control_plane.billing.counter import Counter
from control_plane.clock import Clock, TestClock
from control_plane.errors import NotFound
from control_plane.handlers import handlers
from control_plane.legal import shipped, texts
from control_plane.legal.changes import Act
from control_plane.letters import Letters
from control_plane.mail import send
from control_plane.mail.mailbox import Mailbox
from control_plane.mail.message import Sender
from control_plane.mail.smtp import Smtp
from control_plane.rooms import events
from control_plane.rooms import media as rooms_media
from control_plane.rooms import setup as rooms_setup
from control_plane.rooms.guesses import Guesses
from control_plane.running import outbound, outbox, webhooks
from control_plane.running.precedence import Precedence
from control_plane.running.runner import Bell, Runner, ring_after_commits
from control_plane.running.work import Work
from control_plane.storage import migrate
from control_plane.storage.store import Store
from control_plane.watch.auditor import Auditor
from control_plane.watch.measures import Measures
from control_plane.watch.reading import Disk
from sfu import logs
from sfu.contract import load_key
from sfu.control import Told

log = logging.getLogger("stentor.control")


class CannotStart(Exception):
    """The text says why and what to do."""


class DatabaseAway(Exception):
    """It does not answer, or is busy with what another process left: soon it may be there. The text says which."""


@dataclass(frozen=True)
class Built:
    """All parts of a control plane over one database; used by the process and, with a clock of their own, by tests."""

    store: Store
    work: Work
    app: FastAPI
    mailbox: Mailbox | None
    orders: rooms_media.MediaServer
    runner: Runner
    auditor: Auditor

    def close(self) -> None:
        self.orders.close()
        self.store.close()


def build(told: Told, clock: Clock) -> Built:
    """Brings the schema up to date and publishes the texts that come with the program. Raises CannotStart,
    DatabaseAway."""
    folder = Path(told.folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = keys.keep(folder)
        store = Store(url_of(told.control.database, folder))
        before, after = migrate.up(store)
    except OSError as error:
        raise CannotStart(f"control.folder cannot be used: {error.strerror}") from error
    except keys.KeysUnusable as error:
        raise CannotStart(str(error)) from error
    except sa.exc.OperationalError as error:
        # Not the driver's words: they hold the address of the database with its user.
        raise DatabaseAway(f"the database of control.database cannot be used ({type(error.orig).__name__})") from error
    except CommandError as error:
        raise CannotStart("the database was made by a newer release: start that, or put a backup back") from error
    if before != after:
        log.warning("migrations applied", extra=logs.fields(before=before or "nothing", after=after))
    store.write(lambda connection: texts.publish(connection, clock.now(), shipped.editions()))
    letters = Letters(told.url)
    charged = _billing(told, store, clock, Setup(kept.fingerprint, told.url), letters, folder, kept.webhook)
    accounts = charged.setup.accounts if charged else Setup(kept.fingerprint, told.url)
    door = _rooms(told, accounts)
    orders = rooms_media.MediaServer(store, clock, door, _to_media(told))
    mailbox = Mailbox() if told.dev and not told.mail.host else None
    measures = Measures()
    work = Work(
        store,
        handlers(accounts, clock, letters.legal, charged.setup if charged else None),
        {
            "media": outbox.Deliverer(orders.carry),
            **_mail(told, mailbox, letters, charged.mailed if charged else outbox.unread),
            **({"gateway": charged.deliverer} if charged else {}),
        },
        webhooks.Hooks(kept.webhook, outbound.Poster(), letters.webhook_failing),
        tried=measures.tried,
    )
    bell = Bell()
    ring_after_commits(store, bell)
    precedence = Precedence()
    # A test clock that is put forward works within a request: that is who is answered.
    runner = Runner(replace(work, precedence=precedence), clock, bell)
    guesses = Guesses()

    def public_events(connection: sa.Connection, now: datetime.datetime, account: str) -> list[dict[str, Any]]:
        return events.public(connection, now, door, account)

    app = application(
        store,
        clock,
        Settings(accounts, dev=told.dev, metrics_networks=told.metrics_networks),
        areas=[
            lambda doors: rooms.router(doors, door, guesses),
            lambda doors: doors.adopt(media.router(store, clock, door, doors.measures)),
            pages.area(door, guesses, public_events, mailbox, charged),
            lambda doors: doors.adopt(legal.router),
            *(billing_api.areas(Counter(store, clock, charged.setup, charged.gateway)) if charged else []),
            *_test_clock(clock, work, folder, runner),
        ],
        public_events=public_events,
        measures=measures,
        precedence=precedence,
    )
    auditor = Auditor(store, clock)
    measures.registry.register(auditor)
    measures.registry.register(Disk(folder))
    return Built(store, work, app, mailbox, orders, runner, auditor)


def _test_clock(clock: Clock, work: Work, folder: Path, runner: Runner) -> list[Area]:
    """The way to set it forward, where it is a clock that stands."""
    if not isinstance(clock, TestClock):
        return []
    stands = standing.Standing(clock, work, folder, runner.paused)
    return [lambda doors: clock_api.router(doors, stands)]


def _to_media(told: Told) -> httpx2.Client:
    """No proxy of the environment: the bearer is for this address alone."""
    trusted = ssl.create_default_context(cafile=told.media_certificate) if told.media_certificate else True
    return httpx2.Client(timeout=rooms_media.ANSWER_WITHIN_S, trust_env=False, verify=trusted)


def _billing(
    told: Told, store: Store, clock: Clock, people: Setup, letters: Letters, folder: Path, secret: bytes
) -> paying.Paying | None:
    """None where nobody is charged. Accounts of before there was billing begin their trial now."""
    try:
        found = paying.put_together(
            store, clock, people, told.billing, letters.billing, folder, dev=told.dev, secret=secret.hex()
        )
    except paying.NotSettled as error:
        raise CannotStart(str(error)) from error
    if found is not None:
        setup = found.setup
        store.write(lambda connection: subscriptions.adopt(connection, clock.now(), setup))
    return found


def _rooms(told: Told, accounts: Setup) -> rooms_setup.Setup:
    key = load_key(told.signing_key, key_id=told.key_id, issuer=told.issuer, audience=told.audience)
    server = rooms_setup.Media(
        page=told.media_page,
        api=told.media_api,
        api_token=told.api_token,
        uplink_token=told.uplink_token,
        key=key,
        room={"camera_codec": told.camera_codec, "audio_red": told.audio_red},
    )

    def may_host(connection: sa.Connection, account: str) -> bool:
        try:
            status = lifecycle.state(connection, account).status
        except NotFound:  # an id that nobody has is asked for as well, and must look like any other
            return False
        return machine.access(status, accounts.subscription(connection, account)).host

    def used(connection: sa.Connection, now: datetime.datetime, caller: Caller, act: Act) -> None:
        uses.note(connection, now, accounts, caller, act)

    return rooms_setup.Setup(
        server,
        may_host,
        accounts.allowance,
        told.url,
        used=used,
        use_awaited=uses.awaited,
        grew=accounts.grew,
    )


def _mail(
    told: Told, mailbox: Mailbox | None, letters: Letters, arrived: outbox.WhenArrived
) -> dict[str, outbox.Deliverer]:
    """Without a server, mails wait in the outbox until there is one."""
    if mailbox is not None:
        post = mailbox.post
    elif told.mail.host:
        mail = told.mail
        post = Smtp(mail.host, mail.port, mail.security, mail.user, mail.password).post
    else:
        log.warning("mails wait: mail.host is not set")
        return {}
    kept = mailbox is not None
    return {"mail": send.deliverer(Sender(told.mail.sender), post, letters.bounced, arrived, idempotent=kept)}
