"""[I/O] Brings a database to the newest schema; run at every start. `down` is for a release taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config

from control_plane.storage.store import Store

_FOLDER = Path(__file__).parent / "migrations"


def up(store: Store, to: str = "head") -> None:
    """To this revision, in one transaction. Does nothing where it is in force already."""
    _run(store, lambda config: command.upgrade(config, to))


def down(store: Store, to: str = "base") -> None:
    """Back to this revision; what newer ones brought is lost."""
    _run(store, lambda config: command.downgrade(config, to))


def _run(store: Store, act: Callable[[Config], None]) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        act(config)
