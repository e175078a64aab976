"""A real worker process behind its channel: what it answers on the network, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
import pytest

from sfu import channel
from sfu.config import WorkerConfig
from sfu.transport.dtls import Certificate, DtlsContext, DtlsSession, DtlsStep, SrtpKeys
from sfu.wire.stun import binding_request, integrity_ok, parse

TIMEOUT_S = 20.0
MINE = Certificate.generate(time.time())
Wanted = TypeVar("Wanted")


class Rig:
    """The node's end of a worker, and a client's socket on loopback."""

    def __init__(self, process: asyncio.subprocess.Process, own: socket.socket) -> None:
        self.process = process
        self.own = own
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("127.0.0.1", 0))
        self.client.setblocking(False)
        self.requests = 0
        self.server = ("127.0.0.1", 0)

    async def start(self) -> None:
        self.reader, self.writer = await asyncio.open_unix_connection(sock=self.own)
        self.ready = await self.event(channel.WorkerReady)
        self.server = self.ready.addresses[0]

    def say(self, command: channel.Command) -> None:
        self.writer.write(channel.encode(command))

    async def event(self, kind: type[Wanted]) -> Wanted:
        """The next event of this kind; others are passed over."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                event = await channel.read_event(self.reader)
                assert event is not None, "the worker closed the channel"
                if isinstance(event, kind):
                    return event

    async def describe(self, peer: int = 1, fingerprint: channel.Fingerprint = MINE.fingerprint) -> None:
        self.requests += 1
        self.say(
            channel.Describe(
                request=self.requests, peer=peer, room=1,
                ice=channel.IceParameters(f"ours{peer}", "p" * 24, "theirs", "q" * 24),
                fingerprints=(fingerprint,), dtls_server=True, extensions=channel.Extensions(mid=4),
                tracks=(channel.TrackDescription(10 * peer, "0", "video", "VP8", 96, 90000),),
                slots=(channel.SlotDescription("1", "video", "VP8", 96, 90000, 1000 + peer),),
            )
        )  # fmt: skip
        assert (await self.event(channel.Done)).request == self.requests

    async def counters(self) -> channel.Counters:
        self.requests += 1
        self.say(channel.Snapshot(request=self.requests))
        return await self.event(channel.Counters)

    def check(self, *, password: bytes = b"p" * 24, nominate: bool = True, ufrag: str = "ours1") -> bytes:
        return binding_request(
            os.urandom(12), f"{ufrag}:theirs", password, use_candidate=nominate, priority=1, controlling=7
        )

    async def ask(self, datagram: bytes, client: socket.socket | None = None) -> bytes:
        """Send until an answer comes, as a client does."""
        client = client or self.client
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                client.sendto(datagram, self.server)
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(loop.sock_recv(client, 2048), 1)

    async def handshake(self) -> SrtpKeys | None:
        """As DTLS client to the end; our keys, or None when the server gave up."""
        session = DtlsSession(DtlsContext(MINE), (self.ready.fingerprint,), server=False)
        loop = asyncio.get_running_loop()
        step: DtlsStep = session.start(time.monotonic())
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                for datagram in step.send:
                    self.client.sendto(datagram, self.server)
                if step.keys is not None:
                    return step.keys
                if step.failed is not None or step.closed:
                    return None
                try:
                    datagram = await asyncio.wait_for(loop.sock_recv(self.client, 2048), 0.2)
                except TimeoutError:
                    step = session.handle_timeout(time.monotonic())
                    continue
                is_dtls = 20 <= datagram[0] < 64  # a late answer to a check may stand before it
                step = session.receive(datagram, time.monotonic()) if is_dtls else DtlsStep()


@contextlib.asynccontextmanager
async def worker() -> AsyncIterator[Rig]:
    ours, theirs = socket.socketpair()
    config = WorkerConfig(number=0, addresses=("127.0.0.1",), port=0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sfu.worker", "--channel-fd", str(theirs.fileno()),
        "--config", msgspec.json.encode(config).decode(), pass_fds=[theirs.fileno()],
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    theirs.close()
    rig = Rig(process, ours)
    try:
        await rig.start()
        yield rig
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        rig.client.close()
        rig.writer.close()


async def test_the_first_check_is_answered_by_python_and_the_next_by_the_kernel() -> None:
    async with worker() as rig:
        await rig.describe()
        for _ in range(2):
            answer = await rig.ask(rig.check())
            assert integrity_ok(answer, b"p" * 24)
            assert parse(answer).mapped == rig.client.getsockname()
        arrivals = (await rig.counters()).arrivals
        assert arrivals["HANDED_UP"] >= 1 and arrivals["STUN_ANSWERED"] >= 1


async def test_wrong_integrity_gets_a_refusal_and_an_unknown_ufrag_gets_nothing() -> None:
    async with worker() as rig:
        await rig.describe()
        refusal = parse(await rig.ask(rig.check(password=b"w" * 24)))
        assert refusal.error is not None and refusal.error[0] == 401
        rig.client.sendto(rig.check(ufrag="nobody"), rig.server)
        rig.client.sendto(bytes([22, 254, 253]) + bytes(60), rig.server)  # DTLS from an address that passed no check
        answer = await rig.ask(rig.check())
        assert integrity_ok(answer, b"p" * 24), "something else was answered"
        counters = await rig.counters()
        assert counters.arrivals["UNKNOWN_PATH"] == 1
        assert counters.counters["stun_unknown_ufrag"] == 1 and counters.counters["stun_bad_integrity"] == 1


async def test_a_handshake_gives_keys_and_says_connected() -> None:
    async with worker() as rig:
        await rig.describe()
        await rig.ask(rig.check())
        keys = await rig.handshake()
        assert keys is not None and keys.profile == "AEAD_AES_128_GCM"
        assert (await rig.event(channel.PeerConnected)).peer == 1


async def test_a_peer_with_another_certificate_than_offered_is_failed_with_words() -> None:
    async with worker() as rig:
        await rig.describe(fingerprint=Certificate.generate(time.time()).fingerprint)
        await rig.ask(rig.check())
        task = asyncio.create_task(rig.handshake())
        failed = await rig.event(channel.PeerFailed)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert failed.code == "media_failed" and "fingerprint" in failed.reason


async def test_a_peer_that_moves_is_answered_at_his_new_address() -> None:
    async with worker() as rig:
        await rig.describe()
        await rig.ask(rig.check())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            second.bind(("127.0.0.1", 0))
            second.setblocking(False)
            answer = await rig.ask(rig.check(), second)
            assert parse(answer).mapped == second.getsockname()


async def test_rows_are_free_again_after_close() -> None:
    async with worker() as rig:
        for peer in range(1, 21):
            await rig.describe(peer)
        assert (await rig.counters()).rows["peers"] == 20
        for peer in range(1, 21):
            rig.say(channel.Close(peer=peer))
            rig.say(channel.Close(peer=peer))  # a second one is harmless
        async with asyncio.timeout(TIMEOUT_S):
            while any((await rig.counters()).rows.values()):
                pass


async def test_stop_ends_it_within_five_seconds() -> None:
    async with worker() as rig:
        rig.say(channel.Stop())
        async with asyncio.timeout(5):
            assert await rig.process.wait() == 0


async def test_it_ends_with_its_node() -> None:
    async with worker() as rig:
        rig.writer.close()
        async with asyncio.timeout(5):
            assert await rig.process.wait() == 0


@pytest.mark.parametrize("garbage", [b"\x00\x00\x00\x03abc", b"\xff\xff\xff\xff", b"\x00\x00\x00\x09\xc1"])
async def test_garbage_on_the_channel_ends_it_with_a_reason(garbage: bytes) -> None:
    async with worker() as rig:
        rig.writer.write(garbage)
        rig.writer.write_eof()
        async with asyncio.timeout(5):
            code = await rig.process.wait()
        assert rig.process.stderr is not None
        said = (await rig.process.stderr.read()).decode()
        assert code != 0 and "the channel is broken" in said
