/**
 * One participant by libwebrtc in Node: publishes its painted picture in two layers and its tone, decodes what its slots
 * are sent, and notes who that was. It judges nothing; benchmarks/wrtc_part.py does.
 */
import { createRequire } from "node:module";
import { Socket } from "../../web/socket.js";
import { SUBPROTOCOL } from "../../web/wire.js";
import { Painter, read } from "./pictures.mjs";
import { Ear, silence, tone, WINDOW_MS, SAMPLE_RATE_HZ } from "./tones.mjs";

// `make setup-test` installs into the build folder, where an import would not look.
const installed = createRequire(new URL("../../build/wrtc/", import.meta.url));
const { RTCPeerConnection, nonstandard } = installed("@roamhq/wrtc");
const WebSocket = installed("ws");

const CONNECTED_WITHIN_MS = 20_000;
/** After a speech the server lets a slot rest for 300 ms, and its jitter buffer fades out; then nothing happens to it. */
const QUIET_MS = 700;
/** Twice and once, as the light clients' layers. */
const ENCODINGS = [
  { rid: "q", scaleResolutionDownBy: 2, maxBitrate: 120_000 },
  { rid: "h", scaleResolutionDownBy: 1, maxBitrate: 300_000 },
];
const WIDTH = 640, HEIGHT = 360;

/** Microseconds of the clock that all processes of this machine share (CLOCK_MONOTONIC). */
const nowUs = () => Number(process.hrtime.bigint() / 1000n);
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

export class Participant {
  /** @type {Record<string, string>}  name -> id */
  #ids = {};
  #speaking = false;
  #spokenMs = 0;
  #lateMs = 0;
  /** @type {Record<string, number[][]>}  mid -> [at us, source, hue, number, height] */
  #seen = {};
  /** @type {Record<string, number[][]>}  mid -> [at us, tone, swing] */
  #heard = {};
  /** @type {Record<string, number[][]>}  mid -> [at us, invented, stretched, squeezed] in samples of 48 kHz */
  #repairs = {};
  /** @type {[string, number, number][]}  mid, who, asked at us */
  #steps = [];
  #timers = [];
  #video = new nonstandard.RTCVideoSource();
  #audio = new nonstandard.RTCAudioSource();
  #pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
  #sinks = [];
  #script;
  #socket;

  /**
   * @param {string} url
   * @param {{number: number, token: string, source: number, hue: number, pages: number[][],
   *   turns_s: number[],
   *   fault: string | null}} person
   * @param {{tones_hz: number[], peak: number, faint: number, fps: number, speech_s: number, audio_slots: number,
   *   video_slots: number, max_height: number, speaks_at_s: Record<string, number>}} script
   */
  constructor(url, person, script) {
    this.person = person;
    this.#script = script;
    this.#socket = new Socket(
      url,
      { message: (message) => this.#message(message), closed: () => undefined },
      (address) => new WebSocket(address, SUBPROTOCOL, { perMessageDeflate: false }),
    );
  }

  async join() {
    await this.#socket.opened;
    const joined = await this.#socket.request("join", { token: this.person.token });
    for (const { name, participant } of joined.participants) this.#ids[name] = participant;
    const sources = [
      ["microphone", this.#pc.addTransceiver(this.#audio.createTrack(), { direction: "sendonly" })],
      ["camera", this.#pc.addTransceiver(this.#video.createTrack(), { direction: "sendonly", sendEncodings: ENCODINGS })],
    ];
    const slots = ["audio", "video"].flatMap((kind) =>
      Array.from({ length: this.#script[`${kind}_slots`] }, () => this.#pc.addTransceiver(kind, { direction: "recvonly" })));
    await this.#pc.setLocalDescription(await this.#pc.createOffer());
    const answer = await this.#socket.request("offer", {
      sdp: this.#pc.localDescription.sdp,
      sources: Object.fromEntries(sources.map(([source, { mid }]) => [mid, source])),
    });
    await this.#pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    for (const { mid, receiver } of slots) this.#watch(mid, receiver.track);
    this.mids = slots.filter(({ receiver }) => receiver.track.kind === "video").map(({ mid }) => mid);
    await this.#connected();
    this.#publish();
  }

  /** @param {number} beganMs  of Date.now() */
  async play(beganMs) {
    const { speech_s, speaks_at_s, max_height } = this.#script;
    const { pages, turns_s } = this.person;
    const speak = async () => {
      const at = beganMs + speaks_at_s[this.person.number] * 1000;
      await pause(at - Date.now());
      this.#speaking = true;
      await pause(at + speech_s * 1000 - Date.now());
      this.#speaking = false;
    };
    const look = async () => {
      for (const [page, shown] of pages.entries()) {
        await pause(beganMs + turns_s[page] * 1000 - Date.now());
        shown.forEach((who, at) => this.#steps.push([this.mids[at], who, nowUs()]));
        const slots = shown.map((who, at) => (
          { mid: this.mids[at], show: { participant: this.#ids[who], source: "camera" }, max_height }));
        await this.#socket.request("view", { slots });
      }
      await pause(beganMs + turns_s[pages.length] * 1000 - Date.now());
    };
    this.#lateMs = 0; // the joining of the others is behind us
    await Promise.all([speak(), look()]);
    await pause(500); // the last packets are on their way
    return this.#told();
  }

  leave() {
    for (const timer of this.#timers) clearInterval(timer);
    for (const sink of this.#sinks) sink.stop();
    this.#pc.close();
    this.#socket.close();
  }

  /** @param {any} message */
  #message(message) {
    if (message.type === "participant" && message.event === "joined") this.#ids[message.name] = message.participant;
  }

  #connected() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.person.number} is ${this.#pc.connectionState}`)), CONNECTED_WITHIN_MS);
      const look = () => {
        if (this.#pc.connectionState !== "connected") return;
        clearTimeout(timer);
        resolve(undefined);
      };
      this.#pc.onconnectionstatechange = look;
      look();
    });
  }

  /** @param {number} ms @param {() => void} act */
  #every(ms, act) {
    this.#timers.push(setInterval(act, ms));
  }

  /** Picture and sound by the clock: a timer that is late makes up for it, as a sound card would. */
  #publish() {
    const { tones_hz, peak, fps } = this.#script;
    const painter = new Painter(WIDTH, HEIGHT, this.person.hue, this.person.source);
    const { number, fault } = this.person;
    const hz = tones_hz[fault === "wrong tone" ? (number + 1) % tones_hz.length : number];
    const sounds = [silence(), fault === "mute" ? silence() : tone(hz, peak)];
    const beganUs = nowUs();
    let frames = 0, chunks = 0;
    this.#every(WINDOW_MS, () => {
      const passedMs = (nowUs() - beganUs) / 1000;
      this.#lateMs = Math.max(this.#lateMs, passedMs - (chunks + 1) * WINDOW_MS);
      for (; chunks * WINDOW_MS < passedMs; chunks++) {
        if (this.#speaking) this.#spokenMs += WINDOW_MS;
        const samples = sounds[Number(this.#speaking)].slice();
        this.#audio.onData({ samples, sampleRate: SAMPLE_RATE_HZ, bitsPerSample: 16, channelCount: 1, numberOfFrames: samples.length });
      }
      if (frames * 1000 < passedMs * fps) {
        this.#video.onFrame(painter.paint(fault === "frozen" ? 0 : frames));
        frames += 1;
      }
    });
  }

  /** @param {string} mid @param {MediaStreamTrack} track */
  #watch(mid, track) {
    if (track.kind === "video") {
      const seen = (this.#seen[mid] = []);
      const sink = new nonstandard.RTCVideoSink(track);
      sink.onframe = ({ frame }) => {
        const { source, hue, number } = read(frame);
        seen.push([nowUs(), source, hue, number, frame.height]);
      };
      this.#sinks.push(sink);
      return;
    }
    const heard = (this.#heard[mid] = []);
    this.#repairs[mid] = [[nowUs(), 0, 0, 0]];
    const ear = new Ear(this.#script.tones_hz, this.#script.faint);
    let tone = -1;
    const sink = new nonstandard.RTCAudioSink(track);
    sink.ondata = ({ samples, sampleRate, channelCount }) => {
      const one = channelCount === 1 ? samples : samples.filter((_, at) => at % channelCount === 0);
      const found = ear.hear(one, sampleRate);
      if (found) heard.push([nowUs(), ...found]);
      // What the jitter buffer did is asked for at the end of a speech and, for the next one, when all is quiet again.
      if (tone >= 0 && !found) {
        void this.#ask(mid, track);
        setTimeout(() => void this.#ask(mid, track), QUIET_MS);
      }
      tone = found ? found[0] : -1;
    };
    this.#sinks.push(sink);
  }

  /** Of one track alone: all statistics of a participant would hold up sound and pictures for 6 ms. */
  async #ask(mid, track) {
    const atUs = nowUs();
    for (const one of (await this.#pc.getStats(track)).values()) {
      if (one.type !== "inbound-rtp") continue;
      const invented = one.concealedSamples - one.silentConcealedSamples;
      this.#repairs[mid].push([atUs, invented, one.insertedSamplesForDeceleration, one.removedSamplesForAcceleration]);
    }
  }

  async #told() {
    const totals = { "packets lost": 0, "frames dropped": 0, freezes: 0 };
    for (const one of (await this.#pc.getStats()).values()) {
      if (one.type !== "inbound-rtp") continue;
      totals["packets lost"] += one.packetsLost;
      totals["frames dropped"] += one.framesDropped ?? 0;
      totals.freezes += one.freezeCount ?? 0;
    }
    return {
      number: this.person.number, spoken_ms: this.#spokenMs, seen: this.#seen, heard: this.#heard,
      repairs: this.#repairs, steps: this.#steps, totals, late_ms: this.#lateMs,
    };
  }
}
