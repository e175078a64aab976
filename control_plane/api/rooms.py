"""[I/O] Events of an account and their invitation links, joining by id, and the staff's suspension of events."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from control_plane.api.bodies import Body, Line, Word, given, utc
from control_plane.api.doors import Doors, Here, Visit, need
from control_plane.api.idempotency import Answer
from control_plane.api.pagination import LIMIT, LIMIT_MAX, listed, page
from control_plane.errors import NotFound
from control_plane.rooms import events, invitations, joining, policies, usage
from control_plane.rooms.guesses import Guesses
from control_plane.rooms.identifiers import parse, spoken
from control_plane.rooms.invitations import Role
from control_plane.rooms.limits import Kind
from control_plane.rooms.setup import Setup

Cursor = Annotated[str, Query(max_length=200, pattern=r"^[A-Za-z0-9_\-]*$")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
EventId = Annotated[str, Path(max_length=40, pattern=r"^evt_[a-z2-7]+$")]
InvitationId = Annotated[str, Path(max_length=40, pattern=r"^inv_[a-z2-7]+$")]


class EventWish(Body):
    """`seats`: fewer than the plan gives. `access` "invited" lets nobody in by the id alone. `listed`: an open event
    stands on the account's public page, with its id."""

    kind: Kind = "meeting"
    title: Line
    access: Literal["open", "invited"] = "open"
    listed: bool = False
    starts_at: AwareDatetime | None = None
    seats: int | None = Field(default=None, ge=1, le=10_000)


class EventChange(Body):
    """What is left out stays as it is."""

    kind: Kind = "webinar"
    title: Line = ""
    access: Literal["open", "invited"] = "open"
    listed: bool = False
    starts_at: AwareDatetime | None = None
    seats: int | None = Field(default=None, ge=1, le=10_000)


class EventView(Body):
    """`number` is the 9-digit id; `seats_max` counts everybody, `senders_max` those who send at a time."""

    id: str
    number: str
    kind: str
    title: str
    access: str
    listed: bool
    starts_at: str | None
    seats: int | None
    seats_max: int
    senders_max: int
    state: str
    suspended: bool


class EventList(Body):
    items: list[EventView]
    next: str | None


class InvitationWish(Body):
    role: Role = "attendee"
    label: Annotated[Line, Field(max_length=100)] = ""


class InvitationMade(Body):
    """`link` is told this once."""

    id: str
    link: str


class InvitationView(Body):
    id: str
    role: str
    label: str
    created_at: str


class InvitationList(Body):
    items: list[InvitationView]
    next: str | None


class PutOut(Body):
    """`identity` as the media server shows it: a person's id or a guest's."""

    identity: Annotated[Word, Field(min_length=1)]


class UsageView(Body):
    participant_seconds: float
    received_bytes: int
    sent_bytes: int
    people: int
    stays: int
    running: bool


class JoinWish(Body):
    """`id` as it was typed. `link`: the token of an invitation link, where there is one."""

    id: Annotated[str, Field(max_length=200)]
    name: Annotated[str, Field(max_length=200)]
    link: Annotated[str, Field(max_length=100)] = ""


class JoinView(Body):
    """`address` is where to go; `token` is the grant in it, for programs. Good for one minute."""

    address: str
    token: str
    event: str
    number: str
    title: str
    kind: str
    role: str


class Suspension(Body):
    reason: Annotated[Word, Field(min_length=1)]


def _view(event: events.Event) -> EventView:
    return EventView(
        id=event.id,
        number=event.number,
        kind=event.kind,
        title=event.title,
        access=event.access,
        listed=event.listed,
        starts_at=_iso(event.starts_at),
        seats=event.seats,
        seats_max=event.limits.seats,
        senders_max=event.limits.senders,
        state=event.state,
        suspended=bool(event.suspended_for),
    )


def _iso(at: datetime.datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _answer(status: int, body: Body) -> Answer:
    return Answer(status, body.model_dump_json())


def let_in(
    doors: Doors, setup: Setup, guesses: Guesses, visit: Visit, number: str, name: str, link: str
) -> joining.Admission:
    """The way into a room, of API and pages alike. Raises TooMany, and what `joining` raises."""
    now = doors.clock.now
    with doors.measures.joining():
        guesses.check(visit.address, now())
        try:
            found = doors.store.read(
                lambda connection: joining.find(connection, now(), setup, visit.caller, number, link)
            )
        except NotFound:
            guesses.failed(visit.address, now())
            raise
        if found.reads_only:
            return doors.store.read(
                lambda connection: joining.admit(connection, now(), setup, visit.caller, found, name)
            )
        return doors.write(
            lambda connection: joining.admit(
                connection,
                now(),
                setup,
                visit.caller,
                joining.find(connection, now(), setup, visit.caller, number, link),
                name,
            )
        )


def router(doors: Doors, setup: Setup, guesses: Guesses | None = None) -> APIRouter:
    """Routes for who has the right `events`, for staff, and for everybody who wants to join."""
    routes = doors.router("rooms")
    now = doors.clock.now
    _own_events(routes, doors, setup)
    _invitations(routes, doors, setup)
    tried = guesses or Guesses()

    @routes.post("/join", response_model=JoinView)
    @need("public")
    def join(visit: Here, body: JoinWish) -> JoinView:
        """A grant to come into the room with this id, and the address of the room. Without an account too."""
        admission = let_in(doors, setup, tried, visit, parse(body.id), joining.display_name(body.name), body.link)
        return JoinView(
            address=admission.address,
            token=admission.token,
            event=admission.event,
            number=spoken(admission.number),
            title=admission.title,
            kind=admission.kind,
            role=admission.role,
        )

    @routes.post("/staff/events/{event}/suspend", status_code=204, response_class=Response)
    @need("staff")
    def suspend(visit: Here, event: EventId, body: Suspension) -> Response:
        """End the event for all at once and let nobody in (ACC-21)."""
        doors.write(
            lambda connection: events.suspend(
                connection, now(), setup, actor=visit.caller.actor, event=event, reason=body.reason
            )
        )
        return Response(status_code=204)

    @routes.post("/staff/events/{event}/lift", status_code=204, response_class=Response)
    @need("staff")
    def lift(visit: Here, event: EventId) -> Response:
        """Restore the event."""
        doors.write(lambda connection: events.lift(connection, now(), setup, actor=visit.caller.actor, event=event))
        return Response(status_code=204)

    return routes


def _own_events(routes: APIRouter, doors: Doors, setup: Setup) -> None:
    now = doors.clock.now

    @routes.post("/events", status_code=201, response_model=EventView)
    @need("events")
    def create(request: Request, visit: Here, body: EventWish) -> Response:
        """Plan an event; it has its 9-digit id from now on."""
        plan = events.Plan(body.kind, body.title, body.access, _utc(body.starts_at), body.seats, body.listed)
        return doors.act(
            request,
            body.model_dump_json().encode(),
            lambda connection: events.create(connection, now(), setup, visit.caller, plan),
            lambda made: _answer(201, _view(made)),
        )

    @routes.get("/events", response_model=EventList)
    @need("events")
    def list_events(visit: Here, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
        """The account's events, the newest first."""
        rows = doors.store.read(lambda connection: events.listed(connection, setup, visit.caller))
        cut, following = page(rows, lambda row: row.id, cursor, limit)
        return listed([_view(row) for row in cut], following)

    @routes.get("/events/{event}", response_model=EventView)
    @need("events")
    def get_event(visit: Here, event: EventId) -> EventView:
        """One event."""
        return _view(doors.store.read(lambda connection: events.get(connection, setup, visit.caller, event)))

    @routes.patch("/events/{event}", response_model=EventView)
    @need("events")
    def change(visit: Here, event: EventId, body: EventChange) -> EventView:
        """Change an event; what concerns its room takes effect within seconds, also while it runs."""
        changes = given(body)
        if "starts_at" in changes:
            changes["starts_at"] = _utc(body.starts_at)
        return _view(
            doors.write(lambda connection: events.change(connection, now(), setup, visit.caller, event, changes))
        )

    def finish(visit: Here, event: str, state: events.State) -> EventView:
        return _view(
            doors.write(lambda connection: events.finish(connection, now(), setup, visit.caller, event, state))
        )

    @routes.post("/events/{event}/cancel", response_model=EventView)
    @need("events")
    def cancel(visit: Here, event: EventId) -> EventView:
        """Cancel it for good: whoever is in is put out, and its id lets nobody in any more."""
        return finish(visit, event, "cancelled")

    @routes.post("/events/{event}/end", response_model=EventView)
    @need("events")
    def end(visit: Here, event: EventId) -> EventView:
        """End it for good and for all."""
        return finish(visit, event, "ended")

    @routes.post("/events/{event}/put-out", status_code=204, response_class=Response)
    @need("events")
    def drop(visit: Here, event: EventId, body: PutOut) -> Response:
        """Put one person out of the room. He can come back only by a new grant."""

        def use_case(connection: Any) -> None:
            events.own(connection, visit.caller, event)
            policies.drop(connection, now(), setup, event, body.identity)

        doors.write(use_case)
        return Response(status_code=204)

    @routes.get("/events/{event}/usage", response_model=UsageView)
    @need("events")
    def used(visit: Here, event: EventId) -> UsageView:
        """What was used of it so far; a running room is told of every half minute."""

        def question(connection: Any) -> UsageView:
            events.own(connection, visit.caller, event)
            sums = usage.of_event(connection, event)
            return UsageView(
                participant_seconds=sums.participant_seconds,
                received_bytes=sums.received_bytes,
                sent_bytes=sums.sent_bytes,
                people=sums.people,
                stays=sums.stays,
                running=usage.running(connection, event),
            )

        return doors.store.read(question)


def _invitations(routes: APIRouter, doors: Doors, setup: Setup) -> None:
    now = doors.clock.now

    @routes.post("/events/{event}/invitations", status_code=201, response_model=InvitationMade)
    @need("events")
    def invite(request: Request, visit: Here, event: EventId, body: InvitationWish) -> Response:
        """Make a link that opens this event in a role, until it is taken back."""
        return doors.act(
            request,
            body.model_dump_json().encode(),
            lambda connection: invitations.make(connection, now(), setup, visit.caller, event, body.role, body.label),
            lambda made: _answer(201, InvitationMade(id=made[0], link=made[1])),
        )

    @routes.get("/events/{event}/invitations", response_model=InvitationList)
    @need("events")
    def list_invitations(visit: Here, event: EventId, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
        """The links that hold, without what opens the event."""
        rows = doors.store.read(lambda connection: invitations.listed(connection, visit.caller, event))
        cut, following = page(rows, lambda row: str(row.id), cursor, limit)
        items = [
            InvitationView(id=row.id, role=row.role, label=row.label, created_at=row.created_at.isoformat())
            for row in cut
        ]
        return listed(items, following)

    @routes.delete("/events/{event}/invitations/{invitation}", status_code=204, response_class=Response)
    @need("events")
    def revoke(visit: Here, event: EventId, invitation: InvitationId) -> Response:
        """Take a link back. Who came in by it stays in; put him out if he shall not."""
        doors.write(lambda connection: invitations.revoke(connection, now(), visit.caller, event, invitation))
        return Response(status_code=204)


def _utc(at: datetime.datetime | None) -> datetime.datetime | None:
    return None if at is None else utc(at, "starts_at")
