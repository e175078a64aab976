"""Signatures: what was forged, changed, or sent again is refused or known again."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.running.signatures import Forged, secret_of, sign, verify

SECRET, OLD = secret_of(b"k" * 32, "whk_a", 2), secret_of(b"k" * 32, "whk_a", 1)
BODY, NOW = b'{"a":1}', 1_700_000_000


class Seen:
    """A receiver's memory."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def __call__(self, id: str) -> bool:
        fresh = id not in self.ids
        self.ids.add(id)
        return fresh


def signed(body: bytes = BODY, at: int = NOW, *secrets: str) -> dict[str, str]:
    return sign(secrets or (SECRET,), "evt_1", at, body)


def refused(headers: dict[str, str], body: bytes = BODY, now: int = NOW) -> str:
    seen = Seen()
    with pytest.raises(Forged) as forged:
        verify([SECRET], headers, body, now, seen)
    assert not seen.ids
    return forged.value.code


def test_what_we_sign_holds_whatever_the_case_of_the_headers() -> None:
    loud = {name.upper(): value for name, value in signed().items()}
    received = verify([SECRET], loud, BODY, NOW, Seen())
    assert (received.id, received.timestamp_s, received.fresh) == ("evt_1", NOW, True)


def test_it_is_the_published_scheme() -> None:
    """The example of the Standard Webhooks text."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_request_sent_again_is_known_again() -> None:
    seen = Seen()
    assert [verify([SECRET], signed(at=at), BODY, NOW, seen).fresh for at in (NOW, NOW, NOW + 60)] == [
        True,
        False,
        False,
    ]


def test_an_old_request_sent_again_is_refused() -> None:
    assert refused(signed(at=NOW - 301)) == "too_old"
    assert refused(signed(at=NOW + 301)) == "too_new"
    assert verify([SECRET], signed(at=NOW - 300), BODY, NOW, Seen()).fresh


def test_an_old_signature_under_a_new_time_or_id_is_refused() -> None:
    assert refused(signed(at=NOW - 301) | {"webhook-timestamp": str(NOW)}) == "bad_signature"
    assert refused(signed() | {"webhook-id": "evt_2"}) == "bad_signature"


def test_another_body_or_secret_is_refused() -> None:
    assert refused(signed(), BODY + b" ") == "bad_signature"
    assert refused(signed(BODY, NOW, OLD)) == "bad_signature"
    assert refused(signed(BODY, NOW, secret_of(b"k" * 32, "whk_b", 2))) == "bad_signature"
    assert refused(signed(BODY, NOW, secret_of(b"x" * 32, "whk_a", 2))) == "bad_signature"


def test_while_a_secret_is_changed_both_hold() -> None:
    both = signed(BODY, NOW, SECRET, OLD)
    for mine in (SECRET, OLD):
        assert verify([mine], both, BODY, NOW, Seen()).fresh


@pytest.mark.parametrize("gone", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(gone: str) -> None:
    assert refused({name: value for name, value in signed().items() if name != gone}) == "header_missing"


@pytest.mark.parametrize("stamp", ["", "-5", "1e9", "١٢٣", "9" * 40, "17 00"])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    assert refused(signed() | {"webhook-timestamp": stamp}) == "bad_timestamp"


@pytest.mark.parametrize("signature", ["", "v1", "v1,", "v1,***", "v2," + "A" * 44, " ", "v1," + "A" * 44, "v1,ä"])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    assert refused(signed() | {"webhook-signature": signature}) == "bad_signature"


@given(st.binary(max_size=64), st.binary(min_size=32, max_size=32))
def test_a_guessed_signature_never_holds(body: bytes, guess: bytes) -> None:
    guessed = f"v1,{base64.b64encode(guess).decode()}"
    assert refused(signed(body) | {"webhook-signature": guessed}, body) == "bad_signature"
