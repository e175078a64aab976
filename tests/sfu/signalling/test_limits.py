"""Token buckets by address."""

from __future__ import annotations

import pytest

from sfu.errors import RateLimited
from sfu.signalling import limits
from sfu.signalling.limits import Visitors


def test_one_address_does_not_use_up_what_another_has() -> None:
    visitors = Visitors(2.0, 1, "requests")
    visitors.take("a", 1, 0.0)
    with pytest.raises(RateLimited, match="too many requests") as refused:
        visitors.take("a", 1, 0.0)
    assert refused.value.retry_after_s == pytest.approx(0.5)
    visitors.take("b", 1, 0.0)
    visitors.take("a", 1, 0.5)


def test_with_too_many_addresses_the_one_not_seen_longest_starts_from_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VISITORS_MAX", 2)
    visitors = Visitors(0.001, 2, "requests")
    for address in ("a", "a", "b", "b", "c"):
        visitors.take(address, 1, 0.0)
    with pytest.raises(RateLimited):
        visitors.take("b", 1, 0.0)
    visitors.take("a", 1, 0.0)
