"""A running control plane with its pages for each test, and somebody who pays there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from control_plane.storage.store import Store
from tests.control_plane.pages.browsing import Site, site
from tests.control_plane.pages.payer import Payer, payer


@pytest.fixture
def here(store: Store) -> Iterator[Site]:
    with site(store) as made:
        yield made


@pytest.fixture
def jane(here: Site) -> Payer:
    return payer(here)
