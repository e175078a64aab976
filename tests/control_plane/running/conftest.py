"""A store with the tables of the made-up jobs."""

from __future__ import annotations

import pytest

from control_plane.storage.store import Store
from tests.control_plane.running import made_up


@pytest.fixture
def made(store: Store) -> Store:
    return made_up.prepared(store)
