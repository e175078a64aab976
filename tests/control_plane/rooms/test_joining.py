"""Joining by id: who is let in and as what, and that who is not learns nothing, neither by words nor by time."""

from __future__ import annotations

import contextlib
import datetime
import statistics
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from control_plane.api.caller import Caller
from control_plane.errors import NotFound
from control_plane.rooms.joining import find
from control_plane.rooms.tables import invitations
from sfu.contract import SOURCES, verify
from tests.control_plane.entries import entry
from tests.control_plane.rooms.hall import Hall

Told = tuple[int, str, str]


def told(answer: object) -> Told:
    body = answer.json()  # type: ignore[attr-defined]
    return answer.status_code, body["code"], body["detail"]  # type: ignore[attr-defined]


def nobody(here: Hall) -> Told:
    """The answer for an id that nobody has."""
    return told(here.join("999999998"))


def test_an_open_meeting_lets_in_whoever_knows_its_id_and_sends_him_to_the_page(here: Hall) -> None:
    event = here.plan_event(title="Stand-up")
    answer = here.join(f" {event['number'][:3]}-{event['number'][3:]} ", name=" Ada   Lovelace ")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["title"], body["role"], body["address"]) == (
        "Stand-up", "attendee", f"https://meet.test/?join=1#token={body['token']}",
    )  # fmt: skip
    grant = verify(body["token"], here.setup.media.key, here.clock.now().timestamp())
    assert (grant.room, grant.name, grant.publish, grant.moderate) == (event["number"], "Ada Lovelace", SOURCES, False)
    assert grant.expires_at - here.clock.now().timestamp() == 60
    assert grant.limits is not None and (grant.limits.seats, grant.limits.senders) == (40, 40)


def test_roles_say_who_sends_and_who_moderates(here: Hall) -> None:
    meeting, webinar = here.plan_event(), here.plan_event(kind="webinar")
    host = here.grant(webinar, "owner acc_a")
    assert (host.role, host.publish, host.moderate) == ("host", SOURCES, True)
    presenter = here.grant(webinar, link=here.invite(webinar, "presenter")[1])
    assert (presenter.role, presenter.publish, presenter.moderate) == ("presenter", SOURCES, False)
    assert here.grant(webinar).publish == () and here.grant(meeting).publish == SOURCES
    assert here.grant(webinar, "owner acc_b").role == "attendee"  # somebody else's event


def test_a_signed_in_person_is_known_by_his_id_and_each_guest_is_somebody_else(here: Hall) -> None:
    event = here.plan_event()
    assert here.grant(event, "person per_x").identity == "per_x"
    first, second = here.grant(event), here.grant(event)
    assert first.identity.startswith("gst_") and first.identity != second.identity


def test_an_unknown_id_is_told_so_in_words_that_help(here: Hall) -> None:
    with entry("PROD-17.5"):
        status, code, words = nobody(here)
        assert (status, code) == (404, "event_not_found")
        assert "check it, or ask whoever invited you" in words


def test_a_cancelled_event_is_like_an_unknown_one_but_its_guests_are_told(here: Hall) -> None:
    event = here.plan_event()
    _, link = here.invite(event)
    here.token(event)
    assert here.do(event, "cancel").status_code == 200
    with entry("PROD-17.6"):
        assert told(here.join(event["number"])) == nobody(here)
        assert told(here.join(event["number"], link="il_wrong")) == nobody(here)
        assert told(here.join(event["number"], link=link))[:2] == (410, "event_cancelled")


@pytest.mark.parametrize("why", ["frozen", "expired", "suspended"])
def test_an_account_that_may_not_host_lets_nobody_in_and_nobody_learns_why(here: Hall, why: str) -> None:
    event = here.plan_event()
    _, link = here.invite(event)
    here.token(event)
    here.barred.add("acc_a")
    with entry("PROD-17.7"):
        for answer in (here.join(event["number"]), here.join(event["number"], link=link)):
            assert told(answer) == nobody(here), why
    assert told(here.join(event["number"], "owner acc_a")) == nobody(here)
    refused = here.call("owner acc_a", "POST", "/api/v1/events", {"title": "Another"})
    assert told(refused)[:2] == (403, "may_not_host")
    here.barred.clear()
    here.token(event)


def test_a_private_event_opens_by_its_links_alone_until_they_are_taken_back(here: Hall) -> None:
    event = here.plan_event(access="invited")
    invitation, link = here.invite(event, "presenter")
    other = here.plan_event(access="invited")
    assert told(here.join(event["number"])) == nobody(here)
    assert told(here.join(other["number"], link=link)) == nobody(here)
    assert here.grant(event, link=link).role == "presenter"
    assert here.grant(event, "owner acc_a").role == "host"
    path = f"/api/v1/events/{event['id']}/invitations"
    assert [row["id"] for row in here.call("owner acc_a", "GET", path).json()["items"]] == [invitation]
    for _ in range(2):
        assert here.call("owner acc_a", "DELETE", f"{path}/{invitation}").status_code == 204
    assert told(here.join(event["number"], link=link)) == nobody(here)
    assert here.call("owner acc_a", "GET", path).json()["items"] == []
    assert link not in str(here.rows(invitations))


def test_guessing_ids_is_slowed_by_address_and_a_right_id_does_not_help_then(here: Hall) -> None:
    event = here.plan_event()
    for number in range(20):
        assert here.join(str(200_000_000 + number)).status_code == 404
    with entry("PROD-17.8"):
        slowed = here.join("300000000")
        assert told(slowed)[:2] == (429, "too_many_ids") and int(slowed.headers["retry-after"]) == 6
        assert here.join(event["number"]).status_code == 429
        assert here.join(event["number"], x_address="192.0.2.2").status_code == 200
    here.clock.advance_to(here.clock.now() + datetime.timedelta(seconds=6))
    assert here.join(event["number"]).status_code == 200
    assert here.join("300000001").status_code == 404
    assert here.join("300000002").status_code == 429


def test_those_who_get_in_are_not_counted_so_a_whole_company_can_join_from_one_address(here: Hall) -> None:
    event = here.plan_event(kind="webinar")
    assert {here.join(event["number"]).status_code for _ in range(60)} == {200}


def kinds_of_nobody(here: Hall) -> dict[str, str]:
    """An id of each kind that lets nobody in."""
    numbers = {"unknown": "999999998"}
    for name, changes in {"private": {"access": "invited"}, "cancelled": {}, "ended": {}, "suspended": {}}.items():
        numbers[name] = here.plan_event(**changes)["number"]
        event = next(
            e for e in here.call("owner acc_a", "GET", "/api/v1/events").json()["items"] if e["number"] == numbers[name]
        )
        if name in ("cancelled", "ended"):
            here.do(event, {"cancelled": "cancel", "ended": "end"}[name])
        if name == "suspended":
            path = f"/api/v1/staff/events/{event['id']}/suspend"
            assert here.call("staff per_s", "POST", path, {"reason": "abuse"}).status_code == 204
    numbers["barred"] = here.plan_event("acc_barred")["number"]
    here.barred.add("acc_barred")
    return numbers


def timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


@pytest.mark.timed
def test_unknown_and_private_ids_get_the_same_answer_by_the_same_statements_in_the_same_time(here: Hall) -> None:
    numbers = kinds_of_nobody(here)
    said: dict[str, list[str]] = {}
    answers: dict[str, set[str]] = {}
    for name, number in numbers.items():
        statements: list[str] = []

        def listen(
            connection: object, cursor: object, statement: str, *rest: object, into: list[str] = statements
        ) -> None:
            into.append(statement)

        sa.event.listen(here.store.engine, "before_cursor_execute", listen)
        answer = here.join(number, x_address=name)
        sa.event.remove(here.store.engine, "before_cursor_execute", listen)
        body = answer.json()
        body.pop("request_id", None)
        said[name], answers[name] = statements, {str(sorted(body.items())), str(sorted(answer.headers.items()))}

    def ask(connection: sa.Connection, number: str) -> None:
        with contextlib.suppress(NotFound):
            find(connection, here.clock.now(), here.setup, Caller("visitor", ""), number, "")

    took: dict[str, list[float]] = {name: [] for name in numbers}
    with here.store.engine.connect() as connection:
        for _ in range(150):
            for name, number in numbers.items():
                took[name].append(timed(lambda number=number: ask(connection, number)))  # type: ignore[misc]
    middle = {name: statistics.median(times) for name, times in took.items()}
    with entry("PROD-17.9"):
        assert len({tuple(statements) for statements in said.values()}) == 1 and said["unknown"]
        assert len({frozenset(answer) for answer in answers.values()}) == 1
        # The statement itself takes most of it. Medians of 150 turns about: a fifth of it would be seen, and over a
        # network nobody sees less than that of a millisecond.
        assert max(middle.values()) < 1.3 * min(middle.values()), middle


def test_what_is_malformed_is_told_with_its_field_and_stores_nothing(here: Hall) -> None:
    event = here.plan_event()
    bad: list[tuple[dict[str, object], str]] = [
        ({"id": "12345", "name": "Ada"}, "id"),
        ({"id": event["number"], "name": ""}, "name"),
        ({"id": event["number"], "name": "x" * 61}, "name"),
        ({"id": event["number"], "name": "A\u202eb"}, "name"),
    ]
    for body, field in bad:
        answer = here.call("", "POST", "/api/v1/join", body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    malformed: list[object] = [
        {"id": event["number"]},
        {"id": 5, "name": "A"},
        {"id": "1" * 500, "name": "A"},
        {"x": 1},
        [],
        "x",
    ]
    for one in malformed:
        assert here.call("", "POST", "/api/v1/join", one).status_code == 422
