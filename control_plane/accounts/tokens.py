"""Identifiers, secrets and what is kept of them.

`Draw` is how randomness is given to services: so many characters of lower-case base32. 40 of them are 200 bits: nobody
guesses one. A secret is kept as its SHA-256 alone; that needs no salt, because nobody can list the secrets. An e-mail
address or a tax number can be listed, so its fingerprint is an HMAC under a key of the installation.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

Draw = Callable[[int], str]

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
ID_CHARACTERS = 20
SECRET_CHARACTERS = 40
FINGERPRINT_KEY_BYTES_MIN = 32


def random_token(characters: int) -> str:
    """The `Draw` of production."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))


def new_id(prefix: str, draw: Draw) -> str:
    """Such as `acc_…` with 100 random bits."""
    return f"{prefix}_{draw(ID_CHARACTERS)}"


def new_secret(prefix: str, draw: Draw) -> str:
    """Prefixes let a leaked secret be recognised (`sk_` key, `ss_` session, `mt_` by mail, `in_` invitation)."""
    return f"{prefix}_{draw(SECRET_CHARACTERS)}"


def kept(secret: str) -> str:
    """What is stored of a secret, and looked up by."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_of(session_secret: str) -> str:
    """The CSRF token that belongs to a session: whoever reads the table of sessions cannot compute it."""
    return hmac.new(session_secret.encode(), b"stentor csrf", hashlib.sha256).hexdigest()


def fingerprint(key: bytes, kind: str, value: str) -> str:
    """A keyed hash of a normalised value; `kind` keeps an e-mail address apart from a tax number of equal letters."""
    if len(key) < FINGERPRINT_KEY_BYTES_MIN:
        raise ValueError(f"a fingerprint key needs {FINGERPRINT_KEY_BYTES_MIN} bytes")
    return hmac.new(key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()
