"""JSON in one spelling: the same value is the same bytes on both engines, at every try, and under every hash. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Union

from sqlalchemy import Text
from sqlalchemy.types import TypeDecorator

# No floats: they have more than one spelling, and money is near.
JSON = Union[None, bool, int, str, Sequence["JSON"], Mapping[str, "JSON"]]  # noqa: UP007 (it names itself)
# A row that waits is a note, not a file.
BYTES_MAX = 65_536
_PLAIN = re.compile(r"[A-Za-z0-9_.:/+#=-]{1,200}")


def text(value: JSON) -> str:
    """The one spelling: keys sorted, no spaces. Raises ValueError for a float, for what is not JSON, and over 64
    KiB."""
    _check(value)
    spelled = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if len(spelled.encode()) > BYTES_MAX:
        raise ValueError(f"more than {BYTES_MAX} bytes of JSON")
    return spelled


def plain(*words: str) -> None:
    """Raises ValueError unless each is an id, a code, an instant or a key: at most 200 signs, and nothing that names a
    person (the @ of an address is not allowed, nor is a space)."""
    if not all(_PLAIN.fullmatch(word) for word in words):
        raise ValueError("only ids and codes here: at most 200 of A-Z a-z 0-9 _ . : / + # = -")


def digest(*parts: str) -> str:
    """SHA-256 in hexadecimal over these parts. Each is preceded by its length, so that no two lists are alike."""
    hasher = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        hasher.update(b"%d:" % len(raw))
        hasher.update(raw)
    return hasher.hexdigest()


def _check(value: object) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError("a key of JSON is a word")
            _check(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check(inner)
    elif not (value is None or isinstance(value, bool | int | str)):
        raise ValueError(f"{type(value).__name__} is not for JSON here")


class Canonical(TypeDecorator[Any]):
    """A column of JSON in the one spelling."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else text(value)

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return None if value is None else json.loads(value)
