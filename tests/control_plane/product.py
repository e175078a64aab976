"""The control plane as its process builds it (control_plane.assembly): every route and page, in this process, with a
clock of the tests, cheap passwords and no limits. Whatever is added to the product is in it by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from anyio.from_thread import start_blocking_portal

from control_plane import assembly
from control_plane.api.limits import LIMITS, Limit
from control_plane.api.settings import Settings
from control_plane.clock import TestClock
from control_plane.storage.store import Store
from sfu.contract import generate_pem
from sfu.control import Billing, Control, Mail, Told
from tests.control_plane.people import CHEAP, START, World

BASE_URL = "https://stentor.test"
UNLIMITED = {name: Limit(1_000_000, 1) for name in LIMITS}


def told(store: Store, folder: str, *, dev: bool = False) -> Told:
    """What the server tells the process at its start. Its media server is nowhere."""
    return Told(
        control=Control(database=store.engine.url.render_as_string(hide_password=False)),
        mail=Mail(),
        billing=Billing(),
        dev=dev,
        folder=folder,
        listen_fd=0,
        url=BASE_URL,
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


@contextmanager
def product(store: Store, **changes: Any) -> Iterator[World]:
    """A world of the whole, in which nobody is charged (tests.control_plane.shop has one in which they are). `changes`
    as of Settings; other limits than none are said by name."""
    with whole(store, TestClock(START), **changes) as (here, _):
        yield here


@contextmanager
def whole(store: Store, clock: TestClock, **changes: Any) -> Iterator[tuple[World, assembly.Built]]:
    """The same with all its parts."""

    def settings(*given: Any, **more: Any) -> Settings:
        return Settings(*given, **{**more, "cost": CHEAP, "limits": UNLIMITED, **changes})

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(assembly, "Settings", settings):
        built = assembly.build(told(store, folder), clock)
        try:
            with start_blocking_portal() as portal:
                yield World(built.store, clock, built.app, portal, BASE_URL), built
        finally:
            built.app.state.hashing.pool.close()
            built.close()
