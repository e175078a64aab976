"""The channel: every message comes back as it was, and what is not one is a ChannelError."""

from __future__ import annotations

import asyncio
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu import channel
from tests.sfu.fake_worker import PEER

DESCRIBE = channel.Describe(
    request=1,
    peer=2,
    room=3,
    ice=channel.IceParameters("a", "b", "c", "d"),
    fingerprints=(channel.Fingerprint("sha-256", "AB:CD"),),
    dtls_server=True,
    extensions=channel.Extensions(mid=4),
    tracks=(
        channel.TrackDescription(
            5, "0", "video", "VP8", 96, 90000, 97, ("q", "h"), (channel.BoundSsrc(1, 2, "q"),), True
        ),
    ),
    slots=(channel.SlotDescription("1", "audio", "opus", 111, 48000, 77, pair="2"),),
)
COMMANDS: list[channel.Command] = [
    DESCRIBE,
    channel.View(peer=1, slots=(channel.SlotWish("0", 5, 720, 30, 1, 6),)),
    channel.Limit(peer=1, max_kbps=300),
    channel.Mute(track=5, muted=True),
    channel.Close(peer=1),
    channel.Snapshot(request=9),
    channel.Inspect(request=10, room=3, after=7),
    channel.Meter(request=11),
    channel.Stop(),
]
HISTOGRAM = channel.Histogram((0.1,), (2, 1), 0.5)
PROCESS = channel.ProcessUse(0.5, 1, 2, 3)
EVENTS: list[channel.Event] = [
    channel.WorkerReady(0, 1, (("192.0.2.1", 7000),), channel.Fingerprint("sha-256", "AB")),
    channel.Done(1),
    channel.Refused(1, "overloaded", "full"),
    channel.PeerConnected(1),
    channel.PeerFailed(1, "media_failed", "no"),
    channel.PathSilent(1, True),
    channel.SlotShown(1, "0", 5, 720),
    channel.TrackLayers(5, (("q", 180, 100_000),)),
    channel.Levels(3, ((5, 900),)),
    channel.Counters(1, {"FORWARDED": 1}, {}, {}, {}, {}, {}, 0.5, 0.1, HISTOGRAM, HISTOGRAM, {"send": 1}, PROCESS),
    channel.Inspection(10, (PEER,), 7),
    channel.Metered(11, ((1, 900, 2_000),)),
]


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def test_every_kind_of_message_is_tried_here() -> None:
    assert {type(command) for command in COMMANDS} == set(get_args(channel.Command))
    assert {type(event) for event in EVENTS} == set(get_args(channel.Event))


async def test_commands_come_back_as_they_were_in_order_and_then_the_end() -> None:
    reader = stream(b"".join(channel.encode(command) for command in COMMANDS))
    assert [await channel.read_command(reader) for _ in COMMANDS] == COMMANDS
    assert await channel.read_command(reader) is None


async def test_events_come_back_as_they_were_in_order_and_then_the_end() -> None:
    reader = stream(b"".join(channel.encode(event) for event in EVENTS))
    assert [await channel.read_event(reader) for _ in EVENTS] == EVENTS
    assert await channel.read_event(reader) is None


async def test_an_event_is_no_command_and_a_command_no_event() -> None:
    with pytest.raises(channel.ChannelError):
        await channel.read_command(stream(channel.encode(channel.Done(1))))
    with pytest.raises(channel.ChannelError):
        await channel.read_event(stream(channel.encode(channel.Stop())))


async def test_an_end_in_the_middle_of_a_message_is_a_fault() -> None:
    whole = channel.encode(DESCRIBE)
    for length in (1, 3, 4, len(whole) - 1):
        with pytest.raises(channel.ChannelError, match="in the middle"):
            await channel.read_command(stream(whole[:length]))


async def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data((channel.MESSAGE_BYTES_MAX + 1).to_bytes(4, "big"))  # and nothing more: reading on would hang
    async with asyncio.timeout(5):
        with pytest.raises(channel.ChannelError, match="over the limit"):
            await channel.read_command(reader)


def test_a_message_over_the_limit_is_not_written() -> None:
    with pytest.raises(channel.ChannelError, match="Refused"):
        channel.encode(channel.Refused(1, "internal", "x" * channel.MESSAGE_BYTES_MAX))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.integers(0, 400).map(lambda cut: msgspec.msgpack.encode(DESCRIBE)[:cut])))
def test_any_body_is_a_message_or_a_channel_error(body: bytes) -> None:
    async def read() -> None:
        for one in (channel.read_command, channel.read_event):
            try:
                message = await one(stream(len(body).to_bytes(4, "big") + body))
            except channel.ChannelError:
                continue
            assert isinstance(message, msgspec.Struct)

    asyncio.run(read())
