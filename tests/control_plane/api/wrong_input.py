"""Input out of a schema: for every operation of an OpenAPI a body that fits, and values that cannot or hardly fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# The first that fits a pattern is taken: ids of each kind, tokens, names, and a cursor of no list.
_CANDIDATES = ("acc_aaaa", "evt_aaaa", "inv_aaaa", "aaaa", "x", "0", "MDp4", "")
_LENGTH_TRIED_MAX = 100_000
_DATES = ("2026-02-30T10:00:00Z", "2026-13-01T00:00:00Z", "2026-02-20T24:30:00Z", "2026-02-20T10:00:00", "soon", "")
# Nothing that a schema forbids by itself: what reaches the code behind it, and there must be told or taken.
ODD: tuple[Any, ...] = (
    "a\x00b",
    "\ud800",
    "\u202eevil",
    "a\r\nBcc: all@example.com",
    "a\u2028b",
    "' OR 1=1; DROP TABLE people; --",
    "%_\\",
    "../../etc/passwd",
    "//evil.test/%2e%2e",
    "{{ 7 * 7 }}<script>alert(1)</script>",
    "\U0001f600" * 30,
    "\u0301\u200d",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2027-03-28T02:30:00+01:00",
    2**63,
    -(2**63),
    10**40,
    [],
    {},
    None,
)


@dataclass(frozen=True)
class Operation:
    """One of the OpenAPI, with its schemas resolved one step at a time."""

    spec: dict[str, Any]
    method: str
    path: str
    told: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of its JSON body."""
        content = self.told.get("requestBody", {}).get("content", {})
        return self.resolved(content["application/json"]["schema"]) if "application/json" in content else None

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Without a reference, and of "this or null" this."""
        if "$ref" in schema:
            found = self.spec
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            return self.resolved(found)
        if "anyOf" in schema:
            return self.resolved(next(one for one in schema["anyOf"] if one.get("type") != "null"))
        return schema

    def address(self, **values: str) -> str:
        """Its path under /api/v1, with examples for what is not given."""
        path = self.path.removeprefix("/api/v1")
        for parameter in self.parameters("path"):
            value = values.get(parameter["name"], self.example(parameter["schema"]))
            path = path.replace(f"{{{parameter['name']}}}", value)
        return path

    def parameters(self, place: str) -> list[dict[str, Any]]:
        return [one for one in self.told.get("parameters", []) if one["in"] == place]

    def example(self, schema: dict[str, Any]) -> Any:
        """The least that fits: of objects what is required."""
        schema = self.resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        if kind == "object":
            required = schema.get("required", [])
            return {name: self.example(schema["properties"][name]) for name in required}
        if kind == "string":
            return _text(schema)
        plain: dict[str, Any] = {"boolean": True, "integer": schema.get("minimum", 1), "number": 1.5, "array": []}
        return plain[kind]

    def bodies(self, values_of: Any) -> Iterator[tuple[str, Any]]:
        """(field, body) for each field and each value of `values_of(schema, nullable)`; the rest of it fits."""
        schema = self.body
        assert schema is not None
        whole = self.example(schema)
        for name, told in schema.get("properties", {}).items():
            nullable = any(one.get("type") == "null" for one in told.get("anyOf", []))
            for value in values_of(self.resolved(told), nullable):
                yield name, {**whole, name: value}


def _text(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "2027-01-01T00:00:00Z"
    given = [str(one) for one in schema.get("examples", [])]
    longest: str = "x" * schema.get("minLength", 0)
    for candidate in (*given, *_CANDIDATES, longest):
        if _fits(schema, candidate):
            return candidate
    raise AssertionError(f"no example for {schema}")


def _fits(schema: dict[str, Any], text: str) -> bool:
    length = schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
    return length and bool(re.search(schema.get("pattern", ""), text))


def operations(spec: dict[str, Any]) -> list[Operation]:
    """All of them, in the order of the OpenAPI."""
    methods = ("get", "put", "post", "delete", "patch")
    return [
        Operation(spec, method.upper(), path, told[method])
        for path, told in spec["paths"].items()
        for method in methods
        if method in told
    ]


def outside(schema: dict[str, Any], nullable: bool = False) -> list[Any]:
    """Values that the schema forbids."""
    kind = schema.get("type", "object")
    if kind == "null":
        return ["x", 5, [], {}]
    found: list[Any] = [] if nullable else [None]
    if "enum" in schema or "const" in schema:
        return [*found, "no such word", 7.5, [], {}]
    if kind == "string":
        found += [5, [], {}, True]
        if schema.get("format") == "date-time":
            return [[], {}, True, *_DATES]
        if schema.get("maxLength", _LENGTH_TRIED_MAX) < _LENGTH_TRIED_MAX:
            found.append("x" * (schema["maxLength"] + 1))
        if not _fits(schema, "\u2603 \u2603"):
            found.append("\u2603 \u2603")
        return found
    if kind == "integer":
        limits = [schema[name] + step for name, step in (("minimum", -1), ("maximum", 1)) if name in schema]
        return [*found, "x", 1.5, [], {}, *limits]
    if kind == "boolean":
        return [*found, "perhaps", 5, [], {}]
    if kind == "array":
        many = [["x"] * (schema["maxItems"] + 1)] if "maxItems" in schema else []
        return [*found, "x", 5, {}, [{"no": "such"}], *many]
    return [*found, "x", 5, []]
