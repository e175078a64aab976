"""The control plane dies in the middle of a call: a step of tests/accounts_story.py for the acceptance.

It is killed again as often as it is started anew, until a page has said that nobody new comes in: one death alone is
over within seconds, before anybody can be told.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator

import psutil
from playwright.async_api import expect

from sfu.contract import LEEWAY_S
from tests.accounts_story import Story, heading, moves, says_a_name
from tests.control_plane.whole import answers, planes
from tests.servers import Server, eventually

# The server asks the control plane every 30 s (uplink.report_s) and waits 20 s for an answer.
NOTICED_WITHIN_S = 120.0
# After some deaths in a row the server waits a minute before it starts it anew (sfu.companion.AGAIN_AFTER_S).
BACK_WITHIN_S = 120.0
LATE = "Late"


def expires_at(address: str) -> float:
    """When the grant in a page's address ends, as Unix time."""
    claims = address.partition("#token=")[2].split(".")[1]
    told: dict[str, float] = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return told["exp"]


@contextlib.asynccontextmanager
async def kept_dead(server: Server) -> AsyncIterator[list[int]]:
    """Kills the control plane, and each that comes after it while the block runs; their ids so far."""
    killed: list[int] = []

    async def kill() -> None:
        while True:
            for one in planes(server):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
                    killed.append(one.pid)
            await asyncio.sleep(0.2)

    task = asyncio.create_task(kill())
    try:
        yield killed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def control_plane_dies(story: Story) -> str:
    """The call goes on, who comes with an old grant is told in words, it comes back, and people come in again."""
    people = ((story.host, story.guest_media), (story.guest, story.host_media))
    late = story.desk.page
    over = expires_at(story.first_way_in) + LEEWAY_S

    async def too_old() -> bool:
        return time.time() > over

    await eventually(too_old, within_s=120, what="the guest's first grant has expired")
    async with kept_dead(story.server) as killed:

        async def told() -> bool:
            await late.goto("about:blank")
            await late.goto(story.first_way_in)
            end = late.locator("#ended")
            await expect(end).to_be_visible()
            assert killed, "nothing was killed"
            words = await end.inner_text()
            return "nobody new can come in at the moment" in words and "Who is in stays in" in words

        await eventually(told, within_s=NOTICED_WITHIN_S, what="the page says that nobody new comes in", every_s=3)
        await story.look(late, "call-refused")
        moved = [await moves(one, other.hue_deg) for one, other in people]
        await asyncio.gather(*(one.hears([other.tone_hz]) for one, other in people))
    await answers(story.origin, within_s=BACK_WITHIN_S)
    rooms = await story.host.page.context.new_page()
    await rooms.goto(f"{story.origin}/rooms")
    await heading(rooms, "Rooms")  # sessions were kept
    await rooms.close()
    await late.goto(story.link)
    await says_a_name(late, LATE)

    async def there(wanted: bool) -> bool:
        names = await story.host.page.evaluate("() => window.stentor.participants.map(({name}) => name)")
        return (LATE in names) is wanted

    await eventually(lambda: there(True), within_s=20, what="somebody new is in")
    await late.get_by_role("button", name="Leave").click()
    await eventually(lambda: there(False), within_s=20, what="and gone again")
    return f"{len(killed)} times; {moved[0]} and {moved[1]} new frames meanwhile"
