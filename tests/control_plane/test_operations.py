"""The whole as who runs it meets it: the log says what happened and of nobody who it was; test mode as a process."""

from __future__ import annotations

import datetime
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sfu.config_sources import ConfigError, build
from tests.control_plane.people import PASSWORD
from tests.control_plane.test_whole import Visitor
from tests.control_plane.whole import answers, planes, serving
from tests.servers import Server, eventually

# Words that stand nowhere but in what these people typed.
NAMES = ("zebulon", "quaverley", "fandangle", "brindlecombe")


class Log:
    """What a server has written, as JSON."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def text(self) -> str:
        return self._server.log.read_text(encoding="utf-8", errors="replace")

    def lines(self, event: str) -> list[dict[str, Any]]:
        found = []
        for line in self.text.splitlines():
            if line.startswith("{"):
                told = json.loads(line)
                found += [told] if told["event"] == event and told["logger"] == "stentor.control" else []
        return found

    async def has(self, event: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            found = self.lines(event)
            return found[-1] if found else None

        return await eventually(look, within_s=30, what=f"the log says {event!r}")


def told(folder: Path, *arguments: str) -> tuple[Server, str, Log]:
    server, origin = serving(folder)
    server._arguments += ("--log-format", "json", *arguments)
    return server, origin, Log(server)


@pytest.mark.slow
async def test_the_log_says_what_happened_by_ids_and_names_nobody(tmp_path: Path) -> None:
    server, origin, log = told(tmp_path)
    async with server:
        await answers(origin)
        started = log.lines("control plane starts")[0]
        assert started["version"] and started["dev"] is True
        applied = log.lines("migrations applied")[0]
        assert applied["before"] == "nothing" and applied["after"]
        assert log.lines("listening")[0]["database"] == "sqlite"
        ada = Visitor(origin, "zebulon@quaverley.example")
        await ada.sign_up()
        account = (await ada.ask("GET", "/me")).json()["account"]
        await ada.ask("PATCH", "/me", {"first_name": "Fandangle", "last_name": "Brindlecombe"})
        wrong = {"email": ada.email, "password": "Fandangle's other phrase"}
        assert (await ada.ask("POST", "/sessions", wrong)).status_code == 401
        await ada.ask("GET", "/p/brindlecombe?who=fandangle")
        # The table is gone from under a route: a fault of ours, with the person's values in its parameters.
        with sqlite3.connect(tmp_path / "control-plane.sqlite") as raw:
            raw.execute("DROP TABLE job")
        broken = await ada.ask("POST", "/sign-ups", form(await texts(ada), "fandangle@quaverley.example"))
        assert (broken.status_code, broken.json()["code"]) == (500, "internal")
        failed = await log.has("request failed")
        assert failed["request"] == broken.headers["x-request-id"] == broken.json()["request_id"]
        assert (failed["route"], failed["method"]) == ("/api/v1/sign-ups", "POST")
        assert failed["fault"].startswith("OperationalError at sign_up.py:") or "at" in failed["fault"]
        assert failed["account"] == account
        assert (await log.has("a runner pauses"))["lane"] == "jobs"
    lowered = log.text.lower()
    assert not [name for name in (*NAMES, PASSWORD.lower()) if name in lowered]
    assert "127.0.0.1" not in lowered and "Traceback" not in log.text
    assert log.lines("stopping")


async def texts(visitor: Visitor) -> dict[str, str]:
    found = (await visitor.ask("GET", "/legal/texts")).json()
    return {one["kind"]: one["version"] for one in found if one["kind"] in ("terms", "privacy")}


def form(accepted: dict[str, str], email: str) -> dict[str, Any]:
    return {
        "email": email,
        "password": PASSWORD,
        "business": True,
        "adult": True,
        "accepted": accepted,
        "business_name": "Brindlecombe & Co",
    }


@pytest.mark.slow
async def test_in_test_mode_a_sign_up_lapses_after_fourteen_days_that_pass_in_a_moment(tmp_path: Path) -> None:
    server, origin, log = told(tmp_path, "--control-test-mode", "true")
    async with server, httpx2.AsyncClient(base_url=origin, trust_env=False, timeout=60) as operator:
        await answers(origin)
        assert (await log.has("test mode: the clock stands"))["now"]
        began = datetime.datetime.fromisoformat((await operator.get("/test/clock")).json()["now"])
        assert datetime.datetime.fromisoformat((await operator.get("/test/clock")).json()["now"]) == began, "it stands"
        ada = Visitor(origin, "ada@example.com")
        accepted = await texts(ada)
        assert (await ada.ask("POST", "/sign-ups", form(accepted, ada.email))).status_code == 202
        link = await eventually(ada._mailed, within_s=20, what="the verification mail is in the mailbox")
        answer = await operator.post("/test/clock", json={"seconds": 14 * 86_400 - 60})
        assert (answer.status_code, answer.json()["steps"]) == (200, 0)
        answer = await operator.post("/test/clock", json={"seconds": 3_600})
        assert (answer.status_code, answer.json()["steps"]) == (200, 1)
        now = datetime.datetime.fromisoformat(answer.json()["now"])
        assert now == began + datetime.timedelta(days=14, seconds=3_540)
        lapsed = await ada.ask("POST", "/verifications", {"token": link})
        assert lapsed.status_code in (410, 422), lapsed.text
        assert (await ada.ask("POST", "/sessions", {"email": ada.email, "password": PASSWORD})).status_code == 401
        # The runner works on by the clock that stands: a new sign-up's mail leaves without anybody's doing.
        assert (await ada.ask("POST", "/sign-ups", form(accepted, ada.email))).status_code == 202

        async def another() -> bool:
            return (await ada._mailed()) not in (None, link)

        await eventually(another, within_s=20, what="the mail of the second sign-up")
        assert (await operator.post("/test/clock", json={"to": began.isoformat()})).json()["code"] == "clock_jump"
        # A restart by the server does not set it back.
        (plane,) = planes(server)
        plane.kill()

        async def back() -> bool:
            return any(one.pid != plane.pid for one in planes(server))

        await eventually(back, within_s=30, what="it was started anew")
        await answers(origin)
        assert datetime.datetime.fromisoformat((await operator.get("/test/clock")).json()["now"]) == now


def test_test_mode_is_refused_where_people_are_served() -> None:
    with pytest.raises(ConfigError, match=r"control\.test_mode.*dev"):
        build({"control": {"test_mode": True}})
    assert build({"control": {"test_mode": True}, "dev": True}).control.test_mode
