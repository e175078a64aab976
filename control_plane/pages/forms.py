"""Forms of pages: what was typed, what is wrong beside which field, and where to go on. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from control_plane.api.bodies import Fields
from control_plane.errors import ControlPlaneError, TooMany

B = TypeVar("B", bound=BaseModel)
NEXT_CHARACTERS_MAX = 500
# Never sent back to the browser.
SECRET_FIELDS = frozenset(("password", "old", "csrf", "token"))
_KINDS = {"missing": "field_missing", "string_too_short": "field_missing", "string_too_long": "too_long"}


@dataclass(frozen=True)
class Form:
    """What a form shows: `values` as they were typed, `errors` by field as codes of control_plane.pages.words, in the
    order of the page. An error that belongs to no field stands under ""."""

    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name, "")


class Refused(Exception):
    """What was sent cannot be taken; `errors` as in Form."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(", ".join(errors))
        self.errors = errors


def typed(fields: Fields, **more: Any) -> dict[str, Any]:
    """What the form showed, for showing it again; secrets are left out."""
    return {name: fields.one(name) for name in fields.values if name not in SECRET_FIELDS} | more


def taken(model: type[B], values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> B:
    """The values as the API's own body takes them. Raises Refused. `names`: fields of the page that are called
    otherwise than those of the body."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as wrong:
        errors: dict[str, str] = {}
        for error in wrong.errors():
            name = str(error["loc"][0]) if error["loc"] else ""
            errors.setdefault((names or {}).get(name, name), _KINDS.get(error["type"], "field_malformed"))
        raise Refused(errors) from None


def code(typed_: str) -> str:
    """The code that a mailed link carries, out of what was typed: the code, or the whole link."""
    return typed_.strip().rpartition("token=")[2]


def errors_of(wrong: Refused | ControlPlaneError, *fields: str) -> dict[str, str]:
    """The errors of a form out of a refusal; one that names none of the page's `fields` is the form's own. Raises it
    again where showing the form would not help: too often, too busy, a fault of ours."""
    if isinstance(wrong, Refused):
        return {name if name in fields else "": code for name, code in wrong.errors.items()}
    if wrong.status >= 500 or isinstance(wrong, TooMany):
        raise wrong
    return {wrong.field if wrong.field in fields else "": wrong.code}


def safe_next(wished: str, otherwise: str) -> str:
    """Where to go after signing in: a path of ours and nothing else, whatever was sent. `//host` and `/\\host` are
    other hosts to a browser, and it takes tabs and line breaks out of addresses before it looks at them."""
    ours = re.fullmatch(r"/(?![/\\])[A-Za-z0-9_\-./~@%?=&]*", wished)
    return wished if ours and len(wished) <= NEXT_CHARACTERS_MAX else otherwise
