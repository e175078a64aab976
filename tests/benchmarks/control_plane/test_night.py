"""A small night: the subscribers are ones that the services take, and its judge sees what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.control_plane import measures, night, subscribers
from benchmarks.control_plane.judge import p95_ms
from benchmarks.control_plane.night import Place
from control_plane.storage.store import Store

# The gate is 5; this fails where a grant waits for the whole night.
SLOWED_MAX = 40.0


@pytest.mark.slow
@pytest.mark.timed
async def test_each_of_a_handful_is_renewed_once_while_guests_ask_for_grants() -> None:
    told: list[str] = []
    found, idle, busy = await measures.renewals(12, told.append, Place(), beside=True, idle_for_s=0.5)
    assert found.faults == []
    assert (found.subscribers, found.took_s > 0, found.cpu_s > 0) == (12, True, True)
    # What is sent, answered and mailed is a transaction each at the least; and a charge is more than ten statements.
    assert set(found.statements) >= {"jobs", "gateway", "mail"}
    assert sum(found.statements.values()) > 12 * 10
    assert [one for one in (*idle, *busy) if not one.good] == []
    assert p95_ms(busy) / p95_ms(idle) <= SLOWED_MAX
    assert told


@pytest.mark.slow
@pytest.mark.timed
async def test_a_gateway_that_is_a_way_off_is_asked_several_at_a_time() -> None:
    """Forty charges of 100 ms take 4 s one after another; this fails where they are."""
    told: list[str] = []
    found, _, _ = await measures.renewals(40, told.append, Place(gateway_ms=100, at_once=8), beside=False)
    assert found.faults == [] and found.statements["gateway"] > 40 * 3
    one_by_one, _, _ = await measures.renewals(40, told.append, Place(gateway_ms=100, at_once=1), beside=False)
    assert one_by_one.faults == [] and found.took_s < one_by_one.took_s


@pytest.mark.slow
def test_where_nobody_was_renewed_the_judge_misses_everything(tmp_path: Path) -> None:
    subscribers.make(tmp_path, 3)
    store = Store(f"sqlite:///{tmp_path / subscribers.FILE}")
    missed = {fault.partition(":")[0] for fault in night.faults_of(store, tmp_path, 3)}
    store.close()
    assert missed >= {"invoices, and of how many", "payments, and of how many", "periods, and of how many"}
    assert missed >= {"postings of payments", "postings of revenue", "mails of payments", "charges at the gateway"}
    assert "sums of the ledger" not in missed, "the copies' books are balanced"
