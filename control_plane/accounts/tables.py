"""The tables of the accounts area; only this package writes them. Tokens are kept as SHA-256, fingerprints as HMAC."""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.storage.columns import Instant, metadata

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),  # counts the transitions; part of every effect's key
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # "self" signs up alone, "consultant" has an individual agreement
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("through", sa.Text, nullable=False),  # "" or the partner through whom the trial was made (ACC-13)
    sa.Column("free", sa.Boolean, nullable=False),  # it began as the one free account
    sa.Column("slug", sa.Text, unique=True),
    sa.Column("slug_skeleton", sa.Text, unique=True),
    sa.Column("business_name", sa.Text, nullable=False),
    sa.Column("tax_number", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("profile", sa.JSON, nullable=False),
    sa.Column("profile_public", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),  # code of the last suspension or closure
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("opened_at", Instant),
    sa.Column("closed_at", Instant),
    sa.Column("window_ends_at", Instant),
    sa.CheckConstraint("status in ('pending', 'open', 'suspended', 'closed', 'deleted')", name="status"),
)

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),  # as it was typed: mail goes there
    sa.Column("email_key", sa.Text, nullable=False, unique=True),  # what signing in looks for
    sa.Column("verified_at", Instant),
    sa.Column("contested", sa.Boolean, nullable=False),  # signed up again with another password before it was verified
    sa.Column("bounced_at", Instant),
    sa.Column("password_hash", sa.Text),
    sa.Column("first_name", sa.Text, nullable=False),
    sa.Column("last_name", sa.Text, nullable=False),
    sa.Column("phone", sa.Text, nullable=False),
    sa.Column("picture", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("commercial_mail", sa.Boolean, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("person", sa.ForeignKey("people.id"), primary_key=True, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("rights", sa.Text, nullable=False),  # words with spaces between
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("role in ('owner', 'member')", name="role"),
)

declarations = sa.Table(
    "declarations",
    metadata,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("person", sa.ForeignKey("people.id"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # "business", "adult"
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

mailed_tokens = sa.Table(
    "mailed_tokens",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),  # "verify", "reset"
    sa.Column("person", sa.ForeignKey("people.id"), nullable=False, index=True),
    sa.Column("account", sa.ForeignKey("accounts.id")),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("used_at", Instant),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("person", sa.ForeignKey("people.id"), nullable=False, index=True),
    sa.Column("account", sa.ForeignKey("accounts.id")),  # the one that is looked at now
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("person", sa.ForeignKey("people.id"), nullable=False),  # who made it; it dies with his membership
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("revoked_at", Instant),
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("email_key", sa.Text, nullable=False),
    sa.Column("rights", sa.Text, nullable=False),
    sa.Column("invited_by", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),  # accepted or taken back
)

# Both outlive the account: they hold no data but a keyed hash of a normalised address, tax number or card.
free_uses = sa.Table(
    "free_uses",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)
bans = sa.Table(
    "bans",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

identity_links = sa.Table(
    "identity_links",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("person", sa.ForeignKey("people.id"), nullable=False, index=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("provider", "person"),
)

# What is under way with an identity provider: first a state (nonce, verifier), then an identity that may sign up.
identity_steps = sa.Table(
    "identity_steps",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # "sign_in", "link", "sign_up"
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
)

staff = sa.Table(
    "staff",
    metadata,
    sa.Column("person", sa.ForeignKey("people.id"), primary_key=True),
    sa.Column("since", Instant, nullable=False),
)

staff_accesses = sa.Table(
    "staff_accesses",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("person", sa.ForeignKey("staff.person"), nullable=False),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("ticket", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
)

offline_orders = sa.Table(
    "offline_orders",
    metadata,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

# Answers by Idempotency-Key, sealed with the key itself, which is not kept (control_plane.api.idempotency).
idempotent_answers = sa.Table(
    "idempotent_answers",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sa.Column("at", Instant, nullable=False, index=True),
)
