"""A slot of the light client finds what is wrong with a stream, and nothing wrong with a good one."""

from __future__ import annotations

from benchmarks.packets import Rtp
from benchmarks.receiving import GIVEN_UP_US, Slot
from benchmarks.sending import ONE_LAYER, Camera, Layer, Microphone


def slot(kind: str = "video") -> Slot:
    return Slot("0", kind, 1000, 2000)


def film(frames: int, participant: int = 1, layers: tuple[Layer, ...] = ONE_LAYER) -> list[Rtp]:
    camera = Camera(participant, "camera", "c", layers, 500)
    found: list[Rtp] = []
    for frame in range(frames):
        found += camera.frame_of_all_layers(1_000_000 + frame * 40_000)
    return found


def play(to: Slot, packets: list[Rtp], now_us: int = 1_000_000) -> None:
    for packet in packets:
        now_us += 10_000
        to.take(packet, now_us)


def test_a_good_stream_has_no_fault() -> None:
    one = slot()
    play(one, film(30))
    report = one.report()
    assert (report.lost, report.wrong_content, report.backwards, report.broken_pictures) == (0, 0, 0, 0)
    assert (one.shown[0].participant, one.shown[0].frames) == (1, 30)


def test_what_is_missing_is_asked_for_repaired_and_counted() -> None:
    one, packets = slot(), film(10)
    play(one, packets[:3] + packets[4:])
    assert one.nacks(1_200_000) == [3]
    assert one.nacks(1_210_000) == []
    assert one.nacks(1_260_000) == [3]
    lost = packets[3]
    one.take_repair(Rtp(97, 0, lost.timestamp, 2000, False, b"\x00\x03" + lost.payload), 1_270_000)
    assert (one.recovered, one.lost, one.nacks(1_400_000)) == (1, 0, [])


def test_what_never_comes_is_given_up_and_a_key_frame_asked_for_once() -> None:
    one, packets = slot(), film(10)
    play(one, packets[:3] + packets[4:])
    assert one.nacks(2_000_000 + GIVEN_UP_US) == []
    assert (one.lost, one.pli_due(3_000_000), one.pli_due(3_000_001)) == (1, True, False)


def test_a_switch_without_a_key_frame_and_a_jump_of_the_picture_id_are_faults() -> None:
    one, mine, other = slot(), film(5), film(20, participant=2)
    play(one, mine)
    stranger = other[-2]
    stranger.sequence = mine[-1].sequence + 1
    one.take(stranger, 9_000_000)
    assert one.broken_pictures == 2  # the picture id jumped, and no decoder could follow


def test_content_of_a_stranger_is_counted() -> None:
    one, packets = slot(), film(3)
    packets[1].payload = packets[1].payload[:-1] + b"?"
    play(one, packets)
    assert one.report().wrong_content == 1


def test_speech_is_kept_by_speaker_and_frame_and_silence_is_not() -> None:
    one, microphone = slot("audio"), Microphone(5, "microphone", "m", 1)
    for frame in range(10):
        microphone.speaking = frame >= 5
        one.take(microphone.next_frame(1_000_000 + frame * 20_000), 1_000_000 + frame * 20_000)
    assert one.heard == {5: {5, 6, 7, 8, 9}} == {5: microphone.spoken}


def test_report_blocks_tell_the_share_lost_since_the_last() -> None:
    one, packets = slot(), film(20)
    play(one, packets[:5] + packets[10:])
    assert one.block(2_000_000) == (1000, 5 / len(packets), 5, len(packets) - 1, 0, 0)
    one.sender_report(0xABCD, 2_000_000)
    assert one.block(2_500_000) == (1000, 0.0, 5, len(packets) - 1, 0xABCD, 32768)  # half a second in 1/65536
