"""What a person who looks is told of single peers: wishes, layers and reasons as words, in pages of a bounded size."""

from __future__ import annotations

import msgspec
import numpy as np

from sfu import channel
from sfu.routing.inspection import inspect
from sfu.routing.tables import PEER, SLOT, Limits
from tests.sfu.routing.test_router import Rig, camera, video

MANY = Limits(peers=300, rooms=4, tracks=8, layers=8, slots=4096)


def look(rig: Rig, room: int = 0, after: int = 0) -> channel.Inspection:
    arrays = {"peers": np.zeros(300, PEER), "slots": np.zeros(4096, SLOT)}
    arrays["peers"]["rtt_us"] = 42_500
    arrays["peers"]["received_at_us"] = 9_000_000
    return inspect(channel.Inspect(7, room, after), rig.router, arrays, lambda peer: (2, "ipv4"), now=9.25)


def test_a_slot_says_what_it_was_wished_what_it_carries_and_why_not_more() -> None:
    rig = Rig()
    rig.describe(1, tracks=(camera(11, ("q", "h")),))
    rig.describe(2, slots=(video("v"),))
    rig.connect(1, 2)
    rig.view(2, "v", 11, max_height=180)
    rig.sends(rig.layer(1, 11, 1))
    rig.router.measure_layers(0.5, 9.0)
    publisher, viewer = look(rig).peers
    assert [layer.rid for track in publisher.tracks for layer in track.layers] == ["q", "h"]
    assert [(layer.active, layer.bps) for track in publisher.tracks for layer in track.layers] == [
        (False, 0), (True, 160_000),
    ]  # fmt: skip
    assert (viewer.state, viewer.srtp, viewer.paths, viewer.family) == ("connected", "AEAD_AES_128_GCM", 2, "ipv4")
    assert (viewer.rtt_ms, viewer.silent_ms) == (42.5, 250)
    (shown,) = viewer.slots
    assert (shown.wished, shown.max_height, shown.carried, shown.reason) == (11, 180, 0, "waiting_for_key_frame")
    layer = rig.layer(1, 11)
    rig.router.layer_seen(layer, 180, 9.0)
    rig.router.switched(rig.slot(2, "v"), layer)
    (shown,) = look(rig).peers[1].slots
    assert (shown.carried, shown.layer, shown.height, shown.reason) == (11, "q", 180, "")


def test_pages_are_bounded_and_together_hold_everybody_once() -> None:
    rig = Rig(MANY)
    for peer in range(1, 201):
        rig.describe(peer, room=1 + peer % 2, slots=tuple(video(f"v{mid}") for mid in range(20)))
    seen: list[int] = []
    after, pages = 0, 0
    while pages == 0 or after:
        page = look(rig, after=after)
        assert len(msgspec.msgpack.encode(page)) < channel.INSPECTION_BYTES_MAX + 1000
        seen += [one.peer for one in page.peers]
        after, pages = page.following, pages + 1
    assert seen == list(range(1, 201)) and pages > 3
    assert {one.room for one in look(rig, room=2).peers} == {2}
