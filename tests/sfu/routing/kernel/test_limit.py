"""What a grant allows in kbit/s is kept by the kernel: pictures stop at the limit, speech goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sfu.routing.commands import Row
from sfu.routing.tables import Arrival
from tests.kernels import MID, RID, TWCC, VIDEO_PT, Compiled, Media, rtp, vp8_payload

pytestmark = pytest.mark.asan

SECONDS = 20


@pytest.fixture
def pictures() -> Iterator[Compiled]:
    made = Compiled(layers=1, slots=1)
    yield made
    made.close()


@pytest.fixture
def speech() -> Iterator[Compiled]:
    made = Compiled(layers=1, slots=1, audio=True)
    yield made
    made.close()


def send_for(kernel: Compiled, seconds: int, packets_per_s: int, octets: int, *, first: int) -> int:
    """A steady stream; how many of its packets were dropped at the limit."""
    before = kernel.arrived(Arrival.OVER_LIMIT)
    for number in range(seconds * packets_per_s):
        index = first + number
        media = Media(0, index, index * 3000, index & 0x7FFF, index & 255, 0, number == 0, True, True, b"x" * octets)
        kernel.send([media], 1_000_000 // packets_per_s)
    return kernel.arrived(Arrival.OVER_LIMIT) - before


def test_a_picture_stream_above_its_limit_is_cut_to_it_and_one_below_is_not_touched(pictures: Compiled) -> None:
    pictures.want(0, 0)
    pictures.commands.set_limit(Row(0, 1), 400)  # 500 kbit/s with headers and repairs
    assert send_for(pictures, SECONDS, 50, 1000, first=100) == 0  # 430 kbit/s
    dropped = send_for(pictures, SECONDS, 200, 1000, first=5000)  # 1.7 Mbit/s
    taken_bps = (200 * SECONDS - dropped) * 1062 * 8 / SECONDS
    assert 0.95 * 500_000 <= taken_bps <= 1.1 * 500_000  # up to a second's worth was saved up before


def test_a_dropped_packet_is_lost_to_transport_feedback_too(pictures: Compiled) -> None:
    pictures.commands.set_limit(Row(0, 1), 8)  # one packet's worth in a second
    pictures.want(0, 0)
    for index in range(100, 105):
        media = Media(0, index, index * 3000, index, index, 0, index == 100, True, True, b"x" * 1000)
        elements = [(MID, b"v"), (RID, b"0"), (TWCC, index.to_bytes(2, "big"))]
        packet = rtp(VIDEO_PT, index, media.timestamp, 500, vp8_payload(media), marker=True, elements=elements)
        pictures.send_datagram(pictures.publisher.srtp.seal_rtp(packet, index))
        pictures.step(1000)
    assert pictures.arrived(Arrival.OVER_LIMIT) == 4
    assert int(pictures.kernel.arrays["peers"]["arrivals"][0]) == 1


def test_speech_goes_on_below_twice_the_limit(speech: Compiled) -> None:
    speech.want(0, 0)
    speech.commands.set_limit(Row(0, 1), 40)  # 50 kbit/s, and a second's overdraft
    assert send_for(speech, 10, 50, 90, first=100) == 0  # 48 kbit/s


def test_a_flood_called_speech_is_cut_as_well(speech: Compiled) -> None:
    speech.want(0, 0)
    speech.commands.set_limit(Row(0, 1), 40)
    assert send_for(speech, 10, 50, 1000, first=100) > 400


def test_without_a_limit_nothing_is_dropped_and_a_new_one_holds_at_once(pictures: Compiled) -> None:
    pictures.want(0, 0)
    assert send_for(pictures, 2, 200, 1000, first=100) == 0
    pictures.commands.set_limit(Row(0, 1), 100)
    assert send_for(pictures, 2, 200, 1000, first=2000) > 300
    pictures.commands.set_limit(Row(0, 1), 0)
    assert send_for(pictures, 2, 200, 1000, first=5000) == 0
