"""Guards: the lines of the product that rules stand on. tests.control_plane.broken_guards breaks them.

Every area has a file here with a tuple GUARDS; adding one is one line:

    Guard("ACC-04.1", "control_plane/accounts/free.py", "if taken(connection, key):", "if False:"),

The entry, the file, source text that occurs there exactly once, and what stands in its place while it is broken. The
result must compile (if it is Python); it should be the mistake that somebody could make, not a crash.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    entry: str
    file: str  # from the root of the repository
    text: str
    broken: str


def all_guards() -> list[Guard]:
    """The guards of all areas."""
    modules = sorted(found.name for found in pkgutil.iter_modules(__path__))
    return [guard for name in modules for guard in importlib.import_module(f"{__name__}.{name}").GUARDS]
