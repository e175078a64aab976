"""Rooms that run on a real media server under the control plane's orders: seats, changes, suspension, use."""

from __future__ import annotations

import asyncio
import datetime
import time
from pathlib import Path

import pytest

from benchmarks.signalling import Refused
from control_plane.billing import allowance
from control_plane.rooms import grants, policies, usage
from control_plane.rooms.limits import Limits
from control_plane.rooms.tables import runs
from control_plane.running import outbox
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.rooms.stage import Client, Stage, stage
from tests.servers import eventually


async def refused(attempt: object) -> str:
    with pytest.raises(Refused) as caught:
        await attempt  # type: ignore[misc]
    return str(caught.value)


async def fill(on: Stage, event: dict[str, object], people: int) -> list[Client]:
    return [await on.join(event) for _ in range(people)]


async def test_forty_get_in_hosts_included_and_the_forty_first_is_told_why_not(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        event = on.here.plan_event()
        host = await on.join(event, "owner acc_a")
        rest = await fill(on, event, 38)
        with entry("PROD-01.2"):
            tokens = [on.here.token(event) for _ in range(2)]
            both = await asyncio.gather(*map(on.enter, tokens), return_exceptions=True)
            assert sorted(type(one).__name__ for one in both) == ["Client", "Refused"]
        with entry("PROD-01.1"):
            assert await on.count(event) == 40
            assert await refused(on.join(event)) == "room_full: all 40 seats of the room are taken"
            assert host.joined["may_moderate"] and all(one.in_room for one in rest)
        with entry("PROD-01.5"):
            await rest[0].signalling.ask("leave")
            await on.join(event)  # the very next message
            assert await on.count(event) == 40


async def test_who_is_dropped_comes_back_to_his_own_seat_while_all_others_are_taken(
    store: Store, tmp_path: Path
) -> None:
    async with stage(store, tmp_path) as on:
        event = on.here.plan_event(seats=3)
        token = on.here.token(event)
        dropped = await on.enter(token)
        await fill(on, event, 2)
        await dropped.drop()
        with entry("PROD-01.3"):
            assert (await refused(on.join(event))).startswith("room_full")  # his seat is kept for him
            back = await on.enter(token, resume=dropped.joined["resume"])
            assert back.joined["participant"] == dropped.joined["participant"]
            assert await on.count(event) == 3


async def test_the_same_person_in_two_tabs_takes_two_seats(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        event = on.here.plan_event(seats=2)
        first, second = [await on.join(event, "person per_x") for _ in range(2)]
        with entry("PROD-01.4"):
            assert first.joined["participant"] != second.joined["participant"]
            assert await on.count(event) == 2
            # Of seats, not of senders, of whom there may be as many.
            assert await refused(on.join(event, "person per_x")) == "room_full: all 2 seats of the room are taken"
        on.here.call("owner acc_a", "POST", f"/api/v1/events/{event['id']}/put-out", {"identity": "per_x"})
        assert await on.carry() == 1
        assert [await one.ended() for one in (first, second)] == ["removed", "removed"]


async def test_a_plan_with_fewer_seats_is_what_counts_and_a_larger_one_at_once(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        on.here.plans["acc_a"] = ""
        meeting, webinar = on.here.plan_event(), on.here.plan_event(kind="webinar")
        await fill(on, meeting, 5)
        with entry("PROD-01.7"):
            assert await refused(on.join(meeting)) == "room_full: all 5 seats of the room are taken"
        await fill(on, webinar, 20)
        with entry("PROD-02.3"):
            assert await refused(on.join(webinar)) == "room_full: all 20 seats of the room are taken"
        on.here.plans["acc_a"] = "basic"
        await on.join(meeting)  # his grant brings the new limits along, before any order is carried
        assert await on.count(meeting) == 6


async def test_limits_change_while_people_are_in_and_put_nobody_out(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        event = on.here.plan_event(kind="webinar", seats=3)
        people = await fill(on, event, 3)
        spare = on.here.token(event)
        on.here.change(event, seats=4)
        assert await on.carry() == 1
        with entry("PROD-02.4"):
            people.append(await on.enter(spare))
            late = on.here.token(event)
            on.here.change(event, seats=2)
            assert await on.carry() == 1
            assert await refused(on.enter(late)) == "room_full: all 2 seats of the room are taken"
            assert await on.count(event) == 4 and all(one.in_room for one in people)
        in_force = store.read(lambda connection: policies.in_force(connection, event["id"]))
        assert in_force is not None and in_force.acknowledged == in_force.version
        # A downgrade is the same: nobody is put out, nobody comes in, and the host is told why.
        on.here.plans["acc_a"] = "none of it"
        now = on.here.clock.now()
        store.write(lambda connection: policies.settle_account(connection, now, on.here.setup, "acc_a"))
        assert await on.carry() == 1
        assert on.here.join(event["number"]).status_code == 404
        assert on.here.join(event["number"], "owner acc_a").json()["code"] == "plan_kind"
        assert await on.count(event) == 4


async def test_an_attendee_is_let_speak_in_a_full_room_unless_all_places_of_speakers_are_taken(
    store: Store, tmp_path: Path
) -> None:
    async with stage(store, tmp_path) as on:
        on.here.plans["acc_a"], on.here.more["acc_a"] = "business", {"presenters": 15}
        event = on.here.plan_event(kind="webinar", seats=42)
        host = await on.join(event, "owner acc_a")
        _, link = on.here.invite(event, "presenter")
        presenters = [await on.join(event, link=link) for _ in range(38)]
        attendees = await fill(on, event, 3)
        assert (await refused(on.join(event))).startswith("room_full: all 42 seats")

        async def let(one: Client) -> None:
            await host.signalling.ask("moderate", target=one.joined["participant"], action="allow_to_speak")

        with entry("PROD-02.2"):
            await let(attendees[0])  # the fortieth speaker; the room is full, and he has his seat already
            assert await refused(let(attendees[1])) == "room_full: all 40 places for those who publish are taken"
            await presenters[0].signalling.ask("leave")
            await let(attendees[1])
            assert await on.count(event) == 41


async def test_an_extra_presenter_is_let_send_in_the_room_that_runs(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        on.here.plans["acc_a"] = ""
        event = on.here.plan_event(kind="webinar")
        host = await on.join(event, "owner acc_a")
        presenter, attendee, late = [on.here.invite(event, role)[1] for role in ("presenter", "attendee", "presenter")]
        await on.join(event, link=presenter)
        listener = await on.join(event, link=attendee)
        full = "room_full: all 2 places for those who publish are taken"
        assert await refused(on.join(event, link=late)) == full

        async def let() -> None:
            await host.signalling.ask("moderate", target=listener.joined["participant"], action="allow_to_speak")

        assert await refused(let()) == full
        # What billing puts into the outbox when an add-on is paid.
        on.here.more["acc_a"] = {"presenters": 1}
        now = on.here.clock.now()
        store.write(lambda connection: allowance.changed(connection, now, "acc_a", "add_on:add_aaaa", "add_on"))
        assert await on.carry() == 2
        await let()
        assert await on.count(event) == 3


async def test_a_suspended_event_ends_for_all_within_seconds_and_stays_shut(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        event, other = on.here.plan_event(), on.here.plan_event("acc_b")
        people = [await on.join(event, "owner acc_a"), *await fill(on, event, 4)]
        neighbour = await on.join(other)
        spare = on.here.token(event)
        began = time.monotonic()
        path = f"/api/v1/staff/events/{event['id']}"
        assert on.here.call("staff per_s", "POST", f"{path}/suspend", {"reason": "abuse"}).status_code == 204
        assert await on.carry() == 1
        with entry("ACC-21.1"):
            assert [await one.ended(5) for one in people] == ["room_ended"] * 5
            assert time.monotonic() - began < 5
            assert await refused(on.enter(spare)) == "forbidden: this room is closed: nobody can come in"
        assert on.here.join(event["number"]).status_code == 404 and neighbour.in_room
        on.here.clock.advance_to(on.here.clock.now() + datetime.timedelta(seconds=1))
        assert on.here.call("staff per_s", "POST", f"{path}/lift").status_code == 204
        await on.join(event)  # by the grant alone; the order is still on its way
        assert await on.carry() == 1 and await on.count(event) == 1


async def test_a_suspended_account_and_a_cancelled_event_end_rooms_too(store: Store, tmp_path: Path) -> None:
    async with stage(store, tmp_path) as on:
        one, two = on.here.plan_event(), on.here.plan_event()
        people = [await on.join(one), await on.join(two)]
        on.here.do(one, "cancel")
        await on.carry()
        assert await people[0].ended() == "room_ended"
        assert people[1].in_room
        on.here.barred.add("acc_a")
        # What the accounts area puts into the outbox when it suspends.
        payload = {"command": "end_rooms", "account": "acc_a", "reason": "abuse"}
        now = on.here.clock.now()
        store.write(
            lambda connection: outbox.put(
                connection, now, kind="media", key="end_rooms:acc_a:2", account="acc_a", payload=payload
            )
        )
        assert await on.carry() == 2
        assert await people[1].ended() == "room_ended"


async def test_what_was_used_is_told_and_rooms_that_died_with_the_server_are_ended(
    store: Store, tmp_path: Path
) -> None:
    async with stage(store, tmp_path) as on:
        event = on.here.plan_event()
        before = time.time()
        first = await on.join(event, "person per_x")
        await first.signalling.ask("leave")
        stays = await on.join(event, "person per_x")

        def sums() -> usage.Sums:
            return store.read(lambda connection: usage.of_event(connection, event["id"]))

        def running() -> bool:
            return store.read(lambda connection: usage.running(connection, event["id"]))

        async def seen(condition: object) -> None:
            async def look() -> bool:
                return bool(await asyncio.to_thread(condition))  # type: ignore[arg-type]

            await eventually(look, within_s=20, what="the report has come")

        await seen(lambda: sums().stays == 2 and running())
        assert sums().people == 1
        await on.server.kill()
        lasted = time.time() - before
        assert sums().participant_seconds <= lasted
        assert stays.joined["participant"] and running()  # nobody could tell
        await on.server.start()
        await seen(lambda: not running())
        counted = sums().participant_seconds
        assert 0 < counted <= lasted
        assert {row.event for row in on.here.rows(runs)} == {event["id"]}


async def test_running_rooms_go_on_without_the_control_plane_and_late_joins_are_told_in_words(
    store: Store, tmp_path: Path
) -> None:
    async with stage(store, tmp_path) as on:
        event = on.here.plan_event()
        people = await fill(on, event, 2)
        fresh = on.here.token(event)
        expired = grants.sign(
            on.here.setup.media,
            on.here.clock.now() - datetime.timedelta(hours=1),
            room=event["number"],
            kind="meeting",
            role="attendee",
            identity="gst_late",
            name="Late",
            limits=Limits(40, 40),
            version=1,
        )
        assert await refused(on.enter(expired)) == "unauthorized: the token has expired: fetch a new one"
        await on.stop_control_plane()

        async def missed() -> bool:
            return await on.server.metric("stentor_uplink_failures_total") > 0

        await eventually(missed, within_s=20, what="the media server misses the control plane")
        assert await refused(on.enter(expired)) == (
            "unauthorized: nobody new can come in at the moment: the service that lets people in does not answer. "
            "Who is in stays in; try again in a few minutes"
        )
        await on.enter(fresh)  # a grant in time still counts
        assert (await people[0].signalling.ask("send", topic="chat", body="still here"))["type"] == "done"
        assert await on.count(event) == 3

        async def kept() -> bool:
            return await on.server.metric("stentor_uplink_kept") > 0

        await eventually(kept, within_s=20, what="what happened meanwhile waits for the control plane")
