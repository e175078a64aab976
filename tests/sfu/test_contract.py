"""Grants: what holds, what does not, and that a refusal says why without repeating the token."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.contract import LEEWAY_S, Grant, KeyUnusable, TokenKey, generate_pem, load_key, sign, verify
from sfu.errors import Unauthorized

NOW = 1_000_000.0
PEM = generate_pem()


def key(text: str = PEM, *, key_id: str = "k", issuer: str = "i", audience: str = "a") -> TokenKey:
    return load_key(text, key_id=key_id, issuer=issuer, audience=audience)


def grant(**fields: object) -> Grant:
    return Grant(**{"room": "r", "identity": "ada", "name": "Ada", "expires_at": NOW + 60, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [PEM, "s" * 32])
def test_what_was_signed_comes_back(text: str) -> None:
    given = grant(role="host", publish=("camera",), max_kbps=900, moderate=True, visible=False, manage=True)
    given = msgspec.structs.replace(given, issued_at=NOW)
    assert verify(sign(given, key(text), NOW), key(text), NOW) == given


@pytest.mark.parametrize(
    ("checker", "reason"),
    [
        (key(generate_pem()), "signature"),
        (key("s" * 32), "algorithm"),
        (key(key_id="other"), "key id"),
        (key(issuer="other"), "issuer"),
        (key(audience="other"), "audience"),
    ],
)
def test_another_key_id_issuer_or_audience_is_refused_with_its_reason(checker: TokenKey, reason: str) -> None:
    token = sign(grant(), key(), NOW)
    with pytest.raises(Unauthorized, match=reason) as refused:
        verify(token, checker, NOW)
    assert token not in refused.value.reason


def test_exp_limits_the_first_join_only() -> None:
    token = sign(grant(), key(), NOW)
    late = NOW + 60 + LEEWAY_S
    assert verify(token, key(), late - 1).identity == "ada"
    with pytest.raises(Unauthorized, match="expired"):
        verify(token, key(), late)
    assert verify(token, key(), late, resuming=True).identity == "ada"


def changed(token: str, **claims: object) -> str:
    header, body, signature = token.split(".")
    read = json.loads(base64.urlsafe_b64decode(body + "=="))
    written = base64.urlsafe_b64encode(json.dumps({**read, **claims}).encode()).decode().rstrip("=")
    return f"{header}.{written}.{signature}"


def test_a_token_changed_to_another_room_is_forged() -> None:
    with pytest.raises(Unauthorized, match="signature"):
        verify(changed(sign(grant(), key(), NOW), room="other"), key(), NOW)


def test_a_token_without_signature_is_refused() -> None:
    body = sign(grant(), key(), NOW).split(".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k"}').decode().rstrip("=")
    with pytest.raises(Unauthorized):
        verify(f"{none}.{body}.", key(), NOW)


@pytest.mark.parametrize(
    "fields",
    [{"room": ""}, {"room": "x" * 65}, {"identity": ""}, {"identity": "x" * 129}, {"room": "a\nb"}, {"name": "\x00"}],
)
def test_names_that_are_empty_too_long_or_not_printable_are_never_signed(fields: dict[str, object]) -> None:
    with pytest.raises(Unauthorized):
        sign(grant(**fields), key(), NOW)


def test_a_public_key_checks_and_does_not_sign() -> None:
    from cryptography.hazmat.primitives import serialization

    private = serialization.load_pem_private_key(PEM.encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    checker = key(public.decode())
    assert verify(sign(grant(), key(), NOW), checker, NOW).room == "r"
    assert not checker.can_sign
    with pytest.raises(Unauthorized):
        sign(grant(), checker, NOW)


@pytest.mark.parametrize("text", ["short", "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_a_key_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(KeyUnusable):
        key(text)


def test_a_key_is_never_shown() -> None:
    assert "s" * 32 not in repr(key("s" * 32))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=100).map(lambda junk: f"{junk.hex()}.{junk.hex()}.{junk.hex()}"))
def test_no_text_makes_verify_raise_anything_else(text: str) -> None:
    with pytest.raises(Unauthorized):
        verify(text, key(), NOW)
