"""[I/O] The two gateways that the contract is run against, each with the customer and the network around it.

localstripe is a server in a process of its own, on loopback; it is GPL and never imported.
"""

from __future__ import annotations

import contextlib
import datetime
import http.server
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx2

from control_plane.billing.freeze import CardMonth
from control_plane.clock import SystemClock, TestClock
from control_plane.gateway.fake.cards import GOOD
from control_plane.gateway.fake.faults import AnswerLost, Lost, Script
from control_plane.gateway.fake.outside import collected
from control_plane.gateway.fake.records import Charge
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import CardSaved, ChargeOrder, ChargeTold, Gateway, Sources, Succeeded
from control_plane.gateway.stripe import StripeGateway, StripeSettings
from control_plane.money import Money

NOW = datetime.datetime(2026, 12, 1, 9, tzinfo=datetime.UTC)
SECRET = "whsec_for_tests_of_the_gateway"
PAGE = "https://stentor.test/billing/confirm/{}"
FAR = CardMonth(2030, 12)
PRICE = Money(1230, "EUR")
DAY = datetime.timedelta(days=1)

# What is lost: whether the order arrived before.
LOST, ANSWER_LOST = False, True


class Rig(Protocol):
    """A gateway, with its customers, its network and its own books."""

    @property
    def gateway(self) -> Gateway: ...

    def now(self) -> datetime.datetime: ...

    def enter_card(self, setup: str, number: str, expires: CardMonth) -> None: ...

    def authenticate(self, reference: str, agrees: bool) -> None: ...

    def lose(self, what: str, arrives: bool) -> None:
        """The next request of this kind ("charge", "refund") times out."""
        ...

    def paid(self, payer: str) -> list[int]:
        """The amounts of all successful charges of this payer, in the gateway's own books."""
        ...

    def event(self, payer: str) -> tuple[bytes, dict[str, str]]:
        """The event about this payer's charge, as it was delivered."""
        ...


class FakeRig:
    def __init__(self) -> None:
        self.clock = TestClock(NOW)
        self.plan = Script()
        self.gateway = MemoryGateway(self.clock, SECRET, plan=self.plan, page=PAGE)

    def now(self) -> datetime.datetime:
        return self.clock.now()

    def enter_card(self, setup: str, number: str, expires: CardMonth) -> None:
        self.gateway.outside.enter_card(setup, number, expires)

    def authenticate(self, reference: str, agrees: bool) -> None:
        self.gateway.outside.authenticate(reference, agrees)

    def lose(self, what: str, arrives: bool) -> None:
        self.plan.then("refund" if what == "refund" else "charge", AnswerLost() if arrives else Lost())

    def paid(self, payer: str) -> list[int]:
        with self.gateway._books() as books:
            return [one.minor for one in books.drawer.of(Charge, payer) if one.state == "succeeded"]

    def event(self, payer: str) -> tuple[bytes, dict[str, str]]:
        return next(one for one in collected(self.gateway.outside) if _is_about(self, payer, *one))


class Front(httpx2.BaseTransport):
    """The network between the adapter and localstripe. It loses what it is told to, and takes from one list the filter
    that localstripe refuses (Stripe has it); the adapter looks at every one of a list again anyway."""

    PATHS = {"charge": "/v1/payment_intents", "refund": "/v1/refunds"}  # noqa: RUF012

    def __init__(self) -> None:
        self._inner = httpx2.HTTPTransport()
        self._lose: list[tuple[str, bool]] = []

    def lose(self, what: str, arrives: bool) -> None:
        self._lose.append((self.PATHS[what], arrives))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and request.url.path == self.PATHS["charge"]:
            request = httpx2.Request(
                "GET", request.url.copy_remove_param("customer"), headers=request.headers, extensions=request.extensions
            )
        if request.method == "POST" and self._lose and self._lose[0][0] == request.url.path:
            _, arrives = self._lose.pop(0)
            if arrives:
                self._inner.handle_request(request).read()
            raise httpx2.ReadTimeout("lost", request=request)
        return self._inner.handle_request(request)


class StripeRig:
    def __init__(self, address: str, page: str = PAGE) -> None:
        self.address, self.front = address, Front()
        self._posted: queue.Queue[tuple[bytes, dict[str, str]]] = queue.Queue()
        # No policy of a page can name an address of IPv6 (CSP 3, host-source).
        self.seen = address.replace("[::1]", "localhost")
        script, sources = f"{self.seen}/js.stripe.com/v3/", Sources(*[(self.seen,)] * 3)
        settings = StripeSettings("sk_test_12345", "pk_test_12345", (SECRET,), page, address, script, sources)
        self.gateway = StripeGateway(settings, transport=self.front)
        self.settings = settings

    def now(self) -> datetime.datetime:
        return SystemClock().now()

    def enter_card(self, setup: str, number: str, expires: CardMonth) -> None:
        """What Stripe's script does in the customer's browser."""
        card = {"number": number, "exp_month": expires.month, "exp_year": expires.year, "cvc": "123"}
        form = {f"payment_method_data[card][{name}]": str(value) for name, value in card.items()}
        secret = self.gateway.hosted_fields(setup).secret
        form |= {"key": "pk_test_12345", "client_secret": secret, "payment_method_data[type]": "card"}
        httpx2.post(f"{self.address}/v1/setup_intents/{setup}/confirm", data=form, trust_env=False)

    def authenticate(self, reference: str, agrees: bool) -> None:
        secret = self.gateway.hosted_fields(reference).secret
        kind, verb = (
            ("setup_intents", "confirm") if reference.startswith("seti_") else ("payment_intents", "_authenticate")
        )
        form = {"key": "pk_test_12345", "client_secret": secret}
        if verb == "_authenticate":
            form["success"] = "true" if agrees else "false"
        httpx2.post(f"{self.address}/v1/{kind}/{reference}/{verb}", data=form, trust_env=False)

    def lose(self, what: str, arrives: bool) -> None:
        self.front.lose(what, arrives)

    def paid(self, payer: str) -> list[int]:
        auth = {"Authorization": "Bearer sk_test_12345"}
        listed = httpx2.get(
            f"{self.address}/v1/charges", params={"customer": payer, "limit": "100"}, headers=auth, trust_env=False
        )
        return [one["amount"] for one in listed.json()["data"] if one["status"] == "succeeded"]

    def event(self, payer: str) -> tuple[bytes, dict[str, str]]:
        while True:
            body, headers = self._posted.get(timeout=60)
            if _is_about(self, payer, body, headers):
                return body, headers

    @contextlib.contextmanager
    def listening(self) -> Iterator[StripeRig]:
        """localstripe posts its events here."""
        posted = self._posted

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                posted.put((body, dict(self.headers.items())))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hook = {"url": f"http://127.0.0.1:{server.server_address[1]}/", "secret": SECRET}
        httpx2.post(f"{self.address}/_config/webhooks/tests", json=hook, trust_env=False).raise_for_status()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            self.gateway.close()


def _is_about(rig: Rig, payer: str, body: bytes, headers: dict[str, str]) -> bool:
    told = rig.gateway.read_event(body, headers, rig.now()).told
    return isinstance(told, ChargeTold) and told.payer == payer


@contextlib.contextmanager
def localstripe() -> Iterator[str]:
    """The address of one that runs."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent / "loopback")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx2.Client(transport=httpx2.HTTPTransport(retries=10), trust_env=False) as client:
            client.get(f"http://[::1]:{port}/js.stripe.com/v3/", timeout=60).raise_for_status()
        yield f"http://[::1]:{port}"
    finally:
        process.kill()
        process.wait()


def saved_card(rig: Rig, payer: str, number: str, key: str, expires: CardMonth = FAR) -> str:
    """The token of a card that this payer gave."""
    setup = rig.gateway.begin_card(payer, key)
    rig.enter_card(setup, number, expires)
    outcome = rig.gateway.card_of(setup)
    assert isinstance(outcome, CardSaved), outcome
    return outcome.card.token


def order(payer: str, token: str, key: str = "inv-1:1", amount: Money = PRICE, present: bool = False) -> ChargeOrder:
    return ChargeOrder(key, payer, token, amount, present)


def paid(rig: Rig, payer: str, number: str = GOOD, amount: Money = PRICE) -> Succeeded:
    """The first attempt of an invoice, by a new card."""
    outcome = rig.gateway.charge(order(payer, saved_card(rig, payer, number, "setup-paid"), amount=amount))
    assert isinstance(outcome, Succeeded)
    return outcome


def changed(headers: Mapping[str, str], name: str, change: Callable[[str], str]) -> dict[str, str]:
    """The same headers with one of them changed, whatever the case of its name."""
    return {one: change(value) if one.lower() == name.lower() else value for one, value in headers.items()}
