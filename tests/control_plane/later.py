"""Entries of tests/rules.json that need a later issue: the entry and that issue's name.

They leave the denominator of docs/rule-coverage.md until then. One line each, in the order of the rules; an entry here
that a test proves all the same is an error, so the list cannot grow stale.
"""

from __future__ import annotations

LATER: dict[str, str] = {
    # The refund, or rather none (BIL-06), is of a paid period; there are none yet.
    "LEG-04.4": "Billing",
    # Sums of twelve months of payments; legal.caps has the arithmetic, billing fills the sums.
    "LEG-11.1": "Billing",
}
