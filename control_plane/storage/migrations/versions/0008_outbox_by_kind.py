"""What waits in the outbox is found by its kind: a look for mails passes no orders to the gateway, of however many."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_outbox_by_kind"
down_revision = "0007_billing"

_waits = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.create_index(
        "ix_outbox_waiting", "outbox", ["kind", "try_at", "id"], sqlite_where=_waits, postgresql_where=_waits
    )
    op.drop_index("ix_outbox_try_at", "outbox")


def downgrade() -> None:
    op.create_index("ix_outbox_try_at", "outbox", ["try_at"], sqlite_where=_waits, postgresql_where=_waits)
    op.drop_index("ix_outbox_waiting", "outbox")
