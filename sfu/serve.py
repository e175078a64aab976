"""[I/O] `stentor serve`: the node and its HTTP port in one event loop, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import secrets
import signal
import socket
import sqlite3
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from sfu import certificate, companion, logs
from sfu.config import HIDDEN, Config, Http, shown
from sfu.contract import Grant, TokenKey, generate_pem, load_key, sign
from sfu.interfaces import local_addresses
from sfu.node import Node
from sfu.signalling import messages
from sfu.signalling.http import application
from sfu.uplink import Uplink
from sfu.workers import Launch, launch

log = logging.getLogger("stentor")

# The page's files beside the package in a clone, or inside it when installed.
PAGE_PLACES = (Path(__file__).parent.parent / "web", Path(__file__).parent / "web")
# Of a token made under --dev. It limits the first join only, so it need not be long.
DEV_TOKEN_LASTS_S = 6 * 3600
# A client that vanished without a word keeps its seat until its WebSocket is known to be dead: at most the next ping,
# and what the kernel waits for its acknowledgement. uvicorn's own limit for the pong ends nothing while bytes are
# unsent. Shorter: a phone in a tunnel loses its connection; longer: a ghost sits among people.
PING_EVERY_S = 10
PONG_WITHIN_S = 20
UNACKNOWLEDGED_MS = 20_000
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
    return _token_key(config)[0]


def _token_key(config: Config) -> tuple[TokenKey, str]:
    """With its text, which the control plane signs with."""
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
        return load_key(text, key_id=tokens.key_id, issuer=tokens.issuer, audience=tokens.audience), text
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


def hosts(config: Config) -> tuple[str, ...]:
    """Where the HTTP port listens: as configured, or under --lan on every address of both families."""
    if config.lan and config.http.host == Http().host:
        return ("0.0.0.0", "::")
    return (config.http.host,)


def listen(config: Config) -> list[socket.socket]:
    """The bound HTTP sockets, all of one port. Raises StartError."""
    bound: list[socket.socket] = []
    port = config.http.port
    for host in hosts(config):
        try:
            bound.append(_bind(host, port))
            port = bound[0].getsockname()[1]
        except OSError as error:
            if bound and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                continue  # a machine without IPv6
            for one in bound:
                one.close()
            reason = error.strerror or str(error)
            raise StartError(f"cannot listen on {host} port {port}: {reason}. Choose another --http-port") from error
    return bound


def _bind(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)  # accepted ones inherit it
        if family == socket.AF_INET6:
            # Else "::" would take the IPv4 port as well, which has its own socket.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


def certificate_files(config: Config) -> certificate.Files | None:
    """What the HTTP port's TLS is made of, None where it speaks plain HTTP. Raises StartError."""
    http = config.http
    try:
        if http.certificate_file:
            files = certificate.Files(Path(http.certificate_file), Path(http.key_file))
        elif config.lan:
            folder = certificate.folder_of(http.certificate_folder, dict(os.environ))
            names = ["localhost", *_own_names()]
            files = certificate.keep(folder, names, local_addresses(), certificate.now_utc(time.time()))
        else:
            return None
        for path in (files.certificate, files.key):
            path.read_bytes()  # whose failing names the file, which the next line's does not
        # The same reading that the server will do, but with words of ours when it fails.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key, password=_no_password)
        return files
    except ssl.SSLError as error:
        raise StartError(f"http.certificate_file and http.key_file do not go together: {error.reason}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise StartError(f"the certificate for HTTPS cannot be used: {error}") from error


def _no_password() -> str:
    """Without it OpenSSL asks at the terminal, and a service waits forever."""
    raise ValueError("the key is encrypted; write it without a passphrase, readable by the server alone")


def _own_names() -> list[str]:
    """This machine's name as it stands and as multicast DNS tells it in a home's network (RFC 6762)."""
    name = socket.gethostname().split(".")[0]
    return [name, f"{name}.local"] if name and name.isascii() and name != "localhost" else []


def _uplink(config: Config) -> Uplink | None:
    """None without a control plane. Raises StartError."""
    if not config.uplink.url:
        return None
    try:
        return Uplink(config.uplink)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"uplink.file cannot be used: {error}") from error


class Served:
    """A running server: for `stentor serve` and for tests."""

    def __init__(
        self, config: Config, *, launcher: Launch = launch, key: TokenKey | None = None, rooms: str = ""
    ) -> None:
        """`rooms`: how people reach the control plane's pages."""
        self._config = config
        self._key = key or token_key(config)
        page = page_directory(config)
        self._uplink = _uplink(config)
        renews = (lambda: True) if self._uplink is None else self._uplink.reaches
        self.node = Node(config, self._key, launcher=launcher, renews=renews)
        dev_token = self.dev_token if config.dev and self._key.can_sign else None
        self.application = app = application(config, self.node, dev_token=dev_token, page=page, rooms=rooms)
        files = certificate_files(config)
        self.certificate = None if files is None else files.certificate
        self._http = _HttpServer(
            uvicorn.Config(
                app,
                ws="websockets-sansio",
                ws_max_size=messages.MESSAGE_BYTES_MAX,
                ws_per_message_deflate=False,
                ws_ping_interval=PING_EVERY_S,
                ws_ping_timeout=PONG_WITHIN_S,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=HTTP_STOP_WITHIN_S,
                ssl_certfile=None if files is None else str(files.certificate),
                ssl_keyfile=None if files is None else str(files.key),
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
        self.port = bound[0].getsockname()[1]
        if self._uplink is not None:
            await self._uplink.start(self.node)
        await self.node.start()
        self._task = asyncio.ensure_future(self._http.serve(sockets=bound))

    async def stop(self) -> None:
        """Tell clients, end workers, close the port. Takes at most five seconds."""
        await self.node.stop()
        self._http.should_exit = True
        if self._uplink is not None:
            await self._uplink.stop()
        if self._task is not None:
            await self._task


def own_address(config: Config, port: int, self_made: Path | None) -> str:
    """How this machine reaches the HTTP port."""
    host = hosts(config)[0]
    near = "localhost" if host in ("0.0.0.0", "::", "127.0.0.1", "::1") else companion.in_url(host)
    return f"{'http' if self_made is None else 'https'}://{near}:{port}"


def greeting(config: Config, port: int, self_made: Path | None, addresses: Sequence[str]) -> list[str]:
    """What the person at the terminal is told. `self_made` is the certificate in use, `addresses` the machine's."""
    scheme = "http" if self_made is None else "https"
    door = own_address(config, port, self_made)
    lines = [f"Stentor listens on {door}"]
    if config.lan:
        others = [ip for ip in addresses if not ipaddress.ip_address(ip).is_loopback]
        lines += [f"  and for other devices on {scheme}://{companion.in_url(ip)}:{port}" for ip in others]
        door = f"{scheme}://{companion.in_url(others[0])}:{port}" if others else door
    if config.dev:
        lines.append(f"Open {door}/?room=hello&name=Me in two browser tabs. --dev: anyone who reaches it may join.")
    if config.lan and self_made is not None and not config.http.certificate_file:
        lines += [
            "A browser will say that the connection is not private: nobody vouches for a certificate made at home.",
            f"It is yours when its SHA-256 fingerprint is {certificate.fingerprint(self_made)};",
            f"go on past the warning, or install {self_made} on the device.",
        ]
    return lines


async def _serve(config: Config, say: Callable[[str], None]) -> None:
    key, key_text = _token_key(config)
    beside = _beside(config, key)
    if beside is not None:
        config = _joined(config, beside)
    rooms = config.control.url.rstrip("/") if beside is None else companion.url_of(config, beside)
    served = Served(config, key=key, rooms=rooms)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    await served.start()
    log.info("listening", extra=logs.fields(http_port=served.port, media_port=config.media.port))
    for line in greeting(config, served.port, served.certificate, local_addresses()):
        say(line)
    plane = None
    if beside is not None:
        own = own_address(config, served.port, served.certificate)
        plane = companion.Companion(companion.told(config, beside, key_text, own, served.certificate))
        plane.start()
        say(f"Accounts and rooms with numbers: {rooms}")
        if config.dev and not config.mail.host:
            say(f"  whose mails do not leave this machine: {rooms}/dev/mail")
    await ending.wait()
    log.info("stopping")
    say("stopping")
    await asyncio.gather(served.stop(), *(() if plane is None else (plane.stop(),)))


def _joined(config: Config, beside: socket.socket) -> Config:
    """companion.joined. Raises StartError."""
    try:
        return companion.joined(config, beside)
    except (OSError, RuntimeError) as error:
        raise StartError(
            f"the control plane's folder cannot be made ({error}): set --control-folder, or --control-enabled false"
        ) from error


def _beside(config: Config, key: TokenKey) -> socket.socket | None:
    """The control plane's port, None where there is to be none. Raises StartError."""
    if not companion.wanted(config):
        return None
    if not key.can_sign:
        log.warning("no control plane: tokens.key_file is a public key, and grants are signed with a private one")
        return None
    try:
        return companion.listen(config)
    except companion.CannotListen as error:
        raise StartError(str(error)) from error


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
