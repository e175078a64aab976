"""Each fault of a machine is found, named and told with what to do; a healthy one has none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from sfu.control import Examined
from sfu.doctor import CLOCK_MIN_S, ControlFacts, Facts, as_json, as_text, examine, healthy
from sfu.probed import Finding, Probe

PROBE = Probe(
    sockets=(Finding("203.0.113.5", 7000, "", 8_388_608, 8_388_608),),
    buffer_bytes_asked=4_194_304,
    kernel_error="",
    seal_ns={"AEAD_AES_128_GCM": 400, "AES_CM_128_HMAC_SHA1_80": 900},
    openssl="OpenSSL 3.0.1",
)
EXAMINED = Examined(
    folder_error="", free_bytes=50 * 2**30, keys_error="", engine="postgresql", database_error="",
    database_version=(15, 4), schema="current",
)  # fmt: skip
CONTROL = ControlFacts(
    host="127.0.0.1", port=8090, port_error="", answers=False, url="https://meet.example", test_mode=False,
    mail_host="mail.example", mail_sender="post@meet.example", key_can_sign=True, examined=EXAMINED,
)  # fmt: skip
HEALTHY = Facts(
    python=(3, 12, 1), machine="x86_64", linux=(6, 1), stentor="0.1.0", processors=4, http_host="127.0.0.1",
    http_port=8080, http_error="", http_answers=False, dev=False, token_error="", probe=PROBE, probe_error="",
    media_port=7000, announced=(("8.8.8.8", 7000),), files_max=65536, participants_max=4000,
    receive_buffer_max=4_194_304, send_buffer_max=4_194_304, clock_s=CLOCK_MIN_S + 1e7, clock_step_s=0.0001,
    monotonic_backwards=False, clock_synchronised=True, clock_source="tsc", control=CONTROL,
)  # fmt: skip
TAKEN = Finding("203.0.113.5", 7000, "cannot listen on UDP port 7000: Address already in use")
RUNNING = {"http_error": "in use", "http_answers": True}
SMALL = Finding("203.0.113.5", 7000, "", 425_984, 8_388_608)


def probed(**changes: Any) -> dict[str, Any]:
    return {"probe": msgspec.structs.replace(PROBE, **changes)}


def control(**changes: Any) -> dict[str, Any]:
    return {"control": msgspec.structs.replace(CONTROL, **changes)}


def found(**changes: Any) -> dict[str, Any]:
    return control(examined=msgspec.structs.replace(EXAMINED, **changes))


def test_a_healthy_machine_is_told_so_and_given_no_advice() -> None:
    lines = examine(HEALTHY)
    assert {line.verdict for line in lines} == {"ok"} and not any(line.advice for line in lines)
    assert healthy(lines)
    assert as_text(lines).splitlines()[-1] == f"{len(lines)} ok, 0 warn, 0 fail"


@pytest.mark.parametrize(
    ("changes", "check", "verdict", "words"),
    [
        ({"python": (3, 10, 9)}, "python", "fail", "3.11"),
        ({"linux": (4, 19)}, "system", "warn", "5.10"),
        ({"processors": 1}, "system", "warn", "second"),
        ({"http_error": "in use"}, "http port", "fail", "http.port"),
        ({"http_error": "in use", "http_answers": True}, "http port", "warn", "yours"),
        ({"dev": True, "http_host": "0.0.0.0"}, "dev", "warn", "127.0.0.1"),
        ({"dev": True, "http_host": "meet.example"}, "dev", "warn", "127.0.0.1"),
        ({"certificate_error": "no such file"}, "certificate", "fail", "http.key_file"),
        ({"certificate_days": -1}, "certificate", "fail", "new one"),
        ({"certificate_days": 13}, "certificate", "warn", "new one"),
        ({"token_error": "no key"}, "token key", "fail", "operations.md"),
        ({"probe": None, "probe_error": "ended with code -4"}, "worker", "fail", "make"),
        (probed(sockets=(TAKEN,)), "media port", "fail", "media.port"),
        ({**probed(sockets=(TAKEN,)), **RUNNING}, "media port", "warn", "your Stentor"),
        (probed(sockets=()), "media port", "fail", "interface"),
        ({"announced": ()}, "announced", "fail", "media.announced"),
        ({"announced": (("127.0.0.1", 7000), ("::1", 7000))}, "announced", "warn", "only this machine"),
        ({"announced": (("10.0.0.5", 7000), ("127.0.0.1", 7000))}, "announced", "warn", "NAT"),
        (probed(kernel_error="undefined symbol: X"), "kernel", "fail", "make"),
        (probed(seal_ns={"AEAD_AES_128_GCM": 0, "Y": 400}), "srtp", "fail", "OpenSSL 3"),
        (probed(seal_ns={"AEAD_AES_128_GCM": 9000}), "srtp", "warn", "AES instructions"),
        (probed(sockets=(SMALL,)), "buffers", "warn", "net.core.rmem_max=4194304"),
        ({**probed(sockets=(TAKEN,)), **RUNNING, "send_buffer_max": 9}, "buffers", "warn", "net.core.wmem_max=4194304"),
        ({"files_max": 1024}, "file limit", "warn", "LimitNOFILE=4200"),
        ({"clock_s": 1000.0}, "clock", "fail", "set it"),
        ({"monotonic_backwards": True}, "clock", "fail", "hypervisor"),
        ({"clock_step_s": -0.4}, "clock", "warn", "slew"),
        ({"clock_synchronised": False}, "clock", "warn", "chronyd"),
        ({"clock_source": "hpet"}, "clock source", "warn", "tsc"),
        (control(port_error="cannot listen"), "control port", "fail", "control.port"),
        (control(port_error="cannot listen", answers=True), "control port", "warn", "yours"),
        (control(key_can_sign=False), "control key", "fail", "private key"),
        (control(test_mode=True), "control clock", "warn", "unset"),
        (control(url=""), "control url", "warn", "X-Forwarded-Proto"),
        (control(url="http://meet.example"), "control url", "warn", "https://"),
        (control(mail_host=""), "mail", "warn", "[mail]"),
        (control(mail_sender="stentor@localhost"), "mail", "warn", "mail.sender"),
        (control(examined=None, examined_error="ended with code 1"), "control plane", "fail", "reason"),
        (found(folder_error="/var/lib/stentor: Permission denied"), "control folder", "fail", "StateDirectory"),
        (found(keys_error="damaged"), "control folder", "fail", "backup"),
        (found(free_bytes=50 * 2**20), "control disk", "fail", "room"),
        (found(free_bytes=2**30), "control disk", "warn", "room"),
        (found(database_error="ConnectionTimeout", database_version=()), "database", "fail", "control.database"),
        (found(database_version=(14, 9)), "database", "fail", "15"),
        (found(schema="unknown"), "database", "fail", "backup"),
        (found(schema="old"), "database", "warn", "backup"),
    ],
)
def test_a_fault_is_the_one_thing_that_is_not_ok_and_says_what_to_do(
    changes: dict[str, Any], check: str, verdict: str, words: str
) -> None:
    lines = examine(msgspec.structs.replace(HEALTHY, **changes))
    bad = [line for line in lines if line.verdict != "ok"]
    assert check in {line.check for line in bad}
    (line,) = [line for line in bad if line.check == check]
    assert (line.verdict, words in line.advice) == (verdict, True)
    assert healthy(lines) is (verdict == "warn")
    others = {line.check for line in bad} - {check}
    assert others <= {"http port", "media port"}, "one fault is not told as two"


@pytest.mark.parametrize(
    "changes",
    [
        {"clock_synchronised": None},
        {"clock_source": ""},
        {"files_max": -1},
        {"control": None},
        found(free_bytes=None),
        found(schema="new"),
        found(engine="sqlite", database_version=(3, 40, 1)),
        {"dev": True, **control(url="", mail_host="")},
    ],
)
def test_what_cannot_be_known_is_no_fault(changes: dict[str, Any]) -> None:
    assert {line.verdict for line in examine(msgspec.structs.replace(HEALTHY, **changes))} == {"ok"}


def test_for_programs_it_is_one_object() -> None:
    lines = examine(msgspec.structs.replace(HEALTHY, token_error="no key"))
    told = json.loads(as_json(lines))
    assert told["healthy"] is False
    assert [line["check"] for line in told["lines"] if line["verdict"] == "fail"] == ["token key"]
    assert set(told["lines"][0]) == {"check", "verdict", "found", "advice"}
