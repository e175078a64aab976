"""[I/O] The `stentor` command. It reads files, environment and flags, and leaves the rest to others."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from sfu import companion, doctor
from sfu.config import Config, fields
from sfu.config_sources import ConfigError, build, parse_toml
from sfu.contract import SOURCES, Grant, Source, sign
from sfu.control import Appoint
from sfu.errors import Unauthorized
from sfu.machine import facts
from sfu.serve import StartError, serve, token_key

EXAMPLES = """\
examples:
  stentor serve --dev
      a server for trying out: open the printed address in two browser tabs
  stentor serve --config stentor.toml --http-port 8443
      with a file; flags win over the environment, the environment over the file
  STENTOR_TOKENS_KEY_FILE=key.pem stentor token --room stand-up --name Ada
      a grant to join one room, for the address http://localhost:8080/?room=stand-up#token=...
  STENTOR_TOKENS_KEY_FILE=key.pem stentor token --room show --name Studio --publish camera,microphone
      the bearer of a WHIP encoder such as OBS; with --publish "" that of a WHEP player (docs/whip.md)
  stentor doctor --config stentor.toml
      ports, addresses, kernel, clock, limits: what is wrong and what to do; exit code 1 when something fails
  openssl genpkey -algorithm ed25519 -out key.pem
      a key to sign with; `openssl pkey -in key.pem -pubout` gives what a server needs to check
"""


def parser() -> argparse.ArgumentParser:
    """The command line; every setting of sfu.config is a flag."""
    top = argparse.ArgumentParser(
        prog="stentor", description="A WebRTC media server.", epilog=EXAMPLES, formatter_class=_Raw
    )
    commands = top.add_subparsers(dest="command", metavar="command")
    serving = commands.add_parser("serve", help="run the server", epilog=EXAMPLES, formatter_class=_Raw)
    _add_settings(serving)
    token = commands.add_parser("token", help="sign a grant to join a room", epilog=EXAMPLES, formatter_class=_Raw)
    token.add_argument("--room", required=True, help="the room's name, 1 to 64 characters")
    token.add_argument("--name", required=True, help="the name that others see")
    token.add_argument("--identity", help="who it is, for your own books (default: the name)")
    token.add_argument("--role", default="participant", help="a word that your application gives meaning to")
    token.add_argument(
        "--publish", default=",".join(SOURCES), help="what may be published, separated by commas (default: %(default)s)"
    )
    token.add_argument("--max-kbps", type=int, default=0, help="of all that is published; 0 = no limit")
    token.add_argument("--moderate", action="store_true", help="may mute and remove others")
    token.add_argument("--manage", action="store_true", help="may use the server API for this room")
    token.add_argument("--hidden", action="store_true", help="is not shown to others")
    token.add_argument("--valid-s", type=float, default=3600.0, help="seconds in which to join (default: 3600)")
    _add_settings(token)
    appointing = commands.add_parser(
        "appoint",
        help="make somebody with an account a member of the staff",
        epilog="example:\n  stentor appoint --email ada@example.com\n",
        formatter_class=_Raw,
    )
    appointing.add_argument("--email", required=True, help="the address that the person signs in with")
    _add_settings(appointing)
    checking = commands.add_parser(
        "doctor", help="say what is wrong with this machine and what to do", epilog=EXAMPLES, formatter_class=_Raw
    )
    checking.add_argument("--json", action="store_true", help="for programs: one JSON object")
    _add_settings(checking)
    return top


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of the examples."""


def _add_settings(to: argparse.ArgumentParser) -> None:
    group = to.add_argument_group("settings (docs/configuration.md says more)")
    group.add_argument("--config", metavar="FILE", help="a TOML file with settings")
    for field in fields():
        help_text = field.description.replace("%", "%%")
        if field.type is bool:
            group.add_argument(
                field.flag, dest=field.key, nargs="?", const="true", default=None, metavar="true|false", help=help_text
            )
        else:
            group.add_argument(field.flag, dest=field.key, default=None, metavar="X", help=help_text)


def read_config(arguments: argparse.Namespace, environment: dict[str, str]) -> Config:
    """The configuration of file, environment and flags. Raises ConfigError."""
    file = {}
    if arguments.config:
        try:
            file = parse_toml(Path(arguments.config).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--config {arguments.config} cannot be read: {error}") from error
    keys = {field.key for field in fields()}
    flags = {key: value for key, value in vars(arguments).items() if key in keys and value is not None}
    return build(file, environment, flags)


def _token(arguments: argparse.Namespace, config: Config) -> int:
    now = time.time()
    known: dict[str, Source] = {source: source for source in get_args(Source)}
    wanted = [word.strip() for word in arguments.publish.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in known]
    if unknown:
        raise StartError(f"--publish {unknown[0]!r} is no source; there are {', '.join(SOURCES)}")
    key = token_key(build({"tokens": _tokens(config)}))
    grant = Grant(
        room=arguments.room,
        identity=arguments.identity or arguments.name,
        name=arguments.name,
        role=arguments.role,
        publish=tuple(known[word] for word in wanted),
        max_kbps=arguments.max_kbps,
        moderate=arguments.moderate,
        visible=not arguments.hidden,
        manage=arguments.manage,
        expires_at=now + arguments.valid_s,
    )
    print(sign(grant, key, now))
    return 0


def _doctor(arguments: argparse.Namespace, config: Config) -> int:
    lines = doctor.examine(facts(config))
    print(doctor.as_json(lines) if arguments.json else doctor.as_text(lines))
    return 0 if doctor.healthy(lines) else 1


def _appoint(arguments: argparse.Namespace, config: Config) -> int:
    told = Appoint(config.control.database, str(companion.folder_of(config)), arguments.email)
    # The control plane writes its own tables; the address goes by a pipe, for arguments are seen by others.
    command = [sys.executable, "-m", "control_plane", "appoint"]
    return subprocess.run(command, input=msgspec.json.encode(told) + b"\n", check=False).returncode


def _tokens(config: Config) -> dict[str, str]:
    """The token settings alone: a key that --dev would make here no server would know."""
    tokens = config.tokens
    return {name: getattr(tokens, name) for name in tokens.__struct_fields__ if getattr(tokens, name)}


_COMMANDS: dict[str, Callable[[argparse.Namespace, Config], int]] = {
    "serve": lambda arguments, config: serve(config),
    "token": _token,
    "appoint": _appoint,
    "doctor": _doctor,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code (1 = the doctor found a fault, 2 = it could not be started as asked)."""
    command_line = parser()
    parsed = command_line.parse_args(arguments)
    if parsed.command is None:
        command_line.print_help()
        return 2
    try:
        config = read_config(parsed, dict(os.environ))
        return _COMMANDS[parsed.command](parsed, config)
    except (ConfigError, StartError, Unauthorized) as error:
        sys.stderr.write(f"stentor: {error}\n")
        return 2
