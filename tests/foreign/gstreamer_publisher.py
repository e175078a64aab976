"""Publishes a red picture and a tone of 500 Hz by WHIP with GStreamer's webrtcbin, until it is ended.

Runs under Debian's own Python, which has GStreamer's bindings: `/usr/bin/python3 gstreamer_publisher.py URL TOKEN`.
Debian 12 has no WHIP element for GStreamer, and its `simple-whip-client` aborts at start (two versions of libsoup meet
in it); so the two HTTP requests are made here, and everything of the media is webrtcbin's.
Writes a line a fact: `answered`, `connected`, `deleted`; what went wrong goes to standard error.
"""

from __future__ import annotations

import signal
import sys
import threading
import urllib.request
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PIPELINE = """
    webrtcbin name=peer bundle-policy=max-bundle
    audiotestsrc is-live=true freq=500 ! audioconvert ! audioresample ! opusenc ! rtpopuspay pt=100
        ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100 ! peer.
    videotestsrc is-live=true pattern=red ! video/x-raw,width=320,height=180,framerate=25/1 ! videoconvert
        ! vp8enc deadline=1 cpu-used=8 ! rtpvp8pay pt=96 picture-id-mode=2
        ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
"""


class Publisher:
    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._location = ""
        self._pipeline = Gst.parse_launch(PIPELINE)
        self._peer = self._pipeline.get_by_name("peer")
        self._peer.connect("on-negotiation-needed", self._offer)
        self._peer.connect("notify::connection-state", self._state)

    def start(self) -> None:
        self._pipeline.set_state(Gst.State.PLAYING)

    def stop(self) -> None:
        """DELETE, and the end of the media."""
        self._ask("DELETE", self._location)
        print("deleted", flush=True)
        self._pipeline.set_state(Gst.State.NULL)

    def _offer(self, peer: Gst.Element) -> None:
        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offered))

    def _offered(self, promise: Gst.Promise) -> None:
        reply = promise.get_reply()  # owns the offer
        offer = reply.get_value("offer")
        self._peer.emit("set-local-description", offer, Gst.Promise.new())
        # Not in GStreamer's thread, which must not wait for HTTP.
        threading.Thread(target=self._post, args=(offer.sdp.as_text(),)).start()

    def _post(self, offer: str) -> None:
        self._location, answer = self._ask("POST", self._url, offer)
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        print("answered", flush=True)
        self._peer.emit("set-remote-description", description, Gst.Promise.new())

    def _ask(self, method: str, url: str, body: str = "") -> tuple[str, str]:
        """The session's URL and the body of the answer. Raises OSError when it is refused."""
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(url, body.encode() or None, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return urljoin(url, answer.headers.get("Location", "")), answer.read().decode()

    def _state(self, peer: Gst.Element, property: object) -> None:
        if peer.get_property("connection-state") == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            print("connected", flush=True)


def main(url: str, token: str) -> None:
    Gst.init(None)
    publisher, loop = Publisher(url, token), GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    publisher.start()
    loop.run()
    publisher.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
