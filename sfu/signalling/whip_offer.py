"""What an offer of WHIP or WHEP means: media of one way, at most one picture and one sound. Pure.

Who offers knows nothing of sources and slots, so they are named here: the picture that is sent is the camera, the
sound the microphone; what is received is a pair of slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sfu.errors import BadOffer
from sfu.signalling import sdp
from sfu.signalling.negotiation import Negotiation, Proposal
from sfu.signalling.sdp_fragment import Fragment
from sfu.signalling.whip_values import Protocol, Refusal

_SOURCES: Final = {"video": "camera", "audio": "microphone"}
# What the client may offer, and what of it is left. RFC 9725 4.2 and the WHEP draft 4.2 answer one way in any case.
_DIRECTIONS: Final = {
    Protocol.WHIP: {"sendonly": "sendonly", "sendrecv": "sendonly"},
    Protocol.WHEP: {"recvonly": "recvonly", "sendrecv": "recvonly"},
}
_WORDS: Final = {Protocol.WHIP: "sends", Protocol.WHEP: "receives"}


@dataclass(frozen=True, slots=True)
class WhipOffer:
    """`mids` are the m-sections that carry media, by kind."""

    description: sdp.SessionDescription
    protocol: Protocol
    mids: Mapping[str, str]

    def propose(self, negotiation: Negotiation) -> Proposal:
        """Negotiate about it. Raises BadOffer, or Refusal with 406 where a part would be left out (RFC 9725 4.4.3)."""
        sends = self.protocol is Protocol.WHIP
        sources = {mid: _SOURCES[kind] for kind, mid in self.mids.items()} if sends else {}
        paired = not sends and self.mids.keys() == _SOURCES.keys()
        pairs = [(self.mids["audio"], self.mids["video"])] if paired else []
        proposal = negotiation.propose(self.description, sources, pairs)
        answered = {track.mid for track in proposal.tracks} | {slot.mid for slot in proposal.slots}
        for kind, mid in self.mids.items():
            if mid not in answered:
                raise Refusal(BadOffer(f"mid {mid!r}: no {kind} codec that this room takes is offered"), 406)
        return proposal

    def restarted(self, fragment: Fragment) -> WhipOffer:
        """The same offer after an ICE restart (RFC 8839 4.4.1.1): nothing but the credentials is new."""
        media = tuple(
            replace(section, ice_ufrag=fragment.ice_ufrag, ice_pwd=fragment.ice_pwd)
            for section in self.description.media
        )
        return replace(self, description=replace(self.description, media=media))


def read(text: str, protocol: Protocol) -> WhipOffer:
    """Raises BadOffer, or Refusal with 406 for a second picture or sound (RFC 9725 4.4.2)."""
    description = sdp.parse(text)
    media: list[sdp.MediaSection] = []
    mids: dict[str, str] = {}
    for section in description.media:
        direction = _DIRECTIONS[protocol].get(section.direction, "inactive")
        if section.kind in _SOURCES and not section.rejected and direction != "inactive":
            if section.kind in mids:
                raise Refusal(BadOffer(f"the offer {_WORDS[protocol]} {section.kind} twice; one is taken"), 406)
            mids[section.kind] = section.mid or ""
        media.append(replace(section, direction=direction))
    if not mids:
        raise BadOffer(f"the offer {_WORDS[protocol]} neither audio nor video")
    return WhipOffer(replace(description, media=tuple(media)), protocol, mids)
