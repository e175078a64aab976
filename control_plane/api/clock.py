"""[I/O] `/test/clock`, which exists in test mode alone: what time it is, and going on to another."""

from __future__ import annotations

import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, Field, model_validator

from control_plane.api.bodies import Body
from control_plane.api.doors import Doors, need
from control_plane.errors import Invalid
from control_plane.standing import JUMP_MAX, Standing

_SECONDS_MAX = int(JUMP_MAX.total_seconds())


class Jump(Body):
    """Where to: an instant, or so many seconds from the clock's own time. One of the two."""

    to: AwareDatetime | None = None
    seconds: Annotated[int, Field(ge=0, le=_SECONDS_MAX)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Jump:
        if (self.to is None) == (self.seconds is None):
            raise ValueError("say `to` or `seconds`")
        return self


class Stands(Body):
    """`steps`: how many jobs, mails, media commands and calls of webhooks were done on the way."""

    now: str
    steps: int = 0


def router(doors: Doors, standing: Standing) -> APIRouter:
    """For operators, as the figures are."""
    routes = doors.operations()

    @routes.get("/test/clock", response_model=Stands)
    @need("operator")
    def read() -> Stands:
        return Stands(now=standing.now().isoformat())

    @routes.post("/test/clock", response_model=Stands)
    @need("operator")
    def advance(body: Jump) -> Stands:
        """Answers when nothing is left to do."""
        try:
            to = body.to or standing.now() + datetime.timedelta(seconds=body.seconds or 0)
            steps = standing.advance_to(to.astimezone(datetime.UTC))
        except OverflowError:
            raise Invalid("clock_jump", "there is no such instant", field="to") from None
        return Stands(now=standing.now().isoformat(), steps=steps)

    return routes
