"""[I/O] `make mutation`: plants every fault of tests.mutation.operators into what reckons, one at a time.

Money, periods, ledger, and of billing what decides sums and days. With all modules and all mutants, the figures go
into docs/rule-coverage.md. Each mutant is a fresh process, forked from one that has the libraries loaded already, in a
copy of the sources of its own; it runs the tests of the mutated module until the first fails. Survivors are listed.
Fails when fewer are killed than should be of any module, and when the tests fail without any fault.
"""

from __future__ import annotations

import argparse
import gc
import io
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import _hypothesis_pytestplugin  # type: ignore[import-untyped]
import alembic.command
import babel.core
import hypothesis.stateful
import pytest
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite

from tests.control_plane.rule_coverage import FAULTS, PAGE, with_faults
from tests.mutation.operators import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent.parent
LEDGER, BILLING = "tests/control_plane/ledger", "tests/control_plane/billing"
# What is mutated, and by which tests it is tried: the quickest first, as most mutants die early.
TARGETS = {
    "control_plane/money.py": ["tests/control_plane/test_money.py"],
    "control_plane/periods.py": ["tests/control_plane/test_periods.py"],
    "control_plane/ledger/chart.py": [f"{LEDGER}/test_chart.py", f"{LEDGER}/test_journal.py"],
    "control_plane/ledger/tables.py": [f"{LEDGER}/test_migration.py", f"{LEDGER}/test_journal.py"],
    "control_plane/ledger/journal.py": [f"{LEDGER}/test_journal.py", f"{LEDGER}/test_model.py"],
    "control_plane/billing/agreement.py": [f"{BILLING}/test_agreement.py", f"{BILLING}/test_subscription.py"],
    "control_plane/billing/catalogue.py": [f"{BILLING}/test_catalogue.py"],
    "control_plane/billing/charges.py": [f"{BILLING}/test_charges.py"],
    "control_plane/billing/freeze.py": [f"{BILLING}/test_freeze.py", f"{BILLING}/test_subscription.py"],
    "control_plane/billing/subscription.py": [f"{BILLING}/test_subscription.py"],
    "control_plane/billing/tax.py": [f"{BILLING}/test_tax.py"],
    "control_plane/storage/migrations/versions/0001_ledger.py": [
        f"{LEDGER}/test_migration.py",
        f"{LEDGER}/test_chart.py",
        f"{LEDGER}/test_guards.py",
    ],
}
# Nearly every change of a text there is SQL that no database takes: such mutants die without a test being good.
TEXTS_LEFT_ALONE = ("control_plane/storage/migrations/",)
# The tests run on SQLite here, where nothing can be said of it. With STENTOR_TEST_POSTGRESQL=1 they prove it elsewhere.
FUNCTIONS_LEFT_ALONE = ("postgresql",)
COPIED = ("control_plane", "tests/control_plane", "tests/rules.json", "docs/billing.md", "pyproject.toml")
KILLED_PERCENT = 85
JOBS = 2
# An endless loop is a fault that is seen as well: by its CPU time, for on a busy machine sound tests take long, too.
CPU_MAX_S = 90
# Who waits for ever uses no CPU. Shorter: what was only slow counts as caught.
TIMEOUT_S = 900


@dataclass
class Slot:
    """A copy of the sources, and the mutant that is being tried in it."""

    folder: Path
    target: str = ""
    mutant: Mutant | None = None
    original: str = ""
    process: BaseProcess | None = None
    started: float = 0.0


@dataclass
class Tally:
    """How it went: the targets of those killed, and who survived where."""

    killed: list[str] = field(default_factory=list)
    survivors: list[tuple[str, Mutant]] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return len(self.killed) + len(self.survivors)

    def of(self, target: str) -> tuple[int, int, int]:
        """Killed, tried, and per cent, rounded down, of one module."""
        killed = self.killed.count(target)
        tried = killed + sum(where == target for where, _ in self.survivors)
        return killed, tried, 100 * killed // tried if tried else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("targets", nargs="*", help="only modules whose path contains one of these")
    parser.add_argument("--limit", type=int, default=0, help="only so many mutants of each module, spread over it")
    chosen = parser.parse_args(arguments)
    targets = [target for target in TARGETS if not chosen.targets or any(part in target for part in chosen.targets)]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stentor-mutation-") as folder:
        slots = _slots(Path(folder), targets)
        if not slots:
            return 1
        gc.freeze()
        tally = _try_all(slots, list(_planted(targets, chosen.limit)))
    for target, mutant in tally.survivors:
        print(f"survived: {target}:{mutant.line} {mutant.what}")
    for target in targets:
        killed, tried, percent = tally.of(target)
        print(f"{target}: {killed} of {tried} killed, {percent} %")
    killed, took = len(tally.killed), time.monotonic() - begun
    print(f"all: {killed} of {tally.tried} killed, {100 * killed // max(tally.tried, 1)} %, in {took:.0f} s")
    if not chosen.targets and not chosen.limit:
        PAGE.write_text(with_faults(PAGE.read_text(), section(targets, tally)))
        print(f"{PAGE.relative_to(ROOT)} has the figures")
    weak = [target for target in targets if tally.of(target)[2] < KILLED_PERCENT]
    if weak:
        print(f"fewer than {KILLED_PERCENT} % killed; the tests let too many faults pass: {weak}", file=sys.stderr)
    return 1 if weak else 0


def section(targets: Sequence[str], tally: Tally) -> str:
    """Of docs/rule-coverage.md: what was planted, and how much of it was noticed."""
    lines = [
        FAULTS,
        "Written by `make mutation`: one fault at a time (a comparison, a sign, a number, a missing statement ...) in",
        f"the module; it counts as caught when a test of that module fails. At least {KILLED_PERCENT} % must be.",
        "",
        "| module | caught | planted | share |",
        "|---|---|---|---|",
    ]
    for target in targets:
        killed, tried, percent = tally.of(target)
        lines.append(f"| `{target}` | {killed} | {tried} | {percent} % |")
    return "\n".join(lines) + "\n"


def _planted(targets: Sequence[str], limit: int) -> Iterator[tuple[str, Mutant]]:
    for target in targets:
        texts = not target.startswith(TEXTS_LEFT_ALONE)
        found = list(mutants((ROOT / target).read_text(), texts=texts, passed_over=FUNCTIONS_LEFT_ALONE))
        step = max(1, len(found) // limit) if limit else 1
        yield from ((target, mutant) for mutant in found[::step])


def _slots(folder: Path, targets: Sequence[str]) -> list[Slot]:
    """Copies of the sources; none where the tests fail as they are, for then it says nothing that they fail."""
    first = folder / "0"
    for name in COPIED:
        source, copy = ROOT / name, first / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    process = _start(first, sorted({test for target in targets for test in TARGETS[target]}))
    process.join()
    if process.exitcode != 0:
        print("the tests fail without any fault:", (first / "told.txt").read_text(), sep="\n", file=sys.stderr)
        return []
    # Bytecode of the tests is kept, which saves time; of what will be mutated there must be none.
    for target in targets:
        shutil.rmtree((first / target).parent / "__pycache__", ignore_errors=True)
    others = [shutil.copytree(first, folder / str(number)) for number in range(1, JOBS)]
    return [Slot(path) for path in [first, *others]]


def _try_all(slots: Sequence[Slot], planted: list[tuple[str, Mutant]]) -> Tally:
    tally, waiting, shown = Tally(), list(reversed(planted)), -1
    while waiting or any(slot.process for slot in slots):
        for slot in slots:
            if slot.process is None and waiting:
                slot.target, slot.mutant = waiting.pop()
                path = slot.folder / slot.target
                slot.original = path.read_text()
                path.write_text(slot.mutant.text)
                slot.process, slot.started = _start(slot.folder, TARGETS[slot.target]), time.monotonic()
        wait([slot.process.sentinel for slot in slots if slot.process], timeout=1)
        for slot in slots:
            _look_at(slot, tally)
        if tally.tried != shown:
            print(f"\r{tally.tried} of {len(planted)}, {len(tally.survivors)} survived ", end="", flush=True)
            shown = tally.tried
    print()
    return tally


def _look_at(slot: Slot, tally: Tally) -> None:
    """Is it over? The copy is as it was then, and the slot free."""
    if slot.process is None or slot.mutant is None:
        return
    if slot.process.is_alive():
        if time.monotonic() - slot.started < TIMEOUT_S:
            return
        slot.process.kill()
    slot.process.join()
    if slot.process.exitcode == 0:
        tally.survivors.append((slot.target, slot.mutant))
    else:
        tally.killed.append(slot.target)
    (slot.folder / slot.target).write_text(slot.original)
    slot.process = None


def _start(folder: Path, tests: Sequence[str]) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_run, args=(folder, tests))
    process.start()
    return process


def _run(folder: Path, tests: Sequence[str]) -> None:
    """In the forked process: run the tests in this copy, and leave with what pytest says."""
    os.chdir(folder)
    sys.path[:] = [str(folder), *(path for path in sys.path if path and Path(path).resolve() != ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("control_plane", "tests")]:
        del sys.modules[name]
    mutated = (folder / "told.txt").exists()  # the first run is of the tests of all modules, without a fault
    if mutated:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_MAX_S, CPU_MAX_S))
    # By time and size, bytecode of one mutant could be taken for that of the next.
    sys.dont_write_bytecode = mutated
    hypothesis.settings.register_profile(
        "mutation",
        max_examples=30,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    # Most of a mutant's second would be plugins that are not needed here, and what they look for at the end.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    unused = ("cacheprovider", "faulthandler", "unraisableexception", "threadexception")
    plugins = ["-p", "_hypothesis_pytestplugin", *(word for name in unused for word in ("-p", f"no:{name}"))]
    options = ["-x", "-q", "--tb=short", "--hypothesis-profile=mutation", "--confcutdir=tests/control_plane"]
    options += ["-W", "ignore"]
    basetemp = f"--basetemp={folder / 'temporary'}"
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        code = pytest.main([*options, *plugins, basetemp, *tests])
    (folder / "told.txt").write_text(told.getvalue())
    os._exit(int(code))


# Loaded for those who are forked, so that no mutant has to.
LOADED = (
    _hypothesis_pytestplugin,
    alembic.command,
    babel.core,
    hypothesis.stateful,
    sqlalchemy.dialects.postgresql,
    sqlalchemy.dialects.sqlite,
)

if __name__ == "__main__":
    sys.exit(main())
