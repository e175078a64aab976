"""The pacer row: rate 0 sends now; with a rate packets wait as references, in order, numbered when they leave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sfu.routing.commands import Row
from sfu.routing.tables import Departure
from tests.kernels import Compiled, Delivered, Media

pytestmark = pytest.mark.asan

RATE_BPS = 1_000_000


@pytest.fixture
def kernel() -> Iterator[Compiled]:
    made = Compiled(layers=1, slots=2)
    made.want(0, 0)
    made.want(1, 0)
    yield made
    made.close()


def pace(kernel: Compiled, slot: int, rate_bps: int) -> None:
    kernel.commands.set_rate(Row(slot + 1, 1), rate_bps)
    kernel.step()


def burst(kernel: Compiled, first: int, count: int) -> None:
    """One frame of `count` packets of about 1,000 bytes in one step."""
    frame = [
        Media(0, index, first * 3000, first & 0x7FFF, 1, 0, first == 100, index == first, index == first + count - 1,
              b"%d" % index + bytes(1000))
        for index in range(first, first + count)
    ]  # fmt: skip
    kernel.send(frame)


def of(delivered: list[Delivered], slot: int) -> list[int]:
    return [packet.index for packet in delivered if packet.slot == slot]


def test_without_a_rate_all_leaves_in_the_step_that_received_it(kernel: Compiled) -> None:
    burst(kernel, 100, 40)
    got = kernel.delivered()
    assert len(of(got, 0)) == len(of(got, 1)) == 40


def test_with_a_rate_the_rest_waits_and_the_other_viewer_does_not(kernel: Compiled) -> None:
    pace(kernel, 0, RATE_BPS)
    burst(kernel, 100, 40)
    got = kernel.delivered()
    assert len(of(got, 1)) == 40
    assert 1 <= len(of(got, 0)) <= 3  # 5 ms of 1 Mbit/s is less than one packet
    assert kernel.departed(Departure.QUEUED) == 40 - len(of(got, 0))


def test_the_queue_empties_in_order_at_the_rate_and_is_numbered_when_it_leaves(kernel: Compiled) -> None:
    pace(kernel, 0, RATE_BPS)
    burst(kernel, 100, 40)
    got = of(kernel.delivered(), 0)
    elapsed_ms = 0
    while len(got) < 40:
        kernel.step(1000)
        elapsed_ms += 1
        came = of(kernel.delivered(), 0)
        assert len(came) <= 2, "a burst"
        got += came
        assert elapsed_ms < 1000
    assert got == list(range(got[0], got[0] + 40))
    # 40 packets of about 8,150 bits take 326 ms at this rate.
    assert 250 < elapsed_ms < 400


def test_what_comes_while_the_queue_is_not_empty_waits_behind_it(kernel: Compiled) -> None:
    pace(kernel, 0, RATE_BPS)
    burst(kernel, 100, 10)
    burst(kernel, 110, 3)
    got: list[int] = []
    for _ in range(300):
        got += of(kernel.delivered(), 0)
        kernel.step(1000)
    assert got == list(range(got[0], got[0] + 13))


def test_a_full_queue_drops_and_every_pair_has_one_end(kernel: Compiled) -> None:
    pace(kernel, 0, 100_000)
    burst(kernel, 100, 60)
    burst(kernel, 160, 60)
    kernel.delivered()
    assert kernel.departed(Departure.QUEUE_FULL) > 0
    at_once = kernel.departed(Departure.SENT) - 120  # the other viewer's
    queued, full = kernel.departed(Departure.QUEUED), kernel.departed(Departure.QUEUE_FULL)
    assert at_once + queued + full == 120
    pace(kernel, 0, 0)
    kernel.step(1000)
    left = kernel.departed(Departure.SENT) - 120 + kernel.departed(Departure.QUEUE_STALE)
    assert left == at_once + queued, "with the rate gone the queue is emptied; what left the ring is stale"


def test_references_of_a_viewer_who_left_are_stale(kernel: Compiled) -> None:
    pace(kernel, 0, RATE_BPS)
    burst(kernel, 100, 20)
    waiting = kernel.departed(Departure.QUEUED)
    kernel.want(0, -1)
    for _ in range(5):
        kernel.step(1000)
    assert kernel.departed(Departure.QUEUE_STALE) == waiting
