// A client of stentor.v1 without a page: publishes a painted canvas and a tone, watches its slots frame by frame.
// Used where a test must know every frame by name (switching). Needs painter.js. Hangs on window.stentorTest.
(() => {
  const { paint, read, hear } = window.stentorTest;

  const WORKLET = `
    // Counts quiet stretches of a tone in blocks of 128 samples, once it has been heard.
    class Gaps extends AudioWorkletProcessor {
      constructor() {
        super();
        this.heard = false; this.quiet = 0; this.longest = 0; this.blocks = 0;
        this.onsets = []; // context times at which sound came after at least 200 ms of silence
        this.port.onmessage = (event) => {
          const { heard, blocks, onsets } = this;
          this.port.postMessage({ heard, blocks, onsets, longestMs: (this.longest * 128000) / sampleRate });
          this.onsets = [];
          if (event.data === "reset") this.longest = 0;
        };
      }
      process([input]) {
        let peak = 0;
        for (const sample of input[0] ?? []) peak = Math.max(peak, Math.abs(sample));
        this.blocks++;
        if (peak > 0.01) {
          if (this.heard && (this.quiet * 128) / sampleRate > 0.2) this.onsets.push(currentTime);
          this.heard = true; this.quiet = 0;
        }
        else if (this.heard) { this.quiet++; this.longest = Math.max(this.longest, this.quiet); }
        return true;
      }
    }
    registerProcessor("gaps", Gaps);`;

  class CanvasClient {
    // publish: null or {source, hue, toneHz, width, height, fps, simulcast, flashes, mode, rightHz, sound, red}: mode is the
    // scalabilityMode of each size, rightHz another tone for the right channel, sound the name of its source, red asks
    // for redundant audio. opus: what the offer says of Opus, such as "stereo=1". paired: the first audio slot goes
    // with the first video slot, and so on.
    // relayed: only by the TURN servers that the server tells; only: by this one address of the server.
    constructor({ url, token, publish = null, videoSlots = 0, audioSlots = 0, paired = false, relayed = false, only = "", opus = "" }) {
      Object.assign(this, { url, token, publish, videoSlots, audioSlots, paired, relayed, only, opus });
      this.waiting = new Map();
      this.messages = [];
      this.slots = {};
      this.participants = {};
      this.elements = {}; // mid -> <video> or <audio>
      this.frames = {}; // mid -> [{at, source, number, height, bright}]
      this.gaps = {}; // mid -> worklet
      this.id = 0;
    }

    async join() {
      this.socket = new WebSocket(this.url, "stentor.v1");
      this.socket.onmessage = (event) => this.received(JSON.parse(event.data));
      await new Promise((resolve, reject) => {
        this.socket.onopen = resolve;
        this.socket.onerror = () => reject(new Error("the WebSocket did not open"));
      });
      this.joined = await this.request({ type: "join", token: this.token });
      const relay = { iceServers: this.joined.ice_servers, iceTransportPolicy: "relay" };
      this.pc = new RTCPeerConnection(this.relayed ? relay : { iceServers: [] });
      this.sources = await this.addMedia();
      this.pc.ontrack = (event) => this.track(event.transceiver, event.track);
      const connected = new Promise((resolve, reject) => {
        this.pc.onconnectionstatechange = () => {
          if (this.pc.connectionState === "connected") resolve(undefined);
          if (this.pc.connectionState === "failed") reject(new Error("the peer connection failed"));
        };
      });
      await this.offer();
      await connected;
      return this.joined.participant;
    }

    // Resolves to the server's ICE fragment.
    async offer() {
      const offered = await this.pc.createOffer();
      if (this.opus) offered.sdp = offered.sdp.replace(/^(a=fmtp:\d+ .*useinbandfec=1.*)$/gm, `$1;${this.opus}`);
      await this.pc.setLocalDescription(offered);
      const sources = Object.fromEntries([...this.sources].map(([transceiver, source]) => [transceiver.mid, source]));
      const { sdp } = this.pc.localDescription;
      const answer = await this.request({ type: "offer", sdp, sources, pairs: this.pairs() });
      this.refused = answer.refused;
      const lines = answer.sdp.split("\r\n");
      const kept = lines.filter((line) => !this.only || !line.startsWith("a=candidate:") || line.split(" ")[4] === this.only);
      await this.pc.setRemoteDescription({ type: "answer", sdp: kept.join("\r\n") });
      this.ufrag = lines.find((line) => line.startsWith("a=ice-ufrag:")).slice(12);
      return this.ufrag;
    }

    // The server's fragments before and after.
    async restartIce() {
      const before = this.ufrag;
      this.pc.restartIce();
      return [before, await this.offer()];
    }

    async addMedia() {
      const sources = new Map();
      if (this.publish) {
        const { simulcast, mode } = this.publish;
        const sizes = [{ rid: "q", scaleResolutionDownBy: 4 }, { rid: "h", scaleResolutionDownBy: 2 }, { rid: "f" }];
        const rids = sizes.map((size) => (mode ? { ...size, scalabilityMode: mode } : size));
        this.tracks = [this.picture(), await this.tone()];
        const camera = this.pc.addTransceiver(this.tracks[0], { direction: "sendonly", sendEncodings: simulcast ? rids : [{}] });
        const sound = this.pc.addTransceiver(this.tracks[1], { direction: "sendonly" });
        if (this.publish.red) sound.setCodecPreferences(redFirst());
        sources.set(camera, "camera").set(sound, this.publish.sound ?? "microphone");
      }
      for (let index = 0; index < this.audioSlots; index++) this.pc.addTransceiver("audio", { direction: "recvonly" });
      for (let index = 0; index < this.videoSlots; index++) this.pc.addTransceiver("video", { direction: "recvonly" });
      return sources;
    }

    pairs() {
      if (!this.paired) return [];
      const slots = this.pc.getTransceivers().filter((each) => each.direction === "recvonly");
      const mids = (kind) => slots.filter((each) => each.receiver.track.kind === kind).map((each) => each.mid);
      const videos = mids("video");
      return mids("audio").slice(0, videos.length).map((mid, index) => [mid, videos[index]]);
    }

    picture() {
      const { source, hue, width = 640, height = 360, fps = 25, flashes = false } = this.publish;
      const canvas = document.body.appendChild(document.createElement("canvas"));
      canvas.width = width;
      canvas.height = height;
      const context = canvas.getContext("2d");
      this.number = 0;
      this.painting = setInterval(() => {
        paint(context, width, height, hue, source, this.number++);
        if (!flashes || !this.flashing()) return;
        context.fillStyle = "#fff";
        context.fillRect(0, (4 * height) / 6, width, (2 * height) / 6);
      }, 1000 / fps);
      return canvas.captureStream(fps).getVideoTracks()[0];
    }

    // Whether this frame is in a flash; a beep starts with each. Once a second by the machine's clock, a third of a
    // second apart for sources that follow one another: who hears a stranger's beep measures 333 ms.
    flashing() {
      const second = (performance.timeOrigin + performance.now()) / 1000 - this.publish.source / 3;
      const isNew = this.flashSecond !== undefined && Math.floor(second) !== this.flashSecond;
      this.flashSecond = Math.floor(second);
      if (isNew && this.loudness) {
        const now = this.audio.currentTime;
        this.loudness.gain.setValueAtTime(0.3, now);
        this.loudness.gain.setValueAtTime(0, now + 0.1);
      }
      return second - this.flashSecond < 0.1;
    }

    async tone() {
      this.audio ??= new AudioContext({ sampleRate: 48000 });
      await this.audio.resume();
      const out = this.audio.createMediaStreamDestination();
      this.loudness = new GainNode(this.audio, { gain: this.publish.flashes ? 0 : 0.3 });
      const { toneHz, rightHz } = this.publish;
      const both = new ChannelMergerNode(this.audio, { numberOfInputs: rightHz ? 2 : 1 });
      for (const [channel, frequency] of (rightHz ? [toneHz, rightHz] : [toneHz]).entries()) {
        const oscillator = new OscillatorNode(this.audio, { frequency });
        oscillator.connect(both, 0, channel);
        oscillator.start();
      }
      both.connect(this.loudness).connect(out);
      return out.stream.getAudioTracks()[0];
    }

    // Fall silent, or speak again.
    speak(loud) {
      this.loudness.gain.value = loud ? 0.3 : 0;
    }

    // What this page publishes, once more, straight to another page and past the server: what the browsers alone do
    // to picture and sound. The other page answers with `receiveDirect`, and this one ends with `connectDirect`.
    async offerDirect() {
      this.direct?.close();
      this.direct = new RTCPeerConnection({ iceServers: [] });
      const stream = new MediaStream(this.tracks);
      for (const track of this.tracks) this.direct.addTransceiver(track, { direction: "sendonly", streams: [stream] });
      return gathered(this.direct, await this.direct.createOffer());
    }

    // Its slots are called "direct-audio" and "direct-video".
    async receiveDirect(sdp) {
      this.endDirect();
      this.direct = new RTCPeerConnection({ iceServers: [] });
      this.direct.ontrack = ({ track }) => this.track({ mid: `direct-${track.kind}` }, track);
      await this.direct.setRemoteDescription({ type: "offer", sdp });
      return gathered(this.direct, await this.direct.createAnswer());
    }

    async connectDirect(sdp) {
      await this.direct.setRemoteDescription({ type: "answer", sdp });
    }

    endDirect() {
      this.direct?.close();
      for (const kind of ["audio", "video"]) {
        const mid = `direct-${kind}`;
        this.elements[mid]?.remove();
        delete this.elements[mid];
        delete this.gaps[mid];
      }
    }

    request(message) {
      const id = ++this.id;
      return new Promise((resolve, reject) => {
        this.waiting.set(id, { resolve, reject });
        this.socket.send(JSON.stringify({ ...message, id }));
      });
    }

    received(message) {
      this.messages.push({ at: performance.now(), ...message });
      if (this.messages.length > 2000) this.messages.shift();
      if (message.request != null && this.waiting.has(message.request)) {
        const { resolve, reject } = this.waiting.get(message.request);
        this.waiting.delete(message.request);
        if (message.type === "error") reject(new Error(`${message.code}: ${message.reason}`));
        else resolve(message);
      }
      for (const slot of message.type === "slots" ? message.slots : []) this.slots[slot.mid] = slot;
    }

    track(transceiver, track) {
      const mid = transceiver.mid;
      const element = document.body.appendChild(document.createElement(track.kind));
      element.autoplay = true;
      element.playsInline = true;
      element.srcObject = new MediaStream([track]);
      this.elements[mid] = element;
      void element.play().catch(() => undefined); // refused only when removed again at once
      if (track.kind === "audio") return void this.listen(mid, track);
      this.frames[mid] = [];
      const seen = (now) => {
        const { painted, height, colour } = read(element);
        const bright = colour !== null && Math.min(...colour) > 180;
        if (this.elements[mid] !== element) return;
        this.frames[mid].push({ at: now, height, bright, source: painted?.source ?? null, number: painted?.number ?? null });
        element.requestVideoFrameCallback(seen);
      };
      element.requestVideoFrameCallback(seen);
    }

    async listen(mid, track) {
      const analyser = hear(track);
      const context = analyser.context;
      await context.resume();
      this.worklet ??= context.audioWorklet.addModule(URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" })));
      await this.worklet;
      const node = new AudioWorkletNode(context, "gaps");
      context.createMediaStreamSource(new MediaStream([track])).connect(node);
      this.gaps[mid] = node;
    }

    // Page times in ms at which beeps of a slot left the loudspeaker since the last call.
    async takeBeeps(mid) {
      const { context } = this.gaps[mid];
      const { onsets } = await this.askGaps(mid, "read");
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      return onsets.map((time) => performanceTime + (time - contextTime) * 1000);
    }

    // {mid: {heard, longestMs, onsets}} of every audio slot; the longest stretch is forgotten when reset.
    async audioGaps(reset = false) {
      const word = reset ? "reset" : "read";
      const asked = Object.keys(this.gaps).map(async (mid) => [mid, await this.askGaps(mid, word)]);
      return Object.fromEntries(await Promise.all(asked));
    }

    // Onsets are told once, to the first who asks.
    askGaps(mid, word) {
      const { port } = this.gaps[mid];
      return new Promise((resolve) => {
        port.onmessage = ({ data }) => resolve(data);
        port.postMessage(word);
      });
    }

    // Resolves when the server has taken it; returns the time of asking on the clock of `frames`.
    async view(slots) {
      const at = performance.now();
      await this.request({ type: "view", slots });
      return at;
    }

    // Takes the frames seen so far of a slot, oldest first.
    takeFrames(mid) {
      return this.frames[mid].splice(0);
    }

    async stats() {
      const rows = [];
      for (const row of (await this.pc.getStats()).values()) if (/^(in|out)bound-rtp$/.test(row.type)) rows.push(row);
      return rows;
    }

    // The selected pair: {kind: "relay", protocol: "tls", remote: "192.0.2.1"}; the protocol is that towards the TURN server.
    async path() {
      const rows = [...(await this.pc.getStats()).values()];
      // The transport's own word: pairs that succeeded may be many, and which is nominated changes.
      const selected = rows.find((row) => row.type === "transport")?.selectedCandidatePairId;
      const pair = rows.find((row) => (selected ? row.id === selected : row.type === "candidate-pair" && row.selected));
      const local = rows.find((row) => row.id === pair?.localCandidateId);
      const remote = rows.find((row) => row.id === pair?.remoteCandidateId);
      return {
        kind: local?.candidateType ?? null,
        protocol: local?.relayProtocol ?? null,
        remote: remote?.address ?? null,
      };
    }

    leave() {
      clearInterval(this.painting);
      this.socket?.close();
      this.pc?.close();
      this.direct?.close();
    }
  }

  function redFirst() {
    const { codecs } = RTCRtpSender.getCapabilities("audio");
    return codecs.sort((a, b) => Number(b.mimeType === "audio/red") - Number(a.mimeType === "audio/red"));
  }

  // The description with all candidates in it.
  async function gathered(pc, description) {
    const complete = new Promise((resolve) => {
      pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && resolve(undefined);
    });
    await pc.setLocalDescription(description);
    await complete;
    return pc.localDescription.sdp;
  }

  window.stentorTest.CanvasClient = CanvasClient;
})();
