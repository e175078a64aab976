"""A session of WHIP or WHEP without HTTP: states, times, ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from sfu import channel, errors
from sfu import room_values as values
from sfu.contract import Grant
from sfu.signalling import messages, sdp_fragment
from sfu.signalling.effects import Changed, Effect, Order, Over, Reply, Say
from sfu.signalling.surroundings import Surroundings
from sfu.signalling.whip_session import State, WhipSession
from sfu.signalling.whip_values import (
    Delete,
    Ended,
    Noted,
    Open,
    Opened,
    Outcome,
    Patch,
    Protocol,
    Refused,
    Request,
    Restarted,
)
from tests.offers import CANDIDATES, FINGERPRINT, OFFERS, audio, session, video
from tests.sfu.signalling.test_session import surroundings

ADA = Grant(room="r", identity="ada", name="Ada")
BO = Grant(room="r", identity="bo", publish=())
SENDS = str(session(audio("0", "sendonly"), video("1", "sendonly")))
LOOKS = str(session(audio("0"), video("1")))
SAME = "a=ice-ufrag:remote\r\na=ice-pwd:" + "r" * 24
FRESH = "a=ice-ufrag:fresh\r\na=ice-pwd:" + "f" * 24


@dataclass
class Asked:
    """An exchange that keeps what it hears."""

    address: str = "192.0.2.1"
    reached: str = "media.example"
    heard: list[Outcome] = field(default_factory=list)

    def answer(self, outcome: Outcome) -> None:
        self.heard.append(outcome)


class Story:
    """One session, whose effects are kept."""

    def __init__(self, protocol: Protocol = Protocol.WHIP, **sections: Any) -> None:
        self.around: Surroundings = surroundings(**sections)
        self.session = WhipSession(1, protocol, self.around, 0.0)
        self.effects: list[Effect] = []

    def ask(self, request: Request, now: float = 0.0) -> Asked:
        """What the exchange hears at once."""
        asked = Asked()
        self.note(self.session.receive(request, asked, now))
        return asked

    def note(self, effects: list[Effect]) -> None:
        self.effects = effects
        for effect in effects:
            if isinstance(effect, Reply):
                effect.exchange.answer(effect.outcome)

    def open(self, sdp: str = SENDS, grant: Grant = ADA) -> Opened:
        asked = self.ask(Open(grant, sdp))
        assert not asked.heard, asked.heard
        self.done()
        (opened,) = asked.heard
        assert isinstance(opened, Opened)
        return opened

    def done(self) -> None:
        self.note(self.session.described(self.describes, FINGERPRINT, CANDIDATES))

    @property
    def describes(self) -> int:
        """The number of the Describe that went out last."""
        (command,) = [one.command for one in self.effects if isinstance(one, Order)]
        assert isinstance(command, channel.Describe)
        return command.request

    def patch(self, fragment: str, if_match: str | None, grant: Grant = ADA) -> Asked:
        return self.ask(Patch(grant, if_match, fragment))


def refusal(asked: Asked) -> tuple[str, int]:
    (refused,) = asked.heard
    assert isinstance(refused, Refused), refused
    return refused.error.code, refused.status


def over(story: Story) -> bool:
    """The seat is free, the peer closed, and the node is told to forget."""
    closed = [one.command for one in story.effects if isinstance(one, Order)]
    return (
        story.session.state is State.OVER
        and isinstance(story.effects[-1], Over)
        and closed == [channel.Close(1)]
        and story.around.rooms.participants() == 0
    )


def test_a_publisher_takes_a_seat_and_is_answered_when_the_worker_has_done_its_part() -> None:
    story = Story()
    asked = story.ask(Open(ADA, SENDS))
    assert (asked.heard, story.session.state) == ([], State.OPENING)
    room = story.around.rooms.by_name("r")
    assert [seat.name for seat in room.seats.snapshot()] == ["Ada"]
    story.done()
    (opened,) = asked.heard
    assert isinstance(opened, Opened) and opened.location == "/whip/key"
    assert opened.etag == '"local"' and FINGERPRINT.value in opened.sdp
    assert [seat.tracks for seat in room.seats.snapshot()] == [(("microphone", False), ("camera", False))]
    assert story.session.state is State.LIVE


def test_a_viewer_is_audience_whatever_his_grant_allows_and_looks_at_the_speaker() -> None:
    for grant in (ADA, BO):
        story = Story(Protocol.WHEP)
        story.open(LOOKS, grant)
        room = story.around.rooms.by_name("r")
        assert (room.seats.audience, len(room.seats.senders)) == (1, 0)
        # Somebody with a camera comes: his picture, and its sound, are wished for.
        room.apply(values.Enter("x", "X", "participant", ("camera", "microphone")))
        changes = room.apply(values.Negotiated("x", {"camera": 7, "microphone": 8}, {}))
        assert changes.wishes == {"p1": (channel.SlotWish("1", track=7, audio_track=8),)}


def test_who_may_not_publish_is_refused_by_whip_and_told_where_to_go() -> None:
    story = Story()
    assert refusal(story.ask(Open(BO, SENDS))) == ("forbidden", 0)
    assert story.session.state is State.OVER and isinstance(story.effects[-1], Over)
    assert story.around.rooms.participants() == 0


def test_a_source_that_the_grant_does_not_allow_is_named() -> None:
    asked = Story().ask(Open(Grant(room="r", identity="a", publish=("microphone",)), SENDS))
    assert refusal(asked) == ("forbidden", 0)
    assert isinstance(asked.heard[0], Refused) and "camera" in asked.heard[0].error.reason


@pytest.mark.parametrize(
    ("sdp", "told"), [("", ("bad_offer", 0)), (LOOKS, ("bad_offer", 0)), (OFFERS["plain_answer"], ("bad_offer", 0))]
)
def test_an_offer_that_cannot_be_answered_leaves_no_seat_behind(sdp: str, told: tuple[str, int]) -> None:
    story = Story()
    assert refusal(story.ask(Open(ADA, sdp))) == told
    assert story.around.rooms.participants() == 0 and isinstance(story.effects[-1], Over)


def test_the_seat_is_free_again_when_the_worker_refuses() -> None:
    story = Story()
    asked = story.ask(Open(ADA, SENDS))
    story.note(story.session.refused(story.describes, errors.Overloaded("no rows")))
    assert refusal(asked) == ("overloaded", 0) and over(story)


def test_candidates_are_noted_and_an_ice_restart_is_answered_with_new_credentials() -> None:
    story = Story()
    first = story.open()
    assert story.patch(SAME, first.etag).heard == [Noted()]
    asked = story.patch(FRESH, '"*"')
    assert (asked.heard, story.session.state) == ([], State.RESTARTING)
    story.done()
    (restarted,) = asked.heard
    assert isinstance(restarted, Restarted)
    ours = sdp_fragment.parse(restarted.fragment)
    assert restarted.etag == f'"{ours.ice_ufrag}"' != first.etag
    assert "127.0.0.1" in restarted.fragment
    # What belongs to the session before is refused, what belongs to the new one is taken.
    assert refusal(story.patch(SAME, first.etag)) == ("conflict", 412)
    assert story.patch(FRESH, restarted.etag).heard == [Noted()]


@pytest.mark.parametrize(
    ("if_match", "told"),
    [
        (None, ("bad_message", 428)),
        ('"other"', ("conflict", 412)),
        ('W/"local"', ("conflict", 412)),
        ("local", ("conflict", 412)),
    ],
)
def test_a_patch_must_name_the_ice_session(if_match: str | None, told: tuple[str, int]) -> None:
    story = Story()
    story.open()
    for fragment in (SAME, FRESH):
        assert refusal(story.patch(fragment, if_match)) == told
    assert story.session.state is State.LIVE


def test_a_list_of_entity_tags_may_hold_the_right_one() -> None:
    story = Story()
    story.open()
    assert story.patch(SAME, '"other", "local"').heard == [Noted()]


def test_a_fragment_that_cannot_be_read_changes_nothing() -> None:
    story = Story()
    story.open()
    assert refusal(story.patch("a=ice-ufrag:x", "*")) == ("bad_message", 0)
    assert story.session.state is State.LIVE


def test_a_second_restart_waits_for_the_first_and_a_failed_one_leaves_the_session_as_it_was() -> None:
    story = Story()
    first = story.open()
    asked = story.patch(FRESH, "*")
    describe = story.describes
    assert refusal(story.patch(FRESH, "*")) == ("conflict", 0)
    story.note(story.session.refused(describe, errors.WorkerLost("gone")))
    assert refusal(asked) == ("worker_lost", 0)
    assert story.patch(SAME, first.etag).heard == [Noted()]
    # The same restart once more: the credentials that the first try drew are those that hold.
    again = story.patch(FRESH, "*")
    story.done()
    assert isinstance(again.heard[0], Restarted)


def test_only_the_identity_of_the_grant_may_patch_and_delete() -> None:
    story = Story()
    story.open()
    for grant in (BO, Grant(room="other", identity="ada")):
        assert refusal(story.patch(SAME, "*", grant)) == ("forbidden", 0)
        assert refusal(story.ask(Delete(grant))) == ("forbidden", 0)
    assert story.ask(Delete(ADA)).heard == [Ended()]
    assert over(story)


def test_a_delete_answers_who_waits() -> None:
    story = Story()
    asked = story.ask(Open(ADA, SENDS))
    assert story.ask(Delete(ADA)).heard == [Ended()]
    assert refusal(asked) == ("not_found", 0) and over(story)


def test_a_client_that_never_connects_frees_its_seat() -> None:
    story = Story(session={"connect_within_s": 20})
    story.open()
    assert story.session.tick(19.9) == []
    story.note(story.session.tick(20.0))
    assert over(story)


def test_a_worker_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    story = Story(session={"connect_within_s": 20})
    asked = story.ask(Open(ADA, SENDS))
    story.note(story.session.tick(20.0))
    assert refusal(asked) == ("not_found", 0) and over(story)


def test_a_live_session_ends_by_silence_and_not_by_time() -> None:
    story = Story(session={"resume_s": 15, "connect_within_s": 20})
    story.open()
    story.session.path(True)
    assert story.session.tick(1000.0) == []
    story.session.path(False)
    assert story.session.tick(1014.9) == []
    story.session.path(True)
    assert story.session.tick(1020.0) == []
    story.session.path(False)
    story.note(story.session.tick(1035.0))
    assert over(story)


def test_a_lost_worker_ends_the_session_for_nobody_can_be_told() -> None:
    story = Story()
    story.open()
    story.note(story.session.media_lost(errors.WorkerLost("gone")))
    assert over(story) and story.around.counts.errors["worker_lost"] == 1
    said = [effect.message for effect in story.effects if isinstance(effect, Say)]
    assert messages.Ended(reason="media_lost") in said
    assert story.session.media_lost(errors.WorkerLost("gone")) == story.session.end("left") == []


@pytest.mark.parametrize(("reason", "code"), [("server_stopping", "overloaded"), ("room_ended", "not_found")])
def test_who_waits_is_told_when_the_session_is_ended(reason: str, code: str) -> None:
    story = Story()
    asked = story.ask(Open(ADA, SENDS))
    story.note(story.session.end(reason))
    assert refusal(asked) == (code, 0) and over(story)


def test_a_late_word_of_the_worker_changes_nothing() -> None:
    story = Story()
    story.ask(Open(ADA, SENDS))
    describe = story.describes
    story.ask(Delete(ADA))
    assert story.session.described(describe, FINGERPRINT, CANDIDATES) == []
    assert story.session.refused(describe, errors.Overloaded("late")) == []


def test_another_limit_reaches_the_worker() -> None:
    story = Story()
    story.open()
    entry = values.Enter("p1", "Ada", "participant", ("camera",), max_kbps=300)
    assert story.session.permitted(entry) == [Order(channel.Limit(1, 300))]


def test_no_strength_for_one_more_takes_no_seat() -> None:
    def admit() -> None:
        raise errors.Overloaded("busy", retry_after_s=5.0)

    story = Story()
    object.__setattr__(story.around, "admit", admit)
    assert refusal(story.ask(Open(ADA, SENDS))) == ("overloaded", 0)
    assert not [effect for effect in story.effects if isinstance(effect, Changed)]
