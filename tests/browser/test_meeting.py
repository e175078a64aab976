"""Two people in real browsers at the product's page."""

from __future__ import annotations

import pytest

from tests import meeting
from tests.clients import async_playwright
from tests.servers import Server

pytestmark = pytest.mark.browser


async def test_two_browsers_see_and_hear_each_other(server: Server) -> None:
    people = [meeting.three_people()[index] for index in (0, 2)]
    async with async_playwright() as playwright, meeting.meeting(playwright, server, "tabs", people) as clients:
        await meeting.everybody_sees_everybody(clients, people)
        await meeting.everybody_hears_everybody(clients, people)
        assert [client.problems for client in clients] == [[], []]


async def test_who_shuts_the_tab_is_gone_from_the_others_page(server: Server) -> None:
    people = meeting.three_people()[:2]
    async with async_playwright() as playwright, meeting.meeting(playwright, server, "leave", people) as clients:
        await meeting.everybody_sees_everybody(clients, people)
        await meeting.a_leaver_is_gone(clients[1], people[1].media.hue_deg, clients[:1])


@pytest.mark.slow
async def test_a_slot_that_is_switched_shows_the_asked_source_and_no_other(server: Server) -> None:
    async with async_playwright() as playwright:
        report = await meeting.switch_sources(playwright, server, "switching", switches=6)
    assert report.frames > 60
    # Five times what a switch takes here; `make accept-meeting` holds the figure itself.
    assert report.slowest_ms <= 1500
    assert (report.strangers, report.backwards) == (0, 0)
    assert report.key_frames <= report.switches + meeting.KEY_FRAMES_SPARE
