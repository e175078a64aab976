"""Signing in with an outside identity, against a provider that runs as a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from control_plane.accounts.identities import Provider
from control_plane.accounts.tables import identity_links, identity_steps
from control_plane.api.accounts.identities import our_path
from control_plane.storage.store import Store
from tests.control_plane import provider, seen
from tests.control_plane.entries import entry
from tests.control_plane.people import START, Person, World, world


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with provider.running() as found:
        yield found


@pytest.fixture
def here(store: Store, issuer: str) -> Iterator[World]:
    with world(store, providers=(Provider("acme", issuer, provider.CLIENT, provider.SECRET, "Acme"),)) as made:
        yield made


def be(issuer: str, subject: str, email: str = "", verified: bool = False, lie: str = "") -> None:
    now = START.timestamp()
    provider.be(issuer, sub=subject, email=email, email_verified=verified, lie=lie, now=now)


def goes(person: Person, url: str) -> httpx2.Response:
    """To the provider, who agrees, and back to us."""
    agreed = httpx2.get(url)
    assert agreed.status_code == 302, agreed.text
    back = agreed.headers["location"].removeprefix("https://stentor.test/api/v1")
    return person.call("GET", back, follow_redirects=False)


def comes(person: Person, return_to: str = "/rooms") -> httpx2.Response:
    started = person.call("GET", "/oidc/acme/start", params={"return_to": return_to}, follow_redirects=False)
    assert started.status_code == 303, started.text
    return goes(person, started.headers["location"])


def links(person: Person) -> None:
    person.csrf = person.me()["csrf"]
    answer = person.call("POST", "/oidc/acme/link")
    assert goes(person, answer.json()["url"]).headers["location"] == "/account"


def signs_up_with(person: Person, location: str, **changes: Any) -> httpx2.Response:
    form = {**person.form(**changes), "identity": location.partition("#identity=")[2]}
    del form["password"]
    return person.call("POST", "/oidc/acme/sign-ups", form)


def test_an_unverified_address_of_a_provider_is_verified_by_our_own_mail(here: World, issuer: str) -> None:
    be(issuer, "jane-1", "jane@example.com", verified=False)
    jane = here.stranger("jane@example.com")
    arrived = comes(jane)
    assert arrived.headers["location"].startswith("/sign-up?provider=acme#identity=st_")
    assert signs_up_with(jane, arrived.headers["location"]).status_code == 202
    with entry("ACC-14.1"):
        early = comes(jane)
        assert early.headers["location"] == "/sign-in?problem=email_unverified"
        assert jane.verifies().status_code == 200
        assert comes(jane).headers["location"] == "/rooms"
        assert jane.me()["email"] == "jane@example.com"
    assert seen.acceptances(here.store, jane.me()["person"])


def test_an_address_that_the_provider_has_verified_needs_no_mail_of_ours(here: World, issuer: str) -> None:
    be(issuer, "joe-1", "joe@example.com", verified=True)
    joe = here.stranger("joe@example.com")
    location = comes(joe).headers["location"]
    assert signs_up_with(joe, location, adult=False).status_code == 422
    assert signs_up_with(joe, location).status_code == 202
    assert comes(joe).headers["location"] == "/rooms"
    assert (joe.me()["password_set"], joe.me()["role"]) == (False, "owner")
    # The token of a sign-up is used once, and only for the address that was verified.
    assert signs_up_with(joe, location).status_code == 410
    be(issuer, "joe-2", "joe2@example.com", verified=True)
    ann = here.stranger("ann@example.com")
    assert signs_up_with(ann, comes(ann).headers["location"]).status_code == 202
    assert comes(ann).headers["location"] == "/sign-in?problem=email_unverified"


@pytest.mark.parametrize("verified", [True, False])
def test_an_identity_with_the_address_of_a_customer_is_not_linked_silently(
    here: World, issuer: str, verified: bool
) -> None:
    jane = here.customer("jane@example.com")
    be(issuer, "thief", "JANE@example.com", verified)
    thief = here.stranger("jane@example.com")
    with entry("ACC-14.2"):
        assert comes(thief).headers["location"] == "/sign-in?problem=identity_not_linked"
        assert thief.call("GET", "/me").status_code == 401
        assert jane.call("GET", "/me/identities").json() == {"items": []}
    links(jane)
    [linked] = jane.call("GET", "/me/identities").json()["items"]
    assert linked["provider"] == "acme"
    again = here.stranger(jane.email)
    assert comes(again).headers["location"] == "/rooms"
    assert again.me()["person"] == jane.me()["person"]
    joe = here.customer("joe@example.com")
    answer = joe.call("POST", "/oidc/acme/link")
    assert goes(joe, answer.json()["url"]).headers["location"] == "/sign-in?problem=identity_linked"


def test_the_only_way_in_is_not_taken_away(here: World, issuer: str) -> None:
    be(issuer, "joe-1", "joe@example.com", verified=True)
    joe = here.stranger("joe@example.com")
    signs_up_with(joe, comes(joe).headers["location"])
    comes(joe)
    joe.csrf = joe.me()["csrf"]
    with entry("ACC-14.3"):
        refused = joe.call("DELETE", "/me/identities/acme")
        assert (refused.status_code, refused.json()["code"]) == (409, "password_missing")
        assert joe.call("PUT", "/me/password", {"password": joe.password}).status_code == 204
        assert joe.call("DELETE", "/me/identities/acme").status_code == 204
        assert joe.signs_in().status_code == 201
    assert joe.call("DELETE", "/me/identities/acme").status_code == 404


@pytest.mark.parametrize("lie", ["issuer", "audience", "nonce", "expired", "key", "none"])
def test_an_answer_that_does_not_hold_signs_nobody_in(here: World, issuer: str, lie: str) -> None:
    jane = here.customer("jane@example.com")
    be(issuer, "jane-1", "jane@example.com")
    links(jane)
    be(issuer, "jane-1", "jane@example.com", lie=lie)
    again = here.stranger()
    assert comes(again).headers["location"] == "/sign-in?problem=identity_refused"
    assert again.call("GET", "/me").status_code == 401


def test_keys_that_were_turned_over_are_fetched_again(here: World, issuer: str) -> None:
    jane = here.customer("jane@example.com")
    be(issuer, "jane-1", "jane@example.com")
    links(jane)
    httpx2.post(f"{issuer}/turn-keys").raise_for_status()
    assert comes(here.stranger()).headers["location"] == "/rooms"


def test_a_callback_that_nobody_of_here_began_is_refused(here: World, issuer: str) -> None:
    be(issuer, "jane-1", "jane@example.com")
    jane, thief = here.stranger(), here.stranger()
    url = jane.call("GET", "/oidc/acme/start", follow_redirects=False).headers["location"]
    # The thief's own code in somebody else's browser, and the other way round.
    assert goes(thief, url).headers["location"] == "/sign-in?problem=identity_step_gone"
    thief.call("GET", "/oidc/acme/start", follow_redirects=False)
    assert goes(thief, url).headers["location"] == "/sign-in?problem=identity_refused"
    assert comes(jane).headers["location"].startswith("/sign-up")
    kept = here.store.read(lambda connection: list(connection.execute(identity_steps.select())))
    assert "sign_in" not in {row.kind for row in kept if row.provider != "acme"}
    assert here.store.read(lambda connection: list(connection.execute(identity_links.select()))) == []
    assert jane.call("GET", "/oidc/nobody/start").status_code == 404


def test_a_provider_that_is_away_is_said_to_be(store: Store) -> None:
    with world(store, providers=(Provider("gone", "http://127.0.0.1:9", "x", "y"),)) as here:
        answer = here.stranger().call("GET", "/oidc/gone/start")
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_away")


@pytest.mark.parametrize(
    "wish",
    [
        "https://evil.test/", "//evil.test/", "/\\evil.test", "\\\\evil.test", "/%0d%0aSet-Cookie:x",
        "javascript:alert(1)", "/a\r\nSet-Cookie: x=1", "evil.test", "", "/\t/evil.test", "/x#//y", "http:/evil.test",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(wish: str) -> None:
    ours = our_path(wish)
    assert ours == "/" or (ours == wish and "%0d%0a" in wish and ours.startswith("/%"))


def test_a_path_of_ours_is_come_back_to(here: World, issuer: str) -> None:
    assert our_path("/rooms?tab=2") == "/rooms?tab=2"
    jane = here.customer("jane@example.com")
    be(issuer, "jane-1")
    links(jane)
    assert comes(here.stranger(), "//evil.test/").headers["location"] == "/"
