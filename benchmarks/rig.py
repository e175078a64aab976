"""[I/O] Where packets go when they are measured, and the raw sender that they are measured against.

On the `ifb` rig they leave by a device that throws every frame away in its transmit function: the send path and nothing
behind it. It needs a network namespace (root). Without one they go to sockets on loopback that nobody reads, whose
receive path is charged to the sender too; ratios there are kinder to us, and every table says which rig it was.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "benchmarks"
SOURCE = Path(__file__).with_name("raw_sender.c")

Kind = Literal["ifb", "loopback"]
KINDS: tuple[Kind, ...] = ("ifb", "loopback")
# A process that was started again inside of a namespace is told so by this argument.
INSIDE = "--inside-namespace"
# Our own address on the device that throws away, and the network behind it in which everybody is.
_OWN, _DEVICE = "10.98.0.1", "nowhere"
_SET_UP = f"""
ip link set lo up
ip link add {_DEVICE} type ifb
ip link set {_DEVICE} up txqueuelen 1000
ip address add {_OWN}/15 dev {_DEVICE}
"""


class RigUnavailable(Exception):
    """The rig cannot be had here; the text says why and what to do."""


def namespaces_allowed() -> bool:
    """Whether this user may make a network namespace with an ifb device in it."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    script = "set -e\n" + _SET_UP
    return subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, check=False).returncode == 0


def enter(module: str, arguments: Sequence[str]) -> int:
    """Run `python -m module ...` again in a namespace of its own with the ifb rig set up; its exit status."""
    script = f'set -e\n{_SET_UP}\nexec "$@"'
    command = [sys.executable, "-m", module, *arguments, INSIDE]
    return subprocess.run(["unshare", "--net", "sh", "-c", script, "sh", *command], cwd=ROOT, check=False).returncode


def datagram_socket(host: str = "127.0.0.1") -> socket.socket:
    """A UDP socket on this address, by a port that the system chooses, whose calls never wait."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.setblocking(False)
    return made


@dataclass
class Rig:
    """`address(i)` is where viewer i is; packets to it are lost on purpose."""

    kind: Kind
    viewers: int
    _sinks: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Rig:
        if self.kind == "loopback":
            for _ in range(self.viewers):
                sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                # The smallest there is: after a few packets each one is dropped where it arrives.
                sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                sink.bind(("127.0.0.1", 0))
                self._sinks.append(sink)
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks:
            sink.close()

    def address(self, viewer: int) -> tuple[str, int]:
        if self.kind == "loopback":
            host, port = self._sinks[viewer].getsockname()
            return str(host), int(port)
        return f"10.99.{viewer >> 8}.{viewer & 255}", 40_000 + viewer % 1000

    def server_socket(self) -> socket.socket:
        """A socket that can send to every address, and be sent to over loopback."""
        return datagram_socket("0.0.0.0" if self.kind == "ifb" else "127.0.0.1")


class RawSender:
    """`sendmmsg` of the same number of bytes to the same addresses, in C."""

    def __init__(self, rig: Rig) -> None:
        """Raises RigUnavailable without a C compiler."""
        self._send = _library().raw_send
        self._socket = rig.server_socket()
        packed = b"".join(_sockaddr(*rig.address(viewer)) for viewer in range(rig.viewers))
        self._addresses = ctypes.create_string_buffer(packed, len(packed))
        self._count = rig.viewers

    def close(self) -> None:
        self._socket.close()

    def us_a_packet(self, size: int, packets: int) -> float:
        """CPU microseconds of one datagram of `size` bytes. Raises OSError."""
        spent_ns = int(self._send(self._socket.fileno(), self._addresses, self._count, size, packets))
        if spent_ns < 0:
            raise OSError(-spent_ns, os.strerror(-spent_ns))
        return spent_ns / 1000 / packets


def _sockaddr(host: str, port: int) -> bytes:
    """struct sockaddr_in: the family in this machine's order, the rest in the network's."""
    return socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + socket.inet_aton(host) + bytes(8)


def _library() -> ctypes.CDLL:
    target = BUILD / "raw_sender.so"
    if not target.exists() or target.stat().st_mtime < SOURCE.stat().st_mtime:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise RigUnavailable("no C compiler: install gcc")
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(target), str(SOURCE)], check=True)
    library = ctypes.CDLL(str(target))
    library.raw_send.restype = ctypes.c_int64
    library.raw_send.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    return library
