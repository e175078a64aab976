"""A hall for each test; its media server is nowhere unless a test gives it one."""

from __future__ import annotations

import pytest

from control_plane.storage.store import Store
from tests.control_plane.rooms.hall import Hall, hall


@pytest.fixture
def here(store: Store) -> Hall:
    return hall(store)
