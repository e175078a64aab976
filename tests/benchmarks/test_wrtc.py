"""Node paints, reads and hears as tests/media.py does; no libwebrtc is needed for it."""

from __future__ import annotations

import json
import subprocess

import numpy as np

from benchmarks import people
from benchmarks.decoded import FAINT, TONE_PEAK
from tests.media import Painted, paint, read_painted, to_i420
from tests.servers import ROOT

WIDTH, HEIGHT = 320, 180


def node(script: str, given: bytes = b"") -> bytes:
    """What a module prints that may use Painter, read, Ear, tone, silence and `given` (a Buffer)."""
    folder = ROOT / "benchmarks" / "wrtc"
    head = f"""
        import {{ readFileSync }} from "node:fs";
        import {{ Painter, read }} from "{folder}/pictures.mjs";
        import {{ Ear, tone, silence }} from "{folder}/tones.mjs";
        const given = readFileSync(0);
    """
    command = ["node", "--input-type=module", "--eval", head + script]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def test_python_reads_what_node_paints() -> None:
    octets = node(f"process.stdout.write(new Painter({WIDTH}, {HEIGHT}, 240, 11).paint(1234).data)")
    assert len(octets) == WIDTH * HEIGHT * 3 // 2
    grey = np.frombuffer(octets, np.uint8)[: WIDTH * HEIGHT].reshape(HEIGHT, WIDTH)
    assert read_painted(grey) == Painted(11, 1234)


def test_node_reads_what_python_paints_and_whose_it_is() -> None:
    wanted = [(number, 83 * number) for number in range(0, 48, 5)]
    film = b"".join(
        plane.tobytes()
        for number, place in wanted
        for plane in to_i420(paint(WIDTH, HEIGHT, people.hue_deg_of(number), people.source_of(number), place))
    )
    script = f"""
        const size = {WIDTH * HEIGHT * 3 // 2};
        const seen = Array.from({{ length: given.length / size }}, (_, at) =>
          read({{ width: {WIDTH}, height: {HEIGHT}, data: given.subarray(at * size, (at + 1) * size) }}));
        console.log(JSON.stringify(seen));
    """
    seen = json.loads(node(script, film))
    assert [(people.who(one["source"], one["hue"]), one["number"]) for one in seen] == wanted


def test_node_does_not_read_a_picture_without_blocks() -> None:
    grey = bytes([128]) * (WIDTH * HEIGHT * 3 // 2)
    assert json.loads(
        node(f"console.log(JSON.stringify(read({{ width: {WIDTH}, height: {HEIGHT}, data: given }})))", grey)
    ) == {"source": -1, "hue": -1, "number": -1}


def test_node_tells_forty_tones_apart_and_hears_nobody_in_silence() -> None:
    tones = [people.tone_hz_of(number) for number in range(40)]
    script = f"""
        const tones = {tones}, ear = new Ear(tones, {FAINT * TONE_PEAK});
        const heard = tones.map((hz) => ear.hear(tone(hz, {TONE_PEAK}), 48000));
        console.log(JSON.stringify([heard, ear.hear(silence(), 48000)]));
    """
    heard, quiet = json.loads(node(script))
    assert [who for who, _ in heard] == list(range(40))
    assert all(abs(swing - TONE_PEAK) < TONE_PEAK / 50 for _, swing in heard)
    assert quiet is None
