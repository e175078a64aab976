"""The chart of accounts: which kinds there are, which side they grow on, and which may not go below zero.

Signs are those of the journal: a debit is above zero, a credit below it. What an account holds is counted on its own
side, so a customer who has 5.00 to his credit holds 500, and its lines add up to -500.

The same rows stand in the table `ledger_kind`, by which the database judges; a kind is added here and in a migration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from control_plane.money import Money

Side = Literal[1, -1]
DEBIT: Final = 1
CREDIT: Final = -1


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of account. `owner` says in words whose there is one of; empty where there is one for all."""

    name: str
    side: Side
    owner: str = ""
    may_go_negative: bool = True


def _kinds(*kinds: Kind) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds}


KINDS = _kinds(
    # What we have or are owed.
    Kind("gateway_clearing", DEBIT),
    Kind("bank", DEBIT),
    Kind("dispute_pending", DEBIT),
    Kind("receivable:customer", DEBIT, owner="account"),
    Kind("receivable:affiliate", DEBIT, owner="affiliate"),
    # What we owe. Credit and prepaid service are a customer's own: nobody can have used more than was there.
    Kind("customer_credit", CREDIT, owner="account", may_go_negative=False),
    Kind("deferred:subscription", CREDIT, owner="account", may_go_negative=False),
    Kind("vat", CREDIT, owner="country"),
    # A refund after the payout leaves the affiliate below zero (AFF-29).
    Kind("affiliate:payable", CREDIT, owner="affiliate"),
    Kind("payout_in_transit", CREDIT, owner="affiliate"),
    # Between two currencies of one transaction, on either side.
    Kind("fx_clearing", DEBIT),
    # What was earned.
    Kind("revenue:plan", CREDIT),
    Kind("revenue:addon", CREDIT),
    Kind("forfeits", CREDIT),
    Kind("breakage", CREDIT),
    # What it cost. Promotions: what was sold and a gift of ours has paid.
    Kind("promotions", DEBIT),
    Kind("commission_cost", DEBIT),
    Kind("gateway_fees", DEBIT),
    Kind("dispute_losses", DEBIT),
    Kind("fx_difference", DEBIT),
)


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """One account of the ledger: a kind, in one currency, of one owner. It comes to be with its first line.

    Raises ValueError for a kind that is not in the chart, for an owner missing, and for one too many.
    """

    kind: str
    currency: str
    owner: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such account in the chart: {self.kind!r}")
        wanted = KINDS[self.kind].owner
        if bool(wanted) != bool(self.owner):
            raise ValueError(f"{self.kind} has " + (f"one {wanted} as owner" if wanted else "no owner"))

    def held(self, lines: int) -> Money:
        """What an account holds whose lines add up to this: counted on its own side."""
        return Money(KINDS[self.kind].side * lines, self.currency)


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of a transaction: minor units of the account's currency, a debit above zero, a credit below.

    Raises TypeError for what is no whole number, ValueError for 0.
    """

    account: Account
    amount: int

    def __post_init__(self) -> None:
        if not Money(self.amount, self.account.currency).minor:
            raise ValueError("a line of 0")


def debit(kind: str, amount: Money, owner: str = "") -> Line:
    """The amount on the debit side; below zero it is a credit. Raises ValueError as Account and Line do."""
    return Line(Account(kind, amount.currency, owner), amount.minor)


def credit(kind: str, amount: Money, owner: str = "") -> Line:
    """The amount on the credit side; below zero it is a debit. Raises ValueError as Account and Line do."""
    return Line(Account(kind, amount.currency, owner), -amount.minor)
