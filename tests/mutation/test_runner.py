"""`make mutation` tells survivors from killed ones, and is not fooled by tests that fail anyway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long  # with the command itself, in `make test-all`
ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = "def is_adult(age: int) -> bool:\n    return age >= 18\n"
# Three faults can be planted: > for >=, 19 for 18, None.
WEAK = "def test() -> None:\n    assert is_adult(30)\n    assert not is_adult(5)\n"
STRONG = f"{WEAK}    assert is_adult(18)\n"
WRONG = "def test() -> None:\n    assert is_adult(5)\n"


def run(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """The command, with a project of one function in the place of ours."""
    for name in ("control_plane", "tests/control_plane", "docs"):
        (folder / name).mkdir(parents=True)
    (folder / "control_plane/__init__.py").write_text("")
    (folder / "control_plane/small.py").write_text(SOURCE)
    (folder / "tests/control_plane/test_small.py").write_text(f"from control_plane.small import is_adult\n\n\n{test}")
    (folder / "tests/rules.json").write_text("[]")
    (folder / "docs/billing.md").write_text("")
    (folder / "page.md").write_text("# Rules\n")
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"\n')
    program = (
        "import pathlib, sys; from tests.mutation import __main__ as command;"
        f"command.ROOT = pathlib.Path({str(folder)!r});"
        "command.PAGE = command.ROOT / 'page.md';"
        "command.TARGETS = {'control_plane/small.py': ['tests/control_plane/test_small.py']};"
        "sys.exit(command.main([]))"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("test", "code", "told"), [(STRONG, 0, "all: 3 of 3 killed, 100 %"), (WEAK, 1, "all: 1 of 3 killed, 33 %")]
)
def test_survivors_are_listed_and_too_many_of_them_fail_the_command(
    tmp_path: Path, test: str, code: int, told: str
) -> None:
    done = run(tmp_path, test)
    assert (done.returncode, told in done.stdout) == (code, True), done.stdout + done.stderr
    share = told.partition("killed, ")[2]
    assert f"| {share} |" in (tmp_path / "page.md").read_text()
    survivors = {line for line in done.stdout.splitlines() if line.startswith("survived")}
    expected = {"GtE -> Gt", "18 -> 19"} if code else set()
    assert survivors == {f"survived: control_plane/small.py:2 {what}" for what in expected}


def test_where_the_tests_fail_by_themselves_nothing_is_counted(tmp_path: Path) -> None:
    done = run(tmp_path, WRONG)
    assert done.returncode == 1
    assert "fail without any fault" in done.stderr and "killed" not in done.stdout
    assert (tmp_path / "page.md").read_text() == "# Rules\n"
