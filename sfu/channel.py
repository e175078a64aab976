"""What the node and a worker say to each other: typed commands down, typed events up.

The two processes share one Unix stream socket. A message is a msgspec Struct in msgpack behind a
4-byte big-endian length; the tag is the class name. Commands that carry a `request` are answered by
exactly one `Done` or `Refused` with the same number. Numbers for peers, rooms and tracks are drawn
by the node, rise for ever and are never used again, so a late event about a dead one is harmless.
"""

from __future__ import annotations

import asyncio

import msgspec

# A Describe of 500 m-lines is about 100 kB. A larger limit only lets a broken side hold more memory.
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
# A page of peers is cut there. Larger: writing it takes the worker's loop more than a few milliseconds.
INSPECTION_BYTES_MAX = 64 * 1024

Kind = str  # "audio" or "video"


class ChannelError(Exception):
    """The other process broke the framing or the types: a fault of ours, the channel must be closed."""


class Fingerprint(msgspec.Struct, frozen=True):
    algorithm: str  # lower case, as in RFC 8122: "sha-256"
    value: str  # upper-case hex pairs with colons


class IceParameters(msgspec.Struct, frozen=True):
    local_ufrag: str
    local_pwd: str
    remote_ufrag: str
    remote_pwd: str


class Extensions(msgspec.Struct, frozen=True):
    """Header-extension ids of one peer connection (one space per BUNDLE group, RFC 8843); 0 = not negotiated."""

    mid: int = 0
    rid: int = 0
    repaired_rid: int = 0
    transport_cc: int = 0
    audio_level: int = 0
    abs_send_time: int = 0
    video_orientation: int = 0
    playout_delay: int = 0
    dependency_descriptor: int = 0


class BoundSsrc(msgspec.Struct, frozen=True):
    """An SSRC that the offer names by `a=ssrc`, with its RTX SSRC from `a=ssrc-group:FID` (0 = none)."""

    ssrc: int
    rtx_ssrc: int = 0
    rid: str = ""


class TrackDescription(msgspec.Struct, frozen=True):
    """One source that the peer publishes, as negotiated."""

    track: int
    mid: str
    kind: Kind
    codec: str  # "opus", "VP8", ... as in rtpmap
    payload_type: int
    clock_rate: int
    rtx_payload_type: int = 0
    rids: tuple[str, ...] = ()  # empty = one layer
    ssrcs: tuple[BoundSsrc, ...] = ()
    nack: bool = False
    red_payload_type: int = 0  # 0 = it sends no redundant audio (RFC 2198)


class SlotDescription(msgspec.Struct, frozen=True):
    """One outgoing stream of the peer, as negotiated. Its SSRCs live as long as the DTLS session."""

    mid: str
    kind: Kind
    codec: str
    payload_type: int
    clock_rate: int
    ssrc: int
    rtx_payload_type: int = 0
    rtx_ssrc: int = 0
    pair: str = ""  # the mid of the slot of the other kind that is lip-synced with this one
    red_payload_type: int = 0  # 0 = it takes no redundant audio


class Describe(msgspec.Struct, frozen=True, tag=True):
    """All that was negotiated with a peer, after one offer. Sent again after each; the worker makes it so.

    Tracks and slots that stood in the last description and are missing here are dropped.
    """

    request: int
    peer: int
    room: int
    ice: IceParameters
    fingerprints: tuple[Fingerprint, ...]
    dtls_server: bool  # True: we wait for the ClientHello (we answered a=setup:passive)
    extensions: Extensions
    tracks: tuple[TrackDescription, ...] = ()
    slots: tuple[SlotDescription, ...] = ()
    max_kbps: int = 0  # of all that the peer sends; 0 = no limit


class SlotWish(msgspec.Struct, frozen=True):
    """What one video slot shall show. Audio slots are filled by the kernel unless they are one of a pair."""

    mid: str
    track: int = 0  # 0 = nothing
    max_height: int = 0  # pixels; 0 = no limit
    max_fps: int = 0  # 0 = no limit
    priority: int = 0
    audio_track: int = 0  # for a paired slot: the audio that follows this picture


class View(msgspec.Struct, frozen=True, tag=True):
    """What the peer's video slots shall show from now on; slots not named keep their wish."""

    peer: int
    slots: tuple[SlotWish, ...]


class Limit(msgspec.Struct, frozen=True, tag=True):
    """Another limit for all that a peer sends."""

    peer: int
    max_kbps: int  # 0 = none


class Mute(msgspec.Struct, frozen=True, tag=True):
    """A muted track is received and counted (verdict MUTED) and not forwarded."""

    track: int
    muted: bool


class Close(msgspec.Struct, frozen=True, tag=True):
    """Forget the peer, its tracks and its slots. A second Close is harmless."""

    peer: int


class Snapshot(msgspec.Struct, frozen=True, tag=True):
    """Ask for the worker's counters; answered by Counters."""

    request: int


class Inspect(msgspec.Struct, frozen=True, tag=True):
    """Ask what single peers are doing, for a person who looks; answered by Inspection."""

    request: int
    room: int = 0  # 0 = every room
    after: int = 0  # only peers with a higher number


class Meter(msgspec.Struct, frozen=True, tag=True):
    """Ask what every peer received and sent so far; answered by Metered."""

    request: int


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End the worker within a second."""


Command = Describe | View | Limit | Mute | Close | Snapshot | Inspect | Meter | Stop


class WorkerReady(msgspec.Struct, frozen=True, tag=True):
    """The first event of a worker: where it listens and who it is in DTLS."""

    worker: int
    pid: int
    addresses: tuple[tuple[str, int], ...]  # (ip, UDP port) of each bound socket
    fingerprint: Fingerprint


class Done(msgspec.Struct, frozen=True, tag=True):
    request: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The command was not carried out; `code` is one of signalling's error codes."""

    request: int
    code: str
    reason: str


class PeerConnected(msgspec.Struct, frozen=True, tag=True):
    """ICE and DTLS are done, keys are in the kernel: media can flow."""

    peer: int


class PeerFailed(msgspec.Struct, frozen=True, tag=True):
    """The peer connection cannot be used; the node tells the client `code` and `reason`."""

    peer: int
    code: str
    reason: str


class PathSilent(msgspec.Struct, frozen=True, tag=True):
    """No datagram came on the peer's path for 30 s (silent), or one came again."""

    peer: int
    silent: bool


class SlotShown(msgspec.Struct, frozen=True, tag=True):
    """A fact: this slot now carries that track at this height (0 = unknown, or audio); track 0 = nothing."""

    peer: int
    mid: str
    track: int
    height: int
    reason: str = ""  # why not more: "", "waiting_for_key_frame", "codec", "no_such_layer"


class TrackLayers(msgspec.Struct, frozen=True, tag=True):
    """The layers that a track really sends, smallest first: (rid, height, bits per second)."""

    track: int
    layers: tuple[tuple[str, int, int], ...]


class Levels(msgspec.Struct, frozen=True, tag=True):
    """How loud each speaking track of a room was in the last 100 ms.

    `levels` holds (track, sum over packets of (127 - level in -dBov)): larger is louder. Sent only
    while somebody speaks, and once more, empty, when nobody does any longer.
    """

    room: int
    levels: tuple[tuple[int, int], ...]


class Histogram(msgspec.Struct, frozen=True):
    """Counts by upper bound in seconds, not cumulative; the last count has no bound."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]  # one more than bounds
    sum_s: float


class ProcessUse(msgspec.Struct, frozen=True):
    """What one process uses of the machine."""

    cpu_s: float  # user and system, since it began
    resident_bytes: int
    open_files: int
    open_files_max: int  # the soft limit; -1 = none


class Counters(msgspec.Struct, frozen=True, tag=True):
    """The answer to Snapshot. Sums by kind, never by peer, so its size does not grow with the room."""

    request: int
    arrivals: dict[str, int]  # Arrival verdict -> datagrams
    departures: dict[str, int]  # Departure verdict -> (packet, route) pairs
    packets: dict[str, int]  # "received", "sent"
    octets: dict[str, int]  # "received", "sent"
    rows: dict[str, int]  # "peers", "tracks", "slots" in use
    counters: dict[str, int]  # further monotonic counters by name
    loop_lag_ms: float  # largest lag of the worker's loop since the last snapshot
    kernel_busy_share: float  # time working / time passed, of the kernel thread in its last half second
    forward_latency: Histogram  # from the receive stamp of a packet to the call that sent it on
    round_trips: Histogram  # to those who are sent media, by each of their receiver reports
    socket_buffer_bytes: dict[str, int]  # "receive", "send": the smallest granted to any socket
    process: ProcessUse


class InspectedLayer(msgspec.Struct, frozen=True):
    rid: str
    height: int  # pixels; 0 = not known yet
    bps: int  # in the last half second
    active: bool  # a packet of it came in the last second


class InspectedTrack(msgspec.Struct, frozen=True):
    track: int
    kind: Kind
    codec: str
    muted: bool
    layers: tuple[InspectedLayer, ...]


class InspectedSlot(msgspec.Struct, frozen=True):
    """What one slot carries, and why not what was wished."""

    mid: str
    kind: Kind
    codec: str
    wished: int  # track; 0 = nothing
    max_height: int  # of the wish; 0 = no limit
    carried: int  # track; 0 = nothing
    layer: str  # rid of the layer that it shall carry
    height: int
    reason: str  # as SlotShown tells it
    packets: int  # sent in it


class InspectedPeer(msgspec.Struct, frozen=True):
    """One peer connection by its numbers: no name, no address."""

    peer: int
    room: int
    state: str  # "negotiated" (no keys yet), "connected", or "silent" for too long
    paths: int
    family: str  # of the path that media takes: "ipv4", "ipv6", or "" without one
    srtp: str  # profile, "" before the handshake is done
    silent_ms: int  # since the last authenticated datagram
    rtt_ms: float  # by its newest receiver report; 0 = not known
    told_lost: int  # packets that its receiver reports called lost
    received_packets: int
    sent_packets: int
    max_kbps: int  # of what it may send; 0 = no limit
    tracks: tuple[InspectedTrack, ...]
    slots: tuple[InspectedSlot, ...]


class Inspection(msgspec.Struct, frozen=True, tag=True):
    """The answer to Inspect: a page of peers, of at most INSPECTION_BYTES_MAX."""

    request: int
    peers: tuple[InspectedPeer, ...]
    following: int  # `after` for the next page; 0 = that was the last


class Metered(msgspec.Struct, frozen=True, tag=True):
    """The answer to Meter, and for a single peer the last word when it is closed (then `request` is 0)."""

    request: int
    octets: tuple[tuple[int, int, int], ...]  # (peer, received from it, sent to it): whole datagrams, since it began


Event = (
    WorkerReady | Done | Refused | PeerConnected | PeerFailed | PathSilent
    | SlotShown | TrackLayers | Levels | Counters | Inspection | Metered
)  # fmt: skip


_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(Event)


def encode(message: Command | Event) -> bytes:
    """One message as it stands on the socket, length first."""
    body = _encoder.encode(message)
    if len(body) > MESSAGE_BYTES_MAX:
        raise ChannelError(f"a {type(message).__name__} of {len(body)} bytes is over the limit of {MESSAGE_BYTES_MAX}")
    return len(body).to_bytes(4, "big") + body


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    """The next body; None when the other side has closed between two messages."""
    length = 0
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > MESSAGE_BYTES_MAX:
            raise ChannelError(f"a message of {length} bytes is over the limit of {MESSAGE_BYTES_MAX}")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        if length or error.partial:
            raise ChannelError("the channel was closed in the middle of a message") from error
        return None
    except ConnectionResetError:
        return None


async def read_command(reader: asyncio.StreamReader) -> Command | None:
    """The node's next command, or None at the end. Raises ChannelError."""
    body = await _read(reader)
    try:
        return None if body is None else _commands.decode(body)
    except msgspec.DecodeError as error:
        raise ChannelError(str(error)) from error


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The worker's next event, or None at the end. Raises ChannelError."""
    body = await _read(reader)
    try:
        return None if body is None else _events.decode(body)
    except msgspec.DecodeError as error:
        raise ChannelError(str(error)) from error
