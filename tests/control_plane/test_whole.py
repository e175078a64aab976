"""The whole: `stentor serve` with its control plane, from sign-up to a call that a suspension ends."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import httpx2
import psutil
import pytest

from benchmarks.client import LightClient, Publish
from tests.control_plane.people import PASSWORD
from tests.control_plane.whole import ENDED_WITHIN_S, answers, appoint, planes, serving
from tests.servers import eventually, free_port


class Visitor:
    """Somebody with a browser, who speaks the API."""

    def __init__(self, origin: str, email: str) -> None:
        self.email = email
        self.http = httpx2.AsyncClient(base_url=origin, headers={"Origin": origin}, timeout=20, trust_env=False)
        self.csrf = ""

    async def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return await self.http.request(method, f"/api/v1{path}", json=body, headers={"X-CSRF-Token": self.csrf})

    async def sign_up(self) -> None:
        texts = (await self.ask("GET", "/legal/texts")).json()
        accepted = {one["kind"]: one["version"] for one in texts if one["kind"] in ("terms", "privacy")}
        form = {
            "email": self.email,
            "password": PASSWORD,
            "business": True,
            "adult": True,
            "accepted": accepted,
            "business_name": "Lessons",
        }
        answer = await self.ask("POST", "/sign-ups", form)
        assert answer.status_code == 202, answer.text
        token = await eventually(self._mailed, within_s=20, what="the verification mail is in the mailbox")
        answer = await self.ask("POST", "/verifications", {"token": token})
        assert answer.status_code == 200, answer.text
        answer = await self.ask("POST", "/sessions", {"email": self.email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        self.csrf = answer.json()["csrf"]

    async def _mailed(self) -> str | None:
        page = (await self.http.get("/dev/mail", params={"to": self.email})).text
        found = re.search(r"/verify#token=([A-Za-z0-9_-]+)", page)
        return None if found is None else found[1]

    async def join(self, number: str) -> dict[str, str]:
        answer = await self.ask("POST", "/join", {"id": number, "name": "Somebody"})
        assert answer.status_code == 200, answer.text
        told: dict[str, str] = answer.json()
        return told


@pytest.mark.slow
async def test_from_sign_up_to_a_call_that_a_suspension_ends_for_everybody(tmp_path: Path) -> None:
    server, origin = serving(tmp_path)
    async with server:
        await answers(origin)
        ada, desk, guest = (Visitor(origin, f"{name}@example.com") for name in ("ada", "desk", "guest"))
        await ada.sign_up()
        made = await ada.ask("POST", "/events", {"kind": "meeting", "title": "Lesson"})
        assert made.status_code == 201, made.text
        number = made.json()["number"]
        host, seen = await ada.join(number), await guest.join(number)
        url = f"ws://127.0.0.1:{server.http_port}/ws"
        speaker = await LightClient.join(url, host["token"], publish=Publish(1), audio_slots=1)
        listener = await LightClient.join(url, seen["token"], audio_slots=1, video_slots=1)
        await listener.view({listener.video[0].mid: (speaker.participant, "camera")})

        async def pictures() -> bool:
            return sum(one.frames for one in listener.video[0].shown) > 10

        await eventually(pictures, within_s=20, what="the guest sees the host")

        await desk.sign_up()
        await appoint(desk.email, tmp_path)
        account = (await ada.ask("GET", "/me")).json()["account"]
        began = time.monotonic()
        answer = await desk.ask("POST", f"/staff/accounts/{account}/suspend", {"reason": "abuse", "ticket": "T-1"})
        assert answer.status_code == 200, answer.text

        async def gone() -> bool:
            return await server.metric("stentor_participants") == 0

        await eventually(gone, within_s=20, what="the room has ended for everybody")
        assert time.monotonic() - began <= ENDED_WITHIN_S
        refused = await guest.ask("POST", "/join", {"id": number, "name": "Somebody"})
        assert refused.status_code == 404, "the same answer as for a number that never was"
        for one in (speaker, listener):
            await one.leave()


@pytest.mark.slow
async def test_a_control_plane_that_dies_takes_no_room_with_it_and_comes_back(tmp_path: Path) -> None:
    server, origin = serving(tmp_path)
    async with server:
        await answers(origin)
        ada = Visitor(origin, "ada@example.com")
        await ada.sign_up()
        made = (await ada.ask("POST", "/events", {"kind": "meeting", "title": "Lesson"})).json()
        token = (await ada.join(made["number"]))["token"]
        client = await LightClient.join(f"ws://127.0.0.1:{server.http_port}/ws", token, publish=Publish(1))
        (plane,) = planes(server)
        plane.kill()

        async def back() -> bool:
            return any(one.pid != plane.pid for one in planes(server))

        await eventually(back, within_s=20, what="it was started anew")
        await answers(origin)
        assert await server.metric("stentor_participants") == 1, "who is in stays in"
        assert (await ada.ask("GET", "/me")).status_code == 200, "and sessions were kept"
        await client.leave()
    assert not psutil.pid_exists(plane.pid)


async def test_a_database_that_is_away_at_the_start_is_tried_again(tmp_path: Path) -> None:
    nobody = f"postgresql+psycopg://nobody@127.0.0.1:{free_port(socket.SOCK_STREAM)}/none"
    server, _ = serving(tmp_path, nobody)
    async with server:

        async def twice() -> bool:
            return server.log.read_text().count("the control plane does not start yet") >= 2

        await eventually(twice, within_s=60, what="a second try")
        assert "until the settings are put right" not in server.log.read_text()
