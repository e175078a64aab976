"""How sessions of WHIP and WHEP end, and who else changes them."""

from __future__ import annotations

import asyncio

import pytest

from sfu import channel
from tests.servers import eventually
from tests.sfu.whip_door import (
    ADA,
    LOOKS,
    SAME,
    TOKEN,
    VIEWER,
    door,
    gone,
    opened,
    participants,
    patch,
    post,
    refused,
)


async def test_one_address_holds_only_so_many_sessions() -> None:
    async with door(limits={"sessions_per_address": 2}) as node:
        location = (await opened(node)).headers["location"]
        await opened(node, "/whep", LOOKS, VIEWER)
        answer = await post(node, "/whep", LOOKS, VIEWER)
        assert refused(answer) == (429, "rate_limited") and answer.headers["retry-after"] == "20"
        assert (await post(node, sdp="v=0")).status_code == 429
        assert (await node.http.delete(location, headers=ADA)).status_code == 200
        assert (await post(node, sdp="v=0")).status_code == 400  # and what is refused holds none
        await opened(node, "/whep", LOOKS, VIEWER)


async def test_a_worker_that_dies_ends_the_session_and_its_path() -> None:
    async with door() as node:
        location = (await opened(node)).headers["location"]
        node.worker.die()
        await gone(node, location)
        await node.ready()
        await opened(node)


async def test_a_worker_that_dies_before_the_answer_is_told_to_who_waits() -> None:
    async with door() as node:
        node.worker.answers_describes = False
        waiting = asyncio.create_task(post(node))
        await node.worker.told(channel.Describe)
        node.worker.die()
        answer = await waiting
        assert refused(answer) == (503, "worker_lost") and answer.headers["retry-after"] == "2"


async def test_a_failed_peer_ends_the_session() -> None:
    async with door() as node:
        location = (await opened(node)).headers["location"]
        node.worker.say(channel.PeerFailed(1, "media_failed", "DTLS"))
        await gone(node, location)
        page = (await node.http.get("/metrics")).text
        assert 'stentor_peer_connections_total{result="failed"} 1.0' in page


async def test_a_client_that_never_connects_frees_its_seat_and_one_that_did_keeps_it() -> None:
    async with door(session={"connect_within_s": 0.5, "resume_s": 0.5}) as node:
        kept = (await opened(node, "/whep", LOOKS, VIEWER)).headers["location"]
        node.worker.say(channel.PeerConnected(1))
        lost = (await opened(node)).headers["location"]

        async def one() -> bool:
            return await participants(node) == 1

        await eventually(one, within_s=5, what="one seat is free again")
        assert refused(await node.http.delete(lost, headers=ADA)) == (404, "not_found")
        assert (await patch(node, kept, SAME, "*", VIEWER)).status_code == 204
        node.worker.say(channel.PathSilent(1, True))
        await gone(node, kept, VIEWER)


@pytest.mark.parametrize("how", ["moderator", "api", "room"])
async def test_who_is_put_out_is_out(how: str) -> None:
    async with door() as node, node.client() as client:
        await node.joined(client)
        location = (await opened(node)).headers["location"]
        participant = (await client.hear("participant", event="joined"))["participant"]
        everything = {"Authorization": f"Bearer {TOKEN}"}
        if how == "moderator":
            answer = await client.ask("moderate", target=participant, action="remove")
            assert answer["type"] == "done"
        elif how == "api":
            removed = await node.http.delete(f"/v1/rooms/r/participants/{participant}", headers=everything)
            assert removed.status_code == 204
        else:
            assert (await node.http.delete("/v1/rooms/r", headers=everything)).status_code == 204
        assert [close.peer for close in await node.worker.told(channel.Close)] == [1]
        assert refused(await patch(node, location, SAME, "*")) == (404, "not_found")
        if how != "room":
            await client.hear("participant", event="left", participant=participant)
            # The same grant does not let him in again.
            assert refused(await post(node)) == (403, "forbidden")


async def test_a_moderator_mutes_a_publisher_and_the_server_api_limits_him() -> None:
    async with door() as node, node.client() as client:
        await node.joined(client)
        await opened(node)
        participant = (await client.hear("participant", event="joined"))["participant"]
        assert (await client.ask("moderate", target=participant, action="mute"))["type"] == "done"
        assert True in [mute.muted for mute in await node.worker.told(channel.Mute, 3)]
        rights = {"publish": ["microphone"], "max_kbps": 300}
        path, headers = f"/v1/rooms/r/participants/{participant}/rights", {"Authorization": f"Bearer {TOKEN}"}
        assert (await node.http.put(path, json=rights, headers=headers)).status_code == 200
        assert [limit.max_kbps for limit in await node.worker.told(channel.Limit)] == [300]
        await client.hear("track", event="unpublished", source="camera", participant=participant)


async def test_who_waits_when_the_server_stops_is_told_to_come_again() -> None:
    async with door() as node:
        node.worker.answers_describes = False
        waiting = asyncio.create_task(post(node))
        await node.worker.told(channel.Describe)
        await node.served.node.stop()
        answer = await waiting
        assert refused(answer) == (503, "overloaded") and answer.headers["retry-after"] == "5"
