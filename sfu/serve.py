"""[I/O] `stentor serve`: the node and its HTTP port in one event loop, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from sfu import logs
from sfu.config import HIDDEN, Config, shown
from sfu.contract import Grant, TokenKey, generate_pem, load_key, sign
from sfu.node import Node
from sfu.signalling import messages
from sfu.signalling.http import application
from sfu.workers import Launch, launch

log = logging.getLogger("stentor")

# The page's files beside the package in a clone, or inside it when installed.
PAGE_PLACES = (Path(__file__).parent.parent / "web", Path(__file__).parent / "web")
# Of a token made under --dev. It limits the first join only, so it need not be long.
DEV_TOKEN_LASTS_S = 6 * 3600
# After the node has told everybody; what is still open then is cut.
HTTP_STOP_WITHIN_S = 1


class StartError(Exception):
    """The server cannot be started; the text says why and what to do."""


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: clients are told before sockets are closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def token_key(config: Config) -> TokenKey:
    """The key for grants: configured, or under --dev a fresh one. Raises StartError."""
    tokens = config.tokens
    if tokens.key_file and tokens.shared_key:
        raise StartError("set tokens.key_file or tokens.shared_key, not both")
    try:
        if tokens.key_file:
            text = Path(tokens.key_file).read_text(encoding="utf-8")
        elif tokens.shared_key:
            text = tokens.shared_key
        elif config.dev:
            text = generate_pem()
        else:
            raise StartError("no key for tokens: set tokens.key_file (see docs/configuration.md), or use --dev")
        return load_key(text, key_id=tokens.key_id, issuer=tokens.issuer, audience=tokens.audience)
    except OSError as error:
        raise StartError(f"tokens.key_file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartError(f"the key for tokens cannot be used: {error}") from error


def page_directory(config: Config) -> Path | None:
    """Where the page's files are, None when it is not to be served. Raises StartError."""
    if not (config.dev or config.http.page):
        return None
    for place in PAGE_PLACES:
        if (place / "protocol.js").is_file():
            return place
    raise StartError("the page's files (web/) are not there: serve without http.page, or from a clone")


def listen(config: Config) -> socket.socket:
    """The bound HTTP socket. Raises StartError."""
    host, port = config.http.host, config.http.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartError(f"cannot listen on {host} port {port}: {reason}. Choose another --http-port") from error
    bound.setblocking(False)
    return bound


class Served:
    """A running server: for `stentor serve` and for tests."""

    def __init__(self, config: Config, *, launcher: Launch = launch) -> None:
        self._config = config
        self._key = token_key(config)
        page = page_directory(config)
        self.node = Node(config, self._key, launcher=launcher)
        app = application(
            config, self.node, dev_token=self.dev_token if config.dev and self._key.can_sign else None, page=page
        )
        self._http = _HttpServer(
            uvicorn.Config(
                app,
                ws="websockets-sansio",
                ws_max_size=messages.MESSAGE_BYTES_MAX,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=HTTP_STOP_WITHIN_S,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    def dev_token(self, room: str, name: str) -> str:
        """A grant for anyone. Raises Unauthorized for names that cannot be."""
        now = time.time()
        grant = Grant(
            room=room,
            identity="dev-" + secrets.token_hex(4),
            name=name,
            moderate=True,
            expires_at=now + DEV_TOKEN_LASTS_S,
        )
        return sign(grant, self._key, now)

    async def start(self) -> None:
        """Listen and start the workers. Raises StartError."""
        bound = listen(self._config)
        self.port = bound.getsockname()[1]
        await self.node.start()
        self._task = asyncio.ensure_future(self._http.serve(sockets=[bound]))

    async def stop(self) -> None:
        """Tell clients, end workers, close the port. Takes at most five seconds."""
        await self.node.stop()
        self._http.should_exit = True
        if self._task is not None:
            await self._task


async def _serve(config: Config, say: Callable[[str], None]) -> None:
    served = Served(config)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    await served.start()
    host = "localhost" if config.http.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else config.http.host
    address = f"http://{host}:{served.port}"
    log.info("listening", extra=logs.fields(http_port=served.port, media_port=config.media.port))
    say(f"Stentor listens on {address}")
    if config.dev:
        say(f"Open {address}/?room=hello&name=Me in two browser tabs. --dev: anyone who reaches it may join.")
    await ending.wait()
    log.info("stopping")
    say("stopping")
    await served.stop()


def _settings(config: Config) -> dict[str, logs.Value]:
    """What `shown` shows, as fields of one event; lists separated by commas."""
    told = {}
    for line in shown(config).splitlines():
        key, text = line.split(" = ", 1)
        value = HIDDEN if text == HIDDEN else msgspec.json.decode(text)
        told[key] = ",".join(value) if isinstance(value, list) else value
    return told


# To the person at the terminal; a program that reads JSON gets nothing else.
_SAY: dict[str, Callable[[str], None]] = {"text": lambda text: print(text, flush=True), "json": lambda text: None}


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    logs.start(config.log.level, config.log.format)
    log.info("configuration", extra=logs.fields(**_settings(config)))
    try:
        uvloop.run(_serve(config, _SAY[config.log.format]))
    except StartError as error:
        sys.stderr.write(f"stentor: {error}\n")
        return 2
    return 0
