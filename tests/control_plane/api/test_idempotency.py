"""The same request again: the same answer, done once; and what a crash or a race leaves."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from control_plane.accounts.tables import accounts, api_keys, idempotent_answers, people
from control_plane.api import idempotency
from control_plane.errors import Invalid
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.people import World

KEY = {"Idempotency-Key": "0123456789abcdef"}


def test_a_sign_up_that_is_sent_again_is_one_sign_up(here: World) -> None:
    jane = here.stranger("jane@example.com")
    first = jane.call("POST", "/sign-ups", jane.form(), headers=KEY)
    again = jane.call("POST", "/sign-ups", jane.form(), headers=KEY)
    assert (first.status_code, first.content) == (again.status_code, again.content) == (202, b'{"sent":true}')
    assert len(seen.mails(here.store, jane.email)) == 1
    assert jane.verifies().json()["password_needed"] is False
    other = jane.call("POST", "/sign-ups", jane.form(business_name="Other"), headers=KEY)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


def test_a_secret_that_is_told_once_is_told_again_to_who_holds_the_key_and_kept_sealed(here: World) -> None:
    jane, joe = here.customer("jane@example.com"), here.customer("joe@example.com")
    wish = {"name": "server", "scopes": ["events"]}
    first = jane.call("POST", "/keys", wish, headers=KEY).json()
    assert jane.call("POST", "/keys", wish, headers=KEY).json() == first
    assert joe.call("POST", "/keys", wish, headers=KEY).json() != first
    rows = here.store.read(lambda connection: list(connection.execute(idempotent_answers.select())))
    assert not any(first["secret"].encode() in row.answer for row in rows)
    kept = here.store.read(lambda connection: str(list(connection.execute(api_keys.select()))))
    assert first["secret"] not in kept


def test_a_problem_is_not_kept_and_a_key_ends_after_a_day(here: World) -> None:
    jane = here.customer("jane@example.com")
    assert jane.call("POST", "/keys", {"name": "x", "scopes": ["members"]}, headers=KEY).status_code == 422
    wish = {"name": "x", "scopes": ["events"]}
    first = jane.call("POST", "/keys", wish, headers=KEY).json()
    here.clock.advance_to(here.clock.now() + idempotency.LASTS)
    jane.signs_in()
    assert jane.call("POST", "/keys", wish, headers=KEY).json()["id"] != first["id"]
    later = here.clock.now() + idempotency.LASTS + datetime.timedelta(seconds=1)
    assert here.store.write(lambda connection: idempotency.forget_old(connection, later)) == 1


@pytest.mark.parametrize("key", ["short", "x" * 129, "with a space in it", "ünïcödé-ünïcödé!"])
def test_a_key_has_a_form(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        idempotency.Attempt("visitor", key, b"")
    assert refused.value.field == "Idempotency-Key"


def together(*calls: Callable[[], httpx2.Response]) -> list[int]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result().status_code for done in [pool.submit(call) for call in calls]]


def test_two_sign_ups_race_and_one_account_is_there(here: World) -> None:
    people_ = [here.stranger("jane@example.com") for _ in range(4)]
    assert set(together(*(one.signs_up for one in people_))) == {202}
    with entry("ACC-04.1"):
        count = here.store.read(lambda connection: len(list(connection.execute(accounts.select()))))
        assert count == 1
        assert here.store.read(lambda connection: len(list(connection.execute(people.select())))) == 1
        # Of two mailboxes with one tax number both wait; the first to verify has the account.
        pair = [here.stranger(f"{name}@example.com") for name in ("ann", "bob")]
        for one in pair:
            one.signs_up(tax_number="PL1234567890")
        assert sorted(together(*(one.verifies for one in pair))) == [200, 409]


def test_the_same_key_at_the_same_time_does_it_once(here: World) -> None:
    jane = here.customer("jane@example.com")
    wish = {"name": "server", "scopes": ["events"]}
    codes = together(*(lambda: jane.call("POST", "/keys", wish, headers=KEY) for _ in range(4)))
    assert set(codes) == {201}
    assert len(jane.call("GET", "/keys").json()["items"]) == 1


def test_two_ask_for_one_slug_at_the_same_time(here: World) -> None:
    pair = [here.customer(f"{name}@example.com") for name in ("ann", "bob")]
    with entry("PROD-30.2"):
        codes = together(*(lambda one=one: one.call("PATCH", "/account", {"slug": "acme"}) for one in pair))
        assert sorted(codes) == [204, 409]
