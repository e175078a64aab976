"""Who may call what: every route against every role, generated; and doors that are shut by default."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from control_plane.api.app import application
from control_plane.api.caller import RIGHTS
from control_plane.api.doors import Doors, need, routes
from control_plane.clock import TestClock
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.people import START, Person, World, settings
from tests.control_plane.product import product
from tests.control_plane.shop import Shop, shop

# What each role meets; everything that is not here is shut.
ALLOWED: dict[str, set[str]] = {
    "visitor": {"public"},
    "operator": {"public", "operator"},
    "owner": {"public", "person", "member", "owner", *RIGHTS},
    "least": {"public", "person", "member"},
    **{f"only {right}": {"public", "person", "member", right} for right in RIGHTS},
    "staff": {"public", "person", "staff", "member", *RIGHTS},
    "staff with a ticket": {"public", "staff", "member", "account", "events", "content"},
    "key": {"public", "member", "events"},
    "suspended owner": {"public", "person", "member", "owner", "billing"},
}
# Words in a path that exist, so that only the door can refuse.
PARTS = {
    "session": "ses_aaaa", "person": "per_aaaa", "invitation": "inv_aaaa", "key": "key_aaaa", "slug": "acme",
    "provider": "nobody", "account": "acc_aaaa", "access": "sta_aaaa", "event": "evt_aaaa", "kind": "terms",
    "version": "2022-12-15", "language": "en", "setup": "setup_000000", "add_on": "add_aaaa",
    "payment": "inv_aaaa_1:1", "invoice": "inv_aaaa_1", "price": "basic.month.EUR.1",
}  # fmt: skip
SHUT = {
    "signed_out", "person_only", "staff_only", "no_account", "owner_only", "right_missing", "session_over", "csrf",
    "cross_site", "key_refused", "operators_only",
}  # fmt: skip


def people_of(at: Shop) -> dict[str, Person]:
    """One of each role."""
    here, buyer = at.here, at.buyer("owner@example.com")
    buyer.gives()
    assert buyer.orders()["state"] == "succeeded"  # a trial has no places for so many
    owner = buyer.person
    found = {"visitor": here.stranger(), "operator": here.operator(), "owner": owner}
    found["least"] = here.member(owner, "least@example.com", [])
    for right in RIGHTS:
        found[f"only {right}"] = here.member(owner, f"{right}@example.com", [right])
    found["staff"] = here.staff()
    ticketed = here.staff("desk2@stentor.test")
    wish = {"account": owner.me()["account"], "ticket": "T-1", "reason": "asked for", "minutes": 60}
    ticketed.headers["Stentor-Access"] = ticketed.call("POST", "/staff/accesses", wish).json()["id"]
    found["staff with a ticket"] = ticketed
    key = owner.call("POST", "/keys", {"name": "k", "scopes": ["events"]}).json()["secret"]
    found["key"] = here.stranger()
    found["key"].headers["Authorization"] = f"Bearer {key}"
    suspended = here.customer("suspended@example.com")
    account = suspended.me()["account"]
    body = {"reason": "abuse", "ticket": "T-2"}
    assert found["staff"].call("POST", f"/staff/accounts/{account}/suspend", body).status_code == 200
    found["suspended owner"] = suspended
    return found


def test_every_route_is_open_for_those_it_names_and_shut_for_all_others(store: Store) -> None:
    with shop(store) as at:
        here, found = at.here, people_of(at)
        asked = 0
        for route in routes(here.app):
            if not route.path.startswith("/api/v1") and route.endpoint.need != "operator":  # type: ignore[attr-defined]
                continue  # pages answer in words: tests.control_plane.pages.test_every_page
            path = route.path.format(**PARTS)
            for method in sorted(route.methods or ()):
                for role, person in found.items():
                    if (method, path) == ("DELETE", "/api/v1/me/membership"):
                        continue  # leaving would change who this is
                    # A body that no route takes: what is let in fails by its form, and nothing is changed.
                    body = None if method in ("GET", "DELETE") else {"no_such_field": 1}
                    answer = person.ask(method, path, body, follow_redirects=False)
                    said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
                    shut = answer.status_code in (401, 403) and said.get("code") in SHUT
                    may = route.endpoint.need in ALLOWED[role]  # type: ignore[attr-defined]
                    assert shut is not may, (role, method, path, route.endpoint.need, answer.status_code, said)  # type: ignore[attr-defined]
                    asked += 1
        assert asked > 600


def test_the_free_version_lacks_what_is_paid_for(store: Store) -> None:
    with product(store) as here:
        free, paid = here.customer("free@example.com"), here.customer("paid@example.com", plan="business")
        large = {"kind": "large", "title": "Everybody"}
        with entry("ACC-05.3"):
            refused = free.call("POST", "/events", large)
            assert (refused.status_code, refused.json()["code"]) == (403, "plan_kind")
            assert free.call("POST", "/events", {"title": "Lesson"}).json()["seats_max"] == 5
            assert paid.call("POST", "/events", large).json()["seats_max"] == 10_000
            invited = [free.call("POST", "/invitations", {"email": f"{n}@example.com"}).status_code for n in range(2)]
            assert invited == [201, 409]


def test_a_route_that_names_no_need_is_not_served(store: Store) -> None:
    def forgetful(doors: Doors) -> APIRouter:
        routes = doors.router("x")

        @routes.get("/open-to-all")
        def open_to_all() -> str:
            return "?"

        return routes

    def with_no_door(doors: Doors) -> APIRouter:
        routes = APIRouter()

        @routes.get("/api/v1/no-door")
        @need("billing")
        def no_door() -> str:
            return "?"

        return routes

    def unknown(doors: Doors) -> APIRouter:
        routes = doors.router("x")

        @routes.get("/odd")
        @need("everybody")  # type: ignore[arg-type]
        def odd() -> str:
            return "?"

        return routes

    def behind_the_wrong_door(doors: Doors) -> APIRouter:
        routes = doors.router("x")

        @routes.get("/figures")
        @need("operator")
        def figures() -> str:
            return "?"

        return routes

    wrong = ((with_no_door, "has no door"), (behind_the_wrong_door, "has no door"), (unknown, "declares no need"))
    for area, why in wrong:
        with pytest.raises(RuntimeError, match=why):
            application(store, TestClock(START), settings(), areas=[area])
    with pytest.raises(RuntimeError, match="declares no need"):
        application(store, TestClock(START), settings(), areas=[forgetful])


@pytest.fixture
def jane(here: World) -> Iterator[Person]:
    yield here.customer("jane@example.com")


def test_a_cookie_changes_nothing_without_its_sessions_token(here: World, jane: Person) -> None:
    other = here.customer("joe@example.com")
    for token in ("", "x", other.csrf):
        answer = jane.client.patch("/api/v1/me", json={"first_name": "X"}, headers={"X-CSRF-Token": token})
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert jane.me()["first_name"] == ""
    assert jane.me()["csrf"] == jane.csrf


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_signs_nobody_in_and_changes_nothing(here: World, jane: Person, headers: dict[str, str]) -> None:
    for path, body in (("/sessions", {"email": jane.email, "password": jane.password}), ("/me/password", {})):
        answer = jane.call("POST" if path == "/sessions" else "PUT", path, body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert jane.call("PATCH", "/me", {"first_name": "J"}, headers={"Origin": "https://stentor.test"}).is_success


def test_forged_sessions_and_keys_open_nothing(here: World, jane: Person) -> None:
    secret = jane.client.cookies["__Host-stentor"]
    forger = here.stranger()
    for cookie in (secret[:-1] + ("a" if secret[-1] != "a" else "b"), "ss_" + "a" * 40, "", "'; drop table sessions"):
        forger.client.cookies.set("__Host-stentor", cookie, domain="stentor.test")
        assert forger.call("GET", "/me").status_code == 401
        forger.client.cookies.clear()
    for authorization in ("Bearer sk_" + "a" * 40, f"Bearer {secret}", "Basic amFuZTpwYXNz", "Bearer", "bearer  "):
        assert forger.call("GET", "/account", headers={"Authorization": authorization}).status_code == 401


def test_every_answer_says_which_request_it_is_to(here: World) -> None:
    client = here.client()
    assert (
        client.get("/api/v1/oidc", headers={"X-Request-ID": "from-a-proxy-1"}).headers["x-request-id"]
        == "from-a-proxy-1"
    )
    odd = client.get("/api/v1/oidc", headers={"X-Request-ID": "<script>"}).headers["x-request-id"]
    assert odd.startswith("req_")
    assert client.get("/api/v1/oidc").headers["x-content-type-options"] == "nosniff"


def test_a_fault_of_ours_tells_no_details(store: Store) -> None:
    def broken(doors: Doors) -> APIRouter:
        routes = doors.router("x")

        @routes.get("/broken")
        @need("public")
        def fail() -> str:
            raise RuntimeError("the secret of the house")

        return routes

    app: FastAPI = application(store, TestClock(START), settings(), areas=[broken])
    client = TestClient(app, base_url="https://stentor.test", raise_server_exceptions=False)
    answer = client.get("/api/v1/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    app.state.hashing.pool.close()
