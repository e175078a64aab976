"""[I/O] The control plane's process beside the server: started with it, started anew when it dies, ended with it.

Rooms go on while it is away; only who wants to come in by id waits. It is told its settings by standard input and ends
when that is closed, so it never outlives the server, however that ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sfu import certificate, logs
from sfu.config import Config
from sfu.control import Told

log = logging.getLogger("stentor.control")
# A database that is away is back in seconds or in hours; each start costs a second of a core.
AGAIN_AFTER_S = (1.0, 2.0, 5.0, 15.0, 60.0)
STOP_WITHIN_S = 8.0
# Argon2 takes 64 MiB anew for every password. In pages of 4 KiB that is 16,384 faults, each of which holds up the
# process's other threads; glibc's malloc asks for pages of 2 MiB when told so, and other libraries do not read this.
HUGE_PAGES = "glibc.malloc.hugetlb=1"
# "It cannot be started as told": trying again would say the same.
MISTOLD = 2


class CannotListen(Exception):
    """The text says why and what to do."""


def wanted(config: Config) -> bool:
    """Whether a control plane of our own is started: not beside another one, which the uplink names."""
    return config.control.enabled and not config.uplink.url


def listen(config: Config) -> socket.socket:
    """Its bound port. Ours, so that it is known before the process runs and stays while it is started anew.

    Raises CannotListen."""
    control = config.control
    try:
        family = socket.getaddrinfo(control.host, control.port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.create_server((control.host, control.port), family=family, backlog=512)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotListen(
            f"cannot listen on {control.host} port {control.port}: {reason}. "
            "Choose another --control-port, or none with --control-enabled false"
        ) from error
    bound.setblocking(False)
    return bound


def folder_of(config: Config) -> Path:
    """Where it keeps what it keeps: as set, else the service's own (systemd), else of the user's data. Raises
    RuntimeError where there is no home."""
    environment = dict(os.environ)
    return certificate.folder_of(config.control.folder or environment.get("STATE_DIRECTORY", ""), environment)


def joined(config: Config, bound: socket.socket) -> Config:
    """The server's settings with what both sides need to speak to each other; secrets are made where none are set."""
    host = config.control.host if config.control.host not in ("0.0.0.0", "::") else "127.0.0.1"
    folder = folder_of(config)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    uplink = msgspec.structs.replace(
        config.uplink,
        url=f"http://{in_url(host)}:{bound.getsockname()[1]}/internal/usage",
        token=config.uplink.token or secrets.token_urlsafe(32),
        file=str(folder / "uplink.sqlite"),
    )
    api = msgspec.structs.replace(config.api, token=config.api.token or secrets.token_urlsafe(32))
    return msgspec.structs.replace(config, uplink=uplink, api=api)


def told(config: Config, bound: socket.socket, key_text: str, own: str, authority: Path | None) -> Told:
    """What the process is told. `config`: the joined one; `own`: how this machine reaches the media server's HTTP port,
    `authority`: the certificate there, None for plain HTTP."""
    return Told(
        control=config.control,
        mail=config.mail,
        billing=config.billing,
        dev=config.dev,
        folder=str(folder_of(config)),
        listen_fd=bound.fileno(),
        url=url_of(config, bound),
        media_page=config.control.media_url.rstrip("/") or own,
        media_api=own,
        media_certificate="" if authority is None else str(authority),
        api_token=config.api.token,
        uplink_token=config.uplink.token,
        signing_key=key_text,
        key_id=config.tokens.key_id,
        issuer=config.tokens.issuer,
        audience=config.tokens.audience,
        camera_codec=config.room.camera_codec,
        audio_red=config.room.audio_red,
        metrics_networks=config.http.metrics_networks,
        log_level=config.log.level,
        log_format=config.log.format,
    )


def url_of(config: Config, bound: socket.socket) -> str:
    """How people reach it."""
    return config.control.url.rstrip("/") or f"http://localhost:{bound.getsockname()[1]}"


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Of its process: ours, with large memory in huge pages unless `own` says how malloc is to be."""
    return {"GLIBC_TUNABLES": HUGE_PAGES, **own}


class Companion:
    """`start` once, `stop` once. `ready` is set while it answers."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """None while there is none."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._keep())

    async def stop(self) -> None:
        """It finishes what it is doing; killed when that takes too long, and nothing is lost by it."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
            except TimeoutError:
                log.warning("the control plane did not end in time and is killed")
                process.kill()
                await process.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        deaths = 0
        while not self._stopping:
            try:
                listened = await self._run()
            except OSError as error:
                listened = False
                log.error("the control plane's process cannot be started: %s", error.strerror)
            except Exception as fault:
                # Whatever one life ends with, the next one comes, or accounts and rooms by id are gone for good.
                listened = False
                log.error("the control plane's process is lost", extra=logs.fields(fault=type(fault).__name__))
                if self._process is not None and self._process.returncode is None:
                    self._process.kill()
                    await self._process.wait()
            code = None if self._process is None else self._process.returncode
            if self._stopping:
                return
            if code == MISTOLD:
                log.error("rooms by id and accounts are not there until the settings are put right")
                return
            deaths = 0 if listened else deaths + 1
            again_s = AGAIN_AFTER_S[min(deaths, len(AGAIN_AFTER_S) - 1)]
            status = -1 if code is None else code
            log.error("the control plane ended", extra=logs.fields(code=status, again_after_s=again_s))
            await asyncio.sleep(again_s)

    async def _run(self) -> bool:
        """One life of it. Tells whether it came to listen. Raises OSError."""
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "control_plane"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._told.listen_fd,),
            env=environment(os.environ),
        )
        listened = False
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        try:
            # Where it has died already, uvloop's pipe is closed and writing to it is a RuntimeError.
            if not process.stdin.is_closing():
                process.stdin.write(msgspec.json.encode(self._told) + b"\n")
                await process.stdin.drain()
            async for line in process.stdout:
                if line.strip() == b"listening":
                    listened = True
                    self.ready.set()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it ended while it was told; its exit code says why
        finally:
            self.ready.clear()
        await process.wait()
        return listened
