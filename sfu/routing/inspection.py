"""What single peers are doing, for a person who looks (`/debug`): rows and wishes as words. Pure, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from sfu import channel
from sfu.routing.commands import Row
from sfu.routing.router import Router
from sfu.routing.routes import LAYER_SILENT_S, Peer, Slot, Track
from sfu.routing.tables import Kind, Profile

Arrays = Mapping[str, np.ndarray[Any, Any]]
Paths = Callable[[int], tuple[int, str]]  # peer -> how many paths it has, and the family of the one that media takes

_sized = msgspec.msgpack.Encoder()


def inspect(asked: channel.Inspect, router: Router, arrays: Arrays, paths: Paths, now: float) -> channel.Inspection:
    """A page of peers in the order of their numbers. Reads single 8-byte counters of the kernel, as metrics do."""
    rids = {
        layer.row: layer.rid
        for peer in router.peers.values()
        for track in peer.tracks.values()
        for layer in track.layers
    }
    found: list[channel.InspectedPeer] = []
    size, following = 0, 0
    for number in sorted(router.peers):
        peer = router.peers[number]
        if number <= asked.after or asked.room not in (0, peer.room):
            continue
        one = _peer(peer, rids, arrays, paths, now)
        size += len(_sized.encode(one))
        if found and size > channel.INSPECTION_BYTES_MAX:
            following = found[-1].peer
            break
        found.append(one)
    return channel.Inspection(asked.request, tuple(found), following)


def octets(router: Router, arrays: Arrays, only: int | None = None) -> tuple[tuple[int, int, int], ...]:
    """(peer, received from it, sent to it) of every peer or of one, in bytes of whole datagrams since it began."""
    peers = router.peers.values() if only is None else [router.peers[only]] if only in router.peers else []
    table = arrays["peers"]
    return tuple(
        (peer.number, int(table["received_octets"][peer.row.row]), int(table["sent_octets"][peer.row.row]))
        for peer in peers
    )


def _peer(peer: Peer, rids: Mapping[Row, str], arrays: Arrays, paths: Paths, now: float) -> channel.InspectedPeer:
    def count(field: str) -> int:
        return int(arrays["peers"][field][peer.row.row])

    known, family = paths(peer.number)
    state = "silent" if peer.silent else "connected" if peer.connected else "negotiated"
    return channel.InspectedPeer(
        peer=peer.number,
        room=peer.room,
        state=state,
        paths=known,
        family=family,
        srtp=Profile(peer.profile).name if peer.connected else "",
        silent_ms=max(0, round(now * 1000 - count("received_at_us") / 1000)) if peer.connected else 0,
        rtt_ms=count("rtt_us") / 1000,
        told_lost=count("told_lost"),
        received_packets=count("received_packets"),
        sent_packets=count("sent_packets"),
        max_kbps=peer.max_kbps,
        tracks=tuple(_track(track, now) for track in peer.tracks.values()),
        slots=tuple(_slot(slot, rids, arrays) for slot in peer.slots.values()),
    )


def _track(track: Track, now: float) -> channel.InspectedTrack:
    layers = tuple(
        channel.InspectedLayer(at.rid, at.height, at.bps, now - at.moved_at < LAYER_SILENT_S) for at in track.layers
    )
    return channel.InspectedTrack(track.number, track.kind.name.lower(), track.codec, track.muted, layers)


def _slot(slot: Slot, rids: Mapping[Row, str], arrays: Arrays) -> channel.InspectedSlot:
    return channel.InspectedSlot(
        mid=slot.mid,
        kind=slot.kind.name.lower(),
        codec=slot.description.codec,
        wished=slot.wish.track if slot.wish else 0,
        max_height=slot.wish.max_height if slot.wish else 0,
        carried=slot.shown[0] if slot.kind is Kind.AUDIO else slot.carried,
        layer=rids.get(slot.wanted, "") if slot.wanted else "",
        height=slot.shown[1],
        reason=slot.shown[2],
        packets=int(arrays["slots"]["packets"][slot.row.row]),
    )
