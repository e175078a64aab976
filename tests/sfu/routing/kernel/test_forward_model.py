"""Both builds of the forwarding loops against a model that keeps everything in dicts and knows no ring."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.routing.tables import Codec
from tests.kernels import LIMITS, Compiled, Delivered, Interpreted, Media

pytestmark = pytest.mark.asan

FIRST = 100
FRESH_US = 300_000


class Publisher:
    """Makes frames for each layer: one to three packets each, temporal layers 0 2 1 2 or none, its own numbers."""

    def __init__(
        self, layers: int, draw: random.Random, first_index: int | None = None, *, temporal: bool = True
    ) -> None:
        self.draw = draw
        self.temporal = (0, 2, 1, 2) if temporal else (0,)
        self.next_index = [draw.randrange(0, 30000) if first_index is None else first_index for _ in range(layers)]
        self.timestamp = [draw.getrandbits(32) for _ in range(layers)]
        self.picture = [draw.getrandbits(15) for _ in range(layers)]
        self.tl0 = [draw.getrandbits(8) for _ in range(layers)]
        self.frames = 0

    def frame(self, layer: int, *, key: bool) -> list[Media]:
        temporal = 0 if key else self.temporal[self.frames % len(self.temporal)]
        self.frames += 1
        self.timestamp[layer] = (self.timestamp[layer] + 3000) & 0xFFFFFFFF
        self.picture[layer] = (self.picture[layer] + 1) & 0x7FFF
        if temporal == 0:
            self.tl0[layer] = (self.tl0[layer] + 1) & 0xFF
        count = self.draw.randint(1, 3)
        packets = []
        for part in range(count):
            packets.append(
                Media(
                    layer, self.next_index[layer], self.timestamp[layer], self.picture[layer], self.tl0[layer],
                    temporal, key, part == 0, part == count - 1, b"%d/%d" % (layer, self.next_index[layer]),
                )
            )  # fmt: skip
            self.next_index[layer] += 1
        return packets


class ModelSlot:
    """A slot as its rules say: nothing is ever forgotten, every number is counted from the beginning."""

    def __init__(self) -> None:
        self.current = self.wanted = -1
        self.temporal = 3
        self.highest_out = FIRST
        self.start = self.base = 0
        self.left_out: set[int] = set()
        self.newest = -1
        self.sent: set[int] = set()

    def out_index(self, index: int) -> int:
        return self.base + index - self.start - sum(1 for gone in self.left_out if gone < index)

    def take(self, media: Media, log: list[tuple[bytes, int]]) -> None:
        """Forward one packet of the current layer, or leave it out."""
        if media.index < self.start:
            return
        if media.temporal > self.temporal:
            if media.index > self.newest:
                self.newest = media.index
                self.left_out.add(media.index)
            return
        self.newest = max(self.newest, media.index)
        out = self.out_index(media.index)
        assert out not in self.sent, "the model itself would seal an index twice"
        self.sent.add(out)
        self.highest_out = max(self.highest_out, out)
        log.append((media.tag, out))

    def switch(self, layer: int, index: int) -> None:
        self.current, self.wanted = layer, -1
        self.start, self.base = index, self.highest_out + 1
        self.left_out, self.newest = set(), index - 1


class Model:
    def __init__(self, layers: int, slots: int) -> None:
        self.kept: list[dict[int, Media]] = [{} for _ in range(layers)]
        self.key: list[tuple[int, int]] = [(-1, 0)] * layers  # index, when
        self.slots = [ModelSlot() for _ in range(slots)]
        self.now_us = 0

    def want(self, slot: int, layer: int, temporal: int) -> dict[int, list[tuple[bytes, int]]]:
        at, log = self.slots[slot], dict[int, list[tuple[bytes, int]]]()
        at.wanted = -1
        if layer < 0:
            at.current = -1
        elif at.current != layer:
            at.wanted = layer
            index, when = self.key[layer]
            if index >= 0 and self.now_us - when <= FRESH_US:
                log[slot] = self._catch_up(at, layer, index, temporal)
        return log

    def _catch_up(self, at: ModelSlot, layer: int, first: int, temporal: int) -> list[tuple[bytes, int]]:
        log: list[tuple[bytes, int]] = []
        at.temporal = temporal
        at.switch(layer, first)
        for index in sorted(index for index in self.kept[layer] if index >= first):
            at.take(self.kept[layer][index], log)
        return log

    def send(self, batch: list[Media], temporal: dict[int, int]) -> dict[int, list[tuple[bytes, int]]]:
        """A burst of one layer: those who carry it first, then those who wait for its key frame."""
        layer = batch[0].layer
        fresh = [media for media in batch if media.index not in self.kept[layer]]
        for media in fresh:
            self.kept[layer][media.index] = media
            if media.key_frame and media.frame_start and media.index > self.key[layer][0]:
                self.key[layer] = (media.index, self.now_us)
        log: dict[int, list[tuple[bytes, int]]] = {}
        keys = [media.index for media in fresh if media.key_frame and media.frame_start]
        for number, at in enumerate(self.slots):
            if at.current == layer:
                mine = log.setdefault(number, [])
                for media in fresh:
                    at.take(media, mine)
            elif at.wanted == layer and keys:
                log[number] = self._catch_up(at, layer, keys[-1], temporal[number])
        return log


def pairs(delivered: list[Delivered]) -> dict[int, list[tuple[bytes, int]]]:
    found: dict[int, list[tuple[bytes, int]]] = {}
    for packet in delivered:
        found.setdefault(packet.slot, []).append((packet.tag, packet.index))
    return found


def without_empty(log: dict[int, Any]) -> dict[int, Any]:
    return {slot: sent for slot, sent in log.items() if sent}


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264, Codec.VP9, Codec.AV1])
@pytest.mark.parametrize("build", [Interpreted, Compiled])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), layers=st.integers(1, 3), slots=st.integers(1, 4), loss=st.sampled_from([0, 0.1]))
def test_every_history_is_forwarded_as_the_model_says(
    build: Callable[..., Any], codec: Codec, seed: int, layers: int, slots: int, loss: float
) -> None:
    draw = random.Random(seed)
    publisher = Publisher(layers, draw, temporal=codec is Codec.VP8)
    model, kernel = Model(layers, slots), build(layers, slots, codec=codec)
    temporal = {slot: draw.choice([0, 1, 3]) for slot in range(slots)}
    late: list[Media] = []
    seen: dict[int, set[int]] = {slot: set() for slot in range(slots)}
    last_timestamp: dict[int, int] = {}
    try:
        for step in range(60):
            elapsed = draw.choice([1000, 33_000, 400_000]) if step % 10 == 0 else 33_000
            model.now_us += elapsed
            expected: dict[int, list[tuple[bytes, int]]] = {}
            if draw.random() < 0.2:
                slot, layer = draw.randrange(slots), draw.randrange(-1, layers)
                kernel.send([], elapsed)
                expected = model.want(slot, layer, temporal[slot])
                kernel.want(slot, layer, temporal[slot])
            else:
                layer = draw.randrange(layers)
                batch = publisher.frame(layer, key=step == 0 or draw.random() < 0.15)
                # What is lost now comes later, out of order, as a repair does.
                late += [media for media in batch if draw.random() < loss]
                # The model knows no ring: what is as old as the ring is long stays lost.
                newest = max(media.index for media in batch)
                late = [media for media in late if media.layer != layer or newest - media.index < LIMITS.ring - 1]
                batch = [media for media in batch if media not in late]
                batch += [late.pop() for media in list(late[:1]) if draw.random() < 0.5 and late[-1].layer == layer]
                if batch:
                    expected = model.send(batch, temporal)
                kernel.send(batch, elapsed)
            delivered = kernel.delivered()
            assert pairs(delivered) == without_empty(expected)
            for packet in delivered:
                assert packet.index not in seen[packet.slot], "sealed twice"
                seen[packet.slot].add(packet.index)
                if packet.index == max(seen[packet.slot]):
                    ahead = (packet.timestamp - last_timestamp.get(packet.slot, packet.timestamp)) & 0xFFFFFFFF
                    assert ahead < 1 << 31, "the slot's clock went back"
                    last_timestamp[packet.slot] = packet.timestamp
    finally:
        kernel.close()
