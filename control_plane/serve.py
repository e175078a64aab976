"""[I/O] The control plane's process: `python -m control_plane`, started by `stentor serve` (sfu.companion).

One line of JSON on standard input says all settings (sfu.control.Told). It answers "listening" on standard
output once it may be asked, and ends, finishing what it does, when standard input is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from control_plane import keys, pages
from control_plane.accounts import account as machine
from control_plane.accounts import lifecycle, people
from control_plane.accounts.setup import Setup
from control_plane.api import legal, media, rooms
from control_plane.api.app import application
from control_plane.api.settings import Settings
from control_plane.appoint import url_of
from control_plane.clock import Clock, SystemClock
from control_plane.errors import NotFound
from control_plane.legal import shipped, texts
from control_plane.mail import send
from control_plane.mail.mailbox import Mailbox
from control_plane.mail.message import Sender
from control_plane.mail.smtp import Smtp
from control_plane.rooms import media as rooms_media
from control_plane.rooms import setup as rooms_setup
from control_plane.rooms.guesses import Guesses
from control_plane.running import outbound, outbox, webhooks
from control_plane.running.jobs import Handler, Job
from control_plane.running.runner import Bell, Runner, ring_after_commits
from control_plane.running.work import Work
from control_plane.storage import migrate
from control_plane.storage.store import Store
from sfu import logs
from sfu.contract import load_key
from sfu.control import Told

log = logging.getLogger("stentor.control")
# What is open when the server ends gets so long; nothing is lost by cutting it.
HTTP_STOP_WITHIN_S = 3
RUNNER_STOP_WITHIN_S = 5.0


class CannotStart(Exception):
    """The text says why and what to do."""


@dataclass(frozen=True)
class Built:
    """All parts of a control plane over one database; used by the process and, with a clock of their own, by tests."""

    store: Store
    work: Work
    app: FastAPI
    mailbox: Mailbox | None
    orders: rooms_media.MediaServer

    def close(self) -> None:
        self.orders.close()
        self.store.close()


def build(told: Told, clock: Clock) -> Built:
    """Brings the schema up to date and publishes the texts that come with the program. Raises CannotStart."""
    folder = Path(told.folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = keys.keep(folder)
        store = Store(url_of(told.control.database, folder))
        migrate.up(store)
    except OSError as error:
        raise CannotStart(f"control.folder cannot be used: {error.strerror}") from error
    except keys.KeysUnusable as error:
        raise CannotStart(str(error)) from error
    except sa.exc.OperationalError as error:
        # Not the driver's words: they hold the address of the database with its user.
        raise CannotStart(f"the database of control.database cannot be used ({type(error.orig).__name__})") from error
    store.write(lambda connection: texts.publish(connection, clock.now(), shipped.editions()))
    accounts = Setup(kept.fingerprint, told.url)
    door = _rooms(told, accounts)
    orders = rooms_media.MediaServer(store, clock, door, _to_media(told))
    mailbox = Mailbox() if told.dev and not told.mail.host else None
    work = Work(
        store,
        handlers={"accounts.purge": _purge(accounts)},
        deliverers={"media": outbox.Deliverer(orders.carry), **_mail(told, mailbox)},
        hooks=webhooks.Hooks(kept.webhook, outbound.Poster()),
    )
    guesses = Guesses()
    app = application(
        store,
        clock,
        Settings(accounts, dev=told.dev),
        areas=[
            lambda doors: rooms.router(doors, door, guesses),
            lambda doors: doors.adopt(media.router(store, clock, door)),
            # Before the legal texts' own router: its addresses are pages with our frame here.
            pages.area(door, guesses, mailbox=mailbox),
            lambda doors: doors.adopt(legal.router),
        ],
    )
    return Built(store, work, app, mailbox, orders)


def _to_media(told: Told) -> httpx2.Client:
    """No proxy of the environment: the bearer is for this address alone."""
    trusted = ssl.create_default_context(cafile=told.media_certificate) if told.media_certificate else True
    return httpx2.Client(timeout=rooms_media.ANSWER_WITHIN_S, trust_env=False, verify=trusted)


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

    def plan(connection: sa.Connection, account: str) -> str:
        try:
            return str(people.account(connection, account).plan)
        except NotFound:
            return ""

    return rooms_setup.Setup(server, may_host, plan, told.url)


def _purge(accounts: Setup) -> Handler:
    def purge(connection: sa.Connection, due_at: object, job: Job) -> None:
        if job.account is not None:
            lifecycle.purge_due(connection, job.due_at, accounts, job.account)

    return purge


def _mail(told: Told, mailbox: Mailbox | None) -> dict[str, outbox.Deliverer]:
    """Without a server, mails wait in the outbox until there is one."""
    if mailbox is not None:
        post = mailbox.post
    elif told.mail.host:
        mail = told.mail
        post = Smtp(mail.host, mail.port, mail.security, mail.user, mail.password).post
    else:
        log.warning("mail.host is not set: mails wait until it is")
        return {}

    def bounced(connection: sa.Connection, now: datetime.datetime, letter: outbox.Letter) -> None:
        people.bounced(connection, now, send.mail_of(letter.payload).to)

    return {"mail": send.deliverer(Sender(told.mail.sender), post, bounced)}


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(told: Told) -> None:
    bound = socket.socket(fileno=told.listen_fd)
    clock = SystemClock()
    built = build(told, clock)
    bell = Bell()
    ring_after_commits(built.store, bell)
    runner = Runner(built.work, clock, bell)
    http = _HttpServer(
        uvicorn.Config(
            built.app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(told.control.url),
            timeout_graceful_shutdown=HTTP_STOP_WITHIN_S,
        )
    )
    ending, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the server decides when we end

    def parent_gone() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ending.set)

    threading.Thread(target=parent_gone, daemon=True).start()
    runner.start()
    serving = asyncio.ensure_future(http.serve(sockets=[bound]))
    print("listening", flush=True)
    await asyncio.wait([serving, asyncio.ensure_future(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
    http.should_exit = True
    await serving
    await asyncio.to_thread(runner.stop, RUNNER_STOP_WITHIN_S)
    built.close()


def main() -> int:
    """The exit code: 2 = it cannot be started as told; the reason is on standard error."""
    try:
        told = msgspec.json.decode(sys.stdin.buffer.readline(), type=Told)
    except msgspec.DecodeError:
        sys.stderr.write("python -m control_plane is started by `stentor serve`; it reads its settings from there\n")
        return 2
    logs.start(told.log_level, told.log_format)
    try:
        asyncio.run(_serve(told))
    except CannotStart as error:
        log.error("the control plane is not started: %s", error)
        return 2
    return 0
