"""Entries of tests/rules.json that need a later issue: the entry and that issue's name.

They leave the denominator of docs/rule-coverage.md until then. One line each, in the order of the rules; an entry here
that a test proves all the same is an error, so the list cannot grow stale.
"""

from __future__ import annotations

LATER: dict[str, str] = {
    "ACC-06.3": "Privacy",
    # The form of an on-demand webinar comes with these.
    "ACC-09.2": "Webinars",
    "ACC-28.1": "Staff desk and support",
    "ACC-28.2": "Privacy",
    # Commissions, and what becomes of them where money goes back or a customer is ended.
    "BIL-08.1": "Affiliates",
    "BIL-16.2": "Affiliates",
    # Who may be written to at all is decided by restrictions.
    "BIL-17.4": "Privacy",
    "BIL-18.5": "Webinars",
    # There is no retention job yet: nothing but the end of an account removes anything of it.
    "BIL-25.2": "Privacy",
    # Requests reach the support by mail, which is read outside of the product until then.
    "BIL-32.1": "Staff desk and support",
    # What is in an account, what of it is kept, and holds.
    "BIL-39.1": "Privacy",
    "BIL-39.2": "Privacy",
    "BIL-39.5": "Privacy",
    "BIL-40.3": "Affiliates",
    "BIL-42.5": "Affiliates",
    "BIL-43.9": "Affiliates",
    "BIL-46.4": "Affiliates",
}
