"""`python -m benchmarks`: the figures of DESIGN section 10, beside a raw sender in the same run.

Each figure is taken against `sendmmsg` of the same bytes (benchmarks/raw_sender.c), before and after every sample.
Where the two differ by more than 10 % the sample is thrown away; a row without enough good samples is refused and not
printed. Results are written to benchmarks/results/ as JSON and Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import platform
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import held, rig, whole_server
from benchmarks.fanout import Fanout
from benchmarks.figures import Figure, Series, collect, of_series, table
from benchmarks.rig import Kind, RawSender, Rig

RESULTS = Path(__file__).with_name("results")
ROWS = ("1", "3", "4", "5", "13", "14", "16")
EXAMPLES = """\
examples:
  python -m benchmarks
      every row, about ten minutes on two quiet cores
  python -m benchmarks --rows 1,4
      what one forwarded packet costs
  python -m benchmarks --rig loopback
      without a network namespace: for machines where one may not be made
"""
# Packets of one sample: a second of work, so that a stray interrupt does not count.
PACKETS = 200_000
# Gate and aim with OpenSSL 3.0. libcrypto 3.1 and newer seal in half the time.
ROW_1 = {1200: ("1", 2.1, 1.9), 160: ("3", 1.9, 1.7)}
ROW_1_VIEWERS = 500
ROW_4 = (40, 1000)
ROW_4_GATE, ROW_4_AIM = 1.2, 1.1

Progress = Callable[[str], None]


def packet_costs(kind: Kind, rows: Sequence[str], progress: Progress) -> list[Figure]:
    """Rows 1, 3 and 4: CPU of one forwarded packet."""
    found: list[Figure] = []
    for size, (row, gate, aim) in ROW_1.items():
        if row in rows:
            progress(f"row {row}: 1 -> {ROW_1_VIEWERS}, {size} B")
            with Rig(kind, ROW_1_VIEWERS) as places, Fanout(places, size) as fanout:
                series = against_raw(places, fanout)
            what = f"CPU of a forwarded packet of {size} B, GCM, burst 1, 1 -> {ROW_1_VIEWERS}, against raw sendmmsg"
            found.append(of_series(row, what, series, gate=gate, aim=aim))
    if "4" in rows:
        few, many = ROW_4
        progress(f"row 4: 1 -> {many} against 1 -> {few}")
        with (
            Rig(kind, few) as near, Rig(kind, many) as far, Fanout(near, 1200) as small, Fanout(far, 1200) as large,
        ):  # fmt: skip
            series = large_against_small(small, large)
        what = f"CPU of a forwarded packet, 1 -> {many} against 1 -> {few}, 1200 B"
        found.append(of_series("4", what, series, gate=ROW_4_GATE, aim=ROW_4_AIM, reference=f"1 -> {few}"))
    return found


def against_raw(places: Rig, fanout: Fanout) -> Series:
    """Our cost of a packet, between two of the raw sender's for datagrams of the same size."""
    raw = RawSender(places)
    try:
        _, octets = fanout.forward(100)
        return collect(
            lambda: raw.us_a_packet(round(octets), PACKETS),
            lambda: fanout.forward(PACKETS // places.viewers)[0],
        )
    finally:
        raw.close()


def large_against_small(small: Fanout, large: Fanout) -> Series:
    """The large fan-out's cost between two of the small one's: here that is the reference that must stand still."""
    few, many = ROW_4
    return collect(lambda: small.forward(PACKETS // few)[0], lambda: large.forward(PACKETS // many)[0])


def measured(kind: Kind, rows: Sequence[str], progress: Progress) -> list[Figure]:
    """All rows asked for, in the order of DESIGN."""
    found = packet_costs(kind, rows, progress)
    if "5" in rows:
        found += held.figures(progress)
    if {"13", "14", "16"} & set(rows):
        found += [one for one in asyncio.run(whole_server.figures(progress)) if one.row in rows]
    return sorted(found, key=lambda figure: int(figure.row))


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


def page(figures: Sequence[Figure], about: dict[str, Any], kind: Kind, day: str) -> str:
    """The result as Markdown."""
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    return f"{day}, rig `{kind}`; {told}\n\n{table(figures)}\n"


def arguments(words: Sequence[str]) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=EXAMPLES, formatter_class=form
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="of DESIGN section 10 (default: %(default)s)")
    parser.add_argument(
        "--rig", choices=("auto", *rig.KINDS), default="auto",
        help="where packets of rows 1, 3 and 4 go (default: ifb where a network namespace may be made, else loopback)",
    )  # fmt: skip
    parser.add_argument("--no-files", action="store_true", help="print only; write nothing to benchmarks/results/")
    parser.add_argument(rig.INSIDE, action="store_true", help=argparse.SUPPRESS)
    found = parser.parse_args(words)
    unknown = set(found.rows.split(",")) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    return found


def main(words: Sequence[str]) -> int:
    asked = arguments(words)
    inside = bool(getattr(asked, rig.INSIDE.strip("-").replace("-", "_")))
    if not inside and asked.rig != "loopback" and rig.namespaces_allowed():
        return rig.enter("benchmarks", words)
    if not inside and asked.rig == "ifb":
        print("no network namespace may be made here: run as root, or with --rig loopback", file=sys.stderr)
        return 2
    kind: Kind = "ifb" if inside else "loopback"
    begin = time.monotonic()

    def progress(what: str) -> None:
        print(f"[{time.monotonic() - begin:4.0f} s] {what}", file=sys.stderr, flush=True)

    figures = measured(kind, asked.rows.split(","), progress)
    now = datetime.datetime.now(datetime.UTC)
    about = machine()
    text = page(figures, about, kind, f"{now:%Y-%m-%d}")
    print(text)
    if not asked.no_files:
        RESULTS.mkdir(exist_ok=True)
        name = RESULTS / f"{now:%Y-%m-%d-%H%M%S}"
        name.with_suffix(".md").write_text(text)
        told = {"day": f"{now:%Y-%m-%d}", "rig": kind, "machine": about, "figures": [one.told() for one in figures]}
        name.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    refused, missed = (sum(one.verdict == verdict for one in figures) for verdict in ("refused", "missed"))
    print(f"{len(figures)} figures: {missed} gates missed, {refused} refused")
    return 1 if missed or refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
