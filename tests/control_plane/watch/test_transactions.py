"""Transactions are measured by what became of them, errors by whose they are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from control_plane.running import tables
from control_plane.running.tables import job
from control_plane.storage.store import Store
from control_plane.watch import transactions
from control_plane.watch.measures import Measures
from tests.control_plane.running.made_up import NOON, put


@pytest.fixture
def measures(store: Store) -> Measures:
    made = Measures()
    transactions.watch(store, made)
    return made


def value(made: Measures, name: str, **labels: str) -> float:
    return made.registry.get_sample_value(f"stentor_control_{name}", labels) or 0.0


def test_what_is_committed_is_a_write_and_all_else_a_read(store: Store, measures: Measures) -> None:
    put(store, "note", "one", NOON, amount=1)
    store.read(lambda connection: connection.execute(sa.select(job)).all())
    with pytest.raises(ZeroDivisionError):
        store.write(lambda connection: 1 // 0)
    assert value(measures, "transaction_seconds_count", kind="write") == 1
    assert value(measures, "transaction_seconds_count", kind="read") == 2
    assert value(measures, "transaction_seconds_sum", kind="write") > 0
    assert value(measures, "database_connections") == 0
    store.read(lambda connection: store_in_use(measures))


def store_in_use(measures: Measures) -> None:
    assert value(measures, "database_connections") == 1


def test_errors_are_counted_by_kind(store: Store, measures: Measures) -> None:
    put(store, "note", "one", NOON, amount=1)
    row = {"key": "one", "kind": "note", "due_at": NOON, "try_at": NOON, "priority": 1, "payload": {}}
    wrong = [
        lambda connection: connection.execute(tables.job.insert().values(row | {"state": "waiting", "attempts": 0})),
        lambda connection: connection.exec_driver_sql("SELECT * FROM no_such_table"),
    ]
    for act in wrong:
        with pytest.raises(DBAPIError) as refused:
            store.write(act)
        assert "note" not in str(refused.value).partition("[SQL")[2].partition("parameters")[2], "values stay out"
    assert value(measures, "database_errors_total", kind="integrity") == 1
    others = sum(value(measures, "database_errors_total", kind=kind) for kind in ("operational", "other"))
    assert others == 1 and value(measures, "database_errors_total", kind="serialization") == 0
