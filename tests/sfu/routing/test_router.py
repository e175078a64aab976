"""The router against a ring that records commands and holds the kernel's rule: a row has one life at a time."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu import channel
from sfu.errors import MediaFailed, Overloaded
from sfu.routing.commands import Commands, Row
from sfu.routing.router import Router
from sfu.routing.routes import LAYER_SILENT_S
from sfu.routing.tables import Command, Limits
from sfu.wire.psfb import picture_loss_indication

KEYS = bytes(56)
SMALL = Limits(peers=3, rooms=2, tracks=4, layers=6, slots=5)
ADDS = {Command.ADD_PEER: "peers", Command.ADD_TRACK: "tracks", Command.ADD_LAYER: "layers", Command.ADD_SLOT: "slots"}
DROPS = {Command.DROP_PEER: "peers", Command.DROP_TRACK: "tracks", Command.DROP_SLOT: "slots"}


class Kernel:
    """Records commands by name, and retires dropped rows when it is told to."""

    def __init__(self, limits: Limits = SMALL) -> None:
        self.log: list[tuple[str, Row, tuple[int, ...], bytes]] = []
        self.lives: dict[tuple[str, int], int] = {}
        self.layers_of: dict[int, list[Row]] = {}
        self.to_retire: list[tuple[str, Row]] = []
        layer = np.dtype([("key_frames", "u8"), ("packets", "u8"), ("octets", "u8"), ("ssrc", "u4")])
        self.arrays: dict[str, np.ndarray[Any, Any]] = {
            "layers": np.zeros(limits.layers, layer),
            "peers": np.zeros(limits.peers, np.dtype([("received_at_us", "i8")])),
        }

    def push(self, kind: int, row: int, generation: int, numbers: tuple[int, ...], data: bytes) -> bool:
        at = Row(row, generation)
        self.log.append((Command(kind).name, at, numbers, data))
        if kind in ADDS:
            table = ADDS[Command(kind)]
            known = self.lives.get((table, row))
            assert known is None or (table == "peers" and known == generation), f"{table} {row} is in two lives"
            self.lives[table, row] = generation
            if table == "layers":
                self.layers_of.setdefault(numbers[0], []).append(at)
        elif kind in DROPS:
            table = DROPS[Command(kind)]
            assert self.lives[table, row] == generation, f"{table} {row} is dropped in another life"
            layers = self.layers_of.pop(row, []) if table == "tracks" else []
            self.to_retire += [*(("layers", layer) for layer in layers), (table, at)]
        return True

    def wake(self) -> None:
        raise AssertionError("only the worker's loop wakes the kernel")

    def retire(self, router: Router, count: int = 1000) -> None:
        while self.to_retire and count:
            table, row = self.to_retire.pop(0)
            del self.lives[table, row.row]
            router.retired(table, row)
            count -= 1

    def take(self) -> list[tuple[str, Row, tuple[int, ...], bytes]]:
        """What was pushed since the last call."""
        taken, self.log = self.log, []
        return taken


class Rig:
    def __init__(self, limits: Limits = SMALL) -> None:
        self.kernel = Kernel(limits)
        self.router = Router(Commands(self.kernel), self.kernel.arrays, limits, random.Random(1))

    def describe(self, *args: Any, now: float = 0.0, **fields: Any) -> list[channel.Event]:
        return self.router.describe(description(*args, **fields), now)

    def connect(self, *peers: int) -> None:
        for peer in peers:
            self.router.connected(peer, "AEAD_AES_128_GCM", KEYS, 0.0)

    def view(self, peer: int, mid: str, track: int, now: float = 0.0, **fields: int) -> list[channel.Event]:
        return self.router.view(channel.View(peer=peer, slots=(channel.SlotWish(mid=mid, track=track, **fields),)), now)

    def names(self) -> list[str]:
        return [command[0] for command in self.kernel.take()]

    def wanted(self) -> list[tuple[Row, Row | None]]:
        """(slot, layer) of each WANT since the last look."""
        return [
            (at, Row(numbers[0], numbers[1]) if numbers[0] >= 0 else None)
            for name, at, numbers, _ in self.kernel.take()
            if name == "WANT"
        ]

    def layer(self, peer: int, track: int, at: int = 0) -> Row:
        return self.router.peers[peer].tracks[track].layers[at].row

    def slot(self, peer: int, mid: str) -> Row:
        return self.router.peers[peer].slots[mid].row

    def sends(self, layer: Row, packets: int = 10) -> None:
        self.kernel.arrays["layers"]["packets"][layer.row] += packets
        self.kernel.arrays["layers"]["octets"][layer.row] += packets * 1000

    def stage(self, rids: tuple[str, ...] = ("q", "h", "f")) -> None:
        """Peer 1 sends track 10, peer 2 has the slot "v"; both have keys."""
        self.describe(1, tracks=[camera(10, rids)])
        self.describe(2, slots=[video("v")])
        self.connect(1, 2)
        self.kernel.take()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def description(
    peer: int,
    *,
    room: int = 50,
    tracks: list[channel.TrackDescription] | None = None,
    slots: list[channel.SlotDescription] | None = None,
    password: str = "our password",
) -> channel.Describe:
    return channel.Describe(
        request=1,
        peer=peer,
        room=room,
        ice=channel.IceParameters(f"u{peer}", password, "theirs", "their password"),
        fingerprints=(),
        dtls_server=True,
        extensions=channel.Extensions(mid=1),
        tracks=tuple(tracks or ()),
        slots=tuple(slots or ()),
    )


def camera(number: int, rids: tuple[str, ...] = (), codec: str = "VP8", **fields: Any) -> channel.TrackDescription:
    return channel.TrackDescription(
        track=number,
        mid=f"c{number}"[:16],
        kind="video",
        codec=codec,
        payload_type=96,
        clock_rate=90000,
        rids=rids,
        **fields,
    )


def microphone(number: int) -> channel.TrackDescription:
    return channel.TrackDescription(
        track=number, mid=f"m{number}"[:16], kind="audio", codec="opus", payload_type=111, clock_rate=48000
    )


def video(mid: str, pair: str = "", codec: str = "VP8", ssrc: int = 1000) -> channel.SlotDescription:
    return channel.SlotDescription(
        mid=mid, kind="video", codec=codec, payload_type=98, clock_rate=90000, ssrc=ssrc, pair=pair
    )


def audio(mid: str, pair: str = "") -> channel.SlotDescription:
    return channel.SlotDescription(
        mid=mid, kind="audio", codec="opus", payload_type=109, clock_rate=48000, ssrc=2000, pair=pair
    )


def shown(mid: str, track: int, height: int, reason: str = "", peer: int = 2) -> channel.SlotShown:
    return channel.SlotShown(peer=peer, mid=mid, track=track, height=height, reason=reason)


# -- descriptions --------------------------------------------------------------------------------------------


def test_rows_are_added_in_the_order_that_the_kernel_needs(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10, ("q", "h")), microphone(11)], slots=[video("v")])
    assert rig.names() == ["ADD_PEER", "ADD_TRACK", "ADD_LAYER", "ADD_LAYER", "ADD_TRACK", "ADD_LAYER", "ADD_SLOT"]
    assert rig.router.rows_used() == {"peers": 1, "tracks": 2, "layers": 3, "slots": 1}


def test_ssrcs_that_the_offer_names_are_bound_from_the_start(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10, ("f",), ssrcs=(channel.BoundSsrc(ssrc=77, rtx_ssrc=78, rid="f"),))])
    track = rig.router.peers[1].tracks[10].row
    assert [c[2:] for c in rig.kernel.take() if c[0] == "ADD_LAYER"] == [((track.row, track.generation, 77, 78), b"f")]


def test_the_same_description_again_adds_nothing(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10)], slots=[video("v")])
    rig.kernel.take()
    rig.describe(1, tracks=[camera(10)], slots=[video("v")])
    assert rig.names() == ["ADD_PEER"]  # that is how new extension ids and passwords get there


def test_what_the_next_description_leaves_out_is_dropped_and_the_rest_stays_as_it_is(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10), microphone(11)], slots=[video("v"), audio("a")])
    camera_row, slot_row = rig.router.peers[1].tracks[10].row, rig.slot(1, "v")
    rig.kernel.take()
    rig.describe(1, tracks=[camera(10)], slots=[video("v"), video("w", ssrc=3000)])
    assert rig.names() == ["ADD_PEER", "DROP_TRACK", "DROP_SLOT", "ADD_SLOT"]
    assert (rig.router.peers[1].tracks[10].row, rig.slot(1, "v")) == (camera_row, slot_row)


def test_a_section_that_was_negotiated_anew_is_a_new_row(rig: Rig) -> None:
    rig.describe(1, slots=[video("v", ssrc=1000)])
    before = rig.slot(1, "v")
    rig.describe(1, slots=[video("v", ssrc=1001)])
    assert rig.slot(1, "v").row != before.row  # the old one has not been retired
    assert rig.names()[-2:] == ["DROP_SLOT", "ADD_SLOT"]


def test_a_new_ice_password_reaches_the_kernel_that_answers_checks(rig: Rig) -> None:
    rig.describe(1, password="first")
    rig.describe(1, password="second")
    assert [command[3] for command in rig.kernel.take()] == [b"first", b"second"]


def test_keys_come_once(rig: Rig) -> None:
    rig.describe(1)
    rig.kernel.take()
    assert rig.router.connected(1, "AEAD_AES_128_GCM", KEYS, 0.0) == [channel.PeerConnected(peer=1)]
    assert rig.router.connected(1, "AEAD_AES_128_GCM", KEYS, 0.0) == []
    assert rig.router.connected(99, "AEAD_AES_128_GCM", KEYS, 0.0) == []
    assert [(command[0], command[2]) for command in rig.kernel.take()] == [("SET_KEYS", (1,))]


# -- limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "too_much"),
    [
        ("tracks", {"tracks": [microphone(n) for n in range(20, 24)]}),
        ("layers", {"tracks": [camera(20, ("q", "h", "f"))]}),
        ("slots", {"slots": [video(str(n)) for n in range(5)]}),
    ],
)
def test_a_full_table_is_overload_and_nothing_has_changed(rig: Rig, table: str, too_much: dict[str, Any]) -> None:
    rig.describe(1, tracks=[camera(10, ("q", "h", "f", "g"))], slots=[video("v")])
    used = rig.router.rows_used()
    rig.kernel.take()
    with pytest.raises(Overloaded, match=table):
        rig.describe(2, **too_much)
    assert rig.names() == []
    assert rig.router.rows_used() == used
    assert set(rig.router.peers) == {1}
    rig.describe(2, slots=[video("v")])


def test_no_peer_beyond_the_table(rig: Rig) -> None:
    for peer in range(3):
        rig.describe(peer)
    with pytest.raises(Overloaded, match="peers"):
        rig.describe(3)
    rig.describe(2, slots=[video("v")])  # one that is there may still change


def test_rooms_are_limited_without_losing_a_peer_row_and_free_when_the_last_has_left(rig: Rig) -> None:
    rig.describe(1, room=50)
    rig.describe(2, room=51)
    for _ in range(5):
        with pytest.raises(Overloaded, match="rooms"):
            rig.describe(3, room=52)
    assert rig.router.rows_used()["peers"] == 2
    rig.router.close(1)
    rig.describe(3, room=52)


def test_a_peer_whose_rows_fill_the_table_may_offer_again(rig: Rig) -> None:
    slots = [video(str(n)) for n in range(5)]
    rig.describe(1, tracks=[camera(10, ("q", "h", "f"))], slots=slots)
    rig.kernel.take()
    rig.describe(1, tracks=[camera(10, ("q", "h", "f"))], slots=slots)
    assert rig.names() == ["ADD_PEER"]


@pytest.mark.parametrize(
    "too_much",
    [
        {"tracks": [microphone(n) for n in range(9)]},
        {"tracks": [camera(1, ("a", "b", "c", "d", "e"))]},
        {"slots": [audio(str(n)) for n in range(9)]},
    ],
)
def test_what_does_not_fit_one_peer_is_refused_and_nothing_has_changed(too_much: dict[str, Any]) -> None:
    rig = Rig(Limits(peers=3, rooms=2, tracks=50, layers=50, slots=50))
    with pytest.raises(MediaFailed):
        rig.describe(1, **too_much)
    assert rig.names() == []
    assert not rig.router.peers


# -- wishes --------------------------------------------------------------------------------------------------


def test_nothing_is_wanted_before_the_viewer_has_keys(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10)])
    rig.describe(2, slots=[video("v")])
    assert rig.view(2, "v", 10) == []
    assert rig.wanted() == []
    rig.connect(2)
    assert rig.wanted() == [(rig.slot(2, "v"), rig.layer(1, 10))]


def test_a_wish_that_comes_before_its_track_is_carried_out_when_the_track_is_there(rig: Rig) -> None:
    rig.describe(2, slots=[video("v")])
    rig.connect(2)
    rig.view(2, "v", 10)
    assert rig.wanted() == []
    events = rig.describe(1, tracks=[camera(10)])
    assert rig.wanted() == [(rig.slot(2, "v"), rig.layer(1, 10))]
    assert events == [shown("v", 0, 0, "waiting_for_key_frame")]


def test_a_wish_for_peers_or_slots_that_are_gone_is_ignored(rig: Rig) -> None:
    rig.stage()
    assert rig.view(99, "v", 10) + rig.view(2, "w", 10) == []
    assert rig.names() == []


def test_a_switch_is_told_as_a_fact_and_once(rig: Rig) -> None:
    rig.stage(rids=())
    rig.router.layer_seen(rig.layer(1, 10), 720, 0.0)
    assert rig.view(2, "v", 10) == [shown("v", 0, 0, "waiting_for_key_frame")]
    assert rig.router.switched(rig.slot(2, "v"), rig.layer(1, 10)) == [shown("v", 10, 720)]
    assert rig.router.switched(rig.slot(2, "v"), rig.layer(1, 10)) == []
    assert rig.view(2, "v", 0) == [shown("v", 0, 0)]


def test_a_switch_that_crossed_the_wish_for_nothing_is_not_told(rig: Rig) -> None:
    rig.stage(rids=())
    rig.view(2, "v", 10)
    rig.view(2, "v", 0)
    assert rig.router.switched(rig.slot(2, "v"), rig.layer(1, 10)) == []


def test_the_layer_follows_the_heights_as_layers_appear_and_disappear(rig: Rig) -> None:
    rig.stage()
    slot, layers = rig.slot(2, "v"), [rig.layer(1, 10, at) for at in range(3)]
    rig.view(2, "v", 10, max_height=400)
    assert rig.wanted() == [(slot, layers[0])]  # nothing has come yet
    # Firefox may give "q" the largest picture: only heights count.
    for layer, height in zip(layers, (720, 360, 180), strict=True):
        rig.router.layer_seen(layer, height, 1.0)
    assert rig.wanted()[-1] == (slot, layers[1])

    rig.sends(layers[0])
    rig.sends(layers[2])
    assert channel.TrackLayers(track=10, layers=(("f", 180, 160000), ("q", 720, 160000))) in (
        rig.router.measure_layers(0.5, 1.0 + LAYER_SILENT_S)
    )
    assert rig.wanted() == [(slot, layers[2])]

    for layer in layers:
        rig.sends(layer)
    assert rig.router.measure_layers(0.5, 2.5)[-1] == channel.TrackLayers(
        track=10, layers=(("f", 180, 160000), ("h", 360, 160000), ("q", 720, 160000))
    )
    assert rig.wanted() == [(slot, layers[1])]
    rig.view(2, "v", 10, now=2.5)
    assert rig.wanted() == [(slot, layers[0])]


def test_layers_are_told_again_only_when_presence_or_height_changed(rig: Rig) -> None:
    rig.stage(rids=("f",))
    rig.router.layer_seen(rig.layer(1, 10), 720, 0.0)
    rig.sends(rig.layer(1, 10))
    assert len(rig.router.measure_layers(0.5, 0.5)) == 1
    rig.sends(rig.layer(1, 10), packets=90)
    assert rig.router.measure_layers(0.5, 1.0) == []
    assert rig.router.measure_layers(0.5, 9.0) == [channel.TrackLayers(track=10, layers=())]


def test_a_slot_that_cannot_show_the_codec_says_so_and_wants_nothing(rig: Rig) -> None:
    rig.stage(rids=())
    rig.view(2, "v", 10)
    rig.describe(1, tracks=[camera(10), camera(12, codec="H264")])
    rig.kernel.take()
    assert rig.view(2, "v", 12) == [shown("v", 0, 0, "codec")]
    assert rig.wanted() == [(rig.slot(2, "v"), None)]


@pytest.mark.parametrize("codec", ["VP8", "H264", "VP9", "AV1"])
def test_a_slot_of_the_same_codec_shows_it_whichever_it_is(rig: Rig, codec: str) -> None:
    rig.describe(1, tracks=[camera(10, codec=codec)])
    rig.describe(2, slots=[video("v", codec=codec)])
    rig.connect(1, 2)
    rig.kernel.take()
    assert rig.view(2, "v", 10) == [shown("v", 0, 0, "waiting_for_key_frame")]
    assert rig.wanted() == [(rig.slot(2, "v"), rig.layer(1, 10))]


def test_a_source_whose_height_nobody_knows_is_shown_all_the_same(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10, codec="AV1")])
    rig.describe(2, slots=[video("v", codec="AV1")])
    rig.connect(1, 2)
    rig.view(2, "v", 10, max_height=180)
    layer = rig.layer(1, 10)
    rig.sends(layer)
    assert rig.router.measure_layers(1.0, 1.0) == []
    assert rig.router.layer_seen(layer, 0, 1.0) == []
    assert rig.router.switched(rig.slot(2, "v"), layer) == [shown("v", 10, 0)]
    rig.sends(layer)
    assert rig.router.measure_layers(1.0, 1.5) == [channel.TrackLayers(track=10, layers=(("", 0, 80_000),))]
    # Once it is known to be too large, that is told; it is still the only one there is.
    assert rig.router.layer_seen(layer, 720, 2.0) == [shown("v", 10, 720, "no_such_layer")]
    assert rig.wanted()[-1] == (rig.slot(2, "v"), layer)


def test_two_slots_of_one_viewer_show_one_source_each_at_its_own_height(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10, ("q", "h", "f"))])
    rig.describe(2, slots=[video("small"), video("large", ssrc=3000)])
    rig.connect(1, 2)
    for at, height in enumerate((180, 360, 720)):
        rig.sends(rig.layer(1, 10, at))
        rig.router.layer_seen(rig.layer(1, 10, at), height, 0.0)
    rig.kernel.take()
    rig.view(2, "small", 10, max_height=180)
    rig.view(2, "large", 10)
    assert rig.wanted() == [(rig.slot(2, "small"), rig.layer(1, 10, 0)), (rig.slot(2, "large"), rig.layer(1, 10, 2))]
    told = rig.router.switched(rig.slot(2, "small"), rig.layer(1, 10, 0))
    told += rig.router.switched(rig.slot(2, "large"), rig.layer(1, 10, 2))
    assert told == [shown("small", 10, 180), shown("large", 10, 720)]
    # A key frame that one of them needs is asked for once and is nothing to the other.
    rig.kernel.take()
    rig.view(2, "small", 0)
    assert rig.wanted() == [(rig.slot(2, "small"), None)]
    assert rig.router.layer_seen(rig.layer(1, 10, 2), 540, 0.5) == [shown("large", 10, 540)]


def test_the_audio_of_a_pair_follows_its_picture_and_is_not_ranked(rig: Rig) -> None:
    rig.describe(1, tracks=[camera(10), microphone(11)])
    rig.describe(2, slots=[video("v", pair="a"), audio("a", pair="v"), audio("b")])
    ranked = {command[3]: command[2][9] for command in rig.kernel.take() if command[0] == "ADD_SLOT"}
    assert ranked == {b"v": 0, b"a": 0, b"b": 1}
    rig.connect(1, 2)
    rig.kernel.take()
    rig.view(2, "v", 10, audio_track=11)
    assert rig.wanted() == [(rig.slot(2, "a"), rig.layer(1, 11)), (rig.slot(2, "v"), rig.layer(1, 10))]
    assert rig.router.switched(rig.slot(2, "a"), rig.layer(1, 11)) == [shown("a", 11, 0)]
    assert shown("a", 0, 0) in rig.view(2, "v", 0)
    assert rig.wanted() == [(rig.slot(2, "a"), None), (rig.slot(2, "v"), None)]


def test_a_slot_on_its_way_to_another_track_still_gets_there_when_the_old_one_ends(rig: Rig) -> None:
    rig.stage(rids=())
    rig.describe(3, tracks=[camera(30)])
    rig.connect(3)
    rig.kernel.arrays["layers"]["ssrc"][:] = 77
    rig.view(2, "v", 10)
    rig.router.switched(rig.slot(2, "v"), rig.layer(1, 10))
    rig.view(2, "v", 30, now=5.0)
    rig.kernel.take()
    assert rig.router.close(1) == [shown("v", 0, 0, "waiting_for_key_frame")]
    rig.kernel.take()
    rig.router.due_requests(5.5)
    assert rig.names() == ["SEND_RTCP"]
    assert rig.router.switched(rig.slot(2, "v"), rig.layer(3, 30)) == [shown("v", 30, 0)]


# -- the end -------------------------------------------------------------------------------------------------


def test_close_drops_all_in_order_tells_the_viewers_and_is_harmless_twice(rig: Rig) -> None:
    rig.stage(rids=())
    rig.view(2, "v", 10)
    rig.router.switched(rig.slot(2, "v"), rig.layer(1, 10))
    rig.kernel.take()
    assert rig.router.close(1) == [shown("v", 0, 0)]
    assert rig.router.close(2) == []
    assert rig.names() == ["DROP_TRACK", "DROP_PEER", "DROP_SLOT", "DROP_PEER"]
    assert rig.router.close(1) == []
    assert rig.names() == []
    rig.kernel.retire(rig.router)
    assert set(rig.router.rows_used().values()) == {0}


def test_a_row_is_given_out_again_only_after_the_kernel_has_retired_it(rig: Rig) -> None:
    rig.describe(1)
    first = rig.router.peers[1].row
    rig.router.close(1)
    rig.describe(2)
    assert rig.router.peers[2].row.row != first.row
    assert rig.router.peer_at(first) is not None  # a late datagram of it is still its own
    rig.kernel.retire(rig.router)
    assert rig.router.peer_at(first) is None
    rig.describe(3)
    assert rig.router.peers[3].row == Row(first.row, first.generation + 1)


def test_facts_about_rows_that_are_gone_tell_nothing(rig: Rig) -> None:
    rig.stage(rids=())
    slot, layer = rig.slot(2, "v"), rig.layer(1, 10)
    rig.router.close(1)
    rig.router.close(2)
    rig.kernel.take()
    assert rig.router.switched(slot, layer) + rig.router.left(slot) + rig.router.layer_seen(layer, 720, 0.0) == []
    rig.router.key_frame_wanted(slot, 0.0)
    rig.router.mute(channel.Mute(track=10, muted=True))
    assert rig.names() == []


# -- feedback, mute, levels, silence -------------------------------------------------------------------------


def test_a_viewer_who_needs_a_key_frame_causes_a_pli_to_the_publisher(rig: Rig) -> None:
    rig.stage(rids=())
    rig.kernel.arrays["layers"]["ssrc"][rig.layer(1, 10).row] = 0xCAFE
    rig.view(2, "v", 10, now=5.0)
    publisher = rig.router.peers[1]
    (pli,) = [command for command in rig.kernel.take() if command[0] == "SEND_RTCP"]
    assert pli[1] == publisher.row
    assert pli[3] == picture_loss_indication(publisher.sender_ssrc, 0xCAFE)


def test_a_pli_for_a_slot_that_shows_nothing_is_ignored(rig: Rig) -> None:
    rig.stage(rids=())
    rig.kernel.arrays["layers"]["ssrc"][:] = 77
    rig.router.key_frame_wanted(rig.slot(2, "v"), 5.0)
    assert rig.names() == []


def test_a_mute_reaches_the_kernel_once(rig: Rig) -> None:
    rig.stage()
    for muted in (True, True, False):
        rig.router.mute(channel.Mute(track=10, muted=muted))
    assert [(command[0], command[2]) for command in rig.kernel.take()] == [("MUTE", (1,)), ("MUTE", (0,))]


def test_levels_are_collected_until_the_list_is_closed_and_name_tracks_and_room(rig: Rig) -> None:
    rig.describe(1, tracks=[microphone(11)])
    rig.describe(2, tracks=[microphone(22)])
    rows = [rig.router.peers[peer].tracks[track].row.row for peer, track in ((1, 11), (2, 22))]
    assert rig.router.level(0, rows[1], 900) + rig.router.level(0, rows[0], 300) == []
    assert rig.router.level(0, -1, 0) == [channel.Levels(room=50, levels=((22, 900), (11, 300)))]
    assert rig.router.level(0, -1, 0) == [channel.Levels(room=50, levels=())]
    assert rig.router.level(1, -1, 0) == []  # nobody is in that room


def test_a_ranked_audio_slot_tells_who_speaks_and_when_it_is_free(rig: Rig) -> None:
    rig.describe(1, tracks=[microphone(11)])
    rig.describe(2, slots=[audio("a")])
    assert rig.router.switched(rig.slot(2, "a"), rig.layer(1, 11)) == [shown("a", 11, 0)]
    assert rig.router.left(rig.slot(2, "a")) == [shown("a", 0, 0)]


def test_a_silent_path_is_told_once_and_told_again_when_it_speaks(rig: Rig) -> None:
    rig.describe(1)
    assert rig.router.silence(60_000_000, 30_000_000) == []  # not connected: the session waits, not the path
    rig.connect(1)
    assert rig.router.silence(60_000_000, 30_000_000) == [channel.PathSilent(peer=1, silent=True)]
    assert rig.router.silence(61_000_000, 30_000_000) == []
    rig.kernel.arrays["peers"]["received_at_us"][rig.router.peers[1].row.row] = 62_000_000
    assert rig.router.silence(62_000_000, 30_000_000) == [channel.PathSilent(peer=1, silent=False)]


# -- any history ---------------------------------------------------------------------------------------------

numbers = st.integers(0, 4)
steps = st.one_of(
    st.tuples(
        st.just("describe"), numbers, st.integers(0, 2),
        st.sets(st.sampled_from(["single", "simulcast", "microphone"])), st.sets(st.sampled_from("vwx")),
    ),
    st.tuples(st.just("view"), numbers, st.sampled_from("vwx"), numbers),
    st.tuples(st.just("connect"), numbers),
    st.tuples(st.just("close"), numbers),
    st.tuples(st.just("retire"), st.integers(1, 6)),
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(steps, max_size=50))
def test_no_row_is_in_two_lives_at_once_and_none_is_lost(history: list[tuple[Any, ...]]) -> None:
    """The ring asserts one life per row; the count of rows is held against a naive model."""
    rig = Rig()
    model: dict[int, tuple[int, set[str], set[str]]] = {}  # peer -> room, tracks, slots
    for name, *arguments in history:
        if name == "describe":
            peer, room, tracks, slots = arguments
            make = {"single": camera(10 * peer), "simulcast": camera(10 * peer + 1, ("q", "h", "f")),
                    "microphone": microphone(10 * peer + 2)}  # fmt: skip
            room = model[peer][0] if peer in model else room
            before = (len(rig.kernel.log), rig.router.rows_used())
            try:
                rig.describe(
                    peer, room=room, tracks=[make[t] for t in sorted(tracks)], slots=[video(s) for s in sorted(slots)]
                )
                model[peer] = (room, tracks, slots)
            except Overloaded:
                assert (len(rig.kernel.log), rig.router.rows_used()) == before
        elif name == "view":
            rig.view(arguments[0], arguments[1], 10 * arguments[2] + arguments[2] % 3)
        elif name == "connect":
            rig.connect(arguments[0])
        elif name == "close":
            rig.router.close(arguments[0])
            model.pop(arguments[0], None)
        else:
            rig.kernel.retire(rig.router, arguments[0])
        dying = [table for table, _ in rig.kernel.to_retire]
        expected = {
            "peers": len(model),
            "tracks": sum(len(tracks) for _, tracks, _ in model.values()),
            "layers": sum(3 if track == "simulcast" else 1 for _, tracks, _ in model.values() for track in tracks),
            "slots": sum(len(slots) for _, _, slots in model.values()),
        }
        assert rig.router.rows_used() == {table: count + dying.count(table) for table, count in expected.items()}
    for peer in list(model):
        rig.router.close(peer)
    rig.kernel.retire(rig.router)
    assert set(rig.router.rows_used().values()) == {0}
    for peer, room in ((90, 90), (91, 91)):
        rig.describe(peer, room=room)


def test_a_limit_is_told_to_the_kernel_when_it_is_another_one(rig: Rig) -> None:
    rig.describe(1, tracks=[microphone(11)])
    rig.kernel.take()
    rig.router.limit(channel.Limit(1, 300))
    rig.router.limit(channel.Limit(1, 300))
    rig.router.limit(channel.Limit(99, 300))  # he has left
    ((name, _, numbers, _),) = rig.kernel.take()
    assert (name, numbers) == ("SET_LIMIT", (375_000,))
