"""Read by Python in the process of localstripe alone: it listens on loopback only, and leaves no file behind.

As it comes, it listens on every address, and pickles what it knows into one file in the folder of temporary files.
"""

import builtins
import os
import socket
from typing import Any

_bind, _open = socket.socket.bind, builtins.open


def _bind_to_loopback(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        address = ("::1" if self.family == socket.AF_INET6 else "127.0.0.1", address[1])
    _bind(self, address)


def _open_nothing(file: Any, *arguments: Any, **named: Any) -> Any:
    return _open(os.devnull if str(file).endswith("localstripe.pickle") else file, *arguments, **named)


socket.socket.bind = _bind_to_loopback  # type: ignore[method-assign, assignment]
builtins.open = _open_nothing
