"""The server API on a real port, with a worker without media."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from sfu import channel
from sfu.contract import Grant, load_key, sign
from sfu.signalling import openapi
from tests.offers import OFFERS
from tests.sfu.running import Running, running

TOKEN = "t" * 40
SHARED = "s" * 40
ALL = {"Authorization": f"Bearer {TOKEN}"}


def bearer(room: str = "r", **rights: Any) -> dict[str, str]:
    key = load_key(SHARED, key_id="stentor-1", issuer="stentor", audience="stentor-sfu")
    # Some are made as the tests are collected, and used a quarter of an hour later.
    grant = Grant(room=room, identity="backend", name="b", expires_at=time.time() + 3600, **rights)
    return {"Authorization": f"Bearer {sign(grant, key, time.time())}"}


@contextlib.asynccontextmanager
async def api(**sections: Any) -> AsyncIterator[Running]:
    async with running(tokens={"shared_key": SHARED}, **{"api": {"token": TOKEN}, **sections}) as node:
        yield node


def refused(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


async def test_rooms_and_who_is_in_are_listed() -> None:
    async with api() as node, node.client() as first, node.client() as second:
        ada = await node.joined(first, name="Ada")
        await node.joined(second, name="Bo")
        (room,) = (await node.http.get("/v1/rooms", headers=ALL)).json()["rooms"]
        assert (room["room"], room["participants"], room["audience"], room["policy"]["seats"]) == ("r", 2, 0, 40)
        page = (await node.http.get("/v1/rooms/r/participants?limit=1", headers=ALL)).json()
        assert ([one["name"] for one in page["participants"]], page["next"]) == (["Ada"], ada["participant"])
        rest = (await node.http.get(f"/v1/rooms/r/participants?after={page['next']}", headers=ALL)).json()
        assert ([one["name"] for one in rest["participants"]], rest["next"]) == (["Bo"], None)
        one = (await node.http.get(f"/v1/rooms/r/participants/{ada['participant']}", headers=ALL)).json()
        assert (one["name"], one["moderate"], one["publish"][0]) == ("Ada", True, "camera")


async def test_without_a_bearer_with_a_wrong_one_and_for_a_foreign_room_nothing_is_told_or_done() -> None:
    async with api() as node, node.client() as client:
        await node.joined(client)
        for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": "Bearer " + "t" * 39}):
            answer = await node.http.delete("/v1/rooms/r", headers=headers)
            assert refused(answer) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert refused(await node.http.get("/v1/rooms/r", headers=bearer())) == (403, "forbidden")
        foreign = bearer("other", manage=True)
        for path in ("/v1/rooms/r", "/v1/rooms", "/v1/rooms/r/participants", "/v1/rooms/r/events"):
            assert refused(await node.http.get(path, headers=foreign)) == (403, "forbidden")
        assert refused(await node.http.delete("/v1/rooms/r", headers=foreign)) == (403, "forbidden")
        assert (await node.http.get("/v1/rooms/r", headers=bearer(manage=True))).json()["participants"] == 1
        assert 'stentor_errors_total{code="forbidden"} 6.0' in (await node.http.get("/metrics")).text


async def test_the_end_of_a_room_is_told_to_everybody_and_the_room_is_gone() -> None:
    async with api() as node, node.client() as first, node.client() as second:
        await node.joined(first)
        await node.joined(second)
        assert (await node.http.delete("/v1/rooms/r", headers=ALL)).status_code == 204
        for client in (first, second):
            assert (await client.hear("ended"))["reason"] == "room_ended"
            assert await client.closed() == 4005
        assert refused(await node.http.get("/v1/rooms/r", headers=ALL)) == (404, "not_found")
        assert refused(await node.http.delete("/v1/rooms/r", headers=ALL)) == (404, "not_found")


async def test_who_is_removed_cannot_come_back_with_the_same_grant() -> None:
    async with api() as node, node.client() as host, node.client() as guest, node.client() as again:
        await node.joined(host)
        token = node.token(name="Bo")
        him = await guest.ask("join", token=token)
        path = f"/v1/rooms/r/participants/{him['participant']}"
        assert (await node.http.delete(path, headers=ALL)).status_code == 204
        assert (await guest.hear("ended"))["reason"] == "removed"
        assert (await again.ask("join", token=token))["code"] == "forbidden"
        assert refused(await node.http.delete(path, headers=ALL)) == (404, "not_found")


async def test_replaced_rights_reach_the_client_the_others_and_the_worker() -> None:
    async with api() as node, node.client() as host, node.client() as guest:
        await node.joined(host)
        him = await node.joined(guest, name="Bo")
        assert (await guest.ask("offer", sdp=OFFERS["firefox_plain"]))["type"] == "answer"
        path = f"/v1/rooms/r/participants/{him['participant']}/rights"
        wanted = {"publish": ["microphone"], "max_kbps": 300, "name": "Bob", "moderate": False}
        answer = await node.http.put(path, headers=ALL, json=wanted)
        assert {name: answer.json()[name] for name in wanted} == wanted
        assert (await guest.hear("granted"))["may_publish"] == ["microphone"]
        await host.hear("track", event="unpublished", source="camera")
        assert (await host.hear("participant", event="changed"))["name"] == "Bob"
        (limit,) = await node.worker.told(channel.Limit)
        assert limit.max_kbps == 300
        assert (await guest.ask("moderate", target=him["participant"], action="mute"))["code"] == "forbidden"
        for body in ('{"publish":["piano"]}', '{"max_kbps":-1}', '{"name":"a\\u0000"}', '{"unknown":1}', "[]", "x"):
            assert refused(await node.http.put(path, headers=ALL, content=body)) == (400, "bad_message")
        assert (await node.http.put(path, headers=ALL, content="{}")).json()["name"] == "Bob"


async def test_moderation_by_the_api_mutes_and_lets_speak() -> None:
    async with api() as node, node.client() as client:
        me = await node.joined(client)
        await client.ask("offer", sdp=OFFERS["firefox_plain"])
        path = f"/v1/rooms/r/participants/{me['participant']}"
        assert (await node.http.post(f"{path}/mute", headers=ALL)).status_code == 204
        await client.hear("track", event="muted", source="microphone")
        assert (await node.http.post(f"{path}/forbid_to_speak", headers=ALL)).status_code == 204
        assert "microphone" not in (await client.hear("granted"))["may_publish"]
        assert refused(await node.http.post(f"{path}/dance", headers=ALL)) == (404, "not_found")


async def test_a_policy_is_kept_for_the_next_room_and_a_lower_version_refused() -> None:
    async with api() as node, node.client() as first, node.client() as second:
        policy = {"seats": 1, "senders": 1, "version": 5}
        put = await node.http.put("/v1/rooms/r/policy", headers=ALL, json=policy)
        assert put.json()["seats"] == 1
        await node.joined(first)
        assert (await second.ask("join", token=node.token()))["code"] == "room_full"
        older = await node.http.put("/v1/rooms/r/policy", headers=ALL, json={**policy, "version": 4})
        assert refused(older) == (409, "conflict")
        for wrong in ({"seats": 0}, {"seats": 1, "senders": 2}, {"seats": 10**9}, {"seats": 1.5}, {"sets": 1}):
            answer = await node.http.put("/v1/rooms/r/policy", headers=ALL, json=wrong)
            assert refused(answer) == (400, "bad_message"), wrong
        too_long = await node.http.put("/v1/rooms/" + "x" * 65 + "/policy", headers=ALL, json=policy)
        assert refused(too_long) == (400, "bad_message")


async def test_a_policy_puts_out_ends_the_running_room_and_is_acknowledged() -> None:
    async with api() as node, node.client() as host, node.client() as guest, node.client() as late:
        await node.joined(host)
        him = await node.joined(guest)
        member = (await node.http.get(f"/v1/rooms/r/participants/{him['participant']}", headers=ALL)).json()
        out = [{"identity": member["identity"], "at": time.time() + 5}]
        put = await node.http.put("/v1/rooms/r/policy", headers=ALL, json={"version": 2, "put_out": out})
        assert (put.status_code, put.json()["version"]) == (200, 2)
        assert (await guest.hear("ended"))["reason"] == "removed"
        assert (await node.http.get("/v1/rooms/r", headers=ALL)).json()["participants"] == 1
        put = await node.http.put("/v1/rooms/r/policy", headers=ALL, json={"version": 3, "closed": True})
        assert put.json()["closed"]
        assert (await host.hear("ended"))["reason"] == "room_ended"
        refusal = await late.ask("join", token=node.token())
        assert (refusal["code"], refusal["reason"]) == ("forbidden", "this room is closed: nobody can come in")
        assert (await node.http.get("/v1/rooms/r/policy", headers=ALL)).json()["version"] == 3
        for wrong in ({"put_out": [{"identity": "", "at": 1}]}, {"put_out": [{"identity": "x"}]}, {"closed": 1}):
            answer = await node.http.put("/v1/rooms/r/policy", headers=ALL, json={"version": 9, **wrong})
            assert refused(answer) == (400, "bad_message"), wrong


async def test_absurd_sizes_and_numbers_are_refused() -> None:
    async with api() as node, node.client() as client:
        await node.joined(client)
        big = await node.http.put("/v1/rooms/r/policy", headers=ALL, content=b"{" + b" " * 20_000)
        assert refused(big) == (400, "bad_message")
        for limit in ("0", "-1", "1001", "1e3", "9" * 5000, "\u0663"):
            answer = await node.http.get("/v1/rooms/r/participants", params={"limit": limit}, headers=ALL)
            assert refused(answer) == (400, "bad_message")
        answer = await node.http.get("/v1/rooms/r/participants?after=nobody", headers=ALL)
        assert refused(answer) == (404, "not_found")


async def test_too_many_requests_are_told_when_to_come_again() -> None:
    async with api(api={"token": TOKEN, "requests_per_s": 0.1, "requests_burst": 2}) as node:
        answers = [await node.http.get("/v1/rooms", headers=ALL) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 10


class Follower:
    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, dict[str, Any]]:
        event = ""
        async with asyncio.timeout(5):
            async for line in self._lines:
                if line.startswith("id: "):
                    event = line[4:]
                elif line.startswith("data: "):
                    return event, json.loads(line[6:])
        raise AssertionError("the stream ended")

    async def hear(self, kind: str) -> tuple[str, dict[str, Any]]:
        while True:
            event, message = await self.next()
            if message["type"] == kind:
                return event, message


async def test_events_are_followed_and_who_comes_back_misses_none() -> None:
    async with api() as node, node.client() as first, node.client() as second:
        async with node.http.stream("GET", "/v1/rooms/r/events", headers=ALL) as response:
            follower = Follower(response)
            await node.joined(first, name="Ada")
            last, joined = await follower.hear("participant")
            assert (joined["event"], joined["name"]) == ("joined", "Ada")
        await node.joined(second, name="Bo")
        await first.ask("send", topic="t", body="for all")
        headers = {**ALL, "Last-Event-ID": last}
        async with node.http.stream("GET", "/v1/rooms/r/events", headers=headers) as response:
            follower = Follower(response)
            missed, bo = await follower.hear("participant")
            assert (bo["name"], bo["sequence"]) == ("Bo", joined["sequence"] + 1)
            assert missed.split("-")[0] == last.split("-")[0]
            assert (await follower.hear("message"))[1]["body"] == "for all"
            await node.http.delete("/v1/rooms/r", headers=ALL)
            await follower.hear("room_ended")


async def test_a_busy_kernel_lets_nobody_new_in_and_says_when_to_come_again() -> None:
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(running(limits={"busy_share": 0.1}))
        stays = await stack.enter_async_context(node.client())
        await node.joined(stays)
        answer: dict[str, Any] = {}
        async with asyncio.timeout(10):
            while answer.get("type") != "error":  # until the worker's first numbers have come
                async with node.client() as client:  # one at a time: an address may have only so many
                    answer = await client.ask("join", token=node.token(room=client.socket.id.hex))
        assert (answer["code"], answer["retry_after"]) == ("overloaded", 5.0)
        assert (await stays.ask("send", topic="t", body="who is in stays in"))["type"] == "done"


def test_the_page_is_up_to_date_and_check_says_when_not(tmp_path: Path) -> None:
    docs = Path(openapi.__file__).parents[2] / "docs" / "api.md"
    assert openapi.main(["--check"], docs) == 0
    target = tmp_path / "api.md"
    assert openapi.main(["--check"], target) == 1
    assert openapi.main([], target) == 0
    assert openapi.main(["--check"], target) == 0


async def test_the_document_names_every_operation_and_every_reference_exists() -> None:
    async with api() as node:
        document = (await node.http.get("/v1/openapi.json")).json()
    text = json.dumps(document)
    names = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert names == {operation.name for _, operation in openapi.operations()}
    for reference in set(text.split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in document["components"]["schemas"]
