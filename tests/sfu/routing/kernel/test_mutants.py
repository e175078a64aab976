"""Mutants of real browsers' packets against the kernel, with every (packet, route) accounted for."""

from __future__ import annotations

import random
import socket
from typing import Any

import msgspec
import numpy as np
import pytest

from sfu import channel
from sfu.routing.commands import Commands
from sfu.routing.kernel.step import Kernel
from sfu.routing.router import Router
from sfu.routing.tables import Arrival, Counter, Departure
from tests.captures import Recorded, load
from tests.kernels import LIMITS, Endpoint
from tests.mutants import Participant

pytestmark = pytest.mark.asan

MUTANTS = 20_000
CALLS = 10
BURST = 20
# Some of each door on the way in, or the mutants do not get where they should.
REACHED = (
    Arrival.FORWARDED, Arrival.RTX_RECOVERED, Arrival.RTCP_READ, Arrival.RTCP_BAD, Arrival.REPLAYED, Arrival.DUPLICATE,
    Arrival.SRTP_BAD_TAG, Arrival.SRTCP_BAD_TAG, Arrival.UNBOUND, Arrival.STREAMS_FULL, Arrival.MALFORMED,
    Arrival.TOO_OLD, Arrival.STUN_ANSWERED, Arrival.STUN_BAD, Arrival.HANDED_UP, Arrival.UNKNOWN_KIND, Arrival.EMPTY,
)  # fmt: skip
# What a packet that was kept in a ring ends as; each picture's layer below has exactly one route.
KEPT = (Arrival.FORWARDED, Arrival.RTX_RECOVERED, Arrival.PADDING)
# What no (packet, route) pair ends as.
NO_PAIR = (
    Departure.RTX_SENT, Departure.NACK_TOO_OLD, Departure.NACK_NO_RTX, Departure.RTCP_SENT, Departure.RTCP_LOST,
)  # fmt: skip


class Call:
    """A recorded publisher and viewer on a kernel that is stepped by hand; the router only sets them up."""

    def __init__(self, publisher: Recorded, viewer: Recorded, seed: int) -> None:
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.kernel = Kernel(LIMITS, [self.server.fileno()])
        self.commands = Commands(self.kernel)
        self.router = Router(self.commands, self.kernel.arrays, LIMITS, random.Random(seed))
        self.now_us = 10_000_000
        self.sent = 0
        self.ends = [Endpoint(1), Endpoint(2)]
        tracks = publisher.description.tracks
        layers = [(track, rid) for track in tracks if track.kind == "video" for rid in track.rids or ("",)]
        (slot,) = [slot for slot in viewer.description.slots if slot.kind == "video"]
        # A slot for each layer, so that each has one route. The recorded feedback names the first one's SSRC.
        slots = [
            msgspec.structs.replace(slot, mid=str(n), ssrc=slot.ssrc + n, rtx_ssrc=slot.rtx_ssrc + n)
            for n in range(len(layers))
        ]
        self._enter(1, msgspec.structs.replace(publisher.description, peer=1, room=1, slots=()))
        self._enter(2, msgspec.structs.replace(viewer.description, peer=2, room=1, slots=tuple(slots)))
        self.step()
        for slot_now, (track, rid) in zip(slots, layers, strict=True):
            row = next(at.row for at in self.router._tracks[track.track].layers if at.rid == rid)
            self.commands.want(self.router.peers[2].slots[slot_now.mid].row, row)
        self.step()
        chance = random.Random(seed)
        stolen = [slot.ssrc, slot.rtx_ssrc, *(b.ssrc for track in tracks for b in track.ssrcs)]
        self.people = [
            Participant(recorded, end.srtp, ("local", b"password"), stolen, chance)
            for recorded, end in zip((publisher, viewer), self.ends, strict=True)
        ]

    def _enter(self, number: int, description: channel.Describe) -> None:
        ice = channel.IceParameters("local", "password", "remote", "password")
        self.router.describe(msgspec.structs.replace(description, ice=ice), 10.0)
        row, end = self.router.peers[number].row, self.ends[number - 1]
        self.commands.set_path(row, row, 0, *end.socket.getsockname(), current=True)
        self.router.connected(number, "AEAD_AES_128_GCM", end.keys, 10.0)
        self.commands.drain()

    def step(self, elapsed_us: int = 0) -> None:
        self.now_us += elapsed_us
        self.kernel.step(0, self.now_us)
        self.kernel.take_events(2048)

    def burst(self, chance: random.Random) -> None:
        for _ in range(BURST):
            number = chance.randrange(2)
            self.ends[number].socket.sendto(self.people[number].next(), self.server.getsockname())
            self.sent += 1
        self.step(chance.choice((100, 5_000, 40_000)))
        for end, person in zip(self.ends, self.people, strict=True):
            for datagram in end.datagrams():
                person.hear(datagram)

    def close(self) -> None:
        self.server.close()
        for end in self.ends:
            end.close()


CAPTURES = load()


def named(counts: np.ndarray[Any, Any], kind: type[Arrival] | type[Departure]) -> dict[str, int]:
    return {member.name: int(counts[member]) for member in kind if counts[member]}


@pytest.mark.parametrize("browser", sorted({recorded.browser.split("/")[0] for recorded in CAPTURES}))
def test_every_mutant_has_one_verdict_and_no_kept_one_two_departures(browser: str) -> None:
    ours = [recorded for recorded in CAPTURES if recorded.browser.startswith(browser)]
    (publisher,) = [recorded for recorded in ours if recorded.description.tracks]
    (viewer,) = [recorded for recorded in ours if recorded.description.slots]
    arrived, departed = np.zeros(len(Arrival), np.uint64), np.zeros(len(Departure), np.uint64)
    for seed in range(CALLS):  # a stream whose numbers a mutant threw far ahead is too old for ever after
        call, chance = Call(publisher, viewer, seed), random.Random(seed)
        while call.sent < MUTANTS // CALLS:
            call.burst(chance)
        arrays = call.kernel.arrays
        seen = named(arrays["arrived"], Arrival), named(arrays["departed"], Departure)
        assert int(arrays["arrived"].sum()) == call.sent == int(arrays["counters"][Counter.RECEIVED_PACKETS]), seen
        assert int(arrays["counters"][Counter.SOCKET_DROPS]) == 0
        kept = sum(int(arrays["arrived"][verdict]) for verdict in KEPT)
        pairs = sum(int(arrays["departed"][verdict]) for verdict in Departure if verdict not in NO_PAIR)
        # What waits for a key frame is no pair yet: it ends when the slot starts, or never.
        assert pairs <= kept, seen
        arrived += arrays["arrived"]
        departed += arrays["departed"]
        call.close()
    seen = named(arrived, Arrival), named(departed, Departure)
    for verdict in REACHED:
        assert arrived[verdict] > 0, (verdict, seen)
    for departure in (Departure.SENT, Departure.RTX_SENT, Departure.NACK_TOO_OLD, Departure.RTCP_SENT):
        assert departed[departure] > 0, (departure, seen)
