"""Prepared statements: types, rows and errors are SQLAlchemy's own, whichever way they are asked."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.running.canonical import Canonical
from control_plane.storage.columns import Instant, Serial
from control_plane.storage.prepared import WRITTEN, Prepared
from control_plane.storage.store import Store, savepoint

tables = sa.MetaData()
things = sa.Table(
    "things",
    tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("key", sa.Text, unique=True),
    sa.Column("at", Instant),
    sa.Column("day", sa.Date),
    sa.Column("yes", sa.Boolean),
    sa.Column("sum", sa.BigInteger),
    sa.Column("said", sa.JSON),
    sa.Column("plain", Canonical),
    sa.CheckConstraint("sum < 1000", name="small"),
)
dull = sa.Table(
    "dull", tables, sa.Column("id", Serial, primary_key=True), sa.Column("word", sa.Text, default=lambda: "python")
)
ADD = Prepared(things.insert())
ALL = Prepared(things.select().order_by(things.c.id))
BY_KEY = Prepared(things.select().where(things.c.key == sa.bindparam("of")))
DRAWN = Prepared(things.insert().returning(things.c.id))
MORE = Prepared(things.update().where(things.c.key == sa.bindparam("of")).values(sum=things.c.sum + 1))
ANY_OF = things.c.key.in_(sa.bindparam("of", expanding=True))
CHANGE = Prepared(things.update().where(things.c.key == sa.bindparam("of")))

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.fixed_dictionaries(
    {
        "at": st.none() | st.datetimes(timezones=st.just(datetime.UTC)),
        "day": st.none() | st.dates(),
        "yes": st.none() | st.booleans(),
        "sum": st.none() | st.integers(-(2**63), 999),
        "said": JSON.filter(lambda value: value is not None),
        "plain": JSON,
    }
)


def thing(key: str, **values: Any) -> dict[str, Any]:
    none = dict.fromkeys(("at", "day", "yes", "sum", "said", "plain"))
    return {"key": key, **none, "said": {}, **values}


@pytest.fixture
def made(empty_store: Store) -> Store:
    empty_store.write(tables.create_all)
    return empty_store


def keys(store: Store) -> list[str]:
    return [row.key for row in store.read(lambda connection: ALL.all(connection, {}))]


# The fixture only makes databases, and each example is rolled back.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(several=st.lists(ROWS, min_size=1, max_size=4))
def test_what_is_written_and_read_is_what_sqlalchemy_would_have(made: Store, several: list[dict[str, Any]]) -> None:
    named = [{"key": f"k{place}", **row} for place, row in enumerate(several)]

    def both(connection: sa.Connection) -> None:
        ADD.run(connection, named[0])
        if named[1:]:
            ADD.run_each(connection, named[1:])
        asked = [dict(row._asdict()) for row in ALL.all(connection, {})]
        told = [dict(row._mapping) for row in connection.execute(things.select().order_by(things.c.id))]
        assert asked == told
        assert [{name: row[name] for name in named[0]} for row in asked] == named
        connection.execute(things.delete())
        connection.execute(things.insert(), named)
        again = [dict(row._asdict()) for row in ALL.all(connection, {})]
        assert [{name: row[name] for name in named[0]} for row in again] == named
        connection.execute(things.delete())

    made.write(both)


def test_a_row_is_found_changed_and_counted(made: Store) -> None:
    def story(connection: sa.Connection) -> None:
        assert DRAWN.value(connection, thing("a", sum=1)) == 1
        assert DRAWN.value(connection, thing("b", sum=1)) == 2
        assert MORE.run(connection, {"of": "a"}) == 1
        assert MORE.run(connection, {"of": "nobody"}) == 0
        assert CHANGE.run(connection, {"of": "b", "day": datetime.date(2026, 11, 26), "yes": True}) == 1
        assert BY_KEY.first(connection, {"of": "a"}).sum == 2
        row = BY_KEY.first(connection, {"of": "b"})
        assert (row.day, row.yes, row.sum) == (datetime.date(2026, 11, 26), True, 1)
        assert BY_KEY.first(connection, {"of": "nobody"}) is None
        assert BY_KEY.value(connection, {"of": "nobody"}) is None
        assert ADD.run_each(connection, [thing("c"), thing("d")]) in (2, -1)

    made.write(story)
    assert keys(made) == ["a", "b", "c", "d"]


def test_more_than_the_one_row_that_can_be_is_an_error(made: Store) -> None:
    made.write(lambda connection: ADD.run_each(connection, [thing("a"), thing("b")]))
    with pytest.raises(sa.exc.MultipleResultsFound):
        made.read(lambda connection: ALL.first(connection, {}))


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(lambda connection: ADD.run(connection, thing("a")), id="one-that-is-there"),
        pytest.param(lambda connection: ADD.run(connection, thing("b", sum=1000)), id="one-too-large"),
        pytest.param(lambda connection: ADD.run_each(connection, [thing("b"), thing("a")]), id="several"),
        pytest.param(
            lambda connection: ADD.run_each(connection, [thing("b"), thing("c"), thing("d", sum=1000)]), id="the-last"
        ),
    ],
)
def test_what_the_database_refuses_is_told_by_its_name_and_leaves_nothing(
    made: Store, refused: Callable[[sa.Connection], int]
) -> None:
    def story(connection: sa.Connection) -> None:
        ADD.run(connection, thing("a"))
        with pytest.raises(sa.exc.IntegrityError), savepoint(connection):
            refused(connection)
        ADD.run(connection, thing("z"))

    made.write(story)
    assert keys(made) == ["a", "z"]


def test_of_several_none_is_left_even_where_the_transaction_goes_on(made: Store) -> None:
    if made.engine.dialect.name != "sqlite":
        pytest.skip("on PostgreSQL no transaction goes on after an error without a savepoint")

    def story(connection: sa.Connection) -> None:
        with pytest.raises(sa.exc.IntegrityError):
            ADD.run_each(connection, [thing("b"), thing("c"), thing("d", sum=1000)])
        ADD.run(connection, thing("z"))

    made.write(story)
    assert keys(made) == ["z"]


def test_of_several_the_error_is_the_one_of_the_row_that_was_refused(made: Store) -> None:
    """Not of one that a second look finds to be there already."""

    def story(connection: sa.Connection) -> None:
        with pytest.raises(sa.exc.IntegrityError) as refusal, savepoint(connection):
            ADD.run_each(connection, [thing("b"), thing("c", sum=1000)])
        assert "small" in str(refusal.value.orig)

    made.write(story)


def test_values_that_cannot_be_are_told_as_by_sqlalchemy(made: Store) -> None:
    naive = thing("a", at=datetime.datetime(2026, 11, 26))
    with pytest.raises(sa.exc.StatementError, match=r"zone|aware"):
        made.write(lambda connection: ADD.run(connection, naive))
    with pytest.raises(sa.exc.StatementError):
        made.write(lambda connection: BY_KEY.first(connection, {}))
    assert keys(made) == []


def test_no_value_stands_in_an_error(made: Store) -> None:
    made.write(lambda connection: ADD.run(connection, thing("jane@example.com")))
    with pytest.raises(sa.exc.IntegrityError) as refusal:
        made.write(lambda connection: ADD.run(connection, thing("jane@example.com", said={"name": "Jane"})))
    assert "Jane" not in str(refusal.value)


def test_a_question_sees_one_moment_and_changes_nothing(made: Store) -> None:
    def question(connection: sa.Connection) -> None:
        assert ALL.all(connection, {}) == []
        # On SQLite a question may go on while others write.
        made.write(lambda other: ADD.run(other, thing("meanwhile")))
        assert ALL.all(connection, {}) == []

    made.read(question)
    assert keys(made) == ["meanwhile"]
    made.read(lambda connection: CHANGE.run(connection, {"of": "meanwhile", "sum": 5}))
    assert made.read(lambda connection: BY_KEY.first(connection, {"of": "meanwhile"}).sum) is None


def test_what_a_transaction_wrote_is_known_to_who_rings_for_it(made: Store) -> None:
    def story(connection: sa.Connection) -> None:
        assert ALL.all(connection, {}) == []
        assert things not in connection.info.get(WRITTEN, ())
        ADD.run(connection, thing("a"))
        if connection.dialect.name == "sqlite":
            assert connection.info[WRITTEN] == {things}

    made.write(story)


def test_who_listens_to_statements_hears_of_every_one(made: Store) -> None:
    """Tests that kill a program at each statement, or that forbid one, go by it."""
    heard: list[tuple[str, str]] = []

    def note(when: str) -> Callable[..., None]:
        return lambda connection, cursor, statement, *rest: heard.append((when, statement.split()[0]))

    sa.event.listen(made.engine, "before_cursor_execute", note("before"))
    sa.event.listen(made.engine, "after_cursor_execute", note("after"))

    def story(connection: sa.Connection) -> None:
        ADD.run_each(connection, [thing("a"), thing("b")])
        CHANGE.run(connection, {"of": "b", "sum": 5})
        BY_KEY.first(connection, {"of": "a"})

    made.write(story)
    said = [one for one in heard if one[1] in ("INSERT", "UPDATE", "SELECT")]
    assert said == [(when, what) for what in ("INSERT", "UPDATE", "SELECT") for when in ("before", "after")]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        pytest.param(things.select().where(ANY_OF), {"of": ["a"]}, id="in"),
        pytest.param(dull.insert(), {"id": 1}, id="default"),
    ],
)
def test_a_statement_that_is_another_at_each_call_is_refused(
    made: Store, statement: sa.Executable, values: dict[str, Any]
) -> None:
    if made.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL is always asked through SQLAlchemy, which completes it")
    with pytest.raises(ValueError, match="cannot be prepared"):
        made.write(lambda connection: Prepared(statement).run(connection, values))
