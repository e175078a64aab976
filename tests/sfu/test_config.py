"""What a setting says of itself, what a worker gets of them, and the page that is made from them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sfu import config
from sfu.config import fields, worker_config
from sfu.config_page import main, page
from sfu.config_sources import build
from sfu.worker_config import WorkerConfig


def test_every_setting_has_words_a_flag_and_a_variable_of_its_own() -> None:
    every = list(fields())
    assert all(len(field.description) > 10 for field in every)
    assert len({field.flag for field in every}) == len({field.environment for field in every}) == len(every)


def test_a_worker_gets_its_own_port_and_no_secret() -> None:
    given = build({"tokens": {"shared_key": "x" * 40}, "audio": {"louder_db": 9}})
    sent = msgspec.json.encode(worker_config(given, 2))
    assert b"xxxx" not in sent
    back = msgspec.json.decode(sent, type=WorkerConfig)
    assert (back.number, back.port, back.audio.louder_db) == (2, 7002, 9)


def test_the_page_is_up_to_date_and_check_says_when_not(tmp_path: Path) -> None:
    docs = Path(config.__file__).parent.parent / "docs" / "configuration.md"
    assert main(["--check"], docs) == 0
    target = tmp_path / "configuration.md"
    assert main(["--check"], target) == 1
    assert main([], target) == 0
    assert target.read_text() == page()
