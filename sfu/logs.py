"""How node and workers log: one line an event, as JSON or as words with key=value. Shared by all processes.

An event is a short constant text; what differs stands in fields (`extra=fields(session=3, room=1)`), and people,
rooms and connections are told by their numbers. Names, tokens and SDP are never given to a logger; addresses that
come by way of an exception's text or a library's message are cut here, so that none stands in a log in full.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, TextIO

Format = Literal["text", "json"]
Value = str | int | float | bool

# What may be an address; ipaddress has the last word. Times such as 12:34:56 look like one and are none.
_PERHAPS_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[\dA-Fa-f]{0,4}(?::[\dA-Fa-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?)(?!\w|\.\d)"
)
# A value of a text line that needs no quotes.
_PLAIN = re.compile(r"[\w.,:/+@-]+\Z")


def fields(**values: Value) -> dict[str, Any]:
    """For `extra=` of a logger's call: the event's numbers."""
    return {"fields": values}


def without_addresses(text: str) -> str:
    """The text with each IP address cut to its network: enough to recognise one's own, not to find a person."""
    return _PERHAPS_ADDRESS.sub(_cut, text)


def _cut(found: re.Match[str]) -> str:
    try:
        ip = ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]
    if ip.is_unspecified:
        return found[0]
    if ip.version == 4:
        return str(ip).rpartition(".")[0] + ".x"
    return ":".join(ip.exploded.split(":")[:3]) + ":x"


class _Lines(logging.Formatter):
    """The common part: a record as time, level, logger, event and fields."""

    def _told(self, record: logging.LogRecord) -> dict[str, Value]:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, Value] = {
            "time": f"{at}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": without_addresses(record.getMessage()),
        }
        given: Mapping[str, Value] = getattr(record, "fields", {})
        for name, value in given.items():
            told[name] = without_addresses(value) if isinstance(value, str) else value
        if record.exc_info:
            told["fault"] = without_addresses(self.formatException(record.exc_info))
        return told


class JsonLines(_Lines):
    """{"time": ..., "level": ..., "logger": ..., "event": ..., fields...}"""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self._told(record), ensure_ascii=False)


class TextLines(_Lines):
    """`time LEVEL logger event key=value ...`; a line break inside of a value is written as \\n."""

    def format(self, record: logging.LogRecord) -> str:
        told = self._told(record)
        head = f"{told.pop('time')} {str(told.pop('level')).upper()} {told.pop('logger')} {told.pop('event')}"
        rest = [f"{name}={_quoted(str(value))}" for name, value in told.items()]
        return " ".join([head.replace("\n", "\\n"), *rest])


def _quoted(text: str) -> str:
    return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


_FORMATTERS: Mapping[str, Callable[[], logging.Formatter]] = {"text": TextLines, "json": JsonLines}


def start(level: str, form: Format, stream: TextIO | None = None) -> None:
    """Send what is logged in this process to `stream` (default: standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_FORMATTERS[form]())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # uvicorn tells the address of each client at level info.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # httpx2 says a line for each request, and the uplink makes one every few seconds.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
