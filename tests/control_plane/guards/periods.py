"""Guards of the lengths of periods, on which billing will stand."""

from __future__ import annotations

from tests.control_plane.guards import Guard

_FILE = "control_plane/periods.py"

GUARDS = (
    Guard("BIL-04.1", _FILE, "MONTH_DAYS = 30", "MONTH_DAYS = 31"),
    Guard("BIL-04.2", _FILE, "MONTH_DAYS = 30", "MONTH_DAYS = 28"),
    Guard("BIL-04.3", _FILE, "MONTH_DAYS = 30", "MONTH_DAYS = 29"),
    Guard("BIL-04.4", _FILE, "YEAR_DAYS = 360", "YEAR_DAYS = 365"),
    Guard("BIL-04.5", _FILE, "YEAR_DAYS = 360", "YEAR_DAYS = 365"),
)
