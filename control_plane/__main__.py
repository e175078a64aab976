"""[I/O] `python -m control_plane [appoint]`, started by `stentor serve` and `stentor appoint`."""

import sys

from control_plane import appoint, serve

sys.exit(appoint.main() if sys.argv[1:] == ["appoint"] else serve.main())
