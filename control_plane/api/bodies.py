"""What requests may look like: every text has a length, no unknown field passes, no character that cannot be stored."""

from __future__ import annotations

import datetime
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from control_plane.errors import Invalid

# The longest form has some thirty fields, and rights are some fields each.
FORM_FIELDS_MAX = 200
FORM_TYPE = "application/x-www-form-urlencoded"


# Control characters, halves of surrogate pairs, and marks that turn the direction of what is read.
_HIDDEN = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
_LINE_ENDS = re.compile("[\\n\\t\\u2028\\u2029]")
# What is planned or ends lies in here; further out, a time zone would lead out of the calendar.
YEARS = range(1970, 9001)


def clean(text: str) -> str:
    """Raises ValueError for characters that cannot be stored (NUL above all), are not seen, or that no mail takes."""
    if _HIDDEN.search(text):
        raise ValueError("control characters are not taken")
    return text


def one_line(text: str) -> str:
    """Also no line breaks: what may end up in a header of a mail."""
    if _LINE_ENDS.search(text):
        raise ValueError("one line only")
    return clean(text)


def utc(at: datetime.datetime, field: str) -> datetime.datetime:
    """An instant as it is kept. Raises Invalid for one outside of YEARS."""
    if at.year not in YEARS:
        raise Invalid("time_range", f"a time from {YEARS.start} to {YEARS.stop - 1}", field=field)
    return at.astimezone(datetime.UTC)


Line = Annotated[str, Field(max_length=200), AfterValidator(one_line)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(clean)]
Email = Annotated[str, Field(min_length=3, max_length=254, examples=["jane@example.com"]), AfterValidator(one_line)]
Word = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._:/+\-]*$")]
Secret = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9_]+$")]
# The limits that are told to people are control_plane.accounts.passwords'; this one only bounds the work.
Password = Annotated[str, Field(min_length=1, max_length=1024)]
Id = Annotated[str, Field(max_length=40, pattern=r"^[a-z]+_[a-z2-7]+$")]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


def given(body: Body) -> dict[str, Any]:
    """The fields that were sent: what is left out stays as it is."""
    return body.model_dump(exclude_unset=True)


@dataclass(frozen=True)
class Fields:
    """What a form of a page sends: names with their values, as they were typed. Line breaks are line feeds."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, content_type: str, body: bytes) -> Fields:
        """Raises Invalid for what no form of ours sends."""
        if not body:
            return cls()
        if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
            raise Invalid("form_malformed", f"a form is sent as {FORM_TYPE}")
        try:
            pairs = urllib.parse.parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
            )
        except ValueError:  # a UnicodeDecodeError is one too
            raise Invalid("form_malformed", "this is no form of ours") from None
        found: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            plain = value.replace("\r\n", "\n").replace("\r", "\n")
            found[name] = (*found.get(name, ()), plain)
        return cls(found)

    def one(self, name: str) -> str:
        """The value of a field; "" where it is not there."""
        return self.values.get(name, ("",))[-1]

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a field, as check boxes of one name send them."""
        return self.values.get(name, ())
