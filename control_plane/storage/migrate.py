"""[I/O] Brings a database to the newest schema; run at every start. `down` is for a release taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from control_plane.storage.store import Store

_FOLDER = Path(__file__).parent / "migrations"


def up(store: Store, to: str = "head") -> tuple[str, str]:
    """To this revision, in one transaction. Does nothing where it is in force already. The revisions before and after;
    "" = no table at all. Raises alembic's CommandError for a database of a newer program."""
    before = revision(store)
    _run(store, lambda config: command.upgrade(config, to))
    return before, revision(store)


def revision(store: Store) -> str:
    """The one in force; "" where there is none."""
    return store.read(lambda connection: MigrationContext.configure(connection).get_current_revision()) or ""


def revisions() -> tuple[str, ...]:
    """All that this program knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions())


def down(store: Store, to: str = "base") -> None:
    """Back to this revision; what newer ones brought is lost."""
    _run(store, lambda config: command.downgrade(config, to))


def _run(store: Store, act: Callable[[Config], None]) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        act(config)
