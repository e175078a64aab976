"""What the pure parts are given to work with."""

from __future__ import annotations

import random
import re

from sfu.draws import Draws


def test_numbers_are_never_given_twice_and_kinds_do_not_share_them() -> None:
    draws = Draws()
    for draw in (draws.session, draws.track, draws.peer, draws.request):
        assert [draw() for _ in range(3)] == [1, 2, 3]


def test_ssrcs_come_from_the_given_chance_and_are_never_zero() -> None:
    first, second = Draws(random.Random(7)), Draws(random.Random(7))
    drawn = [first.ssrc() for _ in range(100)]
    assert drawn == [second.ssrc() for _ in range(100)]
    assert all(0 < ssrc < 2**32 for ssrc in drawn)


def test_secrets_are_long_enough_and_fit_where_they_are_written() -> None:
    draws = Draws(random.Random(7))
    ufrag, pwd = draws.credentials()
    assert re.fullmatch(r"[0-9a-f]{16}", ufrag) and re.fullmatch(r"[0-9a-f]{32}", pwd)
    assert re.fullmatch(r"[\w-]{32}", draws.key()) and re.fullmatch(r"p-[0-9a-f]{12}", draws.name())
    assert len({draws.key() for _ in range(100)}) == 100
