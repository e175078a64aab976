"""[I/O] What a worker would find on this machine: addresses, ports, buffers, kernel, SRTP. For `stentor doctor`.

Started with exec, as a worker is: `python -m sfu.probe --port N [--address IP ...]` prints one JSON object. So a
compiled module that crashes ends this process and not the doctor.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from sfu.interfaces import local_addresses
from sfu.probed import Finding, Probe
from sfu.transport.sockets import BUFFER_BYTES_ASKED, open_sockets

# (tables.Profile, key bytes, salt bytes)
PROFILES = {"AEAD_AES_128_GCM": (1, 16, 12), "AEAD_AES_256_GCM": (2, 32, 12), "AES_CM_128_HMAC_SHA1_80": (3, 16, 14)}
# A media packet of the usual size; sealed so often for one figure, which takes a few milliseconds.
PACKET_BYTES = 1200
ROUNDS = 2000


def try_address(address: str, port: int) -> Finding:
    """Whether the media socket of this address can be had, and its buffers."""
    try:
        (bound,) = open_sockets([address], port)
    except (OSError, ValueError) as error:
        return Finding(address, port, error=str(error))
    with bound.socket:
        return Finding(address, bound.port, "", bound.receive_buffer_bytes, bound.send_buffer_bytes)


def try_kernel() -> str:
    """Empty when the compiled kernel loads and takes a step; else why not."""
    try:
        from sfu.routing.kernel.step import Kernel
        from sfu.routing.tables import Limits

        Kernel(Limits(peers=1, rooms=1, tracks=1, layers=1, slots=1, commands=16, events=512), []).step()
    except (ImportError, OSError, ValueError, MemoryError) as error:
        return str(error) or type(error).__name__
    return ""


def seal_ns(profile: str) -> int:
    """Nanoseconds to seal one packet; 0 when what was sealed cannot be opened again."""
    from sfu.routing.kernel.srtp import Session

    number, key, salt = PROFILES[profile]
    ours, theirs = (bytes([side]) * key for side in (1, 2))
    here = Session(number, ours, bytes(salt), theirs, bytes(salt))
    there = Session(number, theirs, bytes(salt), ours, bytes(salt))
    packet = bytes([0x80, 96, 0, 1]) + bytes(PACKET_BYTES - 4)
    began = time.perf_counter_ns()
    for index in range(1, ROUNDS + 1):
        sealed = here.seal_rtp(packet, index)
    took = (time.perf_counter_ns() - began) // ROUNDS
    return took if there.open_rtp(sealed, ROUNDS) == packet else 0


def libcrypto() -> str:
    """The version of the libcrypto that the kernel is bound to; empty when none is loaded."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"(/\S*/libcrypto\.so[.\d]*)$", maps, re.MULTILINE)
    if found is None:
        return ""
    library: Any = ctypes.CDLL(found[1])
    library.OpenSSL_version.restype = ctypes.c_char_p
    return str(library.OpenSSL_version(0).decode())


def probe(addresses: list[str], port: int) -> Probe:
    """Everything; takes some tens of milliseconds. Raises OSError when the interfaces cannot be listed."""
    broken = try_kernel()
    return Probe(
        sockets=tuple(try_address(address, port) for address in addresses or local_addresses()),
        buffer_bytes_asked=BUFFER_BYTES_ASKED,
        kernel_error=broken,
        seal_ns={} if broken else {profile: seal_ns(profile) for profile in PROFILES},
        openssl="" if broken else libcrypto(),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="What a media worker finds on this machine, as JSON.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", action="append", default=[])
    arguments = parser.parse_args()
    sys.stdout.write(msgspec.json.encode(probe(arguments.address, arguments.port)).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
