"""A real worker process over its channel, with a client of it on loopback UDP: STUN, DTLS, paths, ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
import pytest

from sfu import channel
from sfu.wire import stun
from sfu.worker_config import WorkerConfig
from tests.sfu.transport.test_dtls import THEIRS, PlainPeer

WITHIN_S = 5.0
PASSWORD = b"our password of this peer"
Kind = TypeVar("Kind", bound=channel.Event)


class Client:
    """One UDP socket of a peer: sends datagrams to the worker and keeps what comes back, in order."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(server)
        self.address: tuple[str, int] = self.socket.getsockname()

    async def send(self, datagram: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, datagram)

    async def receive(self) -> bytes:
        async with asyncio.timeout(WITHIN_S):
            return await asyncio.get_running_loop().sock_recv(self.socket, 2048)

    async def check(self, peer: int = 1, *, password: bytes = PASSWORD, nominate: bool = False) -> stun.Message:
        """A connectivity check and its answer."""
        request = stun.binding_request(
            os.urandom(12), f"ours{peer}:theirs", password, use_candidate=nominate, controlling=7
        )
        await self.send(request)
        return stun.parse(await self.receive())

    async def shake_hands(self, peer: PlainPeer) -> None:
        """Carry DTLS datagrams until the client has nothing to wait for."""
        for datagram in peer.receive():
            await self.send(datagram)
        while not peer.done:
            for answer in peer.receive(await self.receive()):
                await self.send(answer)


class Process:
    """A worker process and the node's end of its channel."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self.reader = reader
        self.writer = writer
        self.heard: list[channel.Event] = []
        self.clients: list[Client] = []
        self.server = ("", 0)
        self._request = 100

    def send(self, command: channel.Command) -> None:
        self.writer.write(channel.encode(command))

    async def hear(self, kind: type[Kind]) -> Kind:
        """The next event of that kind; what comes before it is kept in `heard`."""
        async with asyncio.timeout(WITHIN_S):
            while (event := await channel.read_event(self.reader)) is not None:
                if isinstance(event, kind):
                    return event
                self.heard.append(event)
        raise AssertionError(f"the channel ended before {kind.__name__}")

    async def describe(self, peer: int = 1, **fields: object) -> None:
        self._request += 1
        self.send(description(self._request, peer, **fields))
        assert (await self.hear(channel.Done)).request == self._request

    async def counters(self) -> channel.Counters:
        self._request += 1
        self.send(channel.Snapshot(request=self._request))
        return await self.hear(channel.Counters)

    def client(self) -> Client:
        self.clients.append(Client(self.server))
        return self.clients[-1]

    async def ended(self) -> tuple[int, str]:
        """Exit status and log."""
        async with asyncio.timeout(WITHIN_S):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


@contextlib.asynccontextmanager
async def started(*interpreter: str) -> AsyncIterator[Process]:
    """A worker process; `interpreter`: options of Python itself."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    config = WorkerConfig(number=3, addresses=("127.0.0.1",), port=0)
    arguments = ("--channel-fd", str(theirs.fileno()), "--config", msgspec.json.encode(config).decode())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *interpreter, "-m", "sfu.worker", *arguments),
        pass_fds=(theirs.fileno(),),
        stderr=asyncio.subprocess.PIPE,
    )
    theirs.close()
    one = Process(process, *await asyncio.open_unix_connection(sock=ours))
    try:
        yield one
    finally:
        for client in one.clients:
            client.socket.close()
        one.writer.close()
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def worker() -> AsyncIterator[Process]:
    async with started() as one:
        async with asyncio.timeout(20):  # the imports, on a busy machine
            ready = await channel.read_event(one.reader)
        assert isinstance(ready, channel.WorkerReady)
        assert (ready.worker, ready.pid) == (3, one.process.pid)
        assert ready.fingerprint.algorithm == "sha-256"
        ((address, port),) = ready.addresses
        assert (address, port > 0) == ("127.0.0.1", True)
        one.server = (address, port)
        yield one


def description(request: int, peer: int, **fields: object) -> channel.Describe:
    slot = channel.SlotDescription(mid="v", kind="video", codec="VP8", payload_type=96, clock_rate=90000, ssrc=4242)
    values: dict[str, object] = {
        "request": request,
        "peer": peer,
        "room": 5,
        "ice": channel.IceParameters(f"ours{peer}", PASSWORD.decode(), "theirs", "their password"),
        "fingerprints": (THEIRS.fingerprint,),
        "dtls_server": True,
        "extensions": channel.Extensions(mid=1),
        "slots": (slot,),
        **fields,
    }
    return msgspec.convert(values, channel.Describe)


# -- STUN ----------------------------------------------------------------------------------------------------


async def test_the_first_check_of_a_path_is_answered_with_the_address_it_came_from(worker: Process) -> None:
    await worker.describe()
    client = worker.client()
    answer = await client.check()
    assert (answer.class_, answer.mapped) == (stun.SUCCESS, client.address)
    counters = await worker.counters()
    assert counters.arrivals["HANDED_UP"] == 1
    assert counters.counters["stun_answered"] == 1


async def test_a_known_path_is_answered_by_the_kernel(worker: Process) -> None:
    await worker.describe()
    client = worker.client()
    await client.check()
    await worker.counters()  # commands are applied in order: the path is in the kernel now
    answer = await client.check()
    assert (answer.class_, answer.mapped) == (stun.SUCCESS, client.address)
    arrivals = (await worker.counters()).arrivals
    assert (arrivals["HANDED_UP"], arrivals["STUN_ANSWERED"]) == (1, 1)


async def test_a_wrong_password_is_refused_and_makes_no_path(worker: Process) -> None:
    await worker.describe()
    stranger = worker.client()
    answer = await stranger.check(password=b"guessed")
    assert answer.class_ == stun.ERROR
    assert answer.error is not None
    assert answer.error[0] == 401
    for datagram in PlainPeer().receive():
        await stranger.send(datagram)
    counters = await settled(worker, 2)
    assert counters.arrivals["UNKNOWN_PATH"] == 1
    assert counters.counters["stun_bad_integrity"] == 1


async def test_a_stranger_gets_no_answer_at_all(worker: Process) -> None:
    """Unknown user name, DTLS without a check, RTP, and nothing at all: the one answer is for who is known."""
    await worker.describe()
    stranger = worker.client()
    await stranger.send(stun.binding_request(bytes(12), "nobody:x", PASSWORD, controlling=7))
    for datagram in (*PlainPeer().receive(), b"\x80" + bytes(30), b""):
        await stranger.send(datagram)
    answer = await stranger.check()
    assert answer.class_ == stun.SUCCESS  # and it is the first datagram that came back
    arrivals = (await worker.counters()).arrivals
    assert (arrivals["HANDED_UP"], arrivals["UNKNOWN_PATH"], arrivals["EMPTY"]) == (2, 2, 1)


async def test_an_ice_restart_reaches_the_kernel(worker: Process) -> None:
    await worker.describe()
    client = worker.client()
    await client.check()
    ice = {"local_ufrag": "ours1", "local_pwd": "another", "remote_ufrag": "theirs", "remote_pwd": "x"}
    await worker.describe(ice=ice)
    answer = await client.check(password=b"another")
    assert answer.class_ == stun.SUCCESS
    assert (await worker.counters()).arrivals["STUN_ANSWERED"] == 1


# -- DTLS ----------------------------------------------------------------------------------------------------


async def test_a_handshake_ends_with_keys_in_the_kernel_and_every_datagram_in_one_verdict(worker: Process) -> None:
    await worker.describe()
    client, peer = worker.client(), PlainPeer()
    await client.check(nominate=True)
    await worker.counters()
    await client.shake_hands(peer)
    assert (await worker.hear(channel.PeerConnected)).peer == 1
    assert peer.ssl.get_selected_srtp_profile() == b"SRTP_AEAD_AES_128_GCM"
    await client.send(b"\x80\x60" + bytes(30))  # with keys, garbage is a wrong tag; without, NO_KEYS
    await client.check()
    counters = await balanced(worker)
    assert (counters.arrivals["SRTP_BAD_TAG"], counters.arrivals["NO_KEYS"]) == (1, 0)
    assert counters.rows == {"peers": 1, "tracks": 0, "layers": 0, "slots": 1}


async def test_an_inspection_tells_what_became_of_the_handshake(worker: Process) -> None:
    await worker.describe()
    client = worker.client()
    await client.check(nominate=True)
    worker.send(channel.Inspect(request=8))
    (before,) = (await worker.hear(channel.Inspection)).peers
    assert (before.state, before.paths, before.family, before.srtp) == ("negotiated", 1, "ipv4", "")
    await client.shake_hands(PlainPeer())
    await worker.hear(channel.PeerConnected)
    worker.send(channel.Inspect(request=9))
    (peer,) = (await worker.hear(channel.Inspection)).peers
    assert (peer.state, peer.srtp, [slot.mid for slot in peer.slots]) == ("connected", "AEAD_AES_128_GCM", ["v"])
    assert 0 <= peer.silent_ms < 5000


async def test_no_common_srtp_profile_is_told_with_the_reason(worker: Process) -> None:
    await worker.describe()
    client = worker.client()
    await client.check()
    await worker.counters()
    await client.shake_hands(PlainPeer(profiles=None))
    failed = await worker.hear(channel.PeerFailed)
    assert (failed.peer, failed.code) == (1, "media_failed")
    assert "SRTP profile" in failed.reason


async def test_a_certificate_that_is_not_the_offers_is_told(worker: Process) -> None:
    await worker.describe(fingerprints=({"algorithm": "sha-256", "value": ":".join(["AB"] * 32)},))
    client = worker.client()
    await client.check()
    await worker.counters()
    await client.shake_hands(PlainPeer())
    assert "fingerprint" in (await worker.hear(channel.PeerFailed)).reason


# -- paths ---------------------------------------------------------------------------------------------------


async def test_a_nomination_from_a_second_address_moves_the_peer_there(worker: Process) -> None:
    """Where the peer's packets go is seen by the close_notify of its end."""
    await worker.describe()
    first, second = worker.client(), worker.client()
    await first.check(nominate=True)
    await worker.counters()
    await first.shake_hands(PlainPeer())
    await worker.hear(channel.PeerConnected)
    await second.check(nominate=True)
    worker.send(channel.Close(peer=1))
    assert 20 <= (await second.receive())[0] < 64
    await worker.counters()
    with pytest.raises(BlockingIOError):
        while first.socket.recv(2048)[0] != 21:  # an alert is record type 21 (RFC 6347)
            pass


async def test_many_paths_push_out_the_oldest_but_not_the_one_that_media_takes(worker: Process) -> None:
    await worker.describe()
    nominated, oldest = worker.client(), worker.client()
    await nominated.check(nominate=True)
    await oldest.check()
    for _ in range(15):
        await worker.client().check()
    before = (await worker.counters()).arrivals["STUN_ANSWERED"]
    await nominated.check()
    assert (await worker.counters()).arrivals["STUN_ANSWERED"] == before + 1
    await oldest.check()
    assert (await worker.counters()).arrivals["STUN_ANSWERED"] == before + 1


# -- commands and ends ---------------------------------------------------------------------------------------


async def test_two_peers_with_one_user_name_are_refused_and_the_first_is_untouched(worker: Process) -> None:
    await worker.describe(1)
    worker.send(description(7, 2, ice=description(0, 1).ice))
    refused = await worker.hear(channel.Refused)
    assert (refused.request, refused.code) == (7, "internal")
    counters = await worker.counters()
    assert (counters.rows["peers"], counters.rows["slots"]) == (1, 1)
    assert (await worker.client().check()).class_ == stun.SUCCESS


async def test_close_frees_all_rows_and_the_peers_checks_find_nobody(worker: Process) -> None:
    await worker.describe()
    client = worker.client()
    await client.check()
    worker.send(channel.Close(peer=1))
    worker.send(channel.Close(peer=1))
    await rows_free(worker)
    await client.send(stun.binding_request(bytes(12), "ours1:theirs", PASSWORD, controlling=7))
    counters = await settled(worker, 2)
    assert counters.counters["stun_unknown_ufrag"] == 1
    await worker.describe()
    assert (await client.check()).class_ == stun.SUCCESS


async def test_stop_ends_the_worker_without_complaint(worker: Process) -> None:
    await worker.describe()
    worker.send(channel.Stop())
    status, log = await worker.ended()
    assert status == 0
    assert "ERROR" not in log
    assert "Traceback" not in log


async def test_a_worker_whose_node_is_gone_ends(worker: Process) -> None:
    await worker.describe()
    worker.writer.close()
    assert (await worker.ended())[0] == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00\x00\x04\xc1\xc1\xc1\xc1",  # no msgpack
        b"\x00\x00\x00\x01\x05",  # msgpack, but no command
        b"\xff\xff\xff\xff",  # a length over the limit
    ],
)
async def test_garbage_on_the_channel_ends_the_worker_with_a_reason_in_the_log(worker: Process, garbage: bytes) -> None:
    worker.writer.write(garbage)
    status, log = await worker.ended()
    assert status == 1
    assert "ERROR stentor.worker the channel is broken: " in log
    assert "Traceback" not in log


async def settled(worker: Process, handed_or_dropped: int) -> channel.Counters:
    """Counters, once so many datagrams that nobody answers have been counted."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            counters = await worker.counters()
            stun_verdicts = sum(n for name, n in counters.counters.items() if name.startswith("stun_"))
            if stun_verdicts + counters.arrivals["UNKNOWN_PATH"] >= handed_or_dropped:
                return counters


async def balanced(worker: Process) -> channel.Counters:
    """Counters in which every datagram has one verdict. An answer leaves before the kernel has counted its burst."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            counters = await worker.counters()
            if sum(counters.arrivals.values()) == counters.packets["received"] > 0:
                return counters


async def rows_free(worker: Process) -> None:
    """Wait until the kernel has retired every row."""
    async with asyncio.timeout(WITHIN_S):
        while any((await worker.counters()).rows.values()):
            pass
