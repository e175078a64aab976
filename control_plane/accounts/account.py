"""The account's state machine: a state and an event in, the new state and its effects out. Pure.

    none --SignUp--> pending --Verify--> open <--Lift/Suspend--> suspended
                        |                  |                        |
                        |                  +--------Close-----------+--> closed --Purge--> deleted
                        +--Purge (never verified)--> deleted            closed --Reactivate--> open

The account and the subscription are two machines that never write each other; `access` derives from both what may be
done. Who may bring an event about is decided by the caller's doors; the guards here are those of the account itself.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from control_plane.errors import Conflict

Status = Literal["none", "pending", "open", "suspended", "closed", "deleted"]
Subscription = Literal["none", "trial", "active", "frozen", "expired", "ended"]
# Why staff act, as codes: the audit keeps them, and the owner is told them.
Reason = Literal["terms_breach", "illegal_content", "abuse", "fraud", "unpaid", "security", "legal_order"]
Cause = Literal["cancelled", "terminated", "lapsed", "erased"]
# He ends the agreement himself: what was announced and is not over does not bind him (LEG-04).
_BY_CUSTOMER: tuple[Cause, ...] = ("cancelled", "erased")

# Two weeks to open a mail; then the sign-up was not meant (the address is free again).
PENDING_LASTS = datetime.timedelta(days=14)
# Model 3.2: how long a closed account can come back.
WINDOW = datetime.timedelta(days=30)
WINDOW_AFTER_EXPIRY = datetime.timedelta(days=90)
# Backups hold a purged account's sealed data for so long; then its key is destroyed (model 3.6).
KEY_LASTS = datetime.timedelta(days=120)

Effect = Literal[
    "mail_verification",
    "welcome",
    "end_rooms",
    "hide_profile",
    "stop_keys",
    "restore",
    "end_sessions",
    "revoke_keys",
    "end_agreement",
    "start_window",
    "cancel_window",
    "review_commission",
    "erase",
    "destroy_key_later",
]


@dataclass(frozen=True)
class Account:
    """What the machine knows. `free`: it began as the one free account. `window_ends_at` stands while it is closed."""

    status: Status = "none"
    free: bool = True
    reason: str = ""
    window_ends_at: datetime.datetime | None = None


@dataclass(frozen=True)
class SignUp:
    """The declarations, the acceptance and the refusals were looked at by the service, in the same transaction."""

    business: bool
    adult: bool
    accepted: bool
    refused: bool = False
    free: bool = True
    free_used: bool = False


@dataclass(frozen=True)
class Verify:
    free_used: bool = False


@dataclass(frozen=True)
class Suspend:
    reason: Reason


@dataclass(frozen=True)
class Lift:
    pass


@dataclass(frozen=True)
class Close:
    cause: Cause
    abuse: bool = False
    expired: bool = False  # the subscription had expired: the long window
    since: datetime.datetime | None = None  # from the missed renewal on, however late it is closed (BIL-36)


@dataclass(frozen=True)
class Reactivate:
    approved: bool  # by staff
    paid: bool


@dataclass(frozen=True)
class Purge:
    held: bool = False  # a legal hold or a restriction


Event = SignUp | Verify | Suspend | Lift | Close | Reactivate | Purge


def apply(account: Account, event: Event, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    """The account after `event` and what follows from it. Raises Conflict, and then nothing has changed."""
    step = _STEPS.get((account.status, type(event)))
    if step is None:
        raise Conflict("account_state", f"an account that is {account.status} cannot {_NAMES[type(event)]}")
    return step(account, event, now)


def _sign_up(account: Account, event: SignUp, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    _guard(event.business, "declaration_missing", "only businesses can be customers")
    _guard(event.adult, "declaration_missing", "only adults can be customers")
    _guard(event.accepted, "acceptance_missing", "terms and privacy policy must be accepted first")
    _guard(not event.refused, "refused", "this account cannot be opened; support can tell more")
    _guard(not (event.free and event.free_used), "free_account_used", "the one free account was used before")
    return replace(account, status="pending", free=event.free), ("mail_verification",)


def _verify(account: Account, event: Verify, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    _guard(not (account.free and event.free_used), "free_account_used", "the one free account was used before")
    return replace(account, status="open"), ("welcome",)


def _suspend(account: Account, event: Suspend, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    return replace(account, status="suspended", reason=event.reason), ("end_rooms", "hide_profile", "stop_keys")


def _lift(account: Account, event: Lift, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    return replace(account, status="open", reason=""), ("restore",)


def _close(account: Account, event: Close, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    window = WINDOW_AFTER_EXPIRY if event.expired else WINDOW
    effects: tuple[Effect, ...] = ("end_rooms", "hide_profile", "end_sessions", "revoke_keys", "start_window")
    if event.cause in _BY_CUSTOMER:
        effects = (*effects, "end_agreement")
    closed = replace(account, status="closed", reason=event.cause, window_ends_at=(event.since or now) + window)
    return closed, (*effects, "review_commission") if event.abuse else effects


def _reactivate(account: Account, event: Reactivate, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    _guard(event.approved, "approval_missing", "staff must approve it first")
    _guard(event.paid, "payment_missing", "it must be paid first")
    # C3: the window includes its last instant; the purge comes the moment after.
    _guard(
        account.window_ends_at is not None and now <= account.window_ends_at,
        "window_over",
        "the time to come back is over",
    )
    return replace(account, status="open", reason="", window_ends_at=None), ("cancel_window", "restore")


def _purge(account: Account, event: Purge, now: datetime.datetime) -> tuple[Account, tuple[Effect, ...]]:
    _guard(not event.held, "held", "a hold keeps the data")
    if account.status == "closed":
        over = account.window_ends_at is not None and now > account.window_ends_at
        _guard(over, "window_open", "the time to come back is not over")
    return replace(account, status="deleted", window_ends_at=None), ("erase", "destroy_key_later")


def _guard(holds: bool, code: str, reason: str) -> None:
    if not holds:
        raise Conflict(code, reason)


_STEPS: dict[tuple[Status, type], Callable[[Account, Any, datetime.datetime], tuple[Account, tuple[Effect, ...]]]] = {
    ("none", SignUp): _sign_up,
    ("pending", Verify): _verify,
    ("pending", Purge): _purge,
    ("open", Suspend): _suspend,
    ("suspended", Lift): _lift,
    ("open", Close): _close,
    ("suspended", Close): _close,
    ("closed", Reactivate): _reactivate,
    ("closed", Purge): _purge,
}
_NAMES = {
    SignUp: "be signed up",
    Verify: "be verified",
    Suspend: "be suspended",
    Lift: "have a suspension lifted",
    Close: "be closed",
    Reactivate: "be reactivated",
    Purge: "be purged",
}


@dataclass(frozen=True)
class Access:
    """What account and subscription together allow (table of model 3.2).

    `sign_in`: "all", "support" (billing, privacy and support only) or "none". `profile`: "shown", "notice" (with the
    notice that the account is frozen) or "hidden" (ACC-20).
    """

    host: bool
    join: bool
    sign_in: Literal["all", "support", "none"]
    keys: bool
    profile: Literal["shown", "notice", "hidden"]


_NOTHING = Access(False, False, "none", False, "hidden")


def access(status: Status, subscription: Subscription) -> Access:
    """The account's own state is the stricter one: only an open account looks at its subscription."""
    if status == "suspended":
        return Access(False, False, "support", False, "hidden")
    if status != "open":
        return _NOTHING
    running = subscription in ("trial", "active")
    profile: Literal["shown", "notice", "hidden"] = "hidden"
    if running or subscription == "none":
        profile = "shown"
    elif subscription == "frozen":
        profile = "notice"
    return Access(running, running, "all", True, profile)
