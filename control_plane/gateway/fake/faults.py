"""What goes wrong at the fake gateway: written down by a test, or drawn from a seed. Pure."""

from __future__ import annotations

import datetime
import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal, Protocol

from control_plane.gateway.port import DeclineCode

Operation = Literal["open_payer", "begin_card", "charge", "ask", "call_off", "refund", "ask_refund", "disputes"]


@dataclass(frozen=True)
class Lost:
    """A time-out; the order never arrived."""


@dataclass(frozen=True)
class AnswerLost:
    """A time-out, although it was done."""


@dataclass(frozen=True)
class Late:
    """A time-out; the order arrives so much later, unless it came again with its key meanwhile. Charges only."""

    after: datetime.timedelta = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class Slow:
    """Processing; settled so much later, `well` or not."""

    after: datetime.timedelta = datetime.timedelta(hours=1)
    well: bool = True


@dataclass(frozen=True)
class Decline:
    code: DeclineCode = "declined"
    retryable: bool = True


@dataclass(frozen=True)
class Authenticate:
    """The issuer wants to see the customer."""


@dataclass(frozen=True)
class Busy:
    """It takes nothing at the moment."""

    retry_after_s: int = 2


Fault = Lost | AnswerLost | Late | Slow | Decline | Authenticate | Busy


class Plan(Protocol):
    """Says what happens to a request, and in which order events are delivered."""

    def fault(self, operation: Operation, key: str, sighting: int) -> Fault | None:
        """`sighting`: how often this operation came with this key, this one among them."""
        ...

    def delivery(self, events: list[str], number: int) -> list[str]:
        """These, in an order and as often as they are sent; `number` counts the deliveries."""
        ...


class Script:
    """The faults that a test wrote down; afterwards all goes well."""

    def __init__(self, *, reverse: bool = False, twice: bool = False) -> None:
        self._next: defaultdict[Operation, deque[Fault | None]] = defaultdict(deque)
        self.reverse, self.twice = reverse, twice

    def then(self, operation: Operation, *faults: Fault | None) -> Script:
        """For the next requests of this kind, one each; None goes well."""
        self._next[operation].extend(faults)
        return self

    def fault(self, operation: Operation, key: str, sighting: int) -> Fault | None:
        return self._next[operation].popleft() if self._next[operation] else None

    def delivery(self, events: list[str], number: int) -> list[str]:
        ordered = events[::-1] if self.reverse else list(events)
        return [event for event in ordered for _ in range(2 if self.twice else 1)]


class Seeded:
    """So many of 256 requests go wrong, in every way there is: by hash, so that the same seed gives the same night
    whatever was restarted in between. A request that is sent three times gets through."""

    def __init__(self, seed: int, of_256: int) -> None:
        self._seed, self._of_256 = seed, of_256

    def fault(self, operation: Operation, key: str, sighting: int) -> Fault | None:
        digest = self._digest(f"{operation}/{key}/{sighting}")
        if sighting > 2 or digest[0] >= self._of_256:
            return None
        charge_only: list[Fault] = [Late(), Slow(), Slow(well=False), Decline("insufficient_funds"), Authenticate()]
        ways: list[Fault] = [Lost(), AnswerLost(), Busy(), *(charge_only if operation == "charge" else [])]
        return ways[digest[1] % len(ways)]

    def delivery(self, events: list[str], number: int) -> list[str]:
        twice = [event for event in events if self._digest(f"twice/{event}")[0] < self._of_256]
        return sorted([*events, *twice], key=lambda event: self._digest(f"{number}/{event}"))

    def _digest(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._seed}/{text}".encode()).digest()
