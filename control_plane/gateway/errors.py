"""What a gateway cannot do or say (docs/gateway.md tells what each means for money). Pure."""

from __future__ import annotations


class GatewayError(Exception):
    """Base. Messages carry no secret, no name and no text of the gateway; `code` is a stable word."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.reason = code, reason


class OutcomeUnknown(GatewayError):
    """No answer came. It may have happened: ask by the key, never send with a new one."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__("outcome_unknown", f"{why}; ask by the key {key}, never send with a new one")
        self.key = key


class TryLater(GatewayError):
    """The gateway is busy and has done nothing; the same order may be sent again, with the same key."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("try_later", f"the gateway takes no more at the moment, again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class KeyReused(GatewayError):
    """This key was used for another order: a fault of ours. Nothing has happened."""

    def __init__(self, key: str) -> None:
        super().__init__("key_reused", f"the key {key} belongs to another order")


class Refused(GatewayError):
    """The order cannot be carried out at all, now or later; nothing has happened.

    Codes: amount_not_positive, amount_too_fine, currency_unsupported, key_malformed, no_such_payer, no_such_card,
    no_such_setup, no_such_charge, not_paid, over_refunded, disputed, refused.
    """


class Misconfigured(GatewayError):
    """The gateway does not accept our credentials: the operator has to act."""


class EventRejected(Exception):
    """What was posted to us is not to be believed, or not for us. `code` says why; answer 400."""

    code = "rejected"


class EventForged(EventRejected):
    code = "forged"


class EventStale(EventRejected):
    """Signed well, but too long ago (or ahead of our clock): a replay."""

    code = "stale"


class EventUnreadable(EventRejected):
    """Signed well, but not of a form that we know."""

    code = "unreadable"


class EventForeign(EventRejected):
    """Signed well, but of another gateway account, of its other mode, or of another customer's payment."""

    code = "foreign"
