"""Decodes what a light client's slots kept without a stamp: what libwebrtc encoded. PyAV; after the meeting."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import av
import numpy as np
from aiortc.codecs.vpx import VpxPayloadDescriptor

from benchmarks import people
from benchmarks.decoded import Seen, Winding, Window, stretches, windows
from benchmarks.receiving import FOREIGN, Foreign, Shown, Slot
from tests.media import SAMPLE_RATE_HZ, hue_of, read_painted


def identify(slot: Slot, windings: Mapping[int, Winding], layer_of: Mapping[int, int]) -> tuple[list[Shown], int]:
    """The slot's stretches with those without stamps told apart, and the pictures in them that cannot be read."""
    shown: list[Shown] = []
    unreadable = 0
    for at, stretch in enumerate(slot.shown):
        if stretch.participant != FOREIGN:
            shown.append(stretch)
            continue
        kept = sorted((one for one in slot.foreign if one.stretch == at), key=lambda one: one.number)
        found, faults = stretches(_pictures(kept), windings, layer_of)
        shown += found
        unreadable += faults
    return shown, unreadable


def _pictures(kept: list[Foreign]) -> Iterator[Seen]:
    """Every frame of one stretch. A frame that does not decode is one that cannot be read."""
    decoder = av.CodecContext.create("vp8", "r")
    for _, group in itertools.groupby(kept, key=lambda one: one.timestamp):
        parts = list(group)
        frame = b"".join(VpxPayloadDescriptor.parse(part.payload)[1] for part in parts)
        try:
            decoded = decoder.decode(av.Packet(frame))
        except av.FFmpegError:
            decoded = []
        at_us = parts[-1].at_us
        yield _look(decoded[0], at_us) if decoded else Seen(at_us, None, 0, 0)


def _look(picture: av.VideoFrame, at_us: int) -> Seen:
    """From the planes as they are: a conversion to RGB would cost ten times the decoding."""
    height, width = picture.height, picture.width
    planes = np.asarray(picture.to_ndarray(), np.uint8)  # yuv420p: Y, then U, then V
    painted = read_painted(planes[:height])
    if painted is None:
        return Seen(at_us, None, 0, height)
    chroma = planes[height:].reshape(2, height // 2, width // 2)[:, height * 2 // 6 :]
    luma = 1.164 * (float(planes[height * 4 // 6 : height].mean()) - 16)
    cb, cr = (float(plane.mean()) - 128 for plane in chroma)
    hue_deg = hue_of(luma + 1.596 * cr, luma - 0.391 * cb - 0.813 * cr, luma + 2.018 * cb)
    return Seen(at_us, people.who(painted.source, hue_deg), painted.number, height)


def sounds(slot: Slot, count: int) -> list[Window]:
    """What is heard in the slot's packets without a stamp, of `count` people's tones."""
    decoder = av.CodecContext.create("opus", "r")
    decoder.sample_rate, decoder.layout = SAMPLE_RATE_HZ, "mono"
    found: list[Window] = []
    for packet in sorted(slot.foreign, key=lambda one: one.number):
        for frame in decoder.decode(av.Packet(packet.payload)):
            samples = frame.to_ndarray().reshape(len(frame.layout.channels), -1)[0].astype(np.float64)
            scale = 32768.0 if "flt" in frame.format.name else 1.0
            found += windows(samples * scale, SAMPLE_RATE_HZ, packet.at_us, count)
    return found
