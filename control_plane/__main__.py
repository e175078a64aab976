"""[I/O] `python -m control_plane`: see control_plane.serve."""

import sys

from control_plane.serve import main

sys.exit(main())
