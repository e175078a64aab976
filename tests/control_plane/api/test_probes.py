"""What operators and their probes ask: who gets an answer, by which way, and that the figures say what happened."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator

import httpx2
import pytest
from fastapi import APIRouter
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from control_plane.api.app import application
from control_plane.api.doors import Doors, need
from control_plane.api.limits import LIMITS, Limit
from control_plane.errors import Internal
from control_plane.storage.store import Store
from control_plane.watch.reading import Reading
from tests.control_plane.people import PASSWORD, World, world

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def here(store: Store) -> Iterator[World]:
    """With an application of its own: it watches its database, and its figures begin at nothing."""
    with world(store, own=True) as made:
        yield made


def figures(here: World) -> Callable[..., float]:
    """The value of a sample as of now: name without its prefix, labels. 0 for what is not there."""
    answer = here.operator().ask("GET", "/metrics")
    assert answer.status_code == 200, answer.text
    found: Samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    return lambda name, **labels: found.get((f"stentor_control_{name}", frozenset(labels.items())), 0.0)


# Who may ask


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("2001:db8::9", True),
        ("10.2.0.1", False),
        ("192.0.2.1", False),
        ("2001:db9::1", False),
        ("testclient", False),
        ("", False),
    ],
)
def test_figures_are_for_loopback_and_the_networks_that_were_named(store: Store, address: str, may: bool) -> None:
    with world(store, metrics_networks=("10.1.0.0/16", "2001:db8::/32")) as here:
        answer = here.client(address).get("/metrics")
        assert answer.status_code == (200 if may else 403)
        assert ("stentor_control_" in answer.text) is may
        if not may:
            assert answer.json()["code"] == "operators_only"


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"])
def test_who_comes_through_a_proxy_on_this_machine_is_not_taken_for_this_machine(here: World, name: str) -> None:
    assert here.operator().ask("GET", "/metrics", headers={name: "127.0.0.1"}).status_code == 403


def test_a_session_a_key_and_even_staff_open_no_figures(here: World) -> None:
    for person in (here.customer("jane@example.com"), here.staff()):
        assert person.ask("GET", "/metrics").json()["code"] == "operators_only"


def test_probes_ask_by_plain_http_and_nothing_else_is_answered_so(here: World) -> None:
    here.base_url = "http://10.0.0.9:8090"
    plain = here.client("127.0.0.1")
    assert {path: plain.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")} == {
        "/healthz": 200, "/readyz": 200, "/metrics": 200,
    }  # fmt: skip
    for path in ("/api/v1/oidc", "/healthz/", "/healthz/../api/v1/oidc", "/metrics.txt"):
        assert plain.get(path, follow_redirects=False).status_code == 308, path


def test_a_flood_from_one_address_does_not_make_the_process_look_dead(store: Store) -> None:
    with world(store, limits={**LIMITS, "address": Limit(2, 3600)}) as here:
        client = here.client("127.0.0.1")
        assert [client.get("/api/v1/oidc").status_code for _ in range(3)] == [200, 200, 429]
        assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]
        assert figures(here)("limited_total", limit="address") == 1


def test_figures_are_told_while_every_thread_that_serves_requests_is_busy(store: Store) -> None:
    """Forty requests hang; the forty-first waits for a thread; the probes do not."""
    let_go, at_it = threading.Event(), threading.Semaphore(0)

    def hanging(doors: Doors) -> APIRouter:
        routes = APIRouter()

        @routes.get("/hang")
        @need("public")
        def hang() -> str:
            at_it.release()
            assert let_go.wait(60)
            return "done"

        return routes

    with world(store, functools.partial(application, areas=[hanging])) as here, here.client("127.0.0.1") as client:
        # One event loop for all, as in the process.
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(client.get("/hang").status_code)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert at_it.acquire(timeout=60)
        assert client.get("/healthz").text == "ok\n" and client.get("/readyz").text == "ready\n"
        assert 'stentor_control_threads{state="busy"} 40.0' in client.get("/metrics").text
        let_go.set()
        for thread in threads:
            thread.join(60)
        assert answers == [200] * 40


# What they say


def test_requests_are_counted_by_template_and_strangers_inventions_all_alike(here: World) -> None:
    jane = here.customer("jane@example.com")
    for _ in range(2):
        assert jane.call("GET", "/me").status_code == 200
    before = len(here.operator().ask("GET", "/metrics").text.splitlines())
    for number in range(20):
        jane.call("GET", f"/nowhere/{number}")
        jane.client.request(f"MAKE{number}", "/api/v1/me")
        jane.call("GET", f"/p/{number}")
    seen = figures(here)
    assert seen("requests_total", route="/api/v1/me", method="GET", status="2xx") == 2
    assert seen("request_seconds_count", route="/api/v1/me") == 22
    assert seen("requests_total", route="none", method="GET", status="4xx") >= 20
    assert seen("requests_total", route="/api/v1/me", method="other", status="4xx") == 20
    assert seen("problems_total", code="not_found") >= 20
    after = len(here.operator().ask("GET", "/metrics").text.splitlines())
    assert after - before < 60, "sixty inventions made a handful of series"


def test_sign_ins_are_counted_by_how_they_ended(store: Store) -> None:
    with world(store, limits={**LIMITS, "sign_in_account": Limit(3, 3600)}) as here:
        jane = here.customer("jane@example.com")
        hashed = figures(here)("hashed_total", result="done")
        jane.password = "another phrase, and wrong"
        jane.signs_in()
        jane.password = PASSWORD
        assert [jane.signs_in().status_code for _ in range(2)] == [201, 429]
        seen = figures(here)
        assert seen("sign_ins_total", outcome="ok") == 2
        assert seen("sign_ins_total", outcome="credentials_wrong") == 1
        assert seen("sign_ins_total", outcome="too_often") == 1
        assert seen("limited_total", limit="sign_in_account") == 1
        assert seen("hashed_total", result="done") == hashed + 2


def broken(doors: Doors) -> APIRouter:
    routes = doors.router("x")

    @routes.get("/broken")
    @need("public")
    def fail() -> str:
        raise RuntimeError("jane@example.com")

    @routes.get("/odd")
    @need("public")
    def odd() -> str:
        raise Internal("ledger_unbalanced", "a fault of ours")

    return routes


def test_faults_of_ours_are_5xx_with_their_code(store: Store) -> None:
    with world(store, functools.partial(application, areas=[broken])) as here:
        answers: list[httpx2.Response] = [here.stranger().call("GET", path) for path in ("/broken", "/odd")]
        assert [answer.json()["code"] for answer in answers] == ["internal", "ledger_unbalanced"]
        assert all(answer.headers["x-request-id"] == answer.json()["request_id"] for answer in answers)
        seen = figures(here)
        assert seen("requests_total", route="/api/v1/broken", method="GET", status="5xx") == 1
        assert seen("problems_total", code="internal") == 1
        assert seen("problems_total", code="ledger_unbalanced") == 1


def test_transactions_and_what_waits_are_read_out_of_the_database(here: World) -> None:
    before = figures(here)
    here.stranger("jane@example.com").signs_up()
    seen = figures(here)
    assert seen("database_up") == 1
    assert seen("outbox_waiting", kind="mail") == 1 and seen("outbox_waiting", kind="media") == 0
    assert seen("jobs", state="waiting") == 1 and seen("jobs", state="parked") == 0
    assert seen("audit_rows") >= 1
    assert seen("transaction_seconds_count", kind="write") > before("transaction_seconds_count", kind="write")
    assert seen("process_resident_memory_bytes") > 1e6 and seen("process_cpu_seconds_total") > 0


def test_each_application_has_figures_of_its_own(store: Store) -> None:
    with world(store, own=True) as first, world(store, own=True) as second:
        first.stranger().call("GET", "/me")
        labels = {"route": "/api/v1/me", "method": "GET", "status": "4xx"}
        assert (figures(first)("requests_total", **labels), figures(second)("requests_total", **labels)) == (1, 0)


def test_without_a_database_it_is_alive_and_not_ready(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Reading, connection: object) -> object:
        raise OperationalError("SELECT 1", {}, Exception("no route to host"))

    monkeypatch.setattr(Reading, "_all", away)
    client = here.client("192.0.2.1")
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready\n")
    text = here.operator().ask("GET", "/metrics").text
    assert "stentor_control_database_up 0.0" in text and "stentor_control_jobs{" not in text
    assert "stentor_control_requests_total" in text, "the others are told"
