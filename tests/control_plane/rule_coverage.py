"""[I/O] `make rule-coverage`: runs the tests, writes docs/rule-coverage.md, and fails below its limits.

Counted are the rules of GROUPS and RULES but for those marked `testable: no`. Every rule needs one proved entry (unless
all of its entries are of later issues), and of all entries that are not of later issues nine in ten need a test that
passed. The last section of the page, on planted faults, is written by `make mutation` and kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.control_plane import entries
from tests.control_plane.entries import Rule
from tests.control_plane.later import LATER

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "rule-coverage.md"
GROUPS = ("ACC", "LEG", "BIL")
RULES = ("PROD-01", "PROD-02", "PROD-03", "PROD-17")
ENTRIES_SHARE = 0.9
FAULTS = "## Planted faults\n"


@dataclass(frozen=True)
class Row:
    """One rule as it stands: its entries by number, proved, missing, or of a later issue."""

    rule: Rule
    proved: tuple[int, ...]
    missing: tuple[int, ...]
    later: tuple[int, ...]

    @property
    def counts(self) -> bool:
        return bool(self.proved or self.missing)


def in_head(rule: Rule) -> bool:
    """Whether what is built answers for this rule and software can test it."""
    return rule.testable != "no" and (rule.id.partition("-")[0] in GROUPS or rule.id in RULES)


def rows(rules: Mapping[str, Rule], proved: Collection[str], later: Mapping[str, str]) -> list[Row]:
    """The rules of the head in the order of the file."""
    made = []
    for rule in filter(in_head, rules.values()):
        numbers = range(1, len(rule.tries) + 1)
        have = tuple(n for n in numbers if f"{rule.id}.{n}" in proved)
        put_off = tuple(n for n in numbers if f"{rule.id}.{n}" in later)
        made.append(Row(rule, have, tuple(n for n in numbers if n not in have + put_off), put_off))
    return made


def complaints(table: list[Row], proved: Collection[str], later: Mapping[str, str]) -> list[str]:
    """Why the check fails, in words; none if it passes."""
    counted = [row for row in table if row.counts]
    bare = [row.rule.id for row in counted if not row.proved]
    have, of = sum(len(row.proved) for row in counted), sum(len(row.proved + row.missing) for row in counted)
    told = []
    if bare:
        told.append(f"{len(bare)} of {len(counted)} rules have no proved entry: {', '.join(bare)}")
    if have < ENTRIES_SHARE * of:
        told.append(f"{have} of {of} entries are proved ({have / of:.0%}); {ENTRIES_SHARE:.0%} are needed")
    told.extend(f"{name} is put off until {later[name]}, but a test proves it" for name in later if name in proved)
    return told


def page(table: list[Row], proved: Mapping[str, list[str]], later: Mapping[str, str]) -> str:
    """The text of docs/rule-coverage.md."""
    counted = [row for row in table if row.counts]
    have, of = sum(len(row.proved) for row in counted), sum(len(row.proved + row.missing) for row in counted)
    ruled = sum(bool(row.proved) for row in counted)
    lines = [
        "# Rule coverage",
        "",
        "Written by `make rule-coverage`; do not edit. An entry is one edge case of a rule in `tests/rules.json`,",
        "counted from 1. It is covered by a test that passed and had an assertion of its own inside `with entry(...)`",
        "(`tests/control_plane/entries.py`). Rules that software cannot test do not count.",
        "",
        f"Rules: {ruled} of {len(counted)}. Entries: {have} of {of}"
        f"{f' ({have / of:.0%})' if of else ''}; {sum(len(row.later) for row in table)} more need a later issue.",
        "",
        "| rule | title | covered | missing | later |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.rule.id} | {row.rule.title} | {len(row.proved)}/{len(row.proved + row.missing)} "
        f"| {_numbers(row.missing)} | {_numbers(row.later)} |"
        for row in table
    ]
    missing = [(row.rule, n) for row in table for n in row.missing]
    if missing:
        lines += ["", "## Missing", ""]
        lines += [f"- {rule.id}.{n}: {rule.tries[n - 1]}" for rule, n in missing]
    put_off = [(row.rule, n) for row in table for n in row.later]
    if put_off:
        lines += ["", "## Later", "", "| entry | what | issue |", "|---|---|---|"]
        lines += [f"| {r.id}.{n} | {_cell(r.tries[n - 1])} | {later[f'{r.id}.{n}']} |" for r, n in put_off]
    lines += ["", "## Proofs", "", "| entry | what | test |", "|---|---|---|"]
    lines += [
        f"| {row.rule.id}.{n} | {_cell(row.rule.tries[n - 1])} | {_tests(proved[f'{row.rule.id}.{n}'])} |"
        for row in table
        for n in row.proved
    ]
    return "\n".join(lines) + "\n"


def faults_section(text: str) -> str:
    """What `make mutation` wrote into the page; "" where it has not yet."""
    _, mark, rest = text.partition(FAULTS)
    return mark + rest


def with_faults(text: str, section: str) -> str:
    """The page with this section, which begins with FAULTS, at its end."""
    return text.partition(FAULTS)[0].rstrip("\n") + "\n" + (f"\n{section}" if section else "")


def _numbers(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _tests(node_ids: list[str]) -> str:
    functions = sorted({node_id.partition("[")[0].removeprefix("tests/") for node_id in node_ids})
    return "<br>".join(f"`{function}`" for function in functions)


def files() -> list[str]:
    """What is run: the control plane's tests, and others that name entries."""
    tests, own = ROOT / "tests", ROOT / "tests" / "control_plane"
    others = [path for path in sorted(tests.rglob("test_*.py")) if own not in path.parents]
    naming = [path for path in others if "with entry(" in path.read_text()]
    return [str(path.relative_to(ROOT)) for path in (own, *naming)]


# In two processes, as `make test` runs all that needs no machine for itself.
IN_TWO = ("-n", "2", "--dist", "loadfile")


def run(root: Path, what: Sequence[str], to: Path, *, quiet: bool = False) -> tuple[int, dict[str, object]]:
    """Run pytest with these arguments in the tree at `root`: its exit code, and what coverage_plugin wrote."""
    environment = {**os.environ, "STENTOR_ENTRIES_TO": str(to), "PYTHONPATH": str(root)}
    to.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *what],
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        check=False,
    )
    return done.returncode, json.loads(to.read_text()) if to.exists() else {}


def together(ran: list[Path]) -> dict[str, Any]:
    """The outcome of several runs as if they were one: what fails in one of them fails."""
    runs: list[dict[str, Any]] = [json.loads(path.read_text()) for path in ran]
    wrong = {how: [name for one in runs for name in one[how]] for how in ("failed", "broken")}
    proved: dict[str, list[str]] = {}
    for one in runs:
        for name, tests in one["proved"].items():
            proved[name] = sorted({*proved.get(name, []), *tests} - {*wrong["failed"], *wrong["broken"]})
    return {"proved": {name: tests for name, tests in proved.items() if tests}, **wrong}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.control_plane.rule_coverage", description=__doc__)
    parser.add_argument(
        "--ran", type=Path, nargs="+", help="what runs with STENTOR_ENTRIES_TO wrote, instead of running the tests"
    )
    given = parser.parse_args(arguments)
    for name in LATER:
        entries.known(name)
    if given.ran:
        code, outcome = 0, together(given.ran)
    else:
        with tempfile.TemporaryDirectory() as folder:
            # The long ones too: a thousand who attend prove an entry.
            beside, alone = Path(folder) / "beside.json", Path(folder) / "alone.json"
            code, _ = run(ROOT, ["-m", "not alone", *IN_TWO, *files()], beside)
            code = max(code, run(ROOT, ["-m", "alone", *files()], alone)[0])
            outcome = together([path for path in (beside, alone) if path.exists()])
    proved: dict[str, list[str]] = outcome.get("proved", {})
    table = rows(entries.rules(), proved, LATER)
    kept = faults_section(PAGE.read_text()) if PAGE.exists() else ""
    PAGE.write_text(with_faults(page(table, proved, LATER), kept))
    told = complaints(table, proved, LATER)
    if code or outcome.get("failed") or outcome.get("broken"):
        told.insert(0, "tests failed")
    for complaint in told:
        print(f"rule coverage: {complaint}", file=sys.stderr)
    print(f"{PAGE.relative_to(ROOT)} is written" + ("" if told else "; rule coverage holds"))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
