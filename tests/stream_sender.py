"""A publisher in a process of its own: sends a stream at a steady pace whatever its parent's GIL does.

`python -m tests.stream_sender PORT_OF_SERVER PORT_TO_BIND COUNT INTERVAL_US`; prints "sending", then "sent".
"""

from __future__ import annotations

import socket
import sys
import time

from tests.kernels import MID, RID, VIDEO_PT, Endpoint, Media, rtp, vp8_payload


def main() -> None:
    server_port, own_port, count, interval_us = (int(word) for word in sys.argv[1:5])
    endpoint = Endpoint(0)
    endpoint.socket.close()
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind(("127.0.0.1", own_port))
    packets = []
    for number in range(count):
        media = Media(0, 100 + number, number * 450, number & 0x7FFF, 1, 0, number == 0, tag=number.to_bytes(4, "big"))
        plain = rtp(
            VIDEO_PT,
            media.index,
            media.timestamp,
            500,
            vp8_payload(media),
            marker=True,
            elements=[(MID, b"v"), (RID, b"0")],
        )
        packets.append(endpoint.srtp.seal_rtp(plain, media.index))
    print("sending", flush=True)
    due = time.monotonic()
    for packet in packets:
        due += interval_us / 1e6
        while (left := due - time.monotonic()) > 0:
            time.sleep(left)  # the pace of the stream itself
        out.sendto(packet, ("127.0.0.1", server_port))
    print("sent", flush=True)


if __name__ == "__main__":
    main()
