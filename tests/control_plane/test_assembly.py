"""What the process puts together, from end to end: a new text comes out, jobs tell the customers, mails leave, and what
each of them does decides which version binds him; webhooks that fail; public events on the profile."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control_plane import dates
from control_plane.legal.changes import Change
from control_plane.mail.mailbox import Kept
from control_plane.rooms.tables import room_events
from control_plane.running import events, webhooks
from control_plane.storage.store import Store
from sfu.control import Mail
from tests.control_plane.conftest import POSTGRESQL
from tests.control_plane.entries import entry
from tests.control_plane.mail.test_smtp import Server, serving
from tests.control_plane.people import START, Person, drawn
from tests.control_plane.plane import DAY, OLD, Plane, plane
from tests.control_plane.running.receiver import receiver, says

MOMENT = datetime.timedelta(microseconds=1)


@pytest.fixture
def here(store: Store, folder: Path) -> Iterator[Plane]:
    with plane(store, folder) as made:
        yield made


def midnight(at: datetime.datetime) -> datetime.datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def account(person: Person) -> str:
    return str(person.me()["account"])


def meets(person: Person) -> dict[str, Any]:
    answer = person.call("POST", "/events", {"title": "Lesson"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_three_customers_are_told_and_what_each_does_decides_which_version_binds(here: Plane) -> None:
    """Ann uses the service and ends on day 9; Bob does nothing; Eve uses it."""
    staff = here.staff()
    ann, bob, eve = (here.customer(f"{name}@example.com", language="de") for name in ("ann", "bob", "eve"))
    ids = {person.email: account(person) for person in (ann, bob, eve)}
    here.settle()
    here.go_to(here.clock.now() + 7 * DAY)
    new = here.publish()
    told = here.clock.now()
    here.settle()
    with entry("LEG-03.1"):
        for email, id_ in ids.items():
            (notice,) = here.notices(id_)
            assert (notice.on_site_at, notice.in_account_at, notice.mailed_at) == (told, told, told)
            (mail,) = [one for one in here.mails(email) if one.key == notice.mail_key]
            assert f"https://stentor.test/legal/terms/{new}/en" in mail.text
            assert "Our terms" in mail.text and "bis 12.12.2026, 12:00 UTC" in mail.text
    here.go_to(told + DAY)
    for person in (ann, eve):
        person.signs_in()
        meets(person)
    here.go_to(told + 9 * DAY)
    assert {here.binding(id_) for id_ in (ids[ann.email], ids[eve.email])} == {new}
    staff.signs_in()
    body = {"cause": "cancelled", "ticket": "T-1"}
    assert staff.call("POST", f"/staff/accounts/{ids[ann.email]}/close", body).status_code == 200
    here.go_to(told + 11 * DAY)
    with entry("LEG-04.1"):
        assert {here.binding(ids[ann.email], told + n * DAY) for n in (1, 9, 11, 300)} == {OLD}
        assert here.binding(ids[eve.email], told + DAY) == new
    with entry("LEG-04.2"):
        assert here.binding(ids[bob.email], told + 10 * DAY) == OLD
        assert here.binding(ids[bob.email], told + 10 * DAY + MOMENT) == new


def test_prices_in_a_new_version_come_as_a_second_mail_with_thirty_days(here: Plane) -> None:
    ann = here.customer("ann@example.com")
    here.settle()
    new, told = here.publish(fees=True), here.clock.now()
    here.settle()
    meets(ann)
    subjects = {mail.subject for mail in here.mails(ann.email)}
    with entry("LEG-05.1"):
        assert {"Our legal texts change", "Our fees change"} <= subjects
        assert (here.binding(account(ann)), here.binding(account(ann), kind="fees")) == (new, OLD)
        assert here.binding(account(ann), told + 30 * DAY, "fees") == OLD
        assert here.binding(account(ann), told + 30 * DAY + MOMENT, "fees") == new


def test_a_mail_that_comes_back_flags_person_and_notice_and_the_notice_stands(store: Store, folder: Path) -> None:
    """Over SMTP, to a server that knows nobody of this name any more."""
    server = Server()
    with (
        serving(server) as port,
        plane(store, folder, mail=Mail(host="127.0.0.1", port=port, security="none")) as here,
    ):
        ann, bob = here.customer("ann@example.com"), here.customer("bob@example.com")
        here.settle()
        server.says["ann@example.com"] = "550 5.1.1 no such mailbox"
        new, told = here.publish(), here.clock.now()
        here.settle()
        (anns,), (bobs,) = here.notices(account(ann)), here.notices(account(bob))
        with entry("LEG-03.2"):
            assert (anns.bounced_at, bobs.bounced_at) == (told, None)
            assert here.binding(account(ann), told + 10 * DAY + MOMENT) == new
        with entry("ACC-11.1"):
            assert (ann.me()["mail_bounces"], bob.me()["mail_bounces"]) == (True, False)
    assert [envelope.rcpt_tos for envelope in server.taken][-1:] == [["bob@example.com"]]


def test_one_big_step_tells_the_same_as_many_small_ones(store: Store, folder: Path) -> None:
    """Of a text that comes out in advance; who signs up before its date is told at its date."""

    def run(days: list[int], name: str) -> tuple[list[Change], list[tuple[datetime.datetime, str, str, str]]]:
        fresh = store if POSTGRESQL else Store(f"sqlite:///{folder / name}.sqlite")
        with plane(fresh, folder / name) as here:
            email = f"{name}-early@example.com"
            ann, start = here.customer(email), here.clock.now()
            new = here.publish(version=(start + 20 * DAY).date().isoformat())
            here.settle()
            late = here.customer(f"{name}-late@example.com")
            ids = [account(person) for person in (ann, late)]
            assert here.notices(ids[1]) == []
            for day in days:
                here.go_to(start + day * DAY)
            assert {here.binding(id_) for id_ in ids} == {new}
            changes = [notice.change for id_ in ids for notice in here.notices(id_)]
            mails = [(mail.at, mail.to.removeprefix(name), mail.subject, mail.text) for mail in here.mails()]
            return changes, [mail for mail in mails if "legal texts" in mail[2]]

    changes, mails = run([40], "big")
    assert [change.noticed_at for change in changes] == [START, midnight(START + 20 * DAY)]
    assert len(mails) == 2
    if not POSTGRESQL:  # a second time on the same database there is no first time
        assert run(list(range(41)), "small") == (changes, mails)


def test_a_profile_shows_the_events_that_are_public_and_planned(here: Plane) -> None:
    jane = here.customer("jane@example.com", plan="professional")
    assert jane.call("PATCH", "/account", {"slug": "jane", "time_zone": "Europe/Warsaw"}).status_code == 204
    now = here.clock.now()
    tomorrow, yesterday = (now + DAY).isoformat(), (now - DAY).isoformat()
    wishes: list[dict[str, Any]] = [
        {"title": "Open lesson", "listed": True, "starts_at": tomorrow},
        {"title": "Any time", "listed": True},
        {"title": "For friends"},
        {"title": "By invitation", "listed": True, "access": "invited"},
        {"title": "Over long ago", "listed": True, "starts_at": yesterday},
        {"title": "Called off", "listed": True},
        {"title": "Not allowed", "listed": True},
    ]
    made = {str(wish["title"]): jane.call("POST", "/events", wish).json() for wish in wishes}
    assert jane.call("POST", f"/events/{made['Called off']['id']}/cancel").status_code == 200
    staff, stranger = here.staff(), here.stranger()
    path = f"/staff/events/{made['Not allowed']['id']}/suspend"
    assert staff.call("POST", path, {"reason": "abuse"}).status_code == 204
    first = stranger.call("GET", "/profiles/jane")
    with entry("ACC-20.4"):
        assert first.json()["parts"]["events"] == [
            {"number": made["Open lesson"]["number"], "title": "Open lesson", "kind": "meeting", "starts_at": tomorrow},
            {"number": made["Any time"]["number"], "title": "Any time", "kind": "meeting", "starts_at": None},
        ]
        page = stranger.client.get("/p/jane").text
        shown = [title for title in made if title in page]
        assert shown == ["Open lesson", "Any time"]
    assert "26 Nov 2026, 13:00 CET" in page and f"/join/{made['Open lesson']['number']}" in page
    assert stranger.call("POST", "/join", {"id": made["Any time"]["number"], "name": "Joe"}).status_code == 200
    assert jane.call("PATCH", f"/events/{made['Any time']['id']}", {"listed": False}).status_code == 200
    kept = {"If-None-Match": first.headers["etag"]}
    with entry("ACC-20.2"):
        assert stranger.call("GET", "/profiles/jane", headers=kept).status_code == 200, "a cache learns of it at once"
    hidden = {"parts": {"events": {"visible": False}}}
    assert jane.call("PATCH", "/account/profile", hidden).status_code == 204
    with entry("ACC-20.3"):
        assert "events" not in stranger.call("GET", "/profiles/jane").json()["parts"]
        assert "Open lesson" not in stranger.client.get("/p/jane").text
    assert len(here.store.read(lambda connection: list(connection.execute(room_events.select())))) == len(wishes)


def test_the_owner_of_a_webhook_that_fails_for_long_gets_one_mail_a_spell(here: Plane) -> None:
    jane = here.customer("jane@example.com", language="pl")
    assert jane.call("PATCH", "/account", {"time_zone": "Europe/Warsaw"}).status_code == 204
    here.settle()
    id_, began = account(jane), here.clock.now()
    with receiver() as there:
        here.calls_on_loopback()
        url = f"http://127.0.0.1:{there.port}/hook"
        endpoint = here.store.write(
            lambda c: webhooks.add(c, began, account=id_, url=url, random_token=drawn(5), private=True)
        )

        def fails(times: int) -> None:
            there.behave = [says("503 Away")] * times
            assert jane.call("PATCH", "/account", {"address": f"{times} Mill Lane"}).status_code == 204
            here.go_to(here.clock.now() + 30 * DAY)
            jane.signs_in()

        def mails() -> list[Kept]:
            return [mail for mail in here.mails(jane.email) if mail.key.startswith("webhook_failing")]

        fails(webhooks.TELL_AFTER - 1)
        assert mails() == [], "it came through before anybody had to know"
        second = here.clock.now()
        fails(25)
        (mail,) = mails()
        assert url in mail.text and "answered with status 503" in mail.text
        assert dates.instant("pl", second, "Europe/Warsaw") in mail.text
        fails(8)
        assert len(mails()) == 2, "another spell"
        now = here.store.read(lambda c: webhooks.one(c, id_, endpoint.id))
        assert (now.failures, now.told) == (0, here.store.read(lambda c: events.last(c, id_)))


def test_the_runner_lets_answers_go_first_and_a_test_clock_that_works_within_one_does_not_wait_for_itself(
    here: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, steps = here.built.runner._work.precedence, here.built.work.precedence
    seen: list[tuple[bool, bool]] = []
    met = here.built.store.read

    def read(question: Any) -> Any:
        seen.append((runs.claimed, steps.claimed))
        return met(question)

    person = here.customer("ann@example.com")
    monkeypatch.setattr(here.built.store, "read", read)
    assert person.me()
    assert seen and set(seen) == {(True, False)}
    assert not runs.claimed
