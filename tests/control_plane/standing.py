"""Applications that are built once in a run: their 130 routes take half a second, more than most tests that ask them.

What an application keeps beside its rows is made anew for each test: the database, the clock, the randomness, the
limits, and whatever `make` has put into `app.state.kept` as pairs of a thing and a function that makes a fresh one.
Its figures (control_plane.watch) go on from test to test, and do not see the database: `world(store, own=True)`.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastapi import FastAPI

from control_plane.api.limits import Limits
from control_plane.api.settings import Settings
from control_plane.clock import TestClock
from control_plane.storage.store import Store

Make = Callable[..., FastAPI]


@dataclass
class Standing:
    """One application with the store and the clock that it was built over."""

    app: FastAPI
    store: Store
    clock: TestClock
    taken: bool = False


_standing: dict[Make, Standing] = {}


@contextlib.contextmanager
def lent(
    make: Make, store: Store, start: datetime.datetime, settings: Callable[[], Settings]
) -> Iterator[tuple[FastAPI, TestClock]]:
    """The application that `make(store, clock, settings())` gives, for this store and from this instant on, and its
    clock. Built anew where the one that stands is taken."""
    one = _standing.get(make)
    if one is None or one.taken:
        shell, clock = Store("sqlite://"), TestClock(start)
        one = _standing[make] = Standing(make(shell, clock, settings()), shell, clock)
    doors = one.app.state.doors
    renew(one.store, store)
    renew(one.clock, TestClock(start))
    renew(doors.limits, Limits(doors.settings.limits))
    renew(doors.setup.draw, settings().setup.draw)
    for kept, fresh in getattr(one.app.state, "kept", ()):
        renew(kept, fresh())
    one.taken = True
    try:
        yield one.app, one.clock
    finally:
        one.taken = False


def renew(kept: object, fresh: object) -> None:
    """Whoever holds `kept` has from now on what is in `fresh`."""
    assert type(kept) is type(fresh)
    vars(kept).clear()
    vars(kept).update(vars(fresh))
