"""What a media worker is started with.

Apart from `sfu.config`, which knows how grants are signed: a worker checks none, and a library for it would be a fifth
of the time in which one that died comes back.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sfu.logs import Format


class Audio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How audio slots are given to speakers (RFC 6464 levels)."""

    threshold_dbov: Annotated[
        int, Meta(ge=-127, le=0, description="Quieter than this is silence. Raised: soft voices are cut.")
    ] = -50
    free_ms: Annotated[
        int, Meta(ge=0, le=10_000, description="Silence, in ms, after which a slot is free. Lowered: pauses lose it.")
    ] = 300
    louder_db: Annotated[
        int, Meta(ge=0, le=60, description="How much louder, in dB, takes a slot of a full set. 0: slots flutter.")
    ] = 6
    louder_ms: Annotated[int, Meta(ge=0, le=10_000, description="For how long, in ms, he must be that loud.")] = 200


class WorkerConfig(msgspec.Struct, frozen=True):
    """The part that a media worker needs; it travels as JSON on its command line, so nothing in it is secret."""

    number: int
    addresses: tuple[str, ...]  # local addresses to bind; empty = every one
    port: int  # UDP; 0 = the system chooses (tests)
    audio: Audio = Audio()
    path_silent_s: float = 30.0
    log_level: str = "info"
    log_format: Format = "text"
    dev: bool = False
