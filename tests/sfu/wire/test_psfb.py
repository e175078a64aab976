"""sfu.wire.psfb, judged by aiortc."""

from __future__ import annotations

from aiortc import rtp as judge
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.wire import psfb

words = st.integers(0, 2**32 - 1)


@given(words, words)
@settings(max_examples=100, deadline=None)
def test_aiortc_reads_our_picture_loss_indication(sender: int, media: int) -> None:
    pli = psfb.picture_loss_indication(sender, media)
    assert judge.RtcpPacket.parse(pli) == [judge.RtcpPsfbPacket(judge.RTCP_PSFB_PLI, sender, media)]
    assert pli == bytes(judge.RtcpPsfbPacket(judge.RTCP_PSFB_PLI, sender, media))
