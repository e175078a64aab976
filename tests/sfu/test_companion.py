"""What the control plane's process is started with."""

from __future__ import annotations

from sfu import companion


def test_its_malloc_asks_for_huge_pages_unless_the_operator_says_how_malloc_is_to_be() -> None:
    assert companion.environment({"HOME": "/root"}) == {"HOME": "/root", "GLIBC_TUNABLES": companion.HUGE_PAGES}
    own = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}
    assert companion.environment(own) == own
