"""Who has a seat in a room: senders, audience, and who may not come back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfu.channel import SlotWish
from sfu.contract import Policy
from sfu.errors import Forbidden, NotFound, RoomFull
from sfu.room_values import Enter, Seat, SlotView

# Identities remembered as put out. With more, the first one could come back with his old grant.
PUT_OUT_MAX = 1000


@dataclass(slots=True)
class Participant:
    """One who is in. `sources`: source -> track; `slots`: video mid -> mid of the paired audio or ""."""

    entry: Enter
    sources: dict[str, int] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    slots: dict[str, str] = field(default_factory=dict)
    views: dict[str, SlotView] = field(default_factory=dict)
    wished: dict[str, SlotWish] = field(default_factory=dict)

    def seat(self) -> Seat:
        """As others see him."""
        tracks = tuple((source, source in self.muted) for source in self.sources)
        return Seat(self.entry.participant, self.entry.name, self.entry.role, tracks)


class Seats:
    """`taken` and `senders` (who may publish) by participant, in the order of joining."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.taken: dict[str, Participant] = {}
        self.senders: dict[str, Participant] = {}
        self.audience = 0
        self._put_out: dict[str, float] = {}

    def one(self, participant: str) -> Participant:
        """Raises NotFound."""
        try:
            return self.taken[participant]
        except KeyError:
            raise NotFound("no such participant in this room") from None

    def take(self, entry: Enter) -> Participant:
        """Raises Forbidden or RoomFull."""
        if entry.participant in self.taken:
            raise Forbidden("this participant is in already")
        if self.policy.closed:
            raise Forbidden("this room is closed: nobody can come in")
        if self.is_put_out(entry):
            raise Forbidden("you were removed from this room: a new grant is needed to come back")
        if len(self.taken) >= self.policy.seats:
            raise RoomFull(f"all {self.policy.seats} seats of the room are taken")
        self._check_senders(entry)
        one = self.taken[entry.participant] = Participant(entry)
        self._book(one, entry, 1)
        return one

    def rebook(self, one: Participant, entry: Enter) -> None:
        """Other rights for one who is in. Raises RoomFull when he would be one sender too many."""
        self._check_senders(entry)
        self._book(one, one.entry, -1)
        one.entry = entry
        self._book(one, entry, 1)

    def give_back(self, participant: str) -> Participant | None:
        """Who had the seat; None for one who is not in."""
        one = self.taken.pop(participant, None)
        if one is not None:
            self._book(one, one.entry, -1)
        return one

    def bar(self, identity: str, at: float) -> None:
        """Grants for this identity that were issued until `at` (unix seconds) are worth nothing here any more."""
        if identity:
            self._put_out[identity] = at
            if len(self._put_out) > PUT_OUT_MAX:
                del self._put_out[next(iter(self._put_out))]

    def is_put_out(self, entry: Enter) -> bool:
        """His grant was issued before he was put out, by a moderator or by the policy."""
        if entry.issued_at <= self._put_out.get(entry.identity, -1.0):
            return True
        return any(out.identity == entry.identity and entry.issued_at <= out.at for out in self.policy.put_out)

    def snapshot(self) -> tuple[Seat, ...]:
        """Everybody who is announced."""
        return tuple(one.seat() for one in self.senders.values() if one.entry.announced)

    def roster(self, reader: str | None, after: str | None, limit: int) -> tuple[tuple[Seat, ...], str | None]:
        """A page of all who may be seen, and after whom the next one begins (None = that was the last).

        `reader` None is the server API. Raises Forbidden where the audience is not for this reader's eyes, NotFound
        for an `after` who has left: begin again.
        """
        if reader is not None and not (self.policy.audience_visible or self.one(reader).entry.may_moderate):
            raise Forbidden("the names of the audience are not shown in this room")
        if after is not None and after not in self.taken:
            raise NotFound("the participant that the last page ended with has left; begin again")
        names = [name for name, one in self.taken.items() if one.entry.visible]
        start = 0 if after is None else names.index(after) + 1
        page = names[start : start + limit]
        return tuple(self.taken[name].seat() for name in page), page[-1] if start + limit < len(names) else None

    def _check_senders(self, entry: Enter) -> None:
        if entry.may_publish and entry.participant not in self.senders and len(self.senders) >= self.policy.senders:
            raise RoomFull(f"all {self.policy.senders} places for those who publish are taken")

    def _book(self, one: Participant, entry: Enter, step: int) -> None:
        self.audience += step * entry.in_audience
        if entry.may_publish and step > 0:
            self.senders[entry.participant] = one
        else:
            self.senders.pop(entry.participant, None)
