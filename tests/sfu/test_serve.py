"""Where the HTTP port listens, in plain text or TLS, and what the person at the terminal is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
from pathlib import Path

import psutil
import pytest
import websockets

from benchmarks.client import LightClient, Publish
from sfu.certificate import keep, make, now_utc
from sfu.config_sources import build
from sfu.serve import StartError, certificate_files, greeting, hosts, listen
from tests.servers import Server, eventually

PROTOCOL = websockets.Subprotocol("stentor.v1")
NOW = now_utc(1_780_000_000)


def test_lan_listens_on_both_families_and_a_configured_host_still_wins() -> None:
    assert hosts(build()) == ("127.0.0.1",)
    assert hosts(build({"lan": True})) == ("0.0.0.0", "::")
    assert hosts(build({"lan": True, "http": {"host": "192.0.2.1"}})) == ("192.0.2.1",)


def test_both_families_share_one_port() -> None:
    bound = listen(build({"lan": True, "http": {"port": 0}}))
    try:
        assert len({one.getsockname()[1] for one in bound}) == 1
        assert [one.getsockname()[0] for one in bound] in (["0.0.0.0", "::"], ["0.0.0.0"])
    finally:
        for one in bound:
            one.close()


def test_without_lan_and_certificate_nothing_is_made(tmp_path: Path) -> None:
    assert certificate_files(build({"http": {"certificate_folder": str(tmp_path)}})) is None
    assert not list(tmp_path.iterdir())


def test_a_certificate_that_is_not_there_or_not_its_keys_or_locked_is_named(tmp_path: Path) -> None:
    def files(certificate: Path, key: Path) -> None:
        certificate_files(build({"http": {"certificate_file": str(certificate), "key_file": str(key)}}))

    mine = keep(tmp_path, ["localhost"], [], NOW)
    files(mine.certificate, mine.key)
    with pytest.raises(StartError, match=r"absent\.pem"):
        files(tmp_path / "absent.pem", mine.key)
    other = tmp_path / "other.pem"
    other.write_bytes(make(["localhost"], [], NOW)[1])
    with pytest.raises(StartError, match="do not go together"):
        files(mine.certificate, other)


def test_the_greeting_names_every_address_another_device_can_reach_and_what_the_warning_means(tmp_path: Path) -> None:
    mine = keep(tmp_path, ["localhost"], [], NOW).certificate
    addresses = ["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"]
    told = "\n".join(greeting(build({"lan": True, "dev": True}), 8443, mine, addresses))
    assert "https://localhost:8443" in told and "https://192.0.2.7:8443/?room=hello" in told
    assert "https://[2001:db8::7]:8443" in told and "127.0.0.1" not in told
    assert "not private" in told and str(mine) in told
    configured = build({"lan": True, "http": {"certificate_file": str(mine), "key_file": str(mine)}})
    assert "not private" not in "\n".join(greeting(configured, 8443, mine, addresses))


def test_without_lan_the_greeting_is_one_address() -> None:
    assert greeting(build(), 8080, None, ["192.0.2.7"]) == ["Stentor listens on http://localhost:8080"]
    assert greeting(build({"http": {"host": "::1"}}), 8080, None, []) == ["Stentor listens on http://localhost:8080"]
    meet = build({"http": {"host": "2001:db8::7"}})
    assert greeting(meet, 8080, None, []) == ["Stentor listens on http://[2001:db8::7]:8080"]


async def test_sigterm_says_goodbye_to_everybody_and_the_process_is_gone_within_five_seconds() -> None:
    async with Server() as server, contextlib.AsyncExitStack() as stack:
        url = f"ws://127.0.0.1:{server.http_port}/ws"
        people = []
        for number in range(5):
            token = await server.token("goodbye", f"person {number}")
            client = await LightClient.join(url, token, publish=Publish(number), audio_slots=1, video_slots=1)
            stack.push_async_callback(client.leave)
            people.append(client)
        process = psutil.Process(server.pid)
        family = [process, *process.children(recursive=True)]
        assert len(family) == 2, "node and worker"
        process.send_signal(signal.SIGTERM)

        async def gone() -> bool:
            return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family)

        await eventually(gone, within_s=5, what="node and worker have ended")
        for client in people:
            (goodbye,) = [message for message in client.messages if message["type"] == "ended"]
            assert goodbye["reason"] == "server_stopping"


async def test_a_lan_server_is_believed_by_its_certificate_alone_by_https_and_wss(tmp_path: Path) -> None:
    authority = tmp_path / "certificate.pem"
    async with Server("--lan", "--http-certificate-folder", str(tmp_path), authority=authority) as server:
        assert (await server.get("/healthz"))[0] == 200
        token = await server.token("hello", "Me")
        context = ssl.create_default_context(cafile=str(authority))
        at = f"wss://localhost:{server.http_port}/ws"
        async with websockets.connect(at, ssl=context, subprotocols=[PROTOCOL], proxy=None) as door:
            await door.send(json.dumps({"type": "join", "id": 1, "token": token}))
            assert json.loads(await asyncio.wait_for(door.recv(), 10))["type"] == "joined"
        with pytest.raises(ssl.SSLCertVerificationError):
            await websockets.connect(at, ssl=ssl.create_default_context(), proxy=None)
        first = authority.read_bytes()
    async with Server("--lan", "--http-certificate-folder", str(tmp_path), authority=authority):
        assert authority.read_bytes() == first
