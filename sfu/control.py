"""What the server and the control plane's process share beside grants: three sections of settings, and what it is told.

It is told by one line of JSON on its standard input, for there are secrets in it, which an argument or a variable of
the environment would show to others on the machine.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accounts, rooms with ids, legal texts: a process of its own, started and ended with the server."""

    enabled: Annotated[bool, Meta(description="Start it. false: rooms by your own grants alone.")] = True
    host: Annotated[str, Meta(description="Address to listen on. Behind a proxy: loopback.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port of its pages and API. 0: the system chooses.")] = (
        8090
    )
    url: Annotated[
        str, Meta(description="How people reach it (https://example.com), in mails too. Empty: localhost and the port.")
    ] = ""
    media_url: Annotated[
        str, Meta(description="How people reach the media server's page. Empty: localhost and http.port.")
    ] = ""
    folder: Annotated[
        str, Meta(description="Where SQLite and keys are kept. Empty: the service's, or in the user's data folder.")
    ] = ""
    database: Annotated[
        str,
        Meta(description="postgresql+psycopg://user@host/name (15 or newer). Empty: SQLite in the folder. Secret."),
    ] = ""
    test_mode: Annotated[
        bool,
        Meta(
            description="For tests of what takes days, never for production, and only with dev: its clock stands "
            "until /test/clock is told to go on."
        ),
    ] = False


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How mail leaves. Without a host it stays in the development mailbox under --dev, and waits otherwise."""

    host: Annotated[str, Meta(description="SMTP server. Empty: see above.")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Its TCP port; 465 speaks TLS from the first byte.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"], Meta(description="How it is encrypted. none: for loopback alone.")
    ] = "starttls"
    user: Annotated[str, Meta(description="User name there. Empty: no sign-in.")] = ""
    password: Annotated[str, Meta(description="Its password. Better given by environment.")] = ""
    sender: Annotated[str, Meta(description="Address that mails come from.")] = "stentor@localhost"


class Billing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who sells, and through whom money comes in. Without a gateway nobody is charged, and nobody's trial ends."""

    gateway: Annotated[
        Literal["none", "test", "stripe"],
        Meta(description="test: a gateway without money, only with dev, where it is what none means too."),
    ] = "none"
    seller_name: Annotated[str, Meta(description="Who sells; stands on every invoice.")] = "Stentor"
    seller_address: Annotated[str, Meta(description="The seller's address, lines apart by \\n.")] = ""
    seller_country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="The seller's country, in two letters.")] = (
        "IE"
    )
    seller_tax_number: Annotated[str, Meta(description="The seller's tax number.")] = ""
    invoice_series: Annotated[
        str, Meta(pattern="^[A-Z0-9]{1,8}$", description="How numbers of invoices begin. One series for each seller.")
    ] = "ST"
    stripe_secret_key: Annotated[str, Meta(description="Stripe's sk_ key. Better given by environment.")] = ""
    stripe_public_key: Annotated[str, Meta(description="Stripe's pk_ key, for the page where a card is given.")] = ""
    stripe_webhook_secret: Annotated[
        str, Meta(description="What Stripe's events are signed with; two apart by a comma while one is turned.")
    ] = ""


class Appoint(msgspec.Struct, frozen=True):
    """Make the person with this address staff (`stentor appoint`)."""

    database: str  # control.database
    folder: str
    email: str


# Of the tables. new: made at the first start. old: brought up to date by the next one. unknown: of a newer release.
Schema = Literal["new", "old", "current", "unknown"]


class Examine(msgspec.Struct, frozen=True):
    """Look at what the control plane would find (`stentor doctor`)."""

    database: str  # control.database
    folder: str


class Examined(msgspec.Struct, frozen=True):
    """What it found, as JSON on standard output. Nothing was made or changed."""

    folder_error: str  # empty = it can be written to, or made
    free_bytes: int | None  # where the folder is, or would be
    keys_error: str  # empty = they can be read, or are not made yet
    engine: str  # "sqlite", "postgresql"
    database_error: str  # empty = it answers, or is not made yet
    database_version: tuple[int, ...]  # (15, 4); empty where it did not answer
    schema: Schema


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told at start. Addresses without a slash at the end."""

    control: Control
    mail: Mail
    billing: Billing
    dev: bool
    folder: str
    listen_fd: int  # the inherited socket, bound; it stays when the process is started anew
    url: str  # how people reach us
    media_page: str  # how people reach the media server
    media_api: str  # how we do
    media_certificate: str  # the one that is trusted there; empty = plain HTTP, or the system's authorities
    api_token: str
    uplink_token: str
    signing_key: str  # PEM
    key_id: str
    issuer: str
    audience: str
    camera_codec: str = "VP8"
    audio_red: bool = False
    metrics_networks: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: Literal["text", "json"] = "text"
