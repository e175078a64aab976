"""The job `legal.announce`: customers are told of a new version, a batch a transaction (LEG-03).

A notice counts from when it is really given, not from when it should have been: a customer has his whole 10 days also
where the job came late. So this job alone looks at the clock; under a test clock the two are the same.
"""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.clock import Clock
from control_plane.legal import notices
from control_plane.running import jobs
from control_plane.running.jobs import Handler, Job

# Behind everybody else's jobs of the same instant.
PRIORITY = 200


def handler(clock: Clock, post: notices.Post) -> Handler:
    """Tells the next accounts and puts itself again behind them, until nobody is left."""

    def announce(connection: sa.Connection, due_at: datetime.datetime, job: Job) -> None:
        now, told = max(due_at, clock.now()), job.payload
        batch = notices.announce(
            connection,
            now,
            kind=told["kind"],
            version=told["version"],
            post=post,
            after=told["after"],
            # Who came later accepted the new one, or is told in the round of its date.
            until=datetime.datetime.fromisoformat(told["until"]),
        )
        if batch.last:
            number = told["number"] + 1
            jobs.put(
                connection,
                kind="legal.announce",
                # By its number and not by where it begins: run again, when accounts have gone, a batch that ends
                # elsewhere must not bring another chain of jobs.
                key=f"legal.announce:{told['kind']}:{told['version']}:{told['round']}:{number}",
                # Now, not at the beginning: what others are due meanwhile goes first.
                due_at=now,
                account=None,
                payload={**told, "number": number, "after": batch.last},
                priority=PRIORITY,
            )

    return announce
