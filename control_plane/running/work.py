"""[I/O] All that runs, in single steps: one job, one row of the outbox, one call of a webhook.

`runner` takes these steps in threads by the real clock, `control_plane.clockwork` one after another by a test clock.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from control_plane.errors import Unavailable
from control_plane.running import jobs, outbox, tables, webhooks
from control_plane.running.faults import told
from control_plane.storage.store import Store
from sfu import logs

# What Store.write says when others were in its way again and again.
BUSY = "busy"
log = logging.getLogger("stentor.control")
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
    is told how each step ended, by whichever thread took it."""

    store: Store
    handlers: Mapping[str, jobs.Handler] = field(default_factory=dict)
    deliverers: Mapping[str, outbox.Deliverer] = field(default_factory=dict)
    hooks: webhooks.Hooks | None = None
    tried: Tried = untold

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
        """Do the first job that may be tried now. A handler that raises is written down and tried again later."""
        if not self._waits(jobs.next_at, now):
            return False
        taken = self.store.write(lambda connection: jobs.take(connection, now))
        if taken is None:
            return False
        try:
            self.store.write(lambda connection: self._do(connection, taken))
        except Exception as fault:
            self._not_done(taken, now, fault)
        else:
            self.tried("jobs", taken.kind, "done")
        return True

    def letter(self, kind: str, now: datetime.datetime) -> bool:
        """Carry the first row of this kind that may be tried now."""
        if not self._waits(lambda connection: outbox.next_at(connection, kind), now):
            return False
        deliverer = self.deliverers[kind]
        letter = self.store.write(lambda connection: outbox.claim(connection, now, kind, deliverer.lease_s))
        if letter is None:
            return False
        try:
            answer = deliverer.carry(letter)

            def arrive(connection: sa.Connection) -> None:
                deliverer.arrived(connection, now, letter, answer)
                outbox.sent(connection, now, letter)

            self.store.write(arrive)
        except outbox.Refused as refusal:
            code = refusal.code
            log.warning("outbox refused", extra=logs.fields(**_which(letter), code=code))

            def refuse(connection: sa.Connection) -> None:
                outbox.refused(connection, now, letter, code)
                deliverer.refused(connection, now, letter)

            self.store.write(refuse)
            self.tried("outbox", kind, "refused")
        except Exception as fault:
            log.warning("outbox failed", extra=logs.fields(**_which(letter), tries=letter.attempts, fault=told(fault)))
            because = fault
            self.store.write(lambda connection: outbox.failed(connection, now, letter, because))
            self.tried("outbox", kind, "failed")
        else:
            self.tried("outbox", kind, "sent")
        return True

    def hook(self, now: datetime.datetime) -> bool:
        """Tell the next event to an endpoint that may be tried now."""
        hooks = self.hooks
        if hooks is None or not self._waits(webhooks.next_at, now):
            return False
        delivery = self.store.write(lambda connection: webhooks.claim(connection, now))
        if delivery is None:
            return False
        answer = hooks.post(*webhooks.request(delivery, hooks.key))
        self.store.write(lambda connection: webhooks.settle(connection, now, delivery, answer, hooks))
        self.tried("webhooks", "webhook", "failed" if answer.error else "delivered")
        return True

    def _do(self, connection: sa.Connection, taken: jobs.Job) -> None:
        if not jobs.hold(connection, taken):
            return
        handler = self.handlers.get(taken.kind)
        if handler is None:
            raise LookupError(f"no handler for jobs of kind {taken.kind}")
        handler(connection, taken.due_at, taken)
        jobs.done(connection, taken)

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


def _which(row: jobs.Job | outbox.Letter) -> dict[str, str | int]:
    """For the log: numbers and words of ours."""
    return {"id": row.id, "kind": row.kind, **({"account": row.account} if row.account else {})}
