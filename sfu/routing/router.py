"""What was negotiated and wished becomes rows, routes and layers: the worker's decisions, as plain objects.

`Router` takes the node's commands (channel) and the kernel's events, and answers with kernel commands (through
`Commands`) and events for the node. It reads the kernel's 8-byte counters and touches no socket and no clock.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from sfu import channel
from sfu.errors import MediaFailed, Overloaded
from sfu.routing.allocation import Choice, choose_layer, choose_temporal
from sfu.routing.commands import Commands, Row
from sfu.routing.feedback import KeyFrameRequests
from sfu.routing.routes import CODECS, KINDS, Layer, Peer, Slot, Track
from sfu.routing.rows import FreeRows, RoomRows
from sfu.routing.tables import AUDIO_SLOTS_PER_PEER, LAYERS_PER_TRACK, TRACKS_PER_PEER, Codec, Kind, Limits, Profile
from sfu.wire.psfb import picture_loss_indication

Tables = dict[str, "np.ndarray[Any, Any]"]


class Router:
    """The rows of one worker and what they stand for."""

    def __init__(self, commands: Commands, tables: Tables, limits: Limits, draw: random.Random) -> None:
        self._commands = commands
        self._tables = tables
        self._draw = draw
        self._free = {
            "peers": FreeRows("peers", limits.peers),
            "tracks": FreeRows("tracks", limits.tracks),
            "layers": FreeRows("layers", limits.layers),
            "slots": FreeRows("slots", limits.slots),
        }
        self._rooms = RoomRows(limits.rooms)
        self.peers: dict[int, Peer] = {}
        self._peer_rows: dict[Row, Peer] = {}
        self._tracks: dict[int, Track] = {}
        self._layer_rows: dict[Row, tuple[Track, Layer]] = {}
        self._slot_rows: dict[Row, Slot] = {}
        self.requests = KeyFrameRequests(lambda layer: int(tables["layers"]["key_frames"][layer]))
        self._levels: dict[int, list[tuple[int, int]]] = {}

    def describe(self, description: channel.Describe, now: float) -> list[channel.Event]:
        """Make the peer what its offer negotiated. Raises Overloaded or MediaFailed; then nothing has changed."""
        self._check(description)
        peer = self.peers.get(description.peer) or self._open_peer(description)
        peer.password = description.ice.local_pwd.encode()
        room = self._rooms.row(peer.room)
        self._commands.add_peer(peer.row, room, peer.sender_ssrc, description.extensions, peer.password)
        self.limit(channel.Limit(peer.number, description.max_kbps))
        events: list[channel.Event] = []
        kept_tracks = {track.track: track for track in description.tracks}
        for number in [n for n, track in peer.tracks.items() if kept_tracks.get(n) != track.description]:
            events += self._drop_track(peer.tracks[number])
        kept_slots = {slot.mid: slot for slot in description.slots}
        for mid in [m for m, slot in peer.slots.items() if kept_slots.get(m) != slot.description]:
            self._drop_slot(peer.slots[mid])
        for track in description.tracks:
            if track.track not in peer.tracks:
                self._add_track(peer, track)
        for slot in description.slots:
            if slot.mid not in peer.slots:
                self._add_slot(peer, slot)
        # A wish may have come before what it names: look again at all that named these tracks.
        for known in list(self._slot_rows.values()):
            if known.wish and (known.wish.track in kept_tracks or known.wish.audio_track in kept_tracks):
                events += self._apply(known, now)
        return events

    def view(self, view: channel.View, now: float) -> list[channel.Event]:
        """The wishes of a peer's slots; unknown peers and mids are ignored (they may just have gone)."""
        peer = self.peers.get(view.peer)
        events: list[channel.Event] = []
        for wish in view.slots if peer else ():
            slot = peer.slots.get(wish.mid) if peer else None
            if slot is not None:
                slot.wish = wish
                events += self._apply(slot, now)
        return events

    def limit(self, limit: channel.Limit) -> None:
        peer = self.peers.get(limit.peer)
        if peer is not None and peer.max_kbps != limit.max_kbps:
            peer.max_kbps = limit.max_kbps
            self._commands.set_limit(peer.row, limit.max_kbps)

    def mute(self, mute: channel.Mute) -> None:
        track = self._tracks.get(mute.track)
        if track is not None and track.muted != mute.muted:
            track.muted = mute.muted
            self._commands.mute(track.row, muted=mute.muted)

    def close(self, number: int) -> list[channel.Event]:
        """Forget the peer. A second call is harmless."""
        peer = self.peers.pop(number, None)
        if peer is None:
            return []
        events: list[channel.Event] = []
        for track in list(peer.tracks.values()):
            events += self._drop_track(track)
        for slot in list(peer.slots.values()):
            self._drop_slot(slot)
        self._commands.drop_peer(peer.row)
        self._rooms.leave(peer.room)
        return [event for event in events if getattr(event, "peer", 0) != number]

    def connected(self, number: int, profile: str, keys: bytes, now: float) -> list[channel.Event]:
        """Keys are there: hand them to the kernel and start what was wished."""
        peer = self.peers.get(number)
        if peer is None or peer.connected:
            return []
        peer.connected, peer.profile = True, Profile[profile].value
        self._commands.set_keys(peer.row, peer.profile, keys)
        events: list[channel.Event] = [channel.PeerConnected(peer=number)]
        for slot in peer.slots.values():
            events += self._apply(slot, now)
        return events

    def peer_at(self, row: Row) -> Peer | None:
        return self._peer_rows.get(row)

    def key_frame_wanted(self, slot_row: Row, now: float) -> None:
        """PLI or FIR from a subscriber. One for a slot that shows nothing is ignored (V5 of the wire rules)."""
        slot = self._slot_rows.get(slot_row)
        if slot is not None and slot.wanted is not None and slot.kind is Kind.VIDEO:
            self._ask(slot, slot.wanted, now)

    def switched(self, slot_row: Row, layer_row: Row) -> list[channel.Event]:
        """The slot carries that layer from now on."""
        slot = self._slot_rows.get(slot_row)
        found = self._layer_rows.get(layer_row)
        if slot is None or found is None:
            return []
        if slot.wanted is None and not slot.ranked:
            return []  # it crossed the wish for nothing, which the kernel has carried out since
        track, layer = found
        slot.carried = track.number
        if slot.reason == "waiting_for_source":
            slot.reason = ""
        if slot.wanted == layer_row:
            self.requests.cancel(slot.row.row)
        return self._shown(slot, track.number, layer.height, slot.reason)

    def left(self, slot_row: Row) -> list[channel.Event]:
        """An audio slot was freed by the ranking."""
        slot = self._slot_rows.get(slot_row)
        if slot is None:
            return []
        slot.carried = 0
        return self._shown(slot, 0, 0, "")

    def layer_seen(self, layer_row: Row, height: int, now: float) -> list[channel.Event]:
        """The first key frame, or one with a new size (0 = unknown): choose again for all who want this track."""
        found = self._layer_rows.get(layer_row)
        if found is None:
            return []
        track, layer = found
        layer.height, layer.seen = height, True
        layer.moved_at = now
        events = self._choose_again(track, now)
        for slot in self._watching(track.number):
            if slot.carried == track.number and slot.wanted == layer_row:
                events += self._shown(slot, track.number, height, slot.reason)
        return events

    def retired(self, table: str, row: Row) -> None:
        """The kernel is done with a row."""
        if table in self._free:
            self._free[table].retire(row)
        if table == "peers":
            self._peer_rows.pop(row, None)

    def level(self, room_row: int, track_row: int, level_sum: int) -> list[channel.Event]:
        """One speaker of a room's levels; track_row -1 ends the list and sends it."""
        speakers = self._levels.setdefault(room_row, [])
        if track_row >= 0:
            number = next((n for n, track in self._tracks.items() if track.row.row == track_row), 0)
            if number and level_sum:
                speakers.append((number, level_sum))
            return []
        del self._levels[room_row]
        room = self._rooms.number(room_row)
        return [] if room is None else [channel.Levels(room=room, levels=tuple(speakers))]

    def due_requests(self, now: float) -> None:
        """Send the PLIs that are due."""
        for layer in self.requests.due(now):
            self._send_pli(layer)

    def measure_layers(self, elapsed_s: float, now: float) -> list[channel.Event]:
        """Read each layer's counters: which ones send, and how much; choose again where that changed."""
        events: list[channel.Event] = []
        packets, octets = self._tables["layers"]["packets"], self._tables["layers"]["octets"]
        for track in list(self._tracks.values()):
            before = [state.active for state in track.states(now)]
            for layer in track.layers:
                count, size = int(packets[layer.row.row]), int(octets[layer.row.row])
                if count != layer.packets:
                    layer.moved_at = now
                layer.bps = max(0, int((size - layer.octets) * 8 / elapsed_s))
                layer.packets, layer.octets = count, size
            states = track.states(now)
            if [state.active for state in states] != before:
                events += self._choose_again(track, now)
            if track.kind is Kind.VIDEO:
                # Told by presence and height; the bit rate rides along and does not cause an event.
                present = [(at.rid, at.height, at.bps) for at, s in zip(track.layers, states, strict=True) if s.active]
                told = tuple(sorted(present, key=lambda layer: layer[1]))
                if [t[:2] for t in told] != [t[:2] for t in track.told]:
                    events.append(channel.TrackLayers(track=track.number, layers=told))
                    track.told = told
        return events

    def silence(self, now_us: int, limit_us: int) -> list[channel.Event]:
        """Peers whose path fell silent, or speaks again."""
        events: list[channel.Event] = []
        received = self._tables["peers"]["received_at_us"]
        for peer in self.peers.values():
            silent = peer.connected and now_us - int(received[peer.row.row]) > limit_us
            if silent != peer.silent:
                peer.silent = silent
                events.append(channel.PathSilent(peer=peer.number, silent=silent))
        return events

    def rows_used(self) -> dict[str, int]:
        return {name: free.used for name, free in self._free.items()}

    def _check(self, description: channel.Describe) -> None:
        audio_slots = sum(slot.kind == "audio" for slot in description.slots)
        if len(description.tracks) > TRACKS_PER_PEER or audio_slots > AUDIO_SLOTS_PER_PEER:
            raise MediaFailed(
                f"at most {TRACKS_PER_PEER} sources and {AUDIO_SLOTS_PER_PEER} audio slots fit one connection"
            )
        if any(len(track.rids) > LAYERS_PER_TRACK for track in description.tracks):
            raise MediaFailed(f"at most {LAYERS_PER_TRACK} layers fit one source")
        peer = self.peers.get(description.peer)
        known_tracks = [track.description for track in peer.tracks.values()] if peer else []
        known_slots = [slot.description for slot in peer.slots.values()] if peer else []
        tracks = [track for track in description.tracks if track not in known_tracks]
        # What is dropped by this description is free only later, when the kernel has retired it.
        need = {
            "peers": int(peer is None),
            "tracks": len(tracks),
            "layers": sum(max(1, len(track.rids)) for track in tracks),
            "slots": sum(slot not in known_slots for slot in description.slots),
        }
        for table, count in need.items():
            if self._free[table].free < count:
                raise Overloaded(f"no more {table}: this server's table is full", retry_after_s=5.0)
        if peer is None:
            self._rooms.check(description.room)

    def _open_peer(self, description: channel.Describe) -> Peer:
        row, sender_ssrc = self._free["peers"].take(), self._draw.randrange(1, 2**32)
        peer = Peer(number=description.peer, row=row, room=description.room, sender_ssrc=sender_ssrc)
        self._rooms.enter(description.room)
        self.peers[peer.number] = peer
        self._peer_rows[peer.row] = peer
        return peer

    def _add_track(self, peer: Peer, description: channel.TrackDescription) -> None:
        track = Track(
            number=description.track, row=self._free["tracks"].take(), peer=peer.number,
            kind=KINDS[description.kind], codec=description.codec, description=description, layers=[],
        )  # fmt: skip
        self._commands.add_track(
            track.row, peer.row, kind=track.kind, codec=CODECS.get(description.codec, Codec.OTHER),
            payload_type=description.payload_type, rtx_payload_type=description.rtx_payload_type,
            clock_rate=description.clock_rate, nack=description.nack, mid=description.mid.encode(),
            red_payload_type=description.red_payload_type,
        )  # fmt: skip
        named = {bound.rid: bound for bound in description.ssrcs}
        for rid in description.rids or ("",):
            bound = named.get(rid) or channel.BoundSsrc(ssrc=0)
            layer = Layer(row=self._free["layers"].take(), rid=rid, ssrc=bound.ssrc)
            self._commands.add_layer(layer.row, track.row, ssrc=bound.ssrc, rtx_ssrc=bound.rtx_ssrc, rid=rid.encode())
            track.layers.append(layer)
            self._layer_rows[layer.row] = (track, layer)
        peer.tracks[track.number] = track
        self._tracks[track.number] = track

    def _drop_track(self, track: Track) -> list[channel.Event]:
        events: list[channel.Event] = []
        rows = [layer.row for layer in track.layers]
        for slot in self._watching(track.number):
            if slot.carried == track.number:
                slot.carried = 0
            if slot.wanted in rows:
                slot.wanted = None
                self.requests.cancel(slot.row.row)
            if slot.wish is None or slot.wish.track == track.number or slot.shown[0] == track.number:
                events += self._shown(slot, 0, 0, "waiting_for_key_frame" if slot.wanted else "")
        for layer in track.layers:
            self._layer_rows.pop(layer.row, None)
        self.requests.forget_track(track.number)
        self._commands.drop_track(track.row)
        self._tracks.pop(track.number, None)
        peer = self.peers.get(track.peer)
        if peer is not None:
            peer.tracks.pop(track.number, None)
        return events

    def _add_slot(self, peer: Peer, description: channel.SlotDescription) -> None:
        slot = Slot(
            mid=description.mid, row=self._free["slots"].take(), peer=peer.number,
            kind=KINDS[description.kind], description=description,
        )  # fmt: skip
        self._commands.add_slot(
            slot.row, peer.row, kind=slot.kind, codec=CODECS.get(description.codec, Codec.OTHER),
            payload_type=description.payload_type, rtx_payload_type=description.rtx_payload_type,
            clock_rate=description.clock_rate, ssrc=description.ssrc, rtx_ssrc=description.rtx_ssrc,
            ranked=slot.ranked, red_payload_type=description.red_payload_type,
            first_numbers=self._draw.getrandbits(62), first_timestamp=self._draw.getrandbits(32),
            mid=description.mid.encode(),
        )  # fmt: skip
        peer.slots[slot.mid] = slot
        self._slot_rows[slot.row] = slot

    def _drop_slot(self, slot: Slot) -> None:
        self._commands.drop_slot(slot.row)
        self.requests.forget_subscriber(slot.row.row)
        self._slot_rows.pop(slot.row, None)
        peer = self.peers.get(slot.peer)
        if peer is not None:
            peer.slots.pop(slot.mid, None)

    def _watching(self, track: int) -> list[Slot]:
        return [s for s in self._slot_rows.values() if s.carried == track or (s.wish and s.wish.track == track)]

    def _choose_again(self, track: Track, now: float) -> list[channel.Event]:
        events: list[channel.Event] = []
        for slot in self._watching(track.number):
            if slot.kind is Kind.VIDEO:
                events += self._apply(slot, now)
        return events

    def _apply(self, slot: Slot, now: float) -> list[channel.Event]:
        """Make the kernel carry what the slot wishes; a paired audio slot follows its picture."""
        peer = self.peers.get(slot.peer)
        if peer is None or not peer.connected or slot.wish is None or slot.kind is not Kind.VIDEO:
            return []
        events: list[channel.Event] = []
        paired = peer.slots.get(slot.description.pair)
        if paired is not None:
            audio = self._tracks.get(slot.wish.audio_track)
            self._want(paired, audio.layers[0].row if audio else None, 3, "", now)
            if audio is None:
                events += self._shown(paired, 0, 0, "")
        track = self._tracks.get(slot.wish.track)
        if track is None or track.codec != slot.description.codec:
            reason = "codec" if track else ""
            self._want(slot, None, 3, reason, now)
            return events + self._shown(slot, 0, 0, reason)
        choice: Choice = choose_layer(track.states(now), slot.wish.max_height)
        layer = track.layers[choice.layer] if choice.layer is not None else None
        self._want(slot, layer.row if layer else None, choose_temporal(slot.wish.max_fps), choice.reason, now)
        if slot.carried == 0:  # else the old picture stays until the switch, and that is what is told
            events += self._shown(slot, 0, 0, "waiting_for_key_frame")
        return events

    def _want(self, slot: Slot, layer: Row | None, temporal: int, reason: str, now: float) -> None:
        slot.reason = reason
        if slot.wanted == layer and slot.temporal == temporal:
            return
        moved = slot.wanted != layer
        slot.wanted, slot.temporal = layer, temporal
        self._commands.want(slot.row, layer, temporal)
        if layer is None:
            slot.carried = 0
            self.requests.cancel(slot.row.row)
        elif moved and slot.kind is Kind.VIDEO:
            self._ask(slot, layer, now)

    def _ask(self, slot: Slot, layer_row: Row, now: float) -> None:
        found = self._layer_rows.get(layer_row)
        if found is None:
            return
        layer = self.requests.ask(found[0].number, layer_row.row, slot.row.row, now)
        if layer is not None:
            self._send_pli(layer)

    def _send_pli(self, layer: int) -> None:
        found = next((pair for row, pair in self._layer_rows.items() if row.row == layer), None)
        peer = self.peers.get(found[0].peer) if found else None
        ssrc = int(self._tables["layers"]["ssrc"][layer])
        if peer is not None and peer.connected and ssrc:
            self._commands.send_rtcp(peer.row, picture_loss_indication(peer.sender_ssrc, ssrc))

    def _shown(self, slot: Slot, track: int, height: int, reason: str) -> list[channel.Event]:
        """Tell the node what the slot shows, if that is news."""
        if slot.shown == (track, height, reason):
            return []
        slot.shown = (track, height, reason)
        return [channel.SlotShown(peer=slot.peer, mid=slot.mid, track=track, height=height, reason=reason)]
