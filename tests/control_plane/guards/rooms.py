# ruff: noqa: E501
"""Guards of the rooms area, and of the media server's seats that stand on its grants and policies."""

from __future__ import annotations

from tests.control_plane.guards import Guard

_ROOMS = "control_plane/rooms"
_SEATS = "sfu/seats.py"
_FULL = "if len(self.taken) >= self.policy.seats:"

GUARDS = (
    Guard("PROD-01.1", f"{_ROOMS}/grants.py", "seats=max(1, limits.seats), senders", "seats=limits.seats + 1, senders"),
    Guard("PROD-01.2", _SEATS, _FULL, "if False:"),
    Guard("PROD-01.3", "sfu/signalling/session.py", "        self._socket_lost_at = now\n        return []", '        return self.end("left", CLOSE_ENDED)'),
    Guard("PROD-01.4", _SEATS, _FULL, "if len({one.entry.identity for one in self.taken.values()}) >= self.policy.seats:"),
    Guard("PROD-01.5", _SEATS, "one = self.taken.pop(participant, None)", "one = self.taken.get(participant)"),
    Guard("PROD-01.7", f"{_ROOMS}/limits.py", "seats = min(product.seats, allowance.seats.get(kind, 0))", "seats = product.seats"),
    Guard("PROD-02.2", _SEATS, "and len(self.senders) >= self.policy.senders:", "and False:"),
    Guard("PROD-02.3", f"{_ROOMS}/limits.py", "seats = min(product.seats, allowance.seats.get(kind, 0))", "seats = product.seats"),
    Guard("PROD-02.4", f"{_ROOMS}/policies.py", "(before.limits, before.closed) == (size, closed) and not order:", "before.closed == closed and not order:"),
    Guard("PROD-03.1", _SEATS, _FULL, "if False:"),
    Guard("PROD-03.2", _SEATS, "names.index(after) + 1", "names.index(after)"),
    Guard("PROD-03.4", f"{_ROOMS}/limits.py", "product = PRODUCT[kind]", 'product = PRODUCT["webinar"]'),
    Guard("ACC-05.3", "control_plane/billing/catalogue.py", '{"meeting": 5, "webinar": 20}', '{"meeting": 40, "webinar": 1_000, "large": 10_000}'),
    Guard("PROD-17.1", f"{_ROOMS}/identifiers.py", "if len(bare) != 9 or", "if"),
    Guard("PROD-17.2", f"{_ROOMS}/identifiers.py", '_BETWEEN.sub("", typed[: _TYPED_MAX + 1])', "typed"),
    Guard("PROD-17.3", f"{_ROOMS}/identifiers.py", 're.fullmatch(r"[0-9]+", bare)', "bare"),
    Guard("PROD-17.3", f"{_ROOMS}/identifiers.py", "an event id has digits only, such as 123 456 789", "wrong"),
    Guard("PROD-17.4", f"{_ROOMS}/identifiers.py", 'if bare[0] == "0":', "if False:"),
    Guard("PROD-17.5", f"{_ROOMS}/joining.py", "check it, or ask whoever invited you", "no"),
    Guard("PROD-17.6", f"{_ROOMS}/joining.py", 'row.state == "planned" and not row.suspended_for and may_host', "not row.suspended_for and may_host"),
    Guard("PROD-17.7", f"{_ROOMS}/joining.py", 'row.state == "planned" and not row.suspended_for and may_host', 'row.state == "planned" and not row.suspended_for'),
    Guard("PROD-17.8", f"{_ROOMS}/guesses.py", "if left < 1:", "if False:"),
    Guard("PROD-17.9", f"{_ROOMS}/joining.py", 'if known and row.state in ("cancelled", "ended"):', 'if row.state in ("cancelled", "ended"):'),
    Guard("ACC-21.1", f"{_ROOMS}/policies.py", 'event.state != "planned" or bool(event.suspended_for) or not', 'event.state != "planned" or not'),
    Guard("ACC-21.2", f"{_ROOMS}/events.py", '**({"reason": reason} if reason else {})', "**{}"),
    Guard("ACC-21.3", f"{_ROOMS}/events.py", '_set_suspended(connection, now, setup, actor, event, "")', '_set_suspended(connection, now, setup, actor, event, "lifted")'),
)  # fmt: skip
