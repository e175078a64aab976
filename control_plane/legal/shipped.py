"""[I/O] Reads the texts that come with the program: bodies/<kind>/<date>/<language>.md beside an about.toml.

about.toml has `chapters`, the anchors in their order, and may have `fees = true` for a version that names prices.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from control_plane.legal.texts import Edition

FOLDER = Path(__file__).parent / "bodies"


def editions(folder: Path = FOLDER) -> list[Edition]:
    """All of them. An operator's own folder has the same shape."""
    found = []
    for about in sorted(folder.glob("*/*/about.toml")):
        told = tomllib.loads(about.read_text(encoding="utf-8"))
        found += [
            Edition(
                kind=about.parent.parent.name,  # type: ignore[arg-type]  # texts.publish refuses what is no kind
                version=about.parent.name,
                language=path.stem,
                body=path.read_text(encoding="utf-8"),
                anchors=tuple(told["chapters"]),
                names_fees=bool(told.get("fees", False)),
            )
            for path in sorted(about.parent.glob("*.md"))
        ]
    return found
