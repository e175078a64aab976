"""The writer of the command ring: order when it is full, and the numbers that the kernel reads."""

from __future__ import annotations

from sfu.channel import Extensions
from sfu.routing.commands import Commands, Row
from sfu.routing.tables import Codec, Command, Kind
from sfu.wire import sockaddr

PEER, OTHER = Row(3, 9), Row(4, 2)


class Ring:
    """As much room as the test gives."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.taken: list[tuple[int, int, int, tuple[int, ...], bytes]] = []
        self.woken = 0

    def push(self, kind: int, row: int, generation: int, numbers: tuple[int, ...], data: bytes) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.taken.append((kind, row, generation, numbers, data))
        return True

    def wake(self) -> None:
        self.woken += 1

    def rows(self) -> list[int]:
        return [command[1] for command in self.taken]


def test_a_command_goes_into_the_ring_at_once() -> None:
    ring = Ring()
    commands = Commands(ring)
    commands.drop_peer(PEER)
    assert ring.taken == [(Command.DROP_PEER, 3, 9, (), b"")]
    assert not commands.pending
    assert commands.pushed == 1


def test_what_finds_no_room_waits_in_order_and_nothing_overtakes_it() -> None:
    ring = Ring(room=2)
    commands = Commands(ring)
    for row in range(5):
        commands.drop_slot(Row(row, 1))
    assert ring.rows() == [0, 1]
    ring.room = 1  # room came, but the next command must not take it before those that wait
    commands.drop_slot(Row(5, 1))
    assert ring.rows() == [0, 1]
    commands.drain()
    assert ring.rows() == [0, 1, 2]
    assert commands.pending
    ring.room = 100
    commands.drain()
    assert ring.rows() == [0, 1, 2, 3, 4, 5]
    assert not commands.pending
    assert commands.pushed == 6


def test_draining_wakes_the_kernel_once_for_all_that_it_has_not_read() -> None:
    ring = Ring()
    commands = Commands(ring)
    commands.drain()
    assert ring.woken == 0  # there is nothing to read, and waking is not free
    commands.drop_slot(PEER)
    commands.drop_slot(OTHER)
    commands.drain()
    commands.drain()
    assert ring.woken == 1
    ring.room = 0
    commands.drop_slot(PEER)
    commands.drain()
    assert ring.woken == 1  # it waits for room, which the kernel makes by itself
    ring.room = 1
    commands.drain()
    assert ring.woken == 2


def test_a_fence_goes_behind_what_waits() -> None:
    ring = Ring(room=1)
    commands = Commands(ring)
    commands.drop_slot(PEER)
    commands.drop_slot(OTHER)
    commands.fence(7)
    ring.room = 5
    commands.drain()
    assert [command[0] for command in ring.taken] == [Command.DROP_SLOT, Command.DROP_SLOT, Command.FENCE]
    assert ring.taken[-1][3] == (7,)


def test_a_wish_for_nothing_names_no_layer() -> None:
    ring = Ring()
    commands = Commands(ring)
    commands.want(Row(1, 1), Row(8, 5), 2)
    commands.want(Row(1, 1), None)
    assert [command[3] for command in ring.taken] == [(8, 5, 2), (-1, 0, 3)]


def test_every_row_that_a_command_names_comes_with_its_generation() -> None:
    ring = Ring()
    commands = Commands(ring)
    commands.set_path(Row(1, 7), PEER, 2, "192.0.2.7", 5004, current=True)
    commands.add_track(OTHER, PEER, kind=Kind.VIDEO, codec=Codec.VP8, payload_type=96, rtx_payload_type=97,
                       clock_rate=90000, nack=True, mid=b"v")  # fmt: skip
    commands.add_layer(Row(5, 1), OTHER, ssrc=0, rtx_ssrc=0, rid=b"q")
    commands.add_slot(Row(6, 3), PEER, kind=Kind.AUDIO, codec=Codec.OPUS, payload_type=111, rtx_payload_type=0,
                      clock_rate=48000, ssrc=77, rtx_ssrc=0, ranked=True, first_numbers=123, first_timestamp=456,
                      mid=b"s")  # fmt: skip
    assert ring.taken == [
        (Command.SET_PATH, 1, 7, (3, 9, 2, 1), sockaddr.pack("192.0.2.7", 5004)),
        (Command.ADD_TRACK, 4, 2, (3, 9, Kind.VIDEO, Codec.VP8, 96, 97, 90000, 1, 0), b"v"),
        (Command.ADD_LAYER, 5, 1, (4, 2, 0, 0), b"q"),
        (Command.ADD_SLOT, 6, 3, (3, 9, Kind.AUDIO, Codec.OPUS, 111, 0, 48000, 77, 0, 1, 123, 456, 0), b"s"),
    ]


def test_a_peer_comes_with_the_extension_ids_that_the_kernel_reads_and_our_password() -> None:
    ring = Ring()
    extensions = Extensions(
        mid=1, rid=2, repaired_rid=3, transport_cc=4, audio_level=5, abs_send_time=6, video_orientation=7
    )
    Commands(ring).add_peer(PEER, 11, 0xABCDEF, extensions, b"password")
    assert ring.taken == [(Command.ADD_PEER, 3, 9, (11, 0xABCDEF, 1, 2, 3, 4, 5, 7), b"password")]


def test_audio_constants_arrive_as_loudness_and_microseconds() -> None:
    ring = Ring()
    Commands(ring).set_audio(threshold_dbov=-50, hold_ms=300, margin_db=6, margin_ms=200)
    assert ring.taken == [(Command.SET_AUDIO, 0, 0, (77, 300_000, 6, 200_000), b"")]


def test_small_commands_carry_their_one_number() -> None:
    ring = Ring()
    commands = Commands(ring)
    commands.mute(OTHER, muted=True)
    commands.set_rate(PEER, 2_500_000)
    commands.set_keys(PEER, 1, b"keys")
    commands.send_rtcp(PEER, b"compound")
    commands.drop_path(Row(1, 7))
    commands.drop_track(OTHER)
    assert ring.taken == [
        (Command.MUTE, 4, 2, (1,), b""),
        (Command.SET_RATE, 3, 9, (2_500_000,), b""),
        (Command.SET_KEYS, 3, 9, (1,), b"keys"),
        (Command.SEND_RTCP, 3, 9, (), b"compound"),
        (Command.DROP_PATH, 1, 7, (), b""),
        (Command.DROP_TRACK, 4, 2, (), b""),
    ]
