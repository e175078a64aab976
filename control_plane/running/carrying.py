"""Letters of one step on their way: some at one time, where the other side lets them; none begun late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from control_plane.running.outbox import Letter

# So long letters of one step are begun; the rest is left for the next. Whose answer came first waits no longer.
BEGUN_WITHIN_S = 0.5


@dataclass(frozen=True)
class Carried:
    """A letter that was tried: the other side's answer, or how it failed."""

    letter: Letter
    answer: Any = None
    fault: Exception | None = None


def carry(
    letters: Sequence[Letter], by: Callable[[Letter], Any], at_once: int, give: Callable[[], None]
) -> list[Carried]:
    """The first ones of these letters, in their order: all that were begun, with what became of them. `by` is called
    from up to `at_once` threads, from the caller's alone if that is 1; `give` before each call, from the same thread.
    """
    began = time.monotonic()
    taking = threading.Lock()
    carried: list[Carried | None] = []

    def take() -> int | None:
        with taking:
            place = len(carried)
            if place == len(letters) or (place and time.monotonic() - began > BEGUN_WITHIN_S):
                return None
            carried.append(None)
            return place

    def work() -> None:
        while (place := take()) is not None:
            carried[place] = _tried(letters[place], by, give)

    threads = min(at_once, len(letters))
    if threads <= 1:
        work()
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="carrying") as pool:
            for done in [pool.submit(work) for _ in range(threads)]:
                done.result()
    return [one for one in carried if one is not None]


def _tried(letter: Letter, by: Callable[[Letter], Any], give: Callable[[], None]) -> Carried:
    give()
    try:
        return Carried(letter, by(letter))
    except Exception as fault:
        return Carried(letter, fault=fault)
