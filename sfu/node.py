"""[I/O] The node: joins clients, sessions, rooms and workers. Decides nothing: it carries effects out.

Clients come from `signalling.http`, which knows this class only by the `Backend` protocol.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from sfu import channel, errors, rooms
from sfu import room_values as values
from sfu.config import Config, worker_config
from sfu.contract import Policy, TokenKey
from sfu.draws import Draws
from sfu.gate import Gate
from sfu.logs import fields
from sfu.process import process_use
from sfu.room import Room
from sfu.signalling import effects, messages, whip_values
from sfu.signalling.announced import candidates
from sfu.signalling.backend import Client, NodeSnapshot, UplinkSums
from sfu.signalling.feeds import Feeds
from sfu.signalling.journal import Journal
from sfu.signalling.negotiation import for_policy
from sfu.signalling.session import Session
from sfu.signalling.session_index import AnySession, SessionIndex
from sfu.signalling.surroundings import Surroundings
from sfu.signalling.told import error_message, event_name, hearers, message_of
from sfu.signalling.whip_session import WhipSession
from sfu.snapshots import LoopLag, Snapshots
from sfu.usage import Books
from sfu.workers import Launch, Worker, launch, worker_error

log = logging.getLogger("stentor.node")

# Sessions are looked at so often for what has been gone too long. Rarer: seats stay taken that much longer.
TICK_S = 1.0


class Node:
    """Everything of one node but its HTTP port."""

    def __init__(
        self,
        config: Config,
        key: TokenKey,
        *,
        launcher: Launch = launch,
        clock: Callable[[], float] = time.monotonic,
        unix_time: Callable[[], float] = time.time,
        chance: random.Random | None = None,
        renews: Callable[[], bool] = lambda: True,
    ) -> None:
        self._config = config
        self._clock = clock
        self.unix_time = unix_time
        self._draws = draws = Draws(chance)
        self.counts = effects.Counts()
        self.feeds = Feeds()
        self.books: Books | None = None  # kept only where somebody reads them
        self.uplink_sums: Callable[[], UplinkSums] = UplinkSums
        self.verify = Gate(key, unix_time, renews).verify
        self.rooms = rooms.Rooms(
            policy=config.room.policy(), rooms_max=config.limits.rooms, participants_max=config.limits.participants
        )
        self._workers = [
            Worker(worker_config(config, number), launcher, self._event, self._worker_lost)
            for number in range(config.media.workers)
        ]
        self._snapshots = Snapshots(self._workers, draws.request, config.limits.busy_share)
        self.meter: Callable[[], Awaitable[None]] = self._snapshots.meter  # the books then know all bytes
        self._around = Surroundings(
            config=config,
            rooms=self.rooms,
            verify=self.verify,
            admit=self._snapshots.admit,
            negotiate=partial(for_policy, draws),
            unix_time=self.unix_time,
            draw_peer=draws.peer,
            draw_request=draws.request,
            draw_name=draws.name,
            draw_key=draws.key,
            counts=self.counts,
        )
        self._sessions = SessionIndex(config.limits.sessions_per_address)
        self._describes: dict[int, AnySession] = {}
        self._lag = LoopLag(clock)
        self._journal = Journal()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    # -- life --
    async def start(self) -> None:
        """Start workers and timers; returns at once, `ready` tells when media can be served."""
        loop = asyncio.get_running_loop()
        for worker in self._workers:
            worker.start()
        self._tasks = [loop.create_task(self._tick()), loop.create_task(self._lag.measure())]

    async def stop(self) -> None:
        """Tell everybody, then end the workers. Takes at most three seconds."""
        self._stopping = True
        for session in self._sessions:
            self._perform(session, session.end("server_stopping"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    @property
    def ready(self) -> bool:
        """True while every worker can take media."""
        return not self._stopping and all(worker.ready is not None for worker in self._workers)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for session in self._sessions:
                self._guarded(session, session.tick, self._clock())
            for room in self.rooms.all():
                self.command(room, values.CountAudience())
            self.rooms.forget_policies(self.unix_time())
            await self._snapshots.take()

    # -- clients (called by signalling.http) --
    def connect(self, client: Client) -> None:
        """A WebSocket was opened."""
        session = Session(self._draws.session(), self._around, self._clock(), client.address)
        self._sessions.attach(session, client)

    def receive(self, client: Client, data: str | bytes) -> None:
        """A message came: text, or bytes of a binary frame."""
        session = self._sessions.of_client(client)
        if session is not None:
            self._guarded(session, session.receive, data, self._clock())

    def disconnected(self, client: Client) -> None:
        """The WebSocket is gone. A second call is harmless."""
        session = self._sessions.detach(client)
        if session is not None:
            self._guarded(session, session.socket_lost, self._clock())

    def count_error(self, code: str) -> None:
        """An error that happened before a session could see it, or was told by HTTP."""
        self.counts.errors[code] += 1

    def count_request(self, protocol: str, method: str, status: int) -> None:
        """A request of WHIP or WHEP was answered."""
        self.counts.requests[protocol, method, status] += 1

    # -- clients without a WebSocket (called by signalling.whip) --
    def open(self, protocol: whip_values.Protocol, request: whip_values.Open, exchange: whip_values.Exchange) -> None:
        """A new session of WHIP or WHEP; the exchange hears what came of it, at once or later. Raises RateLimited."""
        session = WhipSession(self._draws.session(), protocol, self._around, self._clock(), exchange.address)
        self._sessions.add(session)
        self._perform(session, session.receive(request, exchange, self._clock()))

    def ask(self, location: str, request: whip_values.Request, exchange: whip_values.Exchange) -> None:
        """A request to the session at this path. Raises NotFound."""
        session = self._sessions.by_location(location)
        if session is None:
            raise errors.NotFound("no such session, or it has ended: make a new one")
        self._perform(session, session.receive(request, exchange, self._clock()))

    def _guarded(self, session: AnySession, step: Callable[..., list[effects.Effect]], *arguments: Any) -> None:
        """Run a step; a fault of ours is logged and told, and touches nobody else."""
        try:
            self._perform(session, step(*arguments))
        except Exception as error:
            log.exception("a step failed", extra=fields(session=session.number))
            self.counts.errors[errors.Internal.code] += 1
            client = self._sessions.client(session)
            if client is not None:
                client.send(messages.encode(error_message(error, None)))

    # -- effects --
    def _perform(self, session: AnySession, todo: Iterable[effects.Effect]) -> None:
        for effect in todo:
            _EFFECTS[type(effect)](self, session, effect)
        self._sessions.note(session)

    def _say(self, session: AnySession, effect: effects.Say) -> None:
        self._journal.said(session, effect.message, self._clock())
        client = self._sessions.client(session)
        if client is not None:
            client.send(messages.encode(effect.message))

    def _reply(self, session: AnySession, effect: effects.Reply) -> None:
        self._journal.replied(session, effect.outcome, self._clock())
        effect.exchange.answer(effect.outcome)

    def _order(self, session: AnySession, effect: effects.Order) -> None:
        command = effect.command
        if isinstance(command, channel.Describe):
            self._describes[command.request] = session
            if self.books is not None:
                self.books.carries(command.peer, session.participant)
        elif isinstance(command, channel.Close):
            self._sessions.forget_peer(command.peer)
        try:
            self._workers[0].send(command)
        except errors.WorkerLost as error:
            if isinstance(command, channel.Describe):
                del self._describes[command.request]
                self._perform(session, session.refused(command.request, error))

    def _changed(self, session: AnySession, effect: effects.Changed) -> None:
        self._distribute(effect.room, effect.changes)

    def _resume(self, session: Session, effect: effects.Resume) -> None:
        client = self._sessions.forget(session)
        if client is None:
            return
        old = self._sessions.by_key(effect.key)
        try:
            if old is None:
                raise errors.NotFound("this session has ended: join again without `resume`")
            todo = old.resume(effect.request, effect.grant, self._clock())
        except errors.NotFound as error:
            self.counts.errors[error.code] += 1
            client.send(messages.encode(error_message(error, effect.request)))
            self.connect(client)
            return
        before = self._sessions.attach(old, client)
        if before is not None:
            before.close(effects.CLOSE_RESUMED_ELSEWHERE)
        self._perform(old, todo)

    def _close_socket(self, session: AnySession, effect: effects.CloseSocket) -> None:
        client = self._sessions.client(session)
        if client is not None:
            client.close(effect.code)

    def _over(self, session: AnySession, effect: effects.Over) -> None:
        self._journal.over(session, self._clock())
        self._sessions.forget(session)
        if session.room is not None:
            self.rooms.sweep(session.room)

    def command(self, room: Room, command: values.Command) -> None:
        """Carry out what no client asked for. Raises what Room.apply raises."""
        self._distribute(room, room.apply(command))

    def set_policy(self, room: str, policy: Policy) -> None:
        """For the room as it is and as it will be opened. Raises Conflict."""
        if (done := self.rooms.set_policy(room, policy, self.unix_time())) is not None:
            self._distribute(*done)

    def _distribute(self, room: Room, changes: values.Changes) -> None:
        if self.books is not None:
            self.books.changed(room, changes, round(self.unix_time() * 1000))
        for event in changes.events:
            self.counts.room_events[event_name(event)] += 1
            encoded = messages.encode(message_of(event))
            if not isinstance(event, values.Told) or event.to is None:
                self.feeds.publish(room.name, room.number, event.sequence, encoded)
            for participant in hearers(room, event):
                client = self._sessions.client(self._sessions.by_participant(participant))
                if client is not None:
                    client.send(encoded)
        for participant, wishes in changes.wishes.items():
            viewer = self._sessions.by_participant(participant)
            if viewer is not None and viewer.peer:
                self._tell_worker(channel.View(viewer.peer, wishes))
        for track, muted in changes.mutes.items():
            self._tell_worker(channel.Mute(track, muted))
        for participant, entry in changes.permitted.items():
            if permitted := self._sessions.by_participant(participant):
                self._perform(permitted, permitted.permitted(entry))
        for participant, reason in changes.removed.items():
            if removed := self._sessions.by_participant(participant):
                self._perform(removed, removed.end(reason))

    def _tell_worker(self, command: channel.Command) -> None:
        try:
            self._workers[0].send(command)
        except errors.WorkerLost:
            # All that it knew is gone with it; each session is told by _worker_lost and starts from new.
            log.debug("a %s found no worker", type(command).__name__)

    # -- workers --
    def _event(self, worker: Worker, event: channel.Event) -> None:
        _EVENTS[type(event)](self, worker, event)

    def _worker_lost(self, worker: Worker) -> None:
        self._describes.clear()
        if self._stopping:
            return
        lost = errors.WorkerLost("the media process is gone: make a new connection")
        for session in self._sessions:
            self._guarded(session, session.media_lost, lost)

    def _worker_ready(self, worker: Worker, event: channel.WorkerReady) -> None:
        log.info("worker ready", extra=fields(worker=event.worker, pid=event.pid, addresses=len(event.addresses)))

    def _done(self, worker: Worker, event: channel.Done) -> None:
        session = self._describes.pop(event.request, None)
        if session is not None and worker.ready is not None:
            reached = self._sessions.reached(session) if self._config.dev else ""
            told = candidates(worker.ready.addresses, self._config.media.announced, reached)
            self._guarded(session, session.described, event.request, worker.ready.fingerprint, told)

    def _refused(self, worker: Worker, event: channel.Refused) -> None:
        session = self._describes.pop(event.request, None)
        if session is not None:
            self._guarded(session, session.refused, event.request, worker_error(event.code, event.reason))

    def _peer_failed(self, worker: Worker, event: channel.PeerFailed) -> None:
        session = self._sessions.by_peer(event.peer)
        if session is not None and session.peer == event.peer:
            self._guarded(session, session.media_lost, worker_error(event.code, event.reason))

    def _peer_connected(self, worker: Worker, event: channel.PeerConnected) -> None:
        session = self._sessions.by_peer(event.peer)
        if session is not None:
            session.path(True)
            self._journal.connected(session, self._clock())

    def _path_silent(self, worker: Worker, event: channel.PathSilent) -> None:
        session = self._sessions.by_peer(event.peer)
        if session is not None:
            session.path(not event.silent)

    def _slot_shown(self, worker: Worker, event: channel.SlotShown) -> None:
        session = self._sessions.by_peer(event.peer)
        if session is not None:
            self._guarded(session, session.slot_shown, event)

    def _track_layers(self, worker: Worker, event: channel.TrackLayers) -> None:
        for room in self.rooms.all():
            owner = room.owner_of(event.track)
            if owner is not None:
                session = self._sessions.by_participant(owner[0])
                if session is not None:
                    self._guarded(session, session.layers, owner[1], event)

    def _metered(self, worker: Worker, event: channel.Metered) -> None:
        if self.books is not None:
            self.books.metered(event.octets)
        self._snapshots.answered(event)

    def _levels(self, worker: Worker, event: channel.Levels) -> None:
        room = self.rooms.by_number(event.room)
        if room is not None:
            self.command(room, values.Hear(event.levels, self._clock()))

    # -- facts --
    async def snapshot(self) -> NodeSnapshot:
        """The node's own numbers and those of each worker that answers in time."""
        workers = await self._snapshots.take()
        return NodeSnapshot(
            ready=self.ready,
            rooms=self.rooms.sums(),
            room_events=dict(self.counts.room_events),
            sockets=self._sessions.clients(),
            sessions=len(self._sessions),
            without_sockets=self._sessions.without_clients(),
            journal=self._journal.sums(),
            process=process_use(),
            messages=dict(self.counts.messages),
            errors=dict(self.counts.errors),
            requests=dict(self.counts.requests),
            loop_lag_s=self._lag.take_s(),
            uplink=self.uplink_sums(),
            workers=workers,
        )

    def inspect(self, room: int, after: int) -> Awaitable[tuple[channel.Inspection | None, ...]]:
        return self._snapshots.inspect(room, after)


_EFFECTS: Mapping[type, Callable[..., None]] = {
    effects.Say: Node._say,
    effects.Reply: Node._reply,
    effects.Order: Node._order,
    effects.Changed: Node._changed,
    effects.Resume: Node._resume,
    effects.CloseSocket: Node._close_socket,
    effects.Over: Node._over,
}
_EVENTS: Mapping[type, Callable[..., None]] = {
    channel.WorkerReady: Node._worker_ready,
    channel.Done: Node._done,
    channel.Refused: Node._refused,
    channel.PeerConnected: Node._peer_connected,
    channel.PeerFailed: Node._peer_failed,
    channel.PathSilent: Node._path_silent,
    channel.SlotShown: Node._slot_shown,
    channel.TrackLayers: Node._track_layers,
    channel.Levels: Node._levels,
    channel.Counters: lambda node, worker, event: node._snapshots.answered(event),
    channel.Inspection: lambda node, worker, event: node._snapshots.answered(event),
    channel.Metered: Node._metered,
}
