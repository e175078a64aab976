"""[I/O] One process of light clients in the meeting: `python -m benchmarks.light_part`, started by benchmarks.meeting.

A line of JSON on standard input says who they are; "joined" is answered; the next line is the Unix time of the start;
"played" is answered at the end, and one line of JSON with the results follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from typing import Any

import uvloop

from benchmarks import reels
from benchmarks.client import LightClient, Publish
from benchmarks.decoded import Winding, heard_ms
from benchmarks.foreign import identify, sounds
from benchmarks.meeting_judge import LAYERS, SPEECH_S, Result, Script, Step, layer_of


async def _person(client: LightClient, number: int, script: Script, began: float) -> list[Step]:
    """Speaks when it is his turn and turns the pages; gives what he asked to see."""
    loop = asyncio.get_running_loop()
    steps: list[Step] = []

    async def speak() -> None:
        await asyncio.sleep(began + number * SPEECH_S - loop.time())
        if client.microphone is not None:
            client.microphone.speaking = True
            await asyncio.sleep(SPEECH_S)
            client.microphone.speaking = False

    async def look() -> None:
        names = {int(one["name"]): one["participant"] for one in client.joined["participants"]}
        names |= {
            int(message["name"]): message["participant"]
            for message in client.messages
            if message["type"] == "participant" and message["event"] == "joined"
        }
        mids = [slot.mid for slot in client.video][: script.people - 1]
        *turns_s, end_s = script.turns_s(number)
        for turn_s, shown in zip(turns_s, script.pages_of(number), strict=True):
            await asyncio.sleep(began + turn_s - loop.time())
            asked_us = time.monotonic_ns() // 1000
            steps.extend(Step(mid, who, asked_us) for mid, who in zip(mids, shown, strict=True))
            await client.view(
                {mid: (names[who], "camera") for mid, who in zip(mids, shown, strict=True)},
                max_height=LAYERS[0].height,
            )
        await asyncio.sleep(began + end_s - loop.time())

    client.late_ms = 0.0  # the joining of the others is behind us
    await asyncio.gather(speak(), look())
    await asyncio.sleep(0.5)  # the last packets are on their way
    return steps


def _result(client: LightClient, number: int, steps: list[Step], script: Script) -> Result:
    """With the help of decoders, where somebody could not stamp."""
    windings = {other: Winding() for other in script.wrtc}
    shown, unreadable = {}, 0
    for slot in client.video:
        shown[slot.mid], faults = identify(slot, windings, layer_of())
        unreadable += faults
    heard = heard_ms((sounds(slot, script.people), ()) for slot in client.audio)
    return Result.of(client, number, steps, shown, heard, unreadable)


def _made(number: int, fault: str | None) -> tuple[reels.Reel, reels.Voice]:
    """What decoders will see and hear of this person; with a fault of the script in it."""
    film, voice = reels.reel(number, LAYERS), reels.voice(number + (fault == "wrong tone"))
    if fault == "mute":
        voice = reels.Voice(voice.silence, voice.silence)
    if fault == "frozen":  # the same picture for ever, and always a key frame
        film = reels.Reel(tuple((layer[0],) * len(layer) for layer in film.layers), film.group)
    return film, voice


async def _play(url: str, tokens: dict[int, str], script: Script) -> list[dict[str, Any]]:
    made = {number: _made(number, script.faults.get(number)) for number in tokens}
    print("ready", flush=True)
    async with contextlib.AsyncExitStack() as stack:
        clients: dict[int, LightClient] = {}
        for number, token in tokens.items():
            film, voice = made[number]
            client = await LightClient.join(
                url,
                token,
                publish=Publish(number, LAYERS, fps=script.fps, film=film, voice=voice),
                audio_slots=script.audio_slots,
                video_slots=script.video_slots,
                chance=random.Random(number),
                keeps_foreign=bool(script.wrtc),
            )
            stack.push_async_callback(client.leave)
            clients[number] = client
        # What the collector would walk through grows all the time, and a pause is sound that leaves late.
        gc.freeze()
        gc.disable()
        print("joined", flush=True)
        began_at = float(await asyncio.to_thread(sys.stdin.readline))
        began = asyncio.get_running_loop().time() + began_at - time.time()
        steps = await asyncio.gather(*(_person(client, number, script, began) for number, client in clients.items()))
        print("played", flush=True)
    return [
        _result(client, number, asked, script).told()
        for (number, client), asked in zip(clients.items(), steps, strict=True)
    ]


def _script(told: dict[str, Any]) -> Script:
    """Back from JSON, where keys are text."""
    return Script(**{**told, "faults": {int(number): fault for number, fault in told["faults"].items()}})


def main() -> None:
    url, tokens, script = json.loads(sys.stdin.readline())
    results = uvloop.run(_play(url, {int(number): token for number, token in tokens.items()}, _script(script)))
    print(json.dumps(results), flush=True)
    sys.stdin.read()  # whoever started us still reads what we cost


if __name__ == "__main__":
    main()
