"""A clock, a store with our own texts in it, and a letter box."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import pytest
import sqlalchemy as sa

from control_plane.legal import shipped, texts
from control_plane.storage.store import Store
from tests.control_plane.legal.given import NOW


class LetterBox:
    """Takes mails to accounts, as control_plane.mail will; knows no address of those named in `unknown`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, Mapping[str, str]]] = []
        self.unknown: set[str] = set()

    def __call__(
        self,
        connection: sa.Connection,
        now: datetime.datetime,
        *,
        account: str,
        template: str,
        key: str,
        values: Mapping[str, str],
    ) -> bool:
        if account in self.unknown:
            return False
        self.sent.append((account, template, key, values))
        return True


@pytest.fixture
def letters() -> LetterBox:
    return LetterBox()


@pytest.fixture
def published(store: Store) -> Store:
    """A store in which the texts that come with the program are in force."""
    store.write(lambda connection: texts.publish(connection, NOW, shipped.editions()))
    return store
