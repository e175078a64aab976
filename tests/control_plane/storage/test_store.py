"""The store: a use case is committed whole or not at all, writers do not lose each other's rows, instants are exact."""

from __future__ import annotations

import datetime
import threading

import pytest
import sqlalchemy as sa

from control_plane.storage.columns import Instant
from control_plane.storage.store import Store, in_the_way, savepoint

tables = sa.MetaData()
counts = sa.Table("counts", tables, sa.Column("name", sa.Text, primary_key=True), sa.Column("count", sa.BigInteger))
moments = sa.Table("moments", tables, sa.Column("at", Instant))


@pytest.fixture
def counted(empty_store: Store) -> Store:
    def prepare(connection: sa.Connection) -> None:
        tables.create_all(connection)
        connection.execute(counts.insert().values(name="a", count=0))

    empty_store.write(prepare)
    return empty_store


def count(store: Store) -> int:
    return int(store.read(lambda connection: connection.execute(sa.select(counts.c.count)).scalar_one()))


def test_what_fails_half_way_leaves_nothing(counted: Store) -> None:
    def fails(connection: sa.Connection) -> None:
        connection.execute(counts.update().values(count=5))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        counted.write(fails)
    assert count(counted) == 0


def test_a_question_changes_nothing(counted: Store) -> None:
    counted.read(lambda connection: connection.execute(counts.update().values(count=5)))
    assert count(counted) == 0


def test_writers_that_meet_lose_nothing(counted: Store) -> None:
    def add(connection: sa.Connection) -> None:
        seen = connection.execute(sa.select(counts.c.count)).scalar_one()
        connection.execute(counts.update().values(count=seen + 1))

    def add_ten() -> None:
        for _ in range(10):
            counted.write(add)

    threads = [threading.Thread(target=add_ten) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(counted) == 30


def test_an_instant_comes_back_exactly_and_needs_a_zone(counted: Store) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    at = datetime.datetime(2026, 3, 29, 1, 59, 59, 999_999, zone)
    counted.write(lambda connection: connection.execute(moments.insert().values(at=at)))
    (found,) = counted.read(lambda connection: connection.execute(sa.select(moments.c.at)).scalars().all())
    assert (found, found.tzinfo) == (at, datetime.UTC)
    with pytest.raises(sa.exc.StatementError):
        naive = datetime.datetime(2026, 1, 1)
        counted.write(lambda connection: connection.execute(moments.insert().values(at=naive)))


def test_what_fails_behind_a_savepoint_is_gone_and_the_rest_is_kept(counted: Store) -> None:
    def act(connection: sa.Connection) -> None:
        connection.execute(counts.update().values(count=1))
        with pytest.raises(RuntimeError), savepoint(connection):
            with savepoint(connection):
                connection.execute(counts.insert().values(name="inner", count=7))
            connection.execute(counts.update().values(count=5))
            raise RuntimeError("in the middle")
        with savepoint(connection):
            connection.execute(counts.insert().values(name="b", count=2))

    counted.write(act)
    rows = sa.select(counts.c.name, counts.c.count).order_by(counts.c.name)
    assert counted.read(lambda connection: connection.execute(rows).all()) == [("a", 1), ("b", 2)]


def test_a_statement_that_the_database_refuses_behind_a_savepoint_stops_nothing(counted: Store) -> None:
    def act(connection: sa.Connection) -> None:
        with pytest.raises(sa.exc.IntegrityError) as refused, savepoint(connection):
            connection.execute(counts.insert().values(name="a", count=7))
        assert not in_the_way(refused.value)
        connection.execute(counts.update().values(count=3))

    counted.write(act)
    assert count(counted) == 3
