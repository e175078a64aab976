"""What our aiortc publisher paints and plays must be read back from another aiortc."""

from __future__ import annotations

import asyncio

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection

from tests.aiortc_client import PaintedTrack, Seen, ToneTrack, watch
from tests.servers import eventually


async def test_painted_pictures_and_a_tone_arrive_over_loopback() -> None:
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    seen = {"audio": Seen(), "video": Seen()}
    tasks: list[asyncio.Task[None]] = []

    @far.on("track")
    def _(track: MediaStreamTrack) -> None:
        tasks.append(asyncio.create_task(watch(track, seen[track.kind])))

    try:
        near.addTrack(PaintedTrack(source=7, hue_deg=100))
        near.addTrack(ToneTrack(500))
        await near.setLocalDescription(await near.createOffer())
        await far.setRemoteDescription(near.localDescription)
        await far.setLocalDescription(await far.createAnswer())
        await near.setRemoteDescription(far.localDescription)

        async def both() -> bool:
            tone = seen["audio"].tone_hz
            return seen["video"].sources[7] >= 15 and tone is not None and abs(tone - 500) < 10

        await eventually(both, within_s=15, what="15 painted frames and the tone of 500 Hz")
        assert set(seen["video"].sources) == {7}
    finally:
        await near.close()
        await far.close()
        await asyncio.gather(*tasks)
