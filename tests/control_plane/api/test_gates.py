"""What an account may do and how much of it, over HTTP: limits that are paid for count at once, also in running rooms;
who comes near one is told; and what is used beyond a smaller plan stays."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from control_plane.metering import Metered
from control_plane.rooms import policies
from control_plane.rooms.limits import Limits
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.shop import Buyer, Shop, shop


@pytest.fixture
def at(store: Store) -> Iterator[Shop]:
    with shop(store) as made:
        yield made


@pytest.fixture
def jane(at: Shop) -> Buyer:
    """With a card and a paid plan."""
    found = at.buyer()
    found.gives()
    assert found.orders()["state"] == "succeeded"
    return found


GB = 10**9


def buys(jane: Buyer, add_on: str, quantity: int = 1) -> None:
    seen_sum = jane.quote(of="add_on", add_on=add_on, quantity=quantity)["payable"]
    made = jane.told("POST", "/billing/add-ons", {"add_on": add_on, "quantity": quantity, "seen": seen_sum})
    assert jane.after(made)["state"] == "succeeded"


def plans(jane: Buyer, kind: str = "webinar", **more: Any) -> dict[str, Any]:
    return dict(jane.told("POST", "/events", {"kind": kind, "title": "Talk", **more}))


def in_force(at: Shop, event: dict[str, Any]) -> policies.InForce:
    found = at.here.store.read(lambda connection: policies.in_force(connection, event["id"]))
    assert found is not None
    return found


def limits_of_grant(at: Shop, event: dict[str, Any]) -> dict[str, Any]:
    """What the grant of somebody who joins says of the room, as the media server reads it."""
    answer = at.here.stranger().call("POST", "/join", {"id": event["number"], "name": "Ada", "link": ""})
    assert answer.status_code == 200, answer.text
    claims = read_claims(answer.json()["token"])
    return dict(claims["limits"])


def read_claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def stays(at: Shop, event: dict[str, Any], people: int, *, first: int = 0, senders: int = 0) -> list[dict[str, Any]]:
    """Records of so many who are in for an hour from now on, the `senders` of them first."""
    now = int(at.here.clock.now().timestamp() * 1000)
    return [
        {
            "type": "used", "room": event["number"], "participant": f"p{n}", "identity": f"per_{n}",
            "sender": n < senders, "from_ms": now, "to_ms": now + 3_600_000, "received_bytes": 1, "sent_bytes": 1,
        }
        for n in range(first, first + people)
    ]  # fmt: skip


def keeps(at: Shop, event: dict[str, Any], name: str, gigabytes: int, kind: str = "recording") -> None:
    """The media server tells of an hour that was recorded, or of a file."""
    now = int(at.here.clock.now().timestamp() * 1000)
    ends = now + 3_600_000 if kind == "recording" else now
    at.told_by_media(
        {
            "type": "stored", "room": event["number"], "name": name, "kind": kind,
            "from_ms": now, "to_ms": ends, "bytes": gigabytes * GB,
        }
    )  # fmt: skip
    at.settle()


def use(jane: Buyer) -> dict[str, Any]:
    return dict(jane.standing["use"])


def limit(jane: Buyer, name: str) -> tuple[int | None, int, str]:
    (row,) = (row for row in use(jane)["limits"] if row["limit"] == name)
    return row["used"], row["most"], row["level"]


def test_an_extra_presenter_counts_in_grants_and_in_running_rooms_once_it_is_paid(at: Shop, jane: Buyer) -> None:
    event = plans(jane)
    assert event["senders_max"] == 10 and limits_of_grant(at, event)["senders"] == 10
    before = in_force(at, event).version
    buys(jane, "presenter", 2)
    after = in_force(at, event)
    assert after.limits == Limits(1_000, 12) and after.version > before
    ordered = [one.payload for one in at.carried if one.payload.get("command") == "policy"]
    assert ordered[-1] == {"command": "policy", "event": event["id"], "version": after.version}
    assert limits_of_grant(at, event) == {"seats": 1_000, "senders": 12, "version": after.version}
    (bought,) = jane.standing["add_ons"]
    jane.told("DELETE", f"/billing/add-ons/{bought['id']}")
    at.days(29)
    assert in_force(at, event).limits.senders == 12
    at.days(2)
    assert in_force(at, event).limits.senders == 10


def test_a_trial_has_the_places_of_the_free_version_whatever_plan_was_named_at_sign_up(at: Shop) -> None:
    ben = at.buyer("ben@example.com", plan="business", currency="EUR")
    assert limit(ben, "members") == (0, 1, "")
    ben.told("POST", "/invitations", {"email": "one@example.com"})
    assert ben.refused("POST", "/invitations", {"email": "two@example.com"}) == (409, "members_full")
    ben.gives()
    ben.orders("basic")
    assert ben.call("POST", "/invitations", {"email": "two@example.com"}).status_code == 201
    assert limit(ben, "members") == (2, 3, "")


def test_what_is_used_in_a_period_is_told_and_the_same_report_again_changes_nothing(at: Shop, jane: Buyer) -> None:
    meeting, talk = plans(jane, "meeting"), plans(jane)
    assert limit(jane, "meeting") == (0, 40, "")
    assert "large" not in [row["limit"] for row in use(jane)["limits"]]
    records = [*stays(at, meeting, 31, senders=31), *stays(at, talk, 300, first=100)]
    for _ in range(3):
        at.told_by_media(*records)
    assert limit(jane, "meeting") == (31, 40, "") and limit(jane, "webinar") == (300, 1_000, "")
    assert limit(jane, "storage_bytes") == (0, 50 * GB, "")
    assert use(jane)["participant_minutes"] == 331 * 60
    assert (use(jane)["first"], use(jane)["end"]) == ("2026-11-25", "2026-12-25")
    at.days(31)
    assert limit(jane, "meeting") == (0, 40, "") and use(jane)["participant_minutes"] == 0


def test_the_owner_is_told_once_in_a_period_when_a_limit_is_near_and_when_it_is_reached(at: Shop, jane: Buyer) -> None:
    meeting = plans(jane, "meeting")

    def mails() -> list[tuple[str, str, str]]:
        found = [one.payload for one in at.carried if one.kind == "mail"]
        rows = [one for one in found if str(one["template"]).startswith("billing_limit")]
        return [(one["template"], one["values"]["limit"], one["values"]["used"]) for one in rows]

    at.told_by_media(*stays(at, meeting, 31))
    at.settle()
    assert mails() == []
    for people in (32, 33, 39):
        at.told_by_media(*stays(at, meeting, people))
        at.settle()
    assert mails() == [("billing_limit_near", "meeting", "32")]
    at.told_by_media(*stays(at, meeting, 40))
    at.told_by_media(*stays(at, plans(jane, "meeting"), 40, first=200))
    at.settle()
    assert mails()[1:] == [("billing_limit_reached", "meeting", "40")]
    told = [row for row in seen.events(at.here.store, jane.account) if row.kind.startswith("limit.")]
    assert [(row.kind, row.payload["limit"]) for row in told] == [
        ("limit.near", "meeting"),
        ("limit.reached", "meeting"),
    ]
    assert limit(jane, "meeting") == (40, 40, "reached")
    at.days(31)
    at.told_by_media(*stays(at, meeting, 40, first=400))
    at.settle()
    assert mails()[2:] == [("billing_limit_reached", "meeting", "40")]  # another period


def test_recordings_and_files_are_metered_and_the_owner_is_told_before_there_is_no_more_room(
    at: Shop, jane: Buyer
) -> None:
    talk = plans(jane)
    most = limit(jane, "recording_bytes")[1]
    assert limit(jane, "recording_bytes") == (0, most, "") and use(jane)["recorded_minutes"] == 0
    keeps(at, talk, "r1", most // GB * 3 // 4)
    keeps(at, talk, "slides", 1, "file")
    assert limit(jane, "recording_bytes") == (most // 4 * 3, most, "")
    assert limit(jane, "storage_bytes") == (1 * GB, 50 * GB, "") and use(jane)["recorded_minutes"] == 60
    for _ in range(2):
        keeps(at, talk, "r2", most // GB // 4)
    assert limit(jane, "recording_bytes")[2] == "reached"
    told = [one.payload for one in at.carried if one.kind == "mail"]
    (mail,) = [one for one in told if str(one["template"]).startswith("billing_limit")]
    assert (mail["template"], mail["values"]["limit"]) == ("billing_limit_reached", "recording_bytes")
    assert (mail["values"]["used"], mail["values"]["most"]) == (f"{most // GB} GB", f"{most // GB} GB")
    buys(jane, "recording_storage")
    assert limit(jane, "recording_bytes") == (most, most + 50 * GB, "near" if most >= 4 * 50 * GB else "")
    at.told_by_media({"type": "removed", "room": talk["number"], "name": "r1", "at_ms": 1})
    assert limit(jane, "recording_bytes")[0] == most // 4
    at.days(31)
    assert use(jane)["recorded_minutes"] == 0 and limit(jane, "recording_bytes")[0] == most // 4


def test_a_freeze_keeps_what_is_stored_also_beyond_the_quota(at: Shop, jane: Buyer) -> None:
    talk = plans(jane)
    most = limit(jane, "recording_bytes")[1]
    keeps(at, talk, "r1", most // GB + 30)
    jane.told("POST", "/billing/freeze", {"days": 60})
    at.days(40)
    with entry("BIL-25.1"):
        assert jane.standing["state"] == "frozen"
        assert limit(jane, "recording_bytes") == (most + 30 * GB, most, "reached")
    at.days(60)
    assert jane.standing["state"] == "active" and limit(jane, "recording_bytes")[0] == most + 30 * GB


def test_a_smaller_plan_keeps_all_that_is_there_and_lets_nothing_more_in(at: Shop, jane: Buyer) -> None:
    webinar, meeting = plans(jane, "webinar", seats=800), plans(jane, "meeting")
    for n in range(5):
        at.here.member(jane.person, f"m{n}@example.com", ["events"])
    jane.told("POST", "/billing/plan", {"plan": "basic", "cycle": "month"})
    at.days(31)
    assert jane.standing["plan"] == "basic"
    with entry("BIL-48.2"):
        assert limit(jane, "members") == (5, 3, "reached")
        assert len(jane.told("GET", "/members")["items"]) == 6  # the owner among them
        assert jane.refused("POST", "/invitations", {"email": "more@example.com"}) == (409, "members_full")
    with entry("BIL-10.5"):
        kept = jane.told("GET", f"/events/{webinar['id']}")
        assert (kept["seats"], kept["seats_max"], kept["senders_max"]) == (800, 100, 4)
        assert in_force(at, webinar).limits == Limits(100, 4) and not in_force(at, webinar).closed
        assert limits_of_grant(at, meeting)["seats"] == 25


@pytest.mark.parametrize(
    ("used", "most", "level", "percent"),
    [(0, 0, "", 100), (0, 40, "", 0), (31, 40, "", 77), (32, 40, "near", 80), (39, 40, "near", 97),
     (40, 40, "reached", 100), (41, 40, "reached", 100), (1, 1, "reached", 100), (3, 0, "reached", 100)],
)  # fmt: skip
def test_near_is_four_fifths_and_reached_is_all(used: int, most: int, level: str, percent: int) -> None:
    one = Metered("meeting", used, most)
    assert (one.level, one.percent) == (level, percent)
