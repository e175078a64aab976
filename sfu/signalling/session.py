"""One client's session: a message, an event of the worker or the time goes in, effects come out. Pure.

States (a lost WebSocket is not one of them: any session but a new one may be without a socket for a while):

    state        message                                             next
    NEW          join (grant holds, seat free)                       JOINED
    NEW          join with `resume`                                  this session is given up for the old one
    NEW          nothing for 10 s                                    LEFT
    JOINED       offer (can be answered)                             NEGOTIATING, until the worker has Done or Refused
    NEGOTIATING  Done, Refused, the worker lost                      JOINED
    both         view, mute, unmute, unpublish, moderate, send       as it was
    both         leave; removed; gone too long                       LEFT
    anything else                                                    an error, state as it was

Every message is answered: `joined`, `answer`, `done` or `error`, with the message's id in `request`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec

from sfu import channel, errors
from sfu import room_values as values
from sfu.contract import Grant, Policy
from sfu.room import Room
from sfu.signalling import messages, told, turn
from sfu.signalling.effects import (
    CLOSE_ENDED,
    CLOSE_LEFT,
    CLOSE_NOT_JOINED,
    CLOSE_TOO_MUCH,
    Changed,
    CloseSocket,
    Effect,
    Order,
    Over,
    Resume,
    Say,
)
from sfu.signalling.limits import TokenBucket
from sfu.signalling.negotiation import Candidate, Negotiation, Proposal
from sfu.signalling.surroundings import Surroundings

# Refused messages at once, and a second lasting, after which the socket is closed: a client that does not listen
# costs only. Not counted in a row: who floods at any rate has some of his messages taken.
REFUSED_BURST = 200
REFUSED_PER_S = 2.0


class State(Enum):
    NEW = "new"
    JOINED = "joined"
    NEGOTIATING = "negotiating"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class _Pending:
    """An offer whose Describe is with the worker."""

    id: int  # of the client's message
    request: int  # of the channel
    proposal: Proposal
    fresh: bool


class Session:
    """See the table above. `number` tells sessions apart in the log; `address` is the client's."""

    def __init__(self, number: int, surroundings: Surroundings, now: float, address: str = "") -> None:
        limits = surroundings.config.limits
        self.number = number
        self.state = State.NEW
        self.participant = ""
        self.peer = 0  # 0 = no peer connection
        self.resume_key = ""
        self.room: Room | None = None
        self.grant: Grant | None = None
        self._around = surroundings
        self._address = address
        self._began_at = now
        self.joined_at = now  # the `join` that was granted
        self._socket_lost_at: float | None = None
        self._path_alive = False
        self._negotiation: Negotiation | None = None
        self._fingerprints: tuple[channel.Fingerprint, ...] = ()
        self._pending: _Pending | None = None
        self._shown: dict[str, messages.SlotState] = {}
        self._messages = TokenBucket(limits.messages_per_s, limits.messages_burst, now)
        self._octets = TokenBucket(limits.bytes_per_s, limits.bytes_burst, now)
        self._refusals = TokenBucket(REFUSED_PER_S, REFUSED_BURST, now)

    # -- the client speaks --
    def receive(self, data: str | bytes, now: float) -> list[Effect]:
        """One WebSocket message: text, or (never right) binary. Raises nothing that the client caused."""
        request: int | None = None
        try:
            if isinstance(data, bytes):
                raise errors.BadMessage("messages are JSON in text frames, not binary frames")
            request = messages.request_id(data)
            self._charge(len(data), now)
            message = messages.decode(data)
            self._around.counts.messages[str(message.__struct_config__.tag)] += 1
            handler = _TRANSITIONS.get((self.state, type(message)))
            if handler is None:
                raise _OUT_OF_PLACE[self.state](message)
            return handler(self, message, now)
        except (errors.StentorError, msgspec.MsgspecError, UnicodeError) as error:
            return self._refuse(error, request, now)

    def _charge(self, size: int, now: float) -> None:
        wait_s = max(self._messages.take(1, now), self._octets.take(size, now))
        if wait_s > 0:
            raise errors.RateLimited("too many messages, or too large ones", retry_after_s=wait_s)

    def _refuse(self, error: Exception, request: int | None, now: float) -> list[Effect]:
        effects = self._complain(error, request)
        if self._refusals.take(1, now) > 0:
            effects.append(CloseSocket(CLOSE_TOO_MUCH))
        return effects

    def _complain(self, error: Exception, request: int | None) -> list[Effect]:
        said = told.error_message(error, request)
        self._around.counts.errors[said.code] += 1
        return [Say(said)]

    def _join(self, message: messages.Join, now: float) -> list[Effect]:
        # A check costs half a millisecond of the one loop: a storm of forged tokens would leave nobody else any.
        self._around.failed_joins.take(self._address, 1, now)
        grant = self._around.verify(message.token, message.resume is not None)
        self._around.failed_joins.give_back(self._address, 1, now)
        if message.resume is not None:
            self.state = State.LEFT
            return [Resume(message.resume, message.id, grant)]
        self._around.admit()
        name = self._around.draw_name()
        self._around.rooms.learn_limits(grant.room, grant.limits, self._around.unix_time())
        room, changes = self._around.rooms.enter(grant.room, told.entry(name, grant))
        self.state, self.room, self.grant, self.participant = State.JOINED, room, grant, name
        self.resume_key, self.joined_at = self._around.draw_key(), now
        return [Say(self._joined(message.id)), Changed(room, changes)]

    def _joined(self, request: int) -> messages.Joined:
        room, entry = self._in_room()
        return messages.Joined(
            request=request,
            participant=self.participant,
            room=room.name,
            resume=self.resume_key,
            sequence=room.sequence,
            participants=[told.participant_view(seat) for seat in room.seats.snapshot()],
            ice_servers=turn.ice_servers(self._around.config.turn, self.participant, self._around.unix_time()),
            may_publish=[told.source(one) for one in entry.may_publish],
            may_moderate=entry.may_moderate,
            audience=room.seats.audience,
            camera_codec=room.seats.policy.camera_codec,
            speaker=room.active_speaker,
        )

    def _in_room(self) -> tuple[Room, values.Enter]:
        if self.room is None:
            raise errors.Unauthorized("join first")
        return self.room, self.room.entry(self.participant)

    def _offer(self, message: messages.Offer, now: float) -> list[Effect]:
        room, entry = self._in_room()
        told.check_may_publish(entry, message.sources.values())
        negotiation, proposal, fresh = self._negotiate(message, room.seats.policy)
        told.check_may_publish(entry, proposal.sources)
        effects: list[Effect] = self._close_peer() if fresh else []
        if fresh:
            self.peer = self._around.draw_peer()
        self._negotiation, self._fingerprints = negotiation, proposal.fingerprints
        self._pending = _Pending(message.id, self._around.draw_request(), proposal, fresh)
        self.state = State.NEGOTIATING
        describe = proposal.describe(
            request=self._pending.request, peer=self.peer, room=room.number, max_kbps=entry.max_kbps
        )
        return [*effects, Order(describe)]

    def _negotiate(self, message: messages.Offer, policy: Policy) -> tuple[Negotiation, Proposal, bool]:
        """The offer's negotiation and proposal, and whether it is a new peer connection. Raises BadOffer.

        Another certificate is another RTCPeerConnection: nothing of the old one may be used for it. Its offer need
        not even make sense to the old negotiation.
        """
        sources: dict[str, str] = dict(message.sources)
        refused: errors.BadOffer | None = None
        if self._negotiation is not None:
            try:
                proposal = self._negotiation.offer(message.sdp, sources, list(message.pairs))
                if proposal.fingerprints == self._fingerprints:
                    return self._negotiation, proposal, False
            except errors.BadOffer as error:
                refused = error
        negotiation = self._around.negotiate(policy)
        proposal = negotiation.offer(message.sdp, sources, list(message.pairs))
        if refused is not None and proposal.fingerprints == self._fingerprints:
            raise refused
        return negotiation, proposal, True

    def _second_offer(self, message: messages.Offer, now: float) -> list[Effect]:
        raise errors.BadOffer("the offer before this one has not been answered yet")

    def _view(self, message: messages.View, now: float) -> list[Effect]:
        slots = tuple(told.slot_view(view) for view in message.slots)
        return self._do(values.Look(self.participant, slots), message)

    def _mute(self, message: messages.Mute, now: float) -> list[Effect]:
        return self._do(values.SetMuted(self.participant, message.source, True), message)

    def _unmute(self, message: messages.Unmute, now: float) -> list[Effect]:
        return self._do(values.SetMuted(self.participant, message.source, False), message)

    def _unpublish(self, message: messages.Unpublish, now: float) -> list[Effect]:
        return self._do(values.Unpublish(self.participant, message.source), message)

    def _moderate(self, message: messages.Moderate, now: float) -> list[Effect]:
        at = self._around.unix_time()
        return self._do(values.Moderate(self.participant, message.target, message.action, at), message)

    def _roster(self, message: messages.Roster, now: float) -> list[Effect]:
        room, _ = self._in_room()
        seats, following = room.seats.roster(self.participant, message.after, message.limit)
        views = [told.participant_view(seat) for seat in seats]
        return [Say(messages.RosterPage(request=message.id, participants=views, next=following))]

    def _send(self, message: messages.Send, now: float) -> list[Effect]:
        return self._do(values.Tell(self.participant, message.to, message.topic, message.body), message)

    def _do(self, command: values.Command, message: messages.ClientMessage) -> list[Effect]:
        room, _ = self._in_room()
        changes = room.apply(command)
        return [Say(messages.Done(request=message.id)), Changed(room, changes)]

    def _leave(self, message: messages.Leave, now: float) -> list[Effect]:
        return [Say(messages.Done(request=message.id)), *self.end("left", CLOSE_LEFT)]

    def permitted(self, entry: values.Enter) -> list[Effect]:
        """What I may do was changed: by a moderator, or by another grant."""
        effects: list[Effect] = [Say(told.granted(entry))]
        if self.peer:
            effects.append(Order(channel.Limit(self.peer, entry.max_kbps)))
        return effects

    # -- the worker speaks --
    def described(
        self, request: int, fingerprint: channel.Fingerprint, candidates: Sequence[Candidate]
    ) -> list[Effect]:
        """The worker has ufrag, keys and slots: the answer may leave."""
        pending, room = self._pending, self.room
        if pending is None or pending.request != request or room is None:
            return []
        self._pending, self.state = None, State.JOINED
        slots = {slot.mid: slot.pair for slot in pending.proposal.slots if slot.kind == "video"}
        if pending.fresh:
            self._shown.clear()
        max_kbps = room.entry(self.participant).max_kbps
        sdp = pending.proposal.answer(fingerprint, candidates, max_kbps)
        answer = messages.Answer(request=pending.id, sdp=sdp, refused=dict(pending.proposal.refused))
        published = values.Negotiated(self.participant, pending.proposal.sources, slots, pending.fresh)
        return [Say(answer), Changed(room, room.apply(published))]

    def refused(self, request: int, error: errors.StentorError) -> list[Effect]:
        """The worker could not take the offer."""
        pending = self._pending
        if pending is None or pending.request != request:
            return []
        effects = self._complain(error, pending.id)
        if not pending.fresh:
            self._pending, self.state = None, State.JOINED
            return effects
        return [*effects, *self._without_media()]

    def media_lost(self, error: errors.StentorError) -> list[Effect]:
        """The peer connection is gone (its worker died, or ICE or DTLS failed); seat and resume key stay."""
        if self.peer == 0 or self.state is State.LEFT:
            return []
        pending = self._pending
        return [*self._complain(error, pending.id if pending else None), *self._without_media()]

    def _without_media(self) -> list[Effect]:
        effects = self._close_peer()
        self._negotiation, self._pending, self._path_alive = None, None, False
        self._shown.clear()
        self.state = State.JOINED
        if self.room is not None:
            effects.append(Changed(self.room, self.room.apply(values.Disconnected(self.participant))))
        return effects

    def _close_peer(self) -> list[Effect]:
        peer, self.peer = self.peer, 0
        return [Order(channel.Close(peer))] if peer else []

    def path(self, alive: bool) -> None:
        """Datagrams come on the media path, or none has come for path_silent_s."""
        self._path_alive = alive

    def slot_shown(self, event: channel.SlotShown) -> list[Effect]:
        """A slot carries something else."""
        owner = self.room.owner_of(event.track) if self.room is not None else None
        state = messages.SlotState(mid=event.mid, reason=event.reason)
        if owner is not None:
            state = messages.SlotState(
                mid=event.mid,
                participant=owner[0],
                source=told.source(owner[1]),
                height=event.height,
                reason=event.reason,
            )
        if self._shown.get(event.mid) == state:
            return []
        self._shown[event.mid] = state
        return [Say(messages.Slots(slots=[state]))]

    def layers(self, source: str, event: channel.TrackLayers) -> list[Effect]:
        """The layers with which one of my sources reaches the server."""
        heights = [height for _, height, _ in event.layers]
        return [Say(messages.Quality(source=told.source(source), heights=heights))]

    # -- the socket and the time --
    def socket_lost(self, now: float) -> list[Effect]:
        """The WebSocket is gone. A session that had not joined is over; another can be resumed for a while."""
        if self.state is State.NEW:
            self.state = State.LEFT
        if self.state is State.LEFT:
            return [Over()]
        self._socket_lost_at = now
        return []

    def resume(self, request: int, grant: Grant, now: float) -> list[Effect]:
        """The client is back on a new WebSocket. Raises NotFound when this session is not his or has ended."""
        if self.state is State.LEFT or self.grant is None:
            raise errors.NotFound("this session has ended: join again without `resume`")
        if (grant.room, grant.identity) != (self.grant.room, self.grant.identity):
            raise errors.NotFound("no such session for this grant: join again without `resume`")
        self._socket_lost_at = None
        effects: list[Effect] = [Say(self._joined(request))]
        if self._shown:
            effects.append(Say(messages.Slots(slots=list(self._shown.values()))))
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Call it about once a second: ends what has been gone for too long."""
        times = self._around.config.session
        if self.state is State.NEW:
            if now - self._began_at < times.join_within_s:
                return []
            self.state = State.LEFT
            late = errors.Unauthorized(f"no join came within {times.join_within_s:g} s")
            return [*self._complain(late, None), CloseSocket(CLOSE_NOT_JOINED), Over()]
        if self.state is State.LEFT or self._socket_lost_at is None:
            return []
        gone_s = now - self._socket_lost_at
        if gone_s >= times.gone_s or (gone_s >= times.resume_s and not self._path_alive):
            return self.end("left", CLOSE_ENDED)
        return []

    def end(self, reason: str, code: int = CLOSE_ENDED) -> list[Effect]:
        """The session ends now: seat free, media gone, socket closed. A second call changes nothing."""
        if self.state is State.LEFT:
            return []
        self.state, self._pending = State.LEFT, None
        effects: list[Effect] = [Say(messages.Ended(reason=reason)), CloseSocket(code), *self._close_peer()]
        if self.room is not None:
            effects.append(Changed(self.room, self.room.apply(values.Exit(self.participant))))
        return [*effects, Over()]


_IN_ROOM: Mapping[type, Callable[..., list[Effect]]] = {
    messages.View: Session._view,
    messages.Mute: Session._mute,
    messages.Unmute: Session._unmute,
    messages.Unpublish: Session._unpublish,
    messages.Moderate: Session._moderate,
    messages.Roster: Session._roster,
    messages.Send: Session._send,
    messages.Leave: Session._leave,
}
_TRANSITIONS: Mapping[tuple[State, type], Callable[..., list[Effect]]] = {
    (State.NEW, messages.Join): Session._join,
    (State.JOINED, messages.Offer): Session._offer,
    (State.NEGOTIATING, messages.Offer): Session._second_offer,
    **{(State.JOINED, kind): method for kind, method in _IN_ROOM.items()},
    **{(State.NEGOTIATING, kind): method for kind, method in _IN_ROOM.items()},
}
_OUT_OF_PLACE: Mapping[State, Callable[[object], errors.StentorError]] = {
    State.NEW: lambda message: errors.Unauthorized("the first message must be join"),
    State.JOINED: lambda message: errors.BadMessage("you have joined already"),
    State.NEGOTIATING: lambda message: errors.BadMessage("you have joined already"),
    State.LEFT: lambda message: errors.BadMessage("the session has ended"),
}
