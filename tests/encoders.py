"""Frames of real encoders, to judge what is read of them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
from av import VideoFrame

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"tune": "zerolatency", "profile": "baseline", "preset": "ultrafast"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libsvtav1": {"preset": "11", "crf": "50", "svtav1-params": "pred-struct=1:lookahead=0"},
}


def encoded(codec: str, width: int, height: int, frames: int = 4, key_every: int = 2) -> list[tuple[bytes, bool]]:
    """(bytes, whether the encoder calls it a key frame) of each frame of a grey picture that grows lighter."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.gop_size = key_every
    encoder.options = dict(OPTIONS[codec])
    found = []
    for number in [*range(frames), None]:
        frame = None
        if number is not None:
            frame = VideoFrame(width=width, height=height)
            frame.pts = number
            for plane in frame.planes:
                plane.update(bytes([40 * number + 16]) * plane.buffer_size)
        found += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(frame)]
    return found
