"""Camera codecs beside VP8: a slot starts at their key frames, all else is alike. Several slots on one source."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from sfu.routing import tables
from sfu.routing.commands import Row
from sfu.routing.tables import Arrival, Codec, Counter, Departure, Event
from tests.kernels import HEADS, MID, RID, VIDEO_PT, Compiled, Delivered, Media, rtp
from tests.sfu.routing.kernel.test_forward_model import Publisher
from tests.sfu.routing.kernel.test_repair import nack, same_payload

pytestmark = pytest.mark.asan

CODECS = [Codec.VP8, Codec.H264, Codec.VP9, Codec.AV1]
Make = Callable[..., Compiled]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Compiled] = []

    def one(codec: Codec, layers: int = 1, slots: int = 1) -> Compiled:
        made.append(Compiled(layers, slots, codec=codec))
        return made[-1]

    yield one
    for kernel in made:
        kernel.close()


def layers_told(kernel: Compiled) -> list[tuple[int, int, int]]:
    """(row, height, width) of each LAYER event so far."""
    return [(fact[1], fact[3], fact[4]) for fact in kernel.facts if fact[0] == Event.LAYER]


def raw(kernel: Compiled, index: int, timestamp: int, payload: bytes) -> bytes:
    elements = [(MID, b"v"), (RID, b"0")]
    packet = rtp(VIDEO_PT, index, timestamp, 500, payload, marker=False, elements=elements)
    return kernel.publisher.srtp.seal_rtp(packet, index)


@pytest.mark.parametrize("codec", CODECS)
def test_a_slot_starts_at_a_key_frame_and_its_height_is_told(make: Make, codec: Codec) -> None:
    kernel, publisher = make(codec), Publisher(1, random.Random(3), temporal=False)
    kernel.send(publisher.frame(0, key=True), 33_000)
    kernel.send([], 400_000)  # too old to be sent again
    kernel.want(0, 0)
    for _ in range(3):
        kernel.send(publisher.frame(0, key=False), 33_000)
    assert kernel.delivered() == []
    frame = publisher.frame(0, key=True)
    kernel.send(frame, 33_000)
    assert [packet.tag for packet in kernel.delivered()] == [media.tag for media in frame]
    assert layers_told(kernel) == [(0, 180, 320)]
    assert kernel.kernel.arrays["counters"][Counter.KEY_FRAMES] == 2


@pytest.mark.parametrize("codec", CODECS)
def test_a_switch_of_layer_waits_for_the_key_frame_of_the_new_one(make: Make, codec: Codec) -> None:
    kernel, publisher = make(codec, layers=2), Publisher(2, random.Random(4), temporal=False)
    kernel.want(0, 0)
    shown: list[Delivered] = []
    for turn in range(12):
        for layer in (0, 1):
            kernel.send(publisher.frame(layer, key=turn in (0, 8)), 16_000)
        if turn == 5:
            kernel.want(0, 1)
        shown += kernel.delivered()
    layers = [packet.tag[:1] for packet in shown]
    assert layers == sorted(layers) and set(layers) == {b"0", b"1"}
    assert [packet.index for packet in shown] == list(range(101, 101 + len(shown)))
    assert [packet.timestamp for packet in shown] == sorted(packet.timestamp for packet in shown)


@pytest.mark.parametrize("codec", CODECS)
def test_a_nack_is_answered_with_the_same_payload(make: Make, codec: Codec) -> None:
    kernel, publisher = make(codec), Publisher(1, random.Random(5), temporal=False)
    kernel.want(0, 0)
    for turn in range(8):
        kernel.send(publisher.frame(0, key=turn == 0), 33_000)
    sent = kernel.delivered()
    assert len(sent) > 8
    for original in sent:
        (repair,) = nack(kernel, [original.index])
        assert repair.repair_of == original.index & 0xFFFF and same_payload(repair, original)


@pytest.mark.parametrize(
    ("codec", "payload"), [(Codec.VP8, b"\x80"), (Codec.H264, b"\x78\x00"), (Codec.VP9, b"\x80"), (Codec.AV1, b"\x08")]
)
def test_a_payload_cut_short_is_malformed_and_the_stream_beside_it_goes_on(
    make: Make, codec: Codec, payload: bytes
) -> None:
    kernel, publisher = make(codec), Publisher(1, random.Random(6), first_index=500, temporal=False)
    kernel.want(0, 0)
    kernel.send(publisher.frame(0, key=True), 33_000)
    kernel.delivered()
    kernel.send_datagram(raw(kernel, 700, 5, payload))
    kernel.step()
    assert kernel.arrived(Arrival.MALFORMED) == 1
    frame = publisher.frame(0, key=False)
    kernel.send(frame, 33_000)
    assert [packet.tag for packet in kernel.delivered()] == [media.tag for media in frame]


def test_parameter_sets_in_two_packets_begin_one_key_frame_at_the_first(make: Make) -> None:
    """A slot that started at the second would lack the first."""
    kernel = make(Codec.H264)
    key, slice_, _ = HEADS[Codec.H264]
    kernel.want(0, 0)
    for index, payload in enumerate((key + b"#a", key + b"#b", b"\x68#pps", b"\x7c\x85#idr", slice_ + b"#c")):
        kernel.send_datagram(raw(kernel, 300 + index, 9000 if index < 4 else 12_000, payload))
    kernel.step(20_000)
    assert [packet.tag for packet in kernel.delivered()] == [b"a", b"b", b"pps", b"idr", b"c"]
    assert kernel.kernel.arrays["counters"][Counter.KEY_FRAMES] == 1


def test_a_key_frame_of_unknown_size_is_told_once_and_shown(make: Make) -> None:
    kernel = make(Codec.H264)
    kernel.want(0, 0)
    for index in (300, 400):
        kernel.send_datagram(raw(kernel, index, index * 90, b"\x7c\x87#set"))
    kernel.step(20_000)
    assert [packet.tag for packet in kernel.delivered()][-1:] == [b"set"]
    assert layers_told(kernel) == [(0, 0, 0)]
    kernel.send([Media(0, 500, 90_000, key_frame=True)], 20_000)
    assert layers_told(kernel) == [(0, 0, 0), (0, 180, 320)]


@pytest.mark.parametrize("codec", CODECS)
def test_two_slots_of_one_viewer_show_one_source_at_two_heights_and_then_at_one(make: Make, codec: Codec) -> None:
    kernel, publisher = make(codec, layers=2), Publisher(2, random.Random(7), temporal=False)
    second = Row(1, 1)
    kernel.commands.add_slot(
        second, Row(1, 1), kind=tables.Kind.VIDEO, codec=codec, payload_type=100, rtx_payload_type=101,
        clock_rate=90000, ssrc=1001, rtx_ssrc=2001, ranked=False, first_numbers=100, first_timestamp=1 << 31, mid=b"w",
    )  # fmt: skip
    kernel.step()

    def shown() -> dict[int, list[tuple[int, bytes]]]:
        """SSRC -> (index, tag) of what came since the last call."""
        found: dict[int, list[tuple[int, bytes]]] = {}
        for datagram in kernel.viewers[0].datagrams():
            opened = kernel.viewers[0].open(datagram)
            if opened is not None:
                found.setdefault(opened[0], []).append((opened[1], opened[2].rsplit(b"/", 1)[0][-1:]))
        return found

    kernel.want(0, 0)
    kernel.want(1, 1)
    for turn in range(6):
        for layer in (0, 1):
            kernel.send(publisher.frame(layer, key=turn == 0), 16_000)
    first = shown()
    kernel.want(1, 0)
    both: dict[int, list[tuple[int, bytes]]] = {}
    for turn in range(4):
        kernel.send([replace(media, tag=b"x0/" + media.tag) for media in publisher.frame(0, key=turn == 1)], 33_000)
    for ssrc, packets in shown().items():
        both[ssrc] = first[ssrc] + packets
    assert [{tag for _, tag in first[ssrc]} for ssrc in (1000, 1001)] == [{b"0"}, {b"1"}]
    for packets in both.values():
        indices = [index for index, _ in packets]
        assert indices == list(range(101, 101 + len(indices)))
    assert both[1001][-1][1] == b"0" and kernel.departed(Departure.REFUSED_INDEX) == 0
