"""Panels of a Grafana dashboard as SVG in one HTML page. Pure: panels and Prometheus' answers in, text out."""

from __future__ import annotations

import html
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

# One unit of Grafana's grid of 24 columns, in pixels of the picture.
COLUMN_PX, ROW_PX, GAP_PX = 56, 28, 6
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#b877d9", "#fa6400", "#8ab8ff", "#c0d8ff", "#fade2a", "#ff7383",
           "#37872d", "#e0b400")  # fmt: skip
STYLE = """body{margin:0;background:#111217;font:12px 'DejaVu Sans',sans-serif;color:#ccccdc;position:relative}
section{position:absolute;background:#181b1f;border:1px solid #2a2d34;border-radius:2px;overflow:hidden;
box-sizing:border-box}h2{font-size:12px;margin:6px 8px 0;font-weight:600;white-space:nowrap}svg{display:block}
h1{position:absolute;margin:0;font-size:14px}p{margin:2px 8px;font-size:10px;line-height:13px;overflow:hidden}
b{font-size:34px;font-weight:500;color:#73bf69;display:block;text-align:center;margin-top:14px}i{font-style:normal}"""


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend and its points, (Unix time, value)."""

    name: str
    points: tuple[tuple[float, float], ...]


def legend(template: str, labels: Mapping[str, str]) -> str:
    """As Grafana fills `{{label}}` in."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), template).strip()


def lines_of(template: str, series: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Prometheus' matrix as lines; points that are no number are left out."""
    return [
        Line(
            legend(template, one["metric"]),
            tuple((float(at), float(value)) for at, value in one["values"] if math.isfinite(float(value))),
        )
        for one in series
    ]


def _scaled(value: float, unit: str, step: float = 1000.0, prefixes: str = " kMGT") -> str:
    at = 0
    while abs(value) >= step and at < len(prefixes) - 1:
        value, at = value / step, at + 1
    return f"{value:.3g} {prefixes[at]}{unit}".replace("  ", " ").strip()


def _seconds(value: float) -> str:
    if value == 0:
        return "0 s"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if abs(value) * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


UNITS: Mapping[str, Callable[[float], str]] = {
    "short": lambda value: _scaled(value, ""),
    "percentunit": lambda value: f"{value * 100:.3g} %",
    "s": _seconds,
    "bps": lambda value: _scaled(value, "b/s"),
    "pps": lambda value: _scaled(value, "p/s"),
    "ops": lambda value: _scaled(value, "ops/s"),
    "bytes": lambda value: _scaled(value, "iB" if abs(value) >= 1024 else "B", 1024.0, " KMGT"),
}


def stretches(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The points without the gaps in which there was no value; a line across those would be made up."""
    every_s = min((after[0] - before[0] for before, after in pairwise(points)), default=0.0)
    found: list[list[tuple[float, float]]] = []
    for point in points:
        if not found or point[0] - found[-1][-1][0] > 1.5 * every_s:
            found.append([])
        found[-1].append(point)
    return found


def ticks(highest: float, unit: str) -> list[float]:
    """Four or so round values from 0 to at least `highest`."""
    highest = highest if highest > 0 else 1.0
    rough = highest / 4
    whole = 1024.0 ** math.floor(math.log(max(rough, 1.0), 1024)) if unit == "bytes" else 1.0
    size = 10.0 ** math.floor(math.log10(rough / whole)) * whole
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    return [step * at for at in range(math.ceil(highest / step * 0.999) + 1)]


def _text(x: float, y: float, words: str, anchor: str = "end") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="10" fill="#8e8e96">{words}</text>'


def chart(lines: Sequence[Line], unit: str, width: int, height: int, start: float, end: float) -> str:
    """A time series panel's picture."""
    say = UNITS[unit]
    grid = ticks(max((value for line in lines for _, value in line.points), default=0.0), unit)
    left, right, top, bottom = 64.0, width - 10.0, 8.0, height - 18.0

    def at(when: float, value: float) -> tuple[float, float]:
        x = left + (when - start) / (end - start) * (right - left)
        return x, bottom - value / grid[-1] * (bottom - top)

    parts = []
    for value in grid:
        y = at(start, value)[1]
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#2a2d34"/>')
        parts.append(_text(left - 6, y + 3, html.escape(say(value))))
    every_s = max(10, round((end - start) / 5 / 10) * 10)
    # The last name would be cut off at the right edge.
    for when in range(math.ceil(start / every_s) * every_s, int(end - (end - start) / 15), every_s):
        parts.append(_text(at(when, 0)[0], height - 4.0, time.strftime("%H:%M:%S", time.gmtime(when)), "middle"))
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        for stretch in stretches(line.points):
            spots = [at(when, value) for when, value in stretch]
            way = "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
            if len(spots) > 1:
                parts.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
            else:
                parts.append(f'<circle cx="{spots[0][0]:.1f}" cy="{spots[0][1]:.1f}" r="2" fill="{colour}"/>')
    return f'<svg width="{width}" height="{height}">{"".join(parts)}</svg>'


def _panel(panel: Mapping[str, Any], lines: Sequence[Line], start: float, end: float) -> str:
    place, title = panel["gridPos"], html.escape(panel["title"])
    x, y = place["x"] * COLUMN_PX, place["y"] * ROW_PX
    if panel["type"] == "row":
        return f'<h1 style="left:{x + 4}px;top:{y + 8}px">{title}</h1>'
    width, height = place["w"] * COLUMN_PX - GAP_PX, place["h"] * ROW_PX - GAP_PX
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    shown = [line for line in lines if line.points]
    if not shown:
        body = "<p>No data</p>"
    elif panel["type"] == "stat":
        body = f"<b>{html.escape(UNITS[unit](shown[0].points[-1][1]))}</b>"
    else:
        words = " &nbsp; ".join(
            f'<i style="color:{COLOURS[number % len(COLOURS)]}">&#9644;</i> {html.escape(line.name or "value")} '
            f"{html.escape(UNITS[unit](line.points[-1][1]))}"
            for number, line in enumerate(shown)
        )
        # As many lines of legend as it needs, about 6.2 pixels a letter.
        letters = sum(len(line.name) + 14 for line in shown)
        rows = min(4, math.ceil(letters * 6.2 / (width - 16)))
        body = chart(shown, unit, width, height - 34 - 13 * rows, start, end) + f"<p>{words}</p>"
    box = f"left:{x + GAP_PX // 2}px;top:{y}px;width:{width}px;height:{height}px"
    return f'<section style="{box}"><h2>{title}</h2>{body}</section>'


def page(board: Mapping[str, Any], found: Mapping[int, Sequence[Line]], start: float, end: float) -> str:
    """The whole dashboard; `found` holds the lines of each panel by its id."""
    parts = [_panel(panel, found.get(panel["id"], ()), start, end) for panel in board["panels"]]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * ROW_PX + GAP_PX
    size = f"width:{24 * COLUMN_PX}px;height:{height}px"
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><body style="{size}">{"".join(parts)}</body>'
