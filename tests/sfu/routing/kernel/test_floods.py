"""Who has passed every door and then floods, steals SSRCs, says goodbye for others. Nobody else sees any of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sfu.routing import tables
from sfu.routing.commands import Row
from sfu.routing.tables import Arrival, Counter, Departure, Event
from sfu.wire.stun import binding_request
from tests.kernels import MID, RID, VIDEO_PT, Compiled, Media, rtp, vp8_payload

pytestmark = pytest.mark.asan

THIEF, VICTIM = 1, 0  # viewers; the thief publishes too
THIEFS_TRACK, THIEFS_LAYER = Row(1, 1), Row(2, 1)


@pytest.fixture
def kernel() -> Iterator[Compiled]:
    """The publisher's two layers; viewer 0 watches layer 0, viewer 1 the thief's own layer."""
    made = Compiled(layers=2, slots=2)
    thief = Row(THIEF + 1, 1)
    made.commands.add_track(
        THIEFS_TRACK, thief, kind=tables.Kind.VIDEO, codec=tables.Codec.VP8, payload_type=VIDEO_PT,
        rtx_payload_type=0, clock_rate=90000, nack=True, mid=b"v",
    )  # fmt: skip
    # As in an offer whose a=ssrc names the SSRC of the publisher's layer 0.
    made.commands.add_layer(THIEFS_LAYER, THIEFS_TRACK, ssrc=500, rtx_ssrc=0, rid=b"")
    made.want(VICTIM, 0)
    made.want(THIEF, THIEFS_LAYER.row)
    yield made
    made.close()


def say(kernel: Compiled, viewer: int, compound: bytes) -> None:
    """RTCP of a viewer."""
    end = kernel.viewers[viewer]
    end.socket.sendto(end.srtp.seal_rtcp(compound), kernel.server.getsockname())
    kernel.step()


def publish(kernel: Compiled, number: int, *, tag: bytes) -> None:
    kernel.send([Media(0, number, number * 3000, number, number & 255, 0, number == 100, tag=tag)], 1000)


def steal(kernel: Compiled, number: int, *, tag: bytes) -> None:
    """The thief's packet under the SSRC of the publisher's layer 0."""
    media = Media(0, number, number * 3000, number, number & 255, 0, number == 100, tag=tag)
    packet = rtp(VIDEO_PT, number, media.timestamp, 500, vp8_payload(media), marker=True, elements=[(MID, b"v")])
    end = kernel.viewers[THIEF]
    end.socket.sendto(end.srtp.seal_rtp(packet, number), kernel.server.getsockname())
    kernel.step(1000)


def seen(kernel: Compiled) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {VICTIM: [], THIEF: []}
    for packet in kernel.delivered():
        found[packet.slot].append(packet.tag)
    return found


def picture_loss(ssrc: int) -> bytes:
    return bytes([0x81, 206, 0, 2]) + bytes(4) + ssrc.to_bytes(4, "big")


def bye(*ssrcs: int) -> bytes:
    return bytes([0x80 | len(ssrcs), 203, 0, len(ssrcs)]) + b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)


def test_an_ssrc_taken_from_another_carries_its_thiefs_own_stream_and_the_owners_goes_on(kernel: Compiled) -> None:
    for number in range(100, 140):
        publish(kernel, number, tag=b"true %d" % number)
        steal(kernel, number, tag=b"false %d" % number)
    found = seen(kernel)
    assert found[VICTIM] == [b"true %d" % number for number in range(100, 140)]
    assert found[THIEF] and all(tag.startswith(b"false") for tag in found[THIEF])


def test_another_streams_mid_and_rid_bind_nothing_of_the_other(kernel: Compiled) -> None:
    publish(kernel, 100, tag=b"true")
    elements = [(MID, b"v"), (RID, b"0")]
    media = Media(0, 7, 7, key_frame=True, tag=b"false")
    packet = rtp(VIDEO_PT, 7, 7, 500, vp8_payload(media), marker=True, elements=elements)
    end = kernel.viewers[THIEF]
    end.socket.sendto(end.srtp.seal_rtp(packet, 7), kernel.server.getsockname())
    kernel.step()
    publish(kernel, 101, tag=b"true again")
    assert seen(kernel)[VICTIM] == [b"true", b"true again"]


def test_goodbyes_once_twice_and_in_anothers_name_end_no_stream(kernel: Compiled) -> None:
    publish(kernel, 100, tag=b"100")
    for number, compound in enumerate((bye(500), bye(500), bye(500) * 2, bye(501, 500), bye(*range(480, 511))), 101):
        kernel.send_datagram(kernel.publisher.srtp.seal_rtcp(compound))
        say(kernel, THIEF, compound)
        publish(kernel, number, tag=b"%d" % number)
    assert seen(kernel)[VICTIM] == [b"%d" % number for number in range(100, 106)]
    assert kernel.arrived(Arrival.RTCP_READ) == 10


def test_feedback_for_anothers_slot_is_read_and_changes_nothing(kernel: Compiled) -> None:
    for number in range(100, 110):
        publish(kernel, number, tag=b"x")
    kernel.delivered()
    kernel.facts.clear()
    sent = kernel.departed(Departure.SENT)
    victims, own = 1000 + VICTIM, 1000 + THIEF
    nack = bytes([0x81, 205, 0, 3]) + bytes(4) + victims.to_bytes(4, "big") + (105).to_bytes(2, "big") + b"\xff\xff"
    report = bytes([0x81, 201, 0, 7]) + bytes(4) + victims.to_bytes(4, "big") + b"\xff" * 20
    sender = bytes([0x80, 200, 0, 6]) + (500).to_bytes(4, "big") + b"\xff" * 20
    fir = bytes([0x84, 206, 0, 4]) + bytes(8) + victims.to_bytes(4, "big") + bytes(4)
    for compound in (nack, report, sender, fir, picture_loss(victims), report + nack):
        say(kernel, THIEF, compound)
    assert kernel.arrived(Arrival.RTCP_READ) == 6
    assert kernel.departed(Departure.RTX_SENT) == kernel.departed(Departure.NACK_TOO_OLD) == 0
    assert not [fact for fact in kernel.facts if fact[0] in (Event.PLI, Event.FIR)]
    assert int(kernel.kernel.arrays["layers"]["sr_known"][0]) == 0
    publish(kernel, 110, tag=b"x")
    assert kernel.departed(Departure.SENT) == sent + 1
    say(kernel, THIEF, picture_loss(own))
    assert [fact[1] for fact in kernel.facts if fact[0] == Event.PLI] == [THIEF], "his own slot is heard"


def test_a_flood_of_key_frame_requests_leaves_room_for_a_stranger_who_wants_to_join(kernel: Compiled) -> None:
    end = kernel.viewers[THIEF]
    for number in range(60):  # the test's socket holds no more
        request = (picture_loss(1000 + THIEF) if number % 2 else b"") + picture_loss(1000 + THIEF) * 100
        end.socket.sendto(end.srtp.seal_rtcp(request), kernel.server.getsockname())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        request = binding_request(bytes(12), "new:x", b"password", use_candidate=True, controlling=5)
        stranger.sendto(request, kernel.server.getsockname())
        kernel.kernel.step(0, kernel.now_us)
        kernel.kernel.step(0, kernel.now_us)
    counters = kernel.kernel.arrays["counters"]
    assert int(counters[Counter.PLIS_READ]) == 60 * 100 + 30
    assert int(counters[Counter.EVENTS_LOST]) == 0
    assert (kernel.arrived(Arrival.HANDED_UP), kernel.arrived(Arrival.HAND_UP_FULL)) == (1, 0)
    kernel.step(1_000_000)
    kernel.facts.clear()
    say(kernel, THIEF, picture_loss(1000 + THIEF))
    assert [fact[0] for fact in kernel.facts if fact[0] == Event.PLI] == [Event.PLI], "a later one is told"


def test_a_repair_that_cannot_be_made_asks_for_one_key_frame_not_for_each_number(kernel: Compiled) -> None:
    """A slot without RTX: each lost number would ask."""
    audio = Compiled(layers=1, slots=1, audio=True)
    try:
        nack = bytes([0x81, 205, 0, 102]) + bytes(4) + (1000).to_bytes(4, "big") + b"\x00\x01\xff\xff" * 100
        for _ in range(20):
            end = audio.viewers[0]
            end.socket.sendto(end.srtp.seal_rtcp(nack), audio.server.getsockname())
        audio.step()
        assert audio.departed(Departure.NACK_NO_RTX) == 20 * 100 * 17
        assert len([fact for fact in audio.facts if fact[0] == Event.PLI]) == 1
    finally:
        audio.close()


def test_a_size_that_flickers_is_told_now_and_then_and_the_last_one_in_the_end(kernel: Compiled) -> None:
    def key_frame(number: int, height: int) -> bytes:
        media = Media(0, number, number * 3000, number, number & 255, 0, True, tag=b"k")
        payload = vp8_payload(media).replace((180).to_bytes(2, "little"), height.to_bytes(2, "little"))
        elements = [(MID, b"v"), (RID, b"0")]
        packet = rtp(VIDEO_PT, number, media.timestamp, 500, payload, marker=True, elements=elements)
        return kernel.publisher.srtp.seal_rtp(packet, number)

    for number in range(100, 300):
        kernel.send_datagram(key_frame(number, 180 + number % 2))
    kernel.step(1000)
    assert len([fact for fact in kernel.facts if fact[0] == Event.LAYER]) == 1
    kernel.now_us += 50_000
    kernel.send_datagram(key_frame(300, 720))
    kernel.step()
    assert [fact[3] for fact in kernel.facts if fact[0] == Event.LAYER][-1] == 720
