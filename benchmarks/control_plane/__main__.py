"""`python -m benchmarks.control_plane`: how fast accounts and grants are, beside an idle run of the same server.

It starts `stentor serve` with its control plane on SQLite in a temporary folder, lets people sign up, and asks over
loopback from a process of its own. Everything has the cost and the limits that it has in service.

  a  20 sign in at once (Argon2 of 64 MiB): what that does to every other endpoint, and when the last is in
  b  what a join grant takes, with nobody and with 40 in the room
  c  1,000 people join within a minute and go into the media server beside it: WebSocket, offer, ICE, DTLS

  d  with --renewals alone: nights of renewals in which nobody asks, each on a fresh database; then the last one again
     while guests ask for join grants

An endpoint is measured in turns, idle and busy, so that a machine that slows down slows down both. Results are written
to benchmarks/results/ as JSON and Markdown. The exit code is 1 where a gate was missed or a figure was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from benchmarks import kept
from benchmarks.control_plane import judge, measures
from benchmarks.control_plane.judge import GRANT_AIM_MS
from benchmarks.control_plane.load import Load
from benchmarks.control_plane.measures import Progress
from benchmarks.control_plane.night import Place
from benchmarks.control_plane.plane import ROOM_SEATS, Plane
from benchmarks.figures import Figure
from control_plane.gateway.stripe import AT_ONCE

ROWS = ("a", "b", "c")
# Of row d. More would not be a small company's night any more, and their ids are six digits.
SIZES, SUBSCRIBERS_MAX = "500,1000,2000", 100_000
EXAMPLES = """\
examples:
  python -m benchmarks.control_plane
      all rows, about four minutes on two quiet cores
  python -m benchmarks.control_plane --rows a --rounds 3 --no-files
      a quick look at signing in, half a minute
  python -m benchmarks.control_plane --renewals
      nights of 500, 1,000 and 2,000 renewals; --renewals 1000,10000 for others
  python -m benchmarks.control_plane --renewals 100000 --no-guests
      a night of 100,000, half an hour
  python -m benchmarks.control_plane --renewals 1000 --no-guests --gateway-ms 300
      as with a gateway at the other end of a country; --at-once 1 asks it one after another
  python -m benchmarks.control_plane --database postgresql+psycopg://stentor@/stentor?host=/run/postgresql
      the same on PostgreSQL, in a database that may be written to
"""


async def measured(rows: Sequence[str], rounds: int, joins: int, database: str, progress: Progress) -> list[Figure]:
    """All rows asked for, on one server."""
    found: list[Figure] = []
    aim_ms = None if database else GRANT_AIM_MS
    progress("the server starts")
    async with Plane.at(database) as plane, Load.at(plane.port) as load:
        if "a" in rows:
            found += judge.signing_in(await measures.while_signing_in(plane, load, progress, rounds))
        if "b" in rows:
            empty, full = await measures.grants(plane, load, progress)
            found += judge.grants(empty, full, ROOM_SEATS, aim_ms=aim_ms)
        if "c" in rows:
            found += judge.minute(await measures.a_minute(plane, load, progress, joins), aim_ms=aim_ms)
    return found


async def nights(sizes: Sequence[int], place: Place, guests: bool, progress: Progress) -> list[Figure]:
    """Row d: the nights one after the other, and with `guests` the last one again with guests beside it."""
    gateway = f", a gateway of {place.gateway_ms} ms, {place.at_once} at once" if place.gateway_ms else ""
    quiet = [(await measures.renewals(count, progress, place, beside=False))[0] for count in sizes]
    if not guests:
        return judge.renewals(quiet, gateway)
    with_guests = await measures.renewals(sizes[-1], progress, place, beside=True)
    return judge.renewals(quiet, gateway) + judge.beside_a_night(*with_guests)


def sizes_of(words: str) -> list[int]:
    """Of "500,1000". Raises ValueError."""
    found = [int(word) for word in words.split(",")]
    if min(found) < 2 or max(found) > SUBSCRIBERS_MAX:
        raise ValueError
    return found


def arguments(words: Sequence[str]) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.control_plane", description=__doc__, epilog=EXAMPLES, formatter_class=form
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="which of a, b, c (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=16, help="of row a, 4 s each; a p95 needs five at least (default: %(default)s)"
    )
    parser.add_argument(
        "--joins", type=int, default=measures.JOINS, help="in the minute of row c (default: %(default)s)"
    )
    parser.add_argument(
        "--renewals",
        nargs="?",
        const=SIZES,
        metavar="SIZES",
        help=f"row d and no other: so many subscriptions in each night (default: {SIZES})",
    )
    parser.add_argument("--no-guests", action="store_true", help="of row d only the nights in which nobody asks")
    parser.add_argument("--gateway-ms", type=int, default=0, help="of row d: what a charge takes beside our own work")
    parser.add_argument(
        "--at-once", type=int, default=AT_ONCE, help="charges at one time, with --gateway-ms (default: %(default)s)"
    )
    parser.add_argument(
        "--database", default="", help="PostgreSQL instead of SQLite: control.database, see the example"
    )
    parser.add_argument("--no-files", action="store_true", help="print only; write nothing to benchmarks/results/")
    found = parser.parse_args(words)
    unknown = set(found.rows.split(",")) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if found.renewals is not None:
        try:
            found.renewals = sizes_of(found.renewals)
        except ValueError:
            parser.error(f"--renewals: whole numbers from 2 to {SUBSCRIBERS_MAX} with commas between")
    if found.rounds < 1 or found.joins < 1:
        parser.error("--rounds and --joins are 1 at least")
    if found.gateway_ms < 0 or found.at_once < 1:
        parser.error("--gateway-ms is not negative, and --at-once is 1 at least")
    return found


def main(words: Sequence[str]) -> int:
    asked = arguments(words)
    begin = time.monotonic()

    def progress(what: str) -> None:
        print(f"[{time.monotonic() - begin:4.0f} s] {what}", file=sys.stderr, flush=True)

    if asked.renewals:
        place = Place(asked.database, asked.gateway_ms, asked.at_once if asked.gateway_ms else 1)
        figures = asyncio.run(nights(asked.renewals, place, not asked.no_guests, progress))
    else:
        figures = asyncio.run(measured(asked.rows.split(","), asked.rounds, asked.joins, asked.database, progress))
    what = f"control plane on {'PostgreSQL' if asked.database else 'SQLite'}"
    print(kept.write(figures, what, keep=not asked.no_files, name="control-plane"))
    return kept.verdicts(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
