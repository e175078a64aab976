"""The viewers of the crowd are real to the server: an offer of Chromium's, a seat, a path, a picture that is sent."""

from __future__ import annotations

import random

import pytest

from benchmarks.client import LightClient, Publish
from benchmarks.crowd import SHARED_KEY, Crowd, token
from benchmarks.viewer import Viewer, chromiums_offer
from benchmarks.whole_server import Meter, p90_us
from sfu.signalling import sdp
from tests.servers import Server, eventually

pytestmark = pytest.mark.alone


PRINT = ":".join(["AB"] * 32)


def test_the_offer_has_chromiums_lines_and_our_credentials() -> None:
    session = sdp.parse(chromiums_offer(3, 1, "ufragufrag", "p" * 24, PRINT))
    assert [section.kind for section in session.media] == ["audio", "audio", "audio", "video"]
    assert [section.mid for section in session.media] == ["0", "1", "2", "3"]
    assert {section.direction for section in session.media} == {"recvonly"}
    assert {section.ice_ufrag for section in session.media} == {"ufragufrag"}
    assert {section.fingerprints[0].value for section in session.media} == {PRINT}
    assert {"VP8", "H264", "VP9", "AV1", "rtx"} <= {codec.name for codec in session.media[3].codecs}


async def test_a_crowd_joins_and_is_sent_the_publishers_picture() -> None:
    async with Server("--room-seats", "100", "--tokens-shared-key", SHARED_KEY) as server:
        url = f"ws://127.0.0.1:{server.http_port}/ws"
        publisher = await LightClient.join(url, token("p", ("camera",)), publish=Publish(1, sound=False))
        before = Meter(server).read()
        async with Crowd.at(url, "v") as crowd:
            assert await crowd.join(6) == []
            assert await server.metric("stentor_participants") == 7
            await crowd.view(publisher.participant)

            async def sent() -> bool:
                line = 'stentor_verdicts_total{stage="departure",verdict="SENT"}'
                return await server.metric(line) >= 6 * 25

            await eventually(sent, within_s=20, what="a second of pictures for each of six")
            after = Meter(server).read()
            assert after.node_s > before.node_s and after.python_s > before.python_s
            assert after.kernel_s > before.kernel_s and after.worker_bytes > 0
        await publisher.leave()


async def test_a_viewer_who_is_refused_says_why(server: Server) -> None:
    async with Crowd.at(f"ws://127.0.0.1:{server.http_port}/ws", "v") as crowd:
        errors = await crowd.join(2)  # the server has another key
    assert len(errors) == 2 and all("unauthorized" in error for error in errors)


async def test_a_viewer_reports_and_leaves_without_a_trace(server: Server) -> None:
    url = f"ws://127.0.0.1:{server.http_port}/ws"
    viewer = await Viewer.join(url, await server.token("r", "v"), random.Random(1))
    viewer.report()
    viewer.feed_back(1_000_000)

    async def read() -> bool:
        return await server.metric('stentor_verdicts_total{stage="arrival",verdict="RTCP_READ"}') >= 2

    await eventually(read, within_s=10, what="both reports are read")
    await viewer.leave()


def test_a_p90_stands_within_its_bucket() -> None:
    before = {0.001: 100.0, 0.002: 100.0, float("inf"): 100.0}
    after = {0.001: 180.0, 0.002: 200.0, float("inf"): 200.0}
    assert round(p90_us(before, after)) == 1500
    assert round(p90_us({}, {0.001: 10.0, float("inf"): 10.0})) == 900
