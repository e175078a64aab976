"""TURN credentials; that a real coturn takes them is shown in tests/browser/test_turn.py."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from sfu.config import Turn, shown
from sfu.config_sources import ConfigError, build
from sfu.signalling.turn import ice_servers

SECRET = "0123456789abcdef"


def test_without_a_server_there_is_nothing_to_tell() -> None:
    assert ice_servers(Turn(), "p-1", 0.0) == []


def test_the_user_name_says_when_it_ends_and_the_password_is_its_hmac() -> None:
    config = Turn(urls=("turn:a:3478?transport=udp", "stun:a:3478", "turns:a:5349"), secret=SECRET, lifetime_s=600)
    stun, turn = ice_servers(config, "p-1", 1000.9)
    assert (stun.urls, stun.username, stun.credential) == (["stun:a:3478"], "", "")
    assert (turn.urls, turn.username) == (["turn:a:3478?transport=udp", "turns:a:5349"], "1600:p-1")
    assert base64.b64decode(turn.credential) == hmac.new(SECRET.encode(), b"1600:p-1", hashlib.sha1).digest()


@pytest.mark.parametrize(
    "turn",
    [
        {"urls": ["http://a"], "secret": SECRET},
        {"urls": ["turn:user@a"], "secret": SECRET},
        {"urls": ["turn:a"]},
        {"urls": ["turn:a"], "secret": "short"},
    ],
)
def test_a_setting_that_cannot_be_is_refused_at_start(turn: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"turn\.") as refused:
        build({"turn": turn})
    assert "short" not in str(refused.value)


def test_the_secret_is_never_shown() -> None:
    assert SECRET not in shown(build({"turn": {"urls": ["turn:a"], "secret": SECRET}}))
