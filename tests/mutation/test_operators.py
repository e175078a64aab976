"""Each fault is planted where it can matter, one at a time, and nowhere else."""

from __future__ import annotations

import pytest

from tests.mutation.operators import mutants


def planted(text: str, *, texts: bool = True) -> list[str]:
    return [mutant.text for mutant in mutants(text, texts=texts)]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a < b", ["a <= b"]),
        ("a == b != c", ["a != b != c", "a == b == c"]),
        ("a in b", ["a not in b"]),
        ("a is b", ["a is not b"]),
        ("a + b", ["a - b"]),
        ("a // b", ["a * b"]),
        ("a += b", ["a -= b", "pass"]),
        ("x = a and b", ["x = a or b", "x = b", "x = a"]),
        ("x = not a", ["x = not not a"]),
        ("x = -a", ["x = +a"]),
        ("x = 1", ["x = 2"]),
        ("x = True", ["x = False"]),
        ("x = 'a'", ["x = 'aX'"]),
        ("x = (a, b)", ["x = (b,)", "x = (a,)"]),
        ("x = min(a)", ["x = max(a)"]),
        ("x = a.b().c()", ["x = a.b()"]),
        ("x = [a for a in b if c]", ["x = [a for a in b]"]),
        ("if a:\n    b()", ["if not a:\n    b()", "if a:\n    pass"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        ("def f():\n    raise A", ["def f():\n    pass"]),
    ],
)
def test_a_fault_of_each_sort(text: str, faults: list[str]) -> None:
    assert set(planted(text)) - {"pass"} == set(faults) - {"pass"}
    assert "pass" not in faults or "pass" in planted(text)


@pytest.mark.parametrize(
    "text",
    [
        "'''A docstring.'''",
        "def f():\n    '''Its docstring, with 1 and True.'''",
        "x: int | None",
        "def f(x: a + b) -> c + d: ...",
        "__all__ = ['a', 'b']",
        "if TYPE_CHECKING:\n    import a",
        "@dataclass(slots=True)\nclass A:\n    x: int",
        "x = ''",
    ],
)
def test_what_cannot_matter_is_left_alone(text: str) -> None:
    assert planted(text) == []


def test_sentences_of_errors_are_left_alone_but_their_codes_are_not() -> None:
    text = "def f():\n    raise A('a_code', 'a sentence', f'another {sentence}', field='name')"
    changed = [fault for fault in planted(text) if "raise" in fault]
    assert len(changed) == 2
    assert any("'a_codeX'" in fault for fault in changed) and any("'nameX'" in fault for fault in changed)


def test_texts_may_be_left_alone() -> None:
    assert planted("x = 'a' + 'b'", texts=False) == ["x = 'a' - 'b'"]


def test_functions_may_be_passed_over() -> None:
    text = "def f():\n    return 1\n\ndef g():\n    return 2"
    changed = [mutant.text for mutant in mutants(text, passed_over=["f"])]
    assert len(changed) == 2 and all("return 1" in fault for fault in changed)


def test_each_mutant_has_one_fault_and_says_where() -> None:
    text = "a = 1\nb = 2\nc = a < b"
    found = list(mutants(text))
    assert [(mutant.line, mutant.text.splitlines()[mutant.line - 1]) for mutant in found] == [
        (1, "a = 2"),
        (2, "b = 3"),
        (3, "c = a <= b"),
    ]
    for mutant in found:
        assert sum(left != right for left, right in zip(mutant.text.split("\n"), text.split("\n"), strict=True)) == 1
