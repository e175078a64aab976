"""What is counted and logged of a session, through a real node with a worker without media."""

from __future__ import annotations

import logging
import re

import pytest

from sfu import channel
from tests.offers import OFFERS
from tests.sfu.running import Running, running

OFFER = OFFERS["firefox_plain"]


async def joins(node: Running, until: str) -> float:
    page = (await node.http.get("/metrics")).text
    found = re.search(rf'^stentor_join_seconds_count{{until="{until}"}} (\S+)', page, re.MULTILINE)
    assert found is not None
    return float(found[1])


def told(log: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    """(event, session) of what the journal wrote."""
    return [
        (record.getMessage(), record.fields["session"])  # type: ignore[attr-defined]
        for record in log.records
        if record.name == "stentor.session"
    ]


async def test_a_join_counts_once_for_each_milestone_however_often_it_is_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "stentor.session")
    async with running() as node, node.client() as client:
        await node.joined(client)
        assert (await joins(node, "answer"), await joins(node, "media")) == (0, 0)
        for _ in range(2):
            assert (await client.ask("offer", sdp=OFFER))["type"] == "answer"
        (describe, _) = await node.worker.told(channel.Describe, 2)
        for _ in range(2):
            node.worker.say(channel.PeerConnected(describe.peer))
        # Answered by the worker after both, in order.
        assert (await client.ask("offer", sdp=OFFER))["type"] == "answer"
        assert (await joins(node, "answer"), await joins(node, "media")) == (1, 1)
        page = (await node.http.get("/metrics")).text
        assert 'stentor_peer_connections_total{result="connected"} 2.0' in page.splitlines()
        assert (await client.ask("leave"))["type"] == "done"
        await client.closed()
    assert told(caplog) == [
        ("joined", 1), ("answered", 1), ("answered", 1), ("connected", 1), ("connected", 1), ("answered", 1),
        ("ended", 1), ("session over", 1),
    ]  # fmt: skip


async def test_a_failed_connection_is_counted_and_logged_with_its_code_and_others_mistakes_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "stentor.session")
    async with running() as node, node.client() as client:
        await node.joined(client)
        assert (await client.ask("offer", sdp=OFFER))["type"] == "answer"
        (describe,) = await node.worker.told(channel.Describe)
        node.worker.say(channel.PeerFailed(describe.peer, "media_failed", "no SRTP profile"))
        assert (await client.hear("error"))["code"] == "media_failed"
        assert (await client.ask("offer", sdp="nonsense"))["code"] == "bad_offer"
        page = (await node.http.get("/metrics")).text
        assert 'stentor_peer_connections_total{result="failed"} 1.0' in page.splitlines()
        refused = [record for record in caplog.records if record.getMessage() == "error told"]
        assert [(one.levelname, one.fields["code"]) for one in refused] == [("WARNING", "media_failed")]  # type: ignore[attr-defined]


async def test_a_resumed_session_keeps_its_number_and_its_join(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stentor.session")
    async with running() as node:
        token = node.token()
        async with node.client() as first:
            joined = await first.ask("join", token=token)
        async with node.client() as second:
            again = await second.ask("join", token=token, resume=joined["resume"])
            assert again["participant"] == joined["participant"]
            assert (await second.ask("offer", sdp=OFFER))["type"] == "answer"
            assert await joins(node, "answer") == 1
            page = (await node.http.get("/metrics")).text
            assert 'stentor_sessions{state="connected"} 1.0' in page.splitlines()
    assert told(caplog)[:3] == [("joined", 1), ("resumed", 1), ("answered", 1)]
