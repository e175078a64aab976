"""The log of a whole call, node and worker together: what happened can be followed, and nobody can be found by it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from typing import Any

import pytest

from sfu.interfaces import local_addresses
from tests.aiortc_client import AiortcClient, PaintedTrack, ToneTrack
from tests.servers import Server

ROOM, NAMES = "a-room-with-a-name", ("Ada Lovelace", "Bo Diddley")
# Candidates of addresses as they stand in text; ipaddress has the last word.
ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]*::?[0-9A-Fa-f:]+)(?![\w.])")


def addresses(text: str) -> set[str]:
    found = set()
    for match in ADDRESS.findall(text):
        try:
            ip = ipaddress.ip_address(match)
        except ValueError:
            continue
        if not ip.is_unspecified:
            found.add(match)
    return found


async def call(server: Server) -> list[str]:
    """A call of two with media, a refused join and a refused offer; every word that must not be logged."""
    secrets = [ROOM, *NAMES]
    camera = (PaintedTrack(1, 10), ToneTrack(500))
    async with (
        AiortcClient.join(server, ROOM, NAMES[0], publish=camera) as first,
        AiortcClient.join(server, ROOM, NAMES[1], video_slots=1) as second,
    ):
        await second.view({second.video_mids()[0]: first.participant})
        await second.frames(second.video_mids()[0], 10)
        await second.request({"type": "send", "topic": "chat", "body": "a private word"})
        with pytest.raises(AssertionError, match="bad_offer"):
            await second.request({"type": "offer", "sdp": "v=0 nonsense", "sources": {}})
        token = await server.token(ROOM, NAMES[1])
        with pytest.raises(AssertionError, match="bad_message"):
            await second.request({"type": "join", "token": token})
        for client in (first, second):
            sdp = client.pc.localDescription.sdp
            secrets += [client.participant, client.joined["resume"], *re.findall(r"a=ice-\w+:(\S+)", sdp)]
            secrets += re.findall(r"a=fingerprint:\S+ (\S+)", sdp)
        secrets += [token, "a private word"]
    return secrets


def told(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize("form", ["json", "text"])
async def test_no_address_name_token_or_key_of_anybody_stands_in_the_log_of_a_whole_call(form: str) -> None:
    async with Server("--log-format", form, "--log-level", "debug") as server:
        secrets = await asyncio.wait_for(call(server), 60)
        await server.stop()
    text = server.log.read_text()
    assert text.count("session over") == 2, "the log is that of the whole call"
    assert not [word for word in secrets if word in text]
    assert not addresses(text), "addresses are cut to their networks"
    assert not [address for address in local_addresses() if not address.endswith("::1") and address in text]


async def test_in_json_every_line_is_an_event_by_which_a_session_can_be_followed() -> None:
    async with Server("--log-format", "json") as server:
        await asyncio.wait_for(call(server), 60)
        await server.stop()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "event"} <= line.keys() for line in lines)
    assert [line["event"] for line in lines][:2] == ["configuration", "listening"]
    assert told(lines, "worker ready")[0]["addresses"] >= 1
    for session in (1, 2):
        mine = [line for line in lines if line.get("session") == session]
        assert [line["event"] for line in mine] == [
            "joined", "answered", "connected", "ended", "session over",
        ], mine  # fmt: skip
        assert {line["room"] for line in mine} == {1}
        assert mine[2]["peer"] == session and mine[2]["since_join_ms"] >= mine[1]["since_join_ms"] >= 0


def test_the_judge_sees_addresses_and_no_others() -> None:
    assert addresses("from 192.0.2.7:5000, ::1 and [2001:db8::9]") == {"192.0.2.7", "::1", "2001:db8::9"}
    assert not addresses("12:34:56 at 192.0.2.x, 3.11.7, 2001:0db8:0000:x, AB:CD, 0.0.0.0")
