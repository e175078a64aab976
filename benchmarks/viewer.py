"""[I/O] A viewer for crowds: joins as Chromium would, then reads nothing. Thousands fit into one process.

What is measured with it is the server, so the viewer does only what the server notices: the real messages, an offer of
Chromium's size, ICE, DTLS, consent, receiver reports and transport feedback. Media ends unread in its socket.
"""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

from benchmarks import offer, packets
from benchmarks.impairment import Link
from benchmarks.signalling import Signalling
from benchmarks.transport import Transport, certificate

# A real offer of Chromium, of which sections are taken as they stand.
_OFFER = Path(__file__).resolve().parent.parent / "tests" / "sdp" / "slots_ch_v39_std_offer0.sdp"
# Chromium sends transport feedback every 50 to 250 ms; more would only load the machine that loads the server.
FEEDBACKS_PER_S = 4
# Packets that one feedback speaks of.
_FED_BACK = 8


@cache
def _recvonly(kind: str) -> str:
    """Chromium's m-section of one slot, with its mid and credentials cut out as {mid}, {ufrag}, {pwd}, {print}."""
    sections = re.split(r"(?m)^(?=m=)", _OFFER.read_text())[1:]
    section = next(one for one in sections if one.startswith(f"m={kind} ") and re.search(r"(?m)^a=recvonly\r?$", one))
    section = section.replace("{", "{{").replace("}", "}}")
    for name, place in (("mid", "mid"), ("ice-ufrag", "ufrag"), ("ice-pwd", "pwd"), ("fingerprint", "print")):
        section = re.sub(rf"(?m)^(a={name}:).*?(\r?)$", rf"\1{{{place}}}\2", section)
    return re.sub(r"(?m)^a=(candidate|end-of-candidates).*\n", "", section)


def chromiums_offer(audio_slots: int, video_slots: int, ufrag: str, pwd: str, fingerprint: str) -> str:
    """An offer of slots with every line that Chromium writes."""
    kinds = ["audio"] * audio_slots + ["video"] * video_slots
    head = "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\n"
    head += f"a=group:BUNDLE {' '.join(map(str, range(len(kinds))))}\na=extmap-allow-mixed\na=msid-semantic: WMS\n"
    sections = (
        _recvonly(kind).format(mid=mid, ufrag=ufrag, pwd=pwd, print=f"sha-256 {fingerprint}")
        for mid, kind in enumerate(kinds)
    )
    return re.sub(r"\r?\n", "\r\n", head + "".join(sections))


class Viewer:
    """Made by `join`. What the server says without being asked is read and thrown away."""

    def __init__(self, signalling: Signalling, chance: random.Random) -> None:
        self._signalling = signalling
        self._chance = chance
        self._transport: Transport | None = None
        self._ssrc = chance.randrange(1, 1 << 31)
        self._source = 0
        self._feedbacks = 0
        self._video_mid = ""

    @classmethod
    async def join(
        cls, url: str, token: str, chance: random.Random, *, audio_slots: int = 3, source: str = ""
    ) -> Viewer:
        """Joined, answered and connected, with one video slot. `source`: as for Signalling. Raises Refused,
        NotConnected or TimeoutError."""
        viewer = cls(await Signalling.open(url, lambda message: None, source=source), chance)
        try:
            await viewer._signalling.ask("join", token=token)
            await viewer._connect(audio_slots)
        except BaseException:
            await viewer.leave()
            raise
        return viewer

    async def _connect(self, audio_slots: int) -> None:
        transport = self._transport = Transport(lambda octets, rtcp: None, Link(), Link(), self._chance)
        sdp = chromiums_offer(audio_slots, 1, transport.ufrag, transport.pwd, certificate()[2])
        answer = offer.read((await self._signalling.ask("offer", sdp=sdp, sources={}, pairs=[]))["sdp"])
        video = next(section for section in answer.sections if section.kind == "video" and section.accepted)
        self._video_mid, self._source = video.mid, video.ssrc
        await transport.connect(answer.remote, answer.ufrag, answer.pwd, answer.fingerprint)
        transport.stop_listening()

    async def view(self, participant: str) -> None:
        show = {"participant": participant, "source": "camera"}
        await self._signalling.ask("view", slots=[{"mid": self._video_mid, "show": show}])

    def report(self) -> None:
        """A receiver report, as Chromium sends one a second."""
        if self._transport is not None:
            self._transport.send_rtcp(packets.receiver_report(self._ssrc, []))

    def feed_back(self, now_us: int) -> None:
        """Transport feedback on some packets; what it says is made up, since nothing was read."""
        if self._transport is not None:
            first = self._feedbacks * _FED_BACK
            arrived = {first + number: now_us + 1000 * number for number in range(_FED_BACK)}
            feedback = packets.transport_feedback(self._ssrc, self._source, self._feedbacks, arrived)
            self._transport.send_rtcp(feedback)
            self._feedbacks += 1

    async def leave(self) -> None:
        if self._transport is not None:
            self._transport.close()
        await self._signalling.close()
