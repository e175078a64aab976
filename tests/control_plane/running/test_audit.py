"""The audit: rows that stay as they are, chains that tell where they do not hold, names that can be erased."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from control_plane.running import audit, tables
from control_plane.running.audit import Break
from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.control_plane.running.made_up import NOON, SECOND

entry = tables.audit_entry


def record(store: Store, code: str, account: str | None = "acc_a", **personal: str) -> None:
    store.write(
        lambda connection: audit.record(
            connection,
            NOON,
            actor="person:per_1",
            account=account,
            code=code,
            ids={"member": "per_2"},
            personal=personal,
        )
    )


def breaks(store: Store, account: str | None = "acc_a") -> list[Break]:
    """None walks every chain."""
    return store.read(lambda connection: list(audit.verify(connection, account)))


def tampered(store: Store, act: Callable[[sa.Connection], object]) -> None:
    """What only somebody with all rights over the database can do: the triggers are away meanwhile."""

    def do(connection: sa.Connection) -> None:
        names = ("audit_entry", "audit_personal")
        if connection.dialect.name == "postgresql":
            for name in names:
                connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER USER")
            act(connection)
            return
        wanted = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (?, ?)"
        for (name,) in connection.exec_driver_sql(wanted, names).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        act(connection)

    store.write(do)


@pytest.fixture
def told(store: Store) -> Store:
    """Four rows, the third with an address."""
    for code in ("signed_up", "verified"):
        record(store, code)
    record(store, "address_changed", before="jan@example.org", after="jan@example.com")
    record(store, "signed_out")
    record(store, "elsewhere", "acc_b")
    return store


def test_rows_say_who_did_what_and_keep_names_apart(told: Store) -> None:
    rows = told.read(lambda connection: audit.read(connection, "acc_a"))
    assert [row.code for row in rows] == ["signed_up", "verified", "address_changed", "signed_out"]
    assert (rows[2].actor, rows[2].at, rows[2].ids) == ("person:per_1", NOON, {"member": "per_2"})
    assert rows[2].personal == {"before": "jan@example.org", "after": "jan@example.com"}
    assert (rows[0].personal, rows[0].erased) == (None, False)
    assert [row.code for row in told.read(lambda c: audit.read(c, "acc_a", after=rows[1].id, limit=1))] == [
        rows[2].code
    ]
    plain = told.read(lambda connection: connection.execute(sa.select(entry)).all())
    assert "example" not in repr(plain)
    assert breaks(told) == breaks(told, None) == []


def test_an_id_that_could_be_a_name_is_refused(store: Store) -> None:
    for word in ("jan@example.org", "Jan Kowalski", "", "x" * 300):
        with pytest.raises(ValueError, match="only ids and codes"):
            store.write(
                lambda connection, word=word: audit.record(  # type: ignore[misc]
                    connection, NOON, actor="person:per_1", account="acc_a", code="c", ids={"who": word}
                )
            )
    assert store.read(lambda connection: audit.read(connection, "acc_a")) == []


def test_erasing_the_names_keeps_the_chain_whole(told: Store) -> None:
    assert told.write(lambda connection: audit.erase_personal(connection, "acc_a")) == 1
    rows = told.read(lambda connection: audit.read(connection, "acc_a"))
    assert (rows[2].personal, rows[2].erased) == (None, True)
    assert breaks(told) == []
    record(told, "after")
    assert breaks(told) == []


def test_what_belongs_to_no_account_is_chained_by_its_actor(store: Store) -> None:
    """People who sign in at once do not wait for each other."""

    def write(connection: sa.Connection) -> None:
        for actor in ("person:per_1", "person:per_2", "person:per_1"):
            personal = {"address": f"{actor}@example.org"}
            audit.record(connection, NOON, actor=actor, account=None, code="signed_in", ids={}, personal=personal)

    store.write(write)
    chains = store.read(lambda connection: connection.execute(sa.select(tables.audit_chain)).all())
    assert sorted((row.chain, row.number) for row in chains) == [("-person:per_1", 2), ("-person:per_2", 1)]
    assert len(store.read(lambda connection: audit.read(connection, None))) == 3
    assert store.write(lambda connection: audit.erase_personal(connection, None, actor="person:per_1")) == 2
    assert [row.erased for row in store.read(lambda connection: audit.read(connection, None))] == [True, False, True]
    assert breaks(store, None) == []


def test_the_same_names_twice_have_not_the_same_hash(store: Store) -> None:
    """Who has only the hash cannot try out addresses."""
    for _ in range(2):
        record(store, "c", address="jan@example.org")
    hashes = store.read(lambda connection: connection.execute(sa.select(entry.c.personal_hash)).scalars().all())
    assert len(set(hashes)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entry SET code = 'x'",
        "DELETE FROM audit_entry WHERE number = 4",
        "UPDATE audit_personal SET personal = '{}'",
    ],
)
def test_no_row_is_changed_or_deleted(told: Store, change: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        told.write(lambda connection: connection.exec_driver_sql(change))
    assert breaks(told) == []


def test_no_other_way_round_the_triggers(told: Store) -> None:
    if told.engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError, match="append-only"):
            told.write(lambda connection: connection.exec_driver_sql("TRUNCATE audit_entry CASCADE"))
    else:
        replace = "INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry WHERE number = 2"
        with pytest.raises(DBAPIError, match="append-only"):
            told.write(lambda connection: connection.exec_driver_sql(replace))
    assert len(told.read(lambda connection: audit.read(connection, "acc_a"))) == 4


@pytest.mark.parametrize(
    ("change", "number", "why"),
    [
        (
            "UPDATE audit_entry SET actor = 'person:per_9' WHERE number = 2 AND chain = 'acc_a'",
            2,
            "the row was changed",
        ),
        ("UPDATE audit_entry SET ids = '{}' WHERE number = 2 AND chain = 'acc_a'", 2, "the row was changed"),
        ("UPDATE audit_entry SET at = at + 1 WHERE number = 2 AND chain = 'acc_a'", 2, "the row was changed"),
        ("DELETE FROM audit_entry WHERE number = 2 AND chain = 'acc_a'", 2, "a row is missing"),
        ("DELETE FROM audit_entry WHERE number = 4 AND chain = 'acc_a'", 4, "the end of the chain is missing"),
        ('UPDATE audit_personal SET personal = \'{"before":"x"}\'', 3, "the personal values were changed"),
    ],
)
def test_tampering_is_found_and_its_place_told(told: Store, change: str, number: int, why: str) -> None:
    tampered(told, lambda connection: connection.exec_driver_sql(change))
    found = breaks(told)
    assert (found[0].number, found[0].why) == (number, why)
    assert breaks(told, "acc_b") == []


def test_a_row_that_was_made_to_fit_itself_does_not_fit_the_next(told: Store) -> None:
    """Whoever changes a row and its hash must change all that follow, and the end."""

    def forge(connection: sa.Connection) -> None:
        row = dict(connection.execute(sa.select(entry).where(entry.c.number == 2)).one()._mapping) | {"code": "forged"}
        made = {"code": "forged", "hash": audit._hash(row)}
        connection.execute(entry.update().where(entry.c.number == 2).values(made))

    tampered(told, forge)
    assert breaks(told) == [Break("acc_a", 3, "it does not follow the row before it")]


def test_a_row_and_the_link_to_it_cannot_be_forged_together(told: Store) -> None:
    """The link is part of the next row's hash."""

    def forge(connection: sa.Connection) -> None:
        mine = sa.and_(entry.c.chain == "acc_a", entry.c.number == 2)
        row = dict(connection.execute(sa.select(entry).where(mine)).one()._mapping) | {"code": "forged"}
        connection.execute(entry.update().where(mine).values(code="forged", hash=audit._hash(row)))
        following = sa.and_(entry.c.chain == "acc_a", entry.c.number == 3)
        connection.execute(entry.update().where(following).values(previous=audit._hash(row)))

    tampered(told, forge)
    assert breaks(told) == [Break("acc_a", 3, "the row was changed")]


def test_a_chain_whose_end_is_gone_is_found_when_all_are_walked(told: Store) -> None:
    told.write(
        lambda connection: connection.execute(tables.audit_chain.delete().where(tables.audit_chain.c.chain == "acc_b"))
    )
    assert breaks(told, None) == [Break("acc_b", 0, "the end of this chain is not known")]


def test_writers_at_once_make_one_chain(store: Store) -> None:
    def write() -> None:
        for _ in range(5):
            record(store, "c")

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.read(lambda connection: audit.read(connection, "acc_a"))) == 15
    assert breaks(store) == []


def test_a_long_chain_is_walked_to_its_end(store: Store) -> None:
    def many(connection: sa.Connection) -> None:
        for number in range(1203):
            now = NOON + number * SECOND
            audit.record(connection, now, actor="system:test", account=None, code="c", ids={})

    store.write(many)
    assert breaks(store, None) == []
    tampered(
        store, lambda connection: connection.execute(entry.update().where(entry.c.number == 1203).values(code="x"))
    )
    assert [found.number for found in breaks(store, None)] == [1203]


def test_the_schema_goes_and_comes_again_with_rows_in_it(told: Store) -> None:
    migrate.down(told, "0001_ledger")
    assert "audit_entry" not in told.read(lambda connection: sa.inspect(connection).get_table_names())
    migrate.up(told)
    record(told, "anew")
    assert breaks(told) == []
