"""What the control plane's process is started with, and that it is started anew."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
import uvloop

from sfu import companion
from sfu.config import Config
from sfu.control import Control
from tests.servers import eventually

STARTED = asyncio.create_subprocess_exec


def test_its_malloc_asks_for_huge_pages_unless_the_operator_says_how_malloc_is_to_be() -> None:
    assert companion.environment({"HOME": "/root"}) == {"HOME": "/root", "GLIBC_TUNABLES": companion.HUGE_PAGES}
    own = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}
    assert companion.environment(own) == own


def test_one_that_dies_before_it_is_told_anything_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """In uvloop, as the server runs, the pipe to it is closed by then. Whoever kills it at once has killed it once."""
    lives: list[int] = []
    faults = [ValueError("a fault of ours, at first")]

    async def starts(*command: str, **how: Any) -> asyncio.subprocess.Process:
        if faults:
            raise faults.pop()
        dying = await STARTED(sys.executable, "-c", "raise SystemExit(7)", **how)
        lives.append(await dying.wait())
        return dying

    async def several() -> bool:
        return len(lives) >= 3

    async def scene() -> None:
        config = Config(control=Control(port=0))
        with companion.listen(config) as bound:
            one = companion.Companion(companion.told(config, bound, "", "http://localhost", None))
            one.start()
            await eventually(several, within_s=30, what="its third life")
            await one.stop()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)
    monkeypatch.setattr(companion, "AGAIN_AFTER_S", (0.0,))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
    assert set(lives) == {7}
