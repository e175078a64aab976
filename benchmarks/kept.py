"""[I/O] What a benchmark found, kept: printed as a table, and written to benchmarks/results/ as JSON and Markdown."""

from __future__ import annotations

import datetime
import json
import platform
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import rig
from benchmarks.figures import Figure, table

RESULTS = Path(__file__).with_name("results")


def write(figures: Sequence[Figure], what: str, *, keep: bool, name: str = "") -> str:
    """The result as Markdown; with `keep`, also as files whose names are the time and `name`. `what` was measured."""
    now = datetime.datetime.now(datetime.UTC)
    about = machine()
    told = ", ".join(f"{one} {value}" for one, value in about.items())
    text = f"{now:%Y-%m-%d}, {what}; {told}\n\n{table(figures)}\n"
    if keep:
        RESULTS.mkdir(exist_ok=True)
        stem = RESULTS / "-".join(filter(None, (f"{now:%Y-%m-%d-%H%M%S}", name)))
        stem.with_suffix(".md").write_text(text)
        found = {"day": f"{now:%Y-%m-%d}", "what": what, "machine": about, "figures": [one.told() for one in figures]}
        stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    return text


def verdicts(figures: Sequence[Figure]) -> int:
    """Prints how many gates were missed and figures refused; the exit code."""
    refused, missed = (sum(one.verdict == verdict for one in figures) for verdict in ("refused", "missed"))
    print(f"{len(figures)} figures: {missed} gates missed, {refused} refused")
    return 1 if missed or refused else 0


def machine() -> dict[str, Any]:
    """What the figures hang on, without a name or a path of the machine."""
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {
        "cpu": cpu,
        "cores": len(_lines("/proc/cpuinfo", "processor")),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "openssl": _openssl(),
        "commit": _commit(),
    }


def _lines(path: str, beginning: str = "") -> list[str]:
    try:
        return [line for line in Path(path).read_text().splitlines() if line.startswith(beginning)]
    except OSError:
        return []


def _openssl() -> str:
    """Of the kernel: what a worker's probe says."""
    command = [sys.executable, "-m", "sfu.probe", "--port", "0", "--address", "127.0.0.1"]
    probe = subprocess.run(command, capture_output=True, text=True, check=False, cwd=rig.ROOT)
    try:
        return str(json.loads(probe.stdout)["openssl"])
    except (ValueError, KeyError):
        return ssl.OPENSSL_VERSION


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=rig.ROOT
    )
    return told.stdout.strip() or "unknown"
