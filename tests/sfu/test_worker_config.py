"""A worker starts with its own few settings, and without what only node and control plane need."""

from __future__ import annotations

import asyncio

from sfu import channel
from tests.sfu.test_worker import started

# Each would make the silence longer in which a worker that died is replaced; joserfc alone was a fifth of a start.
OTHERS = {
    *("authlib", "control_plane", "fastapi", "httpx", "httpx2", "joserfc", "pydantic"),
    *("sqlalchemy", "starlette", "uvicorn"),
}


async def test_a_started_worker_has_loaded_nothing_that_only_others_need() -> None:
    async with started("-X", "importtime") as worker:
        ended = asyncio.create_task(worker.process.communicate())  # reads, so that the list never fills the pipe
        async with asyncio.timeout(20):  # the imports, on a busy machine
            assert isinstance(await channel.read_event(worker.reader), channel.WorkerReady)
            worker.send(channel.Stop())
            _, told = await ended
    lines = [line for line in told.decode().splitlines() if line.startswith("import time:")]
    packages = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert {"sfu", "msgspec", "uvloop"} <= packages
    assert not packages & OTHERS
