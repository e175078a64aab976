"""[I/O] The application: middleware, the door for problems, and the routers of all areas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from control_plane.accounts.passwords import Passwords
from control_plane.accounts.pool import HashingPool
from control_plane.accounts.profile import PublicEvents, no_events
from control_plane.api import accounts, doors, probes, problems
from control_plane.api.middleware import BodyLimit, First, Outermost
from control_plane.api.readable import Readable
from control_plane.api.settings import Settings
from control_plane.clock import Clock
from control_plane.running.precedence import Precedence
from control_plane.storage.store import Store
from control_plane.watch import transactions
from control_plane.watch.measures import HashingFigures, Measures
from control_plane.watch.reading import Reading

Area = Callable[["doors.Doors"], APIRouter]


def application(
    store: Store,
    clock: Clock,
    settings: Settings,
    *,
    areas: Sequence[Area] = (),
    public_events: PublicEvents = no_events,
    measures: Measures | None = None,
    precedence: Precedence | None = None,
) -> FastAPI:
    """The API over a store whose schema is the newest. `areas` are routers of other areas, made by their function of
    the doors (`lambda doors: doors.adopt(router)` for one that is for everybody); `public_events` tells which events a
    profile shows; `measures` what others count in as well, `precedence` what lets answers go first.
    Raises RuntimeError where a route declares no need."""
    door = doors.Doors(store, clock, settings, measures)
    pool = HashingPool(settings.hashing_threads, settings.hashing_queue)
    hashing = accounts.Hashing(pool, Passwords(settings.cost))
    reading = Reading(store, clock)
    transactions.watch(store, door.measures)
    door.measures.registry.register(HashingFigures(pool))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()
        reading.close()

    app = FastAPI(
        title="Stentor control plane",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.doors, app.state.hashing, app.state.store, app.state.clock = door, hashing, store, clock
    problems.install(app)
    routers = [probes.router(door, reading)]
    routers += accounts.routers(door, hashing, public_events)
    routers += [make(door) for make in areas]
    for router in routers:
        # As they are, not by include_router: `doors.check` and the OpenAPI see the very routes that are served.
        app.router.routes.extend(router.routes)
    doors.check(app)
    app.add_middleware(First, precedence=precedence or Precedence())
    app.add_middleware(BodyLimit, refuse=problems.too_large)
    app.add_middleware(Readable)
    app.add_middleware(Outermost, doors=door)
    return app
