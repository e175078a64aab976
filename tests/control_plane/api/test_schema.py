"""schemathesis: whatever the OpenAPI allows and forbids is sent, in process, and every answer is one it names."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from control_plane.storage.store import Store
from tests.control_plane.people import Person, World
from tests.control_plane.shop import shop

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Of each operation, allowed and forbidden ones; together they stay under half a minute.
EXAMPLES = 3


@pytest.mark.slow
def test_every_operation_answers_as_its_schema_says(store: Store) -> None:
    with shop(store) as at:
        assert ask_everything(at.here) > 150


def ask_everything(here: World) -> int:
    """Send what fits the schema and what does not to every operation; returns how often it asked."""
    owner, desk = here.customer("owner@example.com", plan="business"), here.staff()
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", here.app)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    return sum(ask(operation, desk if "/staff" in operation.path else owner) for operation in operations)


def ask(operation: APIOperation[Any, Any, Any, Any], person: Person) -> int:
    asked = 0
    if person.call("GET", "/me").status_code == 401:
        person.signs_in()  # an operation before may have signed him out

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of([operation.as_strategy(mode) for mode in GenerationMode]))
    def once(case: Case[Any]) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate(
            base_url="https://stentor.test",
            headers={"X-CSRF-Token": person.csrf},
            cookies=dict(person.client.cookies),
            checks=CHECKS,
        )

    once()
    return asked
