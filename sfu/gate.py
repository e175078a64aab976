"""Whose grant counts: checks tokens, and says in words when nobody can give a new one. Pure."""

from __future__ import annotations

from collections.abc import Callable

from sfu.contract import Grant, TokenKey, verify
from sfu.errors import Unauthorized

NO_NEW_ONES = (
    "nobody new can come in at the moment: the service that lets people in does not answer. "
    "Who is in stays in; try again in a few minutes"
)


class Gate:
    """`unix_time` in seconds; `renews` says whether whoever signs grants could be reached lately."""

    def __init__(self, key: TokenKey, unix_time: Callable[[], float], renews: Callable[[], bool]) -> None:
        self._key = key
        self._unix_time = unix_time
        self._renews = renews

    def verify(self, token: str, resuming: bool) -> Grant:
        """The grant of a token. Raises Unauthorized; for one that has but expired, with what can be done about it."""
        now = self._unix_time()
        try:
            return verify(token, self._key, now, resuming=resuming)
        except Unauthorized as refused:
            if resuming or self._renews():
                raise
            verify(token, self._key, now, resuming=True)  # raises what else is wrong with it
            raise Unauthorized(NO_NEW_ONES) from refused
