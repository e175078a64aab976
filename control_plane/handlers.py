"""What does each kind of job. A kind that is put anywhere stands here (a test reads the sources for it)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import sqlalchemy as sa

from control_plane.accounts import lifecycle
from control_plane.accounts.setup import Setup
from control_plane.billing import jobs as billing_jobs
from control_plane.billing import setup as billing_setup
from control_plane.clock import Clock
from control_plane.legal import announcing, notices
from control_plane.running.jobs import Handler, Job


def handlers(
    accounts: Setup, clock: Clock, post: notices.Post, billing: billing_setup.Setup | None = None
) -> Mapping[str, Handler]:
    """By kind; for `running.work.Work`. Without billing nobody puts jobs of it."""
    return {
        "accounts.purge": _purge(accounts),
        "legal.announce": announcing.handler(clock, post),
        **(billing_jobs.handlers(billing, clock, post) if billing is not None else {}),
    }


def _purge(accounts: Setup) -> Handler:
    def purge(connection: sa.Connection, due_at: datetime.datetime, job: Job) -> None:
        if job.account is not None:
            lifecycle.purge_due(connection, due_at, accounts, job.account)

    return purge
