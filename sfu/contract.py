"""What the media server and the control plane share: join grants and room policies.

A grant is a JWT (RFC 7519) signed with Ed25519 (RFC 8037) or, for back ends that cannot, with a shared key (HS256).
Key id, issuer, audience and algorithm are pinned: a token that names another is refused, whatever its signature.
`now` is unix time in seconds here, because `exp` is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey
from joserfc.jws import JWSRegistry
from msgspec import Meta

from sfu.errors import Unauthorized

Source = Literal["camera", "microphone", "screen", "screen_audio"]
CameraCodec = Literal["VP8", "VP9", "H264", "AV1"]
SOURCES: tuple[Source, ...] = ("camera", "microphone", "screen", "screen_audio")

# Longer names only make every event of the room larger; 64 and 128 hold any title and any UUID or e-mail address.
ROOM_CHARACTERS_MAX = 64
IDENTITY_CHARACTERS_MAX = 128
# The most that one node could serve to one room; every seat costs 64 KiB of memory at most (DESIGN row 13).
SEATS_MAX = 10_000
# Everybody is told of every sender: more than this is not a conversation.
SENDERS_MAX = 200
# Clocks of two well-kept machines differ by less; more lets an expired token in for longer.
LEEWAY_S = 30
# A token of ours is about 500 bytes.
TOKEN_BYTES_MAX = 8192
# A shorter HMAC key can be searched (RFC 7518 section 3.2: at least the size of the hash).
SHARED_KEY_BYTES_MIN = 32

# Who was put out of one room and must stay out. Their old grants outlive 60 s only by a fault, so this is plenty.
PUT_OUT_MAX = 200

_ALGORITHMS = ("EdDSA", "Ed25519", "HS256")

Seats = Annotated[int, Meta(ge=1, le=SEATS_MAX)]
Senders = Annotated[int, Meta(ge=0, le=SENDERS_MAX)]
Version = Annotated[int, Meta(ge=0)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many a room holds, as of a version of its policy: with it a grant needs no policy that came before."""

    seats: Seats
    senders: Senders
    version: Version


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The right to join one room, and what may be done there.

    `expires_at` is unix seconds and limits the first join only.
    """

    room: str
    identity: str
    name: str = ""
    role: str = "participant"
    publish: tuple[Source, ...] = SOURCES
    max_kbps: int = 0  # of all that is published; 0 = no limit
    moderate: bool = False
    visible: bool = True
    manage: bool = False  # may use the server API for this room
    limits: Limits | None = None  # taken over by the room when it knows an older version, or none
    issued_at: float = 0.0
    expires_at: float = 0.0


class PutOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who must leave: grants for `identity` that were issued until `at` (unix seconds) are worth nothing."""

    identity: Annotated[str, Meta(min_length=1, max_length=IDENTITY_CHARACTERS_MAX)]
    at: Annotated[float, Meta(ge=0)]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one room is like. Lower `seats` or `senders` than are taken put nobody out; they refuse the next."""

    seats: Seats = 40
    senders: Senders = 40  # of the seats, those whose grant lets them publish
    audience_visible: bool = False  # everybody may read the roster of the audience, not only who moderates
    camera_codec: CameraCodec = "VP8"  # of screens too; connections that stand keep the one they began with
    audio_red: bool = False  # ask every microphone to send each frame twice (RED), for networks that lose packets
    closed: bool = False  # nobody comes in, and who is in is put out
    put_out: Annotated[tuple[PutOut, ...], Meta(max_length=PUT_OUT_MAX)] = ()  # who must leave and stay out
    version: Version = 0  # a lower one than the room's is refused, and so is another policy of the same (but 0)


class _Claims(msgspec.Struct, kw_only=True):
    room: str
    identity: str
    iss: str
    aud: str
    exp: float
    name: str = ""
    role: str = "participant"
    publish: tuple[Source, ...] = ()
    max_kbps: int = 0
    moderate: bool = False
    visible: bool = True
    manage: bool = False
    limits: Limits | None = None
    iat: float = 0.0


class TokenKey(msgspec.Struct, frozen=True, kw_only=True):
    """The one key that grants are signed or checked with, and what every token must say."""

    key_id: str
    issuer: str
    audience: str
    key: OKPKey | OctKey
    algorithms: tuple[str, ...]

    @property
    def can_sign(self) -> bool:
        """False for a public key."""
        return bool(self.key.is_private) or isinstance(self.key, OctKey)

    def __repr__(self) -> str:
        return f"TokenKey({self.key_id!r})"  # never the key


class KeyUnusable(ValueError):
    """The key text is neither an Ed25519 PEM nor a shared key of 32 bytes or more."""


def load_key(text: str, *, key_id: str, issuer: str, audience: str) -> TokenKey:
    """A key from PEM (Ed25519, private or public) or from a shared secret. Raises KeyUnusable."""
    stripped = text.strip()
    if stripped.startswith("-----BEGIN"):
        key = _from_pem(stripped.encode())
        return TokenKey(
            key_id=key_id, issuer=issuer, audience=audience, key=OKPKey.import_key(key), algorithms=("Ed25519", "EdDSA")
        )
    if len(stripped.encode()) < SHARED_KEY_BYTES_MIN:
        raise KeyUnusable(f"a shared key needs at least {SHARED_KEY_BYTES_MIN} bytes")
    return TokenKey(
        key_id=key_id, issuer=issuer, audience=audience, key=OctKey.import_key(stripped), algorithms=("HS256",)
    )


def _from_pem(pem: bytes) -> Ed25519PrivateKey | Ed25519PublicKey:
    try:
        key: Any = (
            serialization.load_pem_private_key(pem, password=None)
            if b"PRIVATE" in pem.split(b"\n", 1)[0]
            else serialization.load_pem_public_key(pem)
        )
    except (ValueError, TypeError) as error:
        raise KeyUnusable("the PEM cannot be read (is it encrypted?)") from error
    if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        raise KeyUnusable("the PEM holds another kind of key than Ed25519")
    return key


def generate_pem() -> str:
    """A fresh Ed25519 private key as PEM."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def sign(grant: Grant, key: TokenKey, now: float) -> str:
    """The grant as a token, valid until `grant.expires_at`. Raises Unauthorized for a grant that could not be used."""
    if not key.can_sign:
        raise Unauthorized("this key can check tokens but not sign them")
    _check_names(grant.room, grant.identity, grant.name, grant.role)
    if grant.expires_at <= now:
        raise Unauthorized("the grant has expired before it is signed")
    claims = {
        "iss": key.issuer,
        "aud": key.audience,
        "iat": int(now),
        "exp": int(grant.expires_at),
        "room": grant.room,
        "identity": grant.identity,
        "name": grant.name,
        "role": grant.role,
        "publish": list(grant.publish),
        "max_kbps": grant.max_kbps,
        "moderate": grant.moderate,
        "visible": grant.visible,
        "manage": grant.manage,
    }
    if grant.limits is not None:
        claims["limits"] = msgspec.to_builtins(grant.limits)
    algorithm = key.algorithms[0]
    return jwt.encode({"alg": algorithm, "kid": key.key_id}, claims, key.key, registry=_registry(key))


def verify(token: str, key: TokenKey, now: float, *, resuming: bool = False) -> Grant:
    """The grant of a token. Raises Unauthorized, whose reason never holds any part of the token.

    `resuming` leaves `exp` aside: it limits the first join only.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise Unauthorized("the token is too long")
    try:
        decoded = jwt.decode(token, key.key, algorithms=list(key.algorithms), registry=_registry(key))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Unauthorized("the token is not one of ours: form, algorithm or signature is wrong") from error
    if decoded.header.get("kid") != key.key_id:
        raise Unauthorized("the token is signed with an unknown key id")
    claims = _claims(decoded.claims)
    if claims.iss != key.issuer:
        raise Unauthorized("the token comes from another issuer")
    if claims.aud != key.audience:
        raise Unauthorized("the token is meant for another audience")
    if not resuming and claims.exp + LEEWAY_S <= now:
        raise Unauthorized("the token has expired: fetch a new one")
    _check_names(claims.room, claims.identity, claims.name, claims.role)
    return Grant(
        room=claims.room,
        identity=claims.identity,
        name=claims.name or claims.identity,
        role=claims.role,
        publish=claims.publish,
        max_kbps=claims.max_kbps,
        moderate=claims.moderate,
        visible=claims.visible,
        manage=claims.manage,
        limits=claims.limits,
        issued_at=claims.iat,
        expires_at=claims.exp,
    )


def _registry(key: TokenKey) -> JWSRegistry:
    return JWSRegistry(algorithms=[name for name in key.algorithms if name in _ALGORITHMS])


def _claims(claims: dict[str, Any]) -> _Claims:
    try:
        return msgspec.convert(claims, _Claims)
    except msgspec.ValidationError as error:
        # msgspec names the field and the type, never the value.
        raise Unauthorized(f"the token's claims cannot be used: {error}") from error


def _check_names(room: str, identity: str, name: str, role: str) -> None:
    _check_text("room", room, 1, ROOM_CHARACTERS_MAX)
    _check_text("identity", identity, 1, IDENTITY_CHARACTERS_MAX)
    _check_text("name", name, 0, IDENTITY_CHARACTERS_MAX)
    _check_text("role", role, 1, ROOM_CHARACTERS_MAX)


def _check_text(field: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most:
        raise Unauthorized(f"the grant's {field} must have {least} to {most} characters")
    if not text.isprintable():
        raise Unauthorized(f"the grant's {field} holds a character that cannot be printed")
