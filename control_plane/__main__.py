"""[I/O] `python -m control_plane [appoint | probe]`, for `stentor serve`, `appoint` and `doctor`."""

import sys

from control_plane import appoint, probe, serve

_COMMANDS = {"appoint": appoint.main, "probe": probe.main}

sys.exit(_COMMANDS.get("".join(sys.argv[1:]), serve.main)())
