"""constraints.txt: one release of every package, within the range of pyproject.toml, and the one that is installed."""

from __future__ import annotations

import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.servers import ROOT

PINS = {
    canonicalize_name(name): release
    for name, _, release in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#"
    )
}
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = [
    Requirement(words)
    for words in (
        *_PROJECT["build-system"]["requires"],
        *_PROJECT["project"]["dependencies"],
        *_PROJECT["project"]["optional-dependencies"]["test"],
    )
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_what_the_project_asks_for_is_written_down_and_within_its_range(wanted: Requirement) -> None:
    release = PINS[canonicalize_name(wanted.name)]
    assert release in wanted.specifier


def test_what_is_installed_is_what_is_written_down() -> None:
    """Whatever else was tested says nothing of what a fresh clone gets."""
    assert {name: version(name) for name in PINS} == PINS
