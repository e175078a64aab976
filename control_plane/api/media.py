"""[I/O] The door of the media server: `/internal/usage` takes its records. Not for people, and not in the OpenAPI."""

from __future__ import annotations

import datetime
import hmac
import logging
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from control_plane.clock import Clock
from control_plane.errors import Unauthorized
from control_plane.rooms import stored, usage
from control_plane.rooms.setup import Setup
from control_plane.rooms.stored import StoredKind
from control_plane.storage.store import Store
from control_plane.watch.measures import Measures
from sfu import logs

_log = logging.getLogger("stentor.control")
# A media server sends 150.
RECORDS_MAX = 1_000
# Of one piece: a petabyte. Sums of what is there stay within 64 bits.
STORED_MAX = 10**15
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

Millis = Annotated[int, Field(ge=0, le=253_402_300_799_000)]  # since 1970, until the year 9999
Name = Annotated[str, Field(max_length=128)]
Count = Annotated[int, Field(ge=0, lt=2**62)]


class Started(BaseModel):
    type: Literal["started"]
    at_ms: Millis


class RoomOpened(BaseModel):
    type: Literal["room_opened"]
    room: Name
    number: Count
    at_ms: Millis


class RoomEnded(BaseModel):
    type: Literal["room_ended"]
    room: Name
    number: Count
    at_ms: Millis


class Used(BaseModel):
    type: Literal["used"]
    room: Name
    participant: Name
    identity: Name
    sender: bool
    from_ms: Millis
    to_ms: Millis
    received_bytes: Count
    sent_bytes: Count


class Stored(BaseModel):
    """Of a recording a piece, from one instant to another; of a file all of it, and both are one instant."""

    type: Literal["stored"]
    room: Name
    name: Annotated[str, Field(min_length=1, max_length=128)]
    kind: StoredKind
    from_ms: Millis
    to_ms: Millis
    bytes: Annotated[int, Field(ge=0, le=STORED_MAX)]


class Removed(BaseModel):
    type: Literal["removed"]
    room: Name
    name: Annotated[str, Field(min_length=1, max_length=128)]
    at_ms: Millis


Told = Started | RoomOpened | RoomEnded | Used | Stored | Removed
Record = Annotated[Told, Field(discriminator="type")]


class Batch(BaseModel):
    """`boot` names the run of the media server that made the records."""

    boot: Annotated[str, Field(min_length=1, max_length=64)]
    records: Annotated[list[Record], Field(max_length=RECORDS_MAX)]


class Taken(BaseModel):
    """Everything in the batch is kept: it may be forgotten where it came from."""

    new: int
    known: int
    foreign: int


def router(store: Store, clock: Clock, setup: Setup, measures: Measures) -> APIRouter:
    """Records are kept before they are acknowledged; the same ones again change nothing."""
    routes = APIRouter(include_in_schema=False)
    expected = setup.media.uplink_token.encode()

    @routes.post("/internal/usage", response_model=Taken)
    def take(request: Request, batch: Batch) -> Taken:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), expected):
            raise Unauthorized("media_token", "this door is for the media server")
        if not batch.records:  # it only looks whether we are here
            return Taken(new=0, known=0, foreign=0)
        records = [_record(one) for one in batch.records if _lasts(one)]
        if len(records) < len(batch.records):
            _log.error("records of no duration", extra=logs.fields(records=len(batch.records) - len(records)))

        def keep(connection: sa.Connection) -> usage.Taken:
            now = clock.now()
            taken = usage.take(connection, now, batch.boot, records)
            for account in taken.grew:
                setup.grew(connection, now, account)
            return taken

        taken = store.write(keep)
        for result, count in (("new", taken.new), ("known", taken.known), ("foreign", taken.foreign)):
            measures.usage_records.labels(result).inc(count)
        return Taken(new=taken.new, known=taken.known, foreign=taken.foreign)

    return routes


def _lasts(told: Told) -> bool:
    """Of what has a beginning and an end, whether they are in this order; a file comes at one instant."""
    if isinstance(told, Used):
        return told.from_ms < told.to_ms
    return not isinstance(told, Stored) or told.from_ms + (told.kind == "recording") <= told.to_ms


def _record(told: Told) -> usage.Record:
    match told:
        case Used():
            return usage.Used(
                told.room,
                told.participant,
                told.identity,
                told.sender,
                _at(told.from_ms),
                _at(told.to_ms),
                told.received_bytes,
                told.sent_bytes,
            )
        case RoomOpened():
            return usage.Opened(told.room, told.number, _at(told.at_ms))
        case RoomEnded():
            return usage.Ended(told.room, told.number, _at(told.at_ms))
        case Stored():
            return stored.Stored(told.room, told.name, told.kind, _at(told.from_ms), _at(told.to_ms), told.bytes)
        case Removed():
            return stored.Removed(told.room, told.name, _at(told.at_ms))
    return usage.Started(_at(told.at_ms))


def _at(millis: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(milliseconds=millis)
