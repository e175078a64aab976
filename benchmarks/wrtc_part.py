"""The part of the meeting that libwebrtc in Node plays (wrtc/): what it is told, and what its results mean. Pure.

It decodes really, so nothing is stamped there: who is seen is read from the decoded picture, who is heard from the
decoded tone, and what its jitter buffer invented is taken off (decoded.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import people
from benchmarks.decoded import FAINT, TONE_PEAK, Repairs, Seen, Winding, Window, heard_ms, stretches
from benchmarks.meeting_judge import LAYERS, SPEECH_S, Result, Script, Step, layer_of
from tests.servers import ROOT

# Where it may (as root), libwebrtc gives its decoders a real-time priority: then every process of the machine, its own
# sound too, waits for up to 80 ms while pictures are decoded. No user's browser may, so this one may not either.
_UNPRIVILEGED = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")
COMMAND = (*_UNPRIVILEGED, "node", str(ROOT / "benchmarks" / "wrtc" / "part.mjs"))
INSTALLED = ROOT / "build" / "wrtc" / "node_modules" / "@roamhq" / "wrtc"
_SAMPLES_PER_MS = 48


def told(url: str, tokens: Mapping[int, str], script: Script) -> dict[str, Any]:
    """The first line for the process."""
    return {
        "url": url,
        "people": [
            {
                "number": number,
                "token": token,
                "source": people.source_of(number),
                "hue": people.hue_deg_of(number),
                "pages": script.pages_of(number),
                "turns_s": script.turns_s(number),
                "fault": script.faults.get(number),
            }
            for number, token in tokens.items()
        ],
        "script": {
            "tones_hz": [people.tone_hz_of(number) for number in range(script.people)],
            "peak": TONE_PEAK,
            "faint": FAINT * TONE_PEAK,
            "fps": script.fps,
            "speech_s": SPEECH_S,
            "audio_slots": script.audio_slots,
            "video_slots": script.video_slots,
            "max_height": LAYERS[0].height,
            "speaks_at_s": {number: number * SPEECH_S for number in tokens},
        },
    }


def result(found: Mapping[str, Any], windings: Mapping[int, Winding]) -> Result:
    """What one participant noted, judged. `windings`: of all who publish, so that painted numbers become frames."""
    shown, unreadable = {}, 0
    for mid, rows in found["seen"].items():
        seen = (
            Seen(at_us, people.who(source, hue if hue >= 0 else None), number, height)
            for at_us, source, hue, number, height in rows
        )
        shown[mid], faults = stretches(seen, windings, layer_of())
        unreadable += faults
    slots = [
        ([Window(*row) for row in rows], [_repairs(row) for row in found["repairs"][mid]])
        for mid, rows in found["heard"].items()
    ]
    totals = found["totals"]
    return Result(
        number=found["number"],
        stamped=False,
        spoken_ms=found["spoken_ms"],
        heard_ms=heard_ms(slots),
        steps=[Step(*row) for row in found["steps"]],
        shown=shown,
        faults={"unreadable pictures": unreadable, "lost": totals["packets lost"]},
        late_ms=found["late_ms"],
        notes={"frames dropped by decoders": totals["frames dropped"], "freezes": totals["freezes"]},
    )


def _repairs(row: Sequence[int]) -> Repairs:
    at_us, invented, stretched, squeezed = row
    return Repairs(at_us, invented / _SAMPLES_PER_MS, stretched / _SAMPLES_PER_MS, squeezed / _SAMPLES_PER_MS)
