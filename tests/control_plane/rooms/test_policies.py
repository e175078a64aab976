"""Orders to the media server: versions only rise, the newest counts, what was acknowledged is known."""

from __future__ import annotations

import datetime
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from control_plane.rooms import policies
from control_plane.rooms.policies import InForce
from control_plane.rooms.tables import put_out
from control_plane.storage.store import Store
from sfu.contract import PUT_OUT_MAX
from tests.control_plane.rooms.hall import API_TOKEN, Hall, hall


class FarAway:
    """A media server that is somewhere else: what it was asked, and answers that are set by hand."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[httpx2.Response | Exception] = []
        self.http = httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == f"Bearer {API_TOKEN}"
        body = httpx2.Response(200, content=request.content).json() if request.content else {}
        self.asked.append((request.method, request.url.path, body))
        answer = self.answers.pop(0) if self.answers else httpx2.Response(200, json=body)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def far() -> FarAway:
    return FarAway()


@pytest.fixture
def there(store: Store, far: FarAway) -> Hall:
    return hall(store, api="http://media.test", http=far.http)


def in_force(here: Hall, event: dict[str, Any]) -> InForce:
    found = here.store.read(lambda connection: policies.in_force(connection, event["id"]))
    assert found is not None
    return found


def test_a_new_event_needs_no_order_and_a_change_is_one_with_a_higher_version(there: Hall, far: FarAway) -> None:
    event = there.plan_event()
    first = in_force(there, event).version
    assert there.carry() == 0
    there.change(event, title="Another title")
    assert (there.carry(), in_force(there, event).version) == (0, first)  # nothing that a room would notice
    there.change(event, seats=9)
    assert in_force(there, event).acknowledged == 0
    assert there.carry() == 1
    ((method, path, body),) = far.asked
    assert (method, path) == ("PUT", f"/v1/rooms/{event['number']}/policy")
    assert body == {"seats": 9, "senders": 9, "closed": False, "put_out": [], "version": in_force(there, event).version}
    assert in_force(there, event).acknowledged == in_force(there, event).version > first


def test_an_order_that_waited_tells_what_is_right_now_and_not_what_was(there: Hall, far: FarAway) -> None:
    event = there.plan_event()
    there.change(event, seats=9)
    there.change(event, seats=8)
    assert there.carry() == 2
    assert [body["seats"] for _, _, body in far.asked] == [8, 8]


@pytest.mark.parametrize("answer", [httpx2.Response(503), httpx2.Response(401), httpx2.ConnectError("gone")])
def test_an_order_that_was_not_taken_comes_again(
    there: Hall, far: FarAway, answer: httpx2.Response | Exception
) -> None:
    event = there.plan_event()
    there.change(event, seats=9)
    far.answers = [answer]
    assert there.carry() == 1
    assert (there.carry(), in_force(there, event).acknowledged) == (0, 0)
    there.clock.advance_to(there.clock.now() + datetime.timedelta(minutes=1))
    assert there.carry() == 1
    assert in_force(there, event).acknowledged == in_force(there, event).version


def test_after_a_restored_backup_the_next_order_is_above_what_the_media_server_knows(there: Hall, far: FarAway) -> None:
    event = there.plan_event()
    there.change(event, seats=9)
    known = in_force(there, event).version + 1000
    far.answers = [httpx2.Response(409, json={"code": "conflict"}), httpx2.Response(200, json={"version": known})]
    assert there.carry() == 2
    assert [(method, body.get("version")) for method, _, body in far.asked][-1] == ("PUT", known + 1)
    assert in_force(there, event).acknowledged == known + 1


def test_an_order_overtaken_by_a_newer_one_is_simply_done(there: Hall, far: FarAway) -> None:
    event = there.plan_event()
    there.change(event, seats=9)
    version = in_force(there, event).version
    far.answers = [httpx2.Response(409, json={}), httpx2.Response(200, json={"version": version - 1})]
    assert there.carry() == 1
    assert in_force(there, event).version == version


def test_a_version_never_falls_even_when_changes_come_faster_than_seconds(there: Hall) -> None:
    event = there.plan_event()
    seen = [in_force(there, event).version]
    for seats in range(1, 30):
        there.change(event, seats=seats)
        seen.append(in_force(there, event).version)
    there.clock.advance_to(there.clock.now() + datetime.timedelta(days=1))
    there.change(event, seats=40)
    seen.append(in_force(there, event).version)
    assert seen == sorted(set(seen)) and seen[0] == int(there.clock.now().timestamp()) - 86_400
    assert seen[-1] == int(there.clock.now().timestamp())


def test_whom_an_order_puts_out_is_remembered_while_an_old_grant_may_be_about(there: Hall, far: FarAway) -> None:
    event = there.plan_event()
    path = f"/api/v1/events/{event['id']}/put-out"
    for identity in ("per_x", "per_x", "gst_y"):
        assert there.call("owner acc_a", "POST", path, {"identity": identity}).status_code == 204
    there.carry()
    at = there.clock.now().timestamp()
    assert sorted(one["identity"] for one in far.asked[-1][2]["put_out"]) == ["gst_y", "per_x"]
    assert {one["at"] for one in far.asked[-1][2]["put_out"]} == {at}
    there.clock.advance_to(there.clock.now() + policies.GRANTS_OUTLIVED + datetime.timedelta(seconds=1))
    there.call("owner acc_a", "POST", path, {"identity": "per_z"})
    there.carry()
    assert [one["identity"] for one in far.asked[-1][2]["put_out"]] == ["per_z"]
    now = there.clock.now()

    def many(connection: sa.Connection) -> None:
        for number in range(PUT_OUT_MAX + 5):
            policies.drop(connection, now, there.setup, event["id"], f"gst_{number}")

    there.store.write(many)
    # Each was an order; what is told is the same by now.
    assert there.work.letter("media", now)
    assert len(far.asked[-1][2]["put_out"]) == PUT_OUT_MAX
    assert len(there.rows(put_out)) == PUT_OUT_MAX + 6
    for bad in ({"identity": ""}, {"identity": "a b"}, {"identity": "x" * 65}, {}):
        assert there.call("owner acc_a", "POST", path, bad).status_code == 422


def test_a_media_server_that_began_anew_is_told_what_is_shut_and_nothing_that_a_grant_tells(
    there: Hall, far: FarAway
) -> None:
    shut, open_ = there.plan_event(), there.plan_event()
    there.do(shut, "cancel")
    there.change(open_, seats=3)
    there.carry()
    far.asked.clear()
    assert there.report([{"type": "started", "at_ms": 1}], boot="boot2").status_code == 200
    assert there.carry() == 1
    assert [(path.split("/")[3], body["closed"]) for _, path, body in far.asked] == [(shut["number"], True)]
    there.report([{"type": "started", "at_ms": 1}], boot="boot2")  # the same report once more
    assert there.carry() == 0
    there.clock.advance_to(there.clock.now() + datetime.timedelta(hours=1))
    there.report([{"type": "started", "at_ms": 2}], boot="boot3")
    assert there.carry() == 0  # no grant lives that long


def test_a_lost_right_to_host_is_noticed_and_its_return_too(there: Hall, far: FarAway) -> None:
    event, foreign = there.plan_event(), there.plan_event("acc_b")
    there.barred.add("acc_a")
    now = there.clock.now()
    there.store.write(lambda connection: policies.settle_account(connection, now, there.setup, "acc_a"))
    assert there.carry() == 1 and far.asked[-1][2]["closed"]
    assert not in_force(there, foreign).closed
    there.barred.clear()
    grant = there.grant(event)  # the next join notices that it may be held again
    assert grant.limits is not None and grant.limits.version == in_force(there, event).version
    assert there.carry() == 1 and not far.asked[-1][2]["closed"]
