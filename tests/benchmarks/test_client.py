"""The light client against a real server: what it sends arrives as it was sent, and what goes wrong is seen."""

from __future__ import annotations

import contextlib
import random

import pytest

from benchmarks.client import LightClient, Publish
from benchmarks.impairment import Link
from benchmarks.receiving import Slot
from benchmarks.sending import THREE_LAYERS
from benchmarks.signalling import Refused
from tests.servers import Server, eventually

pytestmark = pytest.mark.alone


async def join(server: Server, room: str, name: str, seed: int, **options: object) -> LightClient:
    token = await server.token(room, name)
    url = f"ws://127.0.0.1:{server.http_port}/ws"
    return await LightClient.join(url, token, chance=random.Random(seed), **options)  # type: ignore[arg-type]


async def shows(slot: Slot, number: int, layer: int = 0, frames: int = 25) -> None:
    """The newest stretch of the slot is this publisher's layer and lasts."""

    async def look() -> bool:
        last = slot.shown[-1] if slot.shown else None
        return last is not None and (last.participant, last.layer) == (number, layer) and last.frames >= frames

    await eventually(look, within_s=15, what=f"slot {slot.mid} shows {frames} frames of {number}, layer {layer}")


def flawless(client: LightClient) -> None:
    assert (client.unknown, client.unsealed) == (0, 0)
    for slot in client.slots.values():
        report = slot.report()
        assert (report.wrong_content, report.backwards, report.broken_pictures) == (0, 0, 0), (slot.mid, report)


async def test_two_see_and_hear_each_other_with_the_stamps_that_were_sent(server: Server) -> None:
    slots = {"audio_slots": 3, "video_slots": 1}
    async with contextlib.AsyncExitStack() as stack:
        people = []
        for number in (1, 2):
            publish = Publish(number, speaking=True)
            client = await join(server, "light", f"light {number}", number, publish=publish, **slots)
            stack.push_async_callback(client.leave)
            people.append(client)
        for me, other, number in ((people[0], people[1], 2), (people[1], people[0], 1)):
            await me.view({me.video[0].mid: (other.participant, "camera")})
            await shows(me.video[0], number)

            async def heard(me: LightClient = me, number: int = number) -> bool:
                return any(len(slot.heard.get(number, ())) >= 50 for slot in me.audio)

            await eventually(heard, within_s=10, what=f"a second of sound of {number}")
            assert not any(number not in slot.heard and slot.heard for slot in me.audio), "nobody hears himself"
        for me in people:
            flawless(me)


async def test_a_source_switch_and_a_layer_switch_begin_with_a_key_frame_and_run_on(server: Server) -> None:
    async with contextlib.AsyncExitStack() as stack:
        publishers = {}
        for number in (1, 2):
            publish = Publish(number, layers=THREE_LAYERS)
            publishers[number] = await join(server, "switch", f"publisher {number}", number, publish=publish)
            stack.push_async_callback(publishers[number].leave)
        viewer = await join(server, "switch", "viewer", 9, video_slots=1)
        stack.push_async_callback(viewer.leave)
        slot = viewer.video[0]
        for number, height, layer in ((1, 180, 0), (2, 180, 0), (2, 720, 2), (1, 360, 1)):
            await viewer.view({slot.mid: (publishers[number].participant, "camera")}, max_height=height)
            await shows(slot, number, layer)
        assert all(publisher.key_frames_asked for publisher in publishers.values())
        flawless(viewer)


async def test_three_in_a_hundred_lost_each_way_are_repaired(server: Server) -> None:
    async with contextlib.AsyncExitStack() as stack:
        bad = Link(loss=0.03, delay_ms=10)
        sender = await join(server, "loss", "sender", 1, publish=Publish(1, sound=False), uplink=bad)
        stack.push_async_callback(sender.leave)
        viewer = await join(server, "loss", "viewer", 2, video_slots=1, downlink=bad)
        stack.push_async_callback(viewer.leave)
        slot = viewer.video[0]
        await viewer.view({slot.mid: (sender.participant, "camera")})
        await shows(slot, 1, frames=100)

        async def many() -> bool:
            return slot.packets >= 600

        await eventually(many, within_s=30, what="600 packets came")
        assert sender.camera is not None
        assert sum(stream.repaired for stream in sender.camera.streams) >= 5, "the server asked for what it missed"
        assert slot.recovered >= 5, "the viewer asked for what he missed"
        assert slot.lost <= slot.packets / 100
        assert (slot.wrong_content, viewer.unsealed) == (0, 0)


async def test_a_bad_token_is_refused_with_its_code(server: Server) -> None:
    with pytest.raises(Refused) as refused:
        await LightClient.join(f"ws://127.0.0.1:{server.http_port}/ws", "no token")
    assert refused.value.code == "unauthorized"
