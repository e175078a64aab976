"""What the API is told at start. Pure; control_plane's command line fills it in."""

from __future__ import annotations

from dataclasses import dataclass, field

from control_plane.accounts.identities import Provider
from control_plane.accounts.passwords import Cost
from control_plane.accounts.pool import QUEUE_MAX
from control_plane.accounts.setup import Setup
from control_plane.api.limits import LIMITS, Limit


@dataclass(frozen=True)
class Settings:
    """`dev`: plain HTTP is answered on loopback, and cookies lack Secure there. Not for a server that others reach."""

    setup: Setup
    dev: bool = False
    cost: Cost = field(default_factory=Cost)
    hashing_threads: int | None = None  # None: as many as cores
    hashing_queue: int = QUEUE_MAX
    limits: dict[str, Limit] = field(default_factory=lambda: dict(LIMITS))
    providers: tuple[Provider, ...] = ()
    metrics_networks: tuple[str, ...] = ()  # whose /metrics it is beside loopback's
