"""The harness that counts rule entries: what counts, what does not, what fails at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.control_plane import rule_coverage
from tests.control_plane.entries import Rule, rules
from tests.control_plane.guards import Guard, all_guards

ROOT = rule_coverage.ROOT

# A folder of tests as somebody might write them. The names say how each must end.
STORIES = """
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.control_plane.entries import entry

one = 1


def helper():
    assert one == 1


def test_passes_by_an_assertion_of_its_own():
    with entry("ACC-01.1"):
        assert one == 1


def test_passes_by_a_refusal_and_by_a_helper():
    with entry("ACC-01.2"), pytest.raises(ValueError):
        int("x")
    with entry("ACC-01.3"):
        helper()


@pytest.mark.parametrize("number", [1, 2])
def test_passes_once_and_fails_once(number):
    with entry("ACC-06.1"):
        assert number == 1


async def test_passes_while_it_waits():
    with entry("ACC-06.2"):
        assert one == 1


def test_fails_without_an_assertion():
    assert one == 1
    with entry("ACC-02.1"):
        pass


def test_fails_with_an_assertion_that_names_nothing():
    with entry("ACC-02.2"):
        assert True


def test_fails_when_another_block_has_the_assertion():
    with entry("ACC-02.3"), entry("ACC-02.4"):
        assert one == 1


@settings(max_examples=2, phases=[Phase.generate], deadline=None)
@given(st.data())
def test_fails_when_only_a_library_asserts(data):
    with entry("ACC-09.1"):
        data.draw(st.lists(st.integers()))


@given(st.integers())
def test_passes_with_many_examples(number):
    with entry("ACC-09.2"):
        assert number == number


def test_fails_after_its_block():
    with entry("ACC-04.1"):
        assert one == 1
    assert one == 2


def test_fails_for_an_exception_that_did_not_come():
    with entry("ACC-04.2"), pytest.raises(ValueError):
        assert one == 1 and None


def test_fails_for_an_unknown_rule():
    with entry("ACC-99.1"):
        assert one == 1


def test_fails_for_a_number_too_high():
    with entry("ACC-01.4"):
        assert one == 1


def test_fails_for_the_number_zero():
    with entry("ACC-01.0"):
        assert one == 1


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_fails_at_the_fourth(number):
    with entry(f"ACC-05.{number}"):
        assert number


@pytest.mark.xfail(reason="so it is", strict=False)
def test_passes_although_it_need_not():
    with entry("ACC-07.1"):
        assert one == 1


def test_passes_beside_the_block():
    assert one == 1
"""


@pytest.fixture(scope="module", params=["", pytest.param("-n2 --dist=loadfile", marks=pytest.mark.long)])
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stories")
    (folder / "conftest.py").write_text("from tests.control_plane.coverage_plugin import *")
    (folder / "test_stories.py").write_text(STORIES)
    (folder / "pytest.ini").write_text("[pytest]\nenable_assertion_pass_hook = true\nasyncio_mode = auto\n")
    to = folder / "entries.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STENTOR_ENTRIES_TO": str(to)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *request.param.split(), str(folder)]
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
    told: dict[str, Any] = json.loads(to.read_text())
    return told


def test_an_entry_counts_by_an_assertion_of_its_own_in_a_test_that_passed(
    outcome: dict[str, Any],
) -> None:
    # ACC-05: of four parameters of one function the first three are good, the fourth fails and counts nothing.
    assert list(outcome["proved"]) == [
        *("ACC-01.1", "ACC-01.2", "ACC-01.3"),
        *("ACC-05.1", "ACC-05.2", "ACC-05.3", "ACC-06.1", "ACC-06.2", "ACC-09.2"),
    ]
    assert outcome["proved"]["ACC-06.1"] == ["test_stories.py::test_passes_once_and_fails_once[1]"]


def test_a_block_that_proves_nothing_fails_its_test(outcome: dict[str, Any]) -> None:
    written = {line[4:].partition("(")[0] for line in STORIES.splitlines() if line.startswith("def test_fails")}
    fell = {node_id.rpartition("::")[2].partition("[")[0] for node_id in outcome["failed"]}
    assert fell == written | {"test_passes_once_and_fails_once"}
    assert not outcome["broken"]


def rule(name: str, tries: int, testable: str = "yes") -> Rule:
    return Rule(name, f"title of {name}", testable, tuple(f"try {n}" for n in range(1, tries + 1)))


def told(rules: list[Rule], proved: list[str], later: dict[str, str]) -> tuple[list[str], str]:
    table = rule_coverage.rows({rule.id: rule for rule in rules}, proved, later)
    page = rule_coverage.page(table, {name: ["tests/a.py::test_a[1]"] for name in proved}, later)
    return rule_coverage.complaints(table, proved, later), page


def test_every_rule_needs_a_proof_and_nine_entries_in_ten() -> None:
    two = [rule("ACC-01", 9), rule("LEG-01", 1)]
    nine = [f"ACC-01.{n}" for n in range(1, 10)]
    assert told(two, [*nine, "LEG-01.1"], {})[0] == []
    complaints, page = told(two, nine, {})
    assert complaints == ["1 of 2 rules have no proved entry: LEG-01"]
    assert "Rules: 1 of 2. Entries: 9 of 10 (90%)" in page and "- LEG-01.1: try 1" in page
    complaints, _ = told(two, [*nine[:-1], "LEG-01.1"], {})
    assert complaints == []
    complaints, _ = told(two, [*nine[:-2], "LEG-01.1"], {})
    assert complaints == ["8 of 10 entries are proved (80%); 90% are needed"]


def test_what_cannot_be_tested_or_comes_later_does_not_count() -> None:
    some = [rule("ACC-01", 2), rule("LEG-10", 0, "no"), rule("AFF-01", 3), rule("PROD-04", 1), rule("BIL-08", 1)]
    later = {"BIL-08.1": "Affiliates", "ACC-01.2": "Privacy"}
    complaints, page = told(some, ["ACC-01.1"], later)
    assert complaints == []
    assert "Rules: 1 of 1. Entries: 1 of 1 (100%); 2 more need a later issue." in page
    assert "| ACC-01.2 | try 2 | Privacy |" in page and "AFF-01" not in page and "PROD-04" not in page
    assert "| ACC-01.1 | try 1 | `a.py::test_a` |" in page
    assert told(some, ["ACC-01.1", "BIL-08.1"], later)[0] == [
        "BIL-08.1 is put off until Affiliates, but a test proves it"
    ]


def test_the_tables_name_entries_that_there_are() -> None:
    from tests.control_plane.later import LATER

    entries = {f"{rule.id}.{n}" for rule in rules().values() for n in range(1, len(rule.tries) + 1)}
    assert set(LATER) <= entries
    assert {guard.entry for guard in all_guards()} <= entries


def test_every_guard_stands_in_the_source_once_and_its_breaking_compiles() -> None:
    for guard in all_guards():
        source = Path(ROOT / guard.file).read_text()
        assert source.count(guard.text) == 1, guard
        if guard.file.endswith(".py"):
            compile(source.replace(guard.text, guard.broken), guard.file, "exec")
        assert guard.broken != guard.text


def test_a_guard_that_is_not_there_is_told(tmp_path: Path) -> None:
    from tests.control_plane.broken_guards import break_in

    (tmp_path / "a.py").write_text("if allowed:\n    pass\nelse:\n    raise ValueError\n")
    source = break_in(tmp_path, Guard("ACC-01.1", "a.py", "if allowed:", "if True:"))
    assert source.startswith("if allowed") and (tmp_path / "a.py").read_text().startswith("if True")
    with pytest.raises(ValueError, match="occurs 0 times"):
        break_in(tmp_path, Guard("ACC-01.1", "a.py", "if allowed:", "if True:"))


def test_the_tests_of_an_entry_are_found_wherever_it_is_written(tmp_path: Path) -> None:
    from tests.control_plane.broken_guards import tests_naming

    (tmp_path / "tests").mkdir()
    plain = 'def test_a():\n    with entry("ACC-01.1"):\n        pass\n\n\ndef test_b():\n    pass\n'
    (tmp_path / "tests" / "test_plain.py").write_text(plain)
    (tmp_path / "tests" / "test_helped.py").write_text('def helper():\n    return entry("ACC-01.1")\n')
    (tmp_path / "tests" / "test_other.py").write_text('NAMES = ["ACC-01.2"]\n')
    assert tests_naming(tmp_path, ["ACC-01.1"]) == ["tests/test_helped.py", "tests/test_plain.py::test_a"]
    assert tests_naming(tmp_path, ["ACC-01.2"]) == ["tests/test_other.py"]
