"""[I/O] What this process uses of the machine, as the system counts it."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from sfu.channel import ProcessUse

_SELF = Path("/proc/self")


def process_use() -> ProcessUse:
    """Of the calling process, all its threads together. Raises OSError where there is no /proc."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(_SELF.joinpath("statm").read_text(encoding="ascii").split()[1])
    return ProcessUse(
        cpu_s=used.ru_utime + used.ru_stime,
        resident_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
        open_files=len(os.listdir(_SELF / "fd")),
        open_files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
