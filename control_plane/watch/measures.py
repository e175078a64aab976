"""The control plane's figures for Prometheus: one registry an application. What each means is in docs/operations.md.

The names are a promise to those who scrape. No label holds anything that a caller chose: routes are told by their
template, outcomes by codes of ours, so the page does not grow with accounts or with strangers' inventions.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import sfu
from control_plane.errors import ControlPlaneError, TooMany

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "stentor_control_"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# Codes are words of our sources, some two hundred; should a fault ever make them up, the page stays small.
LABELS_MAX = 400
OTHER = "other"
REQUEST_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TRANSACTION_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
GRANTED = SIGNED_IN = "ok"
DATABASE_ERRORS = ("integrity", "serialization", "operational", "other")
# Else each counter would have a second series that tells when it began: the process's start tells that.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Hashing(Protocol):
    """The pool of password work (control_plane.accounts.pool.HashingPool)."""

    done: int
    refused: int

    @property
    def busy(self) -> int: ...

    @property
    def waiting(self) -> int: ...


class Measures:
    """What is counted as it happens. Safe to be called by any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self.registry)
        info = self._gauge("build_info", "Always 1; what runs here.", ["version"])
        info.labels(sfu.__version__).set(1)
        self.requests = self._counter(
            "requests", "Requests, by the template of the route that answered.", ["route", "method", "status"]
        )
        self.request_seconds = self._histogram(
            "request_seconds", "From a request's head to the end of its answer.", REQUEST_BOUNDS_S, ["route"]
        )
        self.problems = self._counter("problems", "Problems that callers were told.", ["code"])
        self.limited = self._counter("limited", "Requests refused because they came too often.", ["limit"])
        self.sign_ins = self._counter("sign_ins", "Sign-ins, and why they were refused.", ["outcome"])
        self.joins = self._counter("joins", "Grants to join a room, and why there was none.", ["outcome"])
        self.usage_records = self._counter("usage_records", "Records of usage that were taken.", ["result"])
        self.jobs = self._counter("jobs_run", "Attempts at jobs.", ["kind", "result"])
        self.letters = self._counter("outbox_tries", "Attempts to carry rows of the outbox.", ["kind", "result"])
        self.hooks = self._counter("webhook_calls", "Calls of customers' webhooks.", ["result"])
        self.transactions = self._histogram(
            "transaction_seconds",
            "From a connection's leaving the pool to its return: waiting for the lock and the commit are in it.",
            TRANSACTION_BOUNDS_S,
            ["kind"],
        )
        self.database_errors = self._counter("database_errors", "Errors that the database told.", ["kind"])
        for family, values in (
            (self.usage_records, ("new", "known", "foreign")),
            (self.hooks, ("delivered", "failed")),
            (self.database_errors, DATABASE_ERRORS),
            (self.sign_ins, (SIGNED_IN,)),
            (self.joins, (GRANTED,)),
            # The first fault of ours must not look like a series that has just begun.
            (self.problems, ("internal",)),
        ):
            for value in values:
                family.labels(value)

    def code(self, family: str, code: str) -> str:
        """The code as a label of this family; "other" once there are LABELS_MAX of them."""
        with self._lock:
            known = self._known.setdefault(family, set())
            if code not in known and len(known) >= LABELS_MAX:
                return OTHER
            known.add(code)
            return code

    def request(self, route: str, method: str, status: int | None, seconds: float) -> None:
        """One request was answered; without a status: its caller went away first."""
        shown = method if method in METHODS else OTHER
        self.requests.labels(route, shown, "none" if status is None else f"{status // 100}xx").inc()
        self.request_seconds.labels(route).observe(seconds)

    def problem(self, code: str) -> None:
        self.problems.labels(self.code("problems", code)).inc()

    def tried(self, lane: str, kind: str, result: str) -> None:
        """One step of what runs (control_plane.running.work)."""
        if lane == "jobs":
            self.jobs.labels(kind, result).inc()
        elif lane == "webhooks":
            self.hooks.labels(result).inc()
        else:
            self.letters.labels(kind, result).inc()

    @contextlib.contextmanager
    def signing_in(self) -> Iterator[None]:
        """Around one attempt: counts how it ended, and lets the error pass."""
        with self._outcome(self.sign_ins, "sign_ins"):
            yield

    @contextlib.contextmanager
    def joining(self) -> Iterator[None]:
        """Around one attempt: counts how it ended, and lets the error pass."""
        try:
            with self._outcome(self.joins, "joins"):
                yield
        except TooMany:
            self.limited.labels("room_ids").inc()
            raise

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    @contextlib.contextmanager
    def _outcome(self, counter: Counter, family: str) -> Iterator[None]:
        outcome = "internal"
        try:
            yield
            outcome = "ok"
        except ControlPlaneError as error:
            outcome = error.code
            raise
        finally:
            counter.labels(self.code(family, outcome)).inc()

    def _counter(self, name: str, words: str, labels: Iterable[str]) -> Counter:
        return Counter(PREFIX + name, words, list(labels), registry=self.registry)

    def _gauge(self, name: str, words: str, labels: Iterable[str]) -> Gauge:
        return Gauge(PREFIX + name, words, list(labels), registry=self.registry)

    def _histogram(self, name: str, words: str, bounds: tuple[float, ...], labels: Iterable[str]) -> Histogram:
        return Histogram(PREFIX + name, words, list(labels), buckets=bounds, registry=self.registry)


class HashingFigures(Collector):
    """The pool of password work, read at the scrape."""

    def __init__(self, pool: Hashing) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        now = GaugeMetricFamily(PREFIX + "hashing", "Password work at this moment.", labels=["state"])
        now.add_metric(["busy"], self._pool.busy)
        now.add_metric(["waiting"], self._pool.waiting)
        yield now
        ended = CounterMetricFamily(PREFIX + "hashed", "Password work that was done or refused.", labels=["result"])
        ended.add_metric(["done"], self._pool.done)
        ended.add_metric(["refused"], self._pool.refused)
        yield ended
