"""Panels as pictures: names, units, gaps and the grid."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import panels
from tests.prometheus import DEPLOY


@pytest.mark.parametrize(
    ("unit", "value", "told"),
    [
        ("s", 0.00135, "1.35 ms"), ("s", 0, "0 s"), ("s", 2.5, "2.5 s"), ("percentunit", 0.0408, "4.08 %"),
        ("bps", 5_480_000, "5.48 Mb/s"), ("pps", 12, "12 p/s"), ("bytes", 1 << 23, "8 MiB"), ("short", 0, "0"),
    ],
)  # fmt: skip
def test_values_are_told_in_the_panels_unit(unit: str, value: float, told: str) -> None:
    assert panels.UNITS[unit](value) == told


def test_every_unit_of_the_dashboard_can_be_told() -> None:
    board = json.loads((DEPLOY / "grafana" / "stentor.json").read_text(encoding="utf-8"))
    used = {panel["fieldConfig"]["defaults"]["unit"] for panel in board["panels"] if panel["type"] != "row"}
    assert used <= panels.UNITS.keys()


@pytest.mark.parametrize(("highest", "unit"), [(0.0, "short"), (3.0, "short"), (0.0007, "s"), (101e6, "bytes")])
def test_the_scale_begins_at_0_and_holds_the_highest_value(highest: float, unit: str) -> None:
    scale = panels.ticks(highest, unit)
    assert scale[0] == 0 and scale[-1] >= highest * 0.999 and 4 <= len(scale) <= 6
    assert unit != "bytes" or scale[1] % 1024 == 0


def test_names_come_from_labels_and_what_is_no_number_is_left_out() -> None:
    series = [{"metric": {"kind": "video"}, "values": [[1, "2"], [3, "NaN"], [5, "4"]]}]
    assert panels.lines_of("p50 {{kind}} {{ absent }}", series) == [panels.Line("p50 video", ((1, 2), (5, 4)))]


def test_a_gap_is_not_drawn_over() -> None:
    points = ((0.0, 1.0), (2.0, 1.0), (4.0, 1.0), (20.0, 1.0), (22.0, 1.0))
    assert [len(stretch) for stretch in panels.stretches(points)] == [3, 2]


def test_every_panel_is_at_its_place_and_an_empty_one_says_so() -> None:
    board = {
        "panels": [
            {"id": 1, "type": "row", "title": "Now", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}},
            {"id": 2, "type": "stat", "title": "A < B", "gridPos": {"x": 0, "y": 1, "w": 4, "h": 4},
             "fieldConfig": {"defaults": {"unit": "s"}}},
            {"id": 3, "type": "timeseries", "title": "T", "gridPos": {"x": 4, "y": 1, "w": 8, "h": 8},
             "fieldConfig": {"defaults": {"unit": "pps"}}},
        ]
    }  # fmt: skip
    page = panels.page(board, {2: [panels.Line("", ((1.0, 0.25),))]}, 0.0, 60.0)
    assert "250 ms" in page and "A &lt; B" in page and page.count("No data") == 1
    assert re.findall(r"<section style=\"left:(\d+)px;top:(\d+)px", page) == [("3", "28"), ("227", "28")]
