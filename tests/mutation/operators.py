"""Small faults, planted one at a time into a source: each is a mutant, and tests that are any good fail with it.

Left alone is what cannot matter or is for people only: type annotations, docstrings, sentences of errors (a text with a
space inside a `raise`), `__all__`, `slots=True`, the test for TYPE_CHECKING.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

# What stands in for what. Both ways where one entry has two.
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "abs": "int", "sum": "len"}
# Statements that do nothing once they are gone, and that something should miss.
GOES_MISSING = (ast.Raise, ast.Expr, ast.AugAssign, ast.Delete)
PASSED_OVER = ("slots",)


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, what was done, and the whole source with it."""

    line: int
    what: str
    text: str


def mutants(text: str, *, texts: bool = True, passed_over: Collection[str] = ()) -> Iterator[Mutant]:
    """All of them, in the order of the source; with `texts` the ones that change a text too.

    Functions of a name in `passed_over` are left as they are.
    """
    tree = ast.parse(text)
    for number, node in enumerate(_walk(tree, passed_over)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not texts:
            continue
        for what, change in _changes(node):
            planted = copy.deepcopy(tree)
            twin = list(_walk(planted, passed_over))[number]
            assert type(twin) is type(node)
            change(twin)
            if (changed := ast.unparse(ast.fix_missing_locations(planted))) != ast.unparse(tree):
                yield Mutant(getattr(node, "lineno", 0), what, changed)


def _walk(node: ast.AST, passed_over: Collection[str], in_raise: bool = False) -> Iterator[ast.AST]:
    """All nodes that may be changed, each before its children, always in the same order."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_documentation(child) or _is_left_alone(child):
                continue
            if isinstance(child, ast.FunctionDef) and child.name in passed_over:
                continue
            inside = in_raise or isinstance(child, ast.Raise)
            if inside and _is_sentence(child):
                continue
            yield from _walk(child, passed_over, inside)


def _is_documentation(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.keyword) and node.arg in PASSED_OVER


def _is_sentence(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr):
        return any(_is_sentence(part) for part in node.values)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value


Change = Callable[[ast.AST], None]


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """What can be done to this very node; each change is made to a copy of it."""
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                if type(op) in COMPARISONS:
                    yield f"{type(op).__name__} -> {COMPARISONS[type(op)].__name__}", _set_op(place)
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield f"{type(op).__name__} -> {OPERATORS[type(op)].__name__}", _swap_operator
        case ast.BoolOp(op=op, values=values):
            yield ("and -> or" if isinstance(op, ast.And) else "or -> and"), _swap_bool
            for place in range(len(values)):
                yield f"without condition {place + 1}", _without("values", place)
        case ast.UnaryOp(op=ast.USub()):
            yield "without -", _drop_minus
        case ast.UnaryOp(op=ast.Not()):
            yield "without not", _drop_not
        case ast.If() | ast.IfExp() | ast.While():
            yield "condition turned round", _negate
        case ast.comprehension(ifs=ifs):
            for place in range(len(ifs)):
                yield f"without filter {place + 1}", _without("ifs", place)
        case ast.Constant(value=bool() as value):
            yield f"{value} -> {not value}", _set_value(not value)
        case ast.Constant(value=int() as value):
            yield f"{value} -> {value + 1}", _set_value(value + 1)
        case ast.Constant(value=str() as value) if value:
            yield f"{value[:30]!r} -> other text", _set_value(f"{value}X")
        case ast.Return(value=ast.expr()):
            yield "return None", _set_value(ast.Constant(None))
        case ast.Name(id=name) if name in NAMES:
            yield f"{name} -> {NAMES[name]}", _rename
        case ast.Call(func=ast.Attribute(value=ast.Call())):
            yield f"without .{node.func.attr}(...)", _drop_method  # type: ignore[attr-defined]
        case ast.Tuple(elts=parts, ctx=ast.Load()) | ast.List(elts=parts, ctx=ast.Load()) | ast.Set(elts=parts):
            if len(parts) > 1:
                for place in range(len(parts)):
                    yield f"without element {place + 1}", _without("elts", place)
    for field in ("body", "orelse", "finalbody"):
        statements = getattr(node, field, None)
        for place, statement in enumerate(statements if isinstance(statements, list) else []):
            if isinstance(statement, GOES_MISSING) and not _is_documentation(statement):
                yield f"line {statement.lineno} is gone: {ast.unparse(statement)[:40]}", _pass(field, place)


# The changes. They are made to a copy, whose type is known to be the one that they were chosen by.


def _set_op(place: int) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.Compare)
        node.ops[place] = COMPARISONS[type(node.ops[place])]()

    return change


def _swap_operator(node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp | ast.AugAssign)
    node.op = OPERATORS[type(node.op)]()


def _swap_bool(node: ast.AST) -> None:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


def _drop_minus(node: ast.AST) -> None:
    assert isinstance(node, ast.UnaryOp)
    node.op = ast.UAdd()


def _drop_not(node: ast.AST) -> None:
    assert isinstance(node, ast.UnaryOp)
    node.operand = ast.UnaryOp(ast.Not(), node.operand)


def _negate(node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.IfExp | ast.While)
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _without(field: str, place: int) -> Change:
    return lambda node: getattr(node, field).pop(place)


def _set_value(value: object) -> Change:
    return lambda node: setattr(node, "value", value)


def _rename(node: ast.AST) -> None:
    assert isinstance(node, ast.Name)
    node.id = NAMES[node.id]


def _drop_method(node: ast.AST) -> None:
    """`a.b(...).c(...)` becomes `a.b(...)`."""
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
    inner = node.func.value
    node.func, node.args, node.keywords = inner.func, inner.args, inner.keywords


def _pass(field: str, place: int) -> Change:
    def change(node: ast.AST) -> None:
        getattr(node, field)[place] = ast.Pass()

    return change
