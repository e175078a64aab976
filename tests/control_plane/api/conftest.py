"""A running control plane for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from control_plane.storage.store import Store
from tests.control_plane.people import World, world


@pytest.fixture
def here(store: Store) -> Iterator[World]:
    with world(store) as made:
        yield made
