"""What billing is told once at start: who sells, whose tax is on it, what is sold, and how customers are written to."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from control_plane.accounts import setup as accounts
from control_plane.billing.catalogue import CATALOGUE, Catalogue
from control_plane.billing.document import Party
from control_plane.billing.subscription import TRIAL_DAYS
from control_plane.billing.tax import EU_TABLE, Taxes

# A value that is told as a size is a number, a space and this word.
BYTES = "bytes"


class Tell(Protocol):
    """Write to the account's owner. `values` are days (2026-11-22), sums (12.30 EUR), sizes (1000 bytes), plain words.
    `key` makes it once; False where nobody is there to read it."""

    def __call__(
        self,
        connection: sa.Connection,
        now: datetime.datetime,
        *,
        account: str,
        template: str,
        key: str,
        values: Mapping[str, str],
    ) -> bool: ...


def silent(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    account: str,
    template: str,
    key: str,
    values: Mapping[str, str],
) -> bool:
    """Nobody is written to."""
    return False


@dataclass(frozen=True)
class Setup:
    """`seller` stands on every invoice; `series` is the beginning of its numbers. `catalogue` is what the program
    sells; prices that the operator published since stand in the database (control_plane.billing.prices)."""

    accounts: accounts.Setup
    seller: Party
    taxes: Taxes = EU_TABLE
    catalogue: Catalogue = CATALOGUE
    tell: Tell = silent
    series: str = "ST"
    trial_days: int = TRIAL_DAYS
