"""The benchmark itself, small, against a server that runs: ratios alone, and far from the gates, which a shared machine
could not hold."""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator

import pytest

from benchmarks.control_plane import judge, measures
from benchmarks.control_plane.load import Load
from benchmarks.control_plane.plane import Plane, endpoints, source

# The gates are 5 and 1.3. These fail where an endpoint waits for hashing (20 of them, one after the other, take a
# hundred times as long as any endpoint) or where hashing takes one core alone and waits for something else besides.
SLOWED_MAX = 20.0
LAST_MAX = 4.0


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with Plane.at() as running:
        yield running


@pytest.mark.slow
@pytest.mark.timed
async def test_twenty_who_sign_in_hold_nobody_up_and_a_handful_comes_in_by_grants(plane: Plane) -> None:
    async with Load.at(plane.port) as load:
        found = await measures.while_signing_in(plane, load, lambda what: None, rounds=2)
        everything = (*found.idle, *found.busy, *found.signed_in)
        assert [one for one in everything if not one.good] == []
        assert len(found.signed_in) == 80, "20 beside the visitor and 20 by themselves, twice"
        host = await plane.host((await plane.people(1))[0], rooms=1)
        asked = {ask.name for ask in endpoints(host, [source(0)])}
        assert {one.name for one in found.idle} == {one.name for one in found.busy} == asked
        assert judge.p95_ms(found.busy) / judge.p95_ms(found.idle) <= SLOWED_MAX
        fair_s = found.people * statistics.median(found.hashes_s) / found.cores
        assert min(found.lasts_s) / fair_s <= LAST_MAX
        assert min(found.lasts_s) / fair_s > 0.3, "or it was not Argon2 at its full cost"

        came = await measures.a_minute(plane, load, lambda what: None, joins=45, for_s=3.0)
        assert (len(came.grants), len(came.entered_ms), list(came.failed)) == (45, 45, [])
        assert all(one.good for one in came.grants)
        assert set(came.spent_s) == {"control plane", "node", "worker"}
        assert came.spent_s["control plane"] > 0 and came.spent_s["node"] > 0


def test_people_come_by_chance_but_the_same_way_each_time() -> None:
    times = measures.arrivals(1000, 60.0)
    assert times == measures.arrivals(1000, 60.0) == sorted(times)
    assert len(times) == 1000 and times[0] >= 0.0 and times[-1] <= 60.0
    busiest = max(sum(start <= at < start + 1 for at in times) for start in range(60))
    assert busiest > 1000 / 60, "not like clockwork"
