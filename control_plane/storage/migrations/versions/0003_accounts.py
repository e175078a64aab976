"""Accounts: people, sessions, keys, members, bans, identities, staff access, and the answers kept for idempotency."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_accounts"
down_revision = "0002_running"


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("free", sa.Boolean(), nullable=False),
        sa.Column("slug", sa.Text()),
        sa.Column("slug_skeleton", sa.Text()),
        sa.Column("business_name", sa.Text(), nullable=False),
        sa.Column("tax_number", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("profile_public", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger()),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("window_ends_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.CheckConstraint(
            "status in ('pending', 'open', 'suspended', 'closed', 'deleted')", name=op.f("ck_accounts_status")
        ),
        sa.UniqueConstraint("slug", name="uq_accounts_slug"),
        sa.UniqueConstraint("slug_skeleton", name="uq_accounts_slug_skeleton"),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Text()),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("verified_at", sa.BigInteger()),
        sa.Column("contested", sa.Boolean(), nullable=False),
        sa.Column("bounced_at", sa.BigInteger()),
        sa.Column("password_hash", sa.Text()),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("picture", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("commercial_mail", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("email_key", name="uq_people_email_key"),
    )
    op.create_table(
        "memberships",
        sa.Column("account", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "person", name="pk_memberships"),
        sa.CheckConstraint("role in ('owner', 'member')", name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_memberships_account"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_memberships_person"),
    )
    op.create_index("ix_memberships_person", "memberships", ["person"])
    op.create_table(
        "declarations",
        sa.Column("account", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("kind", sa.Text()),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "person", "kind", name="pk_declarations"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_declarations_account"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_declarations_person"),
    )
    op.create_table(
        "mailed_tokens",
        sa.Column("hash", sa.Text()),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("account", sa.Text()),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("hash", name="pk_mailed_tokens"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_mailed_tokens_account"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_mailed_tokens_person"),
    )
    op.create_index("ix_mailed_tokens_person", "mailed_tokens", ["person"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text()),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("account", sa.Text()),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_sessions_account"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_sessions_person"),
        sa.UniqueConstraint("hash", name="uq_sessions_hash"),
    )
    op.create_index("ix_sessions_person", "sessions", ["person"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text()),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_api_keys_account"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_api_keys_person"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )
    op.create_index("ix_api_keys_account", "api_keys", ["account"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text()),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_invitations_account"),
        sa.ForeignKeyConstraint(["invited_by"], ["people.id"], name="fk_invitations_invited_by"),
        sa.UniqueConstraint("hash", name="uq_invitations_hash"),
    )
    op.create_index("ix_invitations_account", "invitations", ["account"])
    op.create_table(
        "free_uses",
        sa.Column("fingerprint", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_free_uses"),
    )
    op.create_table(
        "bans",
        sa.Column("fingerprint", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_bans"),
    )
    op.create_table(
        "identity_links",
        sa.Column("provider", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_identity_links"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_identity_links_person"),
        sa.UniqueConstraint("provider", "person", name="uq_identity_links_provider_person"),
    )
    op.create_index("ix_identity_links_person", "identity_links", ["person"])
    op.create_table(
        "identity_steps",
        sa.Column("hash", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_identity_steps"),
    )
    op.create_table(
        "staff",
        sa.Column("person", sa.Text()),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_staff"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_staff_person"),
    )
    op.create_table(
        "staff_accesses",
        sa.Column("id", sa.Text()),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_staff_accesses"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_staff_accesses_account"),
        sa.ForeignKeyConstraint(["person"], ["staff.person"], name="fk_staff_accesses_person"),
    )
    op.create_index("ix_staff_accesses_account", "staff_accesses", ["account"])
    op.create_table(
        "offline_orders",
        sa.Column("account", sa.Text()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_offline_orders"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_offline_orders_account"),
    )
    op.create_table(
        "idempotent_answers",
        sa.Column("hash", sa.Text()),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_idempotent_answers"),
    )
    op.create_index("ix_idempotent_answers_at", "idempotent_answers", ["at"])


def downgrade() -> None:
    for name in (
        "idempotent_answers",
        "offline_orders",
        "staff_accesses",
        "staff",
        "identity_steps",
        "identity_links",
        "bans",
        "free_uses",
        "invitations",
        "api_keys",
        "sessions",
        "mailed_tokens",
        "declarations",
        "memberships",
        "people",
        "accounts",
    ):
        op.drop_table(name)
