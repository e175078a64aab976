"""[I/O] What true encoders make of a person's painted picture and tone, made once and played over and over.

Encoding for forty at once would cost more than the server under test. A reel is a few groups of pictures; a request for
a key frame goes on with the next group, so the painted number tells the place in the reel and not the frame's number.
Reels are kept in `build/reels`.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from benchmarks import people
from benchmarks.decoded import TONE_PEAK
from benchmarks.sending import FPS, PACKET_BYTES, Layer
from tests import media
from tests.servers import ROOT

FOLDER = ROOT / "build" / "reels"
# A key frame every 5 s at the latest, at 10 fps. Requests come 300 ms apart or more, so a place comes again after 1.2 s
# at the earliest: whoever decodes one knows which of the frames sent it was.
GROUPS, GROUP_FRAMES = 4, 50
OPUS_BPS = 32_000
OPUS_SAMPLES = 960
_LENGTH = struct.Struct("!H")


@dataclass(frozen=True)
class Reel:
    """`layers[at][place]` is one VP8 frame; the first of each `group` frames is a key frame."""

    layers: tuple[tuple[bytes, ...], ...]
    group: int

    def next_group(self, place: int) -> int:
        """The place of the key frame that comes behind `place`."""
        return (place // self.group + 1) * self.group % len(self.layers[0])


@dataclass(frozen=True)
class Voice:
    """Opus packets of one frame each: silence, and a tone from its onset on; from `steady` on it may be repeated."""

    silence: tuple[bytes, ...]
    tone: tuple[bytes, ...]
    steady: int = 10

    def frame(self, speaking: bool, since: int) -> bytes:
        """The frame number `since` after the change to speech or to silence."""
        frames = self.tone if speaking else self.silence
        return frames[
            since if since < len(frames) else self.steady + (since - self.steady) % (len(frames) - self.steady)
        ]


def reel(number: int, layers: Sequence[Layer]) -> Reel:
    """This person's, from the folder or made now. Takes about half a second for each layer of 360 lines."""
    wanted = [(layer.width, layer.height, layer.kbps) for layer in layers]
    recipe = repr((number, wanted, GROUPS, GROUP_FRAMES, av.__version__)).encode() + Path(__file__).read_bytes()
    kept = FOLDER / f"{hashlib.sha256(recipe).hexdigest()[:20]}.vp8"
    if not kept.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        # Under another name first: another run must not read half a reel.
        fresh = kept.with_suffix(f".{os.getpid()}.tmp")
        frames = [frame for layer in layers for frame in _film(number, layer)]
        fresh.write_bytes(b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames))
        fresh.rename(kept)
    frames, length = list(_frames(kept.read_bytes())), GROUPS * GROUP_FRAMES
    return Reel(tuple(tuple(frames[at * length : (at + 1) * length]) for at in range(len(layers))), GROUP_FRAMES)


def _frames(octets: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(octets):
        (length,) = _LENGTH.unpack_from(octets, at)
        yield octets[at + 2 : at + 2 + length]
        at += 2 + length


def _film(number: int, layer: Layer) -> Iterator[bytes]:
    """All groups of one layer. Raises ValueError when a frame does not fit into one packet with its stamp."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = layer.width, layer.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.bit_rate, encoder.thread_count = layer.kbps * 1000, 1
    # One quality throughout, plain pictures in one packet each; the filling makes up the rate.
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "qmin": "40", "qmax": "40"}
    encoder.gop_size = GROUPS * GROUP_FRAMES + 1
    for place in range(GROUPS * GROUP_FRAMES):
        frame = _painted(number, layer, place)
        frame.pts = place
        if place % GROUP_FRAMES == 0:
            frame.pict_type = PictureType.I
        for packet in encoder.encode(frame):
            made = bytes(packet)
            if len(made) > PACKET_BYTES or packet.is_keyframe != (place % GROUP_FRAMES == 0):
                raise ValueError(f"frame {place} of {layer} has {len(made)} bytes, key frame: {packet.is_keyframe}")
            yield made


def _painted(number: int, layer: Layer, place: int) -> av.VideoFrame:
    """Painted small and blown up by whole pixels: painting in full size takes longer than encoding."""
    factor = max(1, layer.height // 90)
    width, height = layer.width // factor, layer.height // factor
    picture = media.paint(width, height, people.hue_deg_of(number), people.source_of(number), place)
    planes = [plane.repeat(factor, 0).repeat(factor, 1) for plane in media.to_i420(picture)]
    flat = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(layer.height * 3 // 2, layer.width)
    return av.VideoFrame.from_ndarray(flat, format="yuv420p")


def voice(number: int) -> Voice:
    """This person's, made in about ten milliseconds."""
    frames, onset = 60, 15
    at = np.arange(frames * OPUS_SAMPLES) / media.SAMPLE_RATE_HZ
    tone = TONE_PEAK * np.sin(2 * np.pi * people.tone_hz_of(number) * at)
    samples = np.zeros((onset + 2 * frames) * OPUS_SAMPLES)
    samples[onset * OPUS_SAMPLES : (onset + frames) * OPUS_SAMPLES] = tone
    packets = list(_opus(np.rint(samples).astype(np.int16)))
    return Voice(tuple(packets[onset + frames : onset + 2 * frames]), tuple(packets[onset : onset + frames]))


def _opus(samples: NDArray[np.int16]) -> Iterator[bytes]:
    """Mono packets of 20 ms, all of one size and of the low-delay mode."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = media.SAMPLE_RATE_HZ, "mono", "s16"
    encoder.bit_rate = OPUS_BPS
    encoder.options = {"application": "lowdelay", "frame_duration": "20", "vbr": "off"}
    for at in range(0, samples.size, OPUS_SAMPLES):
        frame = av.AudioFrame.from_ndarray(samples[at : at + OPUS_SAMPLES].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = media.SAMPLE_RATE_HZ, at
        for packet in encoder.encode(frame):
            yield bytes(packet)
