"""[I/O] Hands records of usage and of rooms to the control plane; keeps them on disk until it has acknowledged them.

What `keep` has returned for survives `kill -9`: it is on the disk, and is sent until the other side says that it has
it, after longer and longer waits while that fails. It may be sent twice (the answer can be lost), so each record names
itself. Media never waits: the file is written by a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import httpx2
import msgspec

from sfu import usage
from sfu.config import Uplink as Settings
from sfu.logs import fields
from sfu.signalling.backend import UplinkSums

log = logging.getLogger("stentor.uplink")
T = TypeVar("T")

# Records of one request: at most 50 kB, which any server takes.
BATCH = 150
# First and largest wait after a failure. Shorter: a control plane that comes back is met by a storm.
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 60.0
ANSWER_WITHIN_S = 20.0
# Rooms that opened or ended are told within this time. Shorter: more writes to the disk.
EVENTS_EVERY_S = 0.5
# At the end of the server what is kept is offered once more for so long; the rest is told by the next start.
STOP_WITHIN_S = 1.0
# How often a full store is complained of.
COMPLAIN_EVERY_S = 60.0


class Counted(Protocol):
    """The node, as far as it is needed here."""

    books: usage.Books | None
    uplink_sums: Callable[[], UplinkSums]
    meter: Callable[[], Awaitable[None]]


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The node began: rooms of its earlier runs have ended, and it knows no policy."""

    at_ms: int


Entry = Started | usage.RoomOpened | usage.RoomEnded | usage.Used


class Batch(msgspec.Struct, frozen=True):
    """The body of a request. `boot` names this run of the node (of the one that made the records)."""

    boot: str
    records: tuple[msgspec.Raw, ...]


class Store:
    """Records on disk, in the order in which they were kept, with the run of the node that made them. Not for the loop.

    An SQLite file: written whole or not at all, and on the disk when `add` returns.
    """

    def __init__(self, path: str, kept_max: int) -> None:
        self._kept_max = kept_max
        self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        os.chmod(path, 0o600)
        for line in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE IF NOT EXISTS outgoing (number INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT, body BLOB)",
        ):
            self._rows.execute(line)
        self.kept = int(self._rows.execute("SELECT count(*) FROM outgoing").fetchone()[0])

    def add(self, boot: str, bodies: Sequence[bytes]) -> int:
        """Keep them; how many found no room any more. What was there first stays: it was owed first."""
        room = max(0, self._kept_max - self.kept)
        taken = bodies[:room]
        if taken:
            self._rows.execute("BEGIN IMMEDIATE")
            self._rows.executemany("INSERT INTO outgoing (boot, body) VALUES (?, ?)", [(boot, one) for one in taken])
            self._rows.execute("COMMIT")
            self.kept += len(taken)
        return len(bodies) - len(taken)

    def first(self, most: int = BATCH) -> tuple[int, str, tuple[bytes, ...]]:
        """The oldest records of one run: (number of the last of them, run, bodies)."""
        rows = self._rows.execute("SELECT number, boot, body FROM outgoing ORDER BY number LIMIT ?", (most,)).fetchall()
        if not rows:
            return 0, "", ()
        boot = rows[0][1]
        same = [row for row in rows if row[1] == boot]
        # Runs follow each other, so those of the first run stand together.
        return same[-1][0], boot, tuple(row[2] for row in same)

    def forget(self, through: int) -> int:
        """Those up to this number were acknowledged; how many that were."""
        gone = self._rows.execute("DELETE FROM outgoing WHERE number <= ?", (through,)).rowcount
        self.kept -= gone
        return gone

    def close(self) -> None:
        self._rows.close()


class Uplink:
    """One of each node that has a control plane."""

    def __init__(self, settings: Settings, unix_time: Callable[[], float] = time.time) -> None:
        """Raises sqlite3.Error or OSError when the file cannot be used."""
        self._settings = settings
        self._unix_time = unix_time
        self._boot = secrets.token_hex(8)
        self._store = Store(settings.file, settings.kept_max)
        self._thread = ThreadPoolExecutor(1, "uplink")
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._node: Counted | None = None
        self._failing = False
        self._acknowledged = self._dropped = self._failures = 0
        self._complained_at = float("-inf")

    def sums(self) -> UplinkSums:
        """For /metrics."""
        return UplinkSums(self._store.kept, self._acknowledged, self._dropped, self._failures)

    def reaches(self) -> bool:
        """False while the control plane does not answer: nobody is given a grant then."""
        return not self._failing

    async def start(self, node: Counted | None = None) -> None:
        """Say that the node began; from now on keep its books, report them, and send what is kept."""
        if node is not None:
            self._node = node
            node.books = usage.Books()
            node.uplink_sums = self.sums
            self._tasks.append(asyncio.create_task(self._report(node, node.books)))
        await self.keep([Started(self._now_ms())])
        self._tasks.append(asyncio.create_task(self._send()))

    async def keep(self, entries: Sequence[Entry]) -> None:
        """When this returns they are on the disk, or counted as dropped."""
        if not entries:
            return
        bodies = [msgspec.json.encode(entry) for entry in entries]
        dropped = await self._off_loop(lambda: self._store.add(self._boot, bodies))
        if dropped:
            self._dropped += dropped
            now = time.monotonic()
            if now - self._complained_at >= COMPLAIN_EVERY_S:
                self._complained_at = now
                log.error(
                    "records are lost: the control plane has not taken any for too long",
                    extra=fields(kept=self._store.kept, dropped=self._dropped),
                )
        self._news.set()

    async def stop(self) -> None:
        """Keep the rest of what the node counted, offer it once more, and let go. After the node has stopped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._node is not None and self._node.books is not None:
            books = self._node.books
            await self.keep([*books.events(), *books.cut(self._now_ms(), last=True)])
        try:
            async with asyncio.timeout(STOP_WITHIN_S), self._client() as client:
                while self._store.kept:
                    await self._hand_over(client)
        except (TimeoutError, httpx2.HTTPError, _Refused) as error:
            log.warning("records wait for the next start: %s", error, extra=fields(kept=self._store.kept))
        await self._off_loop(self._store.close)
        self._thread.shutdown()

    # -- what is told --
    async def _report(self, node: Counted, books: usage.Books) -> None:
        due = time.monotonic() + self._settings.report_s
        while True:
            await asyncio.sleep(min(EVENTS_EVERY_S, self._settings.report_s))
            cuts = time.monotonic() >= due
            if cuts:
                due = time.monotonic() + self._settings.report_s
                await node.meter()
            # What was taken out of the books is on no paper yet: whoever ends this task ends it before or behind here.
            entries: list[Entry] = list(books.events())
            if cuts:
                entries += books.cut(self._now_ms())
            await asyncio.shield(self.keep(entries))

    # -- handing over --
    async def _send(self) -> None:
        wait_s = RETRY_FIRST_S
        async with self._client() as client:
            while True:
                self._news.clear()
                if not self._store.kept:
                    # An empty batch now and then: whether the other side answers must be known before it is needed.
                    # Not wait_for: it forgets a cancellation that comes with the news (Python 3.11).
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.report_s):
                            await self._news.wait()
                try:
                    await self._hand_over(client)
                    self._answered()
                    wait_s = RETRY_FIRST_S
                except (httpx2.HTTPError, _Refused) as error:
                    self._failed(error)
                    await asyncio.sleep(wait_s)
                    wait_s = min(RETRY_MAX_S, wait_s * 2)

    async def _hand_over(self, client: httpx2.AsyncClient) -> None:
        """One batch. Raises httpx2.HTTPError or _Refused."""
        through, boot, bodies = await self._off_loop(self._store.first)
        batch = msgspec.json.encode(Batch(boot or self._boot, tuple(msgspec.Raw(body) for body in bodies)))
        answer = await client.post(self._settings.url, content=batch)
        if answer.status_code != 200:
            raise _Refused(f"HTTP {answer.status_code}")
        self._acknowledged += await self._off_loop(lambda: self._store.forget(through))

    def _answered(self) -> None:
        if self._failing:
            log.warning("the control plane takes records again", extra=fields(kept=self._store.kept))
        self._failing = False

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if not self._failing:
            log.warning("the control plane takes no records: %s", error, extra=fields(kept=self._store.kept))
        self._failing = True

    def _client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self._settings.token}", "Content-Type": "application/json"}
        # No proxy of the environment: the token is for this address alone, and so redirects are not followed either.
        return httpx2.AsyncClient(headers=headers, timeout=ANSWER_WITHIN_S, trust_env=False)

    def _now_ms(self) -> int:
        return round(self._unix_time() * 1000)

    async def _off_loop(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)


class _Refused(Exception):
    """The control plane answered, and has not taken the batch."""
