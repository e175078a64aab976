"""Audiences of a thousand on a real media server, of ten thousand in its room's own logic, and forty with media."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.client import LightClient, Publish
from benchmarks.signalling import Refused
from control_plane.billing.allowance import of_plan
from control_plane.billing.catalogue import CATALOGUE
from control_plane.rooms import grants, limits, policies
from control_plane.storage.store import Store
from sfu.contract import Policy
from sfu.errors import RoomFull
from sfu.room import Room
from sfu.room_values import Enter, Tell
from sfu.signalling.told import hearers
from tests.control_plane.entries import entry
from tests.control_plane.rooms.hall import API_TOKEN, Hall
from tests.control_plane.rooms.stage import Client, Stage, stage
from tests.servers import eventually


async def crowd(on: Stage, event: dict[str, object], people: int, at_once: int = 10) -> list[Client]:
    """Each asks the control plane for a grant and joins with it, so many at a time."""
    turn = asyncio.Semaphore(at_once)

    async def one() -> Client:
        async with turn:
            return await on.join(event)

    return list(await asyncio.gather(*(one() for _ in range(people))))


@pytest.mark.long
async def test_a_thousand_attend_a_webinar_and_the_next_is_refused_and_a_large_event_takes_him(
    store: Store, tmp_path: Path
) -> None:
    async with stage(store, tmp_path) as on:
        on.here.plans["acc_a"] = "business"
        event = on.here.plan_event(kind="webinar")
        host = await on.join(event, "owner acc_a")
        began = time.monotonic()
        people = await crowd(on, event, 999)
        took_s = time.monotonic() - began
        with entry("PROD-02.1"):
            assert await on.count(event) == 1_000
            with pytest.raises(Refused, match="room_full: all 1000 seats of the room are taken"):
                await on.join(event)
            assert not any(one.joined["may_publish"] for one in people) and host.joined["may_publish"]
        # The control plane and the media server share the machine with a thousand clients.
        with entry("PROD-03.3"):
            assert took_s < 60, f"a thousand joins took {took_s:.0f} s"
            assert all(one.in_room for one in people)
        on.here.change(event, kind="large")
        await on.carry()
        await on.join(event)
        assert await on.count(event) == 1_001


def viewer(number: int) -> Enter:
    return Enter(f"p{number}", f"V{number}", "attendee", (), identity=f"gst_{number}")


def test_ten_thousand_have_seats_and_the_next_is_refused(here: Hall) -> None:
    here.plans["acc_a"] = "business"
    event = here.plan_event(kind="large")
    grant = here.grant(event)
    body = here.store.read(lambda connection: policies.body(connection, here.setup, event["id"]))
    assert body is not None
    # The room of the media server, under the very policy that it is sent; who sits there is made up.
    policy = Policy(**{name: body[1][name] for name in ("seats", "senders", "version")})
    room = Room(1, event["number"], policy)
    for number in range(10_000):
        room.apply(viewer(number))
    with entry("PROD-03.1"):
        assert grant.limits is not None and (grant.limits.seats, policy.seats) == (10_000, 10_000)
        assert (len(room), room.seats.audience) == (10_000, 10_000)
        with pytest.raises(RoomFull, match="all 10000 seats"):
            room.apply(viewer(10_000))
        assert limits.of("large", of_plan(CATALOGUE, "business"), 50_000).seats == 10_000
    seen: list[str] = []
    after = None
    while True:
        page, after = room.seats.roster(None, after, 1000)
        seen += [seat.participant for seat in page]
        if after is None:
            break
    said = room.apply(Tell("p9999", None, "chat", "hello"))
    with entry("PROD-03.2"):
        assert seen == [f"p{number}" for number in range(10_000)]
        assert len(said.events) == 1 and len(list(hearers(room, said.events[0]))) == 10_000


async def test_a_real_media_server_takes_the_policy_of_a_large_event(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        on.here.plans["acc_a"] = "business"
        event = on.here.plan_event(kind="large", seats=2)
        on.here.change(event, seats=10_000)
        assert await on.carry() == 1
        status, told = await on.server.get_with(f"/v1/rooms/{event['number']}/policy", API_TOKEN)
        assert (status, told["seats"], told["senders"]) == (200, 10_000, 25)
        on.here.change(event, seats=3)
        for _ in range(3):
            await on.join(event)
        with pytest.raises(Refused, match="all 3 seats"):
            await on.join(event)


@contextlib.asynccontextmanager
async def media_people(on: Stage, event: dict[str, object], people: int) -> AsyncIterator[list[LightClient]]:
    clients: list[LightClient] = []
    try:
        for number in range(people):
            token = await asyncio.to_thread(on.here.token, event)
            publish = Publish(number + 1, fps=2, speaking=number < 3)
            clients.append(await LightClient.join(on.url, token, publish=publish, video_slots=1))
        yield clients
    finally:
        await asyncio.gather(*(one.leave() for one in clients), return_exceptions=True)


@pytest.mark.long
async def test_all_forty_publish_sound_and_pictures_and_each_is_seen_by_another(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        event = on.here.plan_event()
        async with media_people(on, event, 40) as people:
            assert grants.RIGHTS["meeting"]["attendee"].publish
            for number, one in enumerate(people):
                shown = people[(number + 1) % 40]
                await one.view({one.video[0].mid: (shown.participant, "camera")})

            async def all_seen() -> bool:
                return all(
                    any(
                        shown.participant == (number + 1) % 40 + 1 and shown.frames >= 2 for shown in one.video[0].shown
                    )
                    for number, one in enumerate(people)
                )

            await eventually(all_seen, within_s=120, what="each sees pictures of the next")
            with entry("PROD-01.6"):
                assert await on.server.metric('stentor_tracks{source="camera"}') == 40
                assert await on.server.metric('stentor_tracks{source="microphone"}') == 40
                assert await on.count(event) == 40
