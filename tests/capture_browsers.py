"""Records what Chromium and Firefox send to a server in a call: `python -m tests.capture_browsers`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
from playwright.async_api import BrowserContext

from sfu import channel, worker
from sfu.config_sources import build
from sfu.interfaces import local_addresses
from sfu.serve import Served
from sfu.transport.dtls import DtlsStep
from sfu.wire import stun
from sfu.worker_config import WorkerConfig
from sfu.workers import Launched
from tests.captures import BROWSERS, FOLDER, Opened, Recorded, is_media, is_rtcp, opened
from tests.clients import CanvasClient, async_playwright, chromium
from tests.firefox import firefox
from tests.relays import Address
from tests.servers import Server, eventually, free_port

FOLDER_VARIABLE = "STENTOR_CAPTURE_FOLDER"
PUBLISH: dict[str, Any] = {"source": 1, "hue": 90, "toneHz": 700, "width": 1280, "height": 720, "simulcast": True}
SECONDS = 6.0
# One packet in so many is lost, so that both sides ask for repairs, and now and then a run of them that only a key
# frame mends.
LOST_ONE_IN = 30
OUTAGE_EVERY, OUTAGE_PACKETS = 800, 100
# Of one peer are kept, the earliest first: so many of each SSRC, and of each kind of RTCP and of everything else.
RTP_MAX = 60
OTHERS_MAX = 40


# -- the worker --
class _RecordingWorker(worker.Worker):
    """Writes each peer's description and the keys that it seals with into the folder."""

    async def _describe(self, command: channel.Describe) -> None:
        self._write(command.peer, "description", msgspec.msgpack.encode(command))
        await super()._describe(command)

    def _after_handshake(self, peer: int, step: DtlsStep, now: float) -> None:
        if step.keys is not None:
            keys = (step.keys.profile, step.keys.receive_key, step.keys.receive_salt)
            self._write(peer, "keys", msgspec.msgpack.encode(keys))
        super()._after_handshake(peer, step, now)

    def _write(self, peer: int, what: str, content: bytes) -> None:
        (Path(os.environ[FOLDER_VARIABLE]) / f"{peer}.{what}").write_bytes(content)


async def _launch(folder: Path, config: WorkerConfig) -> Launched:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.capture_browsers", "--channel-fd", str(theirs.fileno())),
            *("--config", msgspec.json.encode(config).decode()),
            pass_fds=(theirs.fileno(),),
            env={**os.environ, FOLDER_VARIABLE: str(folder)},
        )
    return Launched(process, ours)


# -- the relay --
class _Relay(asyncio.DatagramProtocol):
    """Between all clients and the server; keeps what each client sent, also what it then loses on purpose."""

    def __init__(self, server: Address) -> None:
        self.sent: dict[Address, list[bytes]] = {}
        self.outer: dict[Address, asyncio.DatagramTransport] = {}
        self._server = server
        self._inner: asyncio.DatagramTransport | None = None
        self._passed = 0
        self._waiting: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.sent.setdefault(addr, []).append(data)
        if addr in self.outer:
            self._pass(self.outer[addr].sendto, data)
            return
        self._waiting.setdefault(addr, []).append(data)
        if len(self._waiting[addr]) == 1:
            task = asyncio.ensure_future(self._open(addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, client: Address) -> None:
        def back(data: bytes) -> None:
            inner = self._inner
            if inner is not None:
                self._pass(lambda packet: inner.sendto(packet, client), data)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Back(back), remote_addr=self._server
        )
        self.outer[client] = transport
        for data in self._waiting.pop(client):
            transport.sendto(data)

    def _pass(self, send: Any, data: bytes) -> None:
        self._passed += is_media(data)
        lost = self._passed % LOST_ONE_IN == 0 or self._passed % OUTAGE_EVERY > OUTAGE_EVERY - OUTAGE_PACKETS
        if not is_media(data) or not lost:
            send(data)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, receive: Any) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._receive(data)


# -- the call --
class _Stage:
    """A server of this process under the two names that CanvasClient uses of tests.servers.Server."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.origin = f"http://localhost:{served.port}"

    async def token(self, room: str, name: str) -> str:
        return self.served.dev_token(room, name)


@contextlib.asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[tuple[_Stage, _Relay]]:
    # Firefox does not reach 127.0.0.1 this way. No datagram of a client's holds an address.
    address = next(ip for ip in local_addresses() if not ipaddress.ip_address(ip).is_loopback)
    media_port = free_port(socket.SOCK_DGRAM)
    loop = asyncio.get_running_loop()
    transport, relay = await loop.create_datagram_endpoint(
        lambda: _Relay((address, media_port)), local_addr=(address, 0)
    )
    announced = f"{address}:{transport.get_extra_info('sockname')[1]}"
    media = {"port": media_port, "addresses": [address], "announced": [announced]}
    served = Served(build({"dev": True, "http": {"port": 0}, "media": media}), launcher=partial(_launch, folder))
    await served.start()
    try:

        async def ready() -> bool:
            return served.node.ready

        await eventually(ready, within_s=20, what="the worker is ready")
        yield _Stage(served), relay
    finally:
        await served.stop()
        transport.close()
        for outer in relay.outer.values():
            outer.close()


async def _call(context: BrowserContext, stage: _Stage) -> str:
    """A publisher and a viewer; at the end both stop what they send and go. The browser's name and version."""
    server = cast(Server, stage)
    publisher = await CanvasClient.join(context, server, "captured", "publisher", publish=PUBLISH)
    viewer = await CanvasClient.join(context, server, "captured", "viewer", video_slots=1, audio_slots=1)
    await viewer.view((await viewer.video_mids())[0], publisher.participant)
    await asyncio.sleep(SECONDS)  # the length of the recording; nothing is waited for
    for client in (publisher, viewer):
        await client.page.evaluate("() => client.pc.getTransceivers().forEach((each) => each.stop())")
        await asyncio.sleep(0.3)  # as above: what is said at the end
        await client.page.evaluate("() => client.pc.close()")
    agent = str(await viewer.page.evaluate("() => navigator.userAgent"))
    return next(word for word in agent.split() if word.startswith(("Chrome/", "HeadlessChrome/", "Firefox/")))


def _recorded(browser: str, folder: Path, sent: dict[Address, list[bytes]]) -> list[Recorded]:
    by_ufrag = {}
    for path in folder.glob("*.description"):
        description = msgspec.msgpack.decode(path.read_bytes(), type=channel.Describe)
        by_ufrag[description.ice.local_ufrag] = description
    found = []
    for datagrams in sent.values():
        first = stun.parse(next(datagram for datagram in datagrams if datagram[0] < 4))
        description = by_ufrag[(first.username or "").partition(":")[0]]
        keys = folder / f"{description.peer}.keys"
        if keys.exists():  # else a path that was checked and not chosen
            profile, key, salt = msgspec.msgpack.decode(keys.read_bytes(), type=tuple[str, bytes, bytes])
            found.append(Recorded(browser, description, profile, key, salt, tuple(_thinned(datagrams))))
    return found


def _thinned(datagrams: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    seen: Counter[object] = Counter()
    byes = [datagram for datagram in datagrams if is_rtcp(datagram)][-OTHERS_MAX // 4 :]
    for datagram in datagrams:
        rtp = is_media(datagram) and not is_rtcp(datagram)
        kind: object = datagram[8:12] if rtp else datagram[:2] if is_rtcp(datagram) else datagram[0] >> 6
        seen[kind] += 1
        if seen[kind] <= (RTP_MAX if rtp else OTHERS_MAX) or datagram in byes:
            kept.append(datagram)
    return kept


async def _record(browser: str) -> None:
    with tempfile.TemporaryDirectory(prefix="stentor-capture-") as name:
        folder = Path(name)
        async with async_playwright() as playwright, _stage(folder) as (stage, relay):
            context = firefox(bypass_csp=True) if browser == "firefox" else chromium(playwright, bypass_csp=True)
            async with context as started:
                called = await _call(started, stage)
        found = _recorded(called, folder, relay.sent)
    FOLDER.mkdir(exist_ok=True)
    target = FOLDER / f"{browser}.msgpack"
    target.write_bytes(msgspec.msgpack.encode(found))
    print(f"{target.name}: {called}, {target.stat().st_size} bytes")
    for one in found:
        kinds = Counter(kind for each in opened(one) for kind in _kinds(each))
        kinds.update("STUN" if datagram[0] < 4 else "DTLS" for datagram in one.datagrams if not is_media(datagram))
        print("  ", dict(sorted(kinds.items())))


def _kinds(each: Opened) -> list[str]:
    if not each.rtcp:
        return [f"RTP {each.plain[1] & 127}"]
    found, at = [], 0
    while at + 4 <= len(each.plain):
        found.append(f"RTCP {each.plain[at + 1]}/{each.plain[at] & 31}")
        at += 4 + 4 * int.from_bytes(each.plain[at + 2 : at + 4], "big")
    return found


async def _record_all() -> None:
    for browser in BROWSERS:
        await _record(browser)


def main() -> int:
    parser = argparse.ArgumentParser(description="Record what Chromium and Firefox send, into tests/recorded/.")
    parser.add_argument("--channel-fd", help=argparse.SUPPRESS)  # given to the recording worker only
    arguments, _ = parser.parse_known_args()
    if arguments.channel_fd is None:
        asyncio.run(_record_all())
        return 0
    worker.Worker = _RecordingWorker  # type: ignore[misc]
    return worker.main()


if __name__ == "__main__":
    sys.exit(main())
