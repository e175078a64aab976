"""The border between Python and the kernel: every row, its units, its writer; the verdicts.

Each dtype below has a C twin in `kernel/tables.pxd`, which is generated: `python -m sfu.routing.tables`
writes it, and a test compares. The kernel writes every table; Python reads single aligned 8-byte
counters from them and nothing else while the kernel runs. Times are microseconds of the monotonic
clock (`_us`); an index of -1 is "none".
"""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Any

import numpy as np

# Room for a packet in a ring and for a hand-up. 1,500 is the Ethernet MTU; larger datagrams are OVERSIZED.
PACKET_BYTES = 1504
# SSRCs one peer may bind (DESIGN section 3). More would let a stranger fill the stream table.
STREAMS_PER_PEER = 32
# Remembered missing packets of one layer. More would ask longer for what comes too late anyway.
MISSING_PER_LAYER = 64
# Segments kept of a slot: changes of offset that a late packet can still be mapped through.
SEGMENTS_PER_SLOT = 16
# Sent entries of a slot: a NACK older than this many packets ends as NACK_TOO_OLD.
SENT_PER_SLOT = 512
# References a pacer row can queue before it drops (QUEUE_FULL): about 100 ms of 2.5 Mbit/s.
QUEUE_PER_PEER = 64
AUDIO_SLOTS_PER_PEER = 8
# The most that a command says; ADD_SLOT needs them all.
NUMBERS_PER_COMMAND = 13
# Sources one peer may publish: camera, microphone, screen and its audio, and as many spare.
TRACKS_PER_PEER = 8
LAYERS_PER_TRACK = 4
# Speakers ranked in a room: one more than is heard, so that nobody is sent his own voice.
SEATS_PER_ROOM = 4
# Heads of the path table's hash chains. Fewer make the chains longer, more cost cache.
BUCKETS = 16384
# Arrival stamps kept for one TWCC report: 100 ms of 5,000 packets a second.
ARRIVALS_PER_PEER = 512
# Buckets of a forwarding latency: at most 32 us, 64 us, ... 2^14 x 32 us = 0.5 s, and all above. A power of two
# costs the kernel one instruction to find; other bounds would cost a search for every packet.
LATENCY_BUCKETS = 16
LATENCY_FIRST_US = 32
# The same buckets for round trips: at most 1 ms, 2 ms, ... 16 s, and all above.
RTT_FIRST_US = 1000


class Arrival(enum.IntEnum):
    """How a datagram ended. Exactly one each."""

    FORWARDED = 0
    NO_ROUTE = 1  # opened and kept in the ring; nobody wants this layer now
    RTX_RECOVERED = 2
    RTX_PADDING = 3  # an RTX packet with fewer than 2 bytes, or a probe without rid
    PADDING = 4  # a media packet without payload
    DUPLICATE = 5
    REPLAYED = 6
    MUTED = 7
    TOO_OLD = 8  # behind the ring
    STUN_ANSWERED = 9
    STUN_BAD = 10
    HANDED_UP = 11
    HAND_UP_FULL = 12  # Python is behind; the client will ask again
    RTCP_READ = 13
    RTCP_BAD = 14
    SRTP_BAD_TAG = 15
    SRTCP_BAD_TAG = 16
    NO_KEYS = 17
    UNKNOWN_PATH = 18
    UNBOUND = 19
    STREAMS_FULL = 20
    MALFORMED = 21
    OVERSIZED = 22
    EMPTY = 23
    UNKNOWN_KIND = 24
    RECEIVE_ERROR = 25
    OVER_LIMIT = 26  # the peer sends more than its grant allows
    RED_BAD = 27  # redundant audio (RFC 2198) that is cut short, or of another codec


class Departure(enum.IntEnum):
    """How a (packet, route) pair ended. Exactly one each."""

    SENT = 0
    WAIT_KEY_FRAME = 1
    TEMPORAL_DROP = 2
    BEFORE_SWITCH = 3
    TOO_LATE = 4
    AUDIO_EARLY = 5  # rule A3: this packet would add time; the next one is taken
    REFUSED_INDEX = 6
    NO_PATH = 7
    NO_KEYS = 8
    PATH_PAUSED = 9
    QUEUED = 10  # the later end of a queued pair is counted when it leaves the queue
    QUEUE_FULL = 11
    QUEUE_STALE = 12
    SEND_UNREACHABLE = 13
    SEND_INVALID = 14
    SEND_BUFFER = 15
    SEAL_FAILED = 16
    RTX_SENT = 17
    NACK_TOO_OLD = 18
    NACK_NO_RTX = 19
    RTCP_SENT = 20
    RTCP_LOST = 21
    OVERSIZED = 22
    PADDING = 23  # a packet without payload, left out of the outgoing numbers


class Command(enum.IntEnum):
    ADD_PEER = 1
    SET_PATH = 2
    DROP_PATH = 3
    SET_KEYS = 4
    ADD_TRACK = 5
    ADD_LAYER = 6
    ADD_SLOT = 7
    WANT = 8
    MUTE = 9
    DROP_SLOT = 10
    DROP_TRACK = 11
    DROP_PEER = 12
    SEND_RTCP = 13
    SET_RATE = 14
    SET_AUDIO = 15
    DROP_LAYER = 16
    SET_LIMIT = 17
    FENCE = 18  # answered by FENCED: all before it has been carried out


class Event(enum.IntEnum):
    STUN = 1  # data = the datagram; socket and address of its sender
    DTLS = 2  # row = peer
    PLI = 3  # row = slot
    FIR = 4  # row = slot
    RETIRED = 6  # a = Command.DROP_...
    SWITCHED = 7  # row = slot, a = layer, b = layer's generation, c = height
    LAYER = 8  # row = layer, a = height, b = width: first packet, or the size changed
    LEVELS = 9  # row = room; data = pairs of (track row i32, sum u32); a = how many pairs
    PATH = 10  # row = path: it became the peer's current path
    LEFT = 11  # row = slot: an audio slot was freed
    ENCRYPTED = 12  # row = peer: the first packet that opened
    FENCED = 13  # a = the number of the FENCE


class Kind(enum.IntEnum):
    AUDIO = 0
    VIDEO = 1


class Codec(enum.IntEnum):
    OTHER = 0
    OPUS = 1
    VP8 = 2
    H264 = 3
    VP9 = 4
    AV1 = 5


class Profile(enum.IntEnum):
    NONE = 0
    AEAD_AES_128_GCM = 1
    AEAD_AES_256_GCM = 2
    AES_CM_128_HMAC_SHA1_80 = 3


PEER = np.dtype(
    [
        ("received_at_us", "i8"),  # last datagram on any of its paths
        ("received_packets", "u8"),
        ("received_octets", "u8"),
        ("sent_packets", "u8"),
        ("sent_octets", "u8"),
        ("rtt_us", "i8"),  # round trip by its newest receiver report, 0 = none yet
        ("told_lost", "u8"),  # packets that its receiver reports called lost
        ("clock_offset_us", "i8"),  # smallest (arrival - sender's NTP) seen
        ("error_since_us", "i8"),  # first of a row of send errors, 0 = none
        ("paused_until_us", "i8"),
        ("rate_bps", "i8"),  # pacer; 0 = send now
        ("credit_bits", "i8"),
        ("credit_at_us", "i8"),
        ("report_at_us", "i8"),  # next TWCC report
        ("limit_bps", "i8"),  # of all that it sends; 0 = no limit
        ("allowance_bits", "i8"),  # what is left of the limit now, up to a second's worth; speech may overdraw it
        ("allowance_at_us", "i8"),
        ("generation", "u4"),
        ("room", "i4"),
        ("next_peer", "i4"),  # list of the room
        ("previous_peer", "i4"),
        ("path", "i4"),  # current path row
        ("sender_ssrc", "u4"),  # ours, in RTCP
        ("media_ssrc", "u4"),  # theirs: Chromium drops transport feedback that names none of its own
        ("queue_head", "u4"),
        ("queue_tail", "u4"),
        ("arrivals", "u4"),  # TWCC numbers noted since the last report
        ("arrival_base", "u4"),  # extended TWCC number of arrival ring entry 0's window
        ("arrival_newest", "u4"),
        ("report_count", "u4"),
        ("first_slot", "i4"),
        ("audio_slots", "i4", (AUDIO_SLOTS_PER_PEER,)),
        ("tracks", "i4", (TRACKS_PER_PEER,)),
        ("transport_sequence", "u2"),  # next TWCC number out
        ("live", "u1"),
        ("clock_known", "u1"),
        ("arrivals_known", "u1"),
        ("profile", "u1"),
        ("extension_mid", "u1"),
        ("extension_rid", "u1"),
        ("extension_repaired_rid", "u1"),
        ("extension_transport_cc", "u1"),
        ("extension_audio_level", "u1"),
        ("extension_orientation", "u1"),
        ("opened", "u1"),
        ("password_length", "u1"),
        ("password", "u1", (64,)),
    ],
    align=True,
)

PATH = np.dtype(
    [
        ("generation", "u4"),
        ("peer", "i4"),
        ("peer_generation", "u4"),
        ("next_path", "i4"),  # hash chain
        ("socket", "i4"),
        ("address_length", "u4"),
        ("hash", "u4"),
        ("live", "u1"),
        ("address", "u1", (28,)),  # struct sockaddr_in or sockaddr_in6
    ],
    align=True,
)

STREAM = np.dtype(
    [
        ("highest", "i8"),  # highest SRTP index received, -1 = none
        ("window", "u8", (4,)),  # replay window, bit 0 = highest
        ("ssrc", "u4"),
        ("layer", "i4"),  # -1 = known but bound to nothing yet
        ("live", "u1"),
        ("repair", "u1"),  # 1 = RTX of that layer
    ],
    align=True,
)

TRACK = np.dtype(
    [
        ("loud_at_us", "i8"),  # last packet above the threshold
        ("louder_since_us", "i8"),  # since when louder than the quietest seat by 6 dB
        ("level_sum", "u8"),  # since the last LEVELS event
        ("generation", "u4"),
        ("peer", "i4"),
        ("room", "i4"),
        ("clock_rate", "u4"),
        ("loudness", "i4"),  # smoothed, 127 - (-dBov), times 16
        ("seat", "i4"),
        ("layers", "i4", (LAYERS_PER_TRACK,)),
        ("live", "u1"),
        ("kind", "u1"),
        ("codec", "u1"),
        ("muted", "u1"),
        ("payload_type", "u1"),
        ("rtx_payload_type", "u1"),
        ("red_payload_type", "u1"),  # 0 = it sends no RED
        ("layer_count", "u1"),
        ("nack", "u1"),
        ("fresh", "u1"),  # took a seat just now: nobody has heard him before
        ("mid_length", "u1"),
        ("mid", "u1", (16,)),
    ],
    align=True,
)

LAYER = np.dtype(
    [
        ("newest", "i8"),  # highest source index in the ring, -1 = none yet
        ("oldest", "i8"),  # first source index ever kept
        ("key_frame", "i8"),  # index of the last key frame's first packet, -1 = none
        ("key_frame_at_us", "i8"),
        ("key_frames", "u8"),
        ("packets", "u8"),
        ("octets", "u8"),
        ("lost_reported", "i8"),  # expected and received at the last report (RFC 3550 A.3)
        ("expected_prior", "i8"),
        ("received_prior", "i8"),
        ("sr_at_us", "i8"),  # server clock of the capture instant that the last SR names
        ("sr_arrival_us", "i8"),
        ("jitter_q4", "i8"),  # RFC 3550 A.8, in timestamp units times 16
        ("transit", "i8"),
        ("report_at_us", "i8"),
        ("size_told_at_us", "i8"),
        ("generation", "u4"),
        ("track", "i4"),
        ("first_current", "i4"),  # slots that carry this layer
        ("first_wanted", "i4"),  # slots that wait for its key frame
        ("ssrc", "u4"),
        ("rtx_ssrc", "u4"),
        ("sr_timestamp", "u4"),
        ("sr_middle", "u4"),  # middle 32 bits of the SR's NTP, for LSR
        ("missing_count", "u4"),
        ("width", "u2"),
        ("height", "u2"),
        ("ring_mask", "u2"),
        ("live", "u1"),
        ("sr_known", "u1"),
        ("rid_length", "u1"),
        ("rid", "u1", (16,)),
    ],
    align=True,
)

PACKET = np.dtype(
    [
        ("index", "i8"),  # source index: ROC << 16 | sequence number; -1 = never used
        ("arrival_us", "i8"),
        ("timestamp", "u4"),
        ("generation", "u4"),  # of the layer
        ("length", "u2"),  # payload bytes
        ("picture_id", "u2"),
        ("level", "u1"),  # -dBov, 255 = not given
        ("voice", "u1"),
        ("marker", "u1"),
        ("key_frame", "u1"),  # first packet of a key frame
        ("frame_start", "u1"),
        ("temporal", "u1"),
        ("temporal_sync", "u1"),
        ("tl0", "u1"),
        ("descriptor", "u1"),  # bits: 1 picture id of 7 bits, 2 of 15 bits, 4 TL0PICIDX, 8 temporal id
        ("orientation", "u1"),  # 255 = not given
        ("repaired", "u1"),
        ("red", "u1"),  # bytes of RED headers in front of its blocks, 0 = plain
    ],
    align=True,
)

MISSING = np.dtype([("index", "i8"), ("asked_at_us", "i8"), ("asked", "u4"), ("pad", "u4")], align=True)

SLOT = np.dtype(
    [
        ("last_index", "i8"),  # highest outgoing index, -1 = none yet
        ("sent_window", "u8", (16,)),  # of 1,024; bit 0 = last_index
        ("rtx_index", "i8"),  # last index on the RTX SSRC
        ("last_source", "i8"),  # highest source index sent or dropped in this segment
        ("index_offset", "i8"),  # outgoing index = source index + offset
        ("clock_base_us", "i8"),  # server time at which the outgoing timestamp was `timestamp_base`
        ("last_arrival_us", "i8"),  # when the packet that set last_timestamp came in
        ("segment_start", "i8"),  # source index at the last switch
        ("report_at_us", "i8"),
        ("request_told_at_us", "i8"),  # its last PLI or FIR that went up
        ("reported_at_us", "i8"),  # when the last SR left; what it tells is the time of capture
        ("told_lost", "i8"),  # lost in all, by the newest receiver report
        ("packets", "u8"),
        ("octets", "u8"),
        ("generation", "u4"),
        ("reported_middle", "u4"),  # middle 32 bits of the last SR's NTP: what LSR repeats
        ("peer", "i4"),
        ("current_layer", "i4"),
        ("wanted_layer", "i4"),
        ("wanted_generation", "u4"),
        ("next_of_peer", "i4"),
        ("last_layer", "i4"),  # the layer of the newest segment, also after the slot was freed
        ("next_current", "i4"),
        ("previous_current", "i4"),
        ("next_wanted", "i4"),
        ("previous_wanted", "i4"),
        ("ssrc", "u4"),
        ("rtx_ssrc", "u4"),
        ("clock_rate", "u4"),
        ("timestamp_base", "u4"),
        ("timestamp_offset", "u4"),
        ("last_timestamp", "u4"),
        ("segment_count", "u4"),
        ("picture_offset", "i4"),
        ("tl0_offset", "i4"),
        ("last_picture", "i4"),
        ("last_tl0", "i4"),
        ("dropped_picture", "i4"),
        ("live", "u1"),
        ("kind", "u1"),
        ("codec", "u1"),
        ("ranked", "u1"),
        ("payload_type", "u1"),
        ("rtx_payload_type", "u1"),
        ("red_payload_type", "u1"),  # 0 = it takes no RED
        ("wanted_temporal", "u1"),
        ("current_temporal", "u1"),
        ("started", "u1"),
        ("mark_next", "u1"),
        ("mid_length", "u1"),
        ("mid", "u1", (16,)),
    ],
    align=True,
)

SEGMENT = np.dtype(
    [
        ("from_source", "i8"),
        ("index_offset", "i8"),
        ("timestamp_offset", "u4"),
        ("layer", "i4"),
        ("picture_offset", "i4"),
        ("tl0_offset", "i4"),
    ],
    align=True,
)

SENT = np.dtype(
    [
        ("source_low", "u4"),  # low 32 bits of the source index
        ("timestamp", "u4"),
        ("sequence", "u2"),
        ("layer", "u2"),
        ("picture_id", "u2"),
        ("tl0", "u1"),
        ("generation", "u1"),  # low bits of the layer's
    ],
    align=True,
)

QUEUED = np.dtype(
    [("source", "i8"), ("slot", "i4"), ("slot_generation", "u4"), ("layer", "i4"), ("layer_generation", "u4")],
    align=True,
)

ROOM = np.dtype(
    [
        ("levels_at_us", "i8"),
        ("first_peer", "i4"),
        ("peers", "u4"),
        ("seats", "i4", (SEATS_PER_ROOM,)),
        ("speaking", "u1"),
    ],
    align=True,
)

ARRIVAL = np.dtype([("at_us", "i8"), ("number", "u4"), ("pad", "u4")], align=True)

# What select decides of one (packet, route) pair, and rewrite writes.
DECISION = np.dtype(
    [
        ("index", "i8"),
        ("timestamp", "u4"),
        ("picture_id", "u2"),
        ("header_bytes", "u2"),
        ("tl0", "u1"),
        ("marker", "u1"),
    ],
    align=True,
)

COMMAND = np.dtype(
    [
        ("kind", "u4"),
        ("row", "i4"),
        ("generation", "u4"),
        ("length", "u4"),
        ("numbers", "i8", (NUMBERS_PER_COMMAND,)),
        ("bytes", "u1", (256,)),
    ],
    align=True,
)

EVENT = np.dtype(
    [
        ("a", "i8"),
        ("b", "i8"),
        ("c", "i8"),
        ("kind", "u4"),
        ("row", "i4"),
        ("generation", "u4"),
        ("length", "u4"),
        ("socket", "i4"),
        ("address_length", "u4"),
        ("address", "u1", (32,)),
        ("bytes", "u1", (PACKET_BYTES,)),
    ],
    align=True,
)

# From the receive stamp of a packet to the system call that sent it on, counted once for each (packet, route).
# Not of repairs, nor of what a viewer who has just switched is sent again from the ring: those are late on purpose.
LATENCY = np.dtype([("sum_us", "u8"), ("counts", "u8", (LATENCY_BUCKETS,))], align=True)

# The audio constants of DESIGN section 3, set once by SET_AUDIO.
AUDIO = np.dtype(
    [
        ("threshold", "i4"),  # 127 - (-dBov): packets at or above it are speech
        ("hold_us", "i4"),
        ("margin", "i4"),  # dB
        ("margin_us", "i4"),
    ],
    align=True,
)


@dataclasses.dataclass(frozen=True)
class Limits:
    """How many rows each table has. Zero pages cost nothing until they are used."""

    peers: int = 4096
    rooms: int = 1024
    tracks: int = 2048
    layers: int = 1024
    slots: int = 16384
    ring: int = 512  # packets a video layer keeps, a power of two: about 2 s of 2.5 Mbit/s
    audio_ring: int = 64
    commands: int = 4096
    events: int = 2048

    @property
    def paths(self) -> int:
        """Four paths a peer on average; one peer may have 16."""
        return self.peers * 4


def shapes(limits: Limits) -> dict[str, tuple[np.dtype[Any], int]]:
    """Every table by the name it has in the kernel's state, with its row type and number of rows."""
    return {
        "peers": (PEER, limits.peers),
        "paths": (PATH, limits.paths),
        "streams": (STREAM, limits.peers * STREAMS_PER_PEER),
        "tracks": (TRACK, limits.tracks),
        "layers": (LAYER, limits.layers),
        "packets": (PACKET, limits.layers * limits.ring),
        "missing": (MISSING, limits.layers * MISSING_PER_LAYER),
        "slots": (SLOT, limits.slots),
        "segments": (SEGMENT, limits.slots * SEGMENTS_PER_SLOT),
        "sent": (SENT, limits.slots * SENT_PER_SLOT),
        "queued": (QUEUED, limits.peers * QUEUE_PER_PEER),
        "rooms": (ROOM, limits.rooms),
        "arrivals": (ARRIVAL, limits.peers * ARRIVALS_PER_PEER),
        "decision": (DECISION, 1),
        "audio": (AUDIO, 1),
        "latency": (LATENCY, 1),
        "rtts": (LATENCY, 1),  # one count for each receiver report that tells one
    }


def allocate(limits: Limits) -> dict[str, np.ndarray[Any, Any]]:
    """Every table at its limit, zeroed, and the bytes beside them. "None" is written by the kernel as it adds rows."""
    arrays = {name: np.zeros(rows, dtype) for name, (dtype, rows) in shapes(limits).items()}
    arrays["payloads"] = np.zeros(limits.layers * limits.ring * PACKET_BYTES, np.uint8)
    arrays["arrived"] = np.zeros(len(Arrival), np.uint64)
    arrays["departed"] = np.zeros(len(Departure), np.uint64)
    arrays["counters"] = np.zeros(len(Counter), np.uint64)
    arrays["buckets"] = np.full(BUCKETS, -1, np.int32)
    arrays["commands"] = np.zeros(limits.commands, COMMAND)
    arrays["events"] = np.zeros(limits.events, EVENT)
    arrays["rooms"]["first_peer"] = -1
    arrays["rooms"]["seats"] = -1
    return arrays


C_TYPES = {
    "int64": "int64_t",
    "uint64": "uint64_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "uint16": "uint16_t",
    "uint8": "uint8_t",
}


def pxd() -> str:
    """The text of kernel/tables.pxd: the C twins, the state that holds them, the verdicts as enums."""
    lines = ["# Generated by `python -m sfu.routing.tables`; a test holds it and tables.py together.", ""]
    lines += ["from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t", ""]
    dtypes = {name: value for name, value in globals().items() if isinstance(value, np.dtype)}
    for name, dtype in dtypes.items():
        lines += ["", f"ctypedef struct {name.capitalize()}Row:"]
        assert dtype.names is not None and dtype.fields is not None
        for field in dtype.names:
            base, shape = dtype.fields[field][0].base, dtype.fields[field][0].shape
            suffix = f"[{shape[0]}]" if shape else ""
            lines.append(f"    {C_TYPES[base.name]} {field}{suffix}")
    lines += ["", "ctypedef State_ State", "", "cdef struct State_:"]
    for table, (dtype, _) in shapes(Limits()).items():
        name = next(known for known, value in dtypes.items() if value is dtype)
        lines.append(f"    {name.capitalize()}Row* {table}")
    lines += ["    uint8_t* payloads", "    uint64_t* arrived", "    uint64_t* departed"]
    lines += ["    uint64_t* counters", "    int32_t* buckets", "    int32_t ring", "    int32_t audio_ring"]
    lines += ["    int64_t now_us", "    int32_t from_ring", "    void* kernel"]
    # Seal and send one packet to a slot; queue it; tell Python a fact. Pointers, so that forward knows no socket.
    lines += ["    int (*emit)(State*, int32_t, int64_t) noexcept nogil"]
    lines += ["    void (*tell)(State*, int, int32_t, int64_t, int64_t, int64_t) noexcept nogil"]
    constants = {key: value for key, value in globals().items() if key.isupper() and type(value) is int}
    lines += ["", "cdef enum:"] + [f"    {key} = {value}" for key, value in constants.items()]
    for prefix, members in (
        ("ARRIVAL", Arrival), ("DEPARTURE", Departure), ("COMMAND", Command), ("EVENT", Event), ("KIND", Kind),
        ("CODEC", Codec), ("PROFILE", Profile), ("COUNTER", Counter),
    ):  # fmt: skip
        lines += ["", "cdef enum:"] + [f"    {prefix}_{m.name} = {m.value}" for m in members]
    return "\n".join(lines) + "\n"


def bucket_bounds_us(first_us: int) -> tuple[int, ...]:
    """The upper bounds of a LATENCY row's buckets but the last, which has none; a bound belongs to its bucket."""
    return tuple(first_us << i for i in range(LATENCY_BUCKETS - 1))


class Counter(enum.IntEnum):
    """Monotonic sums of the kernel that belong to no verdict."""

    RECEIVED_PACKETS = 0
    RECEIVED_OCTETS = 1
    SENT_PACKETS = 2
    SENT_OCTETS = 3
    STEPS = 4
    BUSY_NS = 5
    COMMANDS = 6
    COMMANDS_STALE = 7
    EVENTS_LOST = 8
    NACKS_READ = 9
    NACKS_WRITTEN = 10
    REPORTS_READ = 11
    TRANSPORT_REPORTS_WRITTEN = 12
    SENDER_REPORTS_WRITTEN = 13
    SWITCHES = 14
    AUDIO_SWITCHES = 15
    PACKETS_LOST = 16  # gaps seen on the way in
    KEY_FRAMES = 17
    WORKING_US = 18  # between waking and waiting again, by the clock; BUSY_NS is processor time
    SOCKET_DROPS = 19  # datagrams that the system threw away because our receive buffer was full (SO_RXQ_OVFL)
    PLIS_READ = 20
    FIRS_READ = 21
    PLIS_WRITTEN = 22
    TOLD_LOST = 23  # packets that receiver reports called lost


if __name__ == "__main__":
    Path(__file__).with_name("kernel").joinpath("tables.pxd").write_text(pxd())
