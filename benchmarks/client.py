"""[I/O] The light client: a participant without a codec. Hundreds fit into one process.

It speaks stentor.v1, ICE, DTLS and SRTP (libsrtp), publishes stamped VP8 layers and Opus, answers key-frame requests
and NACKs, sends SR, RR, NACK, PLI and transport feedback as Chromium does, and checks content, order and continuity
of what its slots are sent. It shares no code with the server.

    client = await LightClient.join(url, token, publish=Publish(number=1), audio_slots=3, video_slots=2)
    await client.view({client.video[0].mid: ("p-1234", "camera")})
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pylibsrtp

from benchmarks import offer, packets
from benchmarks.impairment import Link
from benchmarks.receiving import Slot
from benchmarks.sending import FPS, FRAME_US, ONE_LAYER, Camera, Film, Layer, Microphone, Numbering, Sound, Stream
from benchmarks.signalling import Signalling
from benchmarks.transport import Transport, certificate

REPORT_EVERY_US = 1_000_000
FEEDBACK_EVERY_US = 100_000


@dataclass(frozen=True)
class Publish:
    """`number` stands in every stamp. Without layers there is no picture, without `sound` no microphone.

    `fps` divides 50; a layer's rate does not depend on it. `film` and `voice` (reels.py) are what decoders see and
    hear; without them the stamps stand in a filling.
    """

    number: int
    layers: tuple[Layer, ...] = ONE_LAYER
    sound: bool = True
    speaking: bool = False
    fps: int = FPS
    film: Film | None = None
    voice: Sound | None = None


def _now_us() -> int:
    return time.monotonic_ns() // 1000


class LightClient:
    """Made by `join`. `slots` by mid, `audio` and `video` in the order of the offer."""

    def __init__(self, publish: Publish | None, chance: random.Random) -> None:
        self.slots: dict[str, Slot] = {}
        self.messages: list[dict[str, Any]] = []
        self.joined: dict[str, Any] = {}
        self.camera: Camera | None = None
        self.microphone: Microphone | None = None
        self.unknown = 0  # packets of an SSRC that the answer did not name
        self.unsealed = 0  # packets whose tag was wrong
        self.key_frames_asked = 0
        self.connected_ms = 0.0
        self.late_ms = 0.0  # the longest that sound left behind its time: this process was starved
        self._signalling: Signalling | None = None
        self._publish = publish
        self._chance = chance
        self._by_ssrc: dict[int, tuple[Slot, bool]] = {}
        self._streams: dict[int, Stream] = {}
        self._numbering = Numbering()
        self._transport: Transport | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._arrived: dict[int, int] = {}
        self._newest_twcc = -1
        self._feedbacks = 0
        self._ssrc = chance.randrange(1, 1 << 31)

    @classmethod
    async def join(
        cls,
        url: str,
        token: str,
        *,
        publish: Publish | None = None,
        audio_slots: int = 0,
        video_slots: int = 0,
        uplink: Link | None = None,
        downlink: Link | None = None,
        chance: random.Random | None = None,
        keeps_foreign: bool = False,
    ) -> LightClient:
        """Joined, answered, connected. `keeps_foreign`: packets without a stamp are no fault (receiving.py).

        Raises Refused, NotConnected or TimeoutError."""
        client = cls(publish, chance or random.Random(secrets_seed()))
        client._signalling = await Signalling.open(url, client.messages.append)
        try:
            client.joined = await client.ask("join", token=token)
            await client._connect(audio_slots, video_slots, uplink or Link(), downlink or Link())
            for slot in client.slots.values():
                slot.keeps_foreign = keeps_foreign
        except BaseException:
            await client.leave()
            raise
        return client

    @property
    def participant(self) -> str:
        return str(self.joined["participant"])

    @property
    def audio(self) -> list[Slot]:
        return [slot for slot in self.slots.values() if slot.kind == "audio"]

    @property
    def video(self) -> list[Slot]:
        return [slot for slot in self.slots.values() if slot.kind == "video"]

    # -- signalling --
    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A message and its answer. Raises Refused or TimeoutError."""
        if self._signalling is None:
            raise RuntimeError("this client has not joined")
        return await self._signalling.ask(kind, **fields)

    async def view(self, shown: Mapping[str, tuple[str, str] | str | None], *, max_height: int = 0) -> None:
        """What video slots shall show, by mid: (participant, source), "speaker" or None."""

        def wish(mid: str, show: tuple[str, str] | str | None) -> dict[str, Any]:
            named = {"participant": show[0], "source": show[1]} if isinstance(show, tuple) else show
            return {"mid": mid, "show": named, "max_height": max_height}

        await self.ask("view", slots=[wish(mid, show) for mid, show in shown.items()])

    async def leave(self) -> None:
        """Say goodbye and let go of everything. A second call is harmless."""
        if self._transport is not None:
            self._transport.close()
        if self._signalling is not None:
            await self._signalling.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- media --
    async def _connect(self, audio_slots: int, video_slots: int, uplink: Link, downlink: Link) -> None:
        began = time.monotonic()
        sections, sources = self._sections(audio_slots, video_slots)
        transport = self._transport = Transport(self._heard, uplink, downlink, self._chance)
        sdp = offer.write(sections, transport.ufrag, transport.pwd, certificate()[2])
        answer = offer.read((await self.ask("offer", sdp=sdp, sources=sources, pairs=[]))["sdp"])
        for answered in answer.sections:
            if answered.accepted and answered.mid not in sources:
                slot = Slot(answered.mid, answered.kind, answered.ssrc, answered.rtx_ssrc)
                self.slots[slot.mid] = self._by_ssrc.setdefault(slot.ssrc, (slot, False))[0]
                if slot.rtx_ssrc:
                    self._by_ssrc[slot.rtx_ssrc] = (slot, True)
        await transport.connect(answer.remote, answer.ufrag, answer.pwd, answer.fingerprint)
        self.connected_ms = (time.monotonic() - began) * 1000
        self._tasks.append(asyncio.create_task(self._run()))

    def _sections(self, audio_slots: int, video_slots: int) -> tuple[list[offer.Section], dict[str, str]]:
        sections: list[offer.Section] = []
        sources: dict[str, str] = {}
        mids = map(str, itertools.count())
        publish = self._publish
        if publish is not None and publish.sound:
            mid = next(mids)
            sections.append(offer.Section(mid, "audio", sends=True))
            sources[mid] = "microphone"
            self.microphone = Microphone(publish.number, "microphone", mid, self._ssrc + 1, publish.voice)
            self.microphone.speaking = publish.speaking
            self._streams[self.microphone.stream.ssrc] = self.microphone.stream
        if publish is not None and publish.layers:
            mid = next(mids)
            rids = tuple(layer.rid for layer in publish.layers if layer.rid)
            sections.append(offer.Section(mid, "video", sends=True, rids=rids))
            sources[mid] = "camera"
            self.camera = Camera(
                publish.number, "camera", mid, publish.layers, self._ssrc + 10, publish.film, publish.fps
            )
            self._streams |= {stream.ssrc: stream for stream in self.camera.streams}
        for kind, count in (("audio", audio_slots), ("video", video_slots)):
            sections += [offer.Section(next(mids), kind, sends=False) for _ in range(count)]
        return sections, sources

    async def _run(self) -> None:
        """Every 20 ms: sound, a picture when its time has come, and the reports that are due."""
        loop = asyncio.get_running_loop()
        # Clients of one process shall not all speak in the same millisecond.
        start = loop.time() + self._chance.random() * FRAME_US / 1_000_000
        reported_us, told_us = _now_us(), _now_us()
        every = 1_000_000 // FRAME_US // self.camera.fps if self.camera is not None else 1
        for tick in itertools.count(1):
            await asyncio.sleep(max(0.0, start + tick * FRAME_US / 1_000_000 - loop.time()))
            self.late_ms = max(self.late_ms, (loop.time() - start) * 1000 - tick * FRAME_US / 1000)
            now_us = _now_us()
            if self.microphone is not None:
                self._send(self.microphone.next_frame(now_us))
            if self.camera is not None and tick % every == 0:
                for packet in self.camera.frame_of_all_layers(now_us):
                    self._send(packet)
            self._repair(now_us)
            if now_us - told_us >= FEEDBACK_EVERY_US:
                told_us = now_us
                self._tell_arrivals()
            if now_us - reported_us >= REPORT_EVERY_US:
                reported_us = now_us
                self._report(now_us)

    def _send(self, packet: packets.Rtp) -> None:
        if self._transport is not None:
            self._transport.send_rtp(self._numbering.stamp(packet))

    def _say(self, compound: bytes) -> None:
        if self._transport is not None:
            self._transport.send_rtcp(compound)

    def _repair(self, now_us: int) -> None:
        for slot in self.slots.values():
            if not slot.ails:  # nearly always, and fifty times a second for each slot
                continue
            due = slot.nacks(now_us)
            if due:
                self._say(packets.nack(self._ssrc, slot.ssrc, due))
            if slot.pli_due(now_us):
                self._say(packets.picture_loss(self._ssrc, slot.ssrc))

    def _tell_arrivals(self) -> None:
        if self._arrived:
            arrived, self._arrived = self._arrived, {}
            source = next(iter(self.slots.values())).ssrc if self.slots else 0
            self._say(packets.transport_feedback(self._ssrc, source, self._feedbacks, arrived))
            self._feedbacks += 1

    def _report(self, now_us: int) -> None:
        unix_us = time.time_ns() // 1000
        for stream in self._streams.values():
            if stream.packets:
                self._say(stream.report(now_us, unix_us))
        blocks = [block for slot in self.slots.values() if (block := slot.block(now_us)) is not None]
        self._say(packets.receiver_report(self._ssrc, blocks))

    def _heard(self, octets: bytes, rtcp: bool) -> None:
        if self._transport is None:
            return
        try:
            if rtcp:
                self._take_rtcp(self._transport.open_rtcp(octets))
            else:
                self._take_media(packets.read_rtp(self._transport.open_rtp(octets)), _now_us())
        except pylibsrtp.Error:
            self.unsealed += 1

    def _take_media(self, packet: packets.Rtp, now_us: int) -> None:
        number = packet.extensions.get(offer.TWCC)
        if number is not None:
            extended = packets.unwrap(self._newest_twcc, int.from_bytes(number, "big"))
            self._newest_twcc = max(self._newest_twcc, extended)
            self._arrived[extended] = now_us
        found = self._by_ssrc.get(packet.ssrc)
        if found is None:
            self.unknown += 1
            return
        slot, repair = found
        (slot.take_repair if repair else slot.take)(packet, now_us)

    def _take_rtcp(self, compound: bytes) -> None:
        for ssrc, middle in packets.read_sender_reports(compound):
            slot, repair = self._by_ssrc.get(ssrc, (None, False))
            if slot is not None and not repair:
                slot.sender_report(middle, _now_us())
        for feedback in packets.read_feedback(compound):
            _FEEDBACK[feedback.kind](self, feedback)

    def _key_frame(self, feedback: packets.Feedback) -> None:
        self.key_frames_asked += 1
        if self.camera is not None:
            self.camera.ask_key_frame(_now_us())

    def _resend(self, feedback: packets.Feedback) -> None:
        stream = self._streams.get(feedback.ssrc)
        for sequence in feedback.missing if stream is not None else ():
            packet = stream.repair(sequence) if stream is not None else None
            if packet is not None:
                self._send(packet)

    def _ignore(self, feedback: packets.Feedback) -> None:
        """Transport feedback: this client sends at the rate that it was told to."""


def secrets_seed() -> int:
    """A seed for a client that was given none."""
    return random.SystemRandom().randrange(1 << 62)


_FEEDBACK: Mapping[str, Callable[[LightClient, packets.Feedback], None]] = {
    "pli": LightClient._key_frame,
    "nack": LightClient._resend,
    "twcc": LightClient._ignore,
}
