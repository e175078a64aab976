"""[I/O] The measurements, each on a server that runs: signing in, grants, a minute of joins, a night of renewals."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable

import msgspec

from benchmarks.control_plane.asking import Answered
from benchmarks.control_plane.inside import Entered, Inside
from benchmarks.control_plane.judge import Minute, Night, SigningIn
from benchmarks.control_plane.load import Load
from benchmarks.control_plane.night import Nightly, Place
from benchmarks.control_plane.plane import ROOM_SEATS, Plane, endpoints, join, source

Progress = Callable[[str], None]

SIGN_IN_AT_ONCE = 20
# An account may sign in ten times at once (api.limits): its people take turns.
ROUNDS_A_PERSON = 8
PAUSE_S = 0.015
# Of the visitor who walks through the endpoints; and of those who join, who come after all people there are.
WALKER_ADDRESSES = tuple(source(5000 + number) for number in range(6))
JOINERS_FROM = 10_000
GRANTS_FOR_S = 6.0
# Who asks beside a night: enough that nobody meets the limit of one address. In pieces, the last may outlast it.
NIGHT_GUESTS = 250
WALK_S = 0.5
JOINS, JOINS_FOR_S = 1000, 60.0
SEED = 1


async def while_signing_in(plane: Plane, load: Load, progress: Progress, rounds: int) -> SigningIn:
    """Row a. A visitor walks through the endpoints; in every other stretch 20 sign in at its beginning. Between them 20
    sign in while nobody else asks."""
    sets = -(-2 * rounds // ROUNDS_A_PERSON)
    progress(f"a: {SIGN_IN_AT_ONCE * sets + 1} people sign up")
    people = await plane.people(SIGN_IN_AT_ONCE * sets + 1)
    host = await plane.host(people.pop(), rooms=5)
    asks = endpoints(host, WALKER_ADDRESSES)
    # The first answers pay for what is made once: statements, templates, threads.
    await load.walk(asks, pause_s=0.0, for_s=2.0, beside=[people[0].sign_in()])
    found: list[tuple[list[Answered], list[Answered], list[Answered]]] = []
    lasts_s: list[float] = []
    quiet_lasts_s: list[float] = []
    hashes_s: list[float] = []
    for turn in range(rounds):
        places = ((2 * turn + more) % sets for more in (0, 1))
        crowd, another = (people[SIGN_IN_AT_ONCE * place :][:SIGN_IN_AT_ONCE] for place in places)
        hashes_s += [await load.one_hash_s() for _ in range(2)]
        for_s = lasts_s[-1] if lasts_s else SIGN_IN_AT_ONCE * hashes_s[0] / _cores()
        idle = await load.walk(asks, pause_s=PAUSE_S, for_s=for_s)
        busy = await load.walk(asks, pause_s=PAUSE_S, for_s=0.0, beside=[one.sign_in() for one in crowd])
        quiet = await load.walk([], pause_s=0.0, for_s=0.0, beside=[one.sign_in() for one in another])
        lasts_s.append(busy.last_s)
        quiet_lasts_s.append(quiet.last_s)
        found.append((idle.walked, busy.walked, [*busy.beside, *quiet.beside]))
        after = f"after {busy.last_s:.2f} s, and {quiet.last_s:.2f} s where nobody else asks"
        progress(f"a: round {turn + 1} of {rounds}: the last of {SIGN_IN_AT_ONCE} in {after}")
    idles, busies, signed_in = ([one for part in parts for one in part] for parts in zip(*found, strict=True))
    return SigningIn(SIGN_IN_AT_ONCE, _cores(), idles, busies, signed_in, lasts_s, quiet_lasts_s, hashes_s)


def _cores() -> int:
    return os.cpu_count() or 1


async def grants(plane: Plane, load: Load, progress: Progress) -> tuple[list[Answered], list[Answered]]:
    """Row b. One guest after the other asks; then 40 are in the room, and it is asked for again. Raises RuntimeError
    when they do not come in."""
    (person,) = await plane.people(1)
    host = await plane.host(person, rooms=1)
    number = host.events[0][1]
    addresses = [source(JOINERS_FROM - 1000 + turn) for turn in range(50)]
    asks = [join(number, address) for address in addresses]
    await load.walk(asks, pause_s=0.0, for_s=1.0)
    progress(f"b: grants to an empty room, {GRANTS_FOR_S:.0f} s")
    empty = await load.walk(asks, pause_s=PAUSE_S, for_s=GRANTS_FOR_S)
    async with Inside.at(plane.media) as inside:
        entered: list[Entered] = []
        async for one in load.arrive(asks[:ROOM_SEATS], [0.05 * turn for turn in range(ROOM_SEATS)]):
            inside.enter(_token(one), addresses[0])
            entered += await inside.entered(1)
        failed = [one.error for one in entered if one.error]
        if failed:
            raise RuntimeError(f"{len(failed)} of {ROOM_SEATS} did not come in: {failed[0]}")
        progress(f"b: grants to a room with {ROOM_SEATS} in it, {GRANTS_FOR_S:.0f} s")
        full = await load.walk(asks, pause_s=PAUSE_S, for_s=GRANTS_FOR_S)
    return empty.walked, full.walked


async def a_minute(
    plane: Plane, load: Load, progress: Progress, joins: int = JOINS, for_s: float = JOINS_FOR_S
) -> Minute:
    """Row c. They come as people do, by chance, each from an address of his own, and go into the media server."""
    rooms = -(-joins // ROOM_SEATS)
    (person,) = await plane.people(1)
    host = await plane.host(person, rooms=rooms)
    asks = []
    for turn in range(joins):
        # Of its own name each: the answers come as they are ready.
        asks.append(join(host.events[turn % rooms][1], source(JOINERS_FROM + turn), name=str(turn)))
    times = arrivals(joins, for_s)
    progress(f"c: {joins} join within {for_s:.0f} s, {rooms} rooms of {ROOM_SEATS}")
    got: list[Answered] = []
    async with Inside.at(plane.media) as inside:
        began, before = time.monotonic(), plane.spent()
        entering = 0
        async for one in load.arrive(asks, times):
            got.append(one)
            if one.good:
                inside.enter(_token(one), asks[int(one.name)].source)
                entering += 1
        entered = await inside.entered(entering)
        took_s, after = time.monotonic() - began, plane.spent()
    spent_s = {name: getattr(after, name) - getattr(before, name) for name in ("control_plane", "node", "worker")}
    return Minute(
        joins=joins,
        for_s=took_s,
        grants=got,
        entered_ms=[one.took_ms for one in entered if not one.error],
        failed=[one.error for one in entered if one.error],
        spent_s={name.replace("_", " "): value for name, value in spent_s.items()},
    )


async def renewals(
    count: int, progress: Progress, place: Place, *, beside: bool, idle_for_s: float = GRANTS_FOR_S
) -> tuple[Night, list[Answered], list[Answered]]:
    """Row d. A night of so many renewals, on fresh rows; with `beside`, guests ask for a grant one after the
    other, before it and as long as it lasts."""
    progress(f"d: {count} subscribers are made")
    async with Nightly.of(count, place) as nightly:
        told = 0

        def renewed(number: int) -> None:
            nonlocal told
            if number >= told + max(1, count // 10):
                told = number
                progress(f"d: {number} of {count} renewed")

        if not beside:
            progress(f"d: {count} are due, and nobody else asks")
            return await nightly.falls(renewed), [], []
        asks = [join(nightly.ready.room, source(JOINERS_FROM + turn)) for turn in range(NIGHT_GUESTS)]
        async with Load.at(nightly.ready.port) as load:
            await load.walk(asks, pause_s=0.0, for_s=1.0)
            idle = (await load.walk(asks, pause_s=PAUSE_S, for_s=idle_for_s)).walked
            progress(f"d: {count} are due, and guests ask for a grant meanwhile")
            busy: list[Answered] = []
            night = asyncio.create_task(nightly.falls(renewed))
            while not night.done():
                busy += (await load.walk(asks, pause_s=PAUSE_S, for_s=WALK_S)).walked
            return await night, idle, busy


def arrivals(count: int, within_s: float, seed: int = SEED) -> list[float]:
    """Times of so many who come by chance, ascending; the same for a seed."""
    chance = random.Random(seed)
    return sorted(chance.uniform(0.0, within_s) for _ in range(count))


def _token(answered: Answered) -> str:
    if not answered.good:
        raise RuntimeError(f"no grant: {answered.status} {answered.text}")
    return str(msgspec.json.decode(answered.text)["token"])
