"""`with entry("ACC-04.2"):` says which edge case of tests/rules.json the assertions inside of it prove.

An entry is one item, counted from 1, of a rule's `try` list. It counts when its test passed and at least one assertion
of its own ran inside the block. An assertion is
- an `assert` of ours (not of a library) that held, as pytest's rewriting tells it, in the block or in a function that
  it calls; `assert True` and the like, which name nothing, do not count,
- a `pytest.raises` that got its exception.
Of nested blocks only the innermost is given an assertion. A block that ends without one fails its test, as do an
unknown entry, and a fourth entry in one test function (all its parameters together). Draw from Hypothesis before the
block: inside, its own asserts are slow, though they do not count. The hooks are in coverage_plugin.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

RULES = Path(__file__).resolve().parent.parent / "rules.json"
# More than this in one test is a list, not a story.
ENTRIES_A_TEST = 3


class EntryError(Exception):
    """The test names entries in a way that cannot be counted."""


@dataclass(frozen=True)
class Rule:
    """One rule of tests/rules.json; `tries` are its edge cases."""

    id: str
    title: str
    testable: str
    tries: tuple[str, ...]


@functools.cache
def rules() -> dict[str, Rule]:
    """All rules by id, in the order of the file."""
    told = json.loads(RULES.read_text())
    return {rule["id"]: Rule(rule["id"], rule["title"], rule["testable"], tuple(rule["try"])) for rule in told}


def known(name: str) -> str:
    """The name, if there is such an entry. Raises EntryError."""
    rule, _, number = name.rpartition(".")
    if rule not in rules():
        raise EntryError(f"no rule {rule!r} for the entry {name!r} in {RULES.name}")
    count = len(rules()[rule].tries)
    if not number.isdecimal() or str(int(number)) != number or not 1 <= int(number) <= count:
        raise EntryError(f"{rule} has the entries 1 to {count}, so there is no {name!r}")
    return name


@dataclass
class Run:
    """What the test that runs at present has named. Held by coverage_plugin, one at a time."""

    test: str  # its node id without parameters
    names: set[str]  # of all runs of this function
    asserted: list[int] = field(default_factory=list)  # assertions of each open block, the innermost last
    proved: set[str] = field(default_factory=set)


# Told when the first block opens and when the last one closes: listening to all assertions is slow.
listen: Callable[[bool], None] = lambda on: None  # noqa: E731

_run: Run | None = None
_names: dict[str, set[str]] = {}


def begin(test: str) -> None:
    """A test begins; `test` is its node id without parameters."""
    global _run
    _run = Run(test, _names.setdefault(test, set()))


def end() -> set[str]:
    """The test is over: the entries whose blocks ended well."""
    global _run
    proved, _run = (_run.proved if _run else set()), None
    return proved


def asserted() -> None:
    """An assertion held; it belongs to the innermost open block."""
    if _run is not None and _run.asserted:
        _run.asserted[-1] += 1


def says_something(assertion: str) -> bool:
    """Whether the source of an assertion names anything that could be otherwise."""
    try:
        return any(isinstance(node, ast.Name) for node in ast.walk(ast.parse(assertion.strip(), mode="eval")))
    except SyntaxError:  # cut out of several lines
        return True


@contextlib.contextmanager
def entry(name: str) -> Iterator[None]:
    """The assertions inside prove this entry, such as "ACC-04.2". Raises EntryError: see above."""
    known(name)
    run = _run
    if run is None:
        raise EntryError(f"{name} is named outside of a test that coverage_plugin sees; is it loaded in a conftest?")
    run.names.add(name)
    if len(run.names) > ENTRIES_A_TEST:
        raise EntryError(f"{run.test} names more than {ENTRIES_A_TEST} entries: {', '.join(sorted(run.names))}")
    run.asserted.append(0)
    listen(True)
    try:
        yield
    finally:
        count = run.asserted.pop()
        listen(bool(run.asserted))
    if count == 0:
        raise EntryError(
            f"no assertion of its own ran inside entry({name!r}) (if there is one: bytecode from before "
            "`enable_assertion_pass_hook` was set; remove the __pycache__ of tests)"
        )
    run.proved.add(name)
