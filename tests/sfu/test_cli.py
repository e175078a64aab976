"""The command line, as a person types it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sfu.cli import main
from sfu.config_sources import build
from sfu.contract import generate_pem, verify
from sfu.serve import StartError, listen, token_key


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key.pem"
    path.write_text(generate_pem())
    return str(path)


def test_a_token_holds_what_was_asked(key_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["token", "--room", "r", "--name", "Ada", "--publish", "microphone", "--tokens-key-file", key_file]
    assert main([*arguments, "--moderate"]) == 0
    token = capsys.readouterr().out.strip()
    grant = verify(token, token_key(build({"tokens": {"key_file": key_file}})), time.time())
    assert (grant.room, grant.name, grant.publish, grant.moderate) == ("r", "Ada", ("microphone",), True)


def test_a_token_for_a_player_allows_to_publish_nothing(key_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["token", "--room", "r", "--name", "Wall", "--publish", "", "--tokens-key-file", key_file]
    assert main(arguments) == 0
    grant = verify(capsys.readouterr().out.strip(), token_key(build({"tokens": {"key_file": key_file}})), time.time())
    assert grant.publish == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["token", "--room", "r", "--name", "n"], "tokens.key_file"),
        (["token", "--room", "r", "--name", "n", "--dev"], "tokens.key_file"),
        (["token", "--room", "", "--name", "n", "--tokens-shared-key", "k" * 32], "room"),
        (["token", "--room", "r", "--name", "n", "--publish", "smell", "--tokens-shared-key", "k" * 32], "smell"),
        (["serve", "--http-port", "high"], "http.port"),
        (["serve", "--config", "/nowhere.toml"], "cannot be read"),
        (["serve"], "--dev"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_with_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_without_a_command_help_with_examples_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "stentor serve --dev" in capsys.readouterr().out


def test_a_taken_port_is_said_with_what_to_do() -> None:
    (first,) = listen(build({"http": {"port": 0}}))
    with first:
        first.listen()
        with pytest.raises(StartError, match="--http-port"):
            listen(build({"http": {"port": first.getsockname()[1]}}))
