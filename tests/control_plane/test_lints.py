"""Two things that no code of the control plane does: read a clock beside clock.py, and have a float near money.

Both are found by reading the sources, and both are tried on planted offences below.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CLOCK = "control_plane/clock.py"
# Shells that may measure how long something takes, each with its reason: "control_plane/x.py": "why". Never the time of
# day, and never anything that is stored.
MONOTONIC: dict[str, str] = {
    "control_plane/running/outbound.py": "one call to a stranger's address has one deadline",
    "control_plane/running/carrying.py": "letters of one step are begun for so long, the rest is left for the next",
    "control_plane/running/work.py": "letters of one step are begun for so long, the rest is left for the next",
    "control_plane/running/runner.py": "threads that end get so long together",
    "control_plane/watch/timing.py": "figures and logs tell how long requests and transactions took",
}
MONEY = (
    "control_plane/money.py",
    "control_plane/periods.py",
    "control_plane/billing/",
    "control_plane/ledger/",
    "control_plane/gateway/",
    "0001_ledger.py",
)
# Sums stand in it as text alone; its numbers are places on a sheet of paper.
PLACES = ("control_plane/billing/pdf.py",)

WALL_CLOCKS = {
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime", "time.asctime"),
    *("time.clock_gettime", "time.clock_gettime_ns", "uuid.uuid1", "uuid.uuid6", "uuid.uuid7"),
    *("email.utils.localtime", "email.utils.formatdate", "http.cookiejar.time2netscape"),
}
MONOTONIC_CLOCKS = {
    f"time.{name}{unit}"
    for name in ("monotonic", "perf_counter", "process_time", "thread_time")
    for unit in ("", "_ns")
}
# Functions of sqlalchemy.func, whatever it was imported as.
SQL_FUNCTIONS = {
    *("now", "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp", "sysdate"),
    *("clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "unixepoch", "julianday"),
}
SQL_CLOCK = re.compile(
    r"\b(?:current_(?:timestamp|date|time)|localtime|localtimestamp|sysdate)\b"
    r"|\b(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\("
    r"|\b(?:date|time|datetime|julianday|unixepoch|strftime)\s*\([^()]*'now'",
    re.IGNORECASE,
)
FLOATS = {"Float", "Double", "DOUBLE", "DOUBLE_PRECISION", "REAL", "FLOAT", "Numeric", "asdecimal"}
# Of the built-ins: one makes floats, the other rounds a half to the even number.
FLOAT_CALLS = {"float": "float", "round": "round(...), which rounds halves to even", "complex": "complex"}
FLOAT_MODULES = {"math", "cmath", "statistics", "random", "numpy"}


def sources(*folders: str) -> list[tuple[str, str]]:
    """Path within the repository and text of every Python file."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]


def full_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, in full: {"dt": "datetime.datetime"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """The full name of `a.b.c`, or "" for what is no such thing."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return ""


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the constants that are documentation, where words may say anything."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def clock_readings(text: str, *, may_measure: bool = False) -> Iterator[tuple[int, str]]:
    """Line and name of everything that reads a clock; merely naming such a function is an offence too."""
    tree = ast.parse(text)
    names, documentation = full_names(tree), docstrings(tree)
    forbidden = WALL_CLOCKS if may_measure else WALL_CLOCKS | MONOTONIC_CLOCKS
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node, names)
            if name in forbidden:
                yield node.lineno, name
            words = name.split(".")
            if len(words) > 1 and words[-2] == "func" and words[-1].lower() in SQL_FUNCTIONS:
                yield node.lineno, name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            found = SQL_CLOCK.search(node.value)
            if found:
                yield node.lineno, f"SQL: {found[0]}"


def floats(text: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything that is a float, makes one, or rounds in another way than money does."""
    tree = ast.parse(text)
    names = full_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield node.lineno, f"the literal {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield node.lineno, "/"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and isinstance(node.right, ast.UnaryOp):
            yield node.lineno, "a power below zero"
        elif isinstance(node, ast.Name) and node.id in FLOAT_CALLS and node.id not in names:
            yield node.lineno, FLOAT_CALLS[node.id]
        elif isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node, names)
            module, _, rest = name.partition(".")
            column = name.startswith(("sqlalchemy.", "sa.")) and name.rpartition(".")[2] in FLOATS
            if column or (module in FLOAT_MODULES and rest) or name == "operator.truediv":
                yield node.lineno, name


def near_money(path: str) -> bool:
    return path not in PLACES and any(path.startswith(part) or path.endswith(part) for part in MONEY)


def test_only_the_clock_reads_a_clock() -> None:
    wrong = [
        f"{path}:{number} {name}"
        for path, text in sources("control_plane")
        if path != CLOCK
        for number, name in clock_readings(text, may_measure=path in MONOTONIC)
    ]
    assert not wrong, f"take `now` as an argument: {wrong}"


def test_the_clock_is_seen_to_read_one() -> None:
    assert [name for _, name in clock_readings((ROOT / CLOCK).read_text())] == ["datetime.datetime.now"]


def test_shells_that_measure_are_there_and_say_why() -> None:
    assert all((ROOT / path).exists() and why for path, why in MONOTONIC.items())


def test_there_is_no_float_near_money() -> None:
    near = [(path, text) for path, text in sources("control_plane") if near_money(path)]
    assert {"control_plane/money.py", "control_plane/periods.py", "control_plane/ledger/journal.py"} <= {
        path for path, _ in near
    }
    assert any(path.endswith("versions/0001_ledger.py") for path, _ in near)
    wrong = [f"{path}:{number} {name}" for path, text in near for number, name in floats(text)]
    assert not wrong, f"whole minor units and fractions only: {wrong}"


# Planted offences


@pytest.mark.parametrize(
    "offence",
    [
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "import datetime as d\nx = d.datetime.utcnow()",
        "from datetime import datetime\nx = datetime.now()",
        "from datetime import datetime as when\nx = when.today()",
        "from datetime import date\nx = date.today()",
        "import datetime\nread = datetime.date.today",
        "import time\nx = time.time()",
        "from time import time\nx = time()",
        "from time import time_ns as stamp\nx = stamp()",
        "import time\ndef f(clock=time.monotonic): ...",
        "import time\nx = time.perf_counter_ns()",
        "import uuid\nx = uuid.uuid1()",
        "from email import utils\nx = utils.formatdate()",
        "import sqlalchemy as sa\nx = sa.func.now()",
        "from sqlalchemy import func\nx = func.CURRENT_TIMESTAMP()",
        "x = 'SELECT now()'",
        "x = 'UPDATE job SET done_at = CURRENT_TIMESTAMP'",
        "x = \"SELECT datetime('now')\"",
        "x = \"SELECT strftime('%s', 'now')\"",
        'x = f"DELETE FROM {x} WHERE at < clock_timestamp()"',
    ],
)
def test_a_planted_reading_of_a_clock_is_found(offence: str) -> None:
    assert list(clock_readings(offence))
    # Also in the middle of a file that is ours.
    text = (ROOT / "control_plane/ledger/journal.py").read_text()
    assert min(clock_readings(f"{text}\n{offence}\n"))[0] > text.count("\n")


@pytest.mark.parametrize(
    "fine",
    [
        "x = clock.now()",
        "import datetime\nx = datetime.datetime(2026, 1, 1)",
        "import time\ntime.sleep(1)",
        '"""SELECT now() is forbidden."""',
        "from sqlalchemy import func\nx = func.sum(1)",
        "import datetime\ndef f(now: datetime.datetime) -> datetime.date: return now.date()",
    ],
)
def test_what_reads_no_clock_is_let_be(fine: str) -> None:
    assert not list(clock_readings(fine))


def test_a_shell_that_may_measure_may_not_read_the_time_of_day() -> None:
    text = "import time\nx = time.monotonic()\ny = time.time()"
    assert [name for _, name in clock_readings(text, may_measure=True)] == ["time.time"]
    assert len(list(clock_readings(text))) == 2


@pytest.mark.parametrize(
    "offence",
    [
        "x = 0.5",
        "x = 1e3",
        "x = 1j",
        "x = a / b",
        "x /= 2",
        "x = 10 ** -2",
        "x = float('1')",
        "y = map(float, x)",
        "x: float = 1",
        "x = round(y)",
        "import math\nx = math.floor(y)",
        "from math import sqrt\nx = sqrt(2)",
        "import operator\nx = operator.truediv(a, b)",
        "import sqlalchemy as sa\nx = sa.Column(sa.Numeric)",
        "from sqlalchemy import Float\nx = Float()",
    ],
)
def test_a_planted_float_is_found(offence: str) -> None:
    assert list(floats(offence))
    text = (ROOT / "control_plane/money.py").read_text()
    assert min(floats(f"{text}\n{offence}\n"))[0] > text.count("\n")


@pytest.mark.parametrize("fine", ["x = 1", "x = a // b", "x = 10**2", "x = Fraction(1, 3)", "x = '0.5 / 2'"])
def test_what_is_whole_is_let_be(fine: str) -> None:
    assert not list(floats(fine))


def test_the_paths_near_money() -> None:
    assert near_money("control_plane/ledger/chart.py") and near_money("control_plane/money.py")
    assert not near_money("control_plane/clock.py") and not near_money("control_plane/rooms/money.py")
