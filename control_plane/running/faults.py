"""How a fault is written down: its kind and place, never its message, which may quote a person's values. Pure."""

from __future__ import annotations

import traceback

from control_plane.errors import ControlPlaneError


def told(fault: BaseException) -> str:
    """For a row and a log: "ZeroDivisionError at renewal.py:31", or a code of ours."""
    if isinstance(fault, ControlPlaneError):
        return f"{type(fault).__name__} {fault.code}"
    frames = traceback.extract_tb(fault.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    place = f" at {ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else ""
    return f"{type(fault).__name__}{place}"
