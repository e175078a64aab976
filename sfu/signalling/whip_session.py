"""One session of WHIP or WHEP: a request, an event of the worker or the time goes in, effects come out. Pure.

There is no WebSocket, so its life hangs on the media path. A WHEP viewer is a participant with a pair of slots that
shows whoever speaks; a WHIP publisher is a participant who looks at nothing.

    state        input                                               next
    NEW          Open (grant allows, offer fits, seat free)          OPENING, until the worker has Done or Refused
    NEW          Open, refused                                       OVER
    OPENING      Done (201)                                          LIVE
    OPENING      Refused                                             OVER
    LIVE         Patch with the client's credentials in force (204)  LIVE
    LIVE         Patch with others: an ICE restart                   RESTARTING
    RESTARTING   Done (200), Refused (as before the restart)         LIVE
    RESTARTING   Patch (409)                                         RESTARTING
    all          Delete (200), removed, room ended, worker lost, no path for too long       OVER
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from sfu import channel, errors
from sfu import room_values as values
from sfu.contract import Grant
from sfu.room import SPEAKER, Room
from sfu.signalling import answer, messages, sdp_fragment, told, turn, whip_offer
from sfu.signalling.effects import Changed, Effect, Order, Over, Reply, Say
from sfu.signalling.negotiation import Candidate, Negotiation, Proposal
from sfu.signalling.surroundings import Surroundings
from sfu.signalling.whip_values import (
    Delete,
    Ended,
    Exchange,
    Noted,
    Open,
    Opened,
    Patch,
    Protocol,
    Refusal,
    Refused,
    Request,
    Restarted,
)

# Told to those who ask while the server stops. Shorter: they come back before it can be there again.
STOPPING_RETRY_AFTER_S = 5.0


class State(Enum):
    NEW = "new"
    OPENING = "opening"
    LIVE = "live"
    RESTARTING = "restarting"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request whose Describe is with the worker."""

    exchange: Exchange
    request: int  # of the channel
    offer: whip_offer.WhipOffer
    proposal: Proposal
    since: float


class WhipSession:
    """See the table above. `number` tells sessions apart in the log; `location` is the path it is asked at."""

    def __init__(
        self, number: int, protocol: Protocol, surroundings: Surroundings, now: float, address: str = ""
    ) -> None:
        self.number = number
        self.protocol = protocol
        self.address = address  # that opened it; for its limit only
        self.state = State.NEW
        self.location = f"/{protocol.value}/{surroundings.draw_key()}"
        self.participant = ""
        self.peer = 0  # 0 = no peer connection
        self.room: Room | None = None
        self.reached = ""  # the host by which the client reached us last
        self.joined_at = now
        self._around = surroundings
        self._owner = ("", "")  # room and identity of the grant
        self._negotiation: Negotiation | None = None
        self._offer: whip_offer.WhipOffer | None = None
        self._credentials = sdp_fragment.Fragment("", "")  # the client's in force
        self._etag = ""
        self._pending: _Pending | None = None
        self._path_alive = False
        self._was_connected = False
        self._silent_since = now

    # -- the client asks --
    def receive(self, request: Request, exchange: Exchange, now: float) -> list[Effect]:
        """One request, answered through its exchange at once or later. Raises nothing that the client caused."""
        try:
            handler = _TRANSITIONS.get((self.state, type(request)))
            if handler is None:
                raise errors.Conflict("the request before this one has not been answered yet")
            effects = handler(self, request, exchange, now)
            self.reached = exchange.reached
            return effects
        except Refusal as refusal:
            refused = Refused(refusal.error, refusal.status)
        except errors.StentorError as error:
            refused = Refused(error)
        effects = [Reply(exchange, refused)]
        if self.state is State.NEW:
            self.state = State.OVER
            effects.append(Over())
        return effects

    def _open(self, request: Open, exchange: Exchange, now: float) -> list[Effect]:
        grant = request.grant
        entry = told.entry(self._around.draw_name(), grant)
        if self.protocol is Protocol.WHEP:
            # Whatever the grant allows: who only looks on takes none of the senders' seats.
            entry = replace(entry, may_publish=())
        elif not grant.publish:
            raise errors.Forbidden("the grant does not allow to publish; to view, ask /whep")
        self._around.admit()
        self._around.rooms.learn_limits(grant.room, grant.limits, self._around.unix_time())
        offer = whip_offer.read(request.sdp, self.protocol)
        self._negotiation = self._around.negotiate(self._around.rooms.policy_of(grant.room))
        proposal = offer.propose(self._negotiation)
        told.check_may_publish(entry, proposal.sources)
        room, changes = self._around.rooms.enter(grant.room, entry)
        self.participant, self.room, self._owner = entry.participant, room, (grant.room, grant.identity)
        self.peer, self.state = self._around.draw_peer(), State.OPENING
        return [Changed(room, changes), self._describe(exchange, offer, proposal, now)]

    def _describe(self, exchange: Exchange, offer: whip_offer.WhipOffer, proposal: Proposal, now: float) -> Effect:
        room = self._in_room()
        self._pending = _Pending(exchange, self._around.draw_request(), offer, proposal, now)
        return Order(
            proposal.describe(
                request=self._pending.request,
                peer=self.peer,
                room=room.number,
                max_kbps=room.entry(self.participant).max_kbps,
            )
        )

    def _in_room(self) -> Room:
        if self.room is None:
            raise errors.Internal("a WHIP session without a room")
        return self.room

    def _patch(self, request: Patch, exchange: Exchange, now: float) -> list[Effect]:
        self._check_owner(request.grant)
        fragment = sdp_fragment.parse(request.fragment)
        self._check_precondition(request.if_match)
        if fragment == self._credentials:
            return [Reply(exchange, Noted())]
        if self._offer is None or self._negotiation is None:
            raise errors.Internal("a live WHIP session without an offer")
        offer = self._offer.restarted(fragment)
        proposal = offer.propose(self._negotiation)
        self.state = State.RESTARTING
        return [self._describe(exchange, offer, proposal, now)]

    def _check_owner(self, grant: Grant) -> None:
        if (grant.room, grant.identity) != self._owner:
            raise errors.Forbidden("this session was opened with a grant for somebody else")

    def _check_precondition(self, if_match: str | None) -> None:
        """RFC 9725 4.3.1: the entity tag names the ICE session (RFC 9110 13.1.1); `*` is written with quotes, too."""
        if if_match is None:
            raise Refusal(errors.BadMessage('If-Match is needed: the ETag, or "*" to restart ICE'), 428)
        if not {self._etag, "*", '"*"'} & {tag.strip() for tag in if_match.split(",")}:
            raise Refusal(errors.Conflict("If-Match names another ICE session than the one in force"), 412)

    def _delete(self, request: Delete, exchange: Exchange, now: float) -> list[Effect]:
        self._check_owner(request.grant)
        return [Reply(exchange, Ended()), *self.end("left")]

    def permitted(self, entry: values.Enter) -> list[Effect]:
        """What this participant may do was changed: by a moderator, or by another grant."""
        return [Order(channel.Limit(self.peer, entry.max_kbps))] if self.peer else []

    # -- the worker speaks --
    def described(
        self, request: int, fingerprint: channel.Fingerprint, candidates: Sequence[Candidate]
    ) -> list[Effect]:
        """The worker has ufrag, keys and slots: the answer may leave."""
        pending = self._pending
        if pending is None or pending.request != request:
            return []
        opens, self._pending, self.state = self.state is State.OPENING, None, State.LIVE
        proposal, room = pending.proposal, self._in_room()
        self._offer = pending.offer
        self._credentials = sdp_fragment.Fragment(proposal.ice.remote_ufrag, proposal.ice.remote_pwd)
        self._etag = f'"{proposal.ice.local_ufrag}"'
        if not opens:
            return [Reply(pending.exchange, Restarted(self._etag, sdp_fragment.write(proposal.plan, candidates)))]
        servers = turn.ice_servers(self._around.config.turn, self.participant, self._around.unix_time())
        max_kbps = room.entry(self.participant).max_kbps
        sdp = answer.write_spelled_out(proposal.plan, fingerprint, candidates, max_kbps)
        opened = Opened(self.location, self._etag, sdp, tuple(servers))
        slots = {slot.mid: slot.pair for slot in proposal.slots if slot.kind == "video"}
        published = values.Negotiated(self.participant, proposal.sources, slots, fresh=True)
        look = values.Look(self.participant, tuple(values.SlotView(mid, SPEAKER) for mid in slots))
        return [
            Reply(pending.exchange, opened),
            *(Changed(room, room.apply(command)) for command in (published, look)),
        ]

    def refused(self, request: int, error: errors.StentorError) -> list[Effect]:
        """The worker could not take it. An ICE restart that fails leaves the session as it was (RFC 9725 4.3.3)."""
        pending = self._pending
        if pending is None or pending.request != request:
            return []
        if self.state is State.OPENING:
            return self._end("refused", error)
        self._pending, self.state = None, State.LIVE
        return [Reply(pending.exchange, Refused(error))]

    def media_lost(self, error: errors.StentorError) -> list[Effect]:
        """The peer connection is gone. Nobody can be told, so the session ends; its client opens a new one."""
        if self.state is State.OVER:
            return []
        said = told.error_message(error, None)
        self._around.counts.errors[said.code] += 1
        return [Say(said), *self._end("media_lost", error)]

    def path(self, alive: bool) -> None:
        """Datagrams come on the media path, or none has come for path_silent_s."""
        self._path_alive = alive
        self._was_connected = self._was_connected or alive

    def slot_shown(self, event: channel.SlotShown) -> list[Effect]:
        """A slot carries something else; the viewer sees it."""
        return []

    def layers(self, source: str, event: channel.TrackLayers) -> list[Effect]:
        """The layers with which a source reaches the server; its publisher cannot be told."""
        return []

    # -- the time --
    def tick(self, now: float) -> list[Effect]:
        """Call it about once a second: ends what never came, has been gone for too long, or waits in vain."""
        times = self._around.config.session
        if self._path_alive:
            self._silent_since = now
        waits = self._pending is not None and now - self._pending.since >= times.connect_within_s
        limit_s = times.resume_s if self._was_connected else times.connect_within_s
        return self.end("left") if waits or now - self._silent_since >= limit_s else []

    def end(self, reason: str) -> list[Effect]:
        """The session ends now: seat free, media gone. A second call changes nothing."""
        if reason == "server_stopping":
            return self._end(reason, errors.Overloaded("the server stops", retry_after_s=STOPPING_RETRY_AFTER_S))
        return self._end(reason, errors.NotFound("the session has ended meanwhile"))

    def _end(self, reason: str, told_to_who_waits: errors.StentorError) -> list[Effect]:
        if self.state is State.OVER:
            return []
        pending, peer = self._pending, self.peer
        self.state, self._pending, self.peer, self._path_alive = State.OVER, None, 0, False
        effects: list[Effect] = [Say(messages.Ended(reason=reason))]  # for the journal: there is no client to hear it
        if pending is not None:
            effects.append(Reply(pending.exchange, Refused(told_to_who_waits)))
        if peer:
            effects.append(Order(channel.Close(peer)))
        if self.room is not None:
            effects.append(Changed(self.room, self.room.apply(values.Exit(self.participant))))
        return [*effects, Over()]


_TRANSITIONS: Mapping[tuple[State, type], Callable[..., list[Effect]]] = {
    (State.NEW, Open): WhipSession._open,
    (State.LIVE, Patch): WhipSession._patch,
    **{(state, Delete): WhipSession._delete for state in (State.OPENING, State.LIVE, State.RESTARTING)},
}
