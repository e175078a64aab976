"""The OpenAPI 3.1 document of the server API, made from its table of operations, and docs/api.md: `python -m
sfu.signalling.openapi`, `--check` to compare. Pure but for writing the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sfu.contract import Policy
from sfu.signalling import api_messages as bodies

ROOM = "/v1/rooms/{room}"
PARTICIPANT = ROOM + "/participants/{participant}"


@dataclass(frozen=True, slots=True)
class Operation:
    """`takes` and `gives` are the bodies' classes; None = there is none."""

    method: str
    name: str
    summary: str
    takes: type[msgspec.Struct] | None = None
    gives: type[msgspec.Struct] | None = None
    query: tuple[tuple[str, str], ...] = ()


_OPERATIONS: tuple[tuple[str, Operation], ...] = (
    ("/v1/rooms", Operation("GET", "listRooms", "All open rooms.", gives=bodies.RoomList)),
    (ROOM, Operation("GET", "getRoom", "One open room.", gives=bodies.RoomView)),
    (ROOM, Operation("DELETE", "endRoom", "End the room: everybody is told `ended` with `room_ended`.")),
    (ROOM + "/policy", Operation("GET", "getPolicy", "The policy of a room, open or not.", gives=Policy)),
    (
        ROOM + "/policy",
        Operation(
            "PUT",
            "setPolicy",
            "Replace it, for the open room and the next of that name; the answer is the policy in force. A lower"
            " `version` is a `conflict`. `closed` ends the room, `put_out` removes people.",
            takes=Policy,
            gives=Policy,
        ),
    ),
    (
        ROOM + "/participants",
        Operation(
            "GET",
            "listParticipants",
            "Everybody who is in, in the order of joining, a page at a time.",
            gives=bodies.Members,
            query=(("after", "`next` of the page before"), ("limit", "1 to 1000, 100 if not given")),
        ),
    ),
    (PARTICIPANT, Operation("GET", "getParticipant", "One participant.", gives=bodies.Member)),
    (
        PARTICIPANT,
        Operation("DELETE", "removeParticipant", "Put out. Only a grant issued later lets the same identity in again."),
    ),
    (
        PARTICIPANT + "/rights",
        Operation("PUT", "setRights", "Replace what a running grant allows.", takes=bodies.Rights, gives=bodies.Member),
    ),
    (
        PARTICIPANT + "/{action}",
        Operation("POST", "moderateParticipant", f"Moderate: the action is one of {', '.join(bodies.ACTIONS)}."),
    ),
    (
        ROOM + "/events",
        Operation(
            "GET",
            "followEvents",
            "Server-sent events: what clients are told of the room, from now on or `after` an event id.",
            query=(("after", "an event's id; the header Last-Event-ID does the same"),),
        ),
    ),
)


def operations() -> Iterator[tuple[str, Operation]]:
    """(path, operation), in the order in which routes must be tried."""
    return iter(_OPERATIONS)


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    kinds = {kind for _, one in _OPERATIONS for kind in (one.takes, one.gives) if kind} | {bodies.Problem}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for path, one in _OPERATIONS:
        paths.setdefault(path, {})[one.method.lower()] = _operation(path, one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stentor server API", "version": "1"},
        "paths": paths,
        "security": [{"bearer": []}],
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def document_json() -> bytes:
    return msgspec.json.encode(document())


def _operation(path: str, one: Operation) -> dict[str, Any]:
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in in_path]
    parameters += [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in one.query
    ]
    made: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": parameters,
        "responses": {
            "200" if one.gives or one.query else "204": _gives(one),
            "default": {
                "description": "Refused.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if one.takes:
        made["requestBody"] = {"required": True, "content": _content(one.takes)}
    return made


def _gives(one: Operation) -> dict[str, Any]:
    if one.gives:
        return {"description": (one.gives.__doc__ or "").split("\n")[0], "content": _content(one.gives)}
    if one.query:
        return {"description": "A stream of events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {"description": "Done."}


def _content(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def page() -> str:
    """docs/api.md."""
    lines = [
        "# The server API",
        "",
        "Generated by `python -m sfu.signalling.openapi`; do not edit. `GET /v1/openapi.json` says it to programs.",
        "",
        "Every request carries `Authorization: Bearer ...`: the configured `api.token` for all rooms, or a grant with",
        "`manage` for its own room (`stentor token --manage`). Refusals are `application/problem+json` with a `code`",
        "as in [protocol.md](protocol.md). Bodies are limited to 16 KiB, requests by `api.requests_per_s`.",
        "",
        "| request | does | takes | gives |",
        "|---|---|---|---|",
    ]
    for path, one in _OPERATIONS:
        takes = f"[{one.takes.__name__}](#{one.takes.__name__.lower()})" if one.takes else ""
        gives = f"[{one.gives.__name__}](#{one.gives.__name__.lower()})" if one.gives else ""
        query = "?" + "&".join(name + "=" for name, _ in one.query) if one.query else ""
        lines.append(f"| `{one.method} {path}{query}` | {one.summary} | {takes} | {gives} |")
    schemas = document()["components"]["schemas"]
    for name, schema in sorted(schemas.items()):
        lines += ["", f"## {name}", "", schema.get("description", ""), "", "| field | type |", "|---|---|"]
        lines += [f"| `{field}` | {_type(kind)} |" for field, kind in schema["properties"].items()]
    lines += [
        "",
        "## Events",
        "",
        "Each event is what clients are told (`participant`, `track`, `speakers`, `audience`, `message` to all) and",
        "`room_ended`, as one line of JSON in `data`. Its id is `<room number>-<sequence>`; the last 1000 are kept, so",
        "that who comes back with `Last-Event-ID` misses none. A follower that does not read is cut off.",
    ]
    return "\n".join(lines) + "\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", ""))


def main(arguments: list[str], target: Path) -> int:
    """Write the page to `target`, or with `--check` say whether it is up to date."""
    if "--check" in arguments:
        if target.exists() and target.read_text(encoding="utf-8") == page():
            return 0
        sys.stderr.write(f"{target.name} is out of date: run python -m sfu.signalling.openapi\n")
        return 1
    target.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parent.parent.parent / "docs" / "api.md"))
