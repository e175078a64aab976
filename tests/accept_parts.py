"""The numbered parts of "Real life" and its bad input: each is shown by tests, which the acceptance runs and names."""

from __future__ import annotations

import re

from tests.acceptance import Part
from tests.servers import ROOT

# DESIGN's rows that the first benchmark measures.
ROWS = ("1", "4", "5", "13", "14", "16")


def _kernel(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/sfu/routing/kernel/test_{name}.py" for name in names)


def _signalling(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/sfu/signalling/test_{name}.py" for name in names)


PATHS = "tests/browser/test_paths.py"
PARTS = (
    Part("1 Firefox, one each way, from addresses of its own", ("tests/browser/test_firefox.py",)),
    Part("2 IPv6, several addresses, changed paths, one published port, HTTPS for a LAN", (PATHS, "-k", "not blocked")),
    Part("3 TURN by coturn over UDP, TCP and TLS", ("tests/browser/test_turn.py",)),
    Part("3 TURN where UDP to the server is blocked", (PATHS, "-k", "blocked")),
    Part("4 sessions resumed, killed, stopped, twice", ("tests/browser/test_sessions.py", "tests/sfu/test_serve.py")),
    Part(
        "5 roles, limits, policies, audience",
        ("tests/sfu/test_room.py", "tests/sfu/test_audience.py", *_signalling("session"), *_kernel("limit")),
    ),
    Part("6 screen share, another device", ("tests/browser/test_page.py",)),
    Part("6, 7 several slots on one source; H264, VP9, AV1, stereo, DTX, RED", ("tests/browser/test_codecs.py",)),
    Part("8 server API", _signalling("api", "api_rights")),
    Part("9 WHIP and WHEP", ("tests/browser/test_whip.py", *_signalling("whip", "whip_ends", "whip_session"))),
    Part("10 the light client", ("tests/benchmarks/test_client.py", "tests/benchmarks/test_receiving.py")),
    Part("13 metrics, alerts, dashboard, image, unit", ("tests/deploy",)),
    Part("13 doctor and logs", ("tests/sfu/test_doctor.py", "tests/sfu/test_machine.py", "tests/sfu/test_logs.py")),
    Part("bad input: mutants of real captures", ("tests/sfu/test_mutants.py", *_kernel("mutants", "floods"))),
    Part(
        "bad input: floods, storms, half-open handshakes, clients that vanish",
        ("tests/sfu/test_strangers.py", "tests/sfu/test_vanishing.py", "tests/sfu/test_half_open.py"),
    ),
)


def figures_missing() -> list[str]:
    """The rows that docs/benchmarks.md does not tell."""
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    return [row for row in ROWS if not re.search(rf"(?m)^\| {row} \|", page)]
