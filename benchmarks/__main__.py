"""`python -m benchmarks`: the figures of DESIGN section 10, beside a raw sender in the same run.

Each figure is taken against `sendmmsg` of the same bytes (benchmarks/raw_sender.c), before and after every sample.
Where the two differ by more than 10 % the sample is thrown away; a row without enough good samples is refused and not
printed. Results are written to benchmarks/results/ as JSON and Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import held, kept, rig, whole_server
from benchmarks.fanout import Fanout
from benchmarks.figures import Figure, Series, collect, of_series
from benchmarks.rig import Kind, RawSender, Rig

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
    print(kept.write(figures, f"rig `{kind}`", keep=not asked.no_files))
    return kept.verdicts(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
