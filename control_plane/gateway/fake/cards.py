"""What the fake's cards do, by their number. Those that begin with 4000 or 4242 are Stripe's own test numbers and do
the same there, so that a tester has one list; 4999 are ours alone. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from control_plane.gateway.port import DeclineCode

# Whether another day may help, where the issuer does not say.
RETRYABLE: dict[DeclineCode, bool] = {
    "declined": True,
    "insufficient_funds": True,
    "expired_card": False,
    "card_unusable": False,
    "authentication_failed": False,
    "try_again": True,
    "called_off": False,
}


@dataclass(frozen=True)
class Behaviour:
    """`saving`, `charging`: how it is declined, if it is. `authenticates`: the customer is asked to confirm, at every
    charge, or when the card is saved only. `settles`: at once, or a day later, well or not. `refunds` likewise."""

    saving: DeclineCode | None = None
    charging: DeclineCode | None = None
    authenticates: str = "never"  # never, saving, always
    settles: str = "at once"  # at once, later, fails later
    refunds: str = "at once"
    disputed: bool = False


GOOD, DECLINED_LATER, AUTHENTICATES = "4242424242424242", "4000000000000341", "4000008400001629"
CARDS: dict[str, Behaviour] = {
    GOOD: Behaviour(),
    "4000000000000002": Behaviour(saving="declined"),
    "4000000000000069": Behaviour(saving="expired_card"),
    "4000000000000127": Behaviour(saving="card_unusable"),
    DECLINED_LATER: Behaviour(charging="declined"),
    "4999000000009995": Behaviour(charging="insufficient_funds"),
    "4999000000000119": Behaviour(charging="try_again"),
    "4999000000009979": Behaviour(charging="card_unusable"),
    "4000002500003155": Behaviour(authenticates="saving"),
    "4000002760003184": Behaviour(authenticates="always"),
    # Authenticated, and declined all the same.
    AUTHENTICATES: Behaviour(authenticates="always", charging="declined"),
    "4000000000000259": Behaviour(disputed=True),
    "4000000000007726": Behaviour(refunds="later"),
    "4000000000005126": Behaviour(refunds="fails later"),
    "4999000000000011": Behaviour(settles="later"),
    "4999000000000029": Behaviour(settles="fails later"),
}


def behaviour_of(number: str) -> Behaviour:
    """A number that is in no list is one that no issuer knows."""
    return CARDS.get(number, Behaviour(saving="card_unusable"))


def fingerprint(number: str) -> str:
    """The same for the same number, whoever enters it."""
    return hashlib.sha256(f"fake gateway {number}".encode()).hexdigest()[:16]
