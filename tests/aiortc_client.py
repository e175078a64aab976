"""A client without a browser: aiortc over stentor.v1, which decodes what it gets and reads the painted ids."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any, Self

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from av import AudioFrame, VideoFrame
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.media import SAMPLE_RATE_HZ, loudest_tone_hz, paint, read_painted, tone_samples
from tests.servers import Server, eventually

FRAME_SAMPLES = SAMPLE_RATE_HZ // 50  # 20 ms
# Enough to tell two tones apart by 4 Hz, and little enough to be up to date.
EAR_SAMPLES = SAMPLE_RATE_HZ // 4
ANSWER_S = 10.0


class PaintedTrack(VideoStreamTrack):
    """A camera that paints its source id and the number of each frame, 30 a second."""

    def __init__(self, source: int, hue_deg: float, width: int = 320, height: int = 180) -> None:
        super().__init__()
        self._picture = (width, height, hue_deg, source)
        self._number = 0

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(paint(*self._picture, self._number), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        self._number += 1
        return frame


class ToneTrack(AudioStreamTrack):
    """A microphone that hears one tone."""

    def __init__(self, tone_hz: float) -> None:
        super().__init__()
        self._samples = tone_samples(tone_hz, 5)
        self._at = 0

    async def recv(self) -> AudioFrame:
        silence = await super().recv()  # keeps the pace: 20 ms of 8 kHz
        assert silence.pts is not None
        frame = AudioFrame.from_ndarray(
            self._samples[self._at : self._at + FRAME_SAMPLES].reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts, frame.time_base = silence.pts * (SAMPLE_RATE_HZ // 8000), Fraction(1, SAMPLE_RATE_HZ)
        self._at = (self._at + FRAME_SAMPLES) % self._samples.size
        return frame


class Seen:
    """What one slot has brought so far."""

    def __init__(self) -> None:
        self.frames = 0
        self.height = 0
        self.sources: Counter[int] = Counter()  # painted source id -> frames
        self.last_number: int | None = None
        self.tone_hz: float | None = None
        self._ear: list[Any] = []

    def video(self, frame: VideoFrame) -> None:
        self.frames += 1
        self.height = frame.height
        painted = read_painted(np.asarray(frame.to_ndarray(format="gray"), np.uint8))
        if painted is not None:
            self.sources[painted.source] += 1
            self.last_number = painted.number

    def audio(self, frame: AudioFrame) -> None:
        self.frames += 1
        # One channel is enough; packed stereo has both in a row.
        self._ear.append(frame.to_ndarray()[0, :: len(frame.layout.channels)])
        if sum(part.size for part in self._ear) >= EAR_SAMPLES:
            self.tone_hz = loudest_tone_hz(np.concatenate(self._ear).astype(np.int16), rate_hz=frame.sample_rate)
            self._ear.clear()


async def watch(track: MediaStreamTrack, seen: Seen) -> None:
    """Looks and listens until the track ends."""
    with contextlib.suppress(MediaStreamError):  # raised at the end of the track
        while True:
            frame = await track.recv()
            if isinstance(frame, VideoFrame):
                seen.video(frame)
            elif isinstance(frame, AudioFrame):
                seen.audio(frame)


class AiortcClient:
    """One participant; `seen` holds what each of its slots brought, by mid."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        # iceServers empty: aiortc would otherwise ask a public STUN server. One port for all: the server wants BUNDLE.
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.participant = ""
        self.joined: dict[str, Any] = {}
        self.messages: list[dict[str, Any]] = []
        self.seen: dict[str, Seen] = {}
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._next_id = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def join(
        cls,
        server: Server,
        room: str,
        name: str,
        *,
        publish: tuple[PaintedTrack, ToneTrack] | None = None,
        video_slots: int = 0,
        audio_slots: int = 0,
    ) -> AsyncIterator[Self]:
        """Joins, negotiates and waits until connected; leaves at the end of the block."""
        async with connect(
            f"ws://127.0.0.1:{server.http_port}/ws",
            subprotocols=[Subprotocol("stentor.v1")],
            origin=Origin(f"http://127.0.0.1:{server.http_port}"),
            compression=None,
            proxy=None,
        ) as socket:
            client = cls(socket)
            client._tasks.append(asyncio.create_task(client._listen()))
            try:
                client.joined = await client.request({"type": "join", "token": await server.token(room, name)})
                client.participant = client.joined["participant"]
                await client._negotiate(publish, video_slots, audio_slots)
                yield client
            finally:
                await client._close()

    async def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends a message; its answer. Raises AssertionError with the code when the answer is an error."""
        self._next_id += 1
        future = self._answers[self._next_id] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({**message, "id": self._next_id}))
        answer: dict[str, Any] = await asyncio.wait_for(future, ANSWER_S)
        if answer["type"] == "error":
            raise AssertionError(f"{message['type']} was answered by {answer['code']}: {answer['reason']}")
        return answer

    async def view(self, wishes: dict[str, str | None], *, max_height: int = 0) -> None:
        """Ask for the camera of a participant (or nothing) in each slot, by mid."""
        slots = [
            {"mid": mid, "max_height": max_height, "show": who and {"participant": who, "source": "camera"}}
            for mid, who in wishes.items()
        ]
        await self.request({"type": "view", "slots": slots})

    def video_mids(self) -> list[str]:
        """The video slots in the order of the offer."""
        return [
            transceiver.mid
            for transceiver in self.pc.getTransceivers()
            if transceiver.kind == "video" and transceiver.mid in self.seen
        ]

    async def frames(self, mid: str, more: int, *, within_s: float = 10.0) -> Seen:
        """Waits until `more` frames have come to the slot from now on. Raises NotInTime."""
        seen = self.seen[mid]
        wanted = seen.frames + more

        async def look() -> bool:
            return seen.frames >= wanted

        await eventually(look, within_s=within_s, what=f"{more} more frames in slot {mid}")
        return seen

    async def _negotiate(
        self, publish: tuple[PaintedTrack, ToneTrack] | None, video_slots: int, audio_slots: int
    ) -> None:
        sources: list[tuple[RTCRtpTransceiver, str]] = []
        slots: list[RTCRtpTransceiver] = []
        if publish is not None:
            for track, source in zip(publish, ("camera", "microphone"), strict=True):
                sources.append((self.pc.addTransceiver(track, direction="sendonly"), source))
        for kind, count in (("audio", audio_slots), ("video", video_slots)):
            slots += [self.pc.addTransceiver(kind, direction="recvonly") for _ in range(count)]
        # Without rtx: aiortc loses streams over it as soon as there are two video slots.
        known = RTCRtpReceiver.getCapabilities("video")
        codecs = [codec for codec in known.codecs if codec.mimeType == "video/VP8"] if known else []
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences(codecs)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await self.request(
            {
                "type": "offer",
                "sdp": self.pc.localDescription.sdp,
                "sources": {transceiver.mid: source for transceiver, source in sources},
            }
        )
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        for transceiver in slots:  # aiortc makes the tracks when it reads the answer
            seen = self.seen[str(transceiver.mid)] = Seen()
            self._tasks.append(asyncio.create_task(watch(transceiver.receiver.track, seen)))

        async def connected() -> bool:
            if self.pc.connectionState == "failed":
                raise AssertionError("the peer connection failed")
            return self.pc.connectionState == "connected"

        await eventually(connected, within_s=ANSWER_S, what="aiortc is connected")

    async def _listen(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            self.messages.append(message)
            waiting = self._answers.pop(message.get("request") or 0, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)

    async def _close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
