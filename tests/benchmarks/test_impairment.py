"""A bad link is the same for the same seed."""

from __future__ import annotations

import random

from benchmarks.impairment import Impairment, Link


def fates(seed: int, link: Link) -> list[float | None]:
    impairment = Impairment(link, random.Random(seed))
    return [impairment.delay_s() for _ in range(5000)]


def test_the_same_seed_gives_the_same_fates_and_another_seed_others() -> None:
    link = Link(loss=0.1, delay_ms=20, jitter_ms=10)
    assert fates(1, link) == fates(1, link) != fates(2, link)


def test_loss_delay_and_jitter_are_what_was_asked_for() -> None:
    found = fates(1, Link(loss=0.1, delay_ms=20, jitter_ms=10))
    late = [delay for delay in found if delay is not None]
    assert 0.08 <= 1 - len(late) / len(found) <= 0.12
    assert min(late) >= 0.020 and max(late) <= 0.030 and max(late) - min(late) > 0.009


def test_a_perfect_link_touches_nothing() -> None:
    assert Link().perfect and not Link(loss=0.01).perfect
    assert set(fates(1, Link())) == {0.0}
