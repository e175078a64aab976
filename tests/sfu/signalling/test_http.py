"""The HTTP port as strangers use it: bad input, wrong origins, slow readers, metrics."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sfu.signalling.messages import MESSAGE_BYTES_MAX
from tests.sfu.running import running


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "nonsense",
        "[]",
        "null",
        '"join"',
        "{}",
        '{"type":"join"}',
        '{"type":"dance","id":1}',
        '{"type":"join","id":-1,"token":"x"}',
        '{"type":"join","id":1,"token":7}',
        '{"type":"join","id":1,"token":"' + "x" * 9000 + '"}',
        "[" * 100_000,
        b"\x00\xff",
        b"{}",
    ],
)
async def test_garbage_is_answered_with_bad_message_counted_and_the_socket_lives(garbage: str | bytes) -> None:
    async with running() as node, node.client() as client:
        await client.socket.send(garbage)
        error = await client.next()
        assert (error["type"], error["code"]) == ("error", "bad_message")
        await node.joined(client)
        assert 'stentor_errors_total{code="bad_message"} 1.0' in (await node.http.get("/metrics")).text


async def test_an_error_names_its_request_even_where_the_rest_cannot_be_read() -> None:
    async with running() as node, node.client() as client:
        await client.socket.send('{"type":"join","id":17,"token":7}')
        assert (await client.next())["request"] == 17


async def test_a_message_over_the_limit_closes_with_1009_and_is_counted() -> None:
    async with running() as node:
        async with node.client() as client:
            await client.socket.send("x" * (MESSAGE_BYTES_MAX + 1))
            assert await client.closed() == 1009
        async with node.client() as next_client:
            await node.joined(next_client)
        assert 'stentor_errors_total{code="bad_message"} 1.0' in (await node.http.get("/metrics")).text


@pytest.mark.parametrize("token", ["", "x.y.z", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_token_that_does_not_hold_is_refused_and_not_repeated(token: str) -> None:
    async with running() as node, node.client() as client:
        error = await client.ask("join", token=token)
        assert error["code"] == "unauthorized"
        assert not token or token not in json.dumps(error)


async def test_who_sends_too_fast_is_told_when_again_and_who_goes_on_is_closed() -> None:
    async with running(limits={"messages_burst": 5, "messages_per_s": 1}) as node, node.client() as client:
        await node.joined(client)
        answers = [await client.ask("send", topic="t", body="b") for _ in range(5)]
        assert [answer["type"] for answer in answers] == ["done"] * 4 + ["error"]
        assert answers[-1]["code"] == "rate_limited"
        assert 0 < answers[-1]["retry_after"] <= 1
        for _ in range(210):
            await client.send("send", topic="t", body="b")
        assert await client.closed() == 4004


async def test_a_page_of_another_site_may_not_connect_and_a_configured_one_may() -> None:
    async with running(http={"port": 0, "origins": ["https://app.example"]}) as node:
        with pytest.raises(InvalidStatus) as refused:
            async with node.client(origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        for origin in ("https://app.example", node.address.replace("ws:", "http:").removesuffix("/ws"), None):
            async with node.client(origin=origin) as client:
                await node.joined(client)


async def test_the_sub_protocol_is_demanded() -> None:
    async with running() as node:
        with pytest.raises(InvalidStatus):
            async with connect(node.address, proxy=None):
                pass


async def test_one_address_can_open_only_so_many() -> None:
    async with running(limits={"sessions_per_address": 1}) as node:
        async with node.client() as first:
            with pytest.raises(InvalidStatus):
                async with node.client():
                    pass
            await node.joined(first)
        async with node.client() as again:
            await node.joined(again)


async def test_a_client_that_does_not_read_is_closed_and_the_others_are_served() -> None:
    limits: dict[str, Any] = {"outgoing_messages": 16, "messages_burst": 100_000, "bytes_burst": 2**31}
    async with running(limits=limits) as node, node.client() as talks:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", node.served.port))
        slow = await connect(node.address, sock=small, subprotocols=["stentor.v1"], proxy=None, max_queue=1)  # type: ignore[list-item]
        await slow.send(json.dumps({"type": "join", "id": 1, "token": node.token()}))
        await node.joined(talks)
        async with asyncio.timeout(20):
            while (await node.served.node.snapshot()).sockets == 2:
                assert (await talks.ask("send", topic="t", body="x" * 8000))["type"] == "done"
        slow.transport.abort()
        assert (await talks.ask("send", topic="t", body="after"))["type"] == "done"


async def test_health_and_readiness_and_metrics_of_node_and_worker() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        assert (await node.http.get("/healthz")).text == "ok\n"
        page = (await node.http.get("/metrics")).text
        for line in (
            "stentor_participants 1.0",
            "stentor_rooms 1.0",
            'stentor_signalling_messages_total{type="join"} 1.0',
            'stentor_worker_up{worker="0"} 1.0',
            'stentor_verdicts_total{stage="arrival",verdict="FORWARDED"} 7.0',
            'stentor_verdicts_total{stage="departure",verdict="SENT"} 5.0',
            'stentor_packets_total{direction="received"} 7.0',
            'stentor_bytes_total{direction="sent"} 500.0',
            'stentor_loop_lag_seconds{process="worker-0"} 0.003',
            'stentor_kernel_busy_share{worker="0"} 0.25',
        ):
            assert line in page.splitlines(), line
        assert 'stentor_loop_lag_seconds{process="node"}' in page


async def test_a_silent_worker_is_a_metric_and_does_not_stop_the_page() -> None:
    async with running() as node:
        node.worker.answers_snapshots = False
        page = (await node.http.get("/metrics")).text
        assert 'stentor_worker_up{worker="0"} 0.0' in page.splitlines()


async def test_debug_tells_what_single_peers_do_in_pages_without_a_name_or_an_address() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client, name="Ada")
        answer = await node.http.get("/debug?room=3")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        (worker,) = answer.json()["workers"]
        (peer,) = worker["peers"]
        assert (worker["answered"], peer["state"], peer["family"], peer["rtt_ms"]) == (True, "connected", "ipv6", 1.5)
        assert peer["slots"][0]["reason"] == "waiting_for_key_frame"
        assert "Ada" not in answer.text and "127.0.0.1" not in answer.text
        (last,) = (await node.http.get(worker["next"])).json()["workers"]
        assert (last["peers"], last["next"]) == ([], None)
        refused = await node.http.get("/debug?room=all")
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_message")
        node.worker.answers_snapshots = False
        assert (await node.http.get("/debug")).json()["workers"][0]["answered"] is False


@pytest.mark.parametrize(("networks", "status"), [([], 403), (["192.0.2.0/24"], 200)])
async def test_numbers_are_for_loopback_and_the_configured_networks(networks: list[str], status: int) -> None:
    async with running(http={"port": 0, "metrics_networks": networks}) as node:
        transport = httpx2.ASGITransport(node.served.application, client=("192.0.2.9", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as stranger:
            for path in ("/metrics", "/debug"):
                assert (await stranger.get(path)).status_code == status


async def test_the_page_comes_with_a_strict_policy_and_is_not_cached() -> None:
    async with running() as node:
        answer = await node.http.get("/protocol.js")
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert (await node.http.get("/../sfu/config.py")).status_code == 404
        assert (await node.http.get("/page.json")).json() == {"rooms": ""}, "no control plane to go back to"
        assert (await node.http.get("/%2e%2e/sfu/config.py")).status_code == 404


async def test_dev_tokens_are_made_for_any_name_that_can_be_and_only_under_dev() -> None:
    async with running() as node:
        made = await node.http.post("/dev/token", json={"room": "r", "name": "N"})
        async with node.client() as client:
            assert (await client.ask("join", token=made.json()["token"]))["type"] == "joined"
        refused: list[Any] = [{"room": "", "name": "N"}, {"room": "x" * 65, "name": "N"}, {"room": 1}, []]
        for bad in refused:
            assert (await node.http.post("/dev/token", json=bad)).status_code == 400
        assert (await node.http.post("/dev/token", content=b"x" * 10_000)).status_code == 400
        foreign = {"origin": "https://evil.example"}
        assert (await node.http.post("/dev/token", json={"room": "r", "name": "N"}, headers=foreign)).status_code == 403
    async with running(dev=False, tokens={"shared_key": "k" * 32}) as node:
        assert (await node.http.post("/dev/token", json={"room": "r", "name": "N"})).status_code == 404
        assert (await node.http.get("/protocol.js")).status_code == 404
