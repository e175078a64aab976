// Publishes by WHIP and views by WHEP with a library that is not ours. A module, in a page of an origin that is not the
// server's; painter.js stands before it. Hangs on window.
import { WHEPClient } from "./whep.js";
import { WHIPClient } from "./whip.js";

const { paint, read, tone } = window.stentorTest;

class Publisher {
  // {source, hue, toneHz}: the picture is painted in that hue, the sound is that tone while `speak(true)` holds.
  constructor(options) {
    Object.assign(this, options);
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.client = new WHIPClient();
  }

  async publish(url, token) {
    const canvas = Object.assign(document.body.appendChild(document.createElement("canvas")), { width: 320, height: 180 });
    const context = canvas.getContext("2d");
    let number = 0;
    this.painting = setInterval(() => paint(context, 320, 180, this.hue, this.source, number++), 40);
    const audio = new AudioContext({ sampleRate: 48000 });
    await audio.resume();
    const out = audio.createMediaStreamDestination();
    this.loudness = new GainNode(audio, { gain: 0 });
    const oscillator = new OscillatorNode(audio, { frequency: this.toneHz });
    oscillator.connect(this.loudness).connect(out);
    oscillator.start();
    for (const track of [...out.stream.getTracks(), ...canvas.captureStream(25).getTracks()])
      this.pc.addTransceiver(track, { direction: "sendonly" });
    await this.client.publish(this.pc, url, token);
  }

  speak(loud) {
    this.loudness.gain.value = loud ? 0.3 : 0;
  }
}

class Viewer {
  constructor() {
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.client = new WHEPClient();
    this.streams = new Set();
    this.video = document.body.appendChild(document.createElement("video"));
    Object.assign(this.video, { autoplay: true, muted: true, playsInline: true });
  }

  async view(url, token, kinds) {
    for (const kind of kinds) this.pc.addTransceiver(kind, { direction: "recvonly" });
    this.pc.ontrack = ({ streams, track }) => {
      for (const stream of streams) this.streams.add(stream.id);
      if (track.kind === "audio") this.sound = track;
      this.video.srcObject ??= streams[0];
    };
    await this.client.view(this.pc, url, token);
  }

  // What is seen and heard now, and how many streams it came in.
  look() {
    return { ...read(this.video), toneHz: this.sound ? tone(this.sound) : null, streams: this.streams.size };
  }
}

// Pictures decoded or sent so far, and the server's ICE fragment in force.
async function counted(pc) {
  const rows = [...(await pc.getStats()).values()];
  const sum = (name) => rows.reduce((all, row) => all + (row.kind === "video" ? (row[name] ?? 0) : 0), 0);
  return {
    sent: sum("framesSent"),
    decoded: sum("framesDecoded"),
    state: pc.connectionState,
    ufrag: /a=ice-ufrag:(.*)\r\n/.exec(pc.remoteDescription.sdp)[1],
  };
}

Object.assign(window, { Publisher, Viewer, counted });
