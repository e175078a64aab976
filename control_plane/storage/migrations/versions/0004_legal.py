"""Legal texts, acceptances, notices of changes, feedback; published texts and acceptances cannot be changed."""

import sqlalchemy as sa
from alembic import op

revision = "0004_legal"
down_revision = "0003_accounts"
branch_labels = None
depends_on = None

# Instants are whole microseconds since 1970.
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FROZEN = (("legal_texts", "UPDATE"), ("legal_texts", "DELETE"), ("legal_acceptances", "UPDATE"))


def upgrade() -> None:
    op.create_table(
        "legal_texts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("anchors", sa.Text(), nullable=False),
        sa.Column("names_fees", sa.Boolean(), nullable=False),
        sa.Column("in_force_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "version", "language", name="pk_legal_texts"),
    )
    op.create_table(
        "legal_acceptances",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("means", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_legal_acceptances"),
        sa.ForeignKeyConstraint(
            ["kind", "version", "language"],
            ["legal_texts.kind", "legal_texts.version", "legal_texts.language"],
            name="fk_legal_acceptances_kind_version_language",
        ),
    )
    for column in ("bundle", "person", "account"):
        op.create_index(f"ix_legal_acceptances_{column}", "legal_acceptances", [column])
    op.create_table(
        "legal_notices",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("old_version", sa.Text(), nullable=False),
        sa.Column("noticed_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("by_use", sa.Boolean(), nullable=False),
        sa.Column("fees", sa.JSON(), nullable=True),
        sa.Column("on_site_at", sa.BigInteger(), nullable=False),
        sa.Column("in_account_at", sa.BigInteger(), nullable=False),
        sa.Column("mail_key", sa.Text(), nullable=True),
        sa.Column("mailed_at", sa.BigInteger(), nullable=True),
        sa.Column("bounced_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account", "kind", "version", name="pk_legal_notices"),
        sa.UniqueConstraint("mail_key", name="uq_legal_notices_mail_key"),
        sa.CheckConstraint("days > 0", name="ck_legal_notices_days"),
    )
    op.create_table(
        "legal_feedback",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_legal_feedback"),
    )
    for column in ("person", "at"):
        op.create_index(f"ix_legal_feedback_{column}", "legal_feedback", [column])
    for table, act in _FROZEN:
        _refuse(table, act)


def downgrade() -> None:
    for table in ("legal_feedback", "legal_notices", "legal_acceptances", "legal_texts"):
        op.drop_table(table)  # its triggers go with it
    if op.get_bind().dialect.name != "sqlite":
        for table, act in _FROZEN:
            op.execute(f"DROP FUNCTION {table}_no_{act.lower()}()")


def _refuse(table: str, act: str) -> None:
    """A trigger that refuses this act on any row of the table."""
    name, words = f"{table}_no_{act.lower()}", f"rows of {table} stay as they are"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, '{words}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{words}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
    if act == "DELETE":
        op.execute(f"CREATE TRIGGER {name}_all BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {name}()")
