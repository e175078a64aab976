"""What is called fast: gate and aim, p95 of few answers, errors that must not be counted as answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.control_plane import judge
from benchmarks.control_plane.asking import Answered
from benchmarks.figures import Figure

ME = "GET /api/v1/me"


def answers(took_ms: float, count: int = 40, *, name: str = ME, status: int = 200) -> list[Answered]:
    return [Answered(name=name, status=status, took_ms=took_ms, at_s=0.0) for _ in range(count)]


def signing_in(
    idle: Sequence[Answered],
    busy: Sequence[Answered],
    *,
    lasts_s: Sequence[float] = (1.0,),
    signed_in: Sequence[Answered] = (),
) -> list[Figure]:
    return judge.signing_in(judge.SigningIn(20, 2, idle, busy, signed_in, lasts_s, lasts_s, [0.1]))


def test_p95_is_the_nearest_rank_of_what_was_measured() -> None:
    twenty = [one for took_ms in range(1, 21) for one in answers(float(took_ms), 1)]
    assert judge.p95_ms(reversed(twenty)) == 19.0
    assert judge.p95_ms(answers(7.0, 1)) == 7.0
    with pytest.raises(ValueError, match="no answers"):
        judge.p95_ms([])


@pytest.mark.parametrize(
    ("idle_ms", "busy_ms", "verdict"),
    [
        (10.0, 49.0, "aim"),
        (12.0, 55.0, "gate"),  # within five times, but over 50 ms
        (10.0, 51.0, "missed"),
        (2.0, 11.0, "missed"),  # far below 50 ms: five times idle is the gate all the same
        (2.0, 9.0, "aim"),
    ],
)
def test_an_endpoint_is_held_against_itself_idle(idle_ms: float, busy_ms: float, verdict: str) -> None:
    figure = signing_in(answers(idle_ms), answers(busy_ms))[0]
    assert figure.verdict == verdict
    assert figure.value == pytest.approx(busy_ms / idle_ms)


def test_every_endpoint_has_a_figure_of_its_own_and_one_slow_one_is_not_averaged_away() -> None:
    idle = answers(10.0) + answers(10.0, name="GET /")
    busy = answers(12.0) + answers(90.0, name="GET /")
    found = {figure.what: figure.verdict for figure in signing_in(idle, busy)}
    assert [verdict for what, verdict in found.items() if "GET /api/v1/me" in what] == ["aim"]
    assert [verdict for what, verdict in found.items() if "GET / " in what] == ["missed"]


@pytest.mark.parametrize(("idle", "busy"), [(40, 19), (19, 40), (40, 0)])
def test_too_few_answers_are_refused_and_not_printed(idle: int, busy: int) -> None:
    figure = signing_in(answers(10.0, idle), answers(10.0, busy))[0]
    assert figure.verdict == "refused"
    assert figure.value is None


def test_quick_errors_are_no_answers_and_one_misses_the_gate() -> None:
    busy = answers(45.0) + answers(1.0, 400, status=429)
    first, *_, errors = signing_in(answers(10.0), busy)
    assert first.value == pytest.approx(4.5), "400 refusals in a millisecond make nothing faster"
    assert (errors.value, errors.verdict) == (400.0, "missed")
    assert "429" in errors.note


def test_who_could_not_sign_in_is_an_error_too() -> None:
    *_, errors = signing_in(answers(10.0), answers(10.0), signed_in=answers(10.0, 1, name="sign in", status=503))
    assert errors.verdict == "missed"
    *_, errors = signing_in(answers(10.0), answers(10.0), signed_in=answers(10.0, 1, name="sign in", status=201))
    assert errors.verdict == "aim"


@pytest.mark.parametrize(("last_s", "verdict"), [(0.9, "aim"), (1.2, "gate"), (1.31, "missed")])
def test_the_last_is_held_against_as_many_hashes_on_all_cores(last_s: float, verdict: str) -> None:
    # 20 hashes of 0.1 s on two cores are a second.
    figure = signing_in(answers(1.0), answers(1.0), lasts_s=[last_s, last_s, last_s])[1]
    assert figure.verdict == verdict
    assert figure.value == pytest.approx(last_s)


def test_the_worst_round_stands_beside_the_median() -> None:
    figure = signing_in(answers(1.0), answers(1.0), lasts_s=[1.0, 1.1, 2.5])[1]
    assert figure.value == pytest.approx(1.1)
    assert "worst of 3 rounds 2.50 s" in figure.note


def test_a_grant_has_an_aim_on_sqlite_and_none_elsewhere() -> None:
    empty, full, errors = judge.grants(answers(19.0), answers(21.0), 40, aim_ms=20.0)
    assert (empty.verdict, full.verdict, errors.verdict) == ("aim", "over", "aim")
    empty, full, _ = judge.grants(answers(19.0), answers(21.0), 40, aim_ms=None)
    assert (empty.verdict, full.verdict) == ("told", "told")
    empty, *_ = judge.grants(answers(1.0, 19), answers(1.0), 40, aim_ms=20.0)
    assert empty.verdict == "refused"


def a_minute(grants: list[Answered], entered_ms: Sequence[float], failed: Sequence[str] = ()) -> list[Figure]:
    spent = {"control plane": 12.0, "node": 6.0, "worker": 3.0}
    return judge.minute(judge.Minute(40, 60.0, grants, entered_ms, failed, spent), aim_ms=20.0)


def test_a_minute_counts_who_is_in_and_what_it_cost() -> None:
    out, grant, entered, plane, node, worker = a_minute(answers(9.0), [30.0] * 40)
    assert (out.value, out.verdict) == (0.0, "aim")
    assert (grant.value, grant.verdict) == (9.0, "aim")
    assert (entered.value, entered.verdict) == (30.0, "told")
    assert [figure.value for figure in (plane, node, worker)] == pytest.approx([20.0, 10.0, 5.0])
    assert "300 ms a join" in plane.note


@pytest.mark.parametrize(
    ("grants", "entered", "failed", "told"),
    [
        (answers(9.0, 39) + answers(9.0, 1, status=429), 39, (), "429"),
        (answers(9.0), 39, ("Refused: room_full",), "room_full"),
        (answers(9.0), 38, (), ""),
    ],
)
def test_one_who_is_not_in_misses_the_gate(
    grants: list[Answered], entered: int, failed: Sequence[str], told: str
) -> None:
    out = a_minute(grants, [30.0] * entered, failed)[0]
    assert (out.value, out.verdict) == (40.0 - entered, "missed")
    assert told in out.note


def night(subscribers: int, took_s: float, faults: Sequence[str] = ()) -> judge.Night:
    return judge.Night(
        subscribers=subscribers,
        took_s=took_s,
        cpu_s=took_s,
        statements={"jobs": 30 * subscribers, "gateway": 20 * subscribers},
        commits={"jobs": subscribers},
        faults=list(faults),
    )


def test_a_night_has_as_much_time_as_there_are_renewals_and_a_larger_one_takes_no_longer_for_each() -> None:
    found = judge.renewals([night(500, 3.0), night(1000, 7.0)])
    assert [figure.verdict for figure in found] == ["aim", "aim", "over", "aim", "over"]
    assert found[-1].value == pytest.approx(7 / 6)
    assert "50 statements, 1 commits" in found[0].note


def test_a_renewal_that_came_twice_misses_the_gate_however_fast_the_night_was() -> None:
    fault = "invoices, and of how many: (501, 500), not (500, 500)"
    (_, exact) = judge.renewals([night(500, 0.1, [fault])])
    assert exact.verdict == "missed" and exact.note == fault


def test_a_grant_beside_a_night_is_held_against_itself_before_it() -> None:
    beside = judge.beside_a_night(night(500, 10.0), answers(10.0), answers(49.0))
    assert [figure.verdict for figure in beside] == ["aim", "aim", "aim"]
    slow, _, errors = judge.beside_a_night(night(500, 10.0), answers(10.0), answers(51.0) + answers(1.0, 1, status=503))
    assert (slow.verdict, errors.verdict) == ("missed", "missed")
    refused, *_ = judge.beside_a_night(night(2, 0.1), answers(10.0), answers(9.0, 3))
    assert refused.verdict == "refused"
