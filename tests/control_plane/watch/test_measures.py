"""Labels are words of ours, and there is an end to them."""

from __future__ import annotations

import pytest

from control_plane.errors import Forbidden, TooMany
from control_plane.watch import measures
from control_plane.watch.measures import Measures


def value(made: Measures, name: str, **labels: str) -> float | None:
    return made.registry.get_sample_value(f"stentor_control_{name}", labels)


def test_an_attempt_is_counted_by_its_end_and_its_error_passes() -> None:
    made = Measures()
    assert value(made, "sign_ins_total", outcome="ok") == 0, "there before the first one"
    with made.signing_in():
        pass
    for error in (Forbidden("account_closed", "closed"), Forbidden("account_closed", "again")):
        with pytest.raises(Forbidden), made.signing_in():
            raise error
    with pytest.raises(ZeroDivisionError), made.signing_in():
        raise ZeroDivisionError
    found = {one: value(made, "sign_ins_total", outcome=one) for one in ("ok", "account_closed", "internal")}
    assert found == {"ok": 1, "account_closed": 2, "internal": 1}
    with pytest.raises(TooMany), made.joining():
        raise TooMany("too_many_ids", "wait")
    assert value(made, "joins_total", outcome="too_many_ids") == 1
    assert value(made, "limited_total", limit="room_ids") == 1


def test_codes_without_end_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "LABELS_MAX", 3)
    made = Measures()
    for number in range(10):
        made.problem(f"code_{number}")
        made.problem("code_0")
    assert value(made, "problems_total", code="code_0") == 11
    assert value(made, "problems_total", code="other") == 7
    assert value(made, "problems_total", code="code_7") is None


@pytest.mark.parametrize(("status", "shown"), [(200, "2xx"), (308, "3xx"), (429, "4xx"), (503, "5xx"), (None, "none")])
def test_a_request_is_told_by_the_class_of_its_status(status: int | None, shown: str) -> None:
    made = Measures()
    made.request("/api/v1/join", "POST", status, 0.02)
    labels = {"route": "/api/v1/join", "method": "POST"}
    assert value(made, "requests_total", **labels, status=shown) == 1
    assert value(made, "request_seconds_bucket", route="/api/v1/join", le="0.025") == 1
    assert value(made, "request_seconds_bucket", route="/api/v1/join", le="0.01") == 0


def test_steps_of_what_runs_go_to_their_own_counters() -> None:
    made = Measures()
    made.tried("jobs", "accounts.purge", "failed")
    made.tried("outbox", "mail", "sent")
    made.tried("webhooks", "webhook", "delivered")
    assert value(made, "jobs_run_total", kind="accounts.purge", result="failed") == 1
    assert value(made, "outbox_tries_total", kind="mail", result="sent") == 1
    assert value(made, "webhook_calls_total", result="delivered") == 1
    assert b"_created" not in made.page()
