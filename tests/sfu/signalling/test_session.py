"""A session without sockets: states, limits, times."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu import channel
from sfu.config_sources import build
from sfu.contract import SOURCES, Grant, Policy
from sfu.errors import MediaFailed, NotFound, Overloaded, RateLimited, Unauthorized
from sfu.rooms import Rooms
from sfu.signalling import messages
from sfu.signalling.effects import Changed, CloseSocket, Counts, Effect, Order, Over, Resume, Say
from sfu.signalling.limits import TokenBucket
from sfu.signalling.session import Session, State
from sfu.signalling.surroundings import Surroundings
from sfu.signalling.told import error_message
from tests.offers import CANDIDATES, FINGERPRINT, OFFERS, negotiation

OFFER = OFFERS["firefox_plain"]
GRANTS = {"good": Grant(room="r", identity="ada", name="Ada"), "mute": Grant(room="r", identity="bo", publish=())}


def verify(token: str, resuming: bool) -> Grant:
    if token not in GRANTS:
        raise Unauthorized("forged")
    return GRANTS[token]


def surroundings(**sections: Any) -> Surroundings:
    peers, requests, names = itertools.count(1), itertools.count(1), itertools.count(1)
    return Surroundings(
        config=build(sections),
        rooms=Rooms(policy=Policy(), rooms_max=9, participants_max=99),
        verify=verify,
        negotiate=lambda policy: negotiation(policy.camera_codec),
        admit=lambda: None,
        unix_time=lambda: 1000.0,
        draw_peer=lambda: next(peers),
        draw_request=lambda: next(requests),
        draw_name=lambda: f"p{next(names)}",
        draw_key=lambda: "key",
        counts=Counts(),
    )


def ask(session: Session, kind: str, now: float = 0.0, **fields: Any) -> list[Effect]:
    return session.receive(json.dumps({"type": kind, "id": 7, **fields}), now)


def said(effects: list[Effect]) -> list[messages.FromServer]:
    return [effect.message for effect in effects if isinstance(effect, Say)]


def code(effects: list[Effect]) -> str:
    (error,) = said(effects)
    assert isinstance(error, messages.Error)
    return error.code


def joined(token: str = "good", **sections: Any) -> Session:
    session = Session(1, surroundings(**sections), 0.0)
    assert isinstance(said(ask(session, "join", token=token))[0], messages.Joined)
    return session


def describe(effects: list[Effect]) -> channel.Describe:
    (command,) = (e.command for e in effects if isinstance(e, Order) and isinstance(e.command, channel.Describe))
    return command


@pytest.mark.parametrize("kind", ["offer", "view", "mute", "send", "leave", "moderate"])
def test_before_join_everything_else_is_unauthorized(kind: str) -> None:
    fields: dict[str, Any] = {
        "sdp": "",
        "slots": [],
        "source": "camera",
        "topic": "",
        "body": "",
        "target": "x",
        "action": "mute",
    }
    session = Session(1, surroundings(), 0.0)
    assert code(ask(session, kind, **fields)) == "unauthorized"
    assert session.state is State.NEW


def test_a_second_join_is_out_of_place() -> None:
    assert code(ask(joined(), "join", token="good")) == "bad_message"


def test_a_forged_token_leaves_the_session_new_and_takes_no_seat() -> None:
    around = surroundings()
    session = Session(1, around, 0.0)
    assert code(ask(session, "join", token="forged")) == "unauthorized"
    assert (session.state, len(around.rooms)) == (State.NEW, 0)


def test_the_answer_and_what_is_published_wait_for_the_worker() -> None:
    session = joined()
    command = describe(ask(session, "offer", sdp=OFFER))
    assert session.state is State.NEGOTIATING
    assert session.room is not None and session.room.seats.snapshot()[0].tracks == ()
    assert session.described(command.request + 1, FINGERPRINT, CANDIDATES) == []
    answer, changed = session.described(command.request, FINGERPRINT, CANDIDATES)
    assert isinstance(answer, Say) and isinstance(answer.message, messages.Answer) and isinstance(changed, Changed)
    assert answer.message.request == 7
    assert {source for source, _ in session.room.seats.snapshot()[0].tracks} == {"camera", "microphone"}
    assert session.described(command.request, FINGERPRINT, CANDIDATES) == []


def test_a_camera_without_the_rooms_codec_is_named_in_the_answer_and_the_microphone_is_published() -> None:
    around = surroundings()
    around.rooms.set_policy(GRANTS["good"].room, Policy(camera_codec="H264"), 0.0)
    session = Session(1, around, 0.0)
    (told, *_) = said(ask(session, "join", token="good"))
    assert isinstance(told, messages.Joined) and told.camera_codec == "H264"
    command = describe(ask(session, "offer", sdp=OFFERS["firefox_simulcast"]))
    (answer, *_) = said(session.described(command.request, FINGERPRINT, CANDIDATES))
    assert isinstance(answer, messages.Answer) and list(answer.refused.values()) == ["codec"]
    assert session.room is not None
    assert session.room.seats.snapshot()[0].tracks == (("microphone", False),)


def test_who_may_not_publish_gets_forbidden_also_for_sources_that_he_did_not_name() -> None:
    session = joined("mute")
    assert code(ask(session, "offer", sdp=OFFER, sources={"0": "microphone"})) == "forbidden"
    assert code(ask(session, "offer", sdp=OFFER)) == "forbidden"
    assert (session.state, session.peer) == (State.JOINED, 0)


def test_a_new_peer_connection_is_known_by_its_certificate_and_takes_the_place_of_the_old() -> None:
    session = joined()
    first = describe(ask(session, "offer", sdp=OFFER))
    session.described(first.request, FINGERPRINT, CANDIDATES)
    again = ask(session, "offer", sdp=OFFER)
    assert describe(again).peer == first.peer
    session.described(describe(again).request, FINGERPRINT, CANDIDATES)
    other = ask(session, "offer", sdp=OFFERS["firefox_simulcast"])
    assert Order(channel.Close(first.peer)) in other
    assert describe(other).peer != first.peer


def test_a_refused_first_offer_leaves_no_peer_and_a_refused_later_one_leaves_the_first() -> None:
    session = joined()
    first = describe(ask(session, "offer", sdp=OFFER))
    effects = session.refused(first.request, Overloaded("full"))
    assert code([effect for effect in effects if isinstance(effect, Say)]) == "overloaded"
    assert session.peer == 0
    second = describe(ask(session, "offer", sdp=OFFER))
    session.described(second.request, FINGERPRINT, CANDIDATES)
    third = describe(ask(session, "offer", sdp=OFFER))
    session.refused(third.request, Overloaded("full"))
    assert (session.peer, session.state) == (second.peer, State.JOINED)


def test_lost_media_ends_what_was_published_and_keeps_the_seat() -> None:
    session = joined()
    assert session.media_lost(MediaFailed("ICE")) == []
    command = describe(ask(session, "offer", sdp=OFFER))
    session.described(command.request, FINGERPRINT, CANDIDATES)
    effects = session.media_lost(MediaFailed("ICE"))
    assert Order(channel.Close(command.peer)) in effects
    assert session.room is not None and session.room.seats.snapshot()[0].tracks == ()
    assert session.state is State.JOINED


def test_a_session_ends_15_s_after_its_socket_if_its_path_is_silent_and_60_s_after_it_in_any_case() -> None:
    silent, sending = joined(), joined()
    sending.path(True)
    for session in (silent, sending):
        assert session.socket_lost(100.0) == []
        assert session.tick(114.9) == []
    assert Over() in silent.tick(115.0)
    assert sending.tick(159.9) == []
    assert Over() in sending.tick(160.0)
    assert sending.tick(161.0) == []


def test_a_resumed_session_does_not_end_and_only_the_same_person_can_resume_it() -> None:
    session = joined()
    session.socket_lost(100.0)
    with pytest.raises(NotFound):
        session.resume(3, replace_identity(GRANTS["good"]), 101.0)
    (back,) = said(session.resume(3, GRANTS["good"], 101.0))
    assert isinstance(back, messages.Joined) and (back.request, back.participant) == (3, session.participant)
    assert session.tick(1000.0) == []
    session.end("removed")
    with pytest.raises(NotFound):
        session.resume(4, GRANTS["good"], 1001.0)


def replace_identity(grant: Grant) -> Grant:
    return Grant(room=grant.room, identity="eve")


def test_a_join_with_a_resume_key_hands_the_socket_over() -> None:
    session = Session(1, surroundings(), 0.0)
    assert ask(session, "join", token="good", resume="key") == [Resume("key", 7, GRANTS["good"])]
    assert session.state is State.LEFT


def test_who_does_not_join_within_10_s_is_closed() -> None:
    session = Session(1, surroundings(), 0.0)
    assert session.tick(9.9) == []
    assert [type(effect) for effect in session.tick(10.0)] == [Say, CloseSocket, Over]
    assert session.tick(11.0) == []


def test_a_slot_is_told_once_and_with_the_name_of_its_source() -> None:
    session = joined()
    command = describe(ask(session, "offer", sdp=OFFER))
    session.described(command.request, FINGERPRINT, CANDIDATES)
    camera = next(track.track for track in command.tracks if track.kind == "video")
    shown = channel.SlotShown(command.peer, "5", camera, 360)
    (slots,) = said(session.slot_shown(shown))
    assert isinstance(slots, messages.Slots)
    assert (slots.slots[0].participant, slots.slots[0].source) == (session.participant, "camera")
    assert session.slot_shown(shown) == []
    (late,) = said(session.slot_shown(channel.SlotShown(command.peer, "5", 999, 0)))
    assert isinstance(late, messages.Slots) and late.slots[0].participant is None


def test_the_error_door_tells_clients_nothing_of_our_faults() -> None:
    told = error_message(RuntimeError("secret detail"), 3)
    assert (told.code, told.request) == ("internal", 3)
    assert "secret" not in told.reason
    assert error_message(RateLimited("slow", retry_after_s=1.5), None).retry_after == 1.5


def test_a_bucket_lets_the_burst_through_then_the_rate_and_says_when_again() -> None:
    bucket = TokenBucket(2.0, 3, 0.0)
    assert [bucket.take(1, 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(1, 0.4) == pytest.approx(0.1)
    assert bucket.take(1, 0.5) == 0.0
    assert [bucket.take(1, 100.0) for _ in range(4)][-1] > 0
    assert bucket.take(1, 50.0) > 0  # a clock that goes back gives nothing


KINDS = st.sampled_from(["join", "offer", "view", "mute", "unmute", "unpublish", "moderate", "send", "leave", "x"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "token": st.sampled_from(["good", "mute", "forged"]),
        "resume": st.sampled_from(["key", None]),
        "sdp": st.sampled_from([OFFER, "", "v=0"]),
        "slots": st.lists(st.fixed_dictionaries({"mid": st.sampled_from(["5", "9"])}), max_size=2),
        "source": st.sampled_from([*SOURCES, "smell"]),
        "target": st.sampled_from(["p1", "p2"]),
        "action": st.sampled_from(["mute", "remove"]),
        "topic": st.just("t"),
        "body": st.just("b"),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(KINDS, FIELDS), max_size=12), st.booleans())
def test_every_message_is_answered_once_whatever_came_before(
    story: list[tuple[str, dict[str, Any]]], done: bool
) -> None:
    session = Session(1, surroundings(), 0.0)
    for number, (kind, fields) in enumerate(story):
        effects = session.receive(json.dumps({"type": kind, "id": number, **fields}), 0.0)
        orders = [effect.command for effect in effects if isinstance(effect, Order)]
        for command in orders:
            if isinstance(command, channel.Describe):
                request = command.request
                effects = effects + (
                    session.described(request, FINGERPRINT, CANDIDATES)
                    if done
                    else session.refused(request, Overloaded("full"))
                )
        answers = [message for message in said(effects) if getattr(message, "request", None) == number]
        handed_over = [effect for effect in effects if isinstance(effect, Resume)]
        assert len(answers) + len(handed_over) == 1


def test_joins_with_bad_tokens_are_limited_by_address_and_then_not_even_checked() -> None:
    checked: list[str] = []

    def counted(token: str, resuming: bool) -> Grant:
        checked.append(token)
        return verify(token, resuming)

    around = replace(surroundings(limits={"failed_joins_per_s": 2, "failed_joins_burst": 3}), verify=counted)
    for _ in range(9):
        assert code(ask(Session(1, around, 0.0, "192.0.2.1"), "join", token="bad")) == "unauthorized"
        if len(checked) == 3:
            break
    refused = ask(Session(1, around, 0.0, "192.0.2.1"), "join", token="good")
    (error,) = said(refused)
    assert isinstance(error, messages.Error)
    assert (error.code, error.retry_after) == ("rate_limited", 0.5)
    assert checked == ["bad"] * 3
    assert isinstance(said(ask(Session(1, around, 0.0, "192.0.2.2"), "join", token="good"))[0], messages.Joined)
    later = Session(1, around, 0.5, "192.0.2.1")
    assert isinstance(said(ask(later, "join", 0.5, token="good"))[0], messages.Joined)


def test_joins_that_hold_cost_their_address_nothing() -> None:
    around = surroundings(limits={"failed_joins_per_s": 0.1, "failed_joins_burst": 1})
    for _ in range(20):
        assert isinstance(said(ask(Session(1, around, 0.0, "192.0.2.1"), "join", token="good"))[0], messages.Joined)


def test_a_flood_of_which_some_is_taken_is_closed_as_well() -> None:
    """Slower than 200 refusals between two messages that the limit lets through."""
    session = joined(limits={"messages_per_s": 20, "messages_burst": 10})
    closed_at = None
    for number in range(2000):
        now = number / 100
        effects = ask(session, "send", now, topic="t", body="b")
        if any(isinstance(effect, CloseSocket) for effect in effects):
            closed_at = now
            break
    assert closed_at is not None and 2 <= closed_at <= 5
