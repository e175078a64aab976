"""WHIP and WHEP over HTTP on a real port: every answer and every refusal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from sfu import channel
from sfu.signalling import whip
from sfu.signalling.messages import IceServer
from tests.offers import session, video
from tests.servers import eventually
from tests.sfu.whip_door import (
    ADA,
    FRESH,
    LOOKS,
    PLAYER,
    SAME,
    SENDS,
    TOKEN,
    VIEWER,
    bearer,
    door,
    opened,
    participants,
    patch,
    post,
    refused,
)


async def test_a_publisher_is_answered_with_a_session_of_its_own_and_is_a_participant_like_others() -> None:
    async with door() as node, node.client() as client:
        await node.joined(client)
        answer = await opened(node)
        assert answer.headers["content-type"].startswith("application/sdp")
        assert answer.headers["location"].startswith("/whip/") and len(answer.headers["location"]) > 30
        assert answer.headers["etag"].strip('"') in answer.text and "a=recvonly" in answer.text
        joined = await client.hear("participant", event="joined")
        assert (joined["name"], joined["role"]) == ("ada", "participant")
        for source in ("microphone", "camera"):
            await client.hear("track", event="published", source=source, participant=joined["participant"])
        listed = await node.http.get("/v1/rooms/r/participants", headers={"Authorization": f"Bearer {TOKEN}"})
        assert [one["identity"] for one in listed.json()["participants"]][1:] == ["ada"]
        assert (await node.http.delete(answer.headers["location"], headers=ADA)).status_code == 200
        await client.hear("participant", event="left", participant=joined["participant"])
        assert [close.peer for close in await node.worker.told(channel.Close)] == [1]


async def test_a_viewer_needs_no_right_to_publish_and_is_shown_who_speaks_with_his_sound() -> None:
    async with door() as node:
        publisher = await opened(node)
        viewer = await opened(node, "/whep", LOOKS, VIEWER)
        assert viewer.headers["location"].startswith("/whep/")
        assert viewer.text.count("a=sendonly") == 2 and viewer.text.count("a=msid:slot-1 ") == 2
        (tracks, _) = await node.worker.told(channel.Describe, 2)
        (view,) = await node.worker.told(channel.View)
        by_kind = {track.kind: track.track for track in tracks.tracks}
        assert view.slots == (channel.SlotWish("1", track=by_kind["video"], audio_track=by_kind["audio"]),)
        assert (await node.http.delete(publisher.headers["location"], headers=ADA)).status_code == 200
        assert (await node.worker.told(channel.View, 2))[1].slots == (channel.SlotWish("1"),)


async def test_an_ice_restart_reaches_the_worker_and_is_answered_by_a_fragment() -> None:
    async with door() as node:
        first = await opened(node)
        location = first.headers["location"]
        trickled = await patch(node, location, SAME, first.headers["etag"])
        assert (trickled.status_code, trickled.content, "etag" in trickled.headers) == (204, b"", False)
        answer = await patch(node, location, FRESH, "*")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/trickle-ice-sdpfrag")
        assert answer.headers["etag"] != first.headers["etag"] and "a=candidate:" in answer.text
        before, after = await node.worker.told(channel.Describe, 2)
        assert (after.peer, after.ice.remote_ufrag) == (before.peer, "fresh")
        assert f"a=ice-ufrag:{after.ice.local_ufrag}\r\n" in answer.text
        assert after.ice.local_ufrag != before.ice.local_ufrag and after.tracks == before.tracks
        assert refused(await patch(node, location, SAME, first.headers["etag"])) == (412, "conflict")
        assert refused(await patch(node, location, SAME, None)) == (428, "bad_message")
        assert refused(await patch(node, location, "a=ice-ufrag:x", "*")) == (400, "bad_message")


async def test_without_a_bearer_with_a_wrong_one_and_with_somebody_elses_nothing_happens() -> None:
    async with door() as node:
        location = (await opened(node)).headers["location"]
        for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": f"Bearer {TOKEN}"}):
            answer = await post(node, headers=headers)
            assert refused(answer) == (401, "unauthorized") and answer.headers["www-authenticate"] == "Bearer"
            assert refused(await patch(node, location, SAME, "*", headers)) == (401, "unauthorized")
            assert refused(await node.http.delete(location, headers=headers)) == (401, "unauthorized")
        for headers in (bearer("bo"), bearer(room="other")):
            assert refused(await patch(node, location, SAME, "*", headers)) == (403, "forbidden")
            assert refused(await node.http.delete(location, headers=headers)) == (403, "forbidden")
        assert await participants(node) == 1
        assert (await node.http.delete(location, headers=ADA)).status_code == 200


async def test_the_end_of_a_grant_limits_the_first_request_only() -> None:
    expired = bearer(lasts_s=-3600)
    async with door() as node:
        answer = await post(node, headers=expired)
        assert refused(answer) == (401, "unauthorized") and "expired" in answer.json()["detail"]
        first = await opened(node)
        assert (await patch(node, first.headers["location"], SAME, first.headers["etag"], expired)).status_code == 204
        assert (await node.http.delete(first.headers["location"], headers=expired)).status_code == 200


async def test_what_the_grant_or_the_offer_does_not_allow_is_refused_with_a_reason() -> None:
    async with door(room={"seats": 1}) as node:
        twice = str(session(video("0", "sendonly"), video("1", "sendonly")))
        assert refused(await post(node, headers=VIEWER)) == (403, "forbidden")
        assert refused(await post(node, headers=bearer(publish=("microphone",)))) == (403, "forbidden")
        assert refused(await post(node, sdp=LOOKS)) == (400, "bad_offer")
        assert refused(await post(node, sdp="v=0")) == (400, "bad_offer")
        assert refused(await post(node, sdp=twice)) == (406, "bad_offer")
        assert await participants(node) == 0
        await opened(node)
        assert refused(await post(node, headers=bearer("bo"))) == (409, "room_full")


async def test_a_body_of_another_type_or_too_large_or_no_text_is_refused() -> None:
    async with door() as node:
        location = (await opened(node)).headers["location"]
        for content_type in ("", "application/json", "application/sdpx"):
            answer = await post(node, headers={**ADA, "Content-Type": content_type})
            assert refused(answer) == (415, "bad_message") and "offer" in answer.json()["detail"]
        assert (await post(node, headers={**ADA, "Content-Type": "Application/SDP; charset=utf-8"})).status_code == 201
        # WHEP clients of old asked with an empty body for an offer of the server.
        assert refused(await post(node, "/whep", "", VIEWER)) == (400, "bad_offer")
        assert refused(await post(node, sdp="x" * (512 * 1024 + 1))) == (413, "bad_message")
        assert refused(await patch(node, location, "a=x\n" * 5000, "*")) == (413, "bad_message")
        headers = {**ADA, "Content-Type": "application/sdp"}
        assert refused(await node.http.post("/whip", content=b"\xff", headers=headers)) == (400, "bad_message")

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(600):
                yield b"x" * 1024

        with contextlib.suppress(httpx2.WriteError):  # the server may close while we still send
            assert refused(await node.http.post("/whip", content=endless(), headers=headers)) == (413, "bad_message")
        wrong_type = await node.http.patch(location, content=SAME, headers={**ADA, "If-Match": "*"})
        assert refused(wrong_type) == (415, "bad_message")


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whip, "BODY_WITHIN_S", 0.2)
    async with door() as node:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.served.port)
        lines = ["POST /whip HTTP/1.1", "Host: x", "Content-Type: application/sdp", "Content-Length: 5"]
        lines += [f"{name}: {value}" for name, value in ADA.items()]
        writer.write("\r\n".join([*lines, "", "v=0"]).encode())
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_kept_for_later_versions(method: str) -> None:
    async with door() as node:
        location = (await opened(node)).headers["location"]
        for path in ("/whip", "/whep"):
            answer = await node.http.request(method, path, headers=ADA)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
        if method not in ("PATCH", "DELETE"):
            answer = await node.http.request(method, location, headers=ADA)
            assert (answer.status_code, answer.headers["allow"]) == (405, "PATCH, DELETE, OPTIONS")
        assert (await node.http.post(location, headers=ADA)).status_code == 405


async def test_a_session_is_found_at_its_own_path_alone() -> None:
    async with door() as node, node.client() as client:
        resume = (await node.joined(client))["resume"]
        location = (await opened(node)).headers["location"]
        for path in (location.replace("whip", "whep"), location[:-1], f"/whip/{resume}", "/whip/whip"):
            assert refused(await node.http.delete(path, headers=ADA)) == (404, "not_found")
        # Nor is a session of WHIP resumed by a WebSocket.
        async with node.client() as other:
            key = location.rpartition("/")[2]
            answer = await other.ask("join", token=node.token("r", "N"), resume=key)
            assert (answer["type"], answer["code"]) == ("error", "not_found")


async def test_pages_of_configured_origins_may_call_and_read_what_they_need() -> None:
    async with door(http={"port": 0, "origins": [PLAYER]}) as node:
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        allowed = await node.http.options("/whep", headers={"Origin": PLAYER, **asks})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == PLAYER
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        asks["Access-Control-Request-Method"] = "DELETE"
        assert (await node.http.options("/whep/x", headers={"Origin": PLAYER, **asks})).status_code == 200
        answer = await post(node, "/whep", LOOKS, VIEWER, Origin=PLAYER)
        assert answer.status_code == 201 and answer.headers["access-control-allow-origin"] == PLAYER
        exposed = answer.headers["access-control-expose-headers"]
        assert {"Location", "ETag", "Link", "Retry-After"} <= {name.strip() for name in exposed.split(",")}
        # A refusal can be read as well.
        answer = await post(node, "/whep", LOOKS, {}, Origin=PLAYER)
        assert refused(answer) == (401, "unauthorized") and "access-control-allow-origin" in answer.headers
        stranger = {"Origin": "https://stranger.example"}
        answer = await post(node, "/whep", LOOKS, VIEWER, **stranger)
        assert refused(answer) == (403, "forbidden") and "access-control-allow-origin" not in answer.headers
        preflight = await node.http.options("/whep", headers={**stranger, **asks})
        assert preflight.status_code == 400 and "access-control-allow-origin" not in preflight.headers


async def test_options_tell_what_may_be_sent() -> None:
    async with door() as node:
        answer = await node.http.options("/whip")
        assert (answer.status_code, answer.headers["accept-post"]) == (200, "application/sdp")
        answer = await node.http.options("/whip/any")
        assert (answer.status_code, answer.headers["accept-patch"]) == (200, "application/trickle-ice-sdpfrag")


async def test_turn_servers_come_as_links_with_credentials_for_this_participant() -> None:
    turn = {"urls": ["stun:stun.example", "turn:turn.example?transport=udp"], "secret": "x" * 32}
    async with door(turn=turn) as node:
        stun, relay = (await opened(node)).headers.get_list("link")
        assert stun == '<stun:stun.example>; rel="ice-server"'
        assert relay.startswith('<turn:turn.example?transport=udp>; rel="ice-server"; username="')
        assert 'credential="' in relay and relay.endswith('credential-type="password"')


def test_each_url_is_a_link_of_its_own() -> None:
    servers = (IceServer(urls=["turn:a", "turns:b"], username="1:p", credential="c=="),)
    assert [link.split(">")[0] for link in whip.links(servers)] == ["<turn:a", "<turns:b"]


async def test_too_many_requests_and_too_many_bytes_are_told_when_to_come_again() -> None:
    async with door(api={"token": TOKEN, "requests_per_s": 0.1, "requests_burst": 2}) as node:
        assert [(await node.http.options("/whip")).status_code for _ in range(2)] == [200, 200]
        answer = await node.http.options("/whip")
        assert refused(answer) == (429, "rate_limited") and int(answer.headers["retry-after"]) >= 1
    large = SENDS + "a=x-padding:" + "x" * 500_000 + "\r\n"
    async with door(limits={"bytes_per_s": 1000, "bytes_burst": 600_000}) as node:
        await opened(node, sdp=large)
        answer = await post(node, sdp=large, headers=bearer("bo"))
        assert refused(answer) == (429, "rate_limited") and int(answer.headers["retry-after"]) > 1


async def test_a_busy_kernel_and_a_missing_worker_are_told_as_503() -> None:
    async with door(limits={"busy_share": 0.1}) as node:

        async def busy() -> httpx2.Response | None:
            answer = await post(node)
            return answer if answer.status_code == 503 else None

        answer = await eventually(busy, within_s=5, what="the node has heard how busy its worker is")
        assert refused(answer) == (503, "overloaded") and answer.headers["retry-after"] == "5"
    async with door() as node:
        node.worker.refuses_with = ("overloaded", "no rows left")
        assert refused(await post(node)) == (503, "overloaded")
        assert await participants(node) == 0


async def test_a_fault_of_ours_is_told_without_details_and_touches_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async with door() as node:
        location = (await opened(node)).headers["location"]

        def break_down(*arguments: object) -> None:
            raise RuntimeError("secret")

        with monkeypatch.context() as broken:
            broken.setattr(node.served.node, "ask", break_down)
            answer = await node.http.delete(location, headers=ADA)
        assert refused(answer) == (500, "internal") and "secret" not in answer.text
        assert (await node.http.delete(location, headers=ADA)).status_code == 200


async def test_requests_and_sessions_are_counted_and_a_join_is_timed() -> None:
    async with door() as node:
        await opened(node)
        await post(node, headers={})
        await opened(node, "/whep", LOOKS, VIEWER)
        lines = (await node.http.get("/metrics")).text.splitlines()
        for line in (
            'stentor_whip_requests_total{method="POST",protocol="whip",status="201"} 1.0',
            'stentor_whip_requests_total{method="POST",protocol="whip",status="401"} 1.0',
            'stentor_sessions{state="whip"} 1.0',
            'stentor_sessions{state="whep"} 1.0',
            'stentor_sessions{state="waiting"} 0.0',
            'stentor_join_seconds_count{until="answer"} 2.0',
            'stentor_errors_total{code="unauthorized"} 1.0',
        ):
            assert line in lines


async def test_under_dev_the_address_by_which_the_client_reached_us_is_a_candidate_and_else_it_is_not() -> None:
    async with door() as node:
        answer = await post(node, Host="198.51.100.9:8080")
        assert "198.51.100.9 7000 typ host" in answer.text
        again = await node.http.patch(
            answer.headers["location"],
            content=FRESH,
            headers={**ADA, "Host": "203.0.113.5", "If-Match": "*", "Content-Type": "application/trickle-ice-sdpfrag"},
        )
        assert "203.0.113.5 7000 typ host" in again.text and "198.51.100.9" not in again.text
    async with door(dev=False) as node:
        assert "198.51.100.9" not in (await post(node, Host="198.51.100.9:8080")).text
