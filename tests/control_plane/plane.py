"""The control plane as the process puts it together (control_plane.assembly), in process and by a test clock."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import msgspec
from anyio.from_thread import start_blocking_portal

from control_plane import assembly, clockwork
from control_plane.api.settings import Settings
from control_plane.assembly import Built
from control_plane.clock import TestClock
from control_plane.legal import notices, texts
from control_plane.legal.kinds import Kind
from control_plane.legal.notices import Notice
from control_plane.legal.texts import Edition
from control_plane.mail.mailbox import Kept
from control_plane.running.outbound import Poster
from control_plane.storage.store import Store
from sfu.control import Mail
from tests.control_plane.people import CHEAP, START, World
from tests.control_plane.product import BASE_URL, told

DAY = datetime.timedelta(days=1)
OLD = "2022-12-15"


@dataclass
class Plane(World):
    """With what runs behind the pages, and its mails. It answers over HTTPS as `people.World` does."""

    built: Built = field(kw_only=True)

    def settle(self) -> None:
        """Do all that is due now."""
        clockwork.settle(self.clock, self.built.work)

    def go_to(self, instant: datetime.datetime) -> None:
        """With all that falls due on the way."""
        clockwork.advance_to(self.clock, self.built.work, instant)

    def calls_on_loopback(self) -> None:
        """Webhooks may be here, which they may not in the process."""
        work = self.built.work
        assert work.hooks is not None
        hooks = replace(work.hooks, post=Poster(private=True))
        self.built = replace(self.built, work=replace(work, hooks=hooks))

    def mails(self, to: str = "") -> list[Kept]:
        """In the development mailbox, the newest first."""
        assert self.built.mailbox is not None
        return self.built.mailbox.newest(to or None)

    def publish(self, kind: Kind = "terms", version: str | None = None, *, fees: bool = False) -> str:
        """A new version of a text comes out, dated today unless told; its version."""
        version = version or self.clock.now().date().isoformat()
        edition = Edition(kind, version, "en", f"# Our {kind}\n\n## Rules\n\nBe kind.\n", ("rules",), fees)
        self.store.write(lambda connection: texts.publish(connection, self.clock.now(), [edition]))
        return version

    def notices(self, account: str) -> list[Notice]:
        return self.store.read(lambda connection: notices.of_account(connection, account))

    def binding(self, account: str, at: datetime.datetime | None = None, kind: str = "terms") -> str:
        """The version that binds the account, now unless told."""
        instant = at or self.clock.now()
        return self.store.read(lambda connection: notices.binding(connection, account, kind, instant))


@contextmanager
def plane(store: Store, folder: Path, *, mail: Mail | None = None) -> Iterator[Plane]:
    """On the engine of `store`; `mail`: a server for it, without which there is the development mailbox."""
    as_told = msgspec.structs.replace(told(store, str(folder), dev=True), mail=mail or Mail())
    clock = TestClock(START)
    with mock.patch.object(assembly, "Settings", functools.partial(Settings, cost=CHEAP)):
        built = assembly.build(as_told, clock)
    with start_blocking_portal() as portal:
        yield Plane(built.store, clock, built.app, portal, BASE_URL, built=built)
    built.app.state.hashing.pool.close()
    built.close()
