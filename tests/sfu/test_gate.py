"""The gate: a grant counts or does not, and who comes late is told whether there is anybody who could renew it."""

from __future__ import annotations

import pytest

from sfu.contract import Grant, Limits, generate_pem, load_key, sign
from sfu.errors import Unauthorized
from sfu.gate import Gate

KEY = load_key(generate_pem(), key_id="k", issuer="i", audience="a")
OTHER = load_key(generate_pem(), key_id="k", issuer="i", audience="a")
NOW = 1_000_000.0


def token(key: object = KEY, **rights: object) -> str:
    return sign(Grant(room="r", identity="x", expires_at=NOW + 60, **rights), key, NOW)  # type: ignore[arg-type]


def gate(now: float, renews: bool) -> Gate:
    return Gate(KEY, lambda: now, lambda: renews)


def test_a_grant_in_time_counts_whoever_answers() -> None:
    for renews in (True, False):
        assert gate(NOW + 59, renews).verify(token(), False).identity == "x"
        assert gate(NOW + 9999, renews).verify(token(), True).identity == "x"


def test_a_late_one_is_told_to_fetch_another_or_that_nobody_can_give_one() -> None:
    with pytest.raises(Unauthorized, match="fetch a new one"):
        gate(NOW + 9999, True).verify(token(), False)
    with pytest.raises(Unauthorized, match=r"nobody new can come in at the moment.*Who is in stays in"):
        gate(NOW + 9999, False).verify(token(), False)


def test_a_forged_one_is_not_told_that_it_was_only_late() -> None:
    with pytest.raises(Unauthorized, match="signature is wrong"):
        gate(NOW + 9999, False).verify(token(OTHER), False)


def test_limits_travel_in_the_grant_and_absent_ones_are_none() -> None:
    limits = Limits(seats=1000, senders=40, version=7)
    assert gate(NOW, True).verify(token(limits=limits), False).limits == limits
    assert gate(NOW, True).verify(token(), False).limits is None
