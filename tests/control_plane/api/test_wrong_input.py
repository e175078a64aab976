"""Bad input, generated out of the OpenAPI of the whole product: what is outside of a schema is a problem with a code
and a field and stores nothing; what is odd is taken or told, and never breaks anything."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from control_plane.storage.store import Store
from tests.control_plane.api.wrong_input import ODD, Operation, operations, outside
from tests.control_plane.people import Person, World
from tests.control_plane.shop import shop

JSON = {"content-type": "application/json"}


@pytest.fixture
def whole(store: Store) -> Iterator[World]:
    with shop(store) as made:
        yield made.here


class Callers:
    """Who may call an operation, so that its input is looked at."""

    def __init__(self, here: World) -> None:
        self.owner, self.desk = here.customer("owner@example.com", plan="business"), here.staff()

    def of(self, operation: Operation) -> Person:
        return self.desk if "/staff/" in operation.path else self.owner


def sent(person: Person, operation: Operation, content: bytes, **headers: str) -> httpx2.Response:
    return person.call(operation.method, operation.address(), content=content, headers={**JSON, **headers})


class Stored:
    """Counts what is stored from now on: transactions with a change in them that were committed."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        sa.event.listen(store.engine, "before_cursor_execute", self._statement)
        sa.event.listen(store.engine, "commit", self._commit)
        sa.event.listen(store.engine, "rollback", lambda connection: connection.info.pop("changes", None))

    def _statement(self, connection: sa.Connection, cursor: object, statement: str, *rest: object) -> None:
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            connection.info["changes"] = True

    def _commit(self, connection: sa.Connection) -> None:
        self.count += bool(connection.info.pop("changes", False))


def is_problem(answer: httpx2.Response) -> bool:
    said = answer.json() if answer.headers.get("content-type") == "application/problem+json" else {}
    return bool(said.get("code")) and said.get("request_id") == answer.headers["x-request-id"]


def with_bodies(here: World) -> list[Operation]:
    return [one for one in operations(here.app.openapi()) if one.body is not None]


@pytest.mark.slow
def test_what_is_outside_of_any_schema_is_a_problem_with_code_and_field_and_nothing_is_stored(whole: World) -> None:
    callers, asked = Callers(whole), 0
    stored = Stored(whole.store)
    for operation in with_bodies(whole):
        person = callers.of(operation)
        assert operation.body is not None
        missing = [
            ({**operation.example(operation.body), name: ...}, name) for name in operation.body.get("required", [])
        ]
        wrong = [(body, name) for name, body in operation.bodies(outside)]
        wrong += [({key: value for key, value in body.items() if value is not ...}, name) for body, name in missing]
        wrong.append(({**operation.example(operation.body), "no_such_field": 1}, "no_such_field"))
        for body, name in wrong:
            answer = sent(person, operation, json.dumps(body).encode())
            assert answer.status_code == 422 and is_problem(answer), (operation.name, body, answer.text)
            assert (answer.json().get("field") or "").split(".")[0] == name, (operation.name, body, answer.text)
            asked += 1
        assert stored.count == 0, f"{operation.name} stored something that it refused"
    assert asked > 500


@pytest.mark.slow
def test_what_is_no_json_object_is_a_problem_and_nothing_is_stored(whole: World) -> None:
    callers = Callers(whole)
    stored = Stored(whole.store)
    for operation in with_bodies(whole):
        for content in (b"", b"[]", b"null", b"\xff\xfe", b"[" * 5_000, b'{"a": 1}{"b": 2}'):
            answer = sent(callers.of(operation), operation, content)
            assert 400 <= answer.status_code < 500 and is_problem(answer), (operation.name, content, answer.text)
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = sent(callers.of(operation), operation, b"email=x&password=y", **form)
        assert answer.status_code == 422 and is_problem(answer), (operation.name, answer.text)
    assert stored.count == 0


@pytest.mark.slow
def test_addresses_outside_of_the_schema_are_problems(whole: World) -> None:
    callers, asked = Callers(whole), 0
    stored = Stored(whole.store)

    def refused(answer: httpx2.Response, name: str, what: object) -> None:
        assert answer.status_code == 422 and is_problem(answer), (what, answer.text)
        assert answer.json()["field"] == name, (what, answer.text)

    for operation in operations(whole.app.openapi()):
        person = callers.of(operation)
        for parameter in operation.parameters("path"):
            name, schema = parameter["name"], parameter["schema"]
            texts = [one for one in outside(schema) if isinstance(one, str) and "/" not in one]
            for text in texts:
                address = operation.address(**{name: urllib.parse.quote(text)})
                refused(person.call(operation.method, address), name, (operation.name, text))
                asked += 1
            assert person.call(operation.method, operation.address(**{name: "a%00b"})).status_code == 404
        for parameter in operation.parameters("query"):
            name, schema = parameter["name"], operation.resolved(parameter["schema"])
            for value in outside(schema):
                if isinstance(value, str | int | float) and not (schema.get("type") == "string" and value in (5, True)):
                    answer = person.call(operation.method, operation.address(), params={name: str(value)})
                    refused(answer, name, (operation.name, name, value))
                    asked += 1
            answer = person.call(operation.method, operation.address(), params={name: "a\x00b"})
            refused(answer, name, (operation.name, name, "NUL"))
    assert asked > 60
    assert stored.count == 0


def odd(schema: dict[str, Any], nullable: bool = False) -> list[Any]:
    longest = schema.get("maxLength", 0)
    return [*ODD, *(["x" * longest] if 0 < longest < 10_000 else [])]


@pytest.mark.slow
def test_what_is_odd_is_taken_or_told_and_breaks_nothing(whole: World) -> None:
    callers, taken, refused = Callers(whole), 0, 0
    stored = Stored(whole.store)
    for operation in with_bodies(whole):
        for name, body in operation.bodies(odd):
            person, before = callers.of(operation), stored.count
            answer = sent(person, operation, json.dumps(body).encode())
            assert answer.status_code < 500, (operation.name, name, body, answer.text)
            taken, refused = taken + answer.is_success, refused + answer.is_client_error
            if not answer.is_success:
                assert is_problem(answer), (operation.name, name, body, answer.text)
                assert stored.count == before, (operation.name, name, body)
    assert taken > 50 and refused > 500
    assert whole.stranger("new@example.com").signs_up().status_code == 202


NAMES: list[tuple[str, str, Callable[[Person, str], httpx2.Response]]] = [
    ("business_name", "mixed_scripts", lambda one, name: one.call("PATCH", "/account", {"business_name": name})),
    ("first_name", "mixed_scripts", lambda one, name: one.call("PATCH", "/me", {"first_name": name})),
    ("slug", "slug_malformed", lambda one, name: one.call("PATCH", "/account", {"slug": name})),
]


@pytest.mark.parametrize(("field", "code", "change"), NAMES)
def test_a_name_with_a_letter_of_another_script_is_refused_by_its_field(
    whole: World, field: str, code: str, change: Callable[[Person, str], httpx2.Response]
) -> None:
    jane = whole.customer("jane@example.com")
    stored = Stored(whole.store)
    answer = change(jane, "p\u0430ypal")  # a Cyrillic a
    assert answer.status_code == 422
    if field == "slug":  # the schema of a slug has no such letter, so it does not get as far as its own check
        assert answer.json()["field"] == "slug"
    else:
        assert (answer.json()["code"], answer.json()["field"]) == (code, field)
    assert stored.count == 0
