"""0001_ledger goes up and down, with a journal in it too, and makes the tables that the code believes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from control_plane.ledger import tables
from control_plane.storage import migrate
from control_plane.storage.columns import metadata
from control_plane.storage.store import Store
from tests.control_plane.conftest import POSTGRESQL
from tests.control_plane.ledger.postings import TABLES, balances, journal_of, post, refused, topped_up


def ours(connection: sa.Connection) -> set[str]:
    """What stands in the database under our names: tables, indexes, triggers, functions."""
    question = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace UNION SELECT tgname FROM pg_trigger"
        " UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        if POSTGRESQL
        else "SELECT name FROM sqlite_master"
    )
    found = {str(name) for (name,) in connection.exec_driver_sql(question)}
    return {name for name in found if "ledger" in name or "journal" in name}


def test_it_goes_up_and_down_and_up_with_a_journal_in_it(empty_store: Store) -> None:
    migrate.up(empty_store, "0001_ledger")
    made = empty_store.read(ours)
    assert set(TABLES) <= made
    post(empty_store, "key-1", topped_up(500))
    migrate.up(empty_store, "0001_ledger")  # at every start: nothing happens
    assert len(journal_of(empty_store)) == 1
    migrate.down(empty_store)
    assert empty_store.read(ours) == set()
    migrate.up(empty_store, "0001_ledger")
    assert empty_store.read(ours) == made
    assert journal_of(empty_store) == [] and balances(empty_store) == {}
    post(empty_store, "key-1", topped_up(500))
    refused(empty_store, "append_only", "DELETE FROM journal_line")


def test_the_tables_are_those_that_the_code_believes_in(store: Store) -> None:
    names = {table.name for table in (tables.kinds, tables.accounts, tables.transactions, tables.lines, tables.seals)}
    assert names == set(TABLES)

    def compare(connection: sa.Connection) -> list[Any]:
        keep: Callable[..., bool] = lambda thing, name, kind, *_: kind != "table" or name in names  # noqa: E731
        options = {"include_object": keep, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert store.read(compare) == []


def test_constraints_are_the_same_in_code_and_database(store: Store) -> None:
    """Errors are told by their names. PostgreSQL tells conditions in its own words; there only the names count."""

    def check(connection: sa.Connection) -> None:
        found = sa.inspect(connection)
        for name in TABLES:
            checks = [one for one in metadata.tables[name].constraints if isinstance(one, sa.CheckConstraint)]
            told = {str(one.name): str(one.sqltext) for one in checks}
            assert all(one.startswith(f"ck_{name}_") and one.count("ck_") == 1 for one in told)
            made = {str(one["name"]): one["sqltext"] for one in found.get_check_constraints(name)}
            if POSTGRESQL:
                told.pop("ck_journal_line_amount_whole", None)
                assert set(made) == set(told)
            else:
                assert made == told
            assert found.get_pk_constraint(name)["name"] == f"pk_{name}"

    store.read(check)
