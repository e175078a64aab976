"""What makes a figure count: references that stand still, enough samples, a verdict against gate and aim."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.figures import SAMPLES, TRIES_PER_SAMPLE, Figure, Sample, collect, number, of_series, table


def scripted(values: list[float]) -> Iterator[float]:
    yield from values
    while True:
        yield values[-1]


def test_on_a_quiet_machine_the_ratio_is_the_median_of_five_samples() -> None:
    costs = scripted([2.0, 1.8, 1.9, 9.0, 1.7])
    series = collect(lambda: 1.0, lambda: next(costs))
    assert len(series.kept) == SAMPLES and series.refused == ()
    figure = of_series("1", "a packet", series, gate=2.1, aim=1.9)
    assert (figure.value, figure.verdict) == (1.9, "aim")


def test_a_sample_between_two_references_that_differ_is_thrown_away() -> None:
    references = scripted([1.0, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2])
    series = collect(lambda: next(references), lambda: 2.4)
    assert [round(sample.moved, 2) for sample in series.refused] == [1.2]
    assert series.ratio == 2.0


def test_where_the_reference_never_stands_still_nothing_is_printed_but_the_reason() -> None:
    turn = iter(range(1 << 30))
    series = collect(lambda: 1.0 + next(turn) % 2, lambda: 2.0)
    assert len(series.refused) == SAMPLES * TRIES_PER_SAMPLE
    figure = of_series("1", "a packet", series, gate=2.1, aim=1.9)
    assert figure.value is None and figure.verdict == "refused"
    assert "moved by more than 10 %" in figure.note
    assert "| - |" in table([figure]) and "REFUSED" in table([figure])


@pytest.mark.parametrize(("value", "verdict"), [(1.9, "aim"), (2.0, "gate"), (2.1, "gate"), (2.11, "missed")])
def test_a_figure_is_judged_against_gate_and_aim(value: float, verdict: str) -> None:
    assert Figure("1", "a packet", value, "x", 2.1, 1.9).verdict == verdict


def test_without_an_aim_there_is_a_gate_and_without_a_gate_only_the_figure() -> None:
    assert Figure("14", "p90", 1.5, "x", 2.0).verdict == "gate"
    assert Figure("14", "p90", 1.5, "x").verdict == "told"
    assert Figure("b", "p95", 21.0, "ms", None, 20.0).verdict == "over", "an aim is no gate"
    assert Figure("b", "p95", 20.0, "ms", None, 20.0).verdict == "aim"


def test_a_reference_of_nothing_is_no_reference() -> None:
    assert not Sample(0.0, 1.0, 1.0).good


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (1.6666, "1.67"), (12.34, "12.3"), (1234.5, "1234")])
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
