"""Precedence: what runs by itself waits for what is being answered, and not for ever."""

from __future__ import annotations

import asyncio
import datetime
import threading

import pytest
import sqlalchemy as sa
from starlette.types import Message, Receive, Scope, Send

from control_plane.api.middleware import BodyLimit, First
from control_plane.running import jobs, outbox
from control_plane.running.outbox import Deliverer, Letter
from control_plane.running.precedence import Precedence
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.running import made_up
from tests.control_plane.running.made_up import NOON, Outside, amounts, put

LONG_S = 60.0


def test_work_waits_until_the_last_answer_is_given() -> None:
    precedence, gave = Precedence(LONG_S), threading.Event()

    def work() -> None:
        precedence.give()
        gave.set()

    with precedence.answering():
        with precedence.answering():
            worker = threading.Thread(target=work)
            worker.start()
        assert precedence.claimed
        assert not gave.is_set()
    worker.join(LONG_S)
    assert gave.is_set()
    assert not precedence.claimed


def test_an_answer_that_goes_wrong_is_over_as_well() -> None:
    precedence = Precedence(LONG_S)
    with pytest.raises(RuntimeError), precedence.answering():
        raise RuntimeError("in the middle")
    precedence.give()  # and does not wait for a minute


def test_however_many_ask_the_work_goes_on() -> None:
    precedence = Precedence(0.01)
    with precedence.answering():
        precedence.give()
        assert precedence.claimed


class Asked(Precedence):
    """Somebody asks while the work goes on, and is answered as soon as it stands still."""

    def __init__(self) -> None:
        super().__init__(LONG_S)
        self.asks, self.stood_still = False, 0

    @property
    def claimed(self) -> bool:
        return self.asks

    def give(self) -> None:
        self.stood_still += self.asks
        self.asks = False


def commits(store: Store) -> list[int]:
    """Its length is how many transactions were committed since."""
    seen: list[int] = []
    sa.event.listen(store.engine, "commit", lambda connection: seen.append(1))
    return seen


def test_a_transaction_of_several_jobs_ends_when_somebody_asks_and_the_rest_is_done_after_him(made: Store) -> None:
    asked, done = Asked(), list[str]()

    def handle(connection: sa.Connection, due_at: datetime.datetime, job: jobs.Job) -> None:
        done.append(job.key)
        asked.asks = job.key in ("j1", "j4")

    for number in range(6):
        put(made, "story", f"j{number}", NOON, f"acc_{number}")
    seen = commits(made)
    assert Work(made, {"story": handle}, precedence=asked).job(NOON)
    assert done == [f"j{number}" for number in range(6)]
    assert asked.stood_still == 2
    assert len(seen) == 4, "taken, and done in three parts: two, three and one"
    assert made.read(jobs.next_at) is None


def test_one_that_fails_in_a_part_is_done_alone_and_all_others_once(made: Store) -> None:
    asked = Asked()

    def handle(connection: sa.Connection, due_at: datetime.datetime, job: jobs.Job) -> None:
        asked.asks = True
        if job.key == "j2":
            raise RuntimeError("a fault of ours")
        made_up.post(connection, due_at, job.key, int(job.key[1:]))

    for number in range(5):
        put(made, "story", f"j{number}", NOON, f"acc_{number}")
    work = Work(made, {"story": handle}, precedence=asked)
    assert work.job(NOON)
    assert amounts(made) == [0, 1, 3, 4]
    (left,) = made.write(lambda connection: jobs.take_some(connection, NOON + jobs.LEASE, 8))
    assert (left.key, left.attempts) == ("j2", 2)


def test_letters_let_who_asks_go_before_each_of_them(store: Store) -> None:
    asked, outside = Asked(), Outside()

    def carry(letter: Letter) -> None:
        outside(letter)
        asked.asks = True

    def put_all(connection: sa.Connection) -> None:
        for number in range(3):
            outbox.put(connection, NOON, kind="gateway", key=f"k{number}", account=f"acc_{number}", payload={})

    store.write(put_all)
    work = Work(store, {}, {"gateway": Deliverer(carry, idempotent=True)}, precedence=asked)
    assert work.letter("gateway", NOON)
    assert outside.keys == ["k0", "k1", "k2"]
    assert asked.stood_still == 3, "before the second, the third, and what is written down of them"
    assert store.read(lambda connection: outbox.next_at(connection, "gateway")) is None


def test_a_request_that_is_here_is_being_answered_and_one_that_is_still_sent_or_already_read_is_not() -> None:
    """So nobody holds the work of a night up by sending or reading slowly."""
    precedence, claimed = Precedence(LONG_S), dict[str, bool]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        claimed[scope["type"]] = precedence.claimed
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("it is small enough")

    async def receive() -> dict[str, object]:
        claimed["while it is sent"] = precedence.claimed
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        claimed[message["type"]] = precedence.claimed

    whole = BodyLimit(First(app, precedence), refuse)
    for scope in ({"type": "http", "path": "/", "headers": []}, {"type": "lifespan"}):
        asyncio.run(whole(scope, receive, send))
    during = {"while it is sent": False, "http": True, "http.response.start": False, "http.response.body": False}
    assert claimed == {**during, "lifespan": False}
    assert not precedence.claimed
