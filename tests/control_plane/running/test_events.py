"""An account's events: numbered without a gap, whoever writes at once and whatever is rolled back."""

from __future__ import annotations

import contextlib
import threading

import pytest
import sqlalchemy as sa

from control_plane.running import events
from control_plane.storage.store import Store
from tests.control_plane.running.made_up import NOON


def emit(store: Store, account: str = "acc_a", kind: str = "room.ended") -> int:
    return store.write(
        lambda connection: events.emit(connection, NOON, account=account, kind=kind, payload={"room": "123456789"})
    )


def test_each_account_counts_its_own_from_one(store: Store) -> None:
    assert [emit(store), emit(store), emit(store, "acc_b"), emit(store)] == [1, 2, 1, 3]
    assert store.read(lambda connection: events.last(connection, "acc_a")) == 3
    assert store.read(lambda connection: events.last(connection, "acc_c")) == 0


def test_reading_goes_on_behind_a_number(store: Store) -> None:
    for number in range(7):
        emit(store, kind=f"kind.{number}")
    emit(store, "acc_b")
    pages = [
        [event.kind for event in store.read(lambda c, after=after: events.read(c, "acc_a", after=after, limit=3))]  # type: ignore[misc]
        for after in (0, 3, 6, 7)
    ]
    assert pages == [["kind.0", "kind.1", "kind.2"], ["kind.3", "kind.4", "kind.5"], ["kind.6"], []]
    (first,) = store.read(lambda connection: events.read(connection, "acc_b"))
    assert (first.seq, first.at, first.payload, len(first.id)) == (1, NOON, {"room": "123456789"}, 24)


def test_a_page_has_its_limits(store: Store) -> None:
    for _ in range(3):
        emit(store)
    for limit, expected in ((0, 1), (-5, 1), (10**9, 3)):
        assert len(store.read(lambda c, limit=limit: events.read(c, "acc_a", limit=limit))) == expected  # type: ignore[misc]


def test_what_is_rolled_back_and_who_writes_at_once_leave_no_gap(store: Store) -> None:
    def fails(connection: sa.Connection) -> None:
        events.emit(connection, NOON, account="acc_a", kind="never", payload={})
        raise RuntimeError("in the end")

    def write() -> None:
        for _ in range(5):
            with contextlib.suppress(RuntimeError):
                store.write(fails)
            emit(store)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.read(lambda connection: events.read(connection, "acc_a"))
    assert [event.seq for event in found] == list(range(1, 16))
    assert len({event.id for event in found}) == 15 and {event.kind for event in found} == {"room.ended"}


def test_a_float_or_too_much_is_refused(store: Store) -> None:
    for payload in ({"amount": 0.5}, {"long": "x" * 70_000}, {"deep": [{"a": float("nan")}]}):
        with pytest.raises(sa.exc.StatementError):
            store.write(
                lambda connection, payload=payload: events.emit(  # type: ignore[misc]
                    connection, NOON, account="acc_a", kind="k", payload=payload
                )
            )
    assert emit(store) == 1
