"""The doctor's facts are those of the machine: real ports, a real probe, real buffers."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import pytest

from sfu import machine
from sfu.cli import main
from sfu.config_sources import build
from tests.servers import Server, eventually, free_port


def config_of(http_port: int, media_port: int) -> list[str]:
    return [
        *("--http-port", str(http_port), "--media-port", str(media_port)),
        *("--media-addresses", "127.0.0.1", "--tokens-shared-key", "k" * 32, "--control-port", "0"),
    ]


def test_a_free_machine_passes_with_code_0_and_a_taken_media_port_fails_with_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        http_port, taken = free_port(socket.SOCK_STREAM), other.getsockname()[1]
        assert main(["doctor", "--json", *config_of(http_port, taken)]) == 1
        told = json.loads(capsys.readouterr().out)
        assert [line["check"] for line in told["lines"] if line["verdict"] == "fail"] == ["media port"]
    assert main(["doctor", *config_of(http_port, taken)]) == 0
    assert ", 0 fail" in capsys.readouterr().out


async def test_beside_a_running_server_its_own_ports_are_no_fault() -> None:
    async with Server() as server:
        config = build({"http": {"port": server.http_port}, "media": {"port": server.media_port}})
        facts = await asyncio.to_thread(machine.facts, config)
        assert facts.http_error and facts.http_answers
        assert facts.probe is not None and all(one.error for one in facts.probe.sockets)


async def test_beside_a_running_control_plane_its_port_is_no_fault(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    arguments = ("--control-enabled", "true", "--control-port", str(port), "--control-folder", str(tmp_path))
    async with Server(*arguments) as server:

        async def answers() -> bool:
            config = build({"http": {"port": server.http_port}, "control": {"port": port, "folder": str(tmp_path)}})
            facts = await asyncio.to_thread(machine.facts, config)
            assert facts.control is not None and facts.control.port_error
            found = facts.control.examined
            return facts.control.answers and found is not None and found.schema == "current"

        await eventually(answers, within_s=60, what="the doctor sees it and its tables")


def test_a_foreign_program_at_the_http_port_is_not_taken_for_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.listen()
        facts = machine.facts(build({"http": {"port": other.getsockname()[1]}, "media": {"port": 0}}))
    assert facts.http_error and not facts.http_answers


def test_the_probe_finds_kernel_srtp_buffers_and_addresses() -> None:
    facts = machine.facts(build({"media": {"port": 0}}))
    assert facts.probe is not None, facts.probe_error
    assert facts.probe.kernel_error == "" and facts.probe.openssl.startswith("OpenSSL 3")
    assert len(facts.probe.seal_ns) == 3 and all(facts.probe.seal_ns.values())
    assert "127.0.0.1" in {one.address for one in facts.probe.sockets}
    assert all(one.receive_buffer_bytes and one.send_buffer_bytes for one in facts.probe.sockets)
    assert facts.python == sys.version_info[:3] and facts.linux >= (5, 10)
    assert not facts.monotonic_backwards and facts.receive_buffer_max


def test_a_probe_that_dies_is_told_with_its_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    facts = machine.facts(build({"media": {"port": 0}}))
    assert facts.probe is None and facts.probe_error == "ended with code 1: it said nothing"
    assert facts.control is not None and facts.control.examined_error == facts.probe_error
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "No such file" in machine.facts(build({"media": {"port": 0}})).probe_error
