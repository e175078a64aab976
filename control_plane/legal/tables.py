"""The tables of the legal texts. Rows of texts never change or go, acceptances never change: triggers hold that.

Acceptances may be deleted, because the proof of an agreement has an end date of its own (model, section 3.6).
"""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.storage.columns import Instant, Serial, metadata

texts = sa.Table(
    "legal_texts",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),  # its date, YYYY-MM-DD
    sa.Column("language", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # Markdown, normalised
    sa.Column("body_hash", sa.Text, nullable=False),  # SHA-256 of `body` in UTF-8, hexadecimal
    sa.Column("anchors", sa.Text, nullable=False),  # of its chapters, with spaces between them
    sa.Column("names_fees", sa.Boolean, nullable=False),  # LEG-05
    sa.Column("in_force_at", Instant, nullable=False),
    sa.Column("published_at", Instant, nullable=False),
)

acceptances = sa.Table(
    "legal_acceptances",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("bundle", sa.Text, nullable=False, index=True),  # what was accepted by one act
    sa.Column("person", sa.Text, nullable=False, index=True),
    sa.Column("account", sa.Text, nullable=True, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),  # in which it was shown
    sa.Column("body_hash", sa.Text, nullable=False),
    sa.Column("means", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),  # of an extra consent: which integration or function; or ""
    sa.Column("document", sa.Text, nullable=False),  # of an order on paper: where it is kept; or ""
    sa.Column("address_hash", sa.Text, nullable=False),  # of the network address
    sa.Column("at", Instant, nullable=False),
    sa.ForeignKeyConstraint(
        ["kind", "version", "language"], ["legal_texts.kind", "legal_texts.version", "legal_texts.language"]
    ),
)

notices = sa.Table(
    "legal_notices",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # of a text, or "fees"
    sa.Column("version", sa.Text, primary_key=True),  # of the text, or of the price list
    sa.Column("old_version", sa.Text, nullable=False),
    sa.Column("noticed_at", Instant, nullable=False),
    sa.Column("not_before", Instant, nullable=False),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("by_use", sa.Boolean, nullable=False),
    sa.Column("fees", sa.JSON, nullable=True),  # what they will be, as the catalogue has it
    # LEG-03: the three ways of telling.
    sa.Column("on_site_at", Instant, nullable=False),
    sa.Column("in_account_at", Instant, nullable=False),
    sa.Column("mail_key", sa.Text, nullable=True, unique=True),
    sa.Column("mailed_at", Instant, nullable=True),
    sa.Column("bounced_at", Instant, nullable=True),
    # LEG-04: what the customer did.
    sa.Column("used_at", Instant, nullable=True),
    sa.Column("ended_at", Instant, nullable=True),
    sa.CheckConstraint("days > 0", name="days"),
)

feedback = sa.Table(
    "legal_feedback",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=True, index=True),  # who signed it
    sa.Column("at", Instant, nullable=False, index=True),
)
