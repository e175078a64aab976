"""[I/O] All that runs, in single steps: some jobs, some rows of the outbox, one call of a webhook.

`runner` takes these steps in threads by the real clock, `control_plane.clockwork` one after another by a test clock.
A step takes up to TOGETHER jobs or rows that wait for nobody: on a disk a commit costs more than many a job. Whoever is
being answered goes before each of them.
"""

from __future__ import annotations

import datetime
import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa

from control_plane.errors import Unavailable
from control_plane.running import carrying, jobs, outbox, tables, webhooks
from control_plane.running.carrying import Carried
from control_plane.running.faults import told
from control_plane.running.precedence import Precedence
from control_plane.storage.store import Store, in_the_way, savepoint
from sfu import logs

# What Store.write says when others were in its way again and again.
BUSY = "busy"
log = logging.getLogger("stentor.control")
# A night of renewals with 8, 16, 32, 64: 14, 13, 11, 11 ms each. Who is answered waits for one of them, not for all.
TOGETHER = 32
T = TypeVar("T", jobs.Job, Carried)
Step = Callable[[datetime.datetime], bool]
NextAt = Callable[[sa.Connection], datetime.datetime | None]
# (lane, kind, result) of a step that was taken; results are "done", "sent", "delivered", "refused", "failed".
Tried = Callable[[str, str, str], None]


def untold(lane: str, kind: str, result: str) -> None:
    """Nobody counts."""


@dataclass(frozen=True)
class Lane:
    """Steps of one kind. `step(now)` takes one and tells whether there was one; `next_at` says when the next may be
    taken, and changes only with rows of `tables`."""

    name: str
    step: Step
    next_at: NextAt
    tables: tuple[sa.Table, ...]


@dataclass(frozen=True)
class Work:
    """`handlers` by kind of job, `deliverers` by kind of outbox row; without `hooks` no webhook is called. `tried`
    is told how each step ended, by whichever thread took it; `precedence` knows who goes first."""

    store: Store
    handlers: Mapping[str, jobs.Handler] = field(default_factory=dict)
    deliverers: Mapping[str, outbox.Deliverer] = field(default_factory=dict)
    hooks: webhooks.Hooks | None = None
    tried: Tried = untold
    precedence: Precedence = field(default_factory=Precedence)

    def lanes(self) -> list[Lane]:
        """Each can be worked on beside the others; jobs come first."""
        lanes = [Lane("jobs", self.job, jobs.next_at, (tables.job,))]
        for kind in self.deliverers:
            lanes.append(self._letters(kind))
        if self.hooks is not None:
            written = (tables.webhook, tables.event_counter)
            lanes.append(Lane("webhooks", self.hook, webhooks.next_at, written))
        return lanes

    def job(self, now: datetime.datetime) -> bool:
        """Do the first jobs that may be tried now. A handler that raises is written down and tried again later."""
        self.precedence.give()
        if not self._waits(jobs.next_at, now):
            return False
        taken = self.store.write(lambda connection: jobs.take_some(connection, now, TOGETHER))
        done, alone = self._do_together(taken)
        for one in alone:
            self.precedence.give()
            try:
                self.store.write(functools.partial(self._do, taken=one))
            except Exception as fault:
                self._not_done(one, now, fault)
            else:
                done.append(one)
        for one in done:
            self.tried("jobs", one.kind, "done")
        return bool(taken)

    def letter(self, kind: str, now: datetime.datetime) -> bool:
        """Carry the first rows of this kind that may be tried now."""
        self.precedence.give()
        if not self._waits(lambda connection: outbox.next_at(connection, kind), now):
            return False
        deliverer = self.deliverers[kind]
        claimed = self.store.write(
            lambda connection: outbox.claim_some(connection, now, kind, deliverer.lease_s, TOGETHER)
        )
        left, began = claimed, time.monotonic()
        while left and (left is claimed or time.monotonic() - began <= carrying.BEGUN_WITHIN_S):
            # What is not known by its key is written down before the next leaves: a crash sends one twice, no more.
            first = left if deliverer.idempotent else left[:1]
            carried = carrying.carry(first, deliverer.carry, deliverer.at_once, self.precedence.give)
            self._tell_of(kind, now, carried)
            left = left[len(carried) :]
        if left:
            self.store.write(functools.partial(outbox.give_back, now=now, letters=left))
        return bool(claimed)

    def hook(self, now: datetime.datetime) -> bool:
        """Tell the next event to an endpoint that may be tried now."""
        hooks = self.hooks
        self.precedence.give()
        if hooks is None or not self._waits(webhooks.next_at, now):
            return False
        delivery = self.store.write(lambda connection: webhooks.claim(connection, now))
        if delivery is None:
            return False
        answer = hooks.post(*webhooks.request(delivery, hooks.key))
        self.store.write(lambda connection: webhooks.settle(connection, now, delivery, answer, hooks))
        self.tried("webhooks", "webhook", "failed" if answer.error else "delivered")
        return True

    def _together(
        self,
        several: Sequence[T],
        begin: Callable[[sa.Connection, Sequence[T]], None],
        act: Callable[[sa.Connection, T], None],
        finish: Callable[[sa.Connection, Sequence[T]], None],
    ) -> tuple[list[T], list[T]]:
        """Several in one transaction, each behind a savepoint of its own; `begin` is given them all, `finish` those
        that went well. They, and those that have to be done alone: what failed here is told by how it fails there. When
        somebody is to be answered, the transaction ends with what is done, and the rest is another one's."""
        well: list[T] = []
        alone: list[T] = []
        left = list(several)
        while len(left) > 1:
            self.precedence.give()
            done, failed = self._in_one(left, begin, act, finish)
            well += done
            alone += failed
            del left[: len(done) + len(failed)]
        return well, alone + left

    def _in_one(
        self,
        several: Sequence[T],
        begin: Callable[[sa.Connection, Sequence[T]], None],
        act: Callable[[sa.Connection, T], None],
        finish: Callable[[sa.Connection, Sequence[T]], None],
    ) -> tuple[list[T], list[T]]:
        """The first of several, one at least; they as in `_together`."""

        def all_of_them(connection: sa.Connection) -> tuple[list[T], list[T]]:
            well: list[T] = []
            alone: list[T] = []
            begin(connection, several)
            for one in several:
                if (well or alone) and self.precedence.claimed:
                    break
                try:
                    with savepoint(connection):
                        act(connection, one)
                except Exception as fault:
                    if in_the_way(fault):
                        raise
                    alone.append(one)
                else:
                    well.append(one)
            finish(connection, well)
            return well, alone

        try:
            return self.store.write(all_of_them)
        except Exception:
            # Not even the commit: one of them broke what is looked at in the end, or the database is busy.
            return [], list(several)

    def _do_together(self, taken: Sequence[jobs.Job]) -> tuple[list[jobs.Job], list[jobs.Job]]:
        held: set[int] = set()

        def begin(connection: sa.Connection, several: Sequence[jobs.Job]) -> None:
            held.clear()
            held.update(jobs.hold_all(connection, several))

        def act(connection: sa.Connection, one: jobs.Job) -> None:
            if one.id in held:
                self._handle(connection, one)

        def finish(connection: sa.Connection, well: Sequence[jobs.Job]) -> None:
            if not jobs.done(connection, *(one for one in well if one.id in held)):
                raise LookupError("one of them cancelled another")

        return self._together(taken, begin, act, finish)

    def _do(self, connection: sa.Connection, taken: jobs.Job) -> None:
        if jobs.hold(connection, taken):
            self._handle(connection, taken)
            jobs.done(connection, taken)

    def _handle(self, connection: sa.Connection, taken: jobs.Job) -> None:
        handler = self.handlers.get(taken.kind)
        if handler is None:
            raise LookupError(f"no handler for jobs of kind {taken.kind}")
        handler(connection, taken.due_at, taken)

    def _tell_of(self, kind: str, now: datetime.datetime, carried: Sequence[Carried]) -> None:
        """Write down what became of them."""
        for one in carried:
            if isinstance(one.fault, outbox.Refused):
                self._refused(one.letter, now, one.fault.code)
            elif one.fault is not None:
                self._not_sent(one.letter, now, one.fault)
        self._arrived(kind, now, [one for one in carried if one.fault is None])

    def _arrived(self, kind: str, now: datetime.datetime, answered: Sequence[Carried]) -> None:
        def arrive(connection: sa.Connection, one: Carried) -> None:
            self.deliverers[kind].arrived(connection, now, one.letter, one.answer)

        def sent(connection: sa.Connection, well: Sequence[Carried]) -> None:
            outbox.sent(connection, now, *(one.letter for one in well))

        def both(connection: sa.Connection, one: Carried) -> None:
            arrive(connection, one)
            sent(connection, [one])

        well, alone = self._together(answered, _nothing, arrive, sent)
        for one in alone:
            try:
                self.store.write(functools.partial(both, one=one))
            except Exception as fault:
                self._not_sent(one.letter, now, fault)
            else:
                well.append(one)
        for _ in well:
            self.tried("outbox", kind, "sent")

    def _refused(self, letter: outbox.Letter, now: datetime.datetime, code: str) -> None:
        log.warning("outbox refused", extra=logs.fields(**_which(letter), code=code))

        def refuse(connection: sa.Connection) -> None:
            outbox.refused(connection, now, letter, code)
            self.deliverers[letter.kind].refused(connection, now, letter)

        self.store.write(refuse)
        self.tried("outbox", letter.kind, "refused")

    def _not_sent(self, letter: outbox.Letter, now: datetime.datetime, fault: Exception) -> None:
        log.warning("outbox failed", extra=logs.fields(**_which(letter), tries=letter.attempts, fault=told(fault)))
        self.store.write(lambda connection: outbox.failed(connection, now, letter, fault))
        self.tried("outbox", letter.kind, "failed")

    def _not_done(self, taken: jobs.Job, now: datetime.datetime, fault: Exception) -> None:
        log.warning("job failed", extra=logs.fields(**_which(taken), tries=taken.attempts, fault=told(fault)))
        if isinstance(fault, Unavailable) and fault.code == BUSY:
            self.store.write(lambda connection: jobs.give_back(connection, now, taken))
        else:
            self.store.write(lambda connection: jobs.failed(connection, now, taken, fault))
        self.tried("jobs", taken.kind, "failed")

    def _letters(self, kind: str) -> Lane:
        return Lane(
            kind,
            lambda now: self.letter(kind, now),
            lambda connection: outbox.next_at(connection, kind),
            (tables.outbox,),
        )

    def _waits(self, next_at: NextAt, now: datetime.datetime) -> bool:
        """A look that takes no lock: most looks find nothing."""
        at = self.store.read(next_at)
        return at is not None and at <= now


def _nothing(connection: sa.Connection, several: Sequence[Any]) -> None:
    """Their rows are locked as they are written."""


def _which(row: jobs.Job | outbox.Letter) -> dict[str, str | int]:
    """For the log: numbers and words of ours."""
    return {"id": row.id, "kind": row.kind, **({"account": row.account} if row.account else {})}
