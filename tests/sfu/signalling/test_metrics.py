"""The page of /metrics: every name documented, histograms cumulative, label sets bounded, silent workers left out."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from sfu import channel
from sfu.errors import all_codes
from sfu.rooms import Sums
from sfu.routing import tables
from sfu.signalling import metrics
from sfu.signalling.backend import JournalSums, NodeSnapshot, UplinkSums, WorkerSnapshot
from tests.sfu.fake_worker import COUNTERS

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
ROOMS = Sums(rooms=2, participants=5, audience=2, largest=3, sizes=(0, 1, 1, 0, 0, 0, 0, 0, 0), tracks={"camera": 3})
JOINS = {name: channel.Histogram((0.1, 1.0), (3, 1, 1), 4.5) for name in ("answer", "media")}


def page(*workers: WorkerSnapshot, **changes: object) -> str:
    values: dict[str, object] = {
        "ready": True, "rooms": ROOMS, "room_events": {"track_published": 9}, "sockets": 4, "sessions": 9,
        "without_sockets": {"whep": 3}, "requests": {("whep", "POST", 201): 5},
        "journal": JournalSums(JOINS, {"joined": 8, "resumed": 1}, JOINS["media"], {"connected": 7}),
        "process": COUNTERS.process, "messages": {"join": 5},
        "errors": {"bad_message": 2}, "loop_lag_s": 0.1, "uplink": UplinkSums(), "workers": workers, **changes,
    }  # fmt: skip
    return metrics.page(NodeSnapshot(**values)).decode()  # type: ignore[arg-type]


def test_every_metric_stands_in_the_operations_page_with_its_type_and_labels_and_no_other_does() -> None:
    names = {member.name.lower(): 1 for member in tables.Counter} | {"stun_answered": 1, "stun_ice_restarted": 1}
    made: dict[str, tuple[str, set[str]]] = {}
    told = page(WorkerSnapshot(0, 0, msgspec.structs.replace(COUNTERS, counters=names)))
    for family in text_string_to_metric_families(told):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        made[family.name + ("_total" if family.type == "counter" else "")] = (family.type, labels)
    rows = re.findall(r"^\| `(stentor_\w+)` \| (\w+) \| (.*?) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert made == {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_sessions_of_whip_and_whep_do_not_wait_to_be_resumed() -> None:
    lines = page().splitlines()
    assert [line for line in lines if line.startswith("stentor_sessions")] == [
        'stentor_sessions{state="connected"} 4.0',
        'stentor_sessions{state="waiting"} 2.0',
        'stentor_sessions{state="whip"} 0.0',
        'stentor_sessions{state="whep"} 3.0',
    ]
    assert 'stentor_whip_requests_total{method="POST",protocol="whep",status="201"} 5.0' in lines


def test_a_histogram_is_cumulative_and_ends_with_all() -> None:
    lines = page().splitlines()
    assert [line for line in lines if line.startswith("stentor_join_seconds") and "answer" in line] == [
        'stentor_join_seconds_bucket{le="0.1",until="answer"} 3.0',
        'stentor_join_seconds_bucket{le="1.0",until="answer"} 4.0',
        'stentor_join_seconds_bucket{le="+Inf",until="answer"} 5.0',
        'stentor_join_seconds_count{until="answer"} 5.0',
        'stentor_join_seconds_sum{until="answer"} 4.5',
    ]


def test_the_latency_of_two_workers_is_one_and_a_silent_one_adds_nothing() -> None:
    lines = page(
        WorkerSnapshot(0, 0, COUNTERS), WorkerSnapshot(1, 3, COUNTERS), WorkerSnapshot(2, 0, None)
    ).splitlines()
    assert 'stentor_forward_latency_seconds_bucket{le="0.001"} 6.0' in lines
    assert "stentor_forward_latency_seconds_count 10.0" in lines
    assert 'stentor_worker_restarts_total{worker="1"} 3.0' in lines
    assert 'stentor_worker_up{worker="2"} 0.0' in lines
    assert not [line for line in lines if 'worker-2"' in line]


def test_without_any_worker_the_page_still_comes() -> None:
    lines = page(WorkerSnapshot(0, 4, None)).splitlines()
    assert 'stentor_worker_restarts_total{worker="0"} 4.0' in lines
    assert not [line for line in lines if line.startswith("stentor_forward_latency_seconds_bucket")]


def test_every_error_code_is_there_before_the_first_of_its_kind() -> None:
    found = dict(re.findall(r'^stentor_errors_total\{code="(\w+)"\} (\S+)', page(), re.MULTILINE))
    assert found == {code: "2.0" if code == "bad_message" else "0.0" for code in all_codes()}


def test_a_counter_with_a_metric_of_its_own_is_not_told_twice() -> None:
    names = {member.name.lower(): 1 for member in tables.Counter}
    told = page(WorkerSnapshot(0, 0, msgspec.structs.replace(COUNTERS, counters=names)))
    names["stun_ice_restarted"] = 1
    assert names.keys() >= metrics.TOLD_ELSEWHERE, "a name there is not a counter of the kernel"
    assert set(re.findall(r'^stentor_worker_events_total\{event="(\w+)"', told, re.MULTILINE)) == (
        names.keys() - metrics.TOLD_ELSEWHERE
    )
