"""Where settings come from, who wins, and what a wrong one says."""

from __future__ import annotations

from typing import Any

import pytest

from sfu.config import shown
from sfu.config_sources import ConfigError, build, parse_toml


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() -> None:
    file = {"http": {"port": 1}}
    environment = {"STENTOR_HTTP_PORT": "2", "HOME": "/"}
    assert build().http.port == 8080
    assert build(file).http.port == 1
    assert build(file, environment).http.port == 2
    assert build(file, environment, {"http.port": "3"}).http.port == 3


@pytest.mark.parametrize(
    ("file", "environment", "flags", "words"),
    [
        ({"http": {"prot": 1}}, {}, {}, "http.prot"),
        ({"htp": {"port": 1}}, {}, {}, "htp.port"),
        ({"http": 3}, {}, {}, "http"),
        ({"http": {"port": "x"}}, {}, {}, "http.port"),
        ({"http": {"port": 65536}}, {}, {}, "http.port"),
        ({}, {"STENTOR_HTTP_PROT": "1"}, {}, "STENTOR_HTTP_PROT"),
        ({}, {"STENTOR_DEV": "perhaps"}, {}, "dev"),
        ({}, {}, {"room.seats": "many"}, "room.seats"),
        ({}, {}, {"nonsense": "1"}, "nonsense"),
        ({"media": {"addresses": ["localhost"]}}, {}, {}, "media.addresses"),
        ({"media": {"announced": ["media.example.org"]}}, {}, {}, "media.announced.*names are not looked up"),
        ({"media": {"announced": ["203.0.113.5:0"]}}, {}, {}, "media.announced.*1 to 65535"),
        ({"media": {"announced": ["203.0.113.5:70000"]}}, {}, {}, "media.announced.*1 to 65535"),
        ({"media": {"announced": ["203.0.113.5:http"]}}, {}, {}, "media.announced"),
        ({"media": {"announced": [""]}}, {}, {}, "media.announced"),
        ({"http": {"certificate_file": "a.pem"}}, {}, {}, "http.key_file"),
        ({"http": {"metrics_networks": ["10.0.0.1/8"]}}, {}, {}, "http.metrics_networks"),
        ({"session": {"gone_s": 1.0}}, {}, {}, "session.gone_s"),
        ({"tokens": {"shared_key": "short"}}, {}, {}, "tokens.shared_key"),
    ],
)
def test_what_is_unknown_or_not_possible_is_named_in_one_sentence(
    file: dict[str, Any], environment: dict[str, str], flags: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        build(file, environment, flags)
    assert "\n" not in str(refused.value)


def test_secrets_are_hidden_where_they_are_printed_and_where_they_are_wrong() -> None:
    assert "x" * 40 not in shown(build({"tokens": {"shared_key": "x" * 40}}))
    with pytest.raises(ConfigError) as refused:
        build({"tokens": {"shared_key": 987654321}})
    assert "987654321" not in str(refused.value)


def test_lists_are_separated_by_commas() -> None:
    assert build({}, {"STENTOR_MEDIA_ADDRESSES": "127.0.0.1, ::1,"}).media.addresses == ("127.0.0.1", "::1")


def test_a_broken_file_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="TOML"):
        parse_toml("[http\nport")
