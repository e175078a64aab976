"""[I/O] The keys of one installation: made at the first start, kept in its folder, readable by the server alone."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

KEY_BYTES = 32
FILE = "control-plane-keys.json"


class KeysUnusable(Exception):
    """The file is there and cannot be used. The text says what to do."""


@dataclass(frozen=True)
class Keys:
    """`fingerprint` finds bans and the one free account again: lost, they are. `webhook` seals the secrets of
    endpoints."""

    fingerprint: bytes = field(repr=False)
    webhook: bytes = field(repr=False)


def keep(folder: Path) -> Keys:
    """Those of the folder, made where there are none. Raises KeysUnusable, OSError."""
    path = folder / FILE
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = {name: secrets.token_hex(KEY_BYTES) for name in ("fingerprint", "webhook")}
        # Under a name of its own first: nobody shall ever read half of it, and of two starts at once one wins.
        fresh = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # the other start was first; its keys hold
        finally:
            fresh.unlink()
    return read(folder)


def read(folder: Path) -> Keys:
    """Those of the folder. Raises KeysUnusable, and OSError: FileNotFoundError where none were made yet."""
    path = folder / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Keys(bytes.fromhex(told["fingerprint"]), bytes.fromhex(told["webhook"]))
    except (ValueError, KeyError, TypeError) as error:
        raise KeysUnusable(f"{path.name} is damaged: put it back from a backup") from error
