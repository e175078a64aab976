"""What the stories of the legal texts begin with."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from control_plane.legal import acceptance, texts
from control_plane.legal.kinds import Kind, Means
from control_plane.legal.texts import Edition
from control_plane.storage.store import Store

NOW = datetime.datetime(2026, 11, 2, 9, 30, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
MOMENT = datetime.timedelta(microseconds=1)


def edition(
    kind: Kind = "terms", version: str = "2026-11-03", language: str = "en", words: str = "Be kind.", fees: bool = False
) -> Edition:
    """A text of one chapter."""
    return Edition(kind, version, language, f"# The {kind}\n\n## Rules\n\n{words}\n", ("rules",), fees)


def publish(store: Store, now: datetime.datetime, *editions: Edition) -> list[tuple[Kind, str]]:
    return store.write(lambda connection: texts.publish(connection, now, editions))


def accept(
    store: Store,
    now: datetime.datetime,
    *,
    person: str = "per_ann",
    account: str | None = "acc_ann",
    texts: Sequence[Kind] = ("terms",),
    means: Means = "sign_up",
    language: str = "en",
) -> str:
    """Somebody accepts; the id of the bundle."""
    return store.write(
        lambda connection: acceptance.record(
            connection,
            now,
            person=person,
            texts=texts,
            means=means,
            language=language,
            address_hash="5f2c",
            account=account,
        )
    )
