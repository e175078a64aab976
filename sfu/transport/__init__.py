"""How packets get in: ICE-lite, DTLS, candidates and the sockets. Only `sockets` does I/O; the rest returns effects."""
