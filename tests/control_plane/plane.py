"""The control plane as the process puts it together (control_plane.serve.build), in process and by a test clock."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from control_plane import clockwork
from control_plane.clock import TestClock
from control_plane.legal import notices, texts
from control_plane.legal.kinds import Kind
from control_plane.legal.notices import Notice
from control_plane.legal.texts import Edition
from control_plane.mail.mailbox import Kept
from control_plane.running.outbound import Poster
from control_plane.serve import Built, build
from control_plane.storage.store import Store
from sfu.contract import generate_pem
from sfu.control import Control, Mail, Told
from tests.control_plane.conftest import POSTGRESQL
from tests.control_plane.people import START, World

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
    url = "https://stentor.test"
    told = Told(
        control=Control(database=store.engine.url.render_as_string(hide_password=False) if POSTGRESQL else ""),
        mail=mail or Mail(),
        dev=True,
        folder=str(folder),
        listen_fd=-1,
        url=url,
        media_page="https://media.test",
        media_api="http://127.0.0.1:9",
        media_certificate="",
        api_token="a" * 40,
        uplink_token="u" * 40,
        signing_key=generate_pem(),
        key_id="stentor-1",
        issuer="stentor",
        audience="stentor-sfu",
    )
    clock = TestClock(START)
    built = build(told, clock)
    yield Plane(built.store, clock, built.app, url, built=built)
    built.app.state.hashing.pool.close()
    built.close()
