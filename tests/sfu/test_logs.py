"""One line an event, in both forms, and no address in full whatever a library says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from sfu.logs import Format, JsonLines, TextLines, fields, start, without_addresses


def record(text: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("stentor.x", logging.WARNING, "x.py", 1, text, arguments, None)
    made.created, made.msecs = 1_700_000_000.25, 250.0
    made.__dict__.update(extra)
    return made


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before at the end."""
    logger = logging.getLogger()
    level, handlers = logger.level, list(logger.handlers)
    for handler in handlers:  # `start` closes what it finds
        logger.removeHandler(handler)
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(level)


def test_json_is_one_object_a_line_with_the_fields_beside_the_event() -> None:
    line = JsonLines().format(record("joined", **fields(session=3, room=1)))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "stentor.x",
        "event": "joined",
        "session": 3,
        "room": 1,
    }


def test_text_is_one_line_of_words_and_values_even_where_those_have_line_breaks_or_blanks() -> None:
    line = TextLines().format(record("an\nevent", **fields(session=3, why="two words", path="/a/b")))
    assert line == '2023-11-14T22:13:20.250Z WARNING stentor.x an\\nevent session=3 why="two words" path=/a/b'


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_stays_on_the_line_of_its_event(form: Format, root: logging.Logger) -> None:
    out = io.StringIO()
    start("info", form, out)
    try:
        raise OSError("no route to 198.51.100.7")
    except OSError:
        logging.getLogger("stentor.x").exception("a step failed", extra=fields(session=4))
    (line,) = out.getvalue().splitlines()
    assert "Traceback" in line and "198.51.100.x" in line and "198.51.100.7" not in line


def test_what_is_below_the_level_is_not_written_and_uvicorn_tells_warnings_only(root: logging.Logger) -> None:
    out = io.StringIO()
    start("info", "text", out)
    logging.getLogger("stentor").debug("no")
    logging.getLogger("uvicorn.error").info("192.0.2.1:5000 - connection open")
    logging.getLogger("stentor").info("yes")
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["yes"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from 203.0.113.45:5004 it came", "from 203.0.113.x:5004 it came"),
        ("('203.0.113.45', 5004)", "('203.0.113.x', 5004)"),
        ("[2001:db8:1:2::9]:5004", "[2001:0db8:0001:x]:5004"),
        ("peer fe80::1 left.", "peer fe80:0000:0000:x left."),
        ("::ffff:203.0.113.45", "0000:0000:0000:x"),
        ("203.0.113.45.", "203.0.113.x."),
        ("at 12:34:56, version 3.11.7, 1.2.3.4.5", "at 12:34:56, version 3.11.7, 1.2.3.4.5"),
        ("999.1.1.1 on 0.0.0.0 and ::", "999.1.1.1 on 0.0.0.0 and ::"),
        ("http://127.0.0.1/x", "http://127.0.0.x/x"),
    ],
)
def test_an_address_is_cut_to_its_network_and_what_is_none_stays(text: str, told: str) -> None:
    assert without_addresses(text) == told
