"""A real Prometheus scrapes a running control plane: every query of its dashboard and alerts finds what it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.control_plane.test_whole import Visitor
from tests.control_plane.whole import answers, planes, serving
from tests.deploy.test_monitoring import dashboard, selectors
from tests.prometheus import Prometheus, prometheus
from tests.servers import eventually

# What only faults, strangers and failing work show. Everything else must be there, or a name or a label is wrong.
EMPTY_WHEN_WELL = ("Limits hit", "Attempts at jobs")  # no job falls due in the first minutes
# Of the rules: there from the first of its kind on.
UNSEEN = (
    'stentor_control_requests_total{status="5xx"}',
    'stentor_control_problems_total{instance=~".*"}',
    'stentor_control_jobs_run_total{instance=~".*"}',
)


async def state_of(api: Prometheus, alert: str) -> str:
    rules = [rule for group in (await api.get("/api/v1/rules"))["groups"] for rule in group["rules"]]
    (state,) = [rule["state"] for rule in rules if rule["name"] == alert]
    return str(state)


@pytest.mark.slow
async def test_every_query_of_dashboard_and_alerts_finds_its_series(tmp_path: Path) -> None:
    server, origin = serving(tmp_path)
    async with server:
        await answers(origin)
        port = int(origin.rpartition(":")[2])
        async with prometheus(port, tmp_path, job="stentor-control", alerts="control_alerts") as api:
            ada = Visitor(origin, "ada@example.com")
            await ada.sign_up()
            made = (await ada.ask("POST", "/events", {"kind": "meeting", "title": "Lesson"})).json()

            async def scraped() -> bool:
                # Something happens between any two scrapes, for rates need both.
                await ada.join(made["number"])
                await ada.ask("GET", "/nowhere")
                await ada.ask("POST", "/password-resets", {"email": "nobody@example.com"})
                seen = await api.ask('rate(stentor_control_joins_total{outcome="ok"}[30s]) > 0')
                sent = await api.ask('stentor_control_outbox_tries_total{kind="mail",result="sent"} > 0')
                walked = await api.ask("stentor_control_audit_walked_rows")
                return bool(seen) and bool(sent) and bool(walked)

            await eventually(scraped, within_s=60, what="Prometheus has seen joins, mails and a walk", every_s=0.3)
            missing = []
            for title, expression in dashboard("stentor-control"):
                if not await api.ask(expression) and title not in EMPTY_WHEN_WELL:
                    missing.append(f"{title}: {expression}")
            rules = [rule for group in (await api.get("/api/v1/rules"))["groups"] for rule in group["rules"]]
            assert len(rules) > 10 and not [rule for rule in rules if rule.get("lastError")]
            read = {one for rule in rules for one in selectors(rule["query"])}
            read |= {one for _, expression in dashboard("stentor-control") for one in selectors(expression)}
            read -= {one for one in read if one.startswith("stentor_control_limited_total") or one in UNSEEN}
            missing += [one for one in sorted(read) if not await api.ask(one)]
            assert not missing, "\n".join(missing)
            ill = [one["name"] for one in rules if one["state"] != "inactive"]
            assert not ill, f"a healthy control plane raises {ill}"


@pytest.mark.slow
async def test_a_control_plane_that_hangs_is_an_alert_while_the_media_server_is_well(tmp_path: Path) -> None:
    server, origin = serving(tmp_path)
    async with server:
        await answers(origin)
        port = int(origin.rpartition(":")[2])
        async with prometheus(port, tmp_path, job="stentor-control", alerts="control_alerts") as api:

            async def up() -> bool:
                return bool(await api.ask('up{job="stentor-control"} == 1'))

            await eventually(up, within_s=60, what="a scrape was answered")
            (plane,) = planes(server)
            plane.suspend()
            try:

                async def raised() -> bool:
                    return await state_of(api, "StentorControlDown") == "pending"

                await eventually(raised, within_s=60, what="StentorControlDown is on its way")
                assert (await server.get("/readyz"))[0] == 200
            finally:
                plane.resume()

            async def well() -> bool:
                return await state_of(api, "StentorControlDown") == "inactive"

            await eventually(well, within_s=60, what="it is well again")
