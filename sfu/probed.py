"""What the worker's side finds on a machine for the doctor: printed by `sfu.probe`, read by `sfu.machine`."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One media address, tried: `error` is empty when its port could be had."""

    address: str
    port: int
    error: str = ""
    receive_buffer_bytes: int = 0  # as the system tells it: twice what was asked, where all was granted
    send_buffer_bytes: int = 0


class Probe(msgspec.Struct, frozen=True):
    """What `python -m sfu.probe` prints for the doctor, as JSON."""

    sockets: tuple[Finding, ...]
    buffer_bytes_asked: int
    kernel_error: str  # empty = the compiled kernel works
    seal_ns: dict[str, int]  # by SRTP profile, one packet of 1,200 bytes; 0 = it does not work
    openssl: str  # the libcrypto of the kernel
