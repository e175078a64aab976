"""What stands in the rows: peers, their tracks and layers, their slots."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfu import channel
from sfu.routing.allocation import LayerState
from sfu.routing.commands import Row
from sfu.routing.tables import Codec, Kind

KINDS = {"audio": Kind.AUDIO, "video": Kind.VIDEO}
CODECS = {"opus": Codec.OPUS, "VP8": Codec.VP8, "H264": Codec.H264, "VP9": Codec.VP9, "AV1": Codec.AV1}
# A layer that sent nothing for so long is not chosen. Shorter flaps at low frame rates.
LAYER_SILENT_S = 1.0


@dataclass(slots=True)
class Layer:
    row: Row
    rid: str
    ssrc: int = 0
    height: int = 0  # pixels, 0 = its key frames do not tell
    seen: bool = False  # it has shown a key frame
    packets: int = 0
    octets: int = 0
    moved_at: float = -1e9  # when its packet counter last rose
    bps: int = 0


@dataclass(slots=True)
class Track:
    number: int
    row: Row
    peer: int
    kind: Kind
    codec: str
    description: channel.TrackDescription
    layers: list[Layer]
    muted: bool = False
    told: tuple[tuple[str, int, int], ...] = ()

    def states(self, now: float) -> list[LayerState]:
        return [
            LayerState(at, layer.height, layer.seen and now - layer.moved_at < LAYER_SILENT_S)
            for at, layer in enumerate(self.layers)
        ]


@dataclass(slots=True)
class Slot:
    mid: str
    row: Row
    peer: int
    kind: Kind
    description: channel.SlotDescription
    wish: channel.SlotWish | None = None
    wanted: Row | None = None  # the layer last asked for
    temporal: int = 3
    reason: str = ""
    shown: tuple[int, int, str] = (0, 0, "")  # track, height, reason: as the node was last told
    carried: int = 0  # the track that the kernel says it carries

    @property
    def ranked(self) -> bool:
        """Whether the kernel fills it with who speaks; an audio slot of a pair follows its picture instead."""
        return self.kind is Kind.AUDIO and not self.description.pair


@dataclass(slots=True)
class Peer:
    number: int
    row: Row
    room: int
    sender_ssrc: int
    password: bytes = b""
    connected: bool = False
    profile: int = 0  # tables.Profile, once connected
    tracks: dict[int, Track] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    silent: bool = False
    max_kbps: int = 0
