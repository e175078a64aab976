/**
 * The screen that we share, with its sound where the browser gives it.
 *
 * @typedef {import("./wire.js").Source} Source
 * @typedef {import("./peer.js").Peer} Peer
 * @typedef {import("./words.js").Words} Words
 * @typedef {{screen: MediaStreamTrack | null, screen_audio: MediaStreamTrack | null}} ScreenTracks
 */
import { deviceWords } from "./words.js";

/** @type {(keyof ScreenTracks)[]} */
const SOURCES = ["screen", "screen_audio"];
/** @type {ScreenTracks} */
const NOTHING = { screen: null, screen_audio: null };
/** Text wants to be sharp before it wants to be smooth. More costs bits that sharpness needs. */
const FRAMES_PER_S_MAX = 15;

/** Whether this browser can share at all; phones cannot. */
export const canShare = () => typeof navigator.mediaDevices?.getDisplayMedia === "function";

/**
 * Ask the person what to share. Never rejects; who closes the question gets no words about it.
 * @returns {Promise<ScreenTracks & {problem: Words | null}>}
 */
export async function openScreen() {
  try {
    const video = { frameRate: { max: FRAMES_PER_S_MAX } };
    const stream = await navigator.mediaDevices.getDisplayMedia({ video, audio: true });
    const [screen = null] = stream.getVideoTracks();
    const [screen_audio = null] = stream.getAudioTracks();
    if (screen) screen.contentHint = "detail";
    return { screen, screen_audio, problem: null };
  } catch (error) {
    const name = error instanceof Error ? error.name : "Error";
    return { ...NOTHING, problem: name === "NotAllowedError" ? null : deviceWords(name, "screen") };
  }
}

export class Sharing {
  /** @type {ScreenTracks} */
  #tracks = NOTHING;
  #changed;

  /** @param {() => void} changed  what is shared is another; `apply` it to the peer connection */
  constructor(changed) {
    this.#changed = changed;
  }

  get on() {
    return this.#tracks.screen !== null;
  }

  /** @param {ScreenTracks} tracks */
  start({ screen, screen_audio }) {
    this.#stopTracks();
    this.#tracks = { screen, screen_audio };
    // The browser's own bar has a button to stop as well.
    if (screen) screen.onended = () => this.stop();
    this.#changed();
  }

  stop() {
    if (!this.on) return;
    this.#stopTracks();
    this.#tracks = NOTHING;
    this.#changed();
  }

  /**
   * Make the peer connection send what is shared, and nothing else of a screen.
   * @param {Peer} peer
   * @param {Set<Source>} mayPublish
   * @returns {Promise<boolean>}  true where an offer is needed now
   */
  async apply(peer, mayPublish) {
    let needed = false;
    for (const source of SOURCES) {
      const track = mayPublish.has(source) ? this.#tracks[source] : null;
      if (track) needed = (await peer.publish(source, track)) || needed;
      else needed = peer.withdraw(source) || needed;
    }
    return needed;
  }

  #stopTracks() {
    for (const source of SOURCES) {
      const track = this.#tracks[source];
      if (!track) continue;
      track.onended = null;
      track.stop();
    }
  }
}
