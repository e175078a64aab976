"""What stands in deploy/ is what the tools it is for accept, and what the rest of the tree says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sfu.config import fields
from sfu.config_sources import build, parse_toml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Of the media server and of the control plane.
RULES = ("alerts", "control_alerts")


def alerts(rules: str) -> dict[str, str]:
    """Alert -> severity."""
    text = (DEPLOY / "prometheus" / f"{rules}.yml").read_text(encoding="utf-8")
    return dict(re.findall(r"- alert: (\w+)\n(?:.*\n)*?\s+labels: \{severity: (\w+)\}", text))


def test_promtool_accepts_the_alerts_and_the_configuration() -> None:
    for rules in RULES:
        run("promtool", "check", "rules", str(DEPLOY / "prometheus" / f"{rules}.yml"))
    run("promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


@pytest.mark.parametrize("rules", RULES)
def test_every_alert_fires_where_it_must_and_is_quiet_where_it_must_not(rules: str) -> None:
    tests = DEPLOY / "prometheus" / f"{rules}_test.yml"
    run("promtool", "test", "rules", str(tests))
    named = re.findall(r"- name: (\w+) (fires|is quiet)$", tests.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted((alert, end) for alert in alerts(rules) for end in ("fires", "is quiet"))


@pytest.mark.parametrize("rules", RULES)
def test_an_alert_that_is_changed_no_longer_passes_its_tests(rules: str, tmp_path: Path) -> None:
    for name in (f"{rules}.yml", f"{rules}_test.yml"):
        shutil.copy(DEPLOY / "prometheus" / name, tmp_path / name)
    changed = tmp_path / f"{rules}.yml"
    changed.write_text(changed.read_text(encoding="utf-8").replace("> 0.8", "> 8"), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / f"{rules}_test.yml")], capture_output=True, check=False, timeout=60
    )
    assert done.returncode != 0


def test_every_alert_stands_in_the_operations_page_with_its_severity() -> None:
    known = {alert: severity for rules in RULES for alert, severity in alerts(rules).items()}
    assert len(known) > 20 and known == dict(re.findall(r"^\| `(Stentor\w+)` \| (\w+) \|", OPERATIONS, re.MULTILINE))


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "stentor.service").read_text(encoding="utf-8")
    unit = tmp_path / "stentor.service"
    # systemd also looks whether the command is there.
    unit.write_text(text.replace("/opt/stentor/bin/stentor", sys.executable), encoding="utf-8")
    assert sys.executable in unit.read_text(encoding="utf-8")
    run("systemd-analyze", "verify", str(unit))
    unit.write_text(unit.read_text(encoding="utf-8").replace("Type=exec", "Type=magic"), encoding="utf-8")
    broken = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "magic" in broken.stderr, "and it reads the unit at all"


def test_the_image_sets_only_what_is_a_setting_and_is_not_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    given = dict(re.findall(r"(STENTOR_\w+)=([^\s\\]+)", text.partition("ENV PATH")[2]))
    assert given.keys() <= {field.environment for field in fields()}
    config = build({}, given)
    assert (config.http.host, config.log.format) == ("0.0.0.0", "json")
    exposed = re.search(r"^EXPOSE (\d+)/tcp (\d+)/tcp (\d+)/udp$", text, re.MULTILINE)
    assert exposed is not None
    assert (config.http.port, config.control.port, config.media.port) == tuple(int(port) for port in exposed.groups())
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert "gcc" not in last


def test_the_image_gets_every_file_that_the_package_is_built_from() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for word in line.split()}
    kept = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    assert parse_toml((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["readme"] in copied


@pytest.mark.parametrize("name", ["stentor", "stentor-control"])
def test_a_dashboard_has_panels_that_do_not_overlap_and_each_asks_something(name: str) -> None:
    board = json.loads((DEPLOY / "grafana" / f"{name}.json").read_text(encoding="utf-8"))
    assert board["uid"] == name
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
        assert panel["type"] == "row" or all(target["expr"] for target in panel["targets"])
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
