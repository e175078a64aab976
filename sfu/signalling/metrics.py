"""A node's snapshot in Prometheus' text format. Pure.

The names are a promise to those who scrape; sums by kind only, so the page does not grow with the rooms.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sfu import channel
from sfu.signalling.backend import NodeSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Snapshot:
    """A prometheus-client collector over one snapshot."""

    def __init__(self, snapshot: NodeSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        yield from self._node()
        yield from self._workers()
        yield from self._media()

    def _node(self) -> Iterator[Metric]:
        node = self._snapshot
        yield GaugeMetricFamily("stentor_participants", "Participants in all rooms.", value=node.participants)
        yield GaugeMetricFamily("stentor_rooms", "Rooms with somebody in.", value=node.rooms)
        said = CounterMetricFamily("stentor_signalling_messages", "Messages from clients.", labels=["type"])
        for kind, count in sorted(node.messages.items()):
            said.add_metric([kind], count)
        yield said
        failed = CounterMetricFamily("stentor_errors", "Errors that clients were told.", labels=["code"])
        for code, count in sorted(node.errors.items()):
            failed.add_metric([code], count)
        yield failed

    def _workers(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("stentor_worker_up", "1 = the worker answered within 200 ms.", labels=["worker"])
        restarts = CounterMetricFamily("stentor_worker_restarts", "Times a worker was restarted.", labels=["worker"])
        busy = GaugeMetricFamily(
            "stentor_kernel_busy_share", "Share of one core that the kernel thread used.", labels=["worker"]
        )
        rows = GaugeMetricFamily("stentor_rows", "Table rows in use.", labels=["worker", "kind"])
        lag = GaugeMetricFamily(
            "stentor_loop_lag_seconds", "Largest lag of the event loop since the last scrape.", labels=["process"]
        )
        lag.add_metric(["node"], self._snapshot.loop_lag_s)
        for worker in self._snapshot.workers:
            name = str(worker.worker)
            up.add_metric([name], 0 if worker.counters is None else 1)
            restarts.add_metric([name], worker.restarts)
            if worker.counters is not None:
                lag.add_metric([f"worker-{name}"], worker.counters.loop_lag_ms / 1000)
                busy.add_metric([name], worker.counters.kernel_busy_share)
                for kind, used in sorted(worker.counters.rows.items()):
                    rows.add_metric([name, kind], used)
        yield from (up, restarts, lag, busy, rows)

    def _media(self) -> Iterator[Metric]:
        answers = [worker.counters for worker in self._snapshot.workers if worker.counters is not None]
        verdicts = CounterMetricFamily(
            "stentor_verdicts", "How datagrams and (packet, route) pairs ended.", labels=["stage", "verdict"]
        )
        for stage, field in (("arrival", "arrivals"), ("departure", "departures")):
            for verdict, count in _sums(answers, field).items():
                verdicts.add_metric([stage, verdict], count)
        yield verdicts
        for name, field, help_text in (
            ("stentor_packets", "packets", "Datagrams of media and RTCP."),
            ("stentor_bytes", "octets", "Bytes in them, without IP and UDP headers."),
        ):
            family = CounterMetricFamily(name, help_text, labels=["direction"])
            for direction, count in _sums(answers, field).items():
                family.add_metric([direction], count)
            yield family
        further = CounterMetricFamily("stentor_worker_events", "Further counters of the workers.", labels=["event"])
        for event, count in _sums(answers, "counters").items():
            further.add_metric([event], count)
        yield further


def _sums(answers: list[channel.Counters], field: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for answer in answers:
        for name, count in getattr(answer, field).items():
            sums[name] = sums.get(name, 0) + count
    return dict(sorted(sums.items()))


def page(snapshot: NodeSnapshot) -> bytes:
    """The text for /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(snapshot))
    return generate_latest(registry)
