"""Every revision goes down and up again on both engines, with a whole town in the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from control_plane.storage import migrate
from control_plane.storage.columns import metadata
from control_plane.storage.store import Store
from tests.control_plane.pages.browsing import site
from tests.control_plane.pages.town import town


def revisions() -> list[str]:
    """Newest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def counts(connection: sa.Connection) -> dict[str, int]:
    names = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
    return {
        name: int(connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one()) for name in sorted(names)
    }


def differences(connection: sa.Connection) -> list[Any]:
    """Between the database and what the code believes in."""
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


def test_each_revision_takes_only_its_own_away_and_all_come_back(store: Store) -> None:
    with site(store) as made:
        town(made)
    before, newest_first = store.read(counts), revisions()
    assert sum(before.values()) > 100 and len(newest_first) >= 5
    for later, earlier in zip(newest_first, [*newest_first[1:], "base"], strict=True):
        migrate.down(store, earlier)
        left = store.read(counts)
        assert left.items() <= before.items(), f"{later} took something away that is not its own"
    assert left == {}
    migrate.up(store)
    after = store.read(counts)
    assert after.keys() == before.keys()
    # The ledger's kinds are a part of the schema.
    assert {name for name, count in after.items() if count} == {"ledger_kind"}
    with site(store) as made:
        assert town(made).sees("jane", "/account").status == 200


def test_the_database_is_what_the_code_believes_in(store: Store) -> None:
    assert store.read(differences) == []
