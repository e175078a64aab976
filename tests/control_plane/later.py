"""Entries of tests/rules.json that need a later issue: the entry and that issue's name.

They leave the denominator of docs/rule-coverage.md until then. One line each, in the order of the rules; an entry here
that a test proves all the same is an error, so the list cannot grow stale.
"""

from __future__ import annotations

LATER: dict[str, str] = {
    # The free version's length and its end are the subscription's.
    "ACC-05.1": "Billing",
    "ACC-05.2": "Billing",
    "ACC-05.4": "Billing",
    "ACC-06.3": "Privacy",
    # The form of an on-demand webinar comes with these.
    "ACC-09.2": "Webinars",
    "ACC-11.2": "Billing",
    "ACC-17.1": "Billing",
    "ACC-18.1": "Billing",
    "ACC-18.2": "Billing",
    "ACC-18.3": "Billing",
    "ACC-19.1": "Billing",
    "ACC-19.2": "Billing",
    "ACC-21.4": "Billing",
    "ACC-28.1": "Staff desk and support",
    "ACC-28.2": "Privacy",
    # The refund, or rather none (BIL-06), is of a paid period; there are none yet.
    "LEG-04.4": "Billing",
    # Sums of twelve months of payments; legal.caps has the arithmetic, billing fills the sums.
    "LEG-11.1": "Billing",
}
