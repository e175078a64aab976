"""The node with real WebSockets and a worker without media."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from sfu import channel
from sfu.signalling.effects import CLOSE_RESUMED_ELSEWHERE
from tests.offers import OFFERS
from tests.sfu.fake_worker import FINGERPRINT
from tests.sfu.running import Client, running

OFFER = OFFERS["firefox_plain"]


async def offered(client: Client) -> dict[str, object]:
    answer = await client.ask("offer", sdp=OFFER)
    assert answer["type"] == "answer", answer
    return answer


async def test_who_joins_gets_the_room_and_the_others_get_him() -> None:
    async with running() as node, node.client() as first, node.client() as second:
        me = await node.joined(first, name="Ada")
        him = await node.joined(second, name="Bo")
        assert [one["name"] for one in him["participants"]] == ["Ada", "Bo"]
        event = await first.hear("participant")
        assert (event["event"], event["participant"], event["name"]) == ("joined", him["participant"], "Bo")
        assert event["sequence"] == me["sequence"] + 1 == him["sequence"]


async def test_the_seat_after_the_last_is_refused_and_free_again_after_a_leave() -> None:
    async with running(room={"seats": 2}) as node, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.client()) for _ in range(3)]
        for client in clients[:2]:
            await node.joined(client)
        refused = await clients[2].ask("join", token=node.token())
        assert (refused["type"], refused["code"]) == ("error", "room_full")
        assert (await clients[0].ask("leave"))["type"] == "done"
        assert (await clients[0].hear("ended"))["reason"] == "left"
        assert await clients[0].closed() == 4000
        await node.joined(clients[2])


async def test_forty_sit_down_and_the_forty_first_does_not_even_when_all_ask_at_once() -> None:
    async with running() as node, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.client()) for _ in range(43)]
        answers = await asyncio.gather(*(client.ask("join", token=node.token()) for client in clients))
        assert sorted(answer["type"] for answer in answers) == ["error"] * 3 + ["joined"] * 40
        assert {answer["code"] for answer in answers if answer["type"] == "error"} == {"room_full"}


async def test_an_answer_leaves_only_after_the_worker_has_done_its_part() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        node.worker.answers_describes = False
        offer = await client.send("offer", sdp=OFFER)
        (describe,) = await node.worker.told(channel.Describe)
        done = await client.ask("send", topic="t", body="still here")
        assert done["type"] == "done"
        assert not [message for message in client.heard if message["type"] == "answer"]
        node.worker.say(channel.Done(describe.request))
        answer = await client.hear("answer")
        assert answer["request"] == offer
        assert f"a=fingerprint:sha-256 {FINGERPRINT.value}" in answer["sdp"]
        assert answer["sdp"].index("192.0.2.7") < answer["sdp"].index("127.0.0.1 7000")


async def test_a_second_offer_before_the_answer_is_refused_and_the_first_is_answered() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        node.worker.answers_describes = False
        first = await client.send("offer", sdp=OFFER)
        assert (await client.ask("offer", sdp=OFFER))["code"] == "bad_offer"
        (describe,) = await node.worker.told(channel.Describe)
        node.worker.say(channel.Done(describe.request))
        assert (await client.hear("answer"))["request"] == first


async def test_an_offer_that_the_worker_refuses_is_an_error_and_the_next_may_do() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        node.worker.refuses_with = ("overloaded", "no row is free")
        refused = await client.ask("offer", sdp=OFFER)
        assert (refused["code"], refused["reason"]) == ("overloaded", "no row is free")
        node.worker.refuses_with = None
        await offered(client)


async def test_a_bad_offer_is_told_and_costs_nothing() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        assert (await client.ask("offer", sdp="v=0\r\nnonsense"))["code"] == "bad_offer"
        await offered(client)


async def test_a_view_becomes_a_wish_of_the_worker_and_what_is_shown_comes_back() -> None:
    async with running() as node, node.client() as sender, node.client() as viewer:
        him = await node.joined(sender, name="Ada")
        await node.joined(viewer, name="Bo")
        await offered(sender)
        published = await viewer.hear("track", event="published", source="camera")
        assert published["participant"] == him["participant"]
        await offered(viewer)
        describe = (await node.worker.told(channel.Describe, 2))[1]
        mid = next(slot.mid for slot in describe.slots if slot.kind == "video")
        show = {"participant": him["participant"], "source": "camera"}
        assert (await viewer.ask("view", slots=[{"mid": mid, "show": show, "max_height": 180}]))["type"] == "done"
        (view,) = await node.worker.told(channel.View)
        (wish,) = view.slots
        camera = (await node.worker.told(channel.Describe))[0].tracks
        assert wish.track in {track.track for track in camera if track.kind == "video"}
        assert (view.peer, wish.mid, wish.max_height) == (describe.peer, mid, 180)
        node.worker.say(channel.SlotShown(describe.peer, mid, wish.track, 180))
        (slot,) = (await viewer.hear("slots"))["slots"]
        assert (slot["mid"], slot["participant"], slot["source"], slot["height"]) == (
            mid,
            him["participant"],
            "camera",
            180,
        )


async def test_mute_reaches_the_worker_and_everybody() -> None:
    async with running() as node, node.client() as sender, node.client() as viewer:
        await node.joined(sender)
        await node.joined(viewer)
        await offered(sender)
        assert (await sender.ask("mute", source="microphone"))["type"] == "done"
        await viewer.hear("track", event="muted", source="microphone")
        mutes = await node.worker.told(channel.Mute, 3)
        assert mutes[-1].muted
        assert (await sender.ask("mute", source="screen"))["code"] == "not_found"


async def test_levels_of_the_worker_become_speakers() -> None:
    async with running() as node, node.client() as client:
        me = await node.joined(client)
        await offered(client)
        (describe,) = await node.worker.told(channel.Describe)
        microphone = next(track.track for track in describe.tracks if track.kind == "audio")
        node.worker.say(channel.Levels(describe.room, ((microphone, 400),)))
        speakers = await client.hear("speakers")
        assert (speakers["active"], speakers["speaking"]) == (me["participant"], [me["participant"]])


async def test_a_resume_key_alone_is_not_enough_the_grant_must_be_the_same_persons() -> None:
    async with running() as node, node.client() as first, node.client() as thief:
        me = await node.joined(first)
        refused = await thief.ask("join", token=node.token(), resume=me["resume"])
        assert (refused["type"], refused["code"]) == ("error", "not_found")
        assert (await first.ask("send", topic="t", body="still mine"))["type"] == "done"


async def test_the_same_grant_and_the_key_bring_the_session_back() -> None:
    async with running() as node:
        token = node.token()
        async with node.client() as first:
            me = await first.ask("join", token=token)
            await offered(first)
        async with node.client() as second:
            back = await second.ask("join", token=token, resume=me["resume"])
            assert (back["type"], back["participant"]) == ("joined", me["participant"])
            assert [track["source"] for track in back["participants"][0]["tracks"]]
            assert (await second.ask("mute", source="microphone"))["type"] == "done"
        assert not [command for command in node.worker.commands if isinstance(command, channel.Close)]


async def test_a_resume_takes_the_socket_from_the_one_that_still_holds_it() -> None:
    async with running() as node, node.client() as first, node.client() as second:
        token = node.token()
        me = await first.ask("join", token=token)
        back = await second.ask("join", token=token, resume=me["resume"])
        assert back["participant"] == me["participant"]
        assert await first.closed() == 4001
        assert (await second.ask("send", topic="t", body="b"))["type"] == "done"


async def test_after_an_unknown_resume_key_a_plain_join_on_the_same_socket_does() -> None:
    async with running() as node, node.client() as client:
        assert (await client.ask("join", token=node.token(), resume="gone"))["code"] == "not_found"
        await node.joined(client)


async def test_a_seat_is_free_after_the_socket_has_been_gone_long_enough() -> None:
    async with running(session={"resume_s": 0.2, "gone_s": 0.4}) as node, node.client() as stays:
        await node.joined(stays)
        async with node.client() as goes:
            him = await node.joined(goes)
        left = await stays.hear("participant", event="left")
        assert left["participant"] == him["participant"]


async def test_who_does_not_join_in_time_is_told_and_closed() -> None:
    async with running(session={"join_within_s": 0.2}) as node, node.client() as client:
        assert (await client.hear("error"))["code"] == "unauthorized"
        assert await client.closed() == 4003


async def test_a_dead_worker_is_started_again_and_clients_connect_anew_in_the_same_seat() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        await offered(client)
        node.worker.die()
        assert (await client.hear("error"))["code"] == "worker_lost"
        await client.hear("track", event="unpublished", source="camera")
        await node.ready()
        assert node.worker.lives == 2
        await offered(client)
        first, second = await node.worker.told(channel.Describe, 2)
        assert first.peer != second.peer
        assert first.ice.local_ufrag != second.ice.local_ufrag


async def test_an_offer_that_comes_while_the_worker_starts_again_is_answered_once_it_is_there() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        await offered(client)
        node.worker.die()
        await client.hear("error", code="worker_lost")
        await offered(client)
        assert node.worker.lives == 2
        assert (await node.http.get("/readyz")).status_code == 200


async def test_an_offer_that_waits_for_a_worker_in_vain_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sfu.workers.HOLD_S", 0.05)
    monkeypatch.setattr("sfu.workers.RESTART_FIRST_S", 2.0)
    async with running() as node, node.client() as client:
        await node.joined(client)
        await offered(client)
        node.worker.die()
        await client.hear("error", code="worker_lost")
        refused = await client.ask("offer", sdp=OFFER)
        assert (refused["type"], refused["code"]) == ("error", "worker_lost")


async def test_who_leaves_while_his_offer_waits_for_a_worker_leaves_nothing_in_it() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        await offered(client)
        node.worker.die()
        await client.hear("error", code="worker_lost")
        await client.send("offer", sdp=OFFER)
        await client.ask("leave")
        describe = (await node.worker.told(channel.Describe, 2))[1]
        assert describe.peer in {close.peer for close in await node.worker.told(channel.Close)}


async def test_two_tabs_with_one_grant_take_two_seats_and_each_comes_back_to_its_own() -> None:
    async with running() as node, node.client() as first, node.client() as second, node.client() as again:
        token = node.token(name="Ada")
        one, two = await first.ask("join", token=token), await second.ask("join", token=token)
        assert (one["type"], two["type"]) == ("joined", "joined")
        assert one["participant"] != two["participant"] and one["resume"] != two["resume"]
        assert [each["name"] for each in two["participants"]] == ["Ada", "Ada"]
        back = await again.ask("join", token=token, resume=one["resume"])
        assert back["participant"] == one["participant"]
        assert await first.closed() == CLOSE_RESUMED_ELSEWHERE
        assert (await second.ask("send", topic="t", body="still here"))["type"] == "done"


async def test_a_failed_peer_connection_is_told_to_its_client_only() -> None:
    async with running() as node, node.client() as client, node.client() as other:
        await node.joined(client)
        await node.joined(other)
        await offered(client)
        (describe,) = await node.worker.told(channel.Describe)
        node.worker.say(channel.PeerFailed(describe.peer, "media_failed", "no common SRTP profile"))
        error = await client.hear("error")
        assert (error["code"], error["reason"]) == ("media_failed", "no common SRTP profile")
        await other.hear("track", event="unpublished")
        assert not [message for message in other.heard if message["type"] == "error"]
        assert [close.peer for close in await node.worker.told(channel.Close)] == [describe.peer]


async def test_who_is_removed_is_told_and_closed_and_his_media_ends() -> None:
    async with running() as node, node.client() as host, node.client() as guest:
        await node.joined(host)
        him = await node.joined(guest)
        await offered(guest)
        assert (await host.ask("moderate", target=him["participant"], action="remove"))["type"] == "done"
        assert (await guest.hear("ended"))["reason"] == "removed"
        assert await guest.closed() == 4005
        await host.hear("participant", event="left")
        await node.worker.told(channel.Close)


async def test_application_data_reaches_all_or_one() -> None:
    async with running() as node, node.client() as a, node.client() as b:
        await node.joined(a)
        him = await node.joined(b)
        await a.ask("send", topic="chat", body="all")
        await a.ask("send", topic="chat", body="you", to=him["participant"])
        assert [(await b.hear("message"))["body"], (await b.hear("message"))["body"]] == ["all", "you"]
        assert [message["body"] for message in a.heard if message["type"] == "message"] == ["all"]


async def test_a_client_that_closes_in_the_middle_of_joining_or_offering_leaves_nothing_behind() -> None:
    async with running(session={"resume_s": 0, "gone_s": 0.1}) as node:
        node.worker.answers_describes = False
        for message in ("join", "offer"):
            async with node.client() as client:
                if message == "offer":
                    await node.joined(client)
                    await client.send("offer", sdp=OFFER)
                    await node.worker.told(channel.Describe)
                else:
                    await client.send("join", token=node.token())
        async with asyncio.timeout(5):
            while node.served.node.rooms.participants():  # noqa: ASYNC110  seen from outside only
                await asyncio.sleep(0.02)
        assert len(node.served.node.rooms) == 0
        await node.worker.told(channel.Close)


async def test_stopping_tells_everybody_and_stops_the_worker() -> None:
    async with running() as node, node.client() as client:
        await node.joined(client)
        stopping = asyncio.ensure_future(node.served.node.stop())
        assert (await client.hear("ended"))["reason"] == "server_stopping"
        with contextlib.suppress(ConnectionClosed):
            await client.closed()
        async with asyncio.timeout(5):
            await stopping
        assert node.worker.stopped
        assert (await node.http.get("/readyz")).status_code == 503
