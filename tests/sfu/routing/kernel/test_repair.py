"""NACKs and repairs: what was asked for is answered with the very payload that was sent, or by a verdict."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sfu.routing.commands import Row
from sfu.routing.tables import Arrival, Codec, Counter, Departure, Kind
from tests.kernels import MID, RTX_PT, Compiled, Delivered, Media, rtp, vp8_payload
from tests.sfu.routing.kernel.test_forward_model import Publisher

pytestmark = pytest.mark.asan


@pytest.fixture
def kernel() -> Iterator[Compiled]:
    made = Compiled(layers=2, slots=1)
    yield made
    made.close()


def nack(kernel: Compiled, sequences: list[int], slot: int = 0) -> list[Delivered]:
    """A viewer asks for packets by number; what comes back."""
    ssrc = 1000 + slot
    for sequence in sequences:
        packet = bytes([0x81, 205, 0, 3]) + (9).to_bytes(4, "big") + ssrc.to_bytes(4, "big")
        packet += (sequence & 0xFFFF).to_bytes(2, "big") + bytes(2)
        kernel.viewers[slot].socket.sendto(kernel.viewers[slot].srtp.seal_rtcp(packet), kernel.server.getsockname())
    kernel.step()
    return kernel.delivered()


def send_frames(
    kernel: Compiled, publisher: Publisher, layer: int, count: int, *, key: bool = False
) -> list[Delivered]:
    for number in range(count):
        kernel.send(publisher.frame(layer, key=key and number == 0), 33_000)
    return kernel.delivered()


def same_payload(repair: Delivered, sent: Delivered) -> bool:
    return (repair.tag, repair.picture_id, repair.tl0, repair.timestamp, repair.marker) == (
        sent.tag, sent.picture_id, sent.tl0, sent.timestamp, sent.marker,
    )  # fmt: skip


def test_a_nack_is_answered_in_the_step_that_read_it(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(1))
    kernel.want(0, 0)
    sent = send_frames(kernel, publisher, 0, 10, key=True)
    for original in sent:
        (repair,) = nack(kernel, [original.index])
        assert repair.repair_of == original.index & 0xFFFF
        assert same_payload(repair, original)


def test_a_repair_is_a_new_packet_each_time_it_is_asked_for(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(2))
    kernel.want(0, 0)
    sent = send_frames(kernel, publisher, 0, 3, key=True)
    repairs = [nack(kernel, [sent[0].index])[0] for _ in range(3)]
    assert len({repair.index for repair in repairs}) == 3
    assert all(same_payload(repair, sent[0]) for repair in repairs)


def test_a_nack_across_a_layer_switch_gets_the_old_layers_payload(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(3))
    kernel.want(0, 0)
    before = send_frames(kernel, publisher, 0, 5, key=True)
    kernel.want(0, 1)
    after = send_frames(kernel, publisher, 1, 5, key=True)
    assert after[0].index == before[-1].index + 1
    for original in before + after:
        (repair,) = nack(kernel, [original.index])
        assert same_payload(repair, original)


def test_a_nack_across_a_temporal_drop_gets_what_left_under_that_number(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(4))
    kernel.want(0, 0, temporal=0)
    sent = send_frames(kernel, publisher, 0, 16, key=True)
    assert kernel.departed(Departure.TEMPORAL_DROP) > 0
    assert [packet.index for packet in sent] == list(range(sent[0].index, sent[0].index + len(sent)))
    for original in sent:
        (repair,) = nack(kernel, [original.index])
        assert same_payload(repair, original)


def test_a_nack_across_a_sequence_wrap_finds_its_packet() -> None:
    kernel = Compiled(layers=1, slots=1, first_index=32760)
    try:
        publisher = Publisher(1, random.Random(5), first_index=65500)
        kernel.want(0, 0)
        sent = send_frames(kernel, publisher, 0, 30, key=True)
        assert max(packet.index for packet in sent) < 65536  # the slot's numbers do not wrap here, the source's do
        for original in sent[-20:]:
            (repair,) = nack(kernel, [original.index])
            assert same_payload(repair, original)
    finally:
        kernel.close()


def test_the_slots_own_numbers_wrap_without_a_gap() -> None:
    kernel = Compiled(layers=1, slots=1, first_index=32767)
    try:
        publisher = Publisher(1, random.Random(6), first_index=0)
        kernel.want(0, 0)
        expected = None
        sent: list[Delivered] = []
        while expected is None or expected < 65536 + 100:
            for packet in send_frames(kernel, publisher, 0, 20, key=expected is None):
                assert expected is None or packet.index == expected
                expected = packet.index + 1
                sent = [*sent[-40:], packet]
        for original in sent[-30:]:
            (repair,) = nack(kernel, [original.index])
            assert same_payload(repair, original)
    finally:
        kernel.close()


def test_a_nack_for_what_left_the_ring_ends_as_too_old(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(7))
    kernel.want(0, 0)
    sent = send_frames(kernel, publisher, 0, 60, key=True)
    assert nack(kernel, [sent[0].index]) == []
    assert kernel.departed(Departure.NACK_TOO_OLD) == 1


def test_a_nack_for_a_number_never_sent_ends_as_too_old(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(8))
    kernel.want(0, 0)
    sent = send_frames(kernel, publisher, 0, 5, key=True)
    assert nack(kernel, [sent[-1].index + 50]) == []
    assert kernel.departed(Departure.NACK_TOO_OLD) == 1


def test_a_slot_that_takes_over_a_row_repairs_nothing_that_the_one_before_it_was_sent(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(9))
    kernel.want(0, 0)
    sent = send_frames(kernel, publisher, 0, 10, key=True)
    kernel.commands.drop_slot(Row(0, 1))
    kernel.commands.add_slot(
        Row(0, 2), Row(1, 1), kind=Kind.VIDEO, codec=Codec.VP8, payload_type=100, rtx_payload_type=101,
        clock_rate=90_000, ssrc=1000, rtx_ssrc=2000, ranked=False, first_numbers=sent[-1].index, first_timestamp=0,
        mid=b"0",
    )  # fmt: skip
    kernel.step()
    assert nack(kernel, [original.index for original in sent]) == []
    assert kernel.departed(Departure.NACK_TOO_OLD) == len(sent)


def test_a_packet_and_its_repair_both_arriving_leave_once(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(9))
    kernel.want(0, 0)
    frame = publisher.frame(0, key=True)
    kernel.send(frame)
    assert len(kernel.delivered()) == len(frame)
    repair(kernel, frame[0], 77)
    assert kernel.delivered() == []
    assert kernel.arrived(Arrival.DUPLICATE) == 1


def repair(
    kernel: Compiled, media: Media, index: int, *, rid: bytes | None = None, payload: bytes | None = None
) -> None:
    """The publisher repairs a packet on the RTX stream of its layer."""
    payload = (media.index & 0xFFFF).to_bytes(2, "big") + vp8_payload(media) if payload is None else payload
    elements = [(MID, b"v"), (11, b"%d" % media.layer if rid is None else rid)]
    packet = rtp(RTX_PT, index, media.timestamp, 700 + media.layer, payload, marker=media.marker, elements=elements)
    kernel.send_datagram(kernel.publisher.srtp.seal_rtp(packet, index))
    kernel.step()


def test_a_lost_packet_that_comes_as_a_repair_is_forwarded_in_its_place(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(10))
    kernel.want(0, 0)
    send_frames(kernel, publisher, 0, 3, key=True)
    lost = publisher.frame(0, key=False)
    later = publisher.frame(0, key=False)
    kernel.send(later, 33_000)
    first = kernel.delivered()[0]
    for number, media in enumerate(lost):
        repair(kernel, media, 500 + number)
    recovered = kernel.delivered()
    assert [packet.tag for packet in recovered] == [media.tag for media in lost]
    assert [packet.index for packet in recovered] == [first.index - len(lost) + n for n in range(len(lost))]
    assert kernel.arrived(Arrival.RTX_RECOVERED) == len(lost)


def test_what_is_missing_is_asked_for_and_not_asked_for_ever(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(11))
    kernel.want(0, 0)
    send_frames(kernel, publisher, 0, 2, key=True)
    publisher.frame(0, key=False)
    kernel.send(publisher.frame(0, key=False), 33_000)
    for _ in range(100):
        kernel.step(20_000)
    asked = int(kernel.kernel.arrays["counters"][Counter.NACKS_WRITTEN])
    lost = int(kernel.kernel.arrays["counters"][Counter.PACKETS_LOST])
    assert 1 <= lost <= 3
    assert asked == 6 * lost


@pytest.mark.parametrize("payload", [b"", b"\x01"])
def test_a_repair_too_short_to_name_its_packet_is_padding(kernel: Compiled, payload: bytes) -> None:
    publisher = Publisher(2, random.Random(12))
    send_frames(kernel, publisher, 0, 2, key=True)
    repair(kernel, publisher.frame(0, key=False)[0], 1, payload=payload)
    assert kernel.arrived(Arrival.RTX_PADDING) == 1


def test_a_probe_with_neither_rid_nor_repaired_rid_is_unbound_and_no_error(kernel: Compiled) -> None:
    publisher = Publisher(2, random.Random(13))
    send_frames(kernel, publisher, 0, 2, key=True)
    media = publisher.frame(0, key=False)[0]
    packet = rtp(RTX_PT, 1, 0, 701, bytes(2) + vp8_payload(media), marker=False)
    kernel.send_datagram(kernel.publisher.srtp.seal_rtp(packet, 1))
    kernel.step()
    assert kernel.arrived(Arrival.UNBOUND) == 1
    repair(kernel, media, 2)  # the same stream names itself later and is bound then
    assert kernel.arrived(Arrival.UNBOUND) == 1
