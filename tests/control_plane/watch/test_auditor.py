"""Somebody with all rights over the database changes the audit: the walk finds it, logs it and counts it."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa

from control_plane.clock import TestClock
from control_plane.running import audit, tables
from control_plane.storage.store import Store
from control_plane.watch.auditor import Auditor
from tests.control_plane.running.made_up import HOUR, NOON
from tests.control_plane.running.test_audit import record, tampered

entry = tables.audit_entry


@pytest.fixture
def told(store: Store) -> Store:
    """Three chains: of two accounts, and of somebody without one."""
    for account in ("acc_a", "acc_b", None):
        for code in ("one", "two", "three"):
            record(store, code, account)
    return store


def figures(auditor: Auditor) -> dict[str, float]:
    return {family.name.removeprefix("stentor_control_audit_"): family.samples[0].value for family in auditor.collect()}


def walk(auditor: Auditor) -> int:
    """Until all chains were looked at; how many steps that took."""
    for steps in range(1, 100):
        if auditor.step():
            return steps
    raise AssertionError("a walk without an end")


def test_a_walk_sees_every_chain_in_small_steps_and_begins_anew(told: Store) -> None:
    clock = TestClock(NOON)
    auditor = Auditor(told, clock, rows_a_step=3)
    assert walk(auditor) == 4, "a chain a step, and one that finds the end"
    assert auditor.last is not None and (auditor.last.chains, auditor.last.rows, auditor.last.breaks) == (3, 9, 0)
    clock.advance_to(NOON + HOUR)
    assert figures(auditor) == {"breaks": 0, "walked_rows": 9, "walked_age_seconds": 3600}
    record(told, "four")
    walk(auditor)
    assert figures(auditor) == {"breaks": 0, "walked_rows": 10, "walked_age_seconds": 0}
    whole = Auditor(told, clock)
    assert walk(whole) == 1 and figures(whole)["walked_rows"] == 10, "a small audit is one step"


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (entry.update().where(entry.c.number == 2).values(code="other"), "the row was changed"),
        (entry.delete().where(entry.c.number == 2), "a row is missing"),
        (entry.delete().where(entry.c.number == 3), "the end of the chain is missing"),
        (tables.audit_chain.delete(), "the end of this chain is not known"),
        (entry.delete(), "the end of the chain is missing"),
    ],
)
def test_what_was_changed_past_the_program_is_found_logged_and_counted(
    told: Store, act: sa.Update | sa.Delete, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    auditor = Auditor(told, TestClock(NOON))
    walk(auditor)
    assert figures(auditor)["breaks"] == 0
    tampered(told, lambda connection: connection.execute(act))
    with caplog.at_level(logging.ERROR, "stentor.control"):
        walk(auditor)
    assert figures(auditor)["breaks"] >= 3
    lines = [line.__dict__["fields"] for line in caplog.records if line.getMessage() == "audit chain broken"]
    assert {line["chain"] for line in lines} == {"acc_a", "acc_b", "-person:per_1"}
    assert why in {line["why"] for line in lines}


def test_the_walk_by_chains_and_the_whole_one_say_the_same(told: Store) -> None:
    tampered(told, lambda connection: connection.execute(entry.update().where(entry.c.number == 2).values(code="x")))

    def both(connection: sa.Connection) -> tuple[list[audit.Break], list[audit.Break]]:
        found, after = [], ""
        while (one := audit.next_chain(connection, after)) is not None:
            after = one[0]
            found += list(audit.verify_chain(connection, after))
        return found, list(audit.verify(connection))

    piecemeal, whole = told.read(both)
    assert piecemeal == whole and len(whole) == 3


def test_a_thread_walks_by_itself_and_ends_at_once(told: Store) -> None:
    auditor = Auditor(told, TestClock(NOON))
    auditor.start()
    auditor.stop(within_s=60)
    auditor.stop(within_s=60)
    never = Auditor(told, TestClock(NOON))
    never.stop(within_s=60)
