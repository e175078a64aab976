"""What at the doors is a use of the service, and so accepts a change (LEG-04), and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.people import Person
from tests.control_plane.plane import DAY, OLD, Plane, plane


@pytest.fixture
def here(store: Store, folder: Path) -> Iterator[Plane]:
    with plane(store, folder) as made:
        yield made


def account(person: Person) -> str:
    return str(person.me()["account"])


def event(person: Person, **wish: Any) -> dict[str, Any]:
    answer = person.call("POST", "/events", {"title": "Lesson", **wish})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def key(person: Person, *scopes: str) -> dict[str, str]:
    answer = person.call("POST", "/keys", {"name": "k", "scopes": list(scopes)})
    return {"Authorization": f"Bearer {answer.json()['secret']}"}


def told(here: Plane, person: Person) -> str:
    """A new version comes out and its notice arrives; the version."""
    new = here.publish()
    here.settle()
    assert here.binding(account(person)) == OLD
    return new


Act = Callable[[Plane, Person, dict[str, Any]], Any]
USES: dict[str, Act] = {
    "plan": lambda here, jane, room: jane.call("POST", "/events", {"title": "Another"}),
    "change": lambda here, jane, room: jane.call("PATCH", f"/events/{room['id']}", {"title": "Other"}),
    "invite": lambda here, jane, room: jane.call("POST", f"/events/{room['id']}/invitations", {}),
    "host": lambda here, jane, room: jane.call("POST", "/join", {"id": room["number"], "name": "Jane"}),
    "page": lambda here, jane, room: jane.client.post(
        f"/join/{room['number']}", data={"name": "Jane", "csrf": jane.csrf}, follow_redirects=False
    ),
}


@pytest.mark.parametrize("act", USES)
def test_whoever_hosts_or_joins_accepts_and_it_is_recorded_who_and_from_where(here: Plane, act: str) -> None:
    jane = here.customer("jane@example.com", language="pl")
    room = event(jane)
    new = told(here, jane)
    answer = USES[act](here, jane, room)
    assert answer.status_code < 400, answer.text
    with entry("LEG-04.1"):
        assert here.binding(account(jane)) == new
    last = seen.acceptances(here.store, jane.me()["person"])[-1]
    first = seen.acceptances(here.store, jane.me()["person"])[0]
    assert (last.version, last.means, last.account) == (new, "use", account(jane))
    assert last.address_hash == first.address_hash != ""


def test_a_key_accepts_by_what_it_does_for_the_account_and_not_by_reading_texts(here: Plane) -> None:
    jane = here.customer("jane@example.com")
    headers = key(jane, "events")
    new, program = told(here, jane), here.stranger()
    assert program.call("GET", "/legal/texts", headers=headers).status_code == 200
    assert program.call("GET", "/profiles/nobody", headers=headers).status_code == 404
    assert program.call("PATCH", "/account", {}, headers=headers).status_code == 403, "refused: nothing was used"
    assert here.binding(account(jane)) == OLD
    assert program.call("GET", "/events", headers=headers).status_code == 200
    assert here.binding(account(jane)) == new
    assert seen.acceptances(here.store, jane.me()["person"])[-1].means == "use", "of who made the key"


def test_signing_in_reading_and_saying_no_are_no_use(here: Plane) -> None:
    jane = here.customer("jane@example.com")
    room, staff = event(jane), here.staff()
    told(here, jane)
    here.settle()
    (notice,) = here.notices(account(jane))
    assert jane.signs_in().status_code == 201
    for path in ("/account", "/legal", "/legal/terms", "/support", "/rooms"):
        assert jane.client.get(path).status_code == 200, path
    assert jane.call("GET", "/events").status_code == 200
    assert jane.call("PATCH", "/me", {"first_name": "Jane"}).status_code == 204
    access = {"account": account(jane), "ticket": "T-1", "reason": "asked", "minutes": 30}
    inside = {"Stentor-Access": staff.call("POST", "/staff/accesses", access).json()["id"]}
    assert staff.call("PATCH", f"/events/{room['id']}", {"title": "By staff"}, headers=inside).status_code == 200
    assert here.stranger().call("POST", "/join", {"id": room["number"], "name": "Guest"}).status_code == 200
    assert jane.call("POST", f"/events/{room['id']}/cancel").status_code == 200
    with entry("LEG-04.2"):
        assert here.notices(account(jane)) == [notice], "as it was told"


def test_a_suspended_account_uses_nothing_by_joining_others(here: Plane) -> None:
    jane, olga, staff = here.customer("jane@example.com"), here.customer("olga@example.com"), here.staff()
    room = event(jane)
    told(here, olga)
    body = {"reason": "abuse", "ticket": "T-1"}
    assert staff.call("POST", f"/staff/accounts/{account(olga)}/suspend", body).status_code == 200
    assert olga.call("POST", "/join", {"id": room["number"], "name": "Olga"}).status_code == 200
    id_, now = account(olga), here.clock.now()
    assert here.binding(id_) == OLD
    assert here.binding(id_, now + 11 * DAY) != OLD, "the days run all the same"


def test_an_agreement_that_we_end_or_that_lapses_takes_no_change_back(here: Plane) -> None:
    staff, people = here.staff(), {}
    for cause in ("cancelled", "terminated", "lapsed", "erased"):
        people[cause] = here.customer(f"{cause}@example.com")
    ids = {cause: account(person) for cause, person in people.items()}
    here.publish()
    here.settle()
    for cause, id_ in ids.items():
        body = {"cause": cause, "ticket": "T-1"}
        assert staff.call("POST", f"/staff/accounts/{id_}/close", body).status_code == 200
    ended = {cause for cause, id_ in ids.items() if here.notices(id_)[0].change.ended_at}
    assert ended == {"cancelled", "erased"}


def test_a_join_writes_nothing_and_asks_once_more_while_nothing_is_open(here: Plane) -> None:
    jane = here.customer("jane@example.com")
    room, guest = event(jane), here.stranger()
    statements: list[str] = []

    @sa.event.listens_for(here.store.engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        statements.append(statement)

    def joins(person: Person) -> list[str]:
        statements.clear()
        assert person.call("POST", "/join", {"id": room["number"], "name": "X"}).status_code == 200
        return [said for said in statements if "legal_notices" in said]

    assert joins(guest) == []
    assert [said.split()[0] for said in joins(jane)] == ["SELECT"]
    assert not [said for said in statements if said.split()[0] in ("INSERT", "UPDATE", "DELETE")]
    told(here, jane)
    assert [said.split()[0] for said in joins(jane)].count("UPDATE") == 1
    assert [said.split()[0] for said in joins(jane)] == ["SELECT"], "accepted once"
