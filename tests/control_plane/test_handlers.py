"""Every kind of job that is put anywhere is known: one without a handler would park its account in the end."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from control_plane.accounts.setup import Setup
from control_plane.billing import setup as billing_setup
from control_plane.billing.document import Party
from control_plane.clock import TestClock
from control_plane.handlers import handlers
from control_plane.letters import Letters
from tests.control_plane.people import FINGERPRINT_KEY, START

SOURCES = Path(__file__).resolve().parent.parent.parent / "control_plane"


def kinds(source: str) -> set[str]:
    """The kinds of the jobs that this source puts. A kind that cannot be read is an error: write it out."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("jobs.put", "jobs.later"):
            (kind,) = [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
            assert isinstance(kind, ast.Constant), ast.unparse(node)
            found.add(str(kind.value))
    return found


def test_each_kind_that_is_put_has_a_handler_and_each_handler_a_kind() -> None:
    put = {kind for path in SOURCES.rglob("*.py") for kind in kinds(path.read_text())}
    accounts = Setup(FINGERPRINT_KEY)
    billing = billing_setup.Setup(accounts, Party.of("Seller", "", "IE"))
    known = handlers(accounts, TestClock(START), Letters("https://stentor.test").legal, billing)
    assert put == set(known)


def test_a_kind_that_nobody_can_read_is_not_passed_over() -> None:
    assert kinds("jobs.put(connection, kind='a.b', key='k')\njobs.cancel(connection, 'k')") == {"a.b"}
    assert kinds("jobs.put_all(connection, [jobs.later(kind='c.d', key='k')])") == {"c.d"}
    with pytest.raises(AssertionError):
        kinds("jobs.put(connection, kind=name, key='k')")
