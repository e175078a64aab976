"""SDP fragments of trickle ICE (RFC 8840 section 4.4 and 9): what a PATCH of WHIP and WHEP carries. Pure.

A stranger with a grant reaches the reader, so it is linear in the text and raises nothing but BadMessage.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sfu.errors import BadMessage
from sfu.signalling.answer import AnswerPlan, Candidate, candidate_line

# A browser with ten networks writes about 8 kB. More only lets somebody buy our CPU with a cheap request.
FRAGMENT_BYTES_MAX: Final = 16 * 1024
# RFC 8839 5.4.
_ICE_CHARACTERS: Final = frozenset(string.ascii_letters + string.digits + "+/")
_LENGTHS: Final = {"ice-ufrag": range(4, 257), "ice-pwd": range(22, 257)}


@dataclass(frozen=True, slots=True)
class Fragment:
    """The client's ICE credentials. Its candidates are not kept: ICE-lite answers where checks come from."""

    ice_ufrag: str
    ice_pwd: str


def parse(text: str) -> Fragment:
    """Raises BadMessage, whose reason names the line, for what is no fragment of one transport."""
    # No character is shorter than one byte, so a text that is too long is not encoded first.
    if len(text) > FRAGMENT_BYTES_MAX or len(text.encode(errors="replace")) > FRAGMENT_BYTES_MAX:
        raise BadMessage(f"the fragment is larger than {FRAGMENT_BYTES_MAX} bytes")
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line:
            continue
        if line[:2] not in ("a=", "m="):
            raise BadMessage(f"line {number} of the fragment is neither a=... nor m=...")
        name, _, value = line[2:].partition(":")
        if line[0] == "m" or name not in _LENGTHS:
            continue  # candidates and all that is not ours to know
        if not _ICE_CHARACTERS.issuperset(value) or len(value) not in _LENGTHS[name]:
            raise BadMessage(f"line {number} of the fragment: a={name} must be as RFC 8839 5.4 writes it")
        if found.setdefault(name, value) != value:
            raise BadMessage(f"line {number} of the fragment: a second a={name}; all sections share one transport")
    missing = [name for name in _LENGTHS if name not in found]
    if missing:
        raise BadMessage(f"the fragment has no a={missing[0]}")
    return Fragment(found["ice-ufrag"], found["ice-pwd"])


def write(plan: AnswerPlan, candidates: Sequence[Candidate]) -> str:
    """Our side after an ICE restart: credentials and candidates, in the section that carries the bundle."""
    carrying = next(one.offered for one in plan.sections if one.offered.mid == plan.bundle[0])
    lines = [
        "a=ice-lite",
        f"a=group:BUNDLE {' '.join(plan.bundle)}",
        f"m={carrying.kind} 9 {carrying.protocol} {carrying.formats[0]}",
        f"a=mid:{carrying.mid}",
        f"a=ice-ufrag:{plan.ice_ufrag}",
        f"a=ice-pwd:{plan.ice_pwd}",
        *(f"a=candidate:{candidate_line(index, candidate)}" for index, candidate in enumerate(candidates)),
        "a=end-of-candidates",
    ]
    return "".join(line + "\r\n" for line in lines)
