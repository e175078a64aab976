"""A node's snapshot in Prometheus' text format. Pure.

The names are a promise to those who scrape; sums by kind only, so the page does not grow with the rooms.
"""

from __future__ import annotations

import functools
import itertools
import platform
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from sfu import __version__, channel
from sfu.errors import all_codes
from sfu.rooms import SIZES
from sfu.signalling.backend import NodeSnapshot
from sfu.signalling.histogram import added
from sfu.signalling.told import EVENT_NAMES
from sfu.signalling.whip_values import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Counters of the workers that have a metric of their own above.
TOLD_ELSEWHERE = frozenset(
    {
        "received_packets", "received_octets", "sent_packets", "sent_octets", "busy_ns", "working_us", "socket_drops",
        "nacks_read", "nacks_written", "switches", "audio_switches", "plis_read", "firs_read", "plis_written",
        "key_frames", "packets_lost", "told_lost", "stun_ice_restarted",
    }
)  # fmt: skip
SOURCES = ("camera", "microphone", "screen", "screen_audio")
EVENTS = (*EVENT_NAMES.values(), "track_published", "track_muted", "track_unmuted", "track_unpublished")


class _Snapshot:
    """A prometheus-client collector over one snapshot."""

    def __init__(self, snapshot: NodeSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        yield from self._build()
        yield from self._node()
        yield from self._rooms()
        yield from self._sessions()
        yield from self._uplink()
        yield from self._processes()
        yield from self._workers()
        yield from self._sockets()
        yield from self._media()
        yield from self._repairs()

    def _build(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("stentor_build_info", "Always 1; what runs here.", labels=["version", "python"])
        build.add_metric([__version__, platform.python_version()], 1)
        yield build

    def _node(self) -> Iterator[Metric]:
        node = self._snapshot
        yield GaugeMetricFamily("stentor_ready", "1 = every worker can take media.", value=int(node.ready))
        said = CounterMetricFamily("stentor_signalling_messages", "Messages from clients.", labels=["type"])
        for kind, count in sorted(node.messages.items()):
            said.add_metric([kind], count)
        yield said
        failed = CounterMetricFamily("stentor_errors", "Errors that clients were told.", labels=["code"])
        # Every code from the start: the first error of a kind must not look like a series that has just begun.
        for code in sorted(all_codes() | node.errors):
            failed.add_metric([code], node.errors.get(code, 0))
        yield failed

    def _rooms(self) -> Iterator[Metric]:
        rooms = self._snapshot.rooms
        yield GaugeMetricFamily("stentor_rooms", "Rooms with somebody in.", value=rooms.rooms)
        yield GaugeMetricFamily("stentor_participants", "Participants in all rooms.", value=rooms.participants)
        yield GaugeMetricFamily("stentor_audience", "Of them, those who may not publish.", value=rooms.audience)
        yield GaugeMetricFamily(
            "stentor_largest_room_participants", "Participants of the room with most of them.", value=rooms.largest
        )
        sizes = GaugeMetricFamily(
            "stentor_rooms_by_size", "Rooms by how many are in: up to, and more than the label before.",
            labels=["participants"],
        )  # fmt: skip
        for bound, count in zip([*map(str, SIZES), "more"], rooms.sizes, strict=True):
            sizes.add_metric([bound], count)
        tracks = GaugeMetricFamily("stentor_tracks", "Sources that are published now.", labels=["source"])
        for source in SOURCES:
            tracks.add_metric([source], rooms.tracks.get(source, 0))
        events = CounterMetricFamily("stentor_room_events", "What happened in rooms.", labels=["event"])
        for event in EVENTS:
            events.add_metric([event], self._snapshot.room_events.get(event, 0))
        yield from (sizes, tracks, events)

    def _sessions(self) -> Iterator[Metric]:
        node, journal = self._snapshot, self._snapshot.journal
        sessions = GaugeMetricFamily(
            "stentor_sessions",
            "Sessions: connected by a WebSocket, waiting to be resumed, or of WHIP or WHEP.",
            labels=["state"],
        )
        sessions.add_metric(["connected"], node.sockets)
        others = sum(node.without_sockets.values())
        sessions.add_metric(["waiting"], max(0, node.sessions - node.sockets - others))
        for protocol in Protocol:
            sessions.add_metric([protocol.value], node.without_sockets.get(protocol.value, 0))
        yield sessions
        requests = CounterMetricFamily(
            "stentor_whip_requests", "Requests of WHIP and WHEP.", labels=["protocol", "method", "status"]
        )
        for (protocol_name, method, status), count in sorted(node.requests.items()):
            requests.add_metric([protocol_name, method, str(status)], count)
        yield requests
        peers = CounterMetricFamily("stentor_peer_connections", "What became of peer connections.", labels=["result"])
        for result in ("connected", "failed"):
            peers.add_metric([result], journal.connections.get(result, 0))
        yield peers
        taken = CounterMetricFamily(
            "stentor_joins", "Seats taken (joined), and sessions taken up again (resumed).", labels=["result"]
        )
        for result, count in sorted(journal.joined.items()):
            taken.add_metric([result], count)
        yield taken
        lasted = HistogramMetricFamily("stentor_session_seconds", "From the join to the end of a session.")
        lasted.add_metric([], *_buckets(journal.lasted))
        yield lasted
        joins = HistogramMetricFamily(
            "stentor_join_seconds",
            "From the join message to the first answer, and to the first connection of media.",
            labels=["until"],
        )
        for milestone, histogram in sorted(journal.joins.items()):
            joins.add_metric([milestone], *_buckets(histogram))
        yield joins

    def _uplink(self) -> Iterator[Metric]:
        sums = self._snapshot.uplink
        yield GaugeMetricFamily(
            "stentor_uplink_kept", "Records that the control plane has not acknowledged yet.", value=sums.kept
        )
        records = CounterMetricFamily("stentor_uplink_records", "What became of records.", labels=["result"])
        for result, count in (("acknowledged", sums.acknowledged), ("dropped", sums.dropped)):
            records.add_metric([result], count)
        yield records
        yield CounterMetricFamily(
            "stentor_uplink_failures", "Attempts to hand records over that failed.", value=sums.failures
        )

    def _processes(self) -> Iterator[Metric]:
        used = {"node": self._snapshot.process}
        used |= {f"worker-{worker}": counters.process for worker, counters in self._answers()}
        cpu = CounterMetricFamily("stentor_process_cpu_seconds", "User and system time.", labels=["process"])
        resident = GaugeMetricFamily("stentor_process_resident_bytes", "Memory in use (RSS).", labels=["process"])
        files = GaugeMetricFamily("stentor_process_open_files", "File descriptors in use.", labels=["process"])
        most = GaugeMetricFamily(
            "stentor_process_open_files_max", "File descriptors that are allowed; -1 = no limit.", labels=["process"]
        )
        for name, use in used.items():
            cpu.add_metric([name], use.cpu_s)
            resident.add_metric([name], use.resident_bytes)
            files.add_metric([name], use.open_files)
            most.add_metric([name], use.open_files_max)
        yield from (cpu, resident, files, most)

    def _workers(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("stentor_worker_up", "1 = the worker answered within 200 ms.", labels=["worker"])
        restarts = CounterMetricFamily("stentor_worker_restarts", "Times a worker was restarted.", labels=["worker"])
        for worker in self._snapshot.workers:
            up.add_metric([str(worker.worker)], 0 if worker.counters is None else 1)
            restarts.add_metric([str(worker.worker)], worker.restarts)
        yield from (up, restarts)
        busy = GaugeMetricFamily(
            "stentor_kernel_busy_share", "Time working / time passed of the kernel thread, in half a second.",
            labels=["worker"],
        )  # fmt: skip
        spent = CounterMetricFamily(
            "stentor_kernel_seconds",
            "Of the kernel thread: time between waking and waiting (working), and processor time in it (cpu).",
            labels=["worker", "kind"],
        )
        rows = GaugeMetricFamily("stentor_rows", "Table rows in use.", labels=["worker", "kind"])
        lag = GaugeMetricFamily(
            "stentor_loop_lag_seconds", "Largest lag of the event loop since the last scrape.", labels=["process"]
        )
        lag.add_metric(["node"], self._snapshot.loop_lag_s)
        for name, counters in self._answers():
            lag.add_metric([f"worker-{name}"], counters.loop_lag_ms / 1000)
            busy.add_metric([name], counters.kernel_busy_share)
            spent.add_metric([name, "working"], counters.counters.get("working_us", 0) / 1e6)
            spent.add_metric([name, "cpu"], counters.counters.get("busy_ns", 0) / 1e9)
            for kind, used in sorted(counters.rows.items()):
                rows.add_metric([name, kind], used)
        yield from (rows, lag, busy, spent)

    def _sockets(self) -> Iterator[Metric]:
        granted = GaugeMetricFamily(
            "stentor_socket_buffer_bytes",
            "The smallest buffer granted to a media socket, the system's overhead included.",
            labels=["worker", "direction"],
        )
        drops = CounterMetricFamily(
            "stentor_socket_drops", "Datagrams that the system dropped because our buffer was full.", labels=["worker"]
        )
        for name, counters in self._answers():
            drops.add_metric([name], counters.counters.get("socket_drops", 0))
            for direction, size in sorted(counters.socket_buffer_bytes.items()):
                granted.add_metric([name, direction], size)
        yield from (granted, drops)

    def _media(self) -> Iterator[Metric]:
        answers = [counters for _, counters in self._answers()]
        verdicts = CounterMetricFamily(
            "stentor_verdicts", "How datagrams and (packet, route) pairs ended.", labels=["stage", "verdict"]
        )
        for stage, field in (("arrival", "arrivals"), ("departure", "departures")):
            for verdict, count in _sums(answers, field).items():
                verdicts.add_metric([stage, verdict], count)
        yield verdicts
        for name, field, help_text in (
            ("stentor_packets", "packets", "Datagrams of media, RTCP, STUN and DTLS."),
            ("stentor_bytes", "octets", "Bytes in them, without IP and UDP headers."),
        ):
            family = CounterMetricFamily(name, help_text, labels=["direction"])
            for direction, count in _sums(answers, field).items():
                family.add_metric([direction], count)
            yield family
        for name, help_text, histograms in (
            ("stentor_forward_latency_seconds", "From the receive stamp of a packet to the call that sent it on.",
             [one.forward_latency for one in answers]),
            ("stentor_round_trip_seconds", "To those who are sent media, by each of their receiver reports.",
             [one.round_trips for one in answers]),
        ):  # fmt: skip
            times = HistogramMetricFamily(name, help_text)
            if histograms:
                times.add_metric([], *_buckets(functools.reduce(added, histograms)))
            yield times

    def _repairs(self) -> Iterator[Metric]:
        answers = [counters for _, counters in self._answers()]
        further, arrived, departed = (_sums(answers, field) for field in ("counters", "arrivals", "departures"))
        for name, help_text, label, values in (
            ("stentor_nacks", "Packets that were asked for again.", "direction",
             {"received": further.get("nacks_read", 0), "sent": further.get("nacks_written", 0)}),
            ("stentor_rtx_packets", "Repairs: received and of use, sent.", "direction",
             {"received": arrived.get("RTX_RECOVERED", 0), "sent": departed.get("RTX_SENT", 0)}),
            ("stentor_switches", "Slots that were given another source or layer.", "kind",
             {"video": further.get("switches", 0), "audio": further.get("audio_switches", 0)}),
        ):  # fmt: skip
            family = CounterMetricFamily(name, help_text, labels=[label])
            for value, count in values.items():
                family.add_metric([value], count)
            yield family
        asked = CounterMetricFamily(
            "stentor_key_frame_requests", "Requests for a key frame.", labels=["direction", "type"]
        )
        asked.add_metric(["received", "pli"], further.get("plis_read", 0))
        asked.add_metric(["received", "fir"], further.get("firs_read", 0))
        asked.add_metric(["sent", "pli"], further.get("plis_written", 0))
        yield asked
        yield CounterMetricFamily("stentor_key_frames", "Key frames received.", value=further.get("key_frames", 0))
        yield CounterMetricFamily(
            "stentor_packets_lost",
            "Gaps in what publishers sent, repaired ones too.",
            value=further.get("packets_lost", 0),
        )
        yield CounterMetricFamily(
            "stentor_told_lost",
            "Packets that those who are sent media called lost, repaired ones too.",
            value=further.get("told_lost", 0),
        )
        yield CounterMetricFamily(
            "stentor_ice_restarts", "ICE restarts that clients began.", value=further.get("stun_ice_restarted", 0)
        )
        events = CounterMetricFamily("stentor_worker_events", "Further counters of the workers.", labels=["event"])
        for event, count in further.items():
            if event not in TOLD_ELSEWHERE:
                events.add_metric([event], count)
        yield events

    def _answers(self) -> list[tuple[str, channel.Counters]]:
        """The workers that answered, by their number as a label."""
        return [(str(one.worker), one.counters) for one in self._snapshot.workers if one.counters is not None]


def _buckets(histogram: channel.Histogram) -> tuple[list[tuple[str, float]], float]:
    """As prometheus-client takes them: cumulative, each with its bound in words; and the sum."""
    bounds = [*map(str, histogram.bounds_s), "+Inf"]
    counts = [float(count) for count in itertools.accumulate(histogram.counts)]
    return list(zip(bounds, counts, strict=True)), histogram.sum_s


def _sums(answers: Iterable[channel.Counters], field: str) -> dict[str, int]:
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
