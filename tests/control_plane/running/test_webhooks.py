"""Webhooks against a real HTTP server: in order, signed, again and again, never dropped, never switched off."""

from __future__ import annotations

import datetime
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from control_plane.clock import SystemClock
from control_plane.errors import Conflict, ControlPlaneError, Invalid, NotFound
from control_plane.running import events, runner, tables, webhooks
from control_plane.running.outbound import Answer, Poster
from control_plane.running.runner import Bell, Runner
from control_plane.running.signatures import verify
from control_plane.running.webhooks import Endpoint, Hooks
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.running.made_up import DAY, HOUR, NOON, SECOND
from tests.control_plane.running.receiver import Receiver, never, raw, receiver, says
from tests.control_plane.running.test_runner import until

KEY = b"k" * 32


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


class Drawn:
    """Names that are different each time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, length: int) -> str:
        self.count += 1
        return f"{self.count:0{length}}"


draw = Drawn()


def add(store: Store, there: Receiver, account: str = "acc_a", path: str = "/hook") -> Endpoint:
    url = f"http://127.0.0.1:{there.port}{path}"
    return store.write(lambda c: webhooks.add(c, NOON, account=account, url=url, random_token=draw, private=True))


def emit(store: Store, *kinds: str, account: str = "acc_a") -> None:
    for kind in kinds:
        store.write(
            lambda c, kind=kind: events.emit(c, NOON, account=account, kind=kind, payload={"room": "123456789"})  # type: ignore[misc]
        )


def work(store: Store, **settings: Any) -> Work:
    return Work(store, hooks=Hooks(KEY, Poster(private=True, within_s=settings.pop("within_s", 10.0)), **settings))


def call(work: Work, now: datetime.datetime = NOON) -> int:
    taken = 0
    while work.hook(now):
        taken += 1
    return taken


def shown(store: Store, endpoint: Endpoint) -> Endpoint:
    return store.read(lambda connection: webhooks.one(connection, endpoint.account, endpoint.id))


def tried(store: Store, endpoint: Endpoint) -> list[tuple[int, str, int | None, str]]:
    rows = store.read(lambda connection: webhooks.attempts(connection, endpoint.account, endpoint.id))
    return [(row.seq, row.outcome, row.status, row.error) for row in rows]


def test_events_come_in_order_each_signed_and_recorded(store: Store, there: Receiver) -> None:
    endpoint = add(store, there)
    emit(store, "a", "b", "c")
    emit(store, "theirs", account="acc_b")
    assert call(work(store)) == 3
    assert [(event["type"], event["seq"]) for event in there.events] == [("a", 1), ("b", 2), ("c", 3)]
    assert there.events[0]["data"] == {"room": "123456789"} and there.events[0]["timestamp"] == NOON.isoformat()
    secrets = webhooks.secrets(endpoint, KEY, NOON)
    for headers, body in there.requests:
        received = verify(secrets, headers, body, int(NOON.timestamp()), lambda id: True)
        assert received.id.encode() in body
    assert tried(store, endpoint) == [(seq, "delivered", 204, "") for seq in (3, 2, 1)]


def test_what_happened_before_it_was_there_is_not_told_unless_asked_for(store: Store, there: Receiver) -> None:
    emit(store, "before")
    endpoint = add(store, there)
    emit(store, "after")
    call(work(store))
    assert [event["type"] for event in there.events] == ["after"]
    store.write(lambda connection: webhooks.replay(connection, NOON, "acc_a", endpoint.id, after=0))
    call(work(store))
    assert [event["type"] for event in there.events] == ["after", "before", "after"]
    assert there.events[0]["id"] == there.events[2]["id"] and there.requests[0][1] == there.requests[2][1]


def test_a_failure_holds_the_next_ones_back_and_the_same_event_comes_again(store: Store, there: Receiver) -> None:
    endpoint = add(store, there)
    emit(store, "a", "b")
    there.behave = [says("500 Broken"), raw(b"garbage\r\n\r\n"), says("301 Moved", "location: http://127.0.0.1/")]
    running, now, waits = work(store), NOON, []
    while shown(store, endpoint).told < 2:
        call(running, now)
        at = store.read(webhooks.next_at)
        if at is not None:
            waits.append((at - now) // SECOND)
            now = at
    assert waits == [5, 30, 120]
    assert [event["type"] for event in there.events] == ["a", "a", "a", "a", "b"]
    assert len({headers["webhook-id"] for headers, _ in there.requests}) == 2
    # Each try has its own time, and so its own signature; the body is the same.
    assert len({headers["webhook-signature"] for headers, _ in there.requests[:4]}) == 4
    assert len({body for _, body in there.requests[:4]}) == 1
    assert [row[1:] for row in reversed(tried(store, endpoint))][:3] == [
        ("failed", 500, "answered with status 500"),
        ("failed", None, "the answer is not HTTP"),
        ("failed", 301, "redirects are not followed"),
    ]


def test_who_fails_for_weeks_is_told_of_it_and_loses_nothing(store: Store, there: Receiver) -> None:
    """Its owner is told once by an event and by whoever puts a mail; it is tried daily; then all comes in order."""
    mails: list[tuple[str, str, int]] = []

    def mail(connection: sa.Connection, now: datetime.datetime, endpoint: Endpoint) -> None:
        mails.append((endpoint.account, endpoint.error, endpoint.failures))

    endpoint = add(store, there)
    emit(store, "a", "b")
    there.behave = [says("503 Away")] * 40
    running, now, gaps = work(store, failing=mail), NOON, []
    while there.behave:
        call(running, now)
        at = store.read(webhooks.next_at)
        assert at is not None
        gaps.append(at - now)
        now = at
    assert gaps[-1] == DAY and max(gaps) == DAY and now - NOON > 20 * DAY
    failing = shown(store, endpoint)
    assert (failing.error, failing.failures, failing.failing_since) == ("answered with status 503", 40, NOON)
    assert mails == [("acc_a", "answered with status 503", webhooks.TELL_AFTER)]
    call(running, now)
    healed = shown(store, endpoint)
    assert (healed.error, healed.failures, healed.failing_since) == ("", 0, None)
    kinds = [event["type"] for event in there.events[40:]]
    assert kinds == ["a", "b", "webhook.failing", "webhook.recovered"]
    assert there.events[-2]["data"] == {"webhook": endpoint.id, "error": "answered with status 503"}
    assert len(tried(store, endpoint)) == 44


def test_a_slow_one_is_left_and_tried_again(store: Store, there: Receiver) -> None:
    endpoint = add(store, there)
    emit(store, "a")
    there.behave = [never(there)]
    running = work(store, within_s=0.3)
    assert call(running) == 1
    assert shown(store, endpoint).error == "no answer within 0.3 seconds"
    assert call(running, NOON + 5 * SECOND) == 1
    assert shown(store, endpoint).told == 1


def test_one_that_fails_holds_up_no_other(store: Store, there: Receiver) -> None:
    with receiver() as broken:
        failing, well = add(store, broken), add(store, there)
        broken.behave = [says("500 Broken")] * 9
        emit(store, "a", "b")
        call(work(store))
    assert [event["type"] for event in there.events] == ["a", "b"]
    assert (shown(store, failing).told, shown(store, well).told) == (0, 2)


def test_who_dies_in_the_middle_tells_it_again(store: Store, there: Receiver) -> None:
    endpoint = add(store, there)
    emit(store, "a")
    first = store.write(lambda connection: webhooks.claim(connection, NOON))
    assert first is not None
    Poster(private=True)(*webhooks.request(first, KEY))  # it was told, and here the process dies
    assert call(work(store), NOON + 29 * SECOND) == 0
    assert call(work(store), NOON + 30 * SECOND) == 1
    assert [event["id"] for event in there.events] == [first.event.id] * 2
    assert [row[1] for row in tried(store, endpoint)] == ["delivered", "begun"]


def test_a_secret_is_changed_with_a_day_of_both(store: Store, there: Receiver) -> None:
    endpoint = add(store, there)
    (old,) = webhooks.secrets(endpoint, KEY, NOON)
    turned = store.write(lambda connection: webhooks.rotate(connection, NOON, "acc_a", endpoint.id))
    new = webhooks.secrets(turned, KEY, NOON)[0]
    assert old != new and old.startswith("whsec_")
    emit(store, "a", "b")
    running = work(store)
    running.hook(NOON + 23 * HOUR)
    running.hook(NOON + 25 * HOUR)
    during, after = there.requests

    def holds(secret: str, request: tuple[dict[str, str], bytes]) -> bool:
        try:
            stamp = int(request[0]["webhook-timestamp"])
            return verify([secret], *request, stamp, lambda id: True).fresh
        except Exception:
            return False

    assert [holds(old, during), holds(new, during), holds(old, after), holds(new, after)] == [True, True, False, True]


def test_what_was_decided_while_it_was_being_told_stays(store: Store, there: Receiver) -> None:
    """Sent back by its owner, or removed, in the middle of a call."""
    endpoint = add(store, there)
    emit(store, "a", "b")
    running = work(store)
    running.hook(NOON)
    delivery = store.write(lambda connection: webhooks.claim(connection, NOON))
    assert delivery is not None and delivery.event.seq == 2
    store.write(lambda connection: webhooks.replay(connection, NOON, "acc_a", endpoint.id, after=0))
    hooks = running.hooks
    assert hooks is not None
    store.write(lambda connection: webhooks.settle(connection, NOON, delivery, Answer(200, ""), hooks))
    assert shown(store, endpoint).told == 0
    store.write(lambda connection: webhooks.remove(connection, "acc_a", endpoint.id))
    store.write(lambda connection: webhooks.settle(connection, NOON, delivery, Answer(500, "x"), hooks))
    assert store.read(lambda connection: webhooks.all_of(connection, "acc_a")) == []
    assert store.read(lambda connection: connection.execute(sa.select(tables.webhook_attempt)).all()) == []


def test_only_its_account_sees_or_changes_it(store: Store, there: Receiver) -> None:
    endpoint = add(store, there)

    def refused(act: Any) -> str:
        with pytest.raises(ControlPlaneError) as refusal:
            store.write(act)
        return refusal.value.code

    for act in (
        lambda c: webhooks.one(c, "acc_b", endpoint.id),
        lambda c: webhooks.remove(c, "acc_b", endpoint.id),
        lambda c: webhooks.rotate(c, NOON, "acc_b", endpoint.id),
        lambda c: webhooks.replay(c, NOON, "acc_b", endpoint.id, after=0),
        lambda c: webhooks.attempts(c, "acc_b", endpoint.id),
    ):
        assert refused(act) == "no_such_webhook"
    assert isinstance(NotFound("a", "b"), ControlPlaneError)
    for after in (-1, 1, 10**12):
        with pytest.raises(Invalid, match="no_such_event"):
            store.write(lambda c, after=after: webhooks.replay(c, NOON, "acc_a", endpoint.id, after=after))  # type: ignore[misc]


def test_there_are_limits_and_no_address_twice(store: Store, there: Receiver) -> None:
    for number in range(webhooks.ENDPOINTS_MAX - 1):
        add(store, there, path=f"/{number}")
    with pytest.raises(Conflict, match="webhook_exists"):
        add(store, there, path="/3")
    add(store, there, path="/last")
    with pytest.raises(Conflict, match="too_many_webhooks"):
        add(store, there, path="/more")
    with pytest.raises(Invalid, match="bad_url"):
        store.write(
            lambda c: webhooks.add(c, NOON, account="acc_b", url=f"http://127.0.0.1:{there.port}/", random_token=draw)
        )


def test_one_commit_wakes_as_many_threads_as_there_are_endpoints(
    store: Store, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would sleep for an hour. One is woken, and wakes the next before it waits for its own endpoint."""
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 3600.0)
    go_on = threading.Event()

    def hangs(line: socket.socket, request: bytes) -> None:
        assert go_on.wait(30)

    there.behave = [hangs]
    for account in ("acc_a", "acc_b", "acc_c"):
        add(store, there, account)
    bell = Bell()
    runner.ring_after_commits(store, bell)
    running = Runner(work(store, within_s=60.0), SystemClock(), bell)
    running.start()

    def use_case(connection: sa.Connection) -> None:
        for account in ("acc_a", "acc_b", "acc_c"):
            events.emit(connection, NOON, account=account, kind="a", payload={})

    store.write(use_case)
    until(lambda: len(there.events) == 3)
    go_on.set()
    assert running.stop()


def test_the_runner_tells_what_is_committed(store: Store, there: Receiver) -> None:
    """Several threads at once, one endpoint each, in order all the same."""
    endpoints = [add(store, there, f"acc_{number}") for number in range(3)]
    running = Runner(work(store), SystemClock(), Bell())
    running.start()
    for number in range(5):
        for endpoint in endpoints:
            emit(store, f"kind.{number}", account=endpoint.account)
    until(lambda: all(shown(store, endpoint).told == 5 for endpoint in endpoints))
    assert running.stop()
    for endpoint in endpoints:
        mine = [event["seq"] for event in there.events if event["account"] == endpoint.account]
        assert list(dict.fromkeys(mine)) == [1, 2, 3, 4, 5]
