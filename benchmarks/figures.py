"""What a benchmark found: rows of DESIGN's figures with gate and aim, taken beside a raw reference. Pure.

A number counts only when the machine was the same before and after it: the raw reference is taken on both sides of each
sample, a sample whose two references differ by more than 10 % is thrown away, and a row without five good samples is
refused rather than printed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# Of two references, the larger against the smaller.
MOVED_MAX = 1.10
SAMPLES = 5
# Samples that may be thrown away for each that is kept. A machine that moves more often is no place to measure.
TRIES_PER_SAMPLE = 8


@dataclass(frozen=True)
class Sample:
    """One measurement between two references, all in the same unit."""

    before: float
    value: float
    after: float

    @property
    def moved(self) -> float:
        """How far apart the references are: 1.0 = not at all."""
        low, high = sorted((self.before, self.after))
        return high / low if low > 0 else float("inf")

    @property
    def good(self) -> bool:
        return self.moved <= MOVED_MAX

    @property
    def ratio(self) -> float:
        return self.value / ((self.before + self.after) / 2)


@dataclass(frozen=True)
class Series:
    """What `collect` found. `kept` are the good samples, `refused` those whose reference moved."""

    kept: tuple[Sample, ...]
    refused: tuple[Sample, ...]

    @property
    def holds(self) -> bool:
        return len(self.kept) >= SAMPLES

    @property
    def ratio(self) -> float:
        """The median of the ratios to the reference."""
        return statistics.median(sample.ratio for sample in self.kept)

    @property
    def value(self) -> float:
        return statistics.median(sample.value for sample in self.kept)

    @property
    def reference(self) -> float:
        return statistics.median((sample.before + sample.after) / 2 for sample in self.kept)

    @property
    def moved(self) -> float:
        """The median movement of all references, kept or not."""
        return statistics.median(sample.moved for sample in (*self.kept, *self.refused))


def collect(reference: Callable[[], float], measure: Callable[[], float]) -> Series:
    """Samples until SAMPLES are good, or too many were not. Each reference serves the sample before and after it."""
    kept: list[Sample] = []
    refused: list[Sample] = []
    before = reference()
    while len(kept) < SAMPLES and len(kept) + len(refused) < SAMPLES * TRIES_PER_SAMPLE:
        value = measure()
        after = reference()
        sample = Sample(before, value, after)
        (kept if sample.good else refused).append(sample)
        before = after
    return Series(tuple(kept), tuple(refused))


@dataclass(frozen=True)
class Figure:
    """One line of the table. `value` None = refused, and `note` says why. Smaller is better everywhere."""

    row: str  # DESIGN section 10, or the letter of a benchmark of its own
    what: str
    value: float | None
    unit: str
    gate: float | None = None
    aim: float | None = None
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One of _WORDS. Where there is no gate: "told", or "over" an aim."""
        if self.value is None:
            return "refused"
        if self.aim is not None and self.value <= self.aim:
            return "aim"
        if self.gate is None:
            return "told" if self.aim is None else "over"
        return "gate" if self.value <= self.gate else "missed"

    def told(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def of_series(row: str, what: str, series: Series, *, gate: float, aim: float, reference: str = "raw") -> Figure:
    """A figure that is the median ratio of a series to its reference, or its refusal."""
    told = {"samples": [asdict(sample) for sample in (*series.kept, *series.refused)]}
    if not series.holds:
        return Figure(row, what, None, "x", gate, aim, moved_too_much(series), told)
    note = f"{series.value:.3f} us, {reference} {series.reference:.3f} us; {len(series.refused)} samples thrown away"
    return Figure(row, what, series.ratio, "x", gate, aim, note, told)


def moved_too_much(series: Series) -> str:
    """Why a row is refused."""
    total = len(series.kept) + len(series.refused)
    return (
        f"refused: the raw reference moved by more than {100 * (MOVED_MAX - 1):.0f} % around "
        f"{len(series.refused)} of {total} samples (median {100 * (series.moved - 1):.0f} %); is the machine busy?"
    )


_WORDS = {
    "aim": "aim reached",
    "gate": "gate held",
    "missed": "GATE MISSED",
    "over": "aim missed",
    "refused": "REFUSED",
    "told": "",
}


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table."""
    lines = ["| row | what | measured | gate | aim | verdict | |", "|---|---|---|---|---|---|---|"]
    for one in figures:
        value = "-" if one.value is None else f"{number(one.value)} {one.unit}"
        bounds = ["-" if bound is None else f"{number(bound)} {one.unit}" for bound in (one.gate, one.aim)]
        cells = [one.row, one.what, value, *bounds, _WORDS[one.verdict], one.note]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def number(value: float) -> str:
    """Three significant digits, without exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
