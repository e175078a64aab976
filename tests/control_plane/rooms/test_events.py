"""Events of an account: planned with an id, changed, cancelled, suspended; nobody else's are seen or touched."""

from __future__ import annotations

import datetime

from control_plane.rooms import policies
from control_plane.running import audit
from control_plane.running import events as account_events
from tests.control_plane.entries import entry
from tests.control_plane.rooms.hall import Hall


def test_an_event_is_planned_listed_changed_and_over(here: Hall) -> None:
    first = here.plan_event(title=" Talk ", kind="webinar", starts_at="2026-12-24T18:00:00+01:00", seats=500)
    assert (first["title"], first["starts_at"], first["seats_max"], first["senders_max"]) == (
        "Talk", "2026-12-24T17:00:00+00:00", 500, 10,
    )  # fmt: skip
    here.clock.advance_to(here.clock.now() + datetime.timedelta(seconds=1))
    second = here.plan_event(title="Second")
    page = here.call("owner acc_a", "GET", "/api/v1/events?limit=1").json()
    assert [event["id"] for event in page["items"]] == [second["id"]]
    page = here.call("owner acc_a", "GET", f"/api/v1/events?limit=1&cursor={page['next']}").json()
    assert ([event["id"] for event in page["items"]], page["next"]) == ([first["id"]], None)
    assert here.change(first, title="Other", seats=None)["seats_max"] == 1000
    assert here.do(first, "end").json()["state"] == "ended"
    assert here.do(first, "end").status_code == 200  # again: nothing happens
    assert here.do(first, "cancel").json()["code"] == "event_over"
    answer = here.call("owner acc_a", "PATCH", f"/api/v1/events/{first['id']}", {"title": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "event_over")


def test_another_accounts_event_is_not_there(here: Hall) -> None:
    event = here.plan_event()
    path = f"/api/v1/events/{event['id']}"
    for method, tail, body in (
        ("GET", "", None), ("PATCH", "", {"title": "x"}), ("POST", "/cancel", None), ("POST", "/end", None),
        ("POST", "/invitations", {}), ("GET", "/invitations", None), ("GET", "/usage", None),
        ("POST", "/put-out", {"identity": "per_x"}), ("DELETE", "/invitations/inv_a", None),
    ):  # fmt: skip
        answer = here.call("owner acc_b", method, path + tail, body)
        unknown = here.call("owner acc_b", method, "/api/v1/events/evt_aaaa" + tail, body)
        assert answer.status_code == unknown.status_code == 404, (method, tail, answer.text)
        assert answer.json()["code"] == unknown.json()["code"]
    assert here.call("owner acc_b", "GET", "/api/v1/events").json()["items"] == []


def test_what_no_plan_or_no_sense_allows_is_refused_and_stores_nothing(here: Hall) -> None:
    here.plans["acc_a"] = "basic"
    for body, status, code in (
        ({"title": "x", "kind": "large"}, 403, "plan_kind"),
        ({"title": "   "}, 422, "title_malformed"),
        ({"title": "a\u200bb"}, 422, "title_malformed"),
    ):
        answer = here.call("owner acc_a", "POST", "/api/v1/events", body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    malformed: list[dict[str, object]] = [
        {"title": "x", "kind": "party"}, {"title": "x", "seats": 0}, {"title": "x", "seats": 10**9}, {"title": "a\nb"},
        {"title": "x", "starts_at": "2026-02-30T10:00:00Z"}, {"title": "x", "starts_at": "2026-02-20T10:00:00"},
        {"title": "x" * 201}, {"title": "x", "unknown": 1}, {},
    ]  # fmt: skip
    for wrong in malformed:
        assert here.call("owner acc_a", "POST", "/api/v1/events", wrong).status_code == 422, wrong
    assert here.call("owner acc_a", "GET", "/api/v1/events").json()["items"] == []


def test_a_webinar_becomes_a_large_event_under_the_same_id_and_a_meeting_does_not(here: Hall) -> None:
    here.plans["acc_a"] = "business"
    webinar, meeting = here.plan_event(kind="webinar"), here.plan_event()
    before = here.grant(webinar).limits
    with entry("PROD-03.4"):
        after = here.change(webinar, kind="large")
        assert (after["number"], after["seats_max"]) == (webinar["number"], 10_000)
        limits = here.grant(webinar).limits
        assert limits is not None and before is not None
        assert (before.seats, limits.seats) == (1_000, 10_000) and limits.version > before.version
    answer = here.call("owner acc_a", "PATCH", f"/api/v1/events/{meeting['id']}", {"kind": "large"})
    assert answer.json()["code"] == "kind_fixed"
    here.plans["acc_a"] = "professional"
    other = here.plan_event(kind="webinar")
    answer = here.call("owner acc_a", "PATCH", f"/api/v1/events/{other['id']}", {"kind": "large"})
    assert (answer.status_code, answer.json()["code"]) == (403, "plan_kind")


def test_a_suspension_names_its_reason_and_actor_and_a_lift_restores_everything(here: Hall) -> None:
    event = here.plan_event(seats=7)
    _, link = here.invite(event, "presenter")
    before = here.call("owner acc_a", "GET", f"/api/v1/events/{event['id']}").json()
    path = f"/api/v1/staff/events/{event['id']}"
    for who, status in (("owner acc_a", 403), ("", 401)):
        assert here.call(who, "POST", f"{path}/suspend", {"reason": "abuse"}).status_code == status
        assert here.call(who, "POST", f"{path}/lift").status_code == status
    assert here.call("staff per_s", "POST", f"{path}/suspend", {"reason": ""}).status_code == 422
    assert here.call("staff per_s", "POST", f"{path}/suspend", {"reason": "abuse"}).status_code == 204
    assert here.call("owner acc_a", "GET", f"/api/v1/events/{event['id']}").json()["suspended"]
    assert here.join(event["number"], link=link).status_code == 404
    entries = here.store.read(lambda connection: audit.read(connection, "acc_a"))
    last = entries[-1]
    with entry("ACC-21.2"):
        assert (last.code, last.actor, dict(last.ids)) == (
            "event.suspended", "staff:per_s", {"event": event["id"], "reason": "abuse"},
        )  # fmt: skip
    here.clock.advance_to(here.clock.now() + datetime.timedelta(days=3))
    assert here.call("staff per_s", "POST", f"{path}/lift").status_code == 204
    with entry("ACC-21.3"):
        assert here.call("owner acc_a", "GET", f"/api/v1/events/{event['id']}").json() == before
        assert here.grant(event, link=link).role == "presenter"
        in_force = here.store.read(lambda connection: policies.in_force(connection, event["id"]))
        assert in_force is not None and (in_force.closed, in_force.limits.seats) == (False, 7)
    kinds = [one.kind for one in here.store.read(lambda connection: account_events.read(connection, "acc_a"))]
    assert kinds[0] == "event.created" and kinds[-2:] == ["event.suspended", "event.restored"]
    assert here.call("staff per_s", "POST", "/api/v1/staff/events/evt_aaaa/lift").status_code == 404
