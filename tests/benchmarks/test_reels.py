"""Decoders see and hear what a light client publishes, and the stamps behind it still hold."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from benchmarks import reels, stamps
from benchmarks.decoded import Winding, heard_ms
from benchmarks.foreign import identify, sounds
from benchmarks.packets import Rtp
from benchmarks.receiving import FOREIGN, Slot
from benchmarks.sending import Camera, Layer, Microphone

LAYERS = (Layer("q", 160, 90, 60),)
NUMBER = 20


@pytest.fixture
def reel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> reels.Reel:
    monkeypatch.setattr(reels, "FOLDER", tmp_path)
    return reels.reel(NUMBER, LAYERS)


def at_us(frame: int) -> int:
    return 1_000_000 + frame * 100_000


def film(camera: Camera, frames: int, keys: tuple[int, ...] = ()) -> list[Rtp]:
    found: list[Rtp] = []
    for frame in range(frames):
        if frame in keys:
            camera.ask_key_frame(at_us(frame))
        found += camera.frame_of_all_layers(at_us(frame))
    return found


def unstamped(packet: Rtp) -> Rtp:
    """As an encoder without stamps sends it."""
    packet.payload = packet.payload[: -stamps.STAMP_BYTES]
    return packet


def test_stamps_hold_and_the_decoded_picture_says_the_same(reel: reels.Reel) -> None:
    camera = Camera(NUMBER, "camera", "c", LAYERS, 500, reel, 10)
    one, other = Slot("0", "video", 1000, 2000), Slot("1", "video", 1000, 2000, keeps_foreign=True)
    packets = film(camera, 130, keys=(20, 25))
    for at, packet in enumerate(packets):
        one.take(packet, at_us(at))
    for at, packet in enumerate(packets):
        other.take(unstamped(packet), at_us(at))
    wound = [(0, 0), (20, 50), (25, 100), (75, 150), (125, 0)]
    assert camera.groups == [(frame, place, at_us(frame)) for frame, place in wound]
    shown, unreadable = identify(other, {NUMBER: Winding(camera.groups)}, {90: 0})
    assert unreadable == 0
    assert shown == one.shown
    assert one.report().wrong_content == one.report().broken_pictures == 0


def test_a_key_frame_request_is_answered_by_a_frame_that_needs_no_other(reel: reels.Reel) -> None:
    packets = film(Camera(NUMBER, "camera", "c", LAYERS, 500, reel, 10), 30, keys=(20,))
    assert [stamps.read_vp8(packet.payload)[0].key_frame for packet in packets].index(True, 1) == 20
    fresh = av.CodecContext.create("vp8", "r")
    assert fresh.decode(av.Packet(packets[20].payload[6:]))[0].height == 90


def test_a_second_run_takes_the_reel_from_its_folder(reel: reels.Reel, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was encoded again")

    monkeypatch.setattr(reels, "_film", never)
    assert reels.reel(NUMBER, LAYERS) == reel


def test_a_picture_in_the_place_of_another_person_is_seen(reel: reels.Reel) -> None:
    """A stretch without stamps between two with stamps is one of its own."""
    mine = film(Camera(1, "camera", "c", LAYERS, 500), 5)
    other = film(Camera(NUMBER, "camera", "c", LAYERS, 500, reel), 6)
    slot = Slot("0", "video", 1000, 2000, keeps_foreign=True)
    for at, packet in enumerate([*mine[:3], *map(unstamped, other[3:6]), *mine[3:]]):
        packet.sequence = at
        slot.take(packet, at)
    assert [one.participant for one in slot.shown] == [1, FOREIGN, 1]
    slot.shown, unreadable = identify(slot, {NUMBER: Winding()}, {90: 0})
    assert unreadable == 3  # it does not begin with a key frame


def test_a_voice_is_heard_for_as_long_as_it_spoke() -> None:
    microphone = Microphone(NUMBER, "microphone", "m", 1, reels.voice(NUMBER))
    slot = Slot("0", "audio", 1000, 0, keeps_foreign=True)
    for frame in range(220):
        microphone.speaking = 50 <= frame < 150
        packet = microphone.next_frame(frame * 20_000)
        assert stamps.read_opus(packet.payload).frame == frame
        packet.payload = packet.payload[:-1] + bytes([packet.payload[-1] ^ 1])  # the stamp no longer holds
        slot.take(packet, frame * 20_000)
    found = heard_ms([(sounds(slot, 40), ())])
    assert found == {NUMBER: pytest.approx(2000, abs=8)}
