"""The outbox: after the commit, in order per account, at least once, never lost."""

from __future__ import annotations

import datetime
import time

import pytest
import sqlalchemy as sa

from control_plane.running import outbox, tables, tasks
from control_plane.running.outbox import Deliverer, Letter, Refused
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.conftest import POSTGRESQL
from tests.control_plane.running.made_up import DAY, HOUR, NOON, SECOND, Outside


def put(
    store: Store,
    key: str,
    account: str | None = "acc_a",
    kind: outbox.Kind = "mail",
    *,
    now: datetime.datetime = NOON,
    awaited: bool = False,
) -> bool:
    return store.write(
        lambda connection: outbox.put(
            connection, now, kind=kind, key=key, account=account, payload={"to": key}, awaited=awaited
        )
    )


def settle(work: Work, now: datetime.datetime, kind: str = "mail") -> int:
    taken = 0
    while work.letter(kind, now):
        taken += 1
    return taken


def row(store: Store, key: str) -> tuple[str, int, str | None]:
    wanted = sa.select(tables.outbox.c.state, tables.outbox.c.attempts, tables.outbox.c.error)
    found = store.read(lambda connection: connection.execute(wanted.where(tables.outbox.c.key == key)).one())
    return found.state, found.attempts, found.error


def test_what_was_rolled_back_never_leaves(store: Store) -> None:
    def fails(connection: sa.Connection) -> None:
        outbox.put(connection, NOON, kind="mail", key="k", account=None, payload={})
        raise RuntimeError("in the end")

    with pytest.raises(RuntimeError):
        store.write(fails)
    outside = Outside()
    assert settle(Work(store, {}, {"mail": Deliverer(outside)}), NOON) == 0
    assert outside.got == []


def test_a_key_leaves_once_and_what_it_held_is_gone_afterwards(store: Store) -> None:
    outside = Outside()
    work = Work(store, {}, {"mail": Deliverer(outside)})
    assert [put(store, "k"), put(store, "k")] == [True, False]
    settle(work, NOON)
    assert not put(store, "k")
    settle(work, NOON + DAY)
    assert outside.got == [("k", {"to": "k"})]
    payloads = store.read(lambda connection: connection.execute(sa.select(tables.outbox.c.payload)).scalars().all())
    assert payloads == [{}]


def test_while_the_first_waits_the_others_of_its_account_wait_and_strangers_do_not(store: Store) -> None:
    outside = Outside(fails=1)
    work = Work(store, {}, {"mail": Deliverer(outside), "media": Deliverer(outside)})
    for key in ("a1", "a2"):
        put(store, key)
    put(store, "b1", "acc_b")
    put(store, "n1", None)
    put(store, "m1", kind="media")
    settle(work, NOON)
    settle(work, NOON, "media")
    assert outside.keys == ["b1", "n1", "m1"]
    settle(work, NOON + 10 * SECOND)
    assert outside.keys == ["b1", "n1", "m1", "a1", "a2"]


def test_it_is_tried_for_ever_with_growing_delays_and_the_staff_told_once(store: Store) -> None:
    outside = Outside(fails=40)
    work = Work(store, {}, {"mail": Deliverer(outside)})
    put(store, "k")
    put(store, "other", "acc_b")
    now, waits = NOON, []
    while row(store, "k")[0] == "waiting":
        settle(work, now)
        at = store.read(lambda connection: outbox.next_at(connection, "mail"))
        if at is not None:
            waits.append((at - now) // SECOND)
            now = at
            if len(waits) == 8:
                assert [(task.kind, task.ref) for task in store.read(tasks.all_open)] == [("outbox_stuck", "mail")]
                assert (row(store, "k")[2] or "").startswith("ConnectionError at made_up.py:")
    assert waits[:8] == [10, 60, 300, 900, 3600, 10800, 21600, 21600]
    assert sorted(outside.keys) == ["k", "other"]
    assert store.read(tasks.all_open) == []


def test_a_refusal_is_kept_told_and_lets_the_next_go(store: Store) -> None:
    bounced: list[str] = []

    def carry(letter: Letter) -> None:
        if letter.key == "a1":
            raise Refused("smtp_550")

    def flag(connection: sa.Connection, now: datetime.datetime, letter: Letter) -> None:
        bounced.append(f"{letter.account} {letter.key} {letter.payload['to']}")

    work = Work(store, {}, {"mail": Deliverer(carry, flag)})
    put(store, "a1")
    put(store, "a2")
    assert settle(work, NOON) == 2
    assert row(store, "a1") == ("refused", 1, "smtp_550") and row(store, "a2")[0] == "sent"
    assert bounced == ["acc_a a1 a1"]
    (task,) = store.read(tasks.all_open)
    assert (task.kind, task.ref, task.payload) == ("outbox_refused", "a1", {"kind": "mail", "code": "smtp_550"})
    outside = Outside()
    assert store.write(lambda connection: outbox.again(connection, NOON + DAY, key="a1", actor="staff:per_1"))
    settle(Work(store, {}, {"mail": Deliverer(outside)}), NOON + DAY)
    assert outside.got == [("a1", {"to": "a1"})] and store.read(tasks.all_open) == []
    assert not store.write(lambda connection: outbox.again(connection, NOON, key="a1", actor="staff:per_1"))


def test_a_claim_that_was_not_settled_comes_up_again_with_the_same_key(store: Store) -> None:
    put(store, "k")
    first = store.write(lambda connection: outbox.claim(connection, NOON, "mail", 60))
    assert first is not None  # and here the process dies
    soon, later = NOON + 59 * SECOND, NOON + 60 * SECOND
    assert store.write(lambda connection: outbox.claim(connection, soon, "mail", 60)) is None
    second = store.write(lambda connection: outbox.claim(connection, later, "mail", 60))
    assert second is not None and (second.key, second.attempts, second.payload) == ("k", 2, first.payload)


def test_a_late_word_of_an_older_try_does_not_disturb_the_newer_one(store: Store) -> None:
    put(store, "k")
    old = store.write(lambda connection: outbox.claim(connection, NOON, "mail", 60))
    new = store.write(lambda connection: outbox.claim(connection, NOON + HOUR, "mail", 60))
    assert old is not None and new is not None
    store.write(lambda connection: outbox.sent(connection, NOON + HOUR, new))
    store.write(lambda connection: outbox.failed(connection, NOON + HOUR, old, ConnectionError()))
    assert row(store, "k")[0] == "sent"


def test_a_kind_without_a_deliverer_waits(store: Store) -> None:
    put(store, "m", kind="media")
    assert [lane.name for lane in Work(store, {}, {"mail": Deliverer(Outside())}).lanes()] == ["jobs", "mail"]
    assert row(store, "m") == ("waiting", 0, None)


def commits(store: Store) -> list[int]:
    """Its length is how many transactions were committed since."""
    seen: list[int] = []
    sa.event.listen(store.engine, "commit", lambda connection: seen.append(1))
    return seen


def test_answers_that_can_be_asked_for_again_are_written_down_together(store: Store) -> None:
    for number in range(3):
        put(store, f"k{number}", f"acc_{number}", "gateway")
    arrived: list[str] = []
    idempotent = Deliverer(Outside(), arrived=lambda *told: arrived.append(told[2].key), idempotent=True)
    seen = commits(store)
    assert settle(Work(store, {}, {"gateway": idempotent}), NOON, "gateway") == 1
    assert arrived == ["k0", "k1", "k2"]
    assert len(seen) == 2, "claimed, and answered"


def test_what_nobody_can_ask_for_is_written_down_before_the_next_leaves(store: Store) -> None:
    """Else a crash would send more than one of them twice."""
    for number in range(3):
        put(store, f"k{number}", f"acc_{number}")
    left: list[str] = []

    def carry(letter: Letter) -> None:
        assert [row(store, key)[0] for key in left] == ["sent"] * len(left)
        left.append(letter.key)

    assert settle(Work(store, {}, {"mail": Deliverer(carry)}), NOON) == 1
    assert left == ["k0", "k1", "k2"]


def test_an_answer_that_cannot_be_written_down_waits_alone(store: Store) -> None:
    for number in range(3):
        put(store, f"k{number}", f"acc_{number}", "gateway")

    def arrived(connection: sa.Connection, now: datetime.datetime, letter: Letter, answer: object) -> None:
        if letter.key == "k1":
            raise RuntimeError("a fault of ours")

    work = Work(store, {}, {"gateway": Deliverer(Outside(), arrived=arrived, idempotent=True)})
    settle(work, NOON, "gateway")
    assert [row(store, f"k{number}")[:2] for number in range(3)] == [("sent", 1), ("waiting", 1), ("sent", 1)]


def test_letters_that_were_claimed_when_the_process_died_come_up_one_by_one(store: Store) -> None:
    for number in range(3):
        put(store, f"k{number}", f"acc_{number}")
    claimed = store.write(lambda connection: outbox.claim_some(connection, NOON, "mail", 60, 8))
    assert len(claimed) == 3  # and here the process dies
    again = store.write(lambda connection: outbox.claim_some(connection, NOON + 60 * SECOND, "mail", 60, 8))
    assert [(one.key, one.attempts) for one in again] == [("k0", 2)]


def test_of_letters_that_take_long_the_rest_is_left_to_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the first answer does not wait for eight, and no lease is over before its letter has left."""
    for number in range(4):
        put(store, f"k{number}", f"acc_{number}", "gateway")
    spent = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: spent[0])
    outside = Outside()

    def carry(letter: Letter) -> None:
        spent[0] += 0.3
        outside(letter)

    work = Work(store, {}, {"gateway": Deliverer(carry, idempotent=True)})
    assert work.letter("gateway", NOON)
    assert outside.keys == ["k0", "k1"]
    assert [row(store, f"k{number}")[:2] for number in range(4)] == [("sent", 1)] * 2 + [("waiting", 0)] * 2
    settle(work, NOON, "gateway")
    assert outside.keys == ["k0", "k1", "k2", "k3"]
    assert row(store, "k3") == ("sent", 1, None)


def test_what_somebody_waits_for_goes_before_a_night_of_others_and_behind_nothing_but_its_own(store: Store) -> None:
    for number in range(40):
        put(store, f"n{number}", f"acc_{number}")
    put(store, "reset", "acc_x", now=NOON + SECOND, awaited=True)
    put(store, "own", "acc_39", now=NOON + SECOND, awaited=True)
    outside = Outside()
    work = Work(store, {}, {"mail": Deliverer(outside, idempotent=True)})
    assert work.letter("mail", NOON + SECOND)
    assert outside.keys == ["reset"]
    settle(work, NOON + SECOND)
    assert outside.keys == ["reset", *(f"n{number}" for number in range(32)), *(f"n{n}" for n in range(32, 40)), "own"]


def test_when_the_next_may_go_does_not_depend_on_who_waits_for_it(store: Store) -> None:
    put(store, "later", "acc_b", now=NOON + HOUR, awaited=True)
    put(store, "first", now=NOON + SECOND)
    assert store.read(lambda connection: outbox.next_at(connection, "mail")) == NOON + SECOND
    outside = Outside()
    settle(Work(store, {}, {"mail": Deliverer(outside)}), NOON + SECOND)
    assert outside.keys == ["first"]
    assert store.read(lambda connection: outbox.next_at(connection, "mail")) == NOON + HOUR


def test_what_is_tried_again_is_awaited_as_before(store: Store) -> None:
    outside = Outside(fails=1)
    work = Work(store, {}, {"mail": Deliverer(outside)})
    put(store, "code", "acc_a", awaited=True)
    settle(work, NOON)
    put(store, "night", "acc_b", now=NOON)
    settle(work, NOON + 10 * SECOND)
    assert outside.keys == ["code", "night"]


@pytest.mark.skipif(POSTGRESQL, reason="the plan is told in SQLite's words")
def test_a_look_for_what_may_go_reads_an_index_in_its_order(store: Store) -> None:
    """Of a night's rows none is sorted, and none of another kind is passed."""
    asked: list[str] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    work = Work(store, {}, {"mail": Deliverer(Outside())})
    put(store, "k")
    settle(work, NOON)
    looks = [sql for sql in asked if sql.startswith("SELECT") and "FROM outbox" in sql]
    assert looks
    with store.engine.connect() as connection:
        for sql in looks:
            unsaid = (None,) * sql.count("?")
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", unsaid)]
            assert "ix_outbox_waiting (kind=? AND awaited=?" in plan[0] and "TEMP B-TREE" not in str(plan), plan


def test_several_at_once_need_a_side_that_knows_a_letter_by_its_key() -> None:
    with pytest.raises(ValueError, match="by its key"):
        Deliverer(Outside(), at_once=2)
    with pytest.raises(ValueError, match="by its key"):
        Deliverer(Outside(), idempotent=True, at_once=0)
