"""Reports of the media server: each record counts once, however often and in whichever order it comes."""

from __future__ import annotations

import datetime
import random
from typing import Any

from control_plane.rooms import usage
from control_plane.rooms.tables import runs, usage_records
from control_plane.running import events as account_events
from tests.control_plane.rooms.hall import Hall

T0 = 1_800_000_000_000


def used(event: dict[str, Any], participant: str, start: int, stop: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "used", "room": event["number"], "participant": participant, "identity": f"per_{participant}",
        "sender": True, "from_ms": T0 + start, "to_ms": T0 + stop, "received_bytes": 100, "sent_bytes": 1000, **more,
    }  # fmt: skip


def sums(here: Hall, event: dict[str, Any]) -> usage.Sums:
    return here.store.read(lambda connection: usage.of_event(connection, event["id"]))


def test_records_are_summed_once_through_any_repetition_and_order(here: Hall) -> None:
    event, other = here.plan_event(), here.plan_event()
    records = [used(event, f"p{n % 3}", 1000 * n, 1000 * n + 500) for n in range(12)] + [used(other, "p0", 0, 7)]
    chance = random.Random(5)
    assert here.report(records[:7]).json() == {"new": 7, "known": 0, "foreign": 0}
    for _ in range(5):
        some = chance.sample(records, 9)
        some += some[:2]  # twice in one report
        answer = here.report(some).json()
        assert answer["new"] + answer["known"] == len(some) and answer["foreign"] == 0
    here.report(records)
    assert len(here.rows(usage_records)) == 13
    assert sums(here, event) == usage.Sums(6.0, 1200, 12_000, 3, 3)
    told = here.call("owner acc_a", "GET", f"/api/v1/events/{event['id']}/usage").json()
    assert (told["participant_seconds"], told["people"], told["running"]) == (6.0, 3, False)


def test_rooms_open_and_end_once_each_whatever_comes_first(here: Hall) -> None:
    event = here.plan_event()
    opened = {"type": "room_opened", "room": event["number"], "number": 1, "at_ms": T0}
    ended = {"type": "room_ended", "room": event["number"], "number": 1, "at_ms": T0 + 10}
    assert here.report([ended]).json()["new"] == 1
    assert here.report([opened, ended, opened]).json() == {"new": 1, "known": 2, "foreign": 0}
    second = {**opened, "number": 2}
    here.report([second])
    assert here.store.read(lambda connection: usage.running(connection, event["id"]))
    here.report([{"type": "started", "at_ms": T0 + 99}], boot="boot2")
    assert not here.store.read(lambda connection: usage.running(connection, event["id"]))
    here.report([{**ended, "number": 2, "at_ms": T0 + 50}])  # the old run's own word, late
    assert [(row.number, row.ended_at is not None) for row in here.rows(runs)] == [(1, True), (2, True)]
    kinds = [one.kind for one in here.store.read(lambda connection: account_events.read(connection, "acc_a"))]
    assert kinds.count("room.opened") == 2 and kinds.count("room.ended") == 2


def test_rooms_that_are_none_of_ours_are_taken_from_the_media_server_and_counted_nowhere(here: Hall) -> None:
    foreign = {"number": "stand-up"}
    records = [used(foreign, "p", 0, 5), {"type": "room_opened", "room": "stand-up", "number": 1, "at_ms": 1}]
    assert here.report(records).json() == {"new": 0, "known": 0, "foreign": 2}
    assert here.rows(usage_records) == [] and here.rows(runs) == []


def test_the_door_is_for_the_media_server_alone(here: Hall) -> None:
    event = here.plan_event()
    for token in ("", "u" * 39, "a" * 40, "\u00fc"):
        answer = here.client.post(
            "/internal/usage",
            json={"boot": "b", "records": [used(event, "p", 0, 5)]},
            headers=[(b"authorization", f"Bearer {token}".encode())],
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "media_token"), token
    assert here.client.post("/internal/usage", json={"boot": "b", "records": []}).status_code == 401
    assert here.report([]).json() == {"new": 0, "known": 0, "foreign": 0}
    assert here.rows(usage_records) == []


def test_what_is_malformed_is_refused_whole_and_what_lasts_no_time_is_left_out(here: Hall) -> None:
    event = here.plan_event()
    good = used(event, "p", 0, 5)
    for bad in (
        {**good, "from_ms": -1}, {**good, "to_ms": 10**18}, {**good, "sent_bytes": 2**63}, {**good, "room": "x" * 129},
        {**good, "type": "spent"}, {"type": "used"}, 5,
    ):  # fmt: skip
        assert here.report([good, bad]).status_code == 422, bad  # type: ignore[list-item]
    assert here.report([good] * 1001).status_code == 422
    assert here.rows(usage_records) == []
    assert here.report([{**good, "to_ms": good["from_ms"]}, good]).json()["new"] == 1


DAY_MS = 86_400_000
# The day of T0, which is at 08:00.
DAY = datetime.date(2027, 1, 15)


def of_days(here: Hall, first: datetime.date = DAY, days: int = 1, account: str = "acc_a") -> usage.OfDays:
    end = first + datetime.timedelta(days=days)
    return here.store.read(lambda connection: usage.of_days(connection, account, first, end))


def test_the_most_people_at_once_are_counted_of_each_kind_and_who_may_send_among_them(here: Hall) -> None:
    meeting, talk = here.plan_event(), here.plan_event(kind="webinar")
    people = [
        *(used(meeting, "ann", 0, 1000), used(meeting, "bob", 500, 1500), used(meeting, "cid", 900, 1000)),
        used(meeting, "dan", 1500, 1600),  # the moment at which bob leaves
        *(used(talk, f"p{n}", 0, 100, sender=n < 2) for n in range(7)),
    ]
    here.report(people)
    assert of_days(here).most == {"meeting": usage.Most(3, 3), "webinar": usage.Most(7, 2)}
    assert of_days(here).participant_seconds == 2.9
    assert of_days(here, account="acc_b") == usage.OfDays(0.0, {})
    # Cut into pieces, and one after another, a stay is one stay.
    here.report([used(meeting, "eve", 2000 + 100 * n, 2100 + 100 * n) for n in range(9)])
    assert of_days(here).most["meeting"] == usage.Most(3, 3)


def test_sums_of_days_are_the_same_through_any_repetition_and_order(here: Hall) -> None:
    event = here.plan_event()
    records = [used(event, f"p{n % 5}", 300 * (n // 5), 300 * (n // 5) + 200 + 20 * (n % 5)) for n in range(30)]
    here.report(records)
    whole = of_days(here)
    other = here.plan_event("acc_b")
    chance = random.Random(11)
    theirs = [{**record, "room": other["number"]} for record in records]
    for _ in range(12):
        here.report(chance.sample(theirs, 11))
    here.report(theirs)
    assert of_days(here, account="acc_b") == whole
    assert whole.most["meeting"].people == 5 and whole.participant_seconds == 7.2


def test_a_record_counts_on_the_day_on_which_it_begins(here: Hall) -> None:
    event = here.plan_event()
    midnight = 16 * 3_600_000
    here.report(
        [used(event, "p", midnight - 1000, midnight + 1000), used(event, "p", midnight + 1000, midnight + 2000)]
    )
    here.report([used(event, "p", 9 * DAY_MS, 9 * DAY_MS + 5000)])
    one = DAY + datetime.timedelta(days=1)
    assert [of_days(here, day).participant_seconds for day in (DAY, one)] == [2.0, 1.0]
    assert of_days(here, DAY, 10).participant_seconds == 8.0 and of_days(here, DAY, 9).participant_seconds == 3.0


def test_who_wants_to_know_is_told_when_more_people_are_in_a_room_than_ever_that_day(here: Hall) -> None:
    event = here.plan_event()
    here.report([used(event, "ann", 0, 1000)])
    here.report([used(event, "ann", 1000, 2000)])
    assert here.grew == ["acc_a"]  # the second is no news
    here.report([used(event, "bob", 1500, 2000)])
    assert here.grew == ["acc_a", "acc_a"]
    here.report([used(event, "bob", 1500, 2000)])
    assert len(here.grew) == 2
