"""A running control plane with its pages for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from control_plane.storage.store import Store
from tests.control_plane.pages.browsing import Site, site


@pytest.fixture
def here(store: Store) -> Iterator[Site]:
    with site(store) as made:
        yield made
