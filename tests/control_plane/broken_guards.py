"""[I/O] `make broken-guards`: tests of entries must fail when the guard behind them is broken.

Of the entries that have guards (tests.control_plane.guards) it takes 20 by a seed, breaks each guard in a temporary
copy of the tree, and runs the tests that carry the entry. Every test of an entry must fail, while it runs, under one of
the entry's guards; one that never does proves nothing. Tests that fail in the copy as it is are told first: they would
"fail" without meaning anything.
"""

from __future__ import annotations

import argparse
import ast
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.control_plane import entries
from tests.control_plane.guards import Guard, all_guards
from tests.control_plane.rule_coverage import ROOT, run

COUNT = 20
LEFT_OUT = (".git", ".venv", "build", "node_modules", "artifacts", "__pycache__", ".*_cache", ".hypothesis")


def break_in(root: Path, guard: Guard) -> str:
    """Break it in the tree at `root`; the source as it was. Raises ValueError if it is not there exactly once."""
    path = root / guard.file
    source = path.read_text()
    if source.count(guard.text) != 1:
        raise ValueError(f"{guard.entry}: {guard.text!r} occurs {source.count(guard.text)} times in {guard.file}")
    broken = source.replace(guard.text, guard.broken)
    if path.suffix == ".py":
        compile(broken, guard.file, "exec")
    path.write_text(broken)
    return source


def tests_naming(root: Path, names: list[str]) -> list[str]:
    """Test functions in which one of these entries is written out; whole files where it is not in a plain function."""
    found: list[str] = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        text, file = path.read_text(), path.relative_to(root).as_posix()
        if not any(f'"{name}"' in text for name in names):
            continue
        naming = [node for node in ast.parse(text).body if _names(node, names)]
        functions = [node.name for node in naming if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        plain = len(functions) == len(naming) and all(name.startswith("test") for name in functions)
        found += [f"{file}::{name}" for name in functions] if plain else [file]
    return found


def _names(node: ast.stmt, names: list[str]) -> bool:
    return any(isinstance(part, ast.Constant) and part.value in names for part in ast.walk(node))


def survivors(copy: Path, names: list[str], guards: list[Guard]) -> list[str]:
    """What is wrong, in words; every guard that is broken is told as it goes."""
    told = copy.parent / "entries.json"
    code, outcome = run(copy, tests_naming(copy, names), told, quiet=True)
    if code:
        return [f"unbroken, these fail already: {outcome.get('failed')} {outcome.get('broken')} (pytest: {code})"]
    proved = outcome["proved"]
    assert isinstance(proved, dict)
    wrong = []
    for at, name in enumerate(names, 1):
        tests, failed = proved.get(name, []), set()
        if not tests:
            wrong.append(f"{name}: no test proves it")
            continue
        for guard in (guard for guard in guards if guard.entry == name):
            source = break_in(copy, guard)
            _, outcome = run(copy, tests, told, quiet=True)
            (copy / guard.file).write_text(source)
            fell = outcome.get("failed", [])
            assert isinstance(fell, list)
            failed.update(fell)
            print(f"[{at}/{len(names)}] {name} {guard.file}: {len(fell)} of {len(tests)} tests fail", flush=True)
            if not fell:
                wrong.append(f"{name}: nothing fails with {guard.broken!r} for {guard.text!r} in {guard.file}")
        wrong.extend(f"{name}: {test} survives every broken guard" for test in tests if test not in failed)
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.control_plane.broken_guards", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--count", type=int, default=COUNT, help=f"how many entries ({COUNT})")
    parser.add_argument("--entries", help="these and no others, with commas between them")
    given = parser.parse_args(arguments)
    guards = all_guards()
    with_guards = sorted({entries.known(guard.entry) for guard in guards})
    if given.entries:
        names = given.entries.split(",")
    elif len(with_guards) < given.count:
        print(f"broken guards: only {len(with_guards)} entries have guards; {given.count} are wanted", file=sys.stderr)
        return 1
    else:
        names = sorted(random.Random(given.seed).sample(with_guards, given.count))
        print(f"seed {given.seed}: {given.count} of {len(with_guards)} entries", flush=True)
    with tempfile.TemporaryDirectory(prefix="stentor-guards-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        wrong = survivors(copy, names, guards)
    for line in wrong:
        print(f"broken guards: {line}", file=sys.stderr)
    print(
        "broken guards: "
        + (f"{len(wrong)} findings" if wrong else f"all tests of {len(names)} entries fail, as they must")
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
